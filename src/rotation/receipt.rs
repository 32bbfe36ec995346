//! What a sink remembers of a delivery: one versioned JSON value, written in the same request as the token.
//!
//! A receipt lets a restart adopt a token instead of minting one. It carries a MAC over itself and over every
//! delivered byte, so that a token which somebody else put into a sink is never adopted, spread or counted. The key
//! is derived from the client secret (or from a key file): whoever cannot mint cannot forge a receipt either.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{ClientCredentials, RotationName, SinkName, SourceVersion, UnitInterval, Validity};
use crate::secret::{Content, SecretBytes};

/// The only format so far. A release that changes it goes on reading this one.
const FORMAT: u32 = 1;

/// A receipt longer than this is not ours (a whole one is under 1 KiB; names and versions are bounded).
const LONGEST_RECEIPT: usize = 8 * 1024;

#[derive(Clone, PartialEq, Debug)]
pub struct Receipt {
    pub installation: Arc<str>,
    pub rotation: RotationName,
    /// Orders the tokens of one rotation: one more than the highest verified one before it. Starts at 1.
    pub generation: u64,
    /// `None` for Basic credentials, which do not end.
    pub validity: Option<Validity>,
    /// The draw, not the date: a changed lead takes effect without a new token.
    pub jitter: UnitInterval,
    pub spec: SpecDigest,
    /// Which templates made the content.
    pub render: SpecDigest,
    /// `None` for Basic: a password may be guessable, and a fingerprint would confirm a guess.
    pub credentials: Option<KeyedFingerprint>,
    pub source_version: Option<SourceVersion>,
    /// The last rotation request by annotation that was carried out.
    pub handled_request: Option<Arc<str>>,
    /// `None` for Basic, and where there is no key.
    pub mac: Option<Mac>,
}

impl Receipt {
    /// One line of JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        let text = Text {
            version: FORMAT,
            installation: self.installation.to_string(),
            rotation: self.rotation.to_string(),
            generation: self.generation,
            issued_at: self.validity.map(Validity::issued_at),
            expires_at: self.validity.map(Validity::expires_at),
            jitter: self.jitter.value(),
            spec: self.spec.to_string(),
            render: self.render.to_string(),
            credentials: self.credentials.as_ref().map(ToString::to_string),
            source_version: self.source_version.as_ref().map(|v| v.0.to_string()),
            handled_request: self.handled_request.as_ref().map(ToString::to_string),
            mac: self.mac.as_ref().map(ToString::to_string),
        };
        serde_json::to_string(&text).unwrap_or_default() // strings and numbers always encode
    }

    /// `None` for anything that is not a receipt of a format that we know: the caller treats it as drift.
    #[must_use]
    pub fn decode(encoded: &str) -> Option<Self> {
        if encoded.len() > LONGEST_RECEIPT {
            return None;
        }
        let text: Text = serde_json::from_str(encoded).ok()?;
        if text.version != FORMAT {
            return None;
        }
        let validity = match (text.issued_at, text.expires_at) {
            (Some(issued_at), Some(expires_at)) => Some(Validity::between(issued_at, expires_at)?),
            (None, None) => None,
            _ => return None,
        };
        Some(Self {
            installation: text.installation.into(),
            rotation: RotationName::parse(&text.rotation)?,
            generation: text.generation,
            validity,
            jitter: UnitInterval::new(text.jitter)?,
            spec: SpecDigest(from_hex(&text.spec)?),
            render: SpecDigest(from_hex(&text.render)?),
            credentials: optional_hex(text.credentials)?.map(KeyedFingerprint),
            source_version: text.source_version.map(|v| SourceVersion(v.into())),
            handled_request: text.handled_request.map(Into::into),
            mac: optional_hex(text.mac)?.map(Mac),
        })
    }

    /// The same receipt with the MAC for one sink. Without a key there is none.
    #[must_use]
    pub fn signed(
        mut self,
        key: Option<&ReceiptKey>,
        issuer: &str,
        sink: &SinkName,
        content: &Content,
    ) -> Self {
        self.mac = key.map(|key| self.compute_mac(key, issuer, sink, content));
        self
    }

    /// Whether this receipt was made by a holder of `key` for exactly this issuer, sink and content.
    #[must_use]
    pub fn verifies(&self, key: &ReceiptKey, issuer: &str, sink: &SinkName, content: &Content) -> bool {
        let expected = self.compute_mac(key, issuer, sink, content);
        self.mac.as_ref().is_some_and(|mac| bool::from(mac.0.ct_eq(&expected.0)))
    }

    fn compute_mac(&self, key: &ReceiptKey, issuer: &str, sink: &SinkName, content: &Content) -> Mac {
        let mut mac = hmac(&key.0);
        let mut field = |bytes: &[u8]| {
            // A length before each field: no two different lists of fields feed the same bytes.
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        };
        let unsigned = Self { mac: None, ..self.clone() };
        field(unsigned.encode().as_bytes());
        field(issuer.as_bytes());
        field(sink.as_bytes());
        for (key, value) in content.expose_all() {
            field(key.as_bytes());
            field(value);
        }
        Mac(mac.finalize().into_bytes().into())
    }
}

/// The key that receipts are signed with, derived once from secret material.
pub struct ReceiptKey(Zeroizing<[u8; 32]>);

impl ReceiptKey {
    /// From the client secret itself: whoever holds it may mint anyway.
    #[must_use]
    pub fn from_credentials(credentials: &ClientCredentials) -> Self {
        Self(derive(credentials.secret.expose().as_bytes(), "everbearer receipt mac v1"))
    }

    /// From the random bytes of `receipts.keyFile`.
    #[must_use]
    pub fn from_bytes(bytes: &SecretBytes) -> Self {
        Self(derive(bytes.expose(), "everbearer receipt mac v1"))
    }
}

impl fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// HKDF-SHA-256 without salt: one secret serves several purposes, and no result tells of another.
fn derive(secret: &[u8], purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let derived = Hkdf::<Sha256>::new(None, secret).expand(purpose.as_bytes(), key.as_mut());
    debug_assert!(derived.is_ok(), "32 bytes are always available");
    key
}

fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut padded = hmac::digest::Key::<Hmac<Sha256>>::default();
    padded[..32].copy_from_slice(key);
    Hmac::<Sha256>::new(&padded)
}

/// Tells whether credentials changed without telling what they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyedFingerprint([u8; 16]);

impl KeyedFingerprint {
    #[must_use]
    pub fn of(credentials: &ClientCredentials) -> Self {
        let secret = credentials.secret.expose().as_bytes();
        let mut mac = hmac(&derive(secret, "everbearer credentials fingerprint v1"));
        let id = credentials.id.expose().as_bytes();
        mac.update(&(id.len() as u64).to_be_bytes());
        mac.update(id);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut short = [0; 16];
        short.copy_from_slice(&whole[..16]);
        Self(short)
    }
}

/// SHA-256 over an ordered list of named parts. One is made of what changes the token, another of what renders it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpecDigest([u8; 16]);

impl SpecDigest {
    /// Parts that are absent are left out by the caller, so that a later release may add one without a change.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = Sha256::new();
        for (name, value) in parts {
            for text in [name, value] {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text.as_bytes());
            }
        }
        let whole: [u8; 32] = hash.finalize().into();
        let mut short = [0; 16];
        short.copy_from_slice(&whole[..16]);
        Self(short)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mac([u8; 32]);

macro_rules! shown_in_hex {
    ($($type:ident),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
shown_in_hex!(KeyedFingerprint, SpecDigest, Mac);

/// A value that is there and cannot be read spoils the whole receipt.
#[expect(clippy::option_option, reason = "unreadable, absent, present")]
fn optional_hex<const N: usize>(text: Option<String>) -> Option<Option<[u8; N]>> {
    text.map_or(Some(None), |text| from_hex(&text).map(Some))
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The encoding. Unknown fields are ignored, so that an older release can read what a newer one of the same format
/// added; a MAC over them fails, and that release looks on the token as drift.
#[derive(Serialize, Deserialize)]
struct Text {
    version: u32,
    installation: String,
    rotation: String,
    generation: u64,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    jitter: f64,
    spec: String,
    render: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handled_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretText;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn credentials(secret: &str) -> ClientCredentials {
        ClientCredentials { id: SecretText::new("jdoe"), secret: SecretText::new(secret) }
    }

    fn receipt() -> Receipt {
        let issued_at: Timestamp = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
        Receipt {
            installation: "everbearer".into(),
            rotation: RotationName::parse("voice").unwrap(),
            generation: 7,
            validity: Validity::new(issued_at, SignedDuration::from_hours(1)),
            jitter: UnitInterval::new(0.25).unwrap(),
            spec: SpecDigest::of([("tokenUrl", "https://id.example/token")]),
            render: SpecDigest::of([]),
            credentials: Some(KeyedFingerprint::of(&credentials("an example secret"))),
            source_version: Some(SourceVersion("3".into())),
            handled_request: None,
            mac: None,
        }
    }

    fn content(token: &str) -> Content {
        Content::new([("access_token", SecretText::new(token))])
    }

    #[test]
    fn encoding_is_that_of_the_golden_receipt() {
        let sink: SinkName = "directory/run/voice".into();
        let key = ReceiptKey::from_credentials(&credentials("an example secret"));
        let signed = receipt().signed(Some(&key), "bandwidth", &sink, &content("abc"));
        let golden = include_str!("../../tests/it/golden/receipt-v1.json");
        assert_eq!(signed.encode(), golden.trim_end());
        let read = Receipt::decode(golden).expect("a released receipt stays readable");
        assert_eq!(read, signed);
        assert!(read.verifies(&key, "bandwidth", &sink, &content("abc")));
    }

    #[test]
    fn a_receipt_verifies_only_for_what_it_was_made_for() {
        let sink: SinkName = "directory/run/voice".into();
        let key = ReceiptKey::from_credentials(&credentials("one"));
        let signed = receipt().signed(Some(&key), "bandwidth", &sink, &content("abc"));
        let other_key = ReceiptKey::from_credentials(&credentials("two"));
        assert!(signed.verifies(&key, "bandwidth", &sink, &content("abc")));
        assert!(!signed.verifies(&other_key, "bandwidth", &sink, &content("abc")), "another secret");
        assert!(!signed.verifies(&key, "corp", &sink, &content("abc")), "another issuer");
        assert!(
            !signed.verifies(&key, "bandwidth", &"directory/run/x".into(), &content("abc")),
            "another sink"
        );
        assert!(!signed.verifies(&key, "bandwidth", &sink, &content("abd")), "another token");
        let higher = Receipt { generation: 8, ..signed.clone() };
        assert!(!higher.verifies(&key, "bandwidth", &sink, &content("abc")), "another generation");
        let unsigned = Receipt { mac: None, ..signed };
        assert!(!unsigned.verifies(&key, "bandwidth", &sink, &content("abc")), "no MAC at all");
    }

    #[test]
    fn a_changed_id_or_secret_changes_the_fingerprint() {
        let base = KeyedFingerprint::of(&credentials("one"));
        assert_eq!(base, KeyedFingerprint::of(&credentials("one")));
        assert_ne!(base, KeyedFingerprint::of(&credentials("two")));
        let renamed = ClientCredentials { id: SecretText::new("other"), ..credentials("one") };
        assert_ne!(base, KeyedFingerprint::of(&renamed));
    }

    proptest! {
        #[test]
        fn decoding_never_panics(text in ".{0,300}") {
            let _ = Receipt::decode(&text);
        }

        #[test]
        fn a_flipped_byte_never_verifies(position in 0usize..600, bit in 0u8..7) {
            let sink: SinkName = "directory/run/voice".into();
            let key = ReceiptKey::from_credentials(&credentials("one"));
            let signed = receipt().signed(Some(&key), "bandwidth", &sink, &content("abc"));
            let mut bytes = signed.encode().into_bytes();
            let position = position % bytes.len();
            bytes[position] ^= 1 << bit;
            if let Some(read) = std::str::from_utf8(&bytes).ok().and_then(Receipt::decode) {
                prop_assert!(read == signed || !read.verifies(&key, "bandwidth", &sink, &content("abc")));
            }
        }
    }
}
