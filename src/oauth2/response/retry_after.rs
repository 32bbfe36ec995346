//! `Retry-After` and HTTP dates (RFC 9110 §10.2.3 and §5.6.7).

use jiff::{SignedDuration, Timestamp};

use crate::rotation::failure::LONGEST_RETRY_AFTER;

/// How long to wait: seconds, or a date, which counts from the response's own `Date` if there is one. At most 24 h.
/// `None` for what is absent, past, zero or no value at all.
pub(super) fn read(value: Option<&str>, reference: Timestamp) -> Option<SignedDuration> {
    let value = value?.trim();
    let asked = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a number all the same, and capped below.
        SignedDuration::from_secs(value.parse().unwrap_or(i64::MAX))
    } else {
        http_date(value)?.duration_since(reference)
    };
    asked.is_positive().then(|| asked.min(LONGEST_RETRY_AFTER))
}

/// Any of the three forms that a recipient must accept.
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    httpdate::parse_http_date(value.trim()).ok().and_then(|time| Timestamp::try_from(time).ok())
}
