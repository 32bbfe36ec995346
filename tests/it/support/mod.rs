//! What the tests share: virtual time, recording fakes, and handles of the real parts.

pub(crate) mod apiserver;
pub(crate) mod fakes;
pub(crate) mod openbao;
pub(crate) mod process;
pub(crate) mod virtual_clock;

use std::path::PathBuf;

/// Where `make parts` installs.
pub(crate) fn parts() -> PathBuf {
    std::env::var_os("EVERBEARER_PARTS").map_or_else(default_parts, PathBuf::from)
}

fn default_parts() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.expect("HOME or XDG_CACHE_HOME is set").join("everbearer/parts")
}
