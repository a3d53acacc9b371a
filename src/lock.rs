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

/// The system's lock. A panic of its holder leaves it usable.
pub mod plain {
    pub use std::sync::MutexGuard;
    use std::sync::{PoisonError, TryLockError};

    /// A lock around a value.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        /// A lock around `value`.
        #[inline]
        pub const fn new(value: T) -> Mutex<T> {
            Mutex(std::sync::Mutex::new(value))
        }

        /// Waits for the lock.
        #[inline(always)]
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// The lock, unless somebody has it.
        #[inline]
        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }

        /// The value.
        pub fn into_inner(self) -> T {
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
        }

        /// The value, which nobody else can reach.
        pub fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
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
