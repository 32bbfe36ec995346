//! Everbearer keeps a valid bearer token wherever workloads look for one.

pub mod admin;
pub mod attempt;
pub mod clock;
pub mod config;
pub mod demo;
pub mod engine;
pub mod housekeeping;
pub mod oauth2;
pub mod ports;
pub mod render;
pub mod rotation;
pub mod secret;
pub mod status;
pub mod telemetry;
