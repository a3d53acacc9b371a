//! The caching allocator behind CPU storages.
//!
//! A freed block waits in a list of its size class and is handed out again first, still warm: fresh
//! pages cost ten times what streaming through old ones does. Blocks up to 64 KiB are pieces of
//! slabs with a front per thread; larger ones are mappings of their own. What waits never exceeds
//! [`limit`]; above it the longest unused memory goes back to the system.

use crate::error::Error;
use crate::lock::plain::{Mutex, MutexGuard};
use memmap2::MmapMut;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};
use std::sync::{Arc, OnceLock};

/// Every block starts at a multiple of this: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

/// Classes below this one are pieces of slabs (up to 64 KiB).
const SMALL: usize = 64;
/// Enough classes for every size below 2^57 bytes.
const CLASSES: usize = 400;
/// What may always wait in the lists.
const FLOOR: usize = 256 << 20;
/// From here on the system is asked for huge pages.
const HUGE: usize = 2 << 20;
/// Bytes of a slab, and of what one thread keeps of one class.
const SLAB: usize = 64 << 10;

/// The system has no room for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    /// What was asked for.
    pub bytes: usize,
}

impl From<NoRoom> for Error {
    fn from(e: NoRoom) -> Error {
        Error::Memory(format!("there is no room for {} more bytes", e.bytes))
    }
}

/// A cache line of a slab. Atomics make writes through shared slabs sound without `unsafe`.
#[derive(Default)]
#[repr(C, align(64))]
struct Line([AtomicU64; 8]);

/// A run of equal pieces; it dies with the last of them.
struct Slab {
    lines: Box<[Line]>,
    pieces: u32,
    /// How many of the pieces wait in the shared list.
    waiting: AtomicU32,
}

impl Drop for Slab {
    fn drop(&mut self) {
        MAPPED.fetch_sub(self.lines.len() * ALIGN, Relaxed);
    }
}

struct Piece {
    slab: Arc<Slab>,
    first_line: u32,
}

/// A mapping that waits, with the tick at which it came.
struct Waiting {
    map: Box<MmapMut>,
    since: u64,
}

/// Blocks and bytes in use, written by one thread only, read by all.
#[derive(Default)]
struct Tally {
    live: AtomicI64,
}

impl Tally {
    #[inline]
    fn add(&self, bytes: i64) {
        // One writer: a plain add, four times cheaper than a locked one.
        self.live.store(self.live.load(Relaxed) + bytes, Relaxed);
    }
}

/// The shared lists. One lock is enough: small blocks pass it in batches.
struct Shared {
    small: [Vec<Piece>; SMALL],
    large: [VecDeque<Waiting>; CLASSES - SMALL],
    large_bytes: usize,
    tick: u64,
    peak: usize,
    /// Small pieces are not swept again before this much waits.
    sweep_at: usize,
    tallies: Vec<Arc<Tally>>,
    /// In use by threads that ended.
    settled: i64,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared {
    small: [const { Vec::new() }; SMALL],
    large: [const { VecDeque::new() }; CLASSES - SMALL],
    large_bytes: 0,
    tick: 0,
    peak: 0,
    sweep_at: FLOOR,
    tallies: Vec::new(),
    settled: 0,
});

/// Bytes that the system lent us, used or waiting.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

impl Shared {
    fn live(&self) -> usize {
        let sum: i64 = self.tallies.iter().map(|t| t.live.load(Relaxed)).sum();
        (sum + self.settled).max(0) as usize
    }

    fn waiting(&self) -> usize {
        MAPPED.load(Relaxed).saturating_sub(self.live())
    }

    fn limit(&self) -> usize {
        FLOOR.max(self.peak / 4 * 3)
    }

    /// Notes that the system lent `more` bytes. Only what it really lent counts: a size it refuses
    /// must neither raise the limit nor make the lists look full.
    fn grow(&mut self, more: usize) {
        self.peak = self.peak.max(self.live() + more);
        MAPPED.fetch_add(more, Relaxed);
    }

    /// Moves the longest unused memory above `limit` to `dead`, to be dropped after the lock.
    fn shrink(&mut self, limit: usize, dead: &mut Dead) {
        let mut waiting = self.waiting();
        while waiting > limit && self.large_bytes > 0 {
            let oldest = (0..self.large.len())
                .filter_map(|c| self.large[c].front().map(|w| (w.since, c)))
                .min();
            let Some((_, class)) = oldest else { break };
            let Some(gone) = self.large[class].pop_front() else {
                break;
            };
            self.large_bytes -= gone.map.len();
            waiting -= gone.map.len();
            dead.maps.push(*gone.map);
        }
        if waiting > limit.max(self.sweep_at) || limit == 0 {
            for (class, list) in self.small.iter_mut().enumerate() {
                let before = dead.pieces.len();
                dead.pieces
                    .extend(list.extract_if(.., |p| p.slab.waiting.load(Relaxed) == p.slab.pieces));
                let swept = (dead.pieces.len() - before) * class_bytes(class);
                waiting = waiting.saturating_sub(swept);
            }
            // A list of fragments must not be walked again at every free.
            self.sweep_at = FLOOR.max(limit).max(waiting / 4 * 5);
        }
    }
}

/// What leaves the cache.
#[derive(Default)]
struct Dead {
    maps: Vec<MmapMut>,
    pieces: Vec<Piece>,
}

impl Dead {
    /// Gives the memory back; the lock must not be held.
    fn bury(self) {
        let bytes: usize = self.maps.iter().map(|m| m.len()).sum();
        drop(self.maps);
        MAPPED.fetch_sub(bytes, Relaxed);
    }
}

/// The size class of `bytes`: eight steps in every doubling, so at most an eighth is wasted.
#[inline]
fn class_of(bytes: usize) -> usize {
    let n = bytes.saturating_sub(1) / ALIGN;
    if n < 8 {
        return n;
    }
    let e = n.ilog2() as usize - 3;
    e * 8 + (n >> e)
}

/// The bytes of a block of `class`.
#[inline]
const fn class_bytes(class: usize) -> usize {
    if class < 8 {
        return (class + 1) * ALIGN;
    }
    let e = class / 8 - 1;
    ((class % 8 + 9) << e) * ALIGN
}

/// How many pieces of `class` one thread keeps for itself.
#[inline]
const fn front_size(class: usize) -> usize {
    let n = SLAB / class_bytes(class);
    if n < 2 { 2 } else { n }
}

/// What one thread keeps: no lock, no atomic read-modify-write.
struct Front {
    lists: [Vec<Piece>; SMALL],
    tally: Arc<Tally>,
}

/// What a thread runs before its first tensor.
static AT_FIRST: OnceLock<fn()> = OnceLock::new();

/// Sets what each thread runs before its first tensor.
pub fn on_new_threads(run: fn()) {
    let _ = AT_FIRST.set(run);
}

impl Front {
    fn new() -> Front {
        if let Some(run) = AT_FIRST.get() {
            run();
        }
        let tally = Arc::new(Tally::default());
        SHARED.lock().tallies.push(tally.clone());
        Front {
            lists: [const { Vec::new() }; SMALL],
            tally,
        }
    }

    /// Fills the empty list of `class` from the shared one, or from a new slab.
    #[cold]
    fn refill(&mut self, class: usize) -> Result<Piece, NoRoom> {
        let list = &mut self.lists[class];
        let mut shared = SHARED.lock();
        let from = &mut shared.small[class];
        let keep = from.len().saturating_sub(front_size(class) / 2);
        list.extend(from.drain(keep..).inspect(|p| {
            p.slab.waiting.fetch_sub(1, Relaxed);
        }));
        if let Some(piece) = list.pop() {
            return Ok(piece);
        }
        drop(shared);
        let (first, rest) = cut(class)?;
        list.extend(rest);
        Ok(first)
    }

    #[cold]
    fn spill(&mut self, class: usize) {
        let list = &mut self.lists[class];
        share(class, list.drain(..list.len() / 2));
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        for (class, list) in self.lists.iter_mut().enumerate() {
            share(class, list.drain(..));
        }
        let mut shared = SHARED.lock();
        shared.settled += self.tally.live.load(Relaxed);
        shared.tallies.retain(|t| !Arc::ptr_eq(t, &self.tally));
    }
}

thread_local! {
    static FRONT: RefCell<Front> = RefCell::new(Front::new());
}

/// A new slab of `class`: its first piece and the others, last first.
fn cut(class: usize) -> Result<(Piece, impl Iterator<Item = Piece>), NoRoom> {
    let bytes = class_bytes(class);
    let pieces = (SLAB / bytes).max(4);
    let total = pieces * bytes;
    let mut lines: Vec<Line> = Vec::new();
    lines
        .try_reserve_exact(total / ALIGN)
        .map_err(|_| NoRoom { bytes })?;
    lines.resize_with(total / ALIGN, Line::default);
    SHARED.lock().grow(total);
    let slab = Arc::new(Slab {
        lines: lines.into_boxed_slice(),
        pieces: pieces as u32,
        waiting: AtomicU32::new(0),
    });
    let step = (bytes / ALIGN) as u32;
    let first = Piece {
        slab: slab.clone(),
        first_line: 0,
    };
    let rest = (1..pieces as u32).rev().map(move |i| Piece {
        slab: slab.clone(),
        first_line: i * step,
    });
    Ok((first, rest))
}

/// Puts pieces into the shared list.
fn share(class: usize, pieces: impl Iterator<Item = Piece>) {
    let mut dead = Dead::default();
    let mut shared = SHARED.lock();
    shared.small[class].extend(pieces.inspect(|p| {
        p.slab.waiting.fetch_add(1, Relaxed);
    }));
    let limit = shared.limit();
    shared.shrink(limit, &mut dead);
    drop(shared);
    dead.bury();
}

/// Adds to the number of bytes in use.
#[inline]
fn count(bytes: i64) {
    if FRONT.try_with(|f| f.borrow().tally.add(bytes)).is_err() {
        SHARED.lock().settled += bytes;
    }
}

enum Home {
    Piece(Piece),
    Map(Box<MmapMut>),
}

/// Memory that is its owner's alone; dropped, it waits for the next block of its class.
pub struct Block {
    // Atomic only because a plain pointer would not be `Send`.
    base: AtomicPtr<u8>,
    bytes: usize,
    class: u16,
    is_zero: bool,
    home: Option<Home>,
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Block({} bytes at {:p})", self.bytes, self.as_ptr())
    }
}

impl Block {
    /// The first byte, a multiple of [`ALIGN`]; never null, also for no bytes.
    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.base.load(Relaxed)
    }

    /// The first byte, to write through. Who shares a block keeps readers and writers apart.
    #[inline]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.base.load(Relaxed)
    }

    /// The bytes asked for.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The mapping that it is, if it is not a piece of a slab.
    pub(super) fn mapping(&self) -> Option<&MmapMut> {
        match &self.home {
            Some(Home::Map(map)) => Some(map),
            _ => None,
        }
    }

    /// The bytes there are: a storage may grow into them.
    #[inline]
    pub fn capacity(&self) -> usize {
        class_bytes(self.class as usize)
    }

    #[inline]
    fn of_piece(piece: Piece, bytes: usize, class: usize) -> Block {
        let start = &piece.slab.lines[piece.first_line as usize..];
        let base = AtomicPtr::new(start.as_ptr().cast_mut().cast());
        Block {
            base,
            bytes,
            class: class as u16,
            is_zero: false,
            home: Some(Home::Piece(piece)),
        }
    }

    fn of_map(mut map: Box<MmapMut>, bytes: usize, class: usize, is_zero: bool) -> Block {
        let base = AtomicPtr::new(map.as_mut_ptr());
        Block {
            base,
            bytes,
            class: class as u16,
            is_zero,
            home: Some(Home::Map(map)),
        }
    }
}

impl Drop for Block {
    #[inline]
    fn drop(&mut self) {
        let class = self.class as usize;
        match self.home.take() {
            Some(Home::Piece(piece)) => give_small(piece, class),
            Some(Home::Map(map)) => give_large(map, class),
            None => {}
        }
    }
}

#[inline]
fn give_small(piece: Piece, class: usize) {
    let mut piece = Some(piece);
    let _ = FRONT.try_with(|front| {
        let mut front = front.borrow_mut();
        front.tally.add(-(class_bytes(class) as i64));
        front.lists[class].extend(piece.take());
        if front.lists[class].len() > front_size(class) {
            front.spill(class);
        }
    });
    if piece.is_some() {
        // The thread is ending and its front is gone.
        count(-(class_bytes(class) as i64));
        share(class, piece.into_iter());
    }
}

fn give_large(map: Box<MmapMut>, class: usize) {
    count(-(map.len() as i64));
    let mut dead = Dead::default();
    let mut shared = SHARED.lock();
    shared.tick += 1;
    shared.large_bytes += map.len();
    let since = shared.tick;
    shared.large[class - SMALL].push_back(Waiting { map, since });
    let limit = shared.limit();
    shared.shrink(limit, &mut dead);
    drop(shared);
    dead.bury();
}

fn take_small(bytes: usize, class: usize) -> Result<Block, NoRoom> {
    let found = FRONT.try_with(|front| {
        let mut front = front.borrow_mut();
        let piece = match front.lists[class].pop() {
            Some(piece) => piece,
            None => front.refill(class)?,
        };
        front.tally.add(class_bytes(class) as i64);
        Ok(piece)
    });
    let piece = match found {
        Ok(piece) => piece?,
        Err(_) => {
            count(class_bytes(class) as i64);
            cut(class)?.0
        }
    };
    Ok(Block::of_piece(piece, bytes, class))
}

fn take_large(bytes: usize, class: usize) -> Result<Block, NoRoom> {
    let size = class_bytes(class);
    let mut shared = SHARED.lock();
    if let Some(found) = shared.large[class - SMALL].pop_back() {
        shared.large_bytes -= size;
        drop(shared);
        count(size as i64);
        return Ok(Block::of_map(found.map, bytes, class, false));
    }
    drop(shared);
    let map = MmapMut::map_anon(size).or_else(|_| {
        trim();
        MmapMut::map_anon(size)
    });
    let map = map.map_err(|_| NoRoom { bytes })?;
    SHARED.lock().grow(size);
    #[cfg(target_os = "linux")]
    if size >= HUGE {
        // Advice only: a kernel without huge pages says no, and nothing is lost.
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    count(size as i64);
    Ok(Block::of_map(Box::new(map), bytes, class, true))
}

/// A block of at least `bytes`, with whatever values its last owner left.
#[inline]
pub fn take(bytes: usize) -> Result<Block, NoRoom> {
    let class = class_of(bytes);
    if class < SMALL {
        take_small(bytes, class)
    } else if class < CLASSES {
        take_large(bytes, class)
    } else {
        Err(NoRoom { bytes })
    }
}

/// A block of at least `bytes`, the first `bytes` of which are zero. Fresh pages are not written.
pub fn take_zeroed(bytes: usize) -> Result<Block, NoRoom> {
    let mut block = take(bytes)?;
    match &mut block.home {
        Some(Home::Piece(piece)) => {
            let lines = &piece.slab.lines[piece.first_line as usize..];
            for line in &lines[..bytes.div_ceil(ALIGN)] {
                line.0.iter().for_each(|word| word.store(0, Relaxed));
            }
        }
        Some(Home::Map(map)) if !block.is_zero => {
            map[..bytes].fill(0);
            block.base = AtomicPtr::new(map.as_mut_ptr());
        }
        _ => {}
    }
    Ok(block)
}

/// Bytes of the blocks in use, rounded up to their classes, over all threads.
pub fn live_bytes() -> usize {
    SHARED.lock().live()
}

/// Bytes that wait to be used again.
pub fn cached_bytes() -> usize {
    SHARED.lock().waiting()
}

/// The most bytes that may wait: 256 MiB, or three quarters of the most that was ever in use.
pub fn limit() -> usize {
    SHARED.lock().limit()
}

/// Gives back all waiting memory that this thread can reach, and forgets the peak.
pub fn trim() {
    let _ = FRONT.try_with(|front| {
        // A trim within a refill finds the front busy and leaves it.
        if let Ok(mut front) = front.try_borrow_mut() {
            for class in 0..SMALL {
                let all = std::mem::take(&mut front.lists[class]);
                share(class, all.into_iter());
            }
        }
    });
    let mut dead = Dead::default();
    let mut shared = SHARED.lock();
    shared.peak = shared.live();
    shared.shrink(0, &mut dead);
    drop(shared);
    dead.bury();
}

/// Keeps the lists still, so that a process can fork; to be held across the fork on both sides.
pub struct Hold(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, Shared>);

/// Waits until no thread is inside the lists. The holder must not take or drop blocks.
pub fn hold() -> Hold {
    Hold(SHARED.lock())
}

#[cfg(test)]
#[path = "alloc_tests.rs"]
mod tests;
