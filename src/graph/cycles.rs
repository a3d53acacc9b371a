//! What the search for rings sees of the graph: nodes and Variables that hold each other, and how
//! often each is held in all. The search itself is the Python edge's, where most rings close.

use super::arena::{self, NodeId};
use super::variable::Variable;
use crate::tensor::alloc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

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

/// Nodes and bytes that were alive after the last search.
static NODES: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// Growth by less than this starts no search.
const LEAST_NODES: usize = 10_000;
const LEAST_BYTES: usize = 64 << 20;

/// Whether a search is due: a ring is possible, and more than twice of what the last search left is
/// alive. Rings of the graph alone make nothing that Python's collector counts.
pub fn due() -> bool {
    let grown = |now: usize, then: usize, least: usize| now > (2 * then).max(then + least);
    suspected()
        && (grown(arena::live_nodes(), NODES.load(Relaxed), LEAST_NODES)
            || grown(alloc::live_bytes(), BYTES.load(Relaxed), LEAST_BYTES))
}

/// Notes what a search left.
pub fn searched() {
    NODES.store(arena::live_nodes(), Relaxed);
    BYTES.store(alloc::live_bytes(), Relaxed);
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
