//! Reads the delivered tokens as a workload would, and asks the provider whether it takes them.

use std::path::{Path, PathBuf};

use super::emulator::Emulator;

pub(super) struct Judge {
    folders: Vec<PathBuf>,
    accepted: u64,
    refused: u64,
    /// Which folders have ever held a token.
    served: Vec<bool>,
}

impl Judge {
    pub(super) fn new<const N: usize>(sinks: &Path, names: [&str; N]) -> Self {
        let folders = names.map(|name| sinks.join(name)).into();
        Self { folders, accepted: 0, refused: 0, served: vec![false; N] }
    }

    /// One call of each workload, with whatever its folder holds at this moment.
    pub(super) fn look(&mut self, providers: &[Emulator]) {
        for ((folder, provider), served) in self.folders.iter().zip(providers).zip(&mut self.served) {
            // Before the first delivery there is nothing to read; after it there always is.
            match std::fs::read_to_string(folder.join("authorization")) {
                Err(_) if !*served => {}
                Ok(header) if provider.accepts(&header) => {
                    *served = true;
                    self.accepted += 1;
                }
                Ok(_) | Err(_) => self.refused += 1,
            }
        }
    }

    pub(super) fn all_accepted(&self) -> bool {
        self.refused == 0 && self.served.iter().all(|served| *served)
    }

    pub(super) fn verdict(&self) -> String {
        match (self.refused, self.served.iter().all(|served| *served)) {
            (0, true) => {
                format!("{} calls with the delivered tokens, all accepted by the provider", self.accepted)
            }
            (0, false) => format!("{} calls accepted; not every sink has been served yet", self.accepted),
            (refused, _) => format!("{} calls accepted, {refused} REFUSED by the provider", self.accepted),
        }
    }
}
