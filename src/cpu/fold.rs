//! Reductions: over everything or over one dimension. The order of additions depends on sizes and
//! strides alone, so results are the same for every number of threads.

use super::map::Start;
use super::math::wide;
use super::plan::{GRAIN, spread};
use crate::tensor::{Element, Tensor};
use parking_lot::Mutex;
use smallvec::SmallVec;

/// Partial results kept side by side, which is what lets the compiler use SIMD.
const LANES: usize = 32;
/// Columns folded together when the folded dimension is not the innermost.
const COLUMNS: usize = 64;

/// How to fold: where to start, how to take an element, how to join two partial results.
#[derive(Clone, Copy)]
pub struct Fold<A, S, J> {
    pub start: A,
    pub step: S,
    pub join: J,
}

impl<A: Copy + Send + Sync, S, J> Fold<A, S, J> {
    /// A fold from `start` by `step`, partial results joined by `join`.
    pub fn new<T>(start: A, step: S, join: J) -> Self
    where
        S: Fn(A, T) -> A + Copy + Sync,
        J: Fn(A, A) -> A + Copy + Sync,
    {
        Fold { start, step, join }
    }

    /// Folds `len` elements `step` apart.
    ///
    /// # Safety
    /// All of them must be inside their tensor.
    #[inline(always)]
    unsafe fn run<T: Element>(&self, from: *const T, stride: isize, len: usize) -> A
    where
        S: Fn(A, T) -> A + Copy + Sync,
        J: Fn(A, A) -> A + Copy + Sync,
    {
        let mut i = 0;
        let mut total = self.start;
        if len >= LANES {
            let mut lanes = [self.start; LANES];
            while i + LANES <= len {
                if stride == 1 {
                    // SAFETY: `i + LANES <= len`.
                    let block = unsafe { from.add(i).cast::<[T; LANES]>().read_unaligned() };
                    for j in 0..LANES {
                        lanes[j] = (self.step)(lanes[j], block[j]);
                    }
                } else {
                    for (j, lane) in lanes.iter_mut().enumerate() {
                        // SAFETY: as above.
                        *lane = (self.step)(*lane, unsafe {
                            from.offset((i + j) as isize * stride).read()
                        });
                    }
                }
                i += LANES;
            }
            let mut width = LANES;
            while width > 1 {
                width /= 2;
                for j in 0..width {
                    lanes[j] = (self.join)(lanes[j], lanes[j + width]);
                }
            }
            total = lanes[0];
        }
        while i < len {
            // SAFETY: `i < len`.
            total = (self.step)(total, unsafe { from.offset(i as isize * stride).read() });
            i += 1;
        }
        total
    }
}

/// Folds all elements in row-major order of blocks.
pub fn all<T: Element, A, S, J>(x: &Tensor, fold: Fold<A, S, J>) -> A
where
    A: Copy + Send + Sync,
    S: Fn(A, T) -> A + Copy + Sync,
    J: Fn(A, A) -> A + Copy + Sync,
{
    let from = Start::<T>::of(x);
    let n = x.numel();
    if x.is_contiguous() {
        if n <= GRAIN {
            // SAFETY: contiguous, `n` elements.
            return wide(
                #[inline(always)]
                || unsafe { fold.run(from.ptr(), 1, n) },
            );
        }
        let blocks = n.div_ceil(GRAIN);
        let parts = Mutex::new(vec![fold.start; blocks]);
        spread(blocks, 1, &|range| {
            for b in range {
                let (at, len) = (b * GRAIN, GRAIN.min(n - b * GRAIN));
                // SAFETY: contiguous; the block is inside the `n` elements.
                let part = wide(
                    #[inline(always)]
                    || unsafe { fold.run(from.ptr().add(at), 1, len) },
                );
                parts.lock()[b] = part;
            }
        });
        let parts = parts.into_inner();
        return parts[1..].iter().fold(parts[0], |a, &b| (fold.join)(a, b));
    }
    let lines = Lines::new(x, x.ndim() - 1, &[]);
    let parts = Mutex::new(vec![fold.start; lines.outer]);
    lines.for_each(&|line, offset, _| {
        // SAFETY: a line of the tensor's own geometry.
        let part = wide(
            #[inline(always)]
            || unsafe { fold.run(from.ptr().offset(offset), lines.step, lines.len) },
        );
        parts.lock()[line] = part;
    });
    let parts = parts.into_inner();
    parts.iter().fold(fold.start, |a, &b| (fold.join)(a, b))
}

/// Folds dimension `dim` of `x` into `y`, whose size there is one.
pub fn dim<T: Element, U: Element, A, S, J>(
    x: &Tensor,
    dim: usize,
    y: &Tensor,
    fold: Fold<A, S, J>,
    done: impl Fn(A) -> U + Copy + Sync,
) where
    A: Copy + Send + Sync,
    S: Fn(A, T) -> A + Copy + Sync,
    J: Fn(A, A) -> A + Copy + Sync,
{
    let (from, to) = (Start::<T>::of(x), Start::<U>::of(y));
    let lines = Lines::new(x, dim, y.strides());
    let last = (0..x.ndim()).rev().find(|&d| d != dim && x.sizes()[d] != 1);
    if let Some(last) = last
        && lines.step != 1
        && x.strides()[last] == 1
    {
        // Whole rows at a time: neighbours in memory are folded side by side.
        let inner = x.sizes()[last] as usize;
        let pieces = inner.div_ceil(COLUMNS);
        let rows = Lines::without(x, dim, Some(last), y.strides());
        let out_step = y.strides()[last] as isize;
        let each = |row: usize, offset: isize, out: isize, piece: usize| {
            let _ = row;
            let (first, width) = (piece * COLUMNS, COLUMNS.min(inner - piece * COLUMNS));
            wide(
                #[inline(always)]
                || {
                    let mut sums = [fold.start; COLUMNS];
                    for k in 0..rows.len {
                        // SAFETY: column `first + j < inner` of line `k` of the geometry.
                        unsafe {
                            let at = from
                                .ptr()
                                .offset(offset + k as isize * rows.step + first as isize);
                            if width == COLUMNS {
                                let block = at.cast::<[T; COLUMNS]>().read_unaligned();
                                for j in 0..COLUMNS {
                                    sums[j] = (fold.step)(sums[j], block[j]);
                                }
                            } else {
                                for (j, sum) in sums.iter_mut().enumerate().take(width) {
                                    *sum = (fold.step)(*sum, at.add(j).read());
                                }
                            }
                        }
                    }
                    for (j, sum) in sums.iter().enumerate().take(width) {
                        // SAFETY: the same column of the result.
                        unsafe {
                            to.ptr()
                                .offset(out + (first + j) as isize * out_step)
                                .write(done(*sum))
                        };
                    }
                },
            );
        };
        rows.for_pieces(pieces, COLUMNS, &each);
        return;
    }
    lines.for_each(&|_, offset, out| {
        // SAFETY: a line of the geometry, and the result's element for it.
        unsafe {
            let total = wide(
                #[inline(always)]
                || fold.run(from.ptr().offset(offset), lines.step, lines.len),
            );
            to.ptr().offset(out).write(done(total));
        }
    });
}

/// The lines of a tensor along one dimension, with the place of each in a second geometry.
pub struct Lines {
    sizes: SmallVec<[usize; 4]>,
    strides: SmallVec<[[isize; 2]; 4]>,
    /// Elements in a line, and the step between them.
    pub len: usize,
    pub step: isize,
    /// The number of lines.
    pub outer: usize,
}

impl Lines {
    /// The lines of `x` along `dim`; `other` are strides of a second tensor over the same sizes.
    pub fn new(x: &Tensor, dim: usize, other: &[i64]) -> Lines {
        Lines::without(x, dim, None, other)
    }

    fn without(x: &Tensor, dim: usize, skip: Option<usize>, other: &[i64]) -> Lines {
        let mut lines = Lines {
            sizes: SmallVec::new(),
            strides: SmallVec::new(),
            len: x.sizes()[dim] as usize,
            step: x.strides()[dim] as isize,
            outer: 1,
        };
        for d in (0..x.ndim()).filter(|&d| d != dim && Some(d) != skip) {
            let size = x.sizes()[d] as usize;
            lines.sizes.push(size);
            lines.strides.push([
                x.strides()[d] as isize,
                other.get(d).map_or(0, |&s| s as isize),
            ]);
            lines.outer *= size;
        }
        lines
    }

    /// Offsets of line `index` in both geometries.
    fn offsets(&self, index: usize) -> [isize; 2] {
        let mut rest = index;
        let mut at = [0; 2];
        for d in (0..self.sizes.len()).rev() {
            let i = (rest % self.sizes[d]) as isize;
            rest /= self.sizes[d];
            at[0] += i * self.strides[d][0];
            at[1] += i * self.strides[d][1];
        }
        at
    }

    /// The place of line `index` in the second geometry.
    pub fn place(&self, index: usize) -> isize {
        self.offsets(index)[1]
    }

    /// Calls `each(line, offset, other offset)` for every line, on threads when there is work.
    pub fn for_each(&self, each: &(dyn Fn(usize, isize, isize) + Sync)) {
        self.for_pieces(1, self.len, &|line, a, b, _| each(line, a, b));
    }

    /// As [`Lines::for_each`], with `pieces` calls for each line, `width` elements wide.
    fn for_pieces(
        &self,
        pieces: usize,
        width: usize,
        each: &(dyn Fn(usize, isize, isize, usize) + Sync),
    ) {
        let count = self.outer * pieces;
        let run = |range: std::ops::Range<usize>| {
            for i in range {
                let [a, b] = self.offsets(i / pieces);
                each(i / pieces, a, b, i % pieces);
            }
        };
        let work = if pieces > 1 {
            self.len * width
        } else {
            self.len.max(width)
        }
        .max(1);
        if count * work < 2 * GRAIN {
            return run(0..count);
        }
        spread(count, (GRAIN / work).max(1), &run);
    }
}

/// Where the extremum of each line is: the first best element, or the first NaN.
///
/// `better(a, b)` tells whether `a` is to be preferred to `b`.
pub fn arg<T: Element>(
    x: &Tensor,
    dim: usize,
    values: &Tensor,
    indices: &Tensor,
    better: impl Fn(T, T) -> bool + Copy + Sync,
) {
    let (from, to, at) = (
        Start::<T>::of(x),
        Start::<T>::of(values),
        Start::<i64>::of(indices),
    );
    let lines = Lines::new(x, dim, values.strides());
    let places = Lines::new(x, dim, indices.strides());
    lines.for_each(&|line, offset, out| {
        // SAFETY: lines of the geometry; `len` is at least one, which the callers check.
        unsafe {
            let mut best = from.ptr().offset(offset).read();
            let mut index = 0;
            for k in 1..lines.len {
                if best.is_nan() {
                    break;
                }
                let v = from.ptr().offset(offset + k as isize * lines.step).read();
                if better(v, best) || v.is_nan() {
                    (best, index) = (v, k as i64);
                }
            }
            to.ptr().offset(out).write(best);
            at.ptr().offset(places.offsets(line)[1]).write(index);
        }
    });
}
