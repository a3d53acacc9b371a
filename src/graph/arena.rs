//! Where nodes live: chunks of slots that never move, counted, given back first in, first out.
//!
//! Invariants: an edge leads to a slot with a smaller key; a slot's count is its handles plus the
//! edges that lead to it; nothing of a user's is dropped while the lock is held.

use super::rule::Rule;
use super::var::Origin;
use super::variable::{Variable, WeakVariable};
use crate::error::{Error, Result};
use crate::tensor::{Tensor, Value};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const CHUNK: usize = 1024;
/// Nodes released under one lock; what they held is dropped between locks.
const BATCH: usize = 256;

/// Names a node without keeping it alive; a reused slot has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId {
    slot: u32,
    generation: u32,
}

impl NodeId {
    /// Both numbers in one word.
    pub(super) fn pack(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    /// Back from [`NodeId::pack`]; none for the word that no node has.
    pub(super) fn unpack(word: u64) -> Option<NodeId> {
        (word != u64::MAX).then_some(NodeId {
            slot: (word >> 32) as u32,
            generation: word as u32,
        })
    }
}

/// Which output of which node made an input; `slot` is `NONE` for inputs that need no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    slot: u32,
    /// The output's number.
    pub nr: u32,
}

impl Edge {
    /// The edge of an input that needs no gradient.
    pub const NONE: Edge = Edge {
        slot: u32::MAX,
        nr: 0,
    };

    /// Whether it leads nowhere.
    pub fn is_none(self) -> bool {
        self.slot == u32::MAX
    }
}

/// The edges of a node, one for each differentiable input.
pub type Edges = SmallVec<[Edge; 2]>;

/// A tensor kept for a formula, and the version it must still have then.
#[derive(Debug, Clone)]
pub struct Saved {
    pub tensor: Tensor,
    pub version: u32,
}

/// What a node keeps until its gradient is computed.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    /// Bit `i`: input `i` needs a gradient.
    pub needs: u64,
    pub saved: SmallVec<[Saved; 2]>,
    /// Arguments and what else the formula reads.
    pub values: SmallVec<[Value; 1]>,
    pub extra: Option<Box<Extra>>,
}

/// What few nodes have.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// For an accumulator: the leaf it adds into.
    pub leaf: Option<Variable>,
    /// For a write through a view: the rule of the op that wrote, and what it kept.
    pub inner: Option<(&'static Rule, Payload)>,
    /// How many outputs the node has; 0 stands for 1.
    pub outputs: u32,
    /// Outputs whose Variables want their `.grad` kept.
    pub retained: Option<Vec<(u32, WeakVariable)>>,
}

struct Slot {
    key: u64,
    count: u32,
    generation: u32,
    rule: Option<&'static Rule>,
    edges: Edges,
    payload: Payload,
    freed: bool,
    /// For the engine: which run looked at this node last, and where its entry is.
    mark: (u32, u32),
}

#[derive(Default)]
struct Arena {
    chunks: Vec<Box<[Slot]>>,
    free: Vec<u32>,
    clock: u64,
}

static ARENA: Mutex<Arena> = Mutex::new(Arena {
    chunks: Vec::new(),
    free: Vec::new(),
    clock: 0,
});
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many nodes are alive.
pub fn live_nodes() -> usize {
    LIVE.load(Relaxed)
}

impl Arena {
    #[inline(always)]
    fn slot(&self, at: u32) -> &Slot {
        &self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    #[inline(always)]
    fn slot_mut(&mut self, at: u32) -> &mut Slot {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    fn get(&self, id: NodeId) -> Option<&Slot> {
        let slot = self.slot(id.slot);
        (slot.generation == id.generation && slot.rule.is_some()).then_some(slot)
    }

    /// Makes sure that a free slot exists.
    fn reserve(&mut self, slots: usize) -> Result<()> {
        while self.free.len() < slots {
            let room = || Error::Memory("the graph: no memory for more nodes".into());
            let first = self.chunks.len() * CHUNK;
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(CHUNK).map_err(|_| room())?;
            self.chunks.try_reserve(1).map_err(|_| room())?;
            self.free.try_reserve(CHUNK).map_err(|_| room())?;
            chunk.resize_with(CHUNK, || Slot {
                key: 0,
                count: 0,
                generation: 0,
                rule: None,
                edges: Edges::new(),
                payload: Payload::default(),
                freed: false,
                mark: (0, 0),
            });
            self.chunks.push(chunk.into_boxed_slice());
            self.free
                .extend((first..first + CHUNK).rev().map(|at| at as u32));
        }
        Ok(())
    }

    #[inline(always)]
    fn fill(&mut self, rule: &'static Rule, edges: Edges, payload: Payload) -> NodeId {
        let at = self.free.pop().expect("a slot was reserved");
        self.clock += 1;
        let key = self.clock;
        let slot = self.slot_mut(at);
        slot.key = key;
        slot.count = 1;
        slot.rule = Some(rule);
        slot.edges = edges;
        slot.payload = payload;
        slot.freed = false;
        LIVE.fetch_add(1, Relaxed);
        NodeId {
            slot: at,
            generation: slot.generation,
        }
    }

    /// The edge that an input's origin stands for, counted.
    #[inline(always)]
    fn edge(&mut self, origin: &Origin) -> Edge {
        match *origin {
            Origin::None => Edge::NONE,
            Origin::Node(id, nr) => {
                let slot = self.slot_mut(id.slot);
                if slot.generation != id.generation || slot.rule.is_none() {
                    return Edge::NONE;
                }
                slot.count += 1;
                Edge { slot: id.slot, nr }
            }
            Origin::Leaf(leaf) => {
                if let Some(id) = leaf.accumulator()
                    && self.get(id).is_some()
                {
                    self.slot_mut(id.slot).count += 1;
                    return Edge {
                        slot: id.slot,
                        nr: 0,
                    };
                }
                let extra = Extra {
                    leaf: Some(leaf.clone()),
                    ..Extra::default()
                };
                let payload = Payload {
                    needs: 1,
                    extra: Some(Box::new(extra)),
                    ..Payload::default()
                };
                let id = self.fill(&super::rule::ACCUMULATE, Edges::new(), payload);
                leaf.set_accumulator(id);
                Edge {
                    slot: id.slot,
                    nr: 0,
                }
            }
        }
    }
}

/// Records a node whose inputs came from `origins`; gives the one handle to it.
///
/// # Errors
/// `MemoryError` when the arena cannot grow; nothing is recorded then.
#[inline]
pub fn record<'a>(
    rule: &'static Rule,
    origins: impl ExactSizeIterator<Item = Origin<'a>>,
    payload: Payload,
) -> Result<Handle> {
    let mut arena = ARENA.lock();
    let wanted = 1 + origins.len();
    if arena.free.len() < wanted {
        arena.reserve(wanted)?;
    }
    let mut edges = Edges::new();
    for origin in origins {
        edges.push(arena.edge(&origin));
    }
    Ok(Handle(arena.fill(rule, edges, payload)))
}

/// The accumulator of `leaf` as a counted handle, made when there is none.
pub fn accumulator(leaf: &Variable) -> Result<Handle> {
    let mut arena = ARENA.lock();
    arena.reserve(1)?;
    let edge = arena.edge(&Origin::Leaf(leaf));
    let generation = arena.slot(edge.slot).generation;
    Ok(Handle(NodeId {
        slot: edge.slot,
        generation,
    }))
}

/// Keeps a node alive.
#[derive(Debug)]
pub struct Handle(NodeId);

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

    /// The node's place in time: larger is newer.
    pub fn key(&self) -> u64 {
        ARENA.lock().slot(self.0.slot).key
    }

    /// Where the node's inputs came from.
    pub fn edges(&self) -> Edges {
        ARENA.lock().slot(self.0.slot).edges.clone()
    }

    /// The leaf that an accumulator adds into.
    pub fn leaf(&self) -> Option<Variable> {
        let arena = ARENA.lock();
        arena.slot(self.0.slot).payload.extra.as_ref()?.leaf.clone()
    }

    /// How many outputs the node has.
    pub fn outputs(&self) -> u32 {
        let arena = ARENA.lock();
        arena
            .slot(self.0.slot)
            .payload
            .extra
            .as_ref()
            .map_or(1, |e| e.outputs.max(1))
    }

    /// The tensor that was kept of input `i`, if it was.
    pub fn saved_input(&self, i: u32) -> Option<Tensor> {
        let arena = ARENA.lock();
        let slot = arena.slot(self.0.slot);
        let kept = (slot.rule?.saves)(slot.payload.needs);
        if i >= 63 || kept >> i & 1 == 0 {
            return None;
        }
        let place = (kept & ((1 << i) - 1)).count_ones() as usize;
        slot.payload.saved.get(place).map(|s| s.tensor.clone())
    }

    /// Keeps the gradient of output `nr` for `variable` when the node runs.
    pub fn retain(&self, nr: u32, variable: WeakVariable) {
        let mut arena = ARENA.lock();
        let extra = arena
            .slot_mut(self.0.slot)
            .payload
            .extra
            .get_or_insert_default();
        extra.retained.get_or_insert_default().push((nr, variable));
    }

    /// Everything that running the node backward needs. Unless `keep`, what it saved is moved out
    /// and the node is marked as freed.
    pub(crate) fn take(&self, keep: bool) -> Taken {
        let mut arena = ARENA.lock();
        let slot = arena.slot_mut(self.0.slot);
        let freed = slot.freed;
        let rule = slot.rule.expect("a handle keeps its node alive");
        let payload = if keep || rule.is_accumulator() {
            slot.payload.clone()
        } else {
            // What the formula needs but costs nothing to keep stays: values and inner rules.
            let saved = std::mem::take(&mut slot.payload.saved);
            let indexed = slot
                .payload
                .values
                .iter()
                .any(|v| matches!(v, Value::Tensor(_)));
            slot.freed = slot.freed || !saved.is_empty() || indexed;
            let payload = Payload {
                saved,
                ..slot.payload.clone()
            };
            if indexed {
                slot.payload.values.clear();
            }
            if slot.freed
                && let Some(extra) = &mut slot.payload.extra
            {
                extra.inner = None;
            }
            payload
        };
        Taken {
            rule,
            edges: slot.edges.clone(),
            payload,
            freed,
            key: slot.key,
        }
    }

    /// The engine's mark on the node.
    pub(crate) fn mark(edge: Edge) -> (u32, u32, u64, NodeId) {
        let arena = ARENA.lock();
        let slot = arena.slot(edge.slot);
        let id = NodeId {
            slot: edge.slot,
            generation: slot.generation,
        };
        (slot.mark.0, slot.mark.1, slot.key, id)
    }

    /// Leaves the engine's mark.
    pub(crate) fn set_mark(edge: Edge, run: u32, entry: u32) {
        ARENA.lock().slot_mut(edge.slot).mark = (run, entry);
    }

    /// The edge that leads to output `nr` of this node, uncounted.
    pub(crate) fn edge(&self, nr: u32) -> Edge {
        Edge {
            slot: self.0.slot,
            nr,
        }
    }
}

/// What [`Handle::take`] gives.
pub struct Taken {
    pub rule: &'static Rule,
    pub edges: Edges,
    pub payload: Payload,
    pub freed: bool,
    pub key: u64,
}

impl Clone for Handle {
    fn clone(&self) -> Handle {
        ARENA.lock().slot_mut(self.0.slot).count += 1;
        Handle(self.0)
    }
}

impl Drop for Handle {
    #[inline]
    fn drop(&mut self) {
        release(self.0.slot);
    }
}

/// Gives back one count, and every node that dies of it, oldest edge first.
fn release(first: u32) {
    let mut queue: VecDeque<u32> = VecDeque::new();
    {
        let mut arena = ARENA.lock();
        let slot = arena.slot_mut(first);
        slot.count -= 1;
        if slot.count > 0 {
            return;
        }
        // The common case: one node dies alone, and no queue is needed.
        let (edges, payload) = arena.clear(first);
        for edge in edges {
            if !edge.is_none() && arena.uncount(edge.slot) {
                queue.push_back(edge.slot);
            }
        }
        drop(arena);
        drop(payload);
    }
    let mut dead: Vec<Payload> = Vec::new();
    while !queue.is_empty() {
        let mut arena = ARENA.lock();
        for _ in 0..BATCH {
            let Some(at) = queue.pop_front() else { break };
            let (edges, payload) = arena.clear(at);
            dead.push(payload);
            for edge in edges {
                if !edge.is_none() && arena.uncount(edge.slot) {
                    queue.push_back(edge.slot);
                }
            }
        }
        drop(arena);
        dead.clear();
    }
}

impl Arena {
    /// Takes one count off; tells whether it was the last.
    #[inline(always)]
    fn uncount(&mut self, at: u32) -> bool {
        let slot = self.slot_mut(at);
        slot.count -= 1;
        slot.count == 0
    }

    /// Empties a slot whose count is zero and puts it on the free list.
    #[inline(always)]
    fn clear(&mut self, at: u32) -> (Edges, Payload) {
        let slot = self.slot_mut(at);
        slot.rule = None;
        slot.generation = slot.generation.wrapping_add(1);
        let out = (
            std::mem::take(&mut slot.edges),
            std::mem::take(&mut slot.payload),
        );
        self.free.push(at);
        LIVE.fetch_sub(1, Relaxed);
        out
    }
}
