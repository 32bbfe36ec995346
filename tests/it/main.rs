//! The one integration binary: a module per topic. Real parts are started once per process and shared; each test
//! takes a name, path or mount of its own. `make parts` installs what the tests start.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in the helpers beside them

mod architecture;
mod command_line;
mod end_to_end;
mod http;
mod kubernetes;
mod openid_provider;
mod secrecy;
mod simulation;
mod support;
mod vault;
