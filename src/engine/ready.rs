//! Gradients on their way: nodes become ready when all their consumers in this pass have delivered,
//! and run first in, first out.

use super::accumulate::sum;
use super::{Pulse, WORK, look};
use crate::error::Result;
use crate::graph::arena::{Edge, Mark, NodeId, Visit};
use crate::graph::{Handle, Incoming, Var};
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};

type Entry = (NodeId, Incoming);

/// The nodes of one run that have got or may get gradients. They live because the run holds its
/// roots.
pub struct Ready {
    /// Leaves marks on nodes that say how many consumers are to deliver, and where the gradients lie.
    run: u32,
    /// The marks by slot where another run was under way when this one began (a backward inside a
    /// hook, or on another thread): at most one run marks the nodes themselves.
    marks: Option<HashMap<u32, Mark>>,
    /// Gradients of nodes that wait for more.
    waiting: Vec<Incoming>,
    free: Vec<u32>,
    /// The oldest of those whose turn has come; a chain never touches `rest`.
    first: Option<Entry>,
    rest: VecDeque<Entry>,
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

impl Ready {
    pub fn new() -> Ready {
        MINE.set(MINE.get() + 1);
        let alone = UNDER_WAY.fetch_add(1, Ordering::AcqRel) == 0;
        Ready {
            run: RUNS.fetch_add(1, Ordering::Relaxed).max(1),
            marks: (!alone).then(HashMap::new),
            waiting: Vec::new(),
            free: Vec::new(),
            first: None,
            rest: VecDeque::new(),
        }
    }

    /// Counts, for every node that can be reached from `roots`, the edges over which something will
    /// be delivered: one for each root, and those of all nodes reached that `runs`.
    ///
    /// # Errors
    /// What `pulse` reports.
    pub fn count(
        &mut self,
        visit: &mut Visit,
        roots: &[(Handle, Edge)],
        runs: impl Fn(u32) -> bool,
        pulse: Pulse,
    ) -> Result<()> {
        let (mut work, mut last) = (0, None);
        // The order does not matter: the newest first keeps the stack small.
        let (mut next, mut stack) = (None, Vec::new());
        let met = |stack: &mut Vec<u32>, next: &mut Option<u32>, at: u32| {
            if runs(at)
                && let Some(other) = next.replace(at)
            {
                stack.push(other);
            }
        };
        for (_, edge) in roots {
            self.meet(visit, edge.slot(), |at| met(&mut stack, &mut next, at));
        }
        while let Some(at) = next.take().or_else(|| stack.pop()) {
            work += 1;
            if work >= WORK {
                visit.end();
                work = 0;
                look(&mut last, pulse)?;
            }
            match self.marks {
                None => visit.count_edges(at, self.run, |at| met(&mut stack, &mut next, at)),
                Some(_) => {
                    for edge in visit.edges(at).iter().filter(|e| !e.is_none()) {
                        self.meet(visit, edge.slot(), |at| met(&mut stack, &mut next, at));
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts one edge to the node in slot `at`; `first` gets it when it is met for the first time
    /// and has edges.
    fn meet(&mut self, visit: &mut Visit, at: u32, first: impl FnOnce(u32)) {
        let Some(marks) = &mut self.marks else {
            return visit.count(at, self.run, first);
        };
        let mark = marks.entry(at).or_insert(Mark::new(self.run));
        mark.left += 1;
        if mark.left == 1 {
            first(at);
        }
    }

    /// Brings `gradient` to where `edge` leads, whose node the caller keeps alive: nothing counts as
    /// delivered too. May leave the arena locked.
    ///
    /// # Errors
    /// What adding reports.
    #[inline]
    pub fn deliver(
        &mut self,
        visit: &mut Visit,
        edge: Edge,
        gradient: Option<Var>,
        recorded: bool,
    ) -> Result<()> {
        let at = edge.slot();
        let (mark, node) = visit.mark(at);
        let mark = match &mut self.marks {
            None => mark,
            Some(marks) => marks.entry(at).or_insert(Mark::new(self.run)),
        };
        debug_assert!(mark.left > 0, "all that is delivered was counted");
        mark.left = mark.left.wrapping_sub(1);
        let is_ready = mark.left == 0;
        if mark.place == Mark::NOWHERE {
            // The first gradient is only put there: nothing runs, and the arena may stay locked.
            let incoming = match gradient {
                Some(gradient) => alone_at(edge.nr, gradient),
                None if is_ready => Incoming::new(),
                None => return Ok(()),
            };
            if is_ready {
                self.push((node, incoming));
                return Ok(());
            }
            match self.free.pop() {
                Some(place) => {
                    mark.place = place;
                    self.waiting[place as usize] = incoming;
                }
                None => {
                    mark.place = self.waiting.len() as u32;
                    self.waiting.push(incoming);
                }
            }
            return Ok(());
        }
        let place = mark.place;
        let incoming = &mut self.waiting[place as usize];
        if let Some(gradient) = gradient {
            visit.end();
            add(incoming, edge.nr, gradient, recorded)?;
        }
        if is_ready {
            let incoming = std::mem::take(incoming);
            self.free.push(place);
            self.push((node, incoming));
        }
        Ok(())
    }

    #[inline(always)]
    fn push(&mut self, entry: Entry) {
        if self.first.is_none() {
            self.first = Some(entry);
        } else {
            self.rest.push_back(entry);
        }
    }

    /// The node whose turn it is, with its gradients; none of them where nothing arrived.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Entry> {
        let first = self.first.take()?;
        if !self.rest.is_empty() {
            self.first = self.rest.pop_front();
        }
        Some(first)
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        MINE.set(MINE.get() - 1);
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One gradient, at output `nr`.
#[inline(always)]
fn alone_at(nr: u32, gradient: Var) -> Incoming {
    if nr == 0 {
        return Incoming::from_buf([Some(gradient)]);
    }
    let mut incoming = Incoming::new();
    incoming.resize(nr as usize, None);
    incoming.push(Some(gradient));
    incoming
}

#[inline]
fn add(incoming: &mut Incoming, nr: u32, gradient: Var, recorded: bool) -> Result<()> {
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
