//! The engine's visits to nodes: many steps under one lock.

use super::{ARENA, Arena, Edge, Edges, NodeId, Payload};
use crate::graph::foreign::Foreign;
use crate::graph::rule::Rule;
use crate::graph::variable::Variable;
use crate::lock::MutexGuard;
use std::sync::Arc;

/// The engine's way to nodes that live because it holds what they can be reached from. Locks when
/// asked and stays locked, so that a visit and what is marked before it cost one lock.
#[derive(Default)]
pub(crate) struct Visit(Option<MutexGuard<'static, Arena>>);

impl Visit {
    #[inline(always)]
    fn arena(&mut self) -> &mut Arena {
        self.0.get_or_insert_with(|| ARENA.lock())
    }

    /// Unlocks: before anything foreign runs or is dropped.
    #[inline(always)]
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }

    /// The node's hooks and function, if it has any.
    #[inline(always)]
    pub(crate) fn foreign(&mut self, node: NodeId) -> Option<Arc<dyn Foreign>> {
        self.arena().slot(node.slot).body.extra()?.foreign.clone()
    }

    /// Everything that running the node backward needs; what it kept goes to `payload`. Unless
    /// `keep`, what it saved is moved out and the node is marked as freed.
    #[inline]
    pub(crate) fn take(&mut self, node: NodeId, keep: bool, payload: &mut Payload) -> Taken {
        let slot = self.arena().slot_mut(node.slot);
        let rule = slot.rule.expect("a node lives while it can be reached");
        let body = &mut slot.body;
        let mut taken = Taken {
            rule,
            edges: body.edges(),
            leaf: None,
            freed: body.freed,
        };
        if rule.is_accumulator() {
            taken.leaf = body.extra().and_then(|e| e.leaf.clone());
            return taken;
        }
        if !keep && body.keeps_tensors() {
            body.freed = true;
        }
        body.unpack(keep, payload);
        // An inner rule is of no use without its tensors.
        if body.freed
            && let Some(large) = &mut body.large
            && let Some(extra) = &mut large.payload.extra
        {
            extra.inner = None;
        }
        taken
    }

    /// Leaves the mark `(run, entry)` on the node where `edge` leads, unless this run left one
    /// before. Gives the entry marked there now, the node's key and its name.
    #[inline]
    pub(crate) fn mark(&mut self, edge: Edge, run: u32, entry: u32) -> (u32, u64, NodeId) {
        let slot = self.arena().slot_mut(edge.slot);
        if slot.mark.0 != run {
            slot.mark = (run, entry);
        }
        let id = NodeId {
            slot: edge.slot,
            generation: slot.generation,
        };
        (slot.mark.1, slot.key, id)
    }

    /// Calls `each` for every node to which an edge of the node in `slot` leads; the caller holds
    /// what `slot` can be reached from.
    pub(crate) fn each_edge(&mut self, slot: u32, each: impl FnMut(u32)) {
        self.arena().slot(slot).body.each_edge(each);
    }

    /// The node where `edge` leads, and its key.
    pub(crate) fn at(&mut self, edge: Edge) -> (u64, NodeId) {
        let slot = self.arena().slot(edge.slot);
        let id = NodeId {
            slot: edge.slot,
            generation: slot.generation,
        };
        (slot.key, id)
    }
}

/// What [`Visit::take`] gives.
pub(crate) struct Taken {
    pub rule: &'static Rule,
    pub edges: Edges,
    /// For an accumulator: the leaf it adds into.
    pub leaf: Option<Variable>,
    /// What it saved was moved out before.
    pub freed: bool,
}
