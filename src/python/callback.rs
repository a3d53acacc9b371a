//! Calling Python code from here, in a way that lets a thread end inside it.
//!
//! At the end of the process Python (before 3.14) ends a daemon thread that asks for the
//! interpreter by unwinding its stack. That must not pass our frames: they are not made for it, and
//! the process would be aborted. So each call has a guard below it, at which the thread sleeps for
//! good while the process ends. A test sees to it that nothing in this layer calls Python past it.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{BoundObject, IntoPyObject};
use std::ptr;

/// The same functions as PyO3 declares, but such that unwinding may come out of them.
#[cfg(not(windows))]
mod raw {
    use pyo3::ffi::PyObject;

    unsafe extern "C-unwind" {
        pub fn PyObject_Call(f: *mut PyObject, a: *mut PyObject, k: *mut PyObject)
        -> *mut PyObject;
        pub fn PyObject_GetIter(o: *mut PyObject) -> *mut PyObject;
        pub fn PySequence_List(o: *mut PyObject) -> *mut PyObject;
    }
}
/// Threads end without unwinding there.
#[cfg(windows)]
use pyo3::ffi as raw;

/// Dropped only when the thread is unwound, and then for good.
struct Sleep;

impl Drop for Sleep {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// Runs `body`, which calls Python, above the guard.
#[inline(always)]
fn guarded<'py>(
    py: Python<'py>,
    body: impl FnOnce() -> *mut ffi::PyObject,
) -> PyResult<Bound<'py, PyAny>> {
    let guard = Sleep;
    let made = body();
    std::mem::forget(guard);
    // SAFETY: the functions in `raw` give a new reference, or null and an exception.
    unsafe { Bound::from_owned_ptr_or_err(py, made) }
}

/// `callable(*args, **named)`.
pub fn call_with<'py>(
    callable: &Bound<'py, PyAny>,
    args: impl IntoPyObject<'py, Target = PyTuple>,
    named: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    let args = args.into_pyobject(py).map_err(Into::into)?.into_bound();
    let named = named.map_or(ptr::null_mut(), |d| d.as_ptr());
    // SAFETY: a callable, a tuple, and a dict or null, all of which outlive the call.
    guarded(py, || unsafe {
        raw::PyObject_Call(callable.as_ptr(), args.as_ptr(), named)
    })
}

/// `callable(*args)`.
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    args: impl IntoPyObject<'py, Target = PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    call_with(callable, args, None)
}

/// `object.name(*args)`.
pub fn call_method<'py>(
    object: &Bound<'py, PyAny>,
    name: &str,
    args: impl IntoPyObject<'py, Target = PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    call(&object.getattr(name)?, args)
}

/// `iter(object)`.
pub fn iter<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a Python object, which outlives the call.
    guarded(object.py(), || unsafe {
        raw::PyObject_GetIter(object.as_ptr())
    })
}

/// `list(iterable)`.
pub fn items<'py>(iterable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: a Python object, which outlives the call.
    let list = guarded(iterable.py(), || unsafe {
        raw::PySequence_List(iterable.as_ptr())
    });
    Ok(list?.cast_into()?)
}
