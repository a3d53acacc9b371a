//! Gradients on their way: nodes that have received one, newest on top.

use super::accumulate::sum;
use crate::error::Result;
use crate::graph::arena::{Edge, NodeId, Visit};
use crate::graph::{Incoming, Var};
use std::cell::Cell;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};

struct Entry {
    node: NodeId,
    incoming: Incoming,
}

/// The nodes that wait for their turn in one run. They live because the run holds its roots.
pub struct Waiting {
    /// Leaves marks on nodes that say where their entries are.
    run: u32,
    /// Instead of marks where another run was under way when this one began (a backward inside a
    /// hook, or on another thread): at most one run marks at a time.
    places: Option<HashMap<NodeId, u32>>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Key and entry of the newest; a chain never touches `order`.
    newest: Option<(u64, u32)>,
    /// The others.
    order: BinaryHeap<(u64, u32)>,
}

/// Numbers runs; no mark has 0.
static RUNS: AtomicU32 = AtomicU32::new(1);
/// Runs under way.
static UNDER_WAY: AtomicU32 = AtomicU32::new(0);
thread_local! {
    /// Those of this thread.
    static MINE: Cell<u32> = const { Cell::new(0) };
}

/// Forgets the runs of threads that a forked child does not have.
pub fn alone() {
    UNDER_WAY.store(MINE.get(), Ordering::Release);
}

impl Waiting {
    pub fn new() -> Waiting {
        MINE.set(MINE.get() + 1);
        let alone = UNDER_WAY.fetch_add(1, Ordering::AcqRel) == 0;
        Waiting {
            run: RUNS.fetch_add(1, Ordering::Relaxed).max(1),
            places: (!alone).then(HashMap::new),
            entries: Vec::new(),
            free: Vec::new(),
            newest: None,
            order: BinaryHeap::new(),
        }
    }

    /// Adds `gradient` to what has arrived at `edge`, whose node the caller keeps alive. May leave
    /// the arena locked.
    #[inline]
    pub fn add(
        &mut self,
        visit: &mut Visit,
        edge: Edge,
        gradient: Var,
        recorded: bool,
    ) -> Result<()> {
        let fresh = self.free.last().map_or(self.entries.len() as u32, |&at| at);
        let (at, key, node) = match &mut self.places {
            None => visit.mark(edge, self.run, fresh),
            Some(places) => {
                let (key, node) = visit.at(edge);
                (*places.entry(node).or_insert(fresh), key, node)
            }
        };
        if at != fresh
            && let Some(Some(entry)) = self.entries.get_mut(at as usize)
        {
            visit.end();
            return place(&mut entry.incoming, edge.nr, gradient, recorded);
        }
        // The first gradient is only put there: nothing runs, and the arena may stay locked.
        let mut incoming = Incoming::new();
        for _ in 0..edge.nr {
            incoming.push(None);
        }
        incoming.push(Some(gradient));
        let entry = Some(Entry { node, incoming });
        match self.free.pop() {
            Some(at) => self.entries[at as usize] = entry,
            None => self.entries.push(entry),
        }
        let mut place = (key, fresh);
        if let Some(newest) = &mut self.newest {
            if key > newest.0 {
                std::mem::swap(newest, &mut place);
            }
            self.order.push(place);
        } else {
            self.newest = Some(place);
        }
        Ok(())
    }

    /// The newest waiting node with its gradients.
    #[inline]
    pub fn pop(&mut self) -> Option<(NodeId, Incoming)> {
        let (_, at) = self.newest.take()?;
        self.newest = self.order.pop();
        self.free.push(at);
        let entry = self.entries[at as usize]
            .take()
            .expect("an entry waits until its turn");
        Some((entry.node, entry.incoming))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        MINE.set(MINE.get() - 1);
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
    }
}

#[inline]
fn place(incoming: &mut Incoming, nr: u32, gradient: Var, recorded: bool) -> Result<()> {
    let nr = nr as usize;
    while incoming.len() <= nr {
        incoming.push(None);
    }
    incoming[nr] = Some(match incoming[nr].take() {
        None => gradient,
        Some(old) => sum(old, gradient, recorded)?,
    });
    Ok(())
}
