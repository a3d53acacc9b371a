//! Whole slices by index: taken, or written into a target. Indices are checked before; every element
//! of a target meets its sources in the order of the index, whatever the number of threads.

use super::map::Start;
use super::math::wide;
use super::plan::{GRAIN, Plan, spread};
use super::pool;
use super::transpose::{Unit, settle, write_out};
use crate::tensor::{Element, Tensor};
use smallvec::SmallVec;

/// Targets from this many bytes on are written past the cache: they would not stay in it.
const STREAM: usize = 16 << 20;

/// How many slices ahead memory is asked for: a row of a table is a miss each time.
const AHEAD: usize = 6;

/// A tensor whose dimension is indexed, and one that has a slice for each index.
struct Slices {
    sizes: SmallVec<[usize; 4]>,
    strides: SmallVec<[[isize; 2]; 4]>,
    /// Steps from slice to slice of either.
    across: [isize; 2],
    /// Elements of a run along the innermost dimension, and their steps.
    len: usize,
    steps: [isize; 2],
    outer: usize,
}

impl Slices {
    fn new(whole: &Tensor, parts: &Tensor, dim: usize) -> Slices {
        let without = |v: &[i64], one: i64| -> SmallVec<[i64; 8]> {
            let kept = v.iter().enumerate().filter(|(d, _)| *d != dim);
            let mut kept: SmallVec<[i64; 8]> = kept.map(|(_, &s)| s).collect();
            if kept.is_empty() {
                kept.push(one);
            }
            kept
        };
        let plan = Plan::over(
            &without(whole.sizes(), 1),
            [&without(whole.strides(), 1), &without(parts.strides(), 1)],
        );
        let (sizes, strides) = plan.parts();
        let last = sizes.len() - 1;
        Slices {
            sizes: SmallVec::from_slice(&sizes[..last]),
            strides: SmallVec::from_slice(&strides[..last]),
            across: [whole.strides()[dim] as isize, parts.strides()[dim] as isize],
            len: sizes[last],
            steps: strides[last],
            outer: sizes[..last].iter().product(),
        }
    }

    /// Where the run with this number starts in either.
    fn start(&self, mut outer: usize) -> [isize; 2] {
        let mut at = [0; 2];
        for d in (0..self.sizes.len()).rev() {
            let i = (outer % self.sizes[d]) as isize;
            outer /= self.sizes[d];
            for (at, stride) in at.iter_mut().zip(self.strides[d]) {
                *at += i * stride;
            }
        }
        at
    }
}

/// The numbers of a vector in a row, which were checked to be below `size`. Another thread may have
/// written them since: that gives some slice, never one outside.
fn numbers(index: &Tensor, size: i64) -> SmallVec<[i64; 8]> {
    let from = Start::<i64>::of(index);
    let step = index.strides().first().map_or(1, |&s| s as isize);
    (0..index.numel() as isize)
        // SAFETY: inside the vector.
        .map(|k| unsafe { from.ptr().offset(k * step).read() })
        .map(|v| v.clamp(0, (size - 1).max(0)))
        .collect()
}

/// Asks for the first lines of a slice that will be read soon.
#[inline(always)]
pub(super) fn ask_for<T>(at: *const T, len: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        let bytes = (len * size_of::<T>()).min(512);
        for line in (0..bytes).step_by(64) {
            // SAFETY: asking for memory never faults, wherever it is.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(at.cast::<i8>().wrapping_add(line));
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, len);
}

/// Slices of `x` along `dim` in the order of the vector `index`. Indices must be checked.
pub fn select<T: Element>(x: &Tensor, dim: usize, index: &Tensor, y: &Tensor) {
    match size_of::<T>() {
        1 => select_units::<T, u8>(x, dim, index, y),
        2 => select_units::<T, u16>(x, dim, index, y),
        4 => select_units::<T, u32>(x, dim, index, y),
        _ => select_units::<T, u64>(x, dim, index, y),
    }
}

fn select_units<T: Element, U: Unit>(x: &Tensor, dim: usize, index: &Tensor, y: &Tensor) {
    assert_eq!(size_of::<T>(), size_of::<U>(), "elements of this size");
    let (from, to) = (Start::<T>::of(x), Start::<T>::of(y));
    let (index, s) = (numbers(index, x.sizes()[dim]), Slices::new(x, y, dim));
    let stream = y.numel() * size_of::<T>() >= STREAM;
    let runs = s.outer * index.len();
    // Few long runs are cut, so that every thread has one.
    let piece = if runs < 64 { s.len.min(GRAIN) } else { s.len };
    let pieces = s.len.div_ceil(piece.max(1));
    let part = |range: std::ops::Range<usize>| {
        for task in range {
            let (i, rest) = (task % pieces * piece, task / pieces);
            let (k, outer) = (rest % index.len(), rest / index.len());
            let len = piece.min(s.len - i);
            let at = s.start(outer);
            let place = |k: usize| {
                let whole = at[0] + index[k] as isize * s.across[0] + i as isize * s.steps[0];
                from.ptr().cast::<U>().wrapping_offset(whole)
            };
            if let Some(next) = (k + AHEAD < index.len()).then(|| place(k + AHEAD)) {
                ask_for(next, len);
            }
            let out = at[1] + k as isize * s.across[1] + i as isize * s.steps[1];
            // SAFETY: indices were checked, and the plan stays inside both geometries.
            unsafe {
                let (from, to) = (place(k), to.ptr().cast::<U>().offset(out));
                if s.steps == [1, 1] && len > 4 {
                    write_out(from, to, len, stream);
                    continue;
                }
                for i in 0..len as isize {
                    to.offset(i * s.steps[1])
                        .write(from.offset(i * s.steps[0]).read());
                }
            }
        }
        if stream {
            settle();
        }
    };
    let tasks = runs * pieces;
    if tasks * piece < pool::PARALLEL_FROM {
        return part(0..tasks);
    }
    spread(tasks, (2 * GRAIN / piece.max(1)).max(1), &part);
}

/// y[index[k]] = join(y[index[k]], x[k]) for the slices along `dim`, in the order of the vector
/// `index`. Indices must be checked; `y` and `x` must not overlap.
pub fn write<T: Element>(
    y: &Tensor,
    dim: usize,
    index: &Tensor,
    x: &Tensor,
    join: impl Fn(T, T) -> T + Copy + Sync,
) {
    let (to, from) = (Start::<T>::of(y), Start::<T>::of(x));
    let (index, s) = (numbers(index, y.sizes()[dim]), Slices::new(y, x, dim));
    // The slices `low..high` of the target, elements `i` to `i + len` of each run.
    let part = |outer: usize, low: i64, high: i64, i: usize, len: usize| {
        let at = s.start(outer);
        wide(
            #[inline(always)]
            || {
                for (k, &slice) in index.iter().enumerate() {
                    if slice < low || slice >= high {
                        continue;
                    }
                    let whole = at[0] + slice as isize * s.across[0] + i as isize * s.steps[0];
                    let own = at[1] + k as isize * s.across[1] + i as isize * s.steps[1];
                    if let Some(&next) = index.get(k + AHEAD)
                        && next >= low
                        && next < high
                    {
                        let ahead = whole + (next - slice) as isize * s.across[0];
                        ask_for(to.ptr().wrapping_offset(ahead), len);
                    }
                    // SAFETY: indices were checked, and the plan stays inside both geometries.
                    unsafe {
                        let (to, from) = (to.ptr().offset(whole), from.ptr().offset(own));
                        if s.steps == [1, 1] {
                            for i in 0..len {
                                to.add(i).write(join(to.add(i).read(), from.add(i).read()));
                            }
                            continue;
                        }
                        for i in 0..len as isize {
                            let place = to.offset(i * s.steps[0]);
                            let v = from.offset(i * s.steps[1]).read();
                            place.write(join(place.read(), v));
                        }
                    }
                }
            },
        );
    };
    let size = y.sizes()[dim];
    let work = s.outer * index.len() * s.len;
    let threads = pool::threads();
    if work < 2 * GRAIN || threads == 1 {
        return (0..s.outer).for_each(|outer| part(outer, 0, size, 0, s.len));
    }
    // Whoever owns an element does all that is written to it: parts of the outer dimensions, of the
    // runs, or of the slices; the last means that each thread looks through the whole index.
    let wanted = 4 * threads;
    if s.outer >= wanted {
        let grain = (GRAIN / (index.len() * s.len).max(1)).max(1);
        return spread(s.outer, grain, &|range| {
            range.for_each(|outer| part(outer, 0, size, 0, s.len))
        });
    }
    if s.len >= 4096 {
        let pieces = s.len.div_ceil(2048);
        return spread(s.outer * pieces, 1, &|range| {
            for task in range {
                let (outer, i) = (task / pieces, task % pieces * 2048);
                part(outer, 0, size, i, 2048.min(s.len - i));
            }
        });
    }
    let each = (size as usize).div_ceil(wanted).max(1) as i64;
    let pieces = (size as usize).div_ceil(each as usize);
    spread(s.outer * pieces, 1, &|range| {
        for task in range {
            let low = (task % pieces) as i64 * each;
            part(task / pieces, low, size.min(low + each), 0, s.len);
        }
    });
}
