//! What every source does to a text before it counts as a client id or client secret.
//!
//! It knows no source: the caller says in its own error where the text came from.

use crate::secret::SecretText;

/// A client id or secret is shorter than this, in bytes; private keys and certificates too.
pub const LONGEST_CREDENTIAL: usize = 64 * 1024;

/// The warning of a source for [`Parsed::trimmed`]. Files end in a newline as a rule, so they do not warn.
pub const NEWLINE_TRIMMED: &str = "a newline at the end of a credential was trimmed; write it without one";

/// A text that is fit to be a client id or client secret.
#[derive(Debug)]
pub struct Parsed {
    pub text: SecretText,
    /// Whether one newline was cut from its end.
    pub trimmed: bool,
}

/// Cuts one newline (`\n` or `\r\n`) from the end. The error says what is wrong, without a byte of the text.
pub fn parse(bytes: &[u8]) -> Result<Parsed, &'static str> {
    if bytes.len() > LONGEST_CREDENTIAL {
        return Err("it is larger than 64 KiB");
    }
    let whole = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text")?;
    let cut = whole.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let text = cut.unwrap_or(whole);
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.starts_with('\u{feff}') {
        return Err("it begins with a byte order mark; save it as UTF-8 without one");
    }
    if text.chars().any(char::is_control) {
        return Err("it contains a control character (NUL, a tab or a line break, for example)");
    }
    Ok(Parsed { text: SecretText::new(text), trimmed: cut.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_is_cut_from_the_end_and_nothing_else() {
        for (case, bytes, text, trimmed) in [
            ("as it is", "abc", "abc", false),
            ("a Unix line", "abc\n", "abc", true),
            ("a Windows line", "abc\r\n", "abc", true),
            ("spaces belong to it", " a b ", " a b ", false),
            ("so does any printable character", "%+/\":ä€", "%+/\":ä€", false),
        ] {
            let parsed = parse(bytes.as_bytes()).expect(case);
            assert_eq!((parsed.text.expose(), parsed.trimmed), (text, trimmed), "{case}");
        }
    }

    #[test]
    fn what_cannot_be_a_credential_is_refused_and_not_shown() {
        let long = "canary".repeat(20_000);
        for (case, bytes, word) in [
            ("nothing", &b""[..], "empty"),
            ("a newline alone", b"\n", "empty"),
            ("two newlines at the end", b"canary\n\n", "control"),
            ("a lone carriage return", b"canary\r", "control"),
            ("two lines", b"canary\ncanary", "control"),
            ("a NUL", b"canary\0", "control"),
            ("Latin-1", b"canary\xe4", "UTF-8"),
            ("a byte order mark", b"\xef\xbb\xbfcanary", "byte order mark"),
            ("far too much", long.as_bytes(), "64 KiB"),
        ] {
            let why = parse(bytes).expect_err(case);
            assert!(why.contains(word) && !why.contains("canary"), "{case}: {why}");
        }
    }
}
