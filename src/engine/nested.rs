//! Backward inside hooks and functions: the first levels run on the caller's stack, deeper ones on
//! a thread with a large one, and beyond a limit there is an error instead of a crash (E-37).

use super::Pulse;
use crate::error::Result;
use crate::fail;
use crate::graph::switch;
use crate::lock::fork;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{Builder, park_timeout, scope};
use std::time::Duration;

/// Levels on the caller's stack: they must fit the smallest stack a thread is given (256 KiB).
const HERE: usize = 6;
/// Levels in all.
const MOST: usize = 400;
/// Room for the others, at 128 KiB each. Memory that no level reaches is never touched.
const STACK: usize = MOST * (128 << 10);
/// How often the waiting thread looks for a signal.
const LOOK: Duration = Duration::from_millis(20);

thread_local! {
    /// How many runs this thread is inside of, those of the thread that started it included.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// On a thread with a large stack: whether the one that waits for it was interrupted.
    static STOP: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Whether the thread that waits for this one was interrupted, so that all runs here should end.
pub fn is_stopped() -> bool {
    STOP.with_borrow(|stop| stop.as_ref().is_some_and(|stop| stop.load(Relaxed)))
}

struct Level;

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Runs `body` one level deeper.
///
/// # Errors
/// `RuntimeError` below the last level, and what `body` reports.
pub fn deeper<R: Send>(pulse: Pulse, body: impl FnOnce(Pulse) -> Result<R> + Send) -> Result<R> {
    let depth = DEPTH.get();
    if depth >= MOST {
        fail!(
            Runtime,
            "backward: {depth} backward calls are running inside each other's hooks or functions, and no more fit; stop the recursion"
        );
    }
    DEPTH.set(depth + 1);
    let _level = Level;
    if depth != HERE {
        return body(pulse);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let done = AtomicBool::new(false);
    let recording = switch::is_recording();
    let caller = std::thread::current();
    scope(|threads| {
        let work = || {
            DEPTH.set(depth + 1);
            STOP.set(Some(stop.clone()));
            switch::set_recording(recording);
            let result = fork::within(|| {
                body(&|| match stop.load(Relaxed) {
                    true => pulse(),
                    false => Ok(()),
                })
            });
            done.store(true, Relaxed);
            caller.unpark();
            result
        };
        let Ok(thread) = Builder::new().stack_size(STACK).spawn_scoped(threads, work) else {
            fail!(
                Runtime,
                "backward: the system gives no thread for {depth} nested backward calls; nest less deeply"
            );
        };
        let mut interrupted = Ok(());
        let wait = || {
            while !thread.is_finished() {
                if !done.load(Relaxed) {
                    park_timeout(LOOK);
                }
                if interrupted.is_ok() {
                    interrupted = pulse();
                    stop.store(interrupted.is_err(), Relaxed);
                }
            }
            thread.join()
        };
        match fork::outside(wait) {
            Ok(result) => interrupted.and(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
