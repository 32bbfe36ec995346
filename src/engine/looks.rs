//! Looks at sources outside of attempts: each distinct source once, a few at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;

use crate::attempt::{Context, SharedSource};
use crate::rotation::receipt::KeyedFingerprint;
use crate::rotation::schedule::RotationId;

/// Sources that are asked at once; a look is not urgent.
const SOURCES_AT_ONCE: usize = 8;

/// Which rotations use which source.
#[derive(Default)]
pub(super) struct Sources(BTreeMap<Arc<str>, (Arc<SharedSource>, BTreeSet<RotationId>)>);

impl Sources {
    pub(super) fn join(&mut self, source: &Arc<SharedSource>, id: RotationId) {
        let (known, ids) =
            self.0.entry(source.name.clone()).or_insert_with(|| (source.clone(), BTreeSet::new()));
        *known = source.clone(); // after a reload, the newer one
        ids.insert(id);
    }

    pub(super) fn leave(&mut self, source: &Arc<SharedSource>, id: RotationId) {
        if let Some((_, ids)) = self.0.get_mut(&source.name) {
            ids.remove(&id);
            if ids.is_empty() {
                self.0.remove(&source.name);
            }
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<SharedSource>> {
        self.0.values().map(|(source, _)| source.clone()).collect()
    }

    pub(super) fn rotations(&self, source: &str) -> Vec<RotationId> {
        self.0.get(source).map(|(_, ids)| ids.iter().copied().collect()).unwrap_or_default()
    }
}

/// What each source that answered holds now.
pub(super) struct SourcesSeen(pub(super) Vec<(Arc<str>, KeyedFingerprint)>);

pub(super) async fn look_at_sources(sources: Vec<Arc<SharedSource>>, context: Context) -> SourcesSeen {
    let seen = futures::stream::iter(sources)
        .map(|source| {
            let context = context.clone();
            async move { Some((source.name.clone(), source.fetch(&context).await.ok()?.fingerprint)) }
        })
        .buffer_unordered(SOURCES_AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    SourcesSeen(seen)
}
