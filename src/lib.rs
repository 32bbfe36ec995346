//! Everbearer keeps a valid bearer token wherever workloads look for one.

pub mod basic;
pub mod config;
pub mod credential;
pub mod environment;
pub mod file;
pub mod ports;
pub mod render;
pub mod rotation;
pub mod secret;
