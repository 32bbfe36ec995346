//! What the tests share: virtual time, recording fakes, and handles of the real parts.

pub mod fakes;
pub mod virtual_clock;
