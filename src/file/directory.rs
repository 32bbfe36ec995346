//! A token as files in a folder, swapped as a whole by the scheme with which kubelet mounts Secrets:
//!
//! ```text
//! /run/everbearer/voice/
//!   ..g7_5d0e4b7a90c1f263/      the delivered files and .receipt.json; never changed once written
//!   ..g6_0b9c…/                 the one before, kept for readers that have just opened it
//!   ..data -> ..g7_5d0e…        replaced by one rename: the moment of delivery
//!   access_token -> ..data/access_token
//!   .everbearer.lock            held while writing
//! ```
//!
//! Whoever opens `..data` once sees one token with its own expiry. A crash at any point leaves the old pair or the new
//! one; what it leaves besides is cleaned up by the next delivery. There is no watch and no repair here: the engine
//! looks again and decides.

mod failure;
mod looking;
mod writing;

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::bounded::{Bounded, LIMIT_SECONDS};
use crate::config::spec::DirectorySpec;
use crate::ports::{Handle, Observed, Sink, SinkError};
use crate::rotation::RotationName;
use crate::rotation::receipt::Receipt;
use crate::secret::Content;

const DATA: &str = "..data";
const RECEIPT: &str = ".receipt.json";
const LOCK: &str = ".everbearer.lock";

/// A delivery has at most this many keys, and one that holds more is not ours.
const MOST_FILES: usize = 256;
/// Bytes of one file.
const LARGEST_FILE: usize = 1024 * 1024;
/// Bytes of all files together: what is read into memory at once.
const LARGEST_CONTENT: usize = 4 * 1024 * 1024;

pub struct DirectorySink {
    place: Arc<Place>,
    bounded: Bounded,
}

/// The folder, and what makes it ours.
struct Place {
    installation: Arc<str>,
    rotation: RotationName,
    path: PathBuf,
    mode: u32,
    owner: Option<u32>,
    group: Option<u32>,
}

impl DirectorySink {
    /// Touches nothing. The folder is created by the first delivery; one that holds something else is refused.
    #[must_use]
    pub fn new(installation: Arc<str>, rotation: RotationName, spec: &DirectorySpec) -> Self {
        let place = Place {
            installation,
            rotation,
            path: spec.path.clone(),
            mode: spec.mode,
            owner: spec.owner,
            group: spec.group,
        };
        Self { place: Arc::new(place), bounded: Bounded::default() }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let place = Arc::clone(&self.place);
        let answer = self.bounded.run(move || work(&place)).await;
        answer.unwrap_or_else(|_stuck| Err(SinkError::Timeout { seconds: LIMIT_SECONDS }))
    }
}

impl Sink for DirectorySink {
    fn observe(&self) -> BoxFuture<'_, Result<Observed, SinkError>> {
        Box::pin(self.run(Place::observe))
    }

    fn probe<'a>(&'a self, against: &'a Handle) -> BoxFuture<'a, Result<(), SinkError>> {
        let against = against.clone();
        Box::pin(self.run(move |place| place.probe(&against)))
    }

    fn deliver<'a>(
        &'a self,
        against: &'a Handle,
        content: &'a Content,
        receipt: &'a Receipt,
    ) -> BoxFuture<'a, Result<Handle, SinkError>> {
        let (against, receipt) = (against.clone(), receipt.clone());
        // A copy, because the work may outlive the caller's patience. It is zeroed like the original.
        let content = Content::new(content.expose_all().map(|(key, bytes)| (key, bytes.to_vec())));
        Box::pin(self.run(move |place| place.deliver(&against, &content, &receipt)))
    }
}

#[cfg(test)]
mod tests;
