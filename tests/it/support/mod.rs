//! Handles of the real parts that tests run against.

pub(crate) mod apiserver;
