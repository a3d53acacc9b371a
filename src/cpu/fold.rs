//! Reductions: over everything or over one dimension. The order of additions depends on sizes and
//! strides alone, so results are the same for every number of threads.

use super::lines::{Lines, dense_beside};
use super::map::{Start, compiled};
use super::plan::{GRAIN, spread};
use crate::lock::plain::Mutex;
use crate::tensor::{Element, Tensor};

/// Partial results kept side by side, which is what lets the compiler use SIMD.
pub(super) const LANES: usize = 32;
/// Columns folded together when another dimension than the folded one is dense: a page of `f32`.
pub(super) const STRIP: usize = 1024;
/// Rows read together, so that each partial result is loaded and stored once for so many.
const ROWS: usize = 8;
/// The most pieces that a fold of columns is cut into.
const CUTS: usize = 64;

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

    /// As [`Fold::new`], for [`dim_from`]: `step` is also given the number of the line.
    pub fn beside<T>(start: A, step: S, join: J) -> Self
    where
        S: Fn(A, T, f64) -> A + Copy + Sync,
        J: Fn(A, A) -> A + Copy + Sync,
    {
        Fold { start, step, join }
    }

    /// Folds `len` elements `step` apart.
    ///
    /// # Safety
    /// All of them must be inside their tensor.
    #[inline(always)]
    unsafe fn run<T: Element>(&self, from: *const T, stride: isize, len: usize, beside: f64) -> A
    where
        S: Fn(A, T, f64) -> A + Copy + Sync,
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
                        lanes[j] = (self.step)(lanes[j], block[j], beside);
                    }
                } else {
                    for (j, lane) in lanes.iter_mut().enumerate() {
                        // SAFETY: as above.
                        let v = unsafe { from.offset((i + j) as isize * stride).read() };
                        *lane = (self.step)(*lane, v, beside);
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
            let v = unsafe { from.offset(i as isize * stride).read() };
            total = (self.step)(total, v, beside);
            i += 1;
        }
        total
    }

    /// Folds `rows` rows of `width` columns into `into`, one partial result for each column.
    ///
    /// # Safety
    /// All elements must be inside their tensor, and `beside`, if any, has `width` numbers.
    #[inline(always)]
    unsafe fn columns<T: Element>(
        &self,
        from: *const T,
        step: isize,
        rows: usize,
        width: usize,
        beside: Option<*const f64>,
        into: &mut [A; STRIP],
    ) where
        S: Fn(A, T, f64) -> A + Copy + Sync,
    {
        let mut k = 0;
        while k < rows {
            let some = ROWS.min(rows - k);
            let mut c = 0;
            while c + LANES <= width {
                let into: &mut [A; LANES] = (&mut into[c..c + LANES])
                    .try_into()
                    .expect("a block of the strip");
                let mut sums = *into;
                // SAFETY: rows `k..k + some` and columns `c..c + LANES` are inside.
                unsafe {
                    let base = match beside {
                        Some(base) => base.add(c).cast::<[f64; LANES]>().read_unaligned(),
                        None => [0.0; LANES],
                    };
                    let at = from.offset(k as isize * step).add(c);
                    if some == ROWS {
                        for r in 0..ROWS {
                            let row = at.offset(r as isize * step);
                            let block = row.cast::<[T; LANES]>().read_unaligned();
                            for j in 0..LANES {
                                sums[j] = (self.step)(sums[j], block[j], base[j]);
                            }
                        }
                    } else {
                        for r in 0..some {
                            let row = at.offset(r as isize * step);
                            let block = row.cast::<[T; LANES]>().read_unaligned();
                            for j in 0..LANES {
                                sums[j] = (self.step)(sums[j], block[j], base[j]);
                            }
                        }
                    }
                }
                *into = sums;
                c += LANES;
            }
            for (c, sum) in into.iter_mut().enumerate().take(width).skip(c) {
                for r in k..k + some {
                    // SAFETY: row `r` and column `c` are inside.
                    unsafe {
                        let base = beside.map_or(0.0, |base| base.add(c).read());
                        let v = from.offset(r as isize * step).add(c).read();
                        *sum = (self.step)(*sum, v, base);
                    }
                }
            }
            k += some;
        }
    }
}

/// Folds all elements, in the order in which they lie in memory where they lie densely.
pub fn all<T: Element, A, S, J>(x: &Tensor, fold: Fold<A, S, J>) -> A
where
    A: Copy + Send + Sync,
    S: Fn(A, T) -> A + Copy + Sync,
    J: Fn(A, A) -> A + Copy + Sync,
{
    let Fold { start, step, join } = fold;
    let fold = Fold::beside(
        start,
        #[inline(always)]
        move |a, v: T, _| step(a, v),
        join,
    );
    let from = Start::<T>::of(x);
    let n = x.numel();
    let turned = in_memory_order(x);
    let x = turned.as_ref().unwrap_or(x);
    if x.is_contiguous() {
        if n <= GRAIN {
            return compiled::<T, _>(
                #[inline(always)]
                // SAFETY: contiguous, `n` elements.
                || unsafe { fold.run(from.ptr(), 1, n, 0.0) },
            );
        }
        let parts = Mutex::new(vec![start; n.div_ceil(GRAIN)]);
        spread(n.div_ceil(GRAIN), 1, &|range| {
            for b in range {
                let (at, len) = (b * GRAIN, GRAIN.min(n - b * GRAIN));
                let part = compiled::<T, _>(
                    #[inline(always)]
                    // SAFETY: contiguous; the block is inside the `n` elements.
                    || unsafe { fold.run(from.ptr().add(at), 1, len, 0.0) },
                );
                parts.lock()[b] = part;
            }
        });
        let parts = parts.into_inner();
        return parts[1..].iter().fold(parts[0], |a, &b| join(a, b));
    }
    let lines = Lines::new([x], x.ndim() - 1);
    let parts = Mutex::new(vec![start; lines.outer]);
    lines.for_ranges(lines.len, &|walk| {
        for (line, [offset]) in (walk.index()..).zip(walk) {
            let part = compiled::<T, _>(
                #[inline(always)]
                // SAFETY: a line of the tensor's own geometry.
                || unsafe { fold.run(from.ptr().offset(offset), lines.steps[0], lines.len, 0.0) },
            );
            parts.lock()[line] = part;
        }
    });
    let parts = parts.into_inner();
    parts.iter().fold(start, |a, &b| join(a, b))
}

/// `x` with its longest strides first, when it is not row-major.
pub(super) fn in_memory_order(x: &Tensor) -> Option<Tensor> {
    if x.is_contiguous() || x.ndim() < 2 {
        return None;
    }
    let mut order: Vec<i64> = (0..x.ndim() as i64).collect();
    order.sort_by_key(|&d| std::cmp::Reverse(x.strides()[d as usize]));
    x.permute(&order).ok()
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
    let Fold { start, step, join } = fold;
    let fold = Fold::beside(
        start,
        #[inline(always)]
        move |a, v: T, _| step(a, v),
        join,
    );
    dim_from(x, dim, y, None, fold, done);
}

/// As [`dim`], where every step is also given the number that `beside` has for the line: a
/// DoubleTensor with the sizes and strides of `y`.
pub fn dim_from<T: Element, U: Element, A, S, J>(
    x: &Tensor,
    dim: usize,
    y: &Tensor,
    beside: Option<&Tensor>,
    fold: Fold<A, S, J>,
    done: impl Fn(A) -> U + Copy + Sync,
) where
    A: Copy + Send + Sync,
    S: Fn(A, T, f64) -> A + Copy + Sync,
    J: Fn(A, A) -> A + Copy + Sync,
{
    let (from, to) = (Start::<T>::of(x), Start::<U>::of(y));
    let base = beside.map(Start::<f64>::of);
    let like = beside.unwrap_or(y);
    debug_assert_eq!(like.sizes(), y.sizes());
    if let Some(side) = dense_beside(x, dim)
        && x.sizes()[side] as usize >= LANES
        && like.strides()[side] == 1
    {
        return columns(x, dim, side, y, base, fold, done);
    }
    let lines = Lines::new([x, y, like], dim);
    let pieces = pieces(lines.outer, lines.len);
    if pieces > 1 {
        let parts = Mutex::new(vec![fold.start; lines.outer * pieces]);
        let step = lines.steps[0];
        lines.for_pieces(pieces, GRAIN, &|walk, piece| {
            let slot = walk.index() * pieces + piece;
            let first = piece * GRAIN;
            for [offset, _, place] in walk {
                // SAFETY: a piece of a line of the geometry.
                let part = unsafe {
                    let beside = base.map_or(0.0, |base| base.ptr().offset(place).read());
                    let at = from.ptr().offset(offset + first as isize * step);
                    let len = GRAIN.min(lines.len - first);
                    compiled::<T, _>(
                        #[inline(always)]
                        || fold.run(at, step, len, beside),
                    )
                };
                parts.lock()[slot] = part;
            }
        });
        let parts = parts.into_inner();
        for (line, [_, out, _]) in lines.walk(0..lines.outer).enumerate() {
            let parts = &parts[line * pieces..(line + 1) * pieces];
            let total = parts[1..].iter().fold(parts[0], |a, &b| (fold.join)(a, b));
            // SAFETY: the result's element for the line.
            unsafe { to.ptr().offset(out).write(done(total)) };
        }
        return;
    }
    lines.for_ranges(lines.len, &|walk| {
        compiled::<T, _>(
            #[inline(always)]
            || {
                for [offset, out, place] in walk {
                    // SAFETY: a line of the geometry, and the result's element for it.
                    unsafe {
                        let beside = base.map_or(0.0, |base| base.ptr().offset(place).read());
                        let at = from.ptr().offset(offset);
                        let total = fold.run(at, lines.steps[0], lines.len, beside);
                        to.ptr().offset(out).write(done(total));
                    }
                }
            },
        );
    });
}

/// A fold in double.
pub type Doubles<S> = Fold<f64, S, fn(f64, f64) -> f64>;

/// Two folds of each line, the second beside what `between` makes of the first's result.
///
/// `beside` is room for that: a DoubleTensor with the sizes and strides of `y`.
pub fn twice<T: Element, U: Element, S, R>(
    x: &Tensor,
    dim: usize,
    y: &Tensor,
    beside: &Tensor,
    (first, between): (Doubles<S>, impl Fn(f64) -> f64 + Copy + Sync),
    (second, done): (Doubles<R>, impl Fn(f64) -> U + Copy + Sync),
) where
    S: Fn(f64, T, f64) -> f64 + Copy + Sync,
    R: Fn(f64, T, f64) -> f64 + Copy + Sync,
{
    let lines = Lines::new([x, y], dim);
    let dense = lines.steps[0] == 1 && lines.len <= GRAIN;
    if !dense {
        dim_from(x, dim, beside, None, first, between);
        return dim_from(x, dim, y, Some(beside), second, done);
    }
    // A line that fits into the cache is read twice while it is there.
    let (from, to) = (Start::<T>::of(x), Start::<U>::of(y));
    lines.for_ranges(2 * lines.len, &|walk| {
        compiled::<T, _>(
            #[inline(always)]
            || {
                for [offset, out] in walk {
                    // SAFETY: a line of the geometry, and the result's element for it.
                    unsafe {
                        let at = from.ptr().offset(offset);
                        let beside = between(first.run(at, 1, lines.len, 0.0));
                        let total = second.run(at, 1, lines.len, beside);
                        to.ptr().offset(out).write(done(total));
                    }
                }
            },
        );
    });
}

/// Into how many pieces of [`GRAIN`] elements to cut lines of which there are too few for threads.
pub(super) fn pieces(lines: usize, len: usize) -> usize {
    if lines <= 8 && len > 2 * GRAIN {
        len.div_ceil(GRAIN)
    } else {
        1
    }
}

/// The fold where dimension `side` is dense: neighbours in memory are folded side by side.
fn columns<T: Element, U: Element, A, S, J>(
    x: &Tensor,
    dim: usize,
    side: usize,
    y: &Tensor,
    base: Option<Start<f64>>,
    fold: Fold<A, S, J>,
    done: impl Fn(A) -> U + Copy + Sync,
) where
    A: Copy + Send + Sync,
    S: Fn(A, T, f64) -> A + Copy + Sync,
    J: Fn(A, A) -> A + Copy + Sync,
{
    let (from, to) = (Start::<T>::of(x), Start::<U>::of(y));
    let rows = Lines::without([x, y], dim, Some(side));
    let (inner, step) = (x.sizes()[side] as usize, rows.steps[0]);
    let out_step = y.strides()[side] as isize;
    let strips = inner.div_ceil(STRIP);
    let cuts = cuts(rows.outer * strips, rows.len, inner.min(STRIP));
    let strip = |offset: isize, out: isize, strip: usize, range: std::ops::Range<usize>| {
        let (first, width) = (strip * STRIP, STRIP.min(inner - strip * STRIP));
        let mut sums = [fold.start; STRIP];
        compiled::<T, _>(
            #[inline(always)]
            // SAFETY: columns `first..first + width` of rows of the geometry.
            || unsafe {
                let at = from.ptr().offset(offset + range.start as isize * step);
                let base = base.map(|b| b.ptr().offset(out).add(first).cast_const());
                fold.columns(at.add(first), step, range.len(), width, base, &mut sums);
            },
        );
        sums
    };
    let store = |out: isize, strip: usize, sums: &[A]| {
        let first = strip * STRIP;
        for (j, sum) in sums.iter().enumerate().take(inner - first) {
            let at = out + (first + j) as isize * out_step;
            // SAFETY: the same column of the result.
            unsafe { to.ptr().offset(at).write(done(*sum)) };
        }
    };
    if cuts == 1 {
        let work = rows.len * inner.min(STRIP);
        rows.for_pieces(strips, work, &|walk, piece| {
            for [offset, out] in walk {
                store(out, piece, &strip(offset, out, piece, 0..rows.len));
            }
        });
        return;
    }
    let each = rows.len.div_ceil(cuts);
    let parts = Mutex::new(vec![[fold.start; STRIP]; rows.outer * strips * cuts]);
    rows.for_pieces(strips * cuts, GRAIN, &|walk, piece| {
        let slot = walk.index() * strips * cuts + piece;
        let start = rows.len.min(piece % cuts * each);
        let range = start..rows.len.min(start + each);
        for [offset, out] in walk {
            let sums = strip(offset, out, piece / cuts, range.clone());
            parts.lock()[slot] = sums;
        }
    });
    let mut parts = parts.into_inner();
    for (line, [_, out]) in rows.walk(0..rows.outer).enumerate() {
        for s in 0..strips {
            let at = (line * strips + s) * cuts;
            let (first, others) = parts[at..at + cuts]
                .split_first_mut()
                .expect("a strip has a cut");
            for other in others {
                for j in 0..STRIP {
                    first[j] = (fold.join)(first[j], other[j]);
                }
            }
            store(out, s, first);
        }
    }
}

/// Into how many ranges to cut `rows` rows of `width` columns, of which there are `strips`.
pub(super) fn cuts(strips: usize, rows: usize, width: usize) -> usize {
    let most = (CUTS / strips.max(1)).max(1);
    (rows * width / (2 * GRAIN)).clamp(1, most)
}
