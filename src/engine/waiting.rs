//! Gradients on their way: nodes that have received one, newest on top.

use super::accumulate::sum;
use crate::error::Result;
use crate::graph::Var;
use crate::graph::arena::{Edge, Handle};
use smallvec::SmallVec;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Gradients of a node's outputs.
type Incoming = SmallVec<[Option<Var>; 1]>;

struct Entry {
    node: Handle,
    incoming: Incoming,
}

/// The nodes that wait for their turn in one run.
pub struct Waiting {
    run: u32,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    order: BinaryHeap<(u64, u32)>,
}

static RUNS: AtomicU32 = AtomicU32::new(1);

impl Waiting {
    pub fn new() -> Waiting {
        Waiting {
            run: RUNS.fetch_add(1, Relaxed),
            entries: Vec::new(),
            free: Vec::new(),
            order: BinaryHeap::new(),
        }
    }

    /// Adds `gradient` to what has arrived at `edge`, whose node the caller keeps alive.
    #[inline]
    pub fn add(&mut self, edge: Edge, gradient: Var, recorded: bool) -> Result<()> {
        let (run, at, key, id) = Handle::mark(edge);
        if run == self.run
            && let Some(Some(entry)) = self.entries.get_mut(at as usize)
            && entry.node.id() == id
        {
            return place(&mut entry.incoming, edge.nr, gradient, recorded);
        }
        // Another run (a backward inside a hook) may have marked the node since: look for it.
        if RUNS.load(Relaxed) != self.run + 1
            && let Some(entry) = self
                .entries
                .iter_mut()
                .flatten()
                .find(|e| e.node.id() == id)
        {
            return place(&mut entry.incoming, edge.nr, gradient, recorded);
        }
        let Some(node) = Handle::of_edge(edge) else {
            return Ok(());
        };
        let mut incoming = Incoming::new();
        place(&mut incoming, edge.nr, gradient, recorded)?;
        let entry = Some(Entry { node, incoming });
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                self.entries.len() as u32 - 1
            }
        };
        Handle::set_mark(edge, self.run, at);
        self.order.push((key, at));
        Ok(())
    }

    /// The newest waiting node with its gradients.
    #[inline]
    pub fn pop(&mut self) -> Option<(Handle, Incoming)> {
        let (_, at) = self.order.pop()?;
        self.free.push(at);
        let entry = self.entries[at as usize]
            .take()
            .expect("an entry waits until its turn");
        Some((entry.node, entry.incoming))
    }
}

#[inline]
fn place(incoming: &mut Incoming, nr: u32, gradient: Var, recorded: bool) -> Result<()> {
    let nr = nr as usize;
    if incoming.len() <= nr {
        incoming.resize(nr + 1, None);
    }
    incoming[nr] = Some(match incoming[nr].take() {
        None => gradient,
        Some(old) => sum(old, gradient, recorded)?,
    });
    Ok(())
}
