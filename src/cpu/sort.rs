//! Sorting and selecting along a dimension: radix sort of words for long lines, std's for short
//! ones. Work is cut by sizes alone, so results are the same for every number of threads.

use super::lines::Lines;
use super::map::Start;
use super::plan::GRAIN;
use super::pool;
use super::word::{DIGITS, Word, element};
use crate::error::Result;
use crate::tensor::{DType, Element, Tensor};
use std::mem::MaybeUninit;
use std::ops::Range;

/// From so many elements on the digits pay.
const RADIX_FROM: usize = 4096;
/// Into how many parts at most a line is cut for threads; each has counts of its own.
const PARTS: usize = 16;
/// Bytes of memory for words that lines sorted at a time may need together.
const SCRATCH: usize = 256 << 20;

/// One line of elements.
#[derive(Clone, Copy)]
struct Line<T> {
    from: *const T,
    step: isize,
    len: usize,
}

// SAFETY: elements are only read.
unsafe impl<T> Send for Line<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Line<T> {}

impl<T: Element> Line<T> {
    #[inline(always)]
    fn at(&self, k: usize) -> T {
        debug_assert!(k < self.len);
        // SAFETY: the line lies inside its tensor, and words hold indices of its elements.
        unsafe { self.from.offset(k as isize * self.step).read() }
    }

    #[inline(always)]
    fn word<W: Word>(&self, k: usize, flip: bool) -> W {
        W::of(self.at(k), k, flip)
    }

    #[inline(always)]
    fn element<W: Word>(&self, word: W, flip: bool) -> T {
        element(word.key(flip), || self.at(word.index()))
    }
}

/// Where results of a line go.
#[derive(Clone, Copy)]
struct Target<T> {
    values: (*mut T, isize),
    indices: (*mut i64, isize),
}

// SAFETY: every result is written by one thread.
unsafe impl<T> Send for Target<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Target<T> {}

impl<T: Element> Target<T> {
    /// Writes result `k`.
    ///
    /// # Safety
    /// There are more than `k` results.
    #[inline(always)]
    unsafe fn put(&self, k: usize, value: T, index: usize) {
        // SAFETY: the caller's.
        unsafe {
            self.values
                .0
                .offset(k as isize * self.values.1)
                .write(value);
            self.indices
                .0
                .offset(k as isize * self.indices.1)
                .write(index as i64);
        }
    }
}

macro_rules! with_word {
    ($t:ty, $len:expr, $w:ident => $body:expr) => {
        if size_of::<$t>() <= 4 && $len <= u32::MAX as usize {
            type $w = u64;
            $body
        } else {
            type $w = u128;
            $body
        }
    };
}

/// Room for words, to be written before it is read.
type Room<W> = [MaybeUninit<W>];
/// What to do with a line.
type OnLine<'a, T, W> = dyn Fn(Line<T>, Target<T>, &mut Room<W>, bool) + Sync + 'a;

/// Calls `body` for each line of `x` with room for `words` words; the flag tells whether the line
/// may use threads itself.
fn for_lines<T: Element, W: Word>(
    op: &str,
    [x, values, indices]: [&Tensor; 3],
    dim: usize,
    words: usize,
    body: &OnLine<'_, T, W>,
) -> Result<()> {
    let lines = Lines::new([x, values, indices], dim);
    let (from, to, at) = (
        Start::<T>::of(x),
        Start::<T>::of(values),
        Start::<i64>::of(indices),
    );
    let bytes = (words * size_of::<W>()).max(1);
    let alone = lines.outer < 4 && lines.len > GRAIN;
    let tasks = if alone || lines.outer * lines.len < GRAIN {
        1
    } else {
        lines.outer.min(4 * PARTS).min((SCRATCH / bytes).max(2))
    };
    let memory = Tensor::empty(op, DType::U8, &[(tasks * bytes) as i64 + 16])?;
    let base = Start::<u8>::of(&memory);
    let each = lines.outer.div_ceil(tasks);
    pool::run(tasks, |t| {
        // SAFETY: behind the next multiple of 16 the memory has `tasks * bytes` bytes, and each task
        // takes its own; what they hold is not looked at.
        let room = unsafe {
            let start = base.ptr().add(base.ptr().align_offset(16)).add(t * bytes);
            std::slice::from_raw_parts_mut(start.cast::<MaybeUninit<W>>(), words)
        };
        let range = lines.outer.min(t * each)..lines.outer.min((t + 1) * each);
        for [offset, out, place] in lines.walk(range) {
            // SAFETY: lines of the geometry.
            let (line, target) = unsafe {
                let line = Line {
                    from: from.ptr().offset(offset).cast_const(),
                    step: lines.steps[0],
                    len: lines.len,
                };
                let target = Target {
                    values: (to.ptr().offset(out), lines.steps[1]),
                    indices: (at.ptr().offset(place), lines.steps[2]),
                };
                (line, target)
            };
            body(line, target, room, alone);
        }
    });
    Ok(())
}

/// The words of a line, in its order.
fn pack<T: Element, W: Word>(line: Line<T>, room: &mut Room<W>, flip: bool) -> &mut [W] {
    let room = &mut room[..line.len];
    for (k, slot) in room.iter_mut().enumerate() {
        slot.write(line.word(k, flip));
    }
    // SAFETY: every slot has just been written.
    unsafe { room.assume_init_mut() }
}

/// Words of which threads write different ones.
struct Words<W>(*mut W);

impl<W> Clone for Words<W> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<W> Copy for Words<W> {}
// SAFETY: the sort below gives every thread places of its own.
unsafe impl<W> Send for Words<W> {}
// SAFETY: as above.
unsafe impl<W> Sync for Words<W> {}

impl<W: Word> Words<W> {
    fn ptr(self) -> *mut W {
        self.0
    }
}

/// The words of a line, sorted. `room` has two for each element.
fn sorted<T: Element, W: Word>(
    line: Line<T>,
    room: &mut Room<W>,
    flip: bool,
    threads: bool,
) -> &mut [W] {
    let len = line.len;
    // Counts have 32 bits.
    if len < RADIX_FROM || len > u32::MAX as usize {
        let words = pack(line, room, flip);
        words.sort_unstable();
        return words;
    }
    let (a, b) = room.split_at_mut(len);
    let mut a = Words(a.as_mut_ptr().cast::<W>());
    let mut b = Words(b.as_mut_ptr().cast::<W>());
    let each = part(len, threads);
    for pass in 0..W::passes() {
        let counts = pool::map_chunks(len, each, |range| {
            let mut counts = [0u32; DIGITS];
            for k in range {
                // SAFETY: `k < len`; words are written in the first pass, read in the others.
                let word: W = unsafe {
                    if pass == 0 {
                        a.ptr().add(k).write(line.word(k, flip));
                    }
                    a.ptr().add(k).read()
                };
                counts[word.digit(pass)] += 1;
            }
            counts
        });
        let Some(starts) = starts(counts, len) else {
            continue;
        };
        pool::for_chunks(len, each, |range| {
            let mut next = starts[range.start / each];
            for k in range {
                // SAFETY: the counts give every word a place of its own below `len`.
                unsafe {
                    let word = a.ptr().add(k).read();
                    let place = &mut next[word.digit(pass)];
                    b.ptr().add(*place as usize).write(word);
                    *place += 1;
                }
            }
        });
        std::mem::swap(&mut a, &mut b);
    }
    // SAFETY: `a` holds all words, in one half of the room, which is borrowed as long.
    unsafe { std::slice::from_raw_parts_mut(a.ptr(), len) }
}

/// How many elements of a line are worked on at a time.
fn part(len: usize, threads: bool) -> usize {
    if threads {
        len.div_ceil(PARTS).max(GRAIN)
    } else {
        len
    }
}

/// Where each part's words go by digit; none when all have the same digit.
fn starts(mut counts: Vec<[u32; DIGITS]>, len: usize) -> Option<Vec<[u32; DIGITS]>> {
    let mut next = 0u32;
    for digit in 0..DIGITS {
        let before = next;
        for part in &mut counts {
            let count = part[digit];
            part[digit] = next;
            next += count;
        }
        if (next - before) as usize == len {
            return None;
        }
    }
    Some(counts)
}

/// The word that `k` others precede.
fn kth<T: Element, W: Word>(
    line: Line<T>,
    k: usize,
    room: &mut Room<W>,
    flip: bool,
    threads: bool,
) -> W {
    if line.len < RADIX_FROM || line.len > u32::MAX as usize {
        return *pack(line, room, flip).select_nth_unstable(k).1;
    }
    let each = part(line.len, threads);
    let counts = pool::map_chunks(line.len, each, |range| {
        let mut counts = [0u32; DIGITS];
        for k in range {
            counts[line.word::<W>(k, flip).top()] += 1;
        }
        counts
    });
    let count = |digit: usize| {
        counts
            .iter()
            .map(|part| part[digit] as usize)
            .sum::<usize>()
    };
    let (mut digit, mut before) = (0, 0);
    while before + count(digit) <= k {
        before += count(digit);
        digit += 1;
    }
    // Only words with that digit can be the one.
    let some = count(digit);
    let mut starts = Vec::with_capacity(counts.len());
    let mut start = 0;
    for part in &counts {
        starts.push(start);
        start += part[digit] as usize;
    }
    starts.push(start);
    let to = Words(room.as_mut_ptr().cast::<W>());
    pool::for_chunks(line.len, each, |range: Range<usize>| {
        let (mut next, end) = (starts[range.start / each], starts[range.start / each + 1]);
        let first = range.start;
        for k in range {
            let word = line.word::<W>(k, flip);
            // Another thread may write the elements, so the count is a bound and not a promise.
            if word.top() == digit && next < end {
                // SAFETY: the counts give every word a place of its own below `some`.
                unsafe { to.ptr().add(next).write(word) };
                next += 1;
            }
        }
        for place in next..end {
            // SAFETY: as above.
            unsafe { to.ptr().add(place).write(line.word(first, flip)) };
        }
    });
    // SAFETY: `some` words were written.
    let words = unsafe { room[..some].assume_init_mut() };
    *words.select_nth_unstable(k - before).1
}

/// Sorts along `dim`, keeping equal elements in their order.
///
/// # Errors
/// No memory to work in.
pub fn sort<T: Element>(
    op: &str,
    tensors: [&Tensor; 3],
    dim: usize,
    descending: bool,
) -> Result<()> {
    let len = tensors[0].sizes()[dim] as usize;
    let words = if len < RADIX_FROM { len } else { 2 * len };
    with_word!(T, len, W => for_lines::<T, W>(op, tensors, dim, words, &|line, target, room, threads| {
        let words: &[W] = sorted(line, room, descending, threads);
        pool::for_chunks(len, part(len, threads), |range| {
            for k in range {
                let (value, index) = (line.element(words[k], descending), words[k].index());
                // SAFETY: `k < len`.
                unsafe { target.put(k, value, index) };
            }
        });
    }))
}

/// The element that `k` others precede in a stable sort along `dim`.
///
/// # Errors
/// No memory to work in.
pub fn select<T: Element>(op: &str, tensors: [&Tensor; 3], dim: usize, k: usize) -> Result<()> {
    let len = tensors[0].sizes()[dim] as usize;
    with_word!(T, len, W => for_lines::<T, W>(op, tensors, dim, len, &|line, target, room, threads| {
        let word = kth(line, k, room, false, threads);
        // SAFETY: each line has one result.
        unsafe { target.put(0, line.element(word, false), word.index()) };
    }))
}

/// The first `k` elements of a stable sort along `dim`; in their order, or in that of the tensor.
///
/// # Errors
/// No memory to work in.
pub fn top<T: Element>(
    op: &str,
    tensors: [&Tensor; 3],
    dim: usize,
    k: usize,
    largest: bool,
    in_order: bool,
) -> Result<()> {
    let len = tensors[0].sizes()[dim] as usize;
    with_word!(T, len, W => for_lines::<T, W>(op, tensors, dim, len, &|line, target, room, threads| {
        let last = kth(line, k - 1, room, largest, threads);
        let mut found = 0;
        for i in 0..len {
            let word: W = line.word(i, largest);
            if word <= last && found < k {
                room[found].write(word);
                found += 1;
            }
        }
        // Fewer only if another thread writes the elements meanwhile.
        for slot in &mut room[found.min(k)..k] {
            slot.write(last);
        }
        // SAFETY: so many were written.
        let words = unsafe { room[..k].assume_init_mut() };
        if in_order {
            words.sort_unstable();
        }
        for (i, word) in words.iter().enumerate() {
            // SAFETY: there are `k` results.
            unsafe { target.put(i, line.element(*word, largest), word.index()) };
        }
    }))
}

/// The most frequent element along `dim`, the smallest of several, and where it is last.
///
/// # Errors
/// No memory to work in.
pub fn mode<T: Element>(op: &str, tensors: [&Tensor; 3], dim: usize) -> Result<()> {
    let len = tensors[0].sizes()[dim] as usize;
    let words = if len < RADIX_FROM { len } else { 2 * len };
    with_word!(T, len, W => for_lines::<T, W>(op, tensors, dim, words, &|line, target, room, threads| {
        let words: &[W] = sorted(line, room, false, threads);
        let (mut best, mut most, mut run) = (words[0], 0, 0);
        for (i, &word) in words.iter().enumerate() {
            run += 1;
            let ends = words.get(i + 1).is_none_or(|next| next.key(false) != word.key(false));
            if ends {
                if run > most {
                    (best, most) = (word, run);
                }
                run = 0;
            }
        }
        // SAFETY: each line has one result.
        unsafe { target.put(0, line.element(best, false), best.index()) };
    }))
}
