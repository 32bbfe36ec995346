//! Wiring: from a [`Config`] to rotations with real ports, and the tasks of the process.
//!
//! The only place that matches on spec enums. Every task that is started here is watched here.

mod build;
pub mod check;
pub mod daemon;
pub mod once;
mod reload;

pub use build::{BuildError, Builder};
