//! A process that forks: the child finds nothing half done.
//!
//! First Python waits, other threads may have the interpreter meanwhile, until nobody works without
//! it. Then, inside the system's fork, where no thread can get the interpreter in between, the locks
//! are taken that threads need which neither work nor have it: those that end.

use super::interpreter;
use crate::cpu::pool;
use crate::engine;
use crate::graph::arena;
use crate::lock::fork;
use crate::tensor::{alloc, shared};
use pyo3::prelude::*;
use std::cell::RefCell;

/// Waits until no other thread works without the interpreter.
#[pyfunction]
fn _before_fork(py: Python<'_>) {
    interpreter::hold_still(py);
}

/// Lets other threads work again, on both sides.
#[pyfunction]
fn _after_fork() {
    fork::go_on();
}

type Held = (pool::Hold, arena::Hold, alloc::Hold, shared::Hold);

thread_local! {
    /// The locks held while this thread forks.
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

extern "C" fn before() {
    let held = (pool::hold(), arena::hold(), alloc::hold(), shared::hold());
    HELD.with_borrow_mut(|all| all.push(held));
}

extern "C" fn after() {
    let held = HELD.with_borrow_mut(Vec::pop);
    drop(held);
}

/// The child has this thread only.
extern "C" fn after_in_child() {
    engine::after_fork();
    after();
}

#[cfg(unix)]
fn ask_to_be_told() {
    type Handler = extern "C" fn();
    unsafe extern "C" {
        fn pthread_atfork(before: Handler, after: Handler, in_child: Handler) -> std::ffi::c_int;
    }
    // SAFETY: the handlers stay where they are: an extension module is never unloaded.
    unsafe { pthread_atfork(before, after, after_in_child) };
}

#[cfg(not(unix))]
fn ask_to_be_told() {}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    ask_to_be_told();
    m.add_function(wrap_pyfunction!(_before_fork, m)?)?;
    m.add_function(wrap_pyfunction!(_after_fork, m)?)
}
