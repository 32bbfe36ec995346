//! The one integration binary: a module for each topic; real parts are started once and shared.

mod simulation;
mod support;
