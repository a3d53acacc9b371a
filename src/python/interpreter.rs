//! Letting the interpreter go and taking it again; nothing else in this layer does either.
//!
//! Code without the interpreter may hold locks, so a fork waits for it; while it waits for
//! the interpreter, which the forking thread may have, the fork need not.

use super::ending::guard_this;
use crate::lock::fork;
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// How long a fork waits without letting other threads have the interpreter.
const PATIENCE: Duration = Duration::from_millis(2);

/// Runs `body` with the interpreter released.
pub fn released<R: Send>(py: Python<'_>, body: impl FnOnce() -> R + Send) -> R {
    py.detach(|| fork::within(body))
}

/// Runs `body` with the interpreter.
pub fn attached<R>(body: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    guard_this();
    fork::outside(|| Python::attach(body))
}

/// Waits until no other thread runs without the interpreter: the process is about to fork.
pub fn hold_still(py: Python<'_>) {
    // Most work is over soon, and taking the interpreter again among busy threads takes longer.
    let end = Instant::now() + PATIENCE;
    while !fork::is_still() {
        if Instant::now() > end {
            return py.detach(fork::hold_still);
        }
        std::thread::yield_now();
    }
}
