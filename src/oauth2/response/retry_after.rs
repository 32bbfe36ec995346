//! `Retry-After` and HTTP dates (RFC 9110 §10.2.3, §5.6.7).

use jiff::{SignedDuration, Timestamp};

use crate::rotation::failure::LONGEST_RETRY_AFTER;

/// Seconds or an HTTP date, as a span from `now`; capped at 24 h. What is past, negative or garbage is ignored.
pub(super) fn parse(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    let span = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().map_or(LONGEST_RETRY_AFTER, SignedDuration::from_secs) // more digits than an i64 has
    } else {
        http_date(text)?.duration_since(now)
    };
    (!span.is_negative()).then(|| span.min(LONGEST_RETRY_AFTER))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`; the two obsolete forms are not used by any token endpoint.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    let rest = text.trim().strip_suffix("GMT")?;
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(format!("{rest}+0000")).ok()
}
