//! The live demo and its provider emulator.

pub mod emulator;
