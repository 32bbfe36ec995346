//! Texts that mean a number: durations, shares, file modes. Errors say what would be right.

use jiff::SignedDuration;

/// `90s`, `20m`, `1h30m`, `24h`, `7d`: positive. A day is 24 hours.
pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "a duration such as 90s, 20m, 1h30m, 24h or 7d is wanted here".to_owned();
    let compact: String = text.split_whitespace().collect();
    let mut total = SignedDuration::ZERO;
    let mut rest = compact.as_str();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit_and_more) = rest.split_at(digits);
        let end = unit_and_more.find(|c: char| c.is_ascii_digit()).unwrap_or(unit_and_more.len());
        let (unit, more) = unit_and_more.split_at(end);
        let millis_each: i64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let span = number.checked_mul(millis_each).map(SignedDuration::from_millis);
        total = span.and_then(|span| total.checked_add(span)).ok_or_else(wrong)?;
        rest = more;
    }
    if total > crate::rotation::LONGEST_LIFETIME {
        return Err("at most ten years (3650d) are allowed here".into());
    }
    Ok(total)
}

/// `50%` as 0.5, within bounds given in per cent.
pub(super) fn share(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(number / 100.0),
        Some(_) => Err(format!("a share from {least}% to {most}% is wanted here")),
        None => Err(format!("a share such as {}% is wanted here", f64::midpoint(least, most))),
    }
}

/// `0440`, in octal.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    let wrong = || "a file mode in octal is wanted here, in quotes: \"0440\"".to_owned();
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = if octal { u32::from_str_radix(text, 8).map_err(|_| wrong())? } else { return Err(wrong()) };
    if mode & 0o400 == 0 {
        return Err("the owner must be able to read the files: we read them back".into());
    }
    if mode & !0o777 != 0 { Err(wrong()) } else { Ok(mode) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in
            [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1h 30m", 5400), ("7d", 604_800)]
        {
            assert_eq!(duration(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("500ms"), Ok(SignedDuration::from_millis(500)));
        for text in ["", "90", "s", "-5s", "1.5h", "5 parsecs", "99999999999999999999s", "3651d", "1h30"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share("50%", 1.0, 99.0), Ok(0.5));
        assert_eq!(share("0%", 0.0, 50.0), Ok(0.0));
        for text in ["0%", "100%", "50", "fifty%", "NaN%", "-5%", ""] {
            assert!(share(text, 1.0, 99.0).is_err(), "{text}");
        }
    }

    #[test]
    fn modes() {
        assert_eq!(mode("0440"), Ok(0o440));
        assert_eq!(mode("640"), Ok(0o640));
        for text in ["", "0o440", "0888", "0040", "4755", "44"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }
}
