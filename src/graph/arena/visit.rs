//! The engine's visits to nodes: many steps under one lock.

use super::{ARENA, Arena, Edges, Mark, NodeId, Payload};
use crate::graph::body::each_slot;
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
    #[inline(always)]
    pub(crate) fn take(&mut self, node: NodeId, keep: bool, payload: &mut Payload) -> Taken {
        let slot = self.arena().slot_mut(node.slot);
        let rule = slot.rule.expect("a node lives while it can be reached");
        let body = &mut slot.body;
        let taken = Taken {
            rule,
            edges: body.edges(),
            freed: body.freed,
        };
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

    /// Whether the node adds into a leaf, and which that is if it still has it.
    #[inline(always)]
    pub(crate) fn accumulator(&mut self, node: NodeId) -> Option<Option<Variable>> {
        let slot = self.arena().slot(node.slot);
        slot.rule?
            .is_accumulator()
            .then(|| slot.body.extra().and_then(|e| e.leaf.clone()))
    }

    /// How many outputs the node has.
    pub(crate) fn outputs(&mut self, node: NodeId) -> usize {
        let extra = self.arena().slot(node.slot).body.extra();
        extra.map_or(1, |e| e.outputs.max(1)) as usize
    }

    /// Where the inputs of the node in slot `at` came from.
    pub(crate) fn edges(&mut self, at: u32) -> Edges {
        self.arena().slot(at).body.edges()
    }

    /// Counts an edge to the node in slot `at` for `run`; `first` gets it when it is the first such
    /// edge and the node has edges.
    #[inline(always)]
    pub(crate) fn count(&mut self, at: u32, run: u32, first: impl FnOnce(u32)) {
        self.arena().count(at, run, first);
    }

    /// Counts the edges of the node in slot `at`, each as [`Visit::count`] does.
    #[inline(always)]
    pub(crate) fn count_edges(&mut self, at: u32, run: u32, mut first: impl FnMut(u32)) {
        let arena = self.arena();
        let body = &mut arena.slot_mut(at).body;
        let Some(large) = body.large.take() else {
            let (to, edges) = (body.to, body.edges);
            return each_slot(to, edges, |to| arena.count(to, run, &mut first));
        };
        for edge in large.edges.iter().filter(|e| !e.is_none()) {
            arena.count(edge.slot, run, &mut first);
        }
        arena.slot_mut(at).body.large = Some(large);
    }

    /// The mark on the node in slot `at`, and its name.
    #[inline(always)]
    pub(crate) fn mark(&mut self, at: u32) -> (&mut Mark, NodeId) {
        let slot = self.arena().slot_mut(at);
        let id = NodeId {
            slot: at,
            generation: slot.generation,
        };
        (&mut slot.mark, id)
    }

    /// Calls `each` for every node to which an edge of the node in `slot` leads; the caller holds
    /// what `slot` can be reached from.
    pub(crate) fn each_edge(&mut self, slot: u32, each: impl FnMut(u32)) {
        self.arena().slot(slot).body.each_edge(each);
    }
}

/// What [`Visit::take`] gives.
pub(crate) struct Taken {
    pub rule: &'static Rule,
    pub edges: Edges,
    /// What it saved was moved out before.
    pub freed: bool,
}

impl Arena {
    #[inline(always)]
    fn count(&mut self, at: u32, run: u32, first: impl FnOnce(u32)) {
        let slot = self.slot_mut(at);
        if slot.mark.run == run {
            slot.mark.left += 1;
            return;
        }
        slot.mark = Mark {
            left: 1,
            ..Mark::new(run)
        };
        if slot.rule.is_some_and(|rule| !rule.is_accumulator()) {
            first(at);
        }
    }
}
