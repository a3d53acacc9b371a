//! Giving nodes back: without recursion, in batches, and what they held dropped between locks.

use super::{ARENA, Arena};
use crate::graph::body::{Body, each_slot};
use crate::graph::queue::Queue;
use crate::lock::MutexGuard;
use std::cell::{Cell, RefCell};

/// Nodes released under one lock; what they held is dropped between locks.
const BATCH: usize = 256;

thread_local! {
    /// Whether this thread is giving nodes back: what dies of what is dropped then waits its turn,
    /// so that a chain through somebody else's objects needs no stack either. And how many wait.
    static RELEASING: Cell<(bool, u32)> = const { Cell::new((false, 0)) };
    static LATER: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// Gives back a node whose last count is gone and every node that dies of it, oldest edge first.
#[inline(never)]
pub(super) fn release(mut arena: MutexGuard<'_, Arena>, first: u32) {
    let (releasing, waiting) = RELEASING.get();
    if releasing && let Ok(()) = LATER.try_with(|later| later.borrow_mut().push(first)) {
        RELEASING.set((true, waiting + 1));
        return;
    }
    RELEASING.set((true, 0));
    let mut queue = Queue::default();
    // Most die alone: they need no list.
    let mut held = None;
    arena.clear(first, &mut queue, |body| held = Some(body));
    if queue.is_empty() {
        drop(arena);
        drop(held.take());
        if RELEASING.get().1 == 0 {
            RELEASING.set((false, 0));
            return;
        }
        arena = ARENA.lock();
    }
    release_all(arena, queue, held);
}

/// The rest of [`release`]: what died with the first node and what waited while that was dropped.
#[inline(never)]
fn release_all(mut arena: MutexGuard<'_, Arena>, mut queue: Queue, held: Option<Body>) {
    let mut dead: Vec<Body> = Vec::from_iter(held);
    let mut left = BATCH;
    loop {
        while let Some(at) = queue.pop() {
            arena.clear(at, &mut queue, |body| dead.push(body));
            left -= 1;
            if left == 0 {
                drop(arena);
                dead.clear();
                left = BATCH;
                arena = ARENA.lock();
            }
        }
        drop(arena);
        dead.clear();
        if RELEASING.get().1 == 0 {
            break;
        }
        RELEASING.set((true, 0));
        let later = LATER.try_with(|later| std::mem::take(&mut *later.borrow_mut()));
        later
            .unwrap_or_default()
            .into_iter()
            .for_each(|at| queue.push(at));
        arena = ARENA.lock();
    }
    RELEASING.set((false, 0));
}

impl Arena {
    /// Takes one count off; tells whether it was the last.
    #[inline(always)]
    pub(super) fn uncount(&mut self, at: u32) -> bool {
        let slot = self.slot_mut(at);
        slot.count -= 1;
        slot.count == 0
    }

    /// Empties a slot whose count is zero and puts it on the free list; nodes that die of it queue.
    /// `held` gets what there is to drop. A slot that was counted again while it queued stays.
    #[inline(always)]
    fn clear(&mut self, at: u32, queue: &mut Queue, held: impl FnOnce(Body)) {
        let free = self.free;
        let slot = self.slot_mut(at);
        if slot.count != 0 || slot.rule.is_none() {
            return;
        }
        slot.rule = None;
        slot.generation = slot.generation.wrapping_add(1);
        slot.mark.place = free;
        let holds = slot.body.holds_something();
        let body = holds.then(|| std::mem::take(&mut slot.body));
        let (to, edges) = (slot.body.to, slot.body.edges);
        slot.body.forget();
        self.free = at;
        self.free_count += 1;
        let lose = |to: u32| {
            if self.uncount(to) {
                queue.push(to);
            }
        };
        match body {
            Some(body) => {
                body.each_edge(lose);
                held(body);
            }
            None => each_slot(to, edges, lose),
        }
    }
}
