//! Several files, one document: rotations are joined, issuers united, and all else may be defined in one of them.

use super::document::Document;
use super::findings::Findings;
use super::shape::Slot;

impl Document {
    /// Adds what another file says. What both define is reported with both places.
    pub(super) fn merge(&mut self, other: Self, findings: &mut Findings) {
        let Self { at: _, vault, issuers, defaults, installation, receipts, rotations, kubernetes, admin } =
            other;
        unite(&mut self.vault, vault, "vault", findings);
        unite(&mut self.defaults, defaults, "defaults", findings);
        unite(&mut self.installation, installation, "installation", findings);
        unite(&mut self.receipts, receipts, "receipts", findings);
        unite(&mut self.kubernetes, kubernetes, "kubernetes", findings);
        unite(&mut self.admin, admin, "admin", findings);
        match (&mut self.rotations, rotations) {
            (Slot::Put(all), Slot::Put(more)) => all.value.items.extend(more.value.items),
            (_, Slot::Absent) | (Slot::Put(_), Slot::Broken(_)) => {}
            (all @ (Slot::Absent | Slot::Broken(_)), more) => *all = more,
        }
        match (&mut self.issuers, issuers) {
            (Slot::Put(all), Slot::Put(more)) => {
                all.value.entries.extend(more.value.entries);
                all.value.broken.extend(more.value.broken);
            }
            (_, Slot::Absent) | (Slot::Put(_), Slot::Broken(_)) => {}
            (all @ (Slot::Absent | Slot::Broken(_)), more) => *all = more,
        }
    }
}

fn unite<T>(mine: &mut Slot<T>, other: Slot<T>, key: &str, findings: &mut Findings) {
    match (mine.place(), other.place()) {
        (_, None) => {}
        (None, Some(_)) => *mine = other,
        (Some(first), Some(second)) => {
            let before = findings.name_place(first);
            findings.mistake(second, format!("`{key}` is defined in two files; first at {before}"));
        }
    }
}
