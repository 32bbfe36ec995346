//! The Secret sink on a real API server: what a delivery writes, what it never touches, and what it says when it
//! cannot.

mod fixture;
mod ownership;
mod rights;
mod secrecy;
mod trouble;
mod writing;
