//! What the tests share: virtual time, recording fakes, and handles of the real parts.

pub(crate) mod apiserver;
pub(crate) mod fakes;
pub(crate) mod openbao;
pub(crate) mod virtual_clock;
