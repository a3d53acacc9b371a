//! Threads for big loops: a private pool, made at the first use and again after a fork.
//!
//! Work is cut by its size alone, never by the number of threads, so that results are the same
//! bits for every number. The caller works too; only what remains goes to the pool.

use super::stop;
use crate::lock::plain::{Mutex, MutexGuard};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Loops over fewer elements stay on the caller's thread: waking another costs as much as they do.
pub const PARALLEL_FROM: usize = 32 << 10;

/// The environment variable with the number of threads.
const VARIABLE: &str = "RGRAD_NUM_THREADS";

/// The threads wanted; 0 while nobody asked.
static WANTED: AtomicUsize = AtomicUsize::new(0);

struct Held {
    pool: Arc<ThreadPool>,
    process: u32,
    threads: usize,
}

static POOL: Mutex<Option<Held>> = Mutex::new(None);

/// How many threads a big loop may use: what was set, else `RGRAD_NUM_THREADS`, else all cores.
#[inline]
pub fn threads() -> usize {
    match WANTED.load(Relaxed) {
        0 => first_threads(),
        n => n,
    }
}

#[cold]
fn first_threads() -> usize {
    let asked = std::env::var(VARIABLE)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let n = match asked {
        Some(n) if n > 0 => n,
        _ => std::thread::available_parallelism().map_or(1, |n| n.get()),
    };
    // A number set in the meantime wins.
    match WANTED.compare_exchange(0, n.min(MOST), Relaxed, Relaxed) {
        Ok(_) => n.min(MOST),
        Err(set) => set,
    }
}

/// More threads than this are a mistake of units.
pub const MOST: usize = 1024;

/// Sets how many threads big loops use from here on; at least one.
pub fn set_threads(n: usize) {
    WANTED.store(n.clamp(1, MOST), Relaxed);
}

/// The pool for this process and the wanted number of threads; none if the system refuses one.
fn pool(threads: usize) -> Option<Arc<ThreadPool>> {
    let process = std::process::id();
    let mut held = POOL.lock();
    match &*held {
        Some(h) if h.process == process && h.threads == threads => return Some(h.pool.clone()),
        _ => {}
    }
    let old = held.take();
    // The caller is one of the threads.
    let made = ThreadPoolBuilder::new()
        .num_threads(threads - 1)
        .thread_name(|i| format!("rgrad-{i}"))
        .build();
    if let Some(old) = old
        && old.process != process
    {
        // Its threads stayed in the parent: waiting for them would never end.
        std::mem::forget(old.pool);
    }
    let pool = Arc::new(made.ok()?);
    *held = Some(Held {
        pool: pool.clone(),
        process,
        threads,
    });
    Some(pool)
}

/// Set in [`Job::state`] when the caller has found no more tasks; the other bits count helpers.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Tasks that the caller shares with helpers.
///
/// A helper that comes late, as one that must be woken does, finds the job closed and leaves: the
/// caller waits for running tasks only (30 to 50 us less than a scope of rayon's here).
struct Job {
    task: *const (dyn Fn(usize) + Sync),
    n: usize,
    next: AtomicUsize,
    state: AtomicUsize,
    caller: Thread,
    process: u32,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `task` points at something `Sync`, and the other fields are made for sharing.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    /// Takes tasks until there are none; keeps a panic for the caller.
    fn work(&self) {
        // SAFETY: the caller of `share` stays in it, and `task` with it, until the job is closed
        // and every helper that entered before has left.
        let task = unsafe { &*self.task };
        let all = || {
            loop {
                let i = self.next.fetch_add(1, Relaxed);
                if i >= self.n {
                    return;
                }
                task(i);
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
            self.next.store(self.n, Relaxed);
            self.panic.lock().get_or_insert(panic);
        }
    }

    fn help(&self) {
        if self.state.fetch_add(1, Acquire) & CLOSED == 0 {
            self.work();
        }
        if self.state.fetch_sub(1, Release) == CLOSED + 1 {
            self.caller.unpark();
        }
    }

    /// Lets nobody in any more and waits for those inside.
    fn close(&self) {
        let mut state = self.state.fetch_or(CLOSED, Acquire) | CLOSED;
        let mut spins = 0;
        while state != CLOSED {
            // A helper is at most one task behind; sleeping pays only if that is a long one.
            if spins < 2000 {
                spins += 1;
                std::hint::spin_loop();
            } else if self.process != std::process::id() {
                // A child, forked by a signal handler between two tasks: the helpers are the parent's.
                return;
            } else {
                std::thread::park();
            }
            state = self.state.load(Acquire);
        }
    }
}

/// Jobs given to the pool so far.
static GIVEN: AtomicUsize = AtomicUsize::new(0);

/// How long a helper stays awake for the next job: to wake it takes 30 to 60 us, longer than a
/// small matrix product or the Python code between two operations.
const LINGER: Duration = Duration::from_micros(100);

/// Waits until more jobs were given than `seen`, for [`LINGER`] at most.
fn linger(seen: usize) {
    let start = Instant::now();
    while start.elapsed() < LINGER {
        for _ in 0..32 {
            if GIVEN.load(Relaxed) != seen {
                return;
            }
            std::hint::spin_loop();
        }
    }
}

/// Runs the tasks on this thread and up to `helpers` of the pool's.
fn share(pool: &ThreadPool, helpers: usize, n: usize, task: &(dyn Fn(usize) + Sync)) {
    // SAFETY: only the lifetime changes; `close` below ends every use before `task` does.
    let task: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(task) };
    let job = Arc::new(Job {
        task,
        n,
        next: AtomicUsize::new(0),
        state: AtomicUsize::new(0),
        caller: std::thread::current(),
        process: std::process::id(),
        panic: Mutex::new(None),
    });
    let given = GIVEN.fetch_add(1, Relaxed) + 1;
    for _ in 0..helpers {
        let job = job.clone();
        pool.spawn(move || {
            job.help();
            drop(job);
            linger(given);
        });
    }
    job.work();
    job.close();
    let panic = job.panic.lock().take();
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}

/// Runs `task(0)` to `task(n - 1)`, in any order, on as many threads as there are.
///
/// Tasks must write to different places and not depend on each other.
pub fn run(n: usize, task: impl Fn(usize) + Sync) {
    run_all(n, &task);
}

/// Compiled once, whatever the task.
fn run_all(n: usize, task: &(dyn Fn(usize) + Sync)) {
    if !stop::is_allowed() {
        return share_out(n, task);
    }
    // Helpers do not look: the caller does, and its panic leaves them nothing to take.
    share_out(n, &|i| {
        stop::look();
        task(i);
    });
}

fn share_out(n: usize, task: &(dyn Fn(usize) + Sync)) {
    let threads = threads().min(n);
    // A task that starts tasks is already on one of our threads.
    let found = match threads > 1 && rayon::current_thread_index().is_none() {
        true => pool(self::threads()),
        false => None,
    };
    match found {
        Some(pool) => share(&pool, threads - 1, n, task),
        None => (0..n).for_each(task),
    }
}

/// Runs `body` over `0..count` in ranges of `grain` (the last may be shorter).
///
/// The ranges are the same for every number of threads. Loops below [`PARALLEL_FROM`] elements
/// stay on this thread.
pub fn for_chunks(count: usize, grain: usize, body: impl Fn(Range<usize>) + Sync) {
    let grain = grain.max(1);
    let range = |i: usize| i * grain..count.min((i + 1) * grain);
    let chunks = count.div_ceil(grain);
    if count < PARALLEL_FROM {
        (0..chunks).for_each(|i| body(range(i)));
    } else {
        run(chunks, |i| body(range(i)));
    }
}

/// Like [`for_chunks`], with the results in the order of the ranges: for reductions.
pub fn map_chunks<T: Send>(
    count: usize,
    grain: usize,
    body: impl Fn(Range<usize>) -> T + Sync,
) -> Vec<T> {
    let grain = grain.max(1);
    let slots: Vec<Mutex<Option<T>>> = (0..count.div_ceil(grain))
        .map(|_| Mutex::new(None))
        .collect();
    for_chunks(count, grain, |range| {
        let i = range.start / grain;
        *slots[i].lock() = Some(body(range));
    });
    slots.into_iter().filter_map(Mutex::into_inner).collect()
}

/// Runs `body` over a slice in pieces of `grain`, each with its first index.
pub fn for_slices<T: Send>(data: &mut [T], grain: usize, body: impl Fn(usize, &mut [T]) + Sync) {
    let grain = grain.max(1);
    let count = data.len();
    let pieces: Vec<Mutex<&mut [T]>> = data.chunks_mut(grain).map(Mutex::new).collect();
    for_chunks(count, grain, |range| {
        body(range.start, &mut pieces[range.start / grain].lock())
    });
}

/// Keeps the pool still, so that a process can fork; to be held across the fork on both sides.
pub struct Hold(
    #[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, Option<Held>>,
);

/// Waits until no thread makes or looks up the pool. The holder must not start parallel work.
pub fn hold() -> Hold {
    Hold(POOL.lock())
}

#[cfg(test)]
#[path = "pool_tests.rs"]
pub(super) mod tests;
