//! Which instruction of which code object Python is at, in a few nanoseconds.
//!
//! Python's own way makes a frame object, ten times what recording a product may cost for it. Here
//! the interpreter's frames are read where they lie. Nothing is believed: before the first use three
//! nested frames are read both ways, and where one word differs from what Python says, this way is
//! not used at all. Pointers are followed only after they were found equal to known ones.

use super::table::{self, SKIPPED};
use crate::graph::site::{Site, fixed};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::Relaxed};

type Address = *const u8;

/// `PyThreadState_GetUnchecked`: this thread's state while it holds the interpreter.
static CURRENT_THREAD: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// Where a thread's state has its innermost frame, since 3.13.
static INNERMOST: AtomicUsize = AtomicUsize::new(0);
/// The class of code objects, and where in one its instructions begin.
static CODE_CLASS: AtomicUsize = AtomicUsize::new(0);
static CODE_START: AtomicUsize = AtomicUsize::new(0);

/// Where things lie in a release of Python.
trait Release {
    /// In a frame: its code, the frame that called it, its instruction.
    const CODE: usize;
    const CALLER: usize;
    const INSTRUCTION: usize = 56;
    /// Where the state of a thread without the interpreter is another thread's.
    const SHARED: bool = false;
    /// A frame's innermost.
    unsafe fn innermost(thread: Address) -> Address;
    /// Whether a frame is none of a program but an entry from C.
    unsafe fn is_entry(_frame: Address) -> bool {
        false
    }
}

struct Python311;
struct Python312;
struct Python313;

/// The word at `offset` behind `from`.
#[inline(always)]
unsafe fn word(from: Address, offset: usize) -> Address {
    // SAFETY: the caller's: `from` is a live object that has a word there.
    unsafe { from.add(offset).cast::<Address>().read() }
}

impl Release for Python311 {
    const CODE: usize = 32;
    const CALLER: usize = 48;
    const SHARED: bool = true;
    #[inline(always)]
    unsafe fn innermost(thread: Address) -> Address {
        // SAFETY: every thread of 3.11 has its C frame there, and that its frame.
        unsafe { word(word(thread, 56), 8) }
    }
}

impl Release for Python312 {
    const CODE: usize = 0;
    const CALLER: usize = 8;
    #[inline(always)]
    unsafe fn innermost(thread: Address) -> Address {
        // SAFETY: as in 3.11, with the two words of a C frame exchanged.
        unsafe { word(word(thread, 56), 0) }
    }
    unsafe fn is_entry(frame: Address) -> bool {
        const OWNED_BY_C: u8 = 3;
        // SAFETY: the byte behind the frame's return offset.
        unsafe { frame.add(70).read() == OWNED_BY_C }
    }
}

impl Release for Python313 {
    const CODE: usize = 0;
    const CALLER: usize = 8;
    #[inline(always)]
    unsafe fn innermost(thread: Address) -> Address {
        // SAFETY: the offset was found by `find_innermost` in a state of this very Python.
        unsafe { word(thread, INNERMOST.load(Relaxed)) }
    }
}

/// Places by instruction: for each the address seen last, and its place.
static SEEN: [(AtomicUsize, AtomicU32); SEEN_SIZE] =
    [const { (AtomicUsize::new(0), AtomicU32::new(0)) }; SEEN_SIZE];
const SEEN_SIZE: usize = 512;

#[inline(always)]
fn seen(instruction: usize) -> &'static (AtomicUsize, AtomicU32) {
    &SEEN[(instruction >> 1 ^ instruction >> 10) % SEEN_SIZE]
}

/// Forgets all places: a code object died, and another may come to lie there.
pub fn forget() {
    for (address, _) in &SEEN {
        address.store(0, Relaxed);
    }
}

/// The state of this thread if it holds the interpreter.
#[inline(always)]
fn attached<R: Release>() -> Option<Address> {
    type Get = unsafe extern "C" fn() -> *mut ffi::PyThreadState;
    let get = CURRENT_THREAD.load(Relaxed);
    if get.is_null() {
        return None;
    }
    // SAFETY: the loader's answer for a function of this type, which may be called at any time.
    let thread = unsafe { std::mem::transmute::<*mut c_void, Get>(get)() };
    // SAFETY: may be called at any time.
    if R::SHARED && thread != unsafe { ffi::PyGILState_GetThisThreadState() } {
        return None;
    }
    (!thread.is_null()).then_some(thread as Address)
}

/// Frames of our own looked through before giving up.
const DEPTH: usize = 100;

/// The place of the innermost frame of the user's program.
fn here<R: Release>() -> Site {
    let Some(thread) = attached::<R>() else {
        return fixed();
    };
    // SAFETY: this thread holds the interpreter, so its frames stand still, and `check` has found
    // that they are laid out as `R` says.
    unsafe {
        let mut frame = R::innermost(thread);
        for _ in 0..DEPTH {
            if frame.is_null() {
                return 0;
            }
            let at = word(frame, R::INSTRUCTION) as usize;
            let (address, place) = seen(at);
            let found = if address.load(Relaxed) == at {
                place.load(Relaxed)
            } else {
                look_up::<R>(frame, at)
            };
            if found != SKIPPED {
                return found;
            }
            frame = word(frame, R::CALLER);
        }
    }
    0
}

/// The code object of a frame; none for one that has no Python code.
unsafe fn code_of<R: Release>(frame: Address) -> Option<Address> {
    // SAFETY: the caller's: `frame` is live. Since 3.14 the lowest bits of an object may be a mark.
    let code = unsafe { word(frame, R::CODE) }.map_addr(|a| a & !7);
    // SAFETY: a frame's code is a live object, or nothing.
    let is_code = !code.is_null()
        && unsafe { ffi::Py_TYPE(code as *mut ffi::PyObject) } as usize == CODE_CLASS.load(Relaxed);
    // SAFETY: as above.
    let entry = is_code && unsafe { R::is_entry(frame) };
    (is_code && !entry).then_some(code)
}

/// The place of instruction `at`, from the table; and noted for the next time.
#[cold]
#[inline(never)]
unsafe fn look_up<R: Release>(frame: Address, at: usize) -> Site {
    // SAFETY: the caller's: a live frame of a thread that holds the interpreter.
    let place = match unsafe { code_of::<R>(frame) } {
        None => SKIPPED,
        Some(code) => {
            // SAFETY: as above.
            let py = unsafe { Python::assume_attached() };
            let offset = at.wrapping_sub(code as usize + CODE_START.load(Relaxed));
            // SAFETY: a live object, counted while the table asks it.
            let code = unsafe { Bound::from_borrowed_ptr(py, code as *mut ffi::PyObject) };
            table::place(&code, offset, at)
        }
    };
    let (address, known) = seen(at);
    known.store(place, Relaxed);
    address.store(at, Relaxed);
    place
}

/// The same through frame objects, for a Python that is laid out differently: slow.
fn here_slowly() -> Site {
    if attached::<Python313>().is_none() {
        return fixed();
    }
    // SAFETY: this thread holds the interpreter.
    let py = unsafe { Python::assume_attached() };
    outermost(py).unwrap_or(0)
}

fn outermost(py: Python<'_>) -> PyResult<Site> {
    // SAFETY: attached; the frame is borrowed.
    let frame = unsafe { ffi::PyEval_GetFrame() } as *mut ffi::PyObject;
    // SAFETY: a live frame object or null.
    let mut frame = unsafe { Bound::from_borrowed_ptr_or_opt(py, frame) };
    for _ in 0..DEPTH {
        let Some(at) = frame else { break };
        let code = at.getattr("f_code")?;
        let offset: usize = at.getattr("f_lasti")?.extract()?;
        let key = code.as_ptr() as usize + offset;
        let place = table::place(&code, offset, key);
        if place != SKIPPED {
            return Ok(place);
        }
        frame = Some(at.getattr("f_back")?).filter(|f| !f.is_none());
    }
    Ok(0)
}

#[cfg(unix)]
fn symbol(name: &CStr) -> *mut c_void {
    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    let everywhere = if cfg!(target_vendor = "apple") {
        -2isize
    } else {
        0
    };
    // SAFETY: a name that ends in zero; asks all libraries of the process.
    unsafe { dlsym(everywhere as *mut c_void, name.as_ptr()) }
}

#[cfg(not(unix))]
fn symbol(_name: &CStr) -> *mut c_void {
    std::ptr::null_mut()
}

/// Tells the place.
type Hook = fn() -> Site;

/// The quick way if it tells the truth about the three innermost frames, else the slow one; with
/// whether it is quick. None where neither can tell whether a thread holds the interpreter.
pub fn choose(py: Python<'_>) -> PyResult<Option<(Hook, bool)>> {
    let names = [
        c"PyThreadState_GetUnchecked",
        c"_PyThreadState_UncheckedGet",
    ];
    let Some(get) = names.into_iter().map(symbol).find(|f| !f.is_null()) else {
        return Ok(None);
    };
    CURRENT_THREAD.store(get, Relaxed);
    let sys = py.import("sys")?;
    let flags: String = match sys.getattr("abiflags") {
        Ok(flags) => flags.extract()?,
        Err(_) => String::new(),
    };
    let version = py.version_info();
    let name: String = sys.getattr("implementation")?.getattr("name")?.extract()?;
    let plain = name == "cpython" && flags.is_empty() && size_of::<usize>() == 8;
    let quick: Option<Hook> = match (version.major, version.minor) {
        _ if !plain => None,
        (3, 11) if check::<Python311>(py)? => Some(here::<Python311>),
        (3, 12) if check::<Python312>(py)? => Some(here::<Python312>),
        (3, 13..) if find_innermost(py)? && check::<Python313>(py)? => Some(here::<Python313>),
        _ => None,
    };
    Ok(Some(
        quick.map_or((here_slowly as Hook, false), |f| (f, true)),
    ))
}

/// The frame behind a frame object.
fn inside(frame: &Bound<'_, PyAny>) -> Address {
    // SAFETY: a frame object is two words of an object, its caller's object, and this.
    unsafe { word(frame.as_ptr() as Address, 24) }
}

fn innermost_object(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    // SAFETY: attached; the frame is borrowed, or null.
    unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame() as *mut ffi::PyObject) }
}

/// Finds where a thread's state has its innermost frame.
fn find_innermost(py: Python<'_>) -> PyResult<bool> {
    let (Some(frame), Some(thread)) = (innermost_object(py), attached::<Python313>()) else {
        return Ok(false);
    };
    let wanted = inside(&frame);
    // SAFETY: a thread's state is larger than 25 words in every release.
    let found = (5..25).find(|i| unsafe { word(thread, 8 * i) } == wanted);
    INNERMOST.store(8 * found.unwrap_or(0), Relaxed);
    Ok(found.is_some())
}

/// Whether the three innermost frames, all of Python functions, are as `R` says.
fn check<R: Release>(py: Python<'_>) -> PyResult<bool> {
    let (Some(object), Some(thread)) = (innermost_object(py), attached::<R>()) else {
        return Ok(false);
    };
    let class = object.getattr("f_code")?.get_type();
    let start: usize = class.getattr("__basicsize__")?.extract()?;
    CODE_CLASS.store(class.as_ptr() as usize, Relaxed);
    CODE_START.store(start, Relaxed);
    // SAFETY: the words on the way are where this release's headers have them.
    let mut frame = unsafe { R::innermost(thread) };
    let mut object = object;
    for _ in 0..3 {
        if frame != inside(&object) {
            return Ok(false);
        }
        // SAFETY: `frame` is what Python itself has for this frame, and larger than what is read.
        let (code, at) = unsafe { (code_of::<R>(frame), word(frame, R::INSTRUCTION)) };
        let wanted = object.getattr("f_code")?;
        let offset: usize = object.getattr("f_lasti")?.extract()?;
        let right = code == Some(wanted.as_ptr() as Address)
            && at as usize == wanted.as_ptr() as usize + start + offset;
        if !right {
            return Ok(false);
        }
        // SAFETY: as above; it is compared with Python's word before it is followed.
        frame = unsafe { word(frame, R::CALLER) };
        object = object.getattr("f_back")?;
        if object.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}
