//! Everbearer keeps a valid bearer token wherever workloads look for one.

pub mod config;
pub mod kubernetes;
pub mod ports;
pub mod rotation;
pub mod secret;
