//! The one integration binary: a module per topic. Real parts are started once per process and shared; each test
//! takes a name, path or mount of its own. `make parts` installs what the tests start.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in the helpers beside them

mod kubernetes;
mod simulation;
mod support;
mod vault;
