//! Files on both ends: [`source::FileSource`] reads client credentials, [`directory::DirectorySink`] writes tokens.
//!
//! Nothing here watches: changes are found by looking again. All calls into a file system are made off the async
//! threads and are bounded in time, for a network file system may hang for good.

pub mod directory;
pub mod source;

mod bounded;
mod reading;

#[cfg(test)]
mod testing;
