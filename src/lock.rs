//! The locks of the graph and of all that may run in a forked child.
//!
//! A lock that is held while a process forks is let go in the child too, where the threads that
//! waited for it do not exist: so nothing here hands a lock over to a waiting thread, or keeps the
//! waiting in a table of its own. In the model test the graph's locks are points of shuttle's
//! schedules.

#[cfg(not(feature = "model"))]
pub use plain::{Mutex, MutexGuard};

#[cfg(feature = "model")]
pub use model::{Mutex, MutexGuard};

/// A lock that is let go by a plain store, which saves the second of the two atomic operations that
/// a lock which must look for sleepers takes: some 10 of 300 ns in a recorded `a*b`.
///
/// It is held for short: so who finds it taken looks again soon, and sleeps between if it lasts.
pub mod plain {
    use spin::mutex::SpinMutex;
    pub use spin::mutex::SpinMutexGuard as MutexGuard;
    use std::time::Duration;

    /// A lock around a value. A panic of its holder leaves it usable.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(SpinMutex<T>);

    impl<T> Mutex<T> {
        /// A lock around `value`.
        #[inline]
        pub const fn new(value: T) -> Mutex<T> {
            Mutex(SpinMutex::new(value))
        }

        /// Waits for the lock.
        #[inline(always)]
        pub fn lock(&self) -> MutexGuard<'_, T> {
            match self.0.try_lock() {
                Some(guard) => guard,
                None => self.wait(),
            }
        }

        #[cold]
        #[inline(never)]
        fn wait(&self) -> MutexGuard<'_, T> {
            let mut round = 0;
            loop {
                match round {
                    0..50 => std::hint::spin_loop(),
                    50..60 => std::thread::yield_now(),
                    _ => std::thread::sleep(Duration::from_micros(20)),
                }
                round += 1;
                if !self.0.is_locked()
                    && let Some(guard) = self.0.try_lock()
                {
                    return guard;
                }
            }
        }

        /// The lock, unless somebody has it.
        #[inline]
        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock()
        }

        /// The value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }

        /// The value, which nobody else can reach.
        pub fn get_mut(&mut self) -> &mut T {
            self.0.get_mut()
        }
    }
}

#[cfg(feature = "model")]
mod model {
    use super::plain;
    pub use super::plain::MutexGuard;
    use shuttle::sync::atomic::{AtomicBool, Ordering};

    /// A lock before which another thread may go on. Shuttle's own lock cannot lie in a static, as
    /// the arena's does.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(plain::Mutex<T>);

    impl<T> Mutex<T> {
        /// A lock around `value`.
        pub const fn new(value: T) -> Mutex<T> {
            Mutex(plain::Mutex::new(value))
        }

        /// Waits for the lock.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            // Any use of shuttle's types is a point where the schedule can change.
            AtomicBool::new(false).load(Ordering::SeqCst);
            loop {
                if let Some(guard) = self.0.try_lock() {
                    return guard;
                }
                shuttle::thread::yield_now();
            }
        }
    }
}

/// Who may run while the process forks. Code that runs without the interpreter is [`within`];
/// a fork waits until nobody is, so that no lock of ours is held in the child by a thread that it
/// does not have.
///
/// [`within`]: fork::within
pub mod fork {
    use std::cell::RefCell;
    use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

    static GATE: RwLock<()> = RwLock::new(());

    thread_local! {
        /// This thread's share of the gate.
        static SHARE: RefCell<Option<RwLockReadGuard<'static, ()>>> = const { RefCell::new(None) };
        /// The whole gate, as long as this thread forks, and how often it was asked for.
        static STILL: RefCell<Still> = const { RefCell::new((0, None)) };
    }

    type Still = (usize, Option<RwLockWriteGuard<'static, ()>>);

    /// Sets the share back as it was.
    struct Back(bool);

    impl Drop for Back {
        fn drop(&mut self) {
            share(self.0);
        }
    }

    /// Takes a share, or lets it go; tells whether there was one.
    fn share(wanted: bool) -> bool {
        SHARE.with_borrow_mut(|share| {
            let had = share.is_some();
            if had != wanted {
                // Whose fork it is runs code of the program before and after: that waits for nobody.
                let takes = wanted && !forks();
                *share = takes.then(|| GATE.read().unwrap_or_else(PoisonError::into_inner));
            }
            had
        })
    }

    /// Runs `body`, during which no other thread forks.
    pub fn within<R>(body: impl FnOnce() -> R) -> R {
        let _back = Back(share(true));
        body()
    }

    /// Runs `body`, which waits for other threads or for the interpreter, inside of [`within`].
    pub fn outside<R>(body: impl FnOnce() -> R) -> R {
        let _back = Back(share(false));
        body()
    }

    /// Whether this thread has the gate.
    fn forks() -> bool {
        STILL.with_borrow(|still| still.0 > 0)
    }

    /// Counts one more [`go_on`] to come, with the guard if it is the first.
    fn count(guard: Option<RwLockWriteGuard<'static, ()>>) {
        STILL.with_borrow_mut(|(times, held)| {
            *times += 1;
            if guard.is_some() {
                *held = guard;
            }
        });
    }

    /// Waits until no thread is [`within`], and keeps others from entering until [`go_on`].
    pub fn hold_still() {
        count((!forks()).then(|| GATE.write().unwrap_or_else(PoisonError::into_inner)));
    }

    /// As [`hold_still`], where that takes no time; tells whether it did.
    pub fn is_still() -> bool {
        if forks() {
            count(None);
            return true;
        }
        let guard = match GATE.try_write() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        count(Some(guard));
        true
    }

    /// Ends one [`hold_still`], in the parent and in the child.
    pub fn go_on() {
        STILL.with_borrow_mut(|(times, held)| {
            *times = times.saturating_sub(1);
            if *times == 0 {
                *held = None;
            }
        });
    }
}
