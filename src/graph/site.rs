//! Where in the user's program a node was recorded, as a number that the edge can read.
//!
//! The graph knows no program: whoever drives it says where it is through a hook, which is asked at
//! each record and so must answer in a few nanoseconds. 0 stands for an unknown place.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
    if !ON.load(Relaxed) {
        return 0;
    }
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

/// Where a volatile result's volatility entered: where that of its operands did, else here.
#[cold]
pub(super) fn entered() -> Site {
    match ENTERED.take() {
        0 => current(),
        site => site,
    }
}

/// Forgets what a failed operation noted.
pub fn forget_volatile() {
    ENTERED.set(0);
}
