//! The count of in-place changes that views share with their base.

use super::storage::{CLAIMED, OWN_VERSION, Place, Tensor};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

impl Tensor {
    /// The in-place counter of the family: base, views and detached twins share it.
    #[inline(always)]
    pub fn version(&self) -> u32 {
        self.counter().load(Relaxed)
    }

    /// Takes the version counter for a Variable; tells whether nobody had it.
    pub fn claim(&self) -> bool {
        let flags = &self.memory_root().header().flags;
        // Looked at first: the locked instruction costs more than the rest of a small op's making.
        let seen = flags.load(Relaxed);
        if seen & CLAIMED != 0 {
            return false;
        }
        flags.store(seen | CLAIMED, Relaxed);
        true
    }

    /// Counts one in-place change.
    pub fn bump(&self) {
        self.counter().fetch_add(1, Relaxed);
    }

    #[inline(always)]
    pub(super) fn counter(&self) -> &AtomicU32 {
        let header = self.header();
        let counts = match &header.place {
            Place::View(root) if !self.has(OWN_VERSION) => root,
            Place::Family(both) => &both.1,
            _ => return &header.version,
        };
        &counts.header().version
    }
}
