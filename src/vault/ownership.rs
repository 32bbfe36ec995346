//! Whose a KV path is, told from its fields alone.
//!
//! Pure. A receipt's MAC is not looked at: that decides whether a token is believed, not whose path it is.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::RECEIPT_KEY;
use super::kv::Field;
use super::wording::name;
use crate::rotation::RotationName;
use crate::rotation::receipt::Receipt;

pub(super) enum Owner {
    /// `receipt` is `None` if it names us but cannot be read otherwise: someone has been at it.
    Us { receipt: Option<Receipt> },
    /// Another rotation, or another installation.
    Other { installation: String, rotation: String },
    /// There are no fields at all.
    Nobody,
    /// Fields without a receipt, or with one that names nobody.
    Unknown,
}

pub(super) fn owner_of(
    fields: &BTreeMap<String, Field>,
    installation: &str,
    rotation: &RotationName,
) -> Owner {
    let Some(field) = fields.get(RECEIPT_KEY) else {
        return if fields.is_empty() { Owner::Nobody } else { Owner::Unknown };
    };
    let Ok(text) = field.text() else { return Owner::Unknown };
    let Ok(named) = serde_json::from_str::<Names>(text.expose()) else { return Owner::Unknown };
    if named.installation == installation && named.rotation == rotation.as_str() {
        return Owner::Us { receipt: Receipt::decode(text.expose()) };
    }
    Owner::Other { installation: name(&named.installation), rotation: name(&named.rotation) }
}

/// What a receipt of any format, also of a later release, says of its owner.
#[derive(Deserialize)]
struct Names {
    installation: String,
    rotation: String,
}
