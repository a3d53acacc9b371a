//! Calling a user's function, from which a daemon thread may never come back.
//!
//! Once the interpreter shuts down, Python before 3.14 ends a thread that wants its lock by
//! unwinding the thread's whole stack. Frames of Rust must not be unwound like that; the thread
//! sleeps instead until the process is gone.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

#[cfg(not(windows))]
mod raw {
    use pyo3::ffi::PyObject;

    // PyO3 says that this never unwinds.
    unsafe extern "C-unwind" {
        pub fn PyObject_Call(
            callable: *mut PyObject,
            args: *mut PyObject,
            kwargs: *mut PyObject,
        ) -> *mut PyObject;
    }
}

/// Dropped only when the frame is unwound.
#[cfg(not(windows))]
struct Stay;

#[cfg(not(windows))]
impl Drop for Stay {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// `callable(*args)`.
#[cfg(not(windows))]
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let stay = Stay;
    // SAFETY: both objects live over the call, a Bound is proof that this thread is attached, and
    // keywords may be missing.
    let made =
        unsafe { raw::PyObject_Call(callable.as_ptr(), args.as_ptr(), std::ptr::null_mut()) };
    std::mem::forget(stay);
    // SAFETY: the call gives a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(callable.py(), made) }
}

/// `callable(*args)`. Windows ends threads without unwinding.
#[cfg(windows)]
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    callable.call1(args)
}
