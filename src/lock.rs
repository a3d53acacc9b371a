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

/// A lock that is let go by a plain store, which saves the second of the two atomic operations (7
/// of 14 ns, several times in each operation) that a lock which must look for sleepers takes.
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
