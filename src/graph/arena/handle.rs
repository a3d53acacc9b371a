//! A counted reference to a node: what it tells of the node, and what it may change in it.

use super::release::release;
use super::{ARENA, Edge, Edges, NodeId};
use crate::graph::foreign::Foreign;
use crate::graph::rule::Rule;
use crate::graph::site::Site;
use crate::graph::variable::Variable;
use crate::tensor::Tensor;
use std::sync::Arc;

/// Keeps a node alive.
#[derive(Debug)]
pub struct Handle(pub(super) NodeId);

impl Handle {
    /// The node's name.
    #[inline(always)]
    pub fn id(&self) -> NodeId {
        self.0
    }

    /// A handle to the node `id` if it still lives.
    pub fn to(id: NodeId) -> Option<Handle> {
        let mut arena = ARENA.lock();
        arena.get(id)?;
        arena.slot_mut(id.slot).count += 1;
        Some(Handle(id))
    }

    /// A handle to where `edge` leads; the caller must hold what the edge belongs to.
    pub fn of_edge(edge: Edge) -> Option<Handle> {
        if edge.is_none() {
            return None;
        }
        let mut arena = ARENA.lock();
        let slot = arena.slot_mut(edge.slot);
        slot.count += 1;
        Some(Handle(NodeId {
            slot: edge.slot,
            generation: slot.generation,
        }))
    }

    /// The node's rule.
    pub fn rule(&self) -> &'static Rule {
        ARENA
            .lock()
            .slot(self.0.slot)
            .rule
            .expect("a handle keeps its node alive")
    }

    /// Where in the program the node was recorded.
    pub fn site(&self) -> Site {
        ARENA.lock().slot(self.0.slot).site
    }

    /// Where the node's inputs came from.
    pub fn edges(&self) -> Edges {
        ARENA.lock().slot(self.0.slot).body.edges()
    }

    /// The leaf that an accumulator adds into.
    pub fn leaf(&self) -> Option<Variable> {
        let arena = ARENA.lock();
        arena.slot(self.0.slot).body.extra()?.leaf.clone()
    }

    /// How many outputs the node has.
    pub fn outputs(&self) -> u32 {
        let arena = ARENA.lock();
        let extra = arena.slot(self.0.slot).body.extra();
        extra.map_or(1, |e| e.outputs.max(1))
    }

    /// The tensor that was kept of input `i`, if it was.
    pub fn saved_input(&self, i: u32) -> Option<Tensor> {
        let arena = ARENA.lock();
        let slot = arena.slot(self.0.slot);
        let kept = (slot.rule?.saves)(slot.body.needs());
        if i >= 63 || kept >> i & 1 == 0 {
            return None;
        }
        let place = (kept & ((1 << i) - 1)).count_ones() as usize;
        slot.body.saved(place).cloned()
    }

    /// Hooks or a function of somebody else's, which the node keeps from here on.
    pub fn attach(&self, foreign: Arc<dyn Foreign>) {
        let mut arena = ARENA.lock();
        let large = arena.slot_mut(self.0.slot).body.enlarge();
        let extra = large.payload.extra.get_or_insert_default();
        let old = extra.foreign.replace(foreign);
        drop(arena);
        drop(old);
        crate::graph::cycles::suspect();
    }

    /// Takes everything out of a node that only a ring keeps, which opens the ring.
    pub fn strip(&self) {
        let mut arena = ARENA.lock();
        let body = std::mem::take(&mut arena.slot_mut(self.0.slot).body);
        let mut held = Vec::new();
        body.each_edge(|slot| {
            let generation = arena.slot(slot).generation;
            held.push(Handle(NodeId { slot, generation }));
        });
        drop(arena);
        drop(body);
        drop(held);
    }

    /// What [`Handle::attach`] or the recording gave it.
    pub fn foreign(&self) -> Option<Arc<dyn Foreign>> {
        let arena = ARENA.lock();
        let extra = arena.slot(self.0.slot).body.extra()?;
        extra.foreign.clone()
    }

    /// The edge that leads to output `nr` of this node, uncounted.
    pub(crate) fn edge(&self, nr: u32) -> Edge {
        self.0.edge(nr)
    }
}

impl Clone for Handle {
    #[inline]
    fn clone(&self) -> Handle {
        ARENA.lock().slot_mut(self.0.slot).count += 1;
        Handle(self.0)
    }
}

impl Drop for Handle {
    #[inline]
    fn drop(&mut self) {
        let mut arena = ARENA.lock();
        if arena.uncount(self.0.slot) {
            release(arena, self.0.slot);
        }
    }
}
