//! The locks of the graph: parking_lot's, or points of shuttle's schedules in the model test.

#[cfg(not(feature = "model"))]
pub use parking_lot::{Mutex, MutexGuard};

#[cfg(feature = "model")]
pub use model::{Mutex, MutexGuard};

#[cfg(feature = "model")]
mod model {
    pub use parking_lot::MutexGuard;
    use shuttle::sync::atomic::{AtomicBool, Ordering};

    /// A lock before which another thread may go on. Shuttle's own lock cannot lie in a static, as
    /// the arena's does.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(parking_lot::Mutex<T>);

    impl<T> Mutex<T> {
        /// A lock around `value`.
        pub const fn new(value: T) -> Mutex<T> {
            Mutex(parking_lot::Mutex::new(value))
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
