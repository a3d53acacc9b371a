//! The look is one for the process, so these tests take turns and say when it finds something.

use super::*;
use crate::cpu::pool;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

static TURN: Mutex<()> = Mutex::new(());
static FOUND: AtomicBool = AtomicBool::new(false);

fn found() -> Result<()> {
    match FOUND.load(Relaxed) {
        true => Err(Error::Runtime("stop".into())),
        false => Ok(()),
    }
}

/// Runs `body` while looks find `is_found`.
fn with<R>(is_found: bool, body: impl FnOnce() -> R) -> R {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    look_with(found);
    FOUND.store(is_found, Relaxed);
    body()
}

/// How many of 100 tasks of 5 ms ran.
fn tasks() -> usize {
    let ran = AtomicUsize::new(0);
    pool::run(100, |_| {
        std::thread::sleep(Duration::from_millis(5));
        ran.fetch_add(1, Relaxed);
    });
    ran.into_inner()
}

#[test]
fn a_kernel_that_may_be_stopped_is() {
    for threads in [1, 2, 4] {
        pool::tests::with_threads(threads, || {
            let result = with(true, || allowed(|| Ok(tasks())));
            assert_eq!(result, Err(Error::Runtime("stop".into())));
            assert!(!is_allowed());
            assert_eq!(with(false, || allowed(|| Ok(tasks()))), Ok(100));
        });
    }
}

#[test]
fn others_are_not() {
    assert_eq!(with(true, tasks), 100);
}

#[test]
fn errors_and_panics_of_the_kernel_come_out() {
    let wrong = || Err::<(), _>(Error::Value("wrong".into()));
    assert_eq!(with(true, || allowed(wrong)), wrong());
    assert_eq!(with(false, || waiting(wrong)), wrong());
    for way in [allowed::<()>, |body: fn() -> Result<()>| waiting(body)] {
        let panic = with(false, || {
            catch_unwind(|| way(|| resume_unwind(Box::new("a bug"))))
        });
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"a bug"));
    }
}

#[test]
fn who_waits_for_a_kernel_can_go_on_without_it() {
    static ENDED: AtomicBool = AtomicBool::new(false);
    let (go_on, gone_on) = channel();
    let kernel = move || {
        gone_on.recv().expect("the test goes on");
        ENDED.store(true, Relaxed);
        Ok(())
    };
    let result = with(true, || waiting(kernel));
    assert_eq!(result, Err(Error::Runtime("stop".into())));
    assert!(!ENDED.load(Relaxed));
    go_on.send(()).expect("the kernel waits");
    assert_eq!(with(false, || waiting(|| Ok(7))), Ok(7));
}
