//! Leaving a long kernel in the middle, when a signal asks for it: what it has made is thrown away.
//!
//! Only for kernels that write to memory of their own ([`allowed`]), so that a stopped call leaves
//! no trace. Who knows of signals says how to look for them ([`look_with`]).

use crate::error::{Error, Result};
use crate::fail;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Tells whether the work of this thread shall go on.
pub type Look = fn() -> Result<()>;

static LOOK: OnceLock<Look> = OnceLock::new();

/// How often a kernel looks.
const EVERY: Duration = Duration::from_millis(20);

/// Room for the kernel of [`waiting`].
const STACK: usize = 8 << 20;

thread_local! {
    /// When to look again; none while this thread runs nothing that may be stopped.
    static NEXT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Sets how kernels look, once for the process.
pub fn look_with(look: Look) {
    let _ = LOOK.set(look);
}

/// What unwinds the kernel.
struct Stopped(Error);

/// Sets the time back as it was.
struct Back(Option<Instant>);

impl Drop for Back {
    fn drop(&mut self) {
        NEXT.set(self.0);
    }
}

/// Runs `body`, which may be left between two tasks of the pool.
///
/// # Errors
/// Those of `body`, and what the look found.
pub fn allowed<R>(body: impl FnOnce() -> Result<R>) -> Result<R> {
    if LOOK.get().is_none() {
        return body();
    }
    let _back = Back(NEXT.replace(Some(Instant::now() + EVERY)));
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => match panic.downcast::<Stopped>() {
            Ok(stopped) => Err(stopped.0),
            Err(panic) => resume_unwind(panic),
        },
    }
}

/// Whether the kernel of this thread may be stopped.
pub(super) fn is_allowed() -> bool {
    NEXT.get().is_some()
}

/// Looks, if it is time, and unwinds the kernel when it shall stop.
pub(super) fn look() {
    let (Some(next), Some(look)) = (NEXT.get(), LOOK.get()) else {
        return;
    };
    if Instant::now() < next {
        return;
    }
    // What the look runs is not this kernel.
    NEXT.set(None);
    let found = look_here(*look);
    NEXT.set(Some(Instant::now() + EVERY));
    if let Err(error) = found {
        resume_unwind(Box::new(Stopped(error)));
    }
}

/// Looks; fails also in a child of a fork that what it runs made.
///
/// # Errors
/// What the look found, and `Runtime` in such a child: it has none of the threads that share the work.
pub fn look_here(look: Look) -> Result<()> {
    let process = std::process::id();
    look()?;
    if process == std::process::id() {
        return Ok(());
    }
    fail!(
        Runtime,
        "a signal handler forked the process in the middle of an operation, which the child cannot finish, since it has none of the parent's threads; leave the child in the handler, by os._exit or exec, or fork outside of it"
    )
}

/// Runs `body`, which cannot be left in the middle, on another thread, and waits for it. Told to
/// stop, this thread goes on alone, and what `body` makes is dropped when it ends. So `body` works on
/// copies of what others may change meanwhile, as the factorizations do.
///
/// # Errors
/// Those of `body`, and what the look found.
pub fn waiting<R: Send + 'static>(body: impl FnOnce() -> Result<R> + Send + 'static) -> Result<R> {
    let Some(look) = LOOK.get() else {
        return body();
    };
    let body = Arc::new(Mutex::new(Some(body)));
    let (send, receive) = channel();
    let theirs = body.clone();
    let work = move || {
        if let Some(body) = take(&theirs) {
            let _ = send.send(catch_unwind(AssertUnwindSafe(body)));
        }
    };
    if Builder::new().stack_size(STACK).spawn(work).is_err()
        && let Some(body) = take(&body)
    {
        return body();
    }
    loop {
        match receive.recv_timeout(EVERY) {
            Ok(Ok(result)) => return result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(RecvTimeoutError::Timeout) => look_here(*look)?,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the thread sends what it has"),
        }
    }
}

fn take<T>(from: &Mutex<Option<T>>) -> Option<T> {
    from.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[cfg(test)]
#[path = "stop_tests.rs"]
mod tests;
