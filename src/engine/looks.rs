//! Looks at sources outside of attempts: each distinct source once, a few at a time, and none waits for another's answer.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::attempt::{Context, SharedSource};
use crate::rotation::receipt::KeyedFingerprint;
use crate::rotation::schedule::RotationId;

/// Sources that are asked at once; a look is not urgent.
const SOURCES_AT_ONCE: usize = 8;

/// Which rotations use which source, and which sources are being looked at.
pub(super) struct Sources {
    users: BTreeMap<Arc<str>, (Arc<SharedSource>, BTreeSet<RotationId>)>,
    looking: HashSet<Arc<str>>,
    places: Arc<Semaphore>,
}

impl Default for Sources {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(SOURCES_AT_ONCE));
        Self { users: BTreeMap::new(), looking: HashSet::new(), places }
    }
}

/// A source that is to be looked at when there is a place.
pub(super) struct Look {
    source: Arc<SharedSource>,
    places: Arc<Semaphore>,
}

/// What a source holds now; without a fingerprint it did not say.
pub(super) struct SourceSeen {
    pub(super) source: Arc<str>,
    pub(super) fingerprint: Option<KeyedFingerprint>,
}

impl Sources {
    pub(super) fn join(&mut self, source: &Arc<SharedSource>, id: RotationId) {
        let (known, ids) =
            self.users.entry(source.name.clone()).or_insert_with(|| (source.clone(), BTreeSet::new()));
        *known = source.clone(); // after a reload, the newer one
        ids.insert(id);
    }

    pub(super) fn leave(&mut self, source: &Arc<SharedSource>, id: RotationId) {
        if let Some((_, ids)) = self.users.get_mut(&source.name) {
            ids.remove(&id);
            if ids.is_empty() {
                self.users.remove(&source.name);
            }
        }
    }

    /// Every source that is not being looked at already: one that hangs is asked again when it has given up.
    pub(super) fn start_looking(&mut self) -> Vec<Look> {
        let idle = self.users.values().filter(|(source, _)| !self.looking.contains(&source.name));
        let looks: Vec<Look> =
            idle.map(|(source, _)| Look { source: source.clone(), places: self.places.clone() }).collect();
        self.looking.extend(looks.iter().map(|look| look.source.name.clone()));
        looks
    }

    pub(super) fn looked(&mut self, source: &str) {
        self.looking.remove(source);
    }

    pub(super) fn rotations(&self, source: &str) -> Vec<RotationId> {
        self.users.get(source).map(|(_, ids)| ids.iter().copied().collect()).unwrap_or_default()
    }
}

pub(super) async fn look_at(look: Look, context: Context) -> SourceSeen {
    let Look { source, places } = look;
    let _place = places.acquire().await; // never closed
    let fingerprint = source.fetch(&context).await.ok().map(|known| known.fingerprint);
    SourceSeen { source: source.name.clone(), fingerprint }
}
