//! Spans of time in words, the same wherever people read them.

use jiff::{SignedDuration, Timestamp};

/// A span in its two largest units: `20 s`, `29 m 30 s`, `3 h 5 m`, `2 d 1 h`. The sign is left out.
#[must_use]
pub fn span(span: SignedDuration) -> String {
    let seconds = span.unsigned_abs().as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `in 29 m 30 s` or `5 s ago`.
#[must_use]
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let distance = at.duration_since(now);
    if distance.is_negative() { format!("{} ago", span(distance)) } else { format!("in {}", span(distance)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_two_largest_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (-59, "59 s"),
            (60, "1 m 0 s"),
            (1770, "29 m 30 s"),
            (11_100, "3 h 5 m"),
            (176_400, "2 d 1 h"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), expected);
        }
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        assert_eq!(relative(noon, noon - SignedDuration::from_secs(5)), "in 5 s");
        assert_eq!(relative(noon, noon + SignedDuration::from_secs(5)), "5 s ago");
    }
}
