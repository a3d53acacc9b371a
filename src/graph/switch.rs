//! Whether operations are recorded on this thread (`no_grad`, `enable_grad`).

use std::cell::Cell;

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(true) };
}

/// Whether operations on Variables that require grad are recorded on this thread.
pub fn is_recording() -> bool {
    RECORDING.get()
}

/// Sets the switch and gives what it was.
pub fn set_recording(on: bool) -> bool {
    RECORDING.replace(on)
}

/// Runs `body` with the switch set, and sets it back even when `body` panics.
pub fn with_recording<R>(on: bool, body: impl FnOnce() -> R) -> R {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            RECORDING.set(self.0);
        }
    }
    let _back = Back(set_recording(on));
    body()
}
