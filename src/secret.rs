//! Newtypes for bytes that must never be printed.
//!
//! Everything here has a redacted `Debug`, is zeroed when dropped, compares in constant time and has no
//! `Serialize`. Exposing is a method call, so that `grep expose` lists every place where secret bytes come out.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use subtle::ConstantTimeEq;

/// Text that must never be printed: a client secret, an access token, a password, a header value.
#[derive(Clone)]
pub struct SecretText(SecretString);

impl SecretText {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for SecretText {}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What a sink holds: keys and their bytes, all values in one allocation that is zeroed when dropped.
///
/// Keys are in byte order, so that two contents with equal pairs are equal and encode alike.
pub struct Content {
    keys: Vec<(Arc<str>, Range<usize>)>,
    bytes: SecretBox<[u8]>,
}

impl Content {
    /// A later pair with the same key replaces the earlier one.
    pub fn new<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Arc<str>>,
        V: Into<SecretBytes>,
    {
        let sorted: std::collections::BTreeMap<Arc<str>, SecretBytes> =
            pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        let total = sorted.values().map(|v| v.expose().len()).sum();
        // Exact capacity: a growing buffer would leave unzeroed copies behind.
        let mut bytes = Vec::with_capacity(total);
        let mut keys = Vec::with_capacity(sorted.len());
        for (key, value) in sorted {
            let start = bytes.len();
            bytes.extend_from_slice(value.expose());
            keys.push((key, start..bytes.len()));
        }
        Self { keys, bytes: SecretBox::new(bytes.into_boxed_slice()) }
    }

    #[must_use]
    pub fn expose(&self, key: &str) -> Option<&[u8]> {
        self.keys
            .iter()
            .find(|(k, _)| &**k == key)
            .map(|(_, range)| &self.bytes.expose_secret()[range.clone()])
    }

    /// Keys in byte order with their bytes.
    pub fn expose_all(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.keys.iter().map(|(key, range)| (&**key, &self.bytes.expose_secret()[range.clone()]))
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(key, _)| &**key)
    }

    /// Bytes of all keys and values together, which is what the stores' size limits count.
    #[must_use]
    pub fn size(&self) -> usize {
        self.keys.iter().map(|(key, range)| key.len() + range.len()).sum()
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys && bool::from(self.bytes.expose_secret().ct_eq(other.bytes.expose_secret()))
    }
}

impl Eq for Content {}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

/// Bytes that must never be printed.
pub struct SecretBytes(SecretBox<[u8]>);

impl SecretBytes {
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(SecretBox::new(bytes.into_boxed_slice()))
    }
}

impl From<&SecretText> for SecretBytes {
    fn from(text: &SecretText) -> Self {
        Self::from(text.expose().as_bytes().to_vec())
    }
}

impl From<SecretText> for SecretBytes {
    fn from(text: SecretText) -> Self {
        Self::from(&text)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_keys_and_never_values() {
        let content = Content::new([("b", SecretText::new("canary-b")), ("a", SecretText::new("canary-a"))]);
        let shown = format!("{content:?} {:?}", SecretText::new("canary-c"));
        assert_eq!(shown, r#"{"a", "b"} [redacted]"#);
    }

    #[test]
    fn content_is_equal_whatever_the_order_of_its_pairs() {
        let one = Content::new([("b", SecretText::new("2")), ("a", SecretText::new("1"))]);
        let two = Content::new([("a", SecretText::new("1")), ("b", SecretText::new("2"))]);
        let other = Content::new([("a", SecretText::new("12")), ("b", SecretText::new(""))]);
        assert_eq!(one, two);
        assert_ne!(one, other, "the same bytes under other keys are another content");
        assert_eq!(one.expose("a"), Some(&b"1"[..]));
        assert_eq!(one.size(), 4);
    }
}
