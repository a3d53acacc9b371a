//! Memory, order, errors and repeated runs.

use super::*;
use crate::error::Error;

fn info(name: &str, is_software: bool) -> AdapterInfo {
    AdapterInfo {
        name: name.into(),
        backend: "vulkan".into(),
        driver: String::new(),
        is_software,
    }
}

#[test]
fn the_setting_chooses_an_adapter() {
    let list = [info("llvmpipe (LLVM 15)", true), info("NVIDIA H100", false)];
    let choose = |s: &str| super::super::adapter::choose(s, &list);
    assert_eq!(choose("auto"), Ok(1));
    assert_eq!(choose(""), Ok(1));
    assert_eq!(choose("software"), Ok(0));
    assert_eq!(choose("0"), Ok(0));
    assert_eq!(choose("h100"), Ok(1));
    assert!(
        choose("off")
            .unwrap_err()
            .to_string()
            .contains("RGRAD_GPU=off")
    );
    assert!(
        choose("radeon")
            .unwrap_err()
            .to_string()
            .contains("names no adapter")
    );
    let only = super::super::adapter::choose("auto", &list[..1])
        .unwrap_err()
        .to_string();
    assert!(only.contains("RGRAD_GPU=software"), "{only}");
    assert!(super::super::adapter::choose("software", &list[1..]).is_err());
}

#[test]
fn bytes_go_there_and_back() {
    let Some(_turn) = turn() else { return };
    let buffer = alloc(11).unwrap();
    upload(&buffer, 0, &[9; 11]).unwrap();
    upload(&buffer, 3, &[1, 2, 3]).unwrap();
    upload(&buffer, 9, &[4, 5]).unwrap();
    let mut all = [0; 11];
    download(&buffer, 0, &mut all).unwrap();
    assert_eq!(all, [9, 9, 9, 1, 2, 3, 9, 9, 9, 4, 5]);
    let mut part = [0; 5];
    download(&buffer, 2, &mut part).unwrap();
    assert_eq!(part, [9, 1, 2, 3, 9]);
    assert!(upload(&buffer, 10, &[0, 0]).is_err());
    assert!(download(&buffer, 12, &mut part).is_err());
}

#[test]
fn host_writes_keep_their_place_in_the_stream() {
    let Some(_turn) = turn() else { return };
    let x = T::new(DType::F32, &[4], Layout::Plain, &[1.0; 4]);
    let y = T::zeros(DType::F32, &[4], Layout::Plain);
    map(
        &Formula::new("add", "a + 1.0"),
        &[&x.view()],
        &[],
        &y.view(),
    )
    .unwrap();
    // The recorded addition must still see the ones.
    upload(&x.buffer, 0, &bytes_of(DType::F32, &[50.0; 4])).unwrap();
    assert_eq!(y.values(), [2.0; 4]);
}

#[test]
fn memory_is_reused_and_counted() {
    let Some(_turn) = turn() else { return };
    synchronize().unwrap();
    let base = counters();
    let step = || {
        let x = T::new(DType::F32, &[64], Layout::Plain, &[1.0; 64]);
        let y = T::zeros(DType::F32, &[64], Layout::Plain);
        map(
            &Formula::new("exp", "exp_(a)"),
            &[&x.view()],
            &[],
            &y.view(),
        )
        .unwrap();
    };
    step();
    let first = counters();
    assert_eq!(
        (first.live_buffers, first.live_bytes),
        (base.live_buffers, base.live_bytes)
    );
    for _ in 0..200 {
        step();
    }
    let last = counters();
    assert_eq!(last.free_bytes, first.free_bytes);
    assert_eq!(last.bind_groups, first.bind_groups);
    assert_eq!(last.pipelines, first.pipelines);
    assert_eq!(last.dispatches - first.dispatches, 200);
    assert!(last.submits - first.submits <= 400);
    empty_cache();
    assert_eq!((counters().free_bytes, counters().free_buffers), (0, 0));
    step();
    synchronize().unwrap();
}

#[test]
fn runs_repeat_bit_for_bit() {
    let Some(_turn) = turn() else { return };
    let p = numbers(64 * 300, 41);
    let x = T::new(DType::F32, &[64, 300], Layout::Plain, &p);
    let run = || {
        let c = T::zeros(DType::F32, &[64, 64], Layout::Plain);
        let t = Operand {
            sizes: &[300, 64],
            strides: &[1, 300],
            ..x.view()
        };
        matmul("mm", &x.view(), &t, &c.view(), 1.0, 0.0).unwrap();
        let y = T::zeros(DType::F32, &[64, 64], Layout::Plain);
        softmax("softmax", &c.view(), 1, true, &y.view()).unwrap();
        let s = T::zeros(DType::F32, &[1], Layout::Plain);
        fold("sum", Reduce::Sum, &y.view(), None, &s.view()).unwrap();
        (
            y.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            s.values()[0].to_bits(),
        )
    };
    let first = run();
    for _ in 0..5 {
        assert_eq!(run(), first);
    }
}

#[test]
fn misuse_is_an_error_that_names_the_op() {
    let Some(_turn) = turn() else { return };
    let x = T::zeros(DType::F32, &[2, 3], Layout::Plain);
    let y = T::zeros(DType::F32, &[6], Layout::Plain);
    let f = Formula::new("exp", "exp_(a)");
    let e = map(&f, &[&x.view()], &[], &y.view()).unwrap_err();
    assert_eq!(
        e.to_string(),
        "exp: a is 2 x 3 but the result is 6; expand one first"
    );
    for dtype in [DType::F64, DType::I8, DType::I16] {
        let odd = Operand { dtype, ..x.view() };
        let e = map(&f, &[&odd], &[], &odd).unwrap_err();
        assert!(
            matches!(&e, Error::Type(t) if t.starts_with("exp: ")),
            "{e}"
        );
    }
    let outside = Operand {
        offset: 5,
        ..y.view()
    };
    let e = map(&f, &[&outside], &[], &y.view()).unwrap_err();
    assert!(e.to_string().contains("reaches element"), "{e}");
    let e = map(
        &Formula::new("broken", "a +* b"),
        &[&y.view()],
        &[],
        &y.view(),
    )
    .unwrap_err();
    assert!(
        e.to_string()
            .starts_with("broken: its shader map1 does not compile"),
        "{e}"
    );
    synchronize().unwrap();
    let e = alloc(1 << 50).unwrap_err();
    assert!(matches!(e, Error::Memory(_)), "{e}");
}

#[test]
fn threads_share_the_stream() {
    let Some(_turn) = turn() else { return };
    std::thread::scope(|s| {
        for t in 0..4 {
            s.spawn(move || {
                for i in 0..40 {
                    let v = f64::from(t * 100 + i);
                    let x = T::new(DType::F32, &[33], Layout::Plain, &[v; 33]);
                    map(
                        &Formula::new("add", "a + 1.0"),
                        &[&x.view()],
                        &[],
                        &x.view(),
                    )
                    .unwrap();
                    assert_eq!(x.values(), [v + 1.0; 33]);
                }
            });
        }
    });
}

/// Nanoseconds that this thread has been running; waiting for a software GPU does not count.
fn running() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|v| v.parse().ok())
        .unwrap_or(f64::NAN)
}

/// The host's cost of an enqueued op. Run alone, in release:
/// `cargo test --release --lib enqueue -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn enqueue_cost() {
    let Some(_turn) = turn() else { return };
    let x = T::new(DType::F32, &[64], Layout::Plain, &numbers(64, 42));
    let y = T::zeros(DType::F32, &[64], Layout::Plain);
    let f = Formula::new("add", "a + p0");
    let add = || map(&f, &[&x.view()], &[Scalar::F32(1.0)], &y.view()).unwrap();
    let (mut host, mut record, mut wall) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..20 {
        synchronize().unwrap();
        let (start, clock) = (running(), std::time::Instant::now());
        (0..2000).for_each(|_| add());
        host = host.min((running() - start) / 2000.0);
        wall = wall.min(clock.elapsed().as_secs_f64() * 1e9 / 2000.0);
        synchronize().unwrap();
        add();
        let clock = std::time::Instant::now();
        (0..60).for_each(|_| add());
        record = record.min(clock.elapsed().as_secs_f64() * 1e9 / 60.0);
    }
    let mut item = f64::MAX;
    for _ in 0..200 {
        add();
        let start = std::time::Instant::now();
        download(&y.buffer, 0, &mut [0; 4]).unwrap();
        item = item.min(start.elapsed().as_secs_f64());
    }
    println!(
        "an op: {record:.0} ns to record, {host:.0} ns of the host with submits, {wall:.0} ns until done; item: {:.1} us",
        item * 1e6
    );
}
