//! Threads that the end of the process meets in the middle of our code.
//!
//! At the end of the process Python (before 3.14) ends a daemon thread that asks for the
//! interpreter by unwinding its stack. That must not pass our frames: they are not made for it, and
//! the process would be aborted. Almost anything of Python's may ask: an argument's `__index__`, a
//! `__del__`, the collector. So each thread that has used this module sleeps for good instead.

use crate::tensor::alloc;

/// Lets threads sleep instead of being unwound, from their first tensor on.
pub fn register() {
    alloc::on_new_threads(guard_this);
    guard_this();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod guard {
    use std::cell::RefCell;
    use std::ffi::{c_int, c_void};
    use std::ptr;

    /// The C library's record of a function to call when a thread is unwound, made by hand because
    /// its macros want the guarded code between them.
    #[repr(C)]
    struct Record {
        routine: Option<extern "C" fn(*mut c_void)>,
        arg: *mut c_void,
        cancel_type: c_int,
        outer: *mut Record,
    }

    unsafe extern "C" {
        fn _pthread_cleanup_push(
            record: *mut Record,
            routine: extern "C" fn(*mut c_void),
            arg: *mut c_void,
        );
    }

    thread_local! {
        static RECORD: RefCell<Option<Box<Record>>> = const { RefCell::new(None) };
    }

    /// Sleeps while the interpreter is gone; a thread that ends by itself before is let go.
    extern "C" fn sleep(_: *mut c_void) {
        // SAFETY: reads a number of the interpreter, which needs nothing.
        while unsafe { pyo3::ffi::Py_IsInitialized() } == 0 {
            std::thread::park();
        }
    }

    /// Lets this thread sleep instead of being unwound.
    #[inline]
    pub fn guard_this() {
        // A thread that ends runs no more of our code.
        let _ = RECORD.try_with(|record| {
            if record.borrow().is_none() {
                push(record);
            }
        });
    }

    #[cold]
    fn push(place: &RefCell<Option<Box<Record>>>) {
        let mut place = place.borrow_mut();
        let record = place.insert(Box::new(Record {
            routine: None,
            arg: ptr::null_mut(),
            cancel_type: 0,
            outer: ptr::null_mut(),
        }));
        // SAFETY: the record stays until the thread is over. Lying outside its stack, it counts as
        // left with the first frame that is unwound, before any of ours.
        unsafe { _pthread_cleanup_push(&mut **record, sleep, ptr::null_mut()) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod guard {
    /// Threads end without unwinding here.
    pub fn guard_this() {}
}

pub use guard::guard_this;
