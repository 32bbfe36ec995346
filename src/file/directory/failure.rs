//! What an error of the file system means for the sink, and what to do about it.

use std::io;

use rustix::io::Errno;

use crate::ports::SinkError;

/// `doing` says what was tried, with the path: "creating /run/voice". The error's own text is the system's.
pub(super) fn explain(doing: &str, error: impl Into<io::Error>) -> SinkError {
    let error = error.into();
    let why = |advice: &str| format!("{doing}: {error}{advice}");
    let Some(errno) = Errno::from_io_error(&error) else {
        return SinkError::Unreachable { why: why("") };
    };
    match errno {
        Errno::ACCESS | Errno::PERM => {
            let user = rustix::process::geteuid().as_raw();
            let advice = format!(
                ". Let user {user}, as whom Everbearer runs, write there; `owner` and `group` need root"
            );
            SinkError::Forbidden { why: why(&advice) }
        }
        Errno::ROFS => SinkError::Unfit { why: why(". Mount it writable, or choose another path") },
        Errno::NOSPC | Errno::DQUOT => {
            SinkError::Unfit { why: why(". Free some space; what was delivered before is still in place") }
        }
        Errno::NOTDIR => SinkError::Unfit { why: why(". A part of the path is a file; choose another path") },
        Errno::NOENT => {
            SinkError::Unfit { why: why(". A folder of the path vanished or cannot be created there") }
        }
        Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL => {
            SinkError::Unfit { why: why(". Choose another path") }
        }
        Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS => SinkError::Unfit {
            why: why(". This file system lacks what a delivery needs; choose another one"),
        },
        _ => SinkError::Unreachable { why: why("") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::failure::Classify;

    #[test]
    fn every_error_says_what_was_tried_and_what_to_do() {
        for (case, errno, code, advice) in [
            ("no right", Errno::ACCESS, "sink_forbidden", "Let user"),
            ("not allowed to anyone", Errno::PERM, "sink_forbidden", "Let user"),
            ("a read-only mount", Errno::ROFS, "sink_unfit", "Mount it writable"),
            ("a full disk", Errno::NOSPC, "sink_unfit", "Free some space"),
            ("a used-up quota", Errno::DQUOT, "sink_unfit", "Free some space"),
            ("a file as a folder", Errno::NOTDIR, "sink_unfit", "is a file"),
            ("links in a circle", Errno::LOOP, "sink_unfit", "another path"),
            ("no locks", Errno::NOLCK, "sink_unfit", "another one"),
            ("a disk in trouble", Errno::IO, "sink_unreachable", ""),
            ("a lost server", Errno::STALE, "sink_unreachable", ""),
        ] {
            let error = explain("creating /run/voice", errno);
            assert_eq!(error.code(), code, "{case}");
            let text = error.to_string();
            assert!(text.contains("creating /run/voice") && text.contains(advice), "{case}: {text}");
        }
    }
}
