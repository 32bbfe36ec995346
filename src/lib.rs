//! Everbearer keeps a valid bearer token wherever workloads look for one.

pub mod admin;
pub mod app;
pub mod attempt;
pub mod basic;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credential;
pub mod demo;
pub mod engine;
pub mod environment;
pub mod file;
pub mod housekeeping;
pub mod kubernetes;
pub mod oauth2;
pub mod ports;
pub mod render;
pub mod rotation;
pub mod secret;
pub mod status;
pub mod telemetry;
pub mod vault;
pub mod words;
