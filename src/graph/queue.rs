//! First in, first out, without memory of its own while there is one entry at a time.

use std::collections::VecDeque;

/// Slots whose last count is gone. A chain needs no memory for it.
#[derive(Default)]
pub(super) struct Queue {
    /// The oldest.
    first: Option<u32>,
    rest: VecDeque<u32>,
}

impl Queue {
    #[inline(always)]
    pub(super) fn push(&mut self, at: u32) {
        if self.first.is_none() {
            self.first = Some(at);
        } else {
            self.rest.push_back(at);
        }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<u32> {
        let first = self.first.take()?;
        self.first = self.rest.pop_front();
        Some(first)
    }
}
