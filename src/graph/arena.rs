//! Where nodes live: chunks of slots that never move, counted, given back first in, first out.
//!
//! Invariants: an edge leads to an older node; a slot's count is its handles plus the edges that lead
//! to it; nothing of a user's is dropped while the lock is held.

use super::body::Body;
pub use super::body::{Edge, Edges, Extra, Filling, Payload, Saved};

use super::rule::Rule;
use super::site::{self, Site};
use super::var::Origin;
use super::variable::Variable;
use crate::error::{Error, Result};
use crate::lock::{Mutex, MutexGuard};

mod handle;
mod release;
mod visit;

pub use handle::Handle;
pub(crate) use visit::{Taken, Visit};

const CHUNK: usize = 1024;
/// The end of the list of free slots.
const NO_SLOT: u32 = u32::MAX;

/// Names a node without keeping it alive; a reused slot has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId {
    slot: u32,
    generation: u32,
}

impl NodeId {
    /// Both numbers in one word.
    pub fn pack(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    /// The node's place, its own while it lives.
    pub(crate) fn slot(self) -> u32 {
        self.slot
    }

    /// Back from [`NodeId::pack`]; none for the word that no node has.
    pub fn unpack(word: u64) -> Option<NodeId> {
        (word != u64::MAX).then_some(NodeId {
            slot: (word >> 32) as u32,
            generation: word as u32,
        })
    }
}

/// What one run of the engine notes on a node.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    /// The run whose mark it is; 0 for none.
    run: u32,
    /// How many consumers are still to deliver.
    pub left: u32,
    /// Where the run keeps what was delivered. In a free slot, the next free one.
    pub place: u32,
}

impl Mark {
    /// No place.
    pub const NOWHERE: u32 = u32::MAX;

    /// A mark of `run` on a node to which nothing was counted or delivered.
    pub fn new(run: u32) -> Mark {
        Mark {
            run,
            left: 0,
            place: Mark::NOWHERE,
        }
    }
}

struct Slot {
    rule: Option<&'static Rule>,
    count: u32,
    generation: u32,
    mark: Mark,
    /// Where in the program the node was recorded.
    site: Site,
    body: Body,
}

const _: () = assert!(size_of::<Slot>() == 88);

pub(crate) struct Arena {
    chunks: Vec<Box<[Slot; CHUNK]>>,
    /// The first free slot; each knows the next.
    free: u32,
    free_count: usize,
}

static ARENA: Mutex<Arena> = Mutex::new(Arena {
    chunks: Vec::new(),
    free: NO_SLOT,
    free_count: 0,
});

/// How many nodes are alive.
pub fn live_nodes() -> usize {
    let arena = ARENA.lock();
    arena.chunks.len() * CHUNK - arena.free_count
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

    /// Makes sure that free slots exist.
    #[cold]
    fn reserve(&mut self, slots: usize) -> Result<()> {
        while self.free_count < slots {
            let room = || Error::Memory("the graph: no memory for more nodes".into());
            let first = self.chunks.len() * CHUNK;
            if first + CHUNK > NO_SLOT as usize {
                return Err(room());
            }
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(CHUNK).map_err(|_| room())?;
            self.chunks.try_reserve(1).map_err(|_| room())?;
            for at in first + 1..=first + CHUNK {
                let last = at == first + CHUNK;
                chunk.push(Slot {
                    rule: None,
                    count: 0,
                    generation: 0,
                    mark: Mark {
                        place: if last { self.free } else { at as u32 },
                        ..Mark::default()
                    },
                    site: 0,
                    body: Body::default(),
                });
            }
            let chunk = chunk.into_boxed_slice().try_into();
            self.chunks
                .push(chunk.unwrap_or_else(|_| unreachable!("a chunk has CHUNK slots")));
            self.free = first as u32;
            self.free_count += CHUNK;
        }
        Ok(())
    }

    #[inline(always)]
    fn fill(&mut self, rule: &'static Rule, body: Body, site: Site) -> NodeId {
        let id = self.take(rule, site);
        let slot = self.slot_mut(id.slot);
        // A free slot's body is empty: nothing to drop.
        std::mem::forget(std::mem::replace(&mut slot.body, body));
        id
    }

    /// Takes a free slot, whose body is empty, for a node with one handle.
    #[inline(always)]
    fn take(&mut self, rule: &'static Rule, site: Site) -> NodeId {
        let at = self.free;
        let slot = self.slot_mut(at);
        let next = slot.mark.place;
        slot.count = 1;
        slot.rule = Some(rule);
        slot.mark.run = 0;
        slot.site = site;
        let generation = slot.generation;
        self.free = next;
        self.free_count -= 1;
        NodeId {
            slot: at,
            generation,
        }
    }

    /// The arena, locked, with at least `wanted` free slots.
    #[inline(always)]
    fn with_room(wanted: usize) -> Result<MutexGuard<'static, Arena>> {
        let mut arena = ARENA.lock();
        if arena.free_count < wanted
            && let Err(error) = arena.reserve(wanted)
        {
            drop(arena);
            return Err(error);
        }
        Ok(arena)
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
            Origin::Leaf(leaf) => self.leaf_edge(leaf),
        }
    }

    #[inline(never)]
    fn leaf_edge(&mut self, leaf: &Variable) -> Edge {
        if let Some(id) = leaf.accumulator()
            && self.get(id).is_some()
        {
            self.slot_mut(id.slot).count += 1;
            return id.edge(0);
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
        let id = self.fill(&super::rule::ACCUMULATE, Body::pack(payload, 0), 0);
        leaf.set_accumulator(id);
        id.edge(0)
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
    let wanted = 1 + origins.len();
    let mut body = Body::pack(payload, origins.len());
    // After packing: before it, the call would cost moves of the payload even where nobody is asked.
    let site = site::current();
    let mut arena = Arena::with_room(wanted)?;
    for origin in origins {
        let edge = arena.edge(&origin);
        body.push_edge(edge);
    }
    Ok(Handle(arena.fill(rule, body, site)))
}

/// Records a node of at most two edges that keeps at most two things ([`Filling::fits`]), which `keep`
/// puts into the slot: what goes through a [`Payload`] is moved three times, some 20 of 250 ns. The
/// arena is locked meanwhile, so `keep` must drop nothing.
///
/// # Errors
/// As [`record`].
#[inline(always)]
pub fn record_small<const N: usize>(
    rule: &'static Rule,
    origins: [Origin<'_>; N],
    needs: u64,
    keep: impl FnOnce(Filling<'_>),
) -> Result<Handle> {
    let site = site::current();
    let mut arena = Arena::with_room(1 + N)?;
    let edges = origins.map(|origin| arena.edge(&origin));
    let id = arena.take(rule, site);
    let body = &mut arena.slot_mut(id.slot).body;
    keep(body.filling(needs));
    body.set_edges(edges);
    Ok(Handle(id))
}

/// The accumulator of `leaf` as a counted handle, made when there is none.
pub fn accumulator(leaf: &Variable) -> Result<Handle> {
    let mut arena = ARENA.lock();
    arena.reserve(1)?;
    let edge = arena.leaf_edge(leaf);
    let generation = arena.slot(edge.slot).generation;
    Ok(Handle(NodeId {
        slot: edge.slot,
        generation,
    }))
}

/// The class of `node`, as a user sees it; nothing when it is gone.
pub fn rule_of(node: NodeId) -> &'static str {
    let arena = ARENA.lock();
    let rule = arena.get(node).and_then(|slot| slot.rule);
    rule.map_or("", |rule| rule.node)
}

/// Bytes of tensors that nodes keep for their way back, each memory once.
pub fn saved_bytes() -> usize {
    let arena = ARENA.lock();
    let mut seen = std::collections::HashSet::new();
    let mut bytes = 0;
    let slots = arena.chunks.iter().flat_map(|chunk| chunk.iter());
    for slot in slots.filter(|slot| slot.rule.is_some()) {
        slot.body.each_saved(|tensor| {
            if seen.insert(tensor.memory_id()) {
                bytes += tensor.storage_len() * tensor.dtype().bytes();
            }
        });
    }
    bytes
}

/// Where in the program `node` was recorded; unknown when it is gone.
pub fn site_of(node: NodeId) -> Site {
    ARENA.lock().get(node).map_or(0, |slot| slot.site)
}

impl NodeId {
    fn edge(self, nr: u32) -> Edge {
        Edge {
            slot: self.slot,
            nr,
        }
    }
}

/// Every live node, for the search for rings.
pub(super) fn survey() -> Vec<super::cycles::Seen> {
    let arena = ARENA.lock();
    let id = |slot: u32| NodeId {
        slot,
        generation: arena.slot(slot).generation,
    };
    let mut seen = Vec::new();
    for at in 0..(arena.chunks.len() * CHUNK) as u32 {
        let slot = arena.slot(at);
        if slot.rule.is_none() {
            continue;
        }
        let mut edges = Vec::new();
        slot.body.each_edge(|to| edges.push(id(to)));
        let extra = slot.body.extra();
        seen.push(super::cycles::Seen {
            id: id(at),
            count: slot.count,
            edges,
            leaf: extra.and_then(|e| e.leaf.clone()),
            is_foreign: extra.is_some_and(|e| e.foreign.is_some()),
        });
    }
    seen
}

/// Keeps the arena still, so that a process can fork; to be held across the fork on both sides.
pub struct Hold(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, Arena>);

/// Waits until no thread is inside the arena. The holder must not record or drop anything.
pub fn hold() -> Hold {
    Hold(ARENA.lock())
}
