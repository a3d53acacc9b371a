//! When operations and nodes ran: events for the profiler. Costs one load where nobody asks.

use crate::lock::plain::Mutex;
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Something that ran: nanoseconds since the process first asked for the time.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: Cow<'static, str>,
    pub start: u64,
    pub end: u64,
    pub thread: u64,
}

static ON: AtomicBool = AtomicBool::new(false);
static EVENTS: Mutex<Vec<Event>> = Mutex::new(Vec::new());
static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread's number; 0 has none yet.
    static THREAD: Cell<u64> = const { Cell::new(0) };
    /// Inside a node's way back, where operations are the node's own business.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

fn thread() -> u64 {
    if THREAD.get() == 0 {
        THREAD.set(THREADS.fetch_add(1, Relaxed) + 1);
    }
    THREAD.get()
}

/// Whether events are kept.
#[inline(always)]
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Keeps events from here on; tells whether that was so before.
pub fn start() -> bool {
    let was = ON.swap(true, Relaxed);
    if !was {
        EVENTS.lock().clear();
    }
    was
}

/// Ends keeping events and gives them, oldest first.
pub fn stop() -> Vec<Event> {
    ON.store(false, Relaxed);
    let mut events = std::mem::take(&mut *EVENTS.lock());
    events.sort_by_key(|e| (e.start, std::cmp::Reverse(e.end)));
    events
}

/// An event under way; it ends when this is dropped.
pub struct Span {
    name: Cow<'static, str>,
    start: u64,
    outside: Option<bool>,
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(before) = self.outside {
            INSIDE.set(before);
        }
        if is_on() {
            let event = Event {
                name: std::mem::take(&mut self.name),
                start: self.start,
                end: now(),
                thread: thread(),
            };
            EVENTS.lock().push(event);
        }
    }
}

/// An operation begins, unless it is part of a node's way back.
#[inline(always)]
pub fn op(name: &'static str) -> Option<Span> {
    if is_on() { begin(name) } else { None }
}

#[cold]
fn begin(name: &'static str) -> Option<Span> {
    (!INSIDE.get()).then(|| range(name.into()))
}

/// A node begins its way back.
pub fn node(name: &'static str) -> Option<Span> {
    is_on().then(|| {
        let mut span = range(name.into());
        span.outside = Some(INSIDE.replace(true));
        span
    })
}

/// Anything else begins.
pub fn range(name: Cow<'static, str>) -> Span {
    Span {
        name,
        start: now(),
        outside: None,
    }
}
