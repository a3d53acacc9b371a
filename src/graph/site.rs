//! Where in the user's program a node was recorded, as a number that the edge can read.
//!
//! The graph knows no program: whoever drives it says where it is through a hook, which is asked at
//! each record and so must answer in a few nanoseconds. 0 stands for an unknown place.

use crate::tensor::Tensor;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// A place in the user's program; 0 is unknown.
pub type Site = u32;

static HOOK: OnceLock<fn() -> Site> = OnceLock::new();
static ON: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The place while nobody can be asked: the interpreter is released.
    static FIXED: Cell<Site> = const { Cell::new(0) };
    /// Where the volatility of an operand entered that was looked at last.
    static ENTERED: Cell<Site> = const { Cell::new(0) };
}

/// Says who knows the place; the first caller stays. Nothing is asked before [`turn`].
pub fn install(hook: fn() -> Site) {
    let _ = HOOK.set(hook);
}

/// Turns asking on or off; tells whether it was on.
pub fn turn(on: bool) -> bool {
    ON.swap(on && HOOK.get().is_some(), Relaxed)
}

/// Whether places are asked for.
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// The place where the program is.
#[inline(always)]
pub fn current() -> Site {
    if ON.load(Relaxed) { ask() } else { 0 }
}

#[inline(never)]
fn ask() -> Site {
    HOOK.get().map_or(0, |hook| hook())
}

/// The place that [`within`] fixed on this thread.
pub fn fixed() -> Site {
    FIXED.get()
}

/// Runs `body`, whose nodes belong to `site` while the program cannot be asked.
pub fn within<R>(site: Site, body: impl FnOnce() -> R) -> R {
    struct Back(Site);
    impl Drop for Back {
        fn drop(&mut self) {
            FIXED.set(self.0);
        }
    }
    let _back = Back(FIXED.replace(site));
    body()
}

/// Notes where the volatility of an operand came from.
#[cold]
pub(super) fn saw_volatile(entered: Site) {
    if entered != 0 {
        ENTERED.set(entered);
    }
}

/// Beside a place where volatility entered: a gradient brought it, not the user's own word.
pub const BY_GRADIENT: Site = 1 << 31;

/// Where a volatile result's volatility entered: where that of its operands did, else here, by a
/// gradient, since volatile Variables that the user made know where.
#[cold]
pub(super) fn entered() -> Site {
    match ENTERED.take() {
        0 => current() | BY_GRADIENT,
        site => site,
    }
}

/// Forgets what a failed operation noted.
pub fn forget_volatile() {
    ENTERED.set(0);
}

/// The last in-place changes: family, version after it, place. A family has one entry, which another
/// may take over: what is lost is a hint in an error's text.
static CHANGES: [(AtomicUsize, AtomicU32, AtomicU32); 1024] =
    [const { (AtomicUsize::new(0), AtomicU32::new(0), AtomicU32::new(0)) }; 1024];

fn change(family: usize) -> &'static (AtomicUsize, AtomicU32, AtomicU32) {
    &CHANGES[(family >> 4 ^ family >> 14) % 1024]
}

/// Notes that the program changed `tensor` in place, after its version was counted.
pub fn note_change(tensor: &Tensor) {
    let here = current();
    if here != 0 {
        let (family, version, site) = change(tensor.family());
        family.store(tensor.family(), Relaxed);
        version.store(tensor.version(), Relaxed);
        site.store(here, Relaxed);
    }
}

/// Where `tensor` was changed in place last; unknown where that was not noted.
pub fn last_change(tensor: &Tensor) -> Site {
    let (family, version, site) = change(tensor.family());
    let same = family.load(Relaxed) == tensor.family() && version.load(Relaxed) == tensor.version();
    if same { site.load(Relaxed) } else { 0 }
}
