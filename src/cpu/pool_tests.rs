//! The number of threads is one for the whole program, so tests that set it take turns.

use super::*;
use std::sync::atomic::AtomicU64;

static TURN: Mutex<()> = Mutex::new(());

pub fn with_threads<T>(n: usize, f: impl FnOnce() -> T) -> T {
    let _turn = TURN.lock();
    let before = threads();
    set_threads(n);
    let result = f();
    set_threads(before);
    result
}

#[test]
fn every_element_is_visited_once() {
    for n in [1, 2, 5] {
        with_threads(n, || {
            for count in [0, 1, 7, PARALLEL_FROM - 1, PARALLEL_FROM, 100_001] {
                let mut seen = vec![0u8; count];
                for_slices(&mut seen, 1000, |start, part| {
                    assert!(start.is_multiple_of(1000));
                    part.iter_mut().for_each(|s| *s += 1);
                });
                assert!(seen.iter().all(|s| *s == 1));
            }
        });
    }
}

#[test]
fn sums_have_the_same_bits_for_every_number_of_threads() {
    let values: Vec<f32> = (0..300_000).map(|i| (i as f32).sin()).collect();
    let sums: Vec<f32> = [1, 2, 3, 8]
        .into_iter()
        .map(|n| {
            with_threads(n, || {
                let parts = map_chunks(values.len(), 4096, |r| values[r].iter().sum::<f32>());
                assert_eq!(parts.len(), values.len().div_ceil(4096));
                parts.iter().sum()
            })
        })
        .collect();
    assert!(sums.iter().all(|s| s.to_bits() == sums[0].to_bits()));
}

#[test]
fn tasks_may_start_tasks() {
    let total = AtomicU64::new(0);
    with_threads(4, || {
        run(8, |i| {
            run(8, |j| {
                total.fetch_add((i * j) as u64, Relaxed);
            })
        })
    });
    assert_eq!(total.into_inner(), 28 * 28);
}

#[test]
fn a_panic_in_a_task_reaches_the_caller() {
    let caught = with_threads(3, || {
        std::panic::catch_unwind(|| run(64, |i| assert!(i != 40, "task {i}")))
    });
    assert!(caught.is_err());
    let total = AtomicUsize::new(0);
    run(64, |i| {
        total.fetch_add(i, Relaxed);
    });
    assert_eq!(total.into_inner(), 63 * 32);
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    for n in [1, 2] {
        with_threads(n, || {
            for chunks in [2, 64] {
                let rounds = 20_000;
                let start = std::time::Instant::now();
                for _ in 0..rounds {
                    run(chunks, |i| {
                        std::hint::black_box(i);
                    });
                }
                let each = start.elapsed().as_nanos() / rounds;
                println!("{n} threads, {chunks} empty tasks: {each} ns");
            }
        });
    }
}
