//! What the search for rings sees of the graph: nodes and Variables that hold each other, and how
//! often each is held in all. The search itself is the Python edge's, where most rings close.

use super::arena::{self, NodeId};
use super::variable::Variable;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether a ring may have been closed since the last search: by hooks, by a function of the
/// user's, or by a `.grad` with history.
static POSSIBLE: AtomicBool = AtomicBool::new(false);

/// Notes that a ring may be closed.
#[inline]
pub fn suspect() {
    POSSIBLE.store(true, Relaxed);
}

/// Whether a search is worth it.
pub fn suspected() -> bool {
    POSSIBLE.load(Relaxed)
}

/// Notes that a search found nothing that could close a ring.
pub fn trust() {
    POSSIBLE.store(false, Relaxed);
}

/// A live node.
pub struct Seen {
    pub id: NodeId,
    /// All references to it.
    pub count: u32,
    pub edges: Vec<NodeId>,
    /// For an accumulator: its leaf.
    pub leaf: Option<Variable>,
    /// Whether it has hooks or a function of the user's.
    pub is_foreign: bool,
}

/// Every live node, at one moment.
pub fn live() -> Vec<Seen> {
    arena::survey()
}
