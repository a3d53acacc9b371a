//! The lists are shared by the whole test program, so tests here look at blocks, or run alone.

use super::*;

/// Tests that look at the counters must not overlap.
static ALONE: Mutex<()> = Mutex::new(());

/// Waits until `holds`: tests beside this one take and free memory of their own meanwhile.
fn settles(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("{what}: {} wait, {} in use", cached_bytes(), live_bytes());
}

#[test]
fn classes_waste_at_most_an_eighth() {
    let mut last = 0;
    for class in 0..300 {
        let size = class_bytes(class);
        assert!(size > last && size.is_multiple_of(ALIGN));
        assert_eq!(class_of(size), class);
        assert_eq!(class_of(last + 1), class);
        assert!(
            last < 512 || (size - last - 1) * 8 <= last + 1,
            "class {class}: {last} to {size}"
        );
        last = size;
    }
    assert_eq!(class_bytes(SMALL - 1), 64 << 10);
    assert_eq!(class_of(0), 0);
    assert!(class_of(usize::MAX / 2) >= CLASSES);
}

#[test]
fn blocks_are_aligned_and_writable_to_the_end() {
    for bytes in [0, 1, 63, 64, 65, 4096, 65536, 65537, 3 << 20] {
        let block = take_zeroed(bytes).unwrap();
        assert_eq!(block.as_ptr() as usize % ALIGN, 0);
        assert!(block.capacity() >= bytes && block.bytes() == bytes);
    }
}

#[test]
fn a_freed_big_block_is_used_again() {
    let _alone = ALONE.lock();
    let block = take(40_000_000).unwrap();
    let at = block.as_ptr() as usize;
    drop(block);
    assert_eq!(take(40_000_000).unwrap().as_ptr() as usize, at);
    assert_eq!(take(39_999_999).unwrap().as_ptr() as usize, at);
}

#[test]
fn a_freed_small_block_is_used_again_first() {
    let block = take(4000).unwrap();
    let at = block.as_ptr() as usize;
    drop(block);
    assert_eq!(take(4000).unwrap().as_ptr() as usize, at);
}

#[test]
fn what_waits_is_bounded_and_can_be_trimmed() {
    let _alone = ALONE.lock();
    trim();
    for round in 0..8 {
        // Classes that never fit the round before.
        let blocks: Vec<Block> = (0..2)
            .map(|i| take((40 << 20) + ((round * 2 + i) << 24)).unwrap())
            .collect();
        drop(blocks);
        settles("above the limit", || cached_bytes() <= limit());
    }
    assert!(cached_bytes() > 0);
    settles("after trimming", || {
        trim();
        cached_bytes() < 8 << 20
    });
}

#[test]
fn small_blocks_are_counted_over_threads() {
    let _alone = ALONE.lock();
    let before = live_bytes();
    let blocks: Vec<Block> = (0..100_000).map(|_| take(256).unwrap()).collect();
    let during = live_bytes();
    assert!(during >= before + 20_000_000, "{before} then {during}");
    std::thread::spawn(move || drop(blocks)).join().unwrap();
    settles("in use", || live_bytes() < before + 5_000_000);
}

#[test]
fn too_much_is_refused() {
    let _alone = ALONE.lock();
    assert_eq!(take(usize::MAX).unwrap_err(), NoRoom { bytes: usize::MAX });
    assert_eq!(take(1 << 50).unwrap_err().bytes, 1 << 50);
    let text = Error::from(NoRoom { bytes: 7 }).to_string();
    assert_eq!(text, "there is no room for 7 more bytes");
}

#[test]
fn what_the_system_refuses_is_never_counted() {
    let _alone = ALONE.lock();
    let asking = std::thread::spawn(|| (0..2000).all(|_| take(1 << 50).is_err()));
    while !asking.is_finished() {
        assert!(cached_bytes() < 1 << 45, "{} waits", cached_bytes());
    }
    assert!(asking.join().unwrap());
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    for bytes in [4, 4096, 1 << 20] {
        let n = 1_000_000;
        let start = std::time::Instant::now();
        for _ in 0..n {
            std::hint::black_box(take(bytes).unwrap());
        }
        println!(
            "{bytes} bytes: {:.1} ns",
            start.elapsed().as_nanos() as f64 / n as f64
        );
    }
    let start = std::time::Instant::now();
    let all: Vec<Block> = (0..1_000_000).map(|_| take(4).unwrap()).collect();
    let taken = start.elapsed();
    drop(all);
    println!("1e6 held: take {taken:?}, with drop {:?}", start.elapsed());
}
