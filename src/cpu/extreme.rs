//! Where the largest or smallest element of each line is: the first best one, or the first NaN.

use super::fold::{self, Fold, LANES, STRIP, cuts, pieces};
use super::lines::{Lines, dense_beside};
use super::map::{Start, compiled};
use super::plan::GRAIN;
use super::pool;
use crate::lock::plain::Mutex;
use crate::tensor::{Element, Tensor};

/// Rows read together, so that each best element is loaded and stored once for so many.
const ROWS: usize = 8;

/// Whether `v` takes the place of `best`, which came before it.
#[inline(always)]
fn beats<T: Element, const LARGEST: bool>(v: T, best: T) -> bool {
    let more = if LARGEST { v > best } else { v < best };
    more | (v.is_nan() & !best.is_nan())
}

/// The better of two; NaN wins, and stays: no comparison with it is true.
#[inline(always)]
pub fn better<T: Element, const LARGEST: bool>(best: T, v: T) -> T {
    let more = if LARGEST { v > best } else { v < best };
    if more | v.is_nan() { v } else { best }
}

/// Values and places of the extrema of `x` along `dim`, where both results have size one.
///
/// Lines have at least one element, which the callers check.
pub fn arg<T: Element, const LARGEST: bool>(
    x: &Tensor,
    dim: usize,
    values: &Tensor,
    indices: &Tensor,
) {
    if let Some(side) = dense_beside(x, dim)
        && x.sizes()[side] as usize >= LANES
        && x.sizes()[dim] <= i64::from(u32::MAX)
    {
        return columns::<T, LARGEST>(x, dim, side, values, indices);
    }
    let (from, to, at) = (
        Start::<T>::of(x),
        Start::<T>::of(values),
        Start::<i64>::of(indices),
    );
    let lines = Lines::new([x, values, indices], dim);
    let (len, step) = (lines.len, lines.steps[0]);
    let pieces = pieces(lines.outer, len);
    if pieces == 1 {
        return lines.for_ranges(len, &|walk| {
            compiled::<T, _>(
                #[inline(always)]
                || {
                    for [offset, out, place] in walk {
                        // SAFETY: a line of the geometry, and its elements in both results.
                        unsafe {
                            let (best, index) =
                                line::<T, LARGEST>(from.ptr().offset(offset), step, len);
                            to.ptr().offset(out).write(best);
                            at.ptr().offset(place).write(index as i64);
                        }
                    }
                },
            );
        });
    }
    let parts = Mutex::new(vec![(T::default(), 0); lines.outer * pieces]);
    lines.for_pieces(pieces, GRAIN, &|walk, piece| {
        let slot = walk.index() * pieces + piece;
        let first = piece * GRAIN;
        for [offset, ..] in walk {
            let (best, index) = compiled::<T, _>(
                #[inline(always)]
                // SAFETY: a piece of a line of the geometry.
                || unsafe {
                    let start = from.ptr().offset(offset + first as isize * step);
                    line::<T, LARGEST>(start, step, GRAIN.min(len - first))
                },
            );
            parts.lock()[slot] = (best, first + index);
        }
    });
    let parts = parts.into_inner();
    for (k, [_, out, place]) in lines.walk(0..lines.outer).enumerate() {
        let mut best = parts[k * pieces];
        for &part in &parts[k * pieces + 1..(k + 1) * pieces] {
            if beats::<T, LARGEST>(part.0, best.0) {
                best = part;
            }
        }
        // SAFETY: the line's elements in both results.
        unsafe {
            to.ptr().offset(out).write(best.0);
            at.ptr().offset(place).write(best.1 as i64);
        }
    }
}

/// Elements compared together: enough of them that no comparison waits for the one before.
const WIDE: usize = 4 * LANES;

/// Reads a block.
///
/// # Safety
/// `WIDE` elements are there.
#[inline(always)]
unsafe fn block<T: Element>(from: *const T) -> [T; WIDE] {
    // SAFETY: the caller's.
    unsafe { from.cast::<[T; WIDE]>().read_unaligned() }
}

/// The extremum of `len` elements in a row, or the first NaN of the block where NaN first is.
///
/// # Safety
/// There are at least `WIDE`, and all are inside their tensor.
#[inline(always)]
unsafe fn dense<T: Element, const LARGEST: bool>(from: *const T, len: usize) -> T {
    let mut best = [T::default(); WIDE];
    let mut k = 0;
    loop {
        // The last block may read elements twice: that changes nothing.
        let at = k.min(len - WIDE);
        // SAFETY: it ends at `len` at most.
        let some = unsafe { block(from.add(at)) };
        let mut odd = false;
        for v in &some {
            odd |= v.is_nan();
        }
        if odd {
            for v in some {
                if v.is_nan() {
                    return v;
                }
            }
        }
        if k == 0 {
            best = some;
        }
        for j in 0..WIDE {
            let more = if LARGEST {
                some[j] > best[j]
            } else {
                some[j] < best[j]
            };
            best[j] = if more { some[j] } else { best[j] };
        }
        k += WIDE;
        if k >= len {
            break;
        }
    }
    let mut width = WIDE;
    while width > 1 {
        width /= 2;
        for j in 0..width {
            best[j] = better::<T, LARGEST>(best[j], best[j + width]);
        }
    }
    best[0]
}

/// The extremum of all elements, of which there is at least one.
pub fn all<T: Element, const LARGEST: bool>(x: &Tensor) -> T {
    let from = Start::<T>::of(x);
    let n = x.numel();
    let turned = fold::in_memory_order(x);
    let x = turned.as_ref().unwrap_or(x);
    if !x.is_contiguous() || n < WIDE {
        // The first element stands in for a smallest or largest value of the type.
        let pick = better::<T, LARGEST>;
        return fold::all(x, Fold::new::<T>(x.read::<T>(0), pick, pick));
    }
    let part = |range: std::ops::Range<usize>| {
        compiled::<T, _>(
            #[inline(always)]
            || {
                // A last part shorter than a block takes in some elements before it.
                let start = range.start.min(n - WIDE);
                // SAFETY: contiguous; the range is inside the `n` elements.
                unsafe { dense::<T, LARGEST>(from.ptr().add(start), range.end - start) }
            },
        )
    };
    let parts = pool::map_chunks(n, GRAIN, part);
    parts[1..]
        .iter()
        .fold(parts[0], |a, &b| better::<T, LARGEST>(a, b))
}

/// The extremum of `len` elements `step` apart, and where it is.
///
/// # Safety
/// There is at least one, and all are inside their tensor.
#[inline(always)]
unsafe fn line<T: Element, const LARGEST: bool>(
    from: *const T,
    step: isize,
    len: usize,
) -> (T, usize) {
    // SAFETY: indices stay below `len`.
    let at = |k: usize| unsafe { from.offset(k as isize * step).read() };
    if step != 1 || len < WIDE {
        let (mut best, mut index) = (at(0), 0);
        for k in 1..len {
            let v = at(k);
            if beats::<T, LARGEST>(v, best) {
                (best, index) = (v, k);
            }
        }
        return (best, index);
    }
    // SAFETY: there are enough for a block.
    let top = unsafe { dense::<T, LARGEST>(from, len) };
    // Reading the line again, which is in the cache, is cheaper than keeping an index beside
    // every lane. It ends at the last element even if another thread has overwritten the best.
    let (mut k, last) = (0, len - 1);
    if top.is_nan() {
        while k < last && !at(k).is_nan() {
            k += 1;
        }
        return (at(k), k);
    }
    while k + WIDE <= len {
        // SAFETY: the block ends at `len` at most.
        let some = unsafe { block(from.add(k)) };
        let mut any = false;
        for v in &some {
            any |= *v == top;
        }
        if any {
            break;
        }
        k += WIDE;
    }
    while k < last && at(k) != top {
        k += 1;
    }
    (at(k), k)
}

/// The best elements of a strip of columns, and the rows where they are.
#[derive(Clone, Copy)]
struct Best<T> {
    values: [T; STRIP],
    rows: [u32; STRIP],
}

/// The extrema where dimension `side` is dense: neighbours in memory are compared side by side.
fn columns<T: Element, const LARGEST: bool>(
    x: &Tensor,
    dim: usize,
    side: usize,
    values: &Tensor,
    indices: &Tensor,
) {
    let (from, to, at) = (
        Start::<T>::of(x),
        Start::<T>::of(values),
        Start::<i64>::of(indices),
    );
    let rows = Lines::without([x, values, indices], dim, Some(side));
    let (inner, step) = (x.sizes()[side] as usize, rows.steps[0]);
    let outs = [values, indices].map(|t| t.strides()[side] as isize);
    let strips = inner.div_ceil(STRIP);
    let cuts = cuts(rows.outer * strips, rows.len, inner.min(STRIP));
    let each = rows.len.div_ceil(cuts);
    let strip = |offset: isize, strip: usize, cut: usize| {
        let (first, width) = (strip * STRIP, STRIP.min(inner - strip * STRIP));
        let start = rows.len.min(cut * each);
        let range = start..rows.len.min(start + each);
        compiled::<T, _>(
            #[inline(always)]
            // SAFETY: columns `first..first + width` of rows of the geometry.
            || unsafe {
                let start = from.ptr().offset(offset).add(first);
                best_of::<T, LARGEST>(start, step, range, width)
            },
        )
    };
    let store = |out: isize, place: isize, strip: usize, best: &Best<T>| {
        for j in 0..STRIP.min(inner - strip * STRIP) {
            let column = (strip * STRIP + j) as isize;
            // SAFETY: the column's elements in both results.
            unsafe {
                let to = to.ptr().offset(out + column * outs[0]);
                to.write(best.values[j]);
                let at = at.ptr().offset(place + column * outs[1]);
                at.write(i64::from(best.rows[j]));
            }
        }
    };
    if cuts == 1 {
        let work = rows.len * inner.min(STRIP);
        return rows.for_pieces(strips, work, &|walk, piece| {
            for [offset, out, place] in walk {
                store(out, place, piece, &strip(offset, piece, 0));
            }
        });
    }
    let empty = Best {
        values: [T::default(); STRIP],
        rows: [0; STRIP],
    };
    let parts = Mutex::new(vec![empty; rows.outer * strips * cuts]);
    rows.for_pieces(strips * cuts, GRAIN, &|walk, piece| {
        let slot = walk.index() * strips * cuts + piece;
        for [offset, ..] in walk {
            let best = strip(offset, piece / cuts, piece % cuts);
            parts.lock()[slot] = best;
        }
    });
    let mut parts = parts.into_inner();
    for (line, [_, out, place]) in rows.walk(0..rows.outer).enumerate() {
        for s in 0..strips {
            let start = (line * strips + s) * cuts;
            let (first, others) = parts[start..start + cuts]
                .split_first_mut()
                .expect("a strip has a cut");
            for other in others {
                for j in 0..STRIP {
                    let more = beats::<T, LARGEST>(other.values[j], first.values[j]);
                    first.values[j] = if more {
                        other.values[j]
                    } else {
                        first.values[j]
                    };
                    first.rows[j] = if more { other.rows[j] } else { first.rows[j] };
                }
            }
            store(out, place, s, first);
        }
    }
}

/// The best of rows `range` in `width` columns. An empty range gives the row before it.
///
/// # Safety
/// All elements must be inside their tensor, which has at least one row.
#[inline(always)]
unsafe fn best_of<T: Element, const LARGEST: bool>(
    from: *const T,
    step: isize,
    range: std::ops::Range<usize>,
    width: usize,
) -> Best<T> {
    let head = range.start.min(range.end.saturating_sub(1));
    let mut best = Best {
        values: [T::default(); STRIP],
        rows: [head as u32; STRIP],
    };
    for j in 0..width {
        // SAFETY: column `j` of a row that is there.
        best.values[j] = unsafe { from.offset(head as isize * step).add(j).read() };
    }
    let mut k = head + 1;
    while k < range.end {
        let some = ROWS.min(range.end - k);
        let mut c = 0;
        while c + LANES <= width {
            let values: &mut [T; LANES] = (&mut best.values[c..c + LANES])
                .try_into()
                .expect("a block of the strip");
            let rows: &mut [u32; LANES] = (&mut best.rows[c..c + LANES])
                .try_into()
                .expect("a block of the strip");
            let (mut tops, mut places) = (*values, *rows);
            for r in k..k + some {
                // SAFETY: columns `c..c + LANES` of row `r`.
                let block = unsafe {
                    let at = from.offset(r as isize * step).add(c);
                    at.cast::<[T; LANES]>().read_unaligned()
                };
                for j in 0..LANES {
                    let more = beats::<T, LARGEST>(block[j], tops[j]);
                    tops[j] = if more { block[j] } else { tops[j] };
                    places[j] = if more { r as u32 } else { places[j] };
                }
            }
            (*values, *rows) = (tops, places);
            c += LANES;
        }
        for j in c..width {
            for r in k..k + some {
                // SAFETY: column `j` of row `r`.
                let v = unsafe { from.offset(r as isize * step).add(j).read() };
                if beats::<T, LARGEST>(v, best.values[j]) {
                    (best.values[j], best.rows[j]) = (v, r as u32);
                }
            }
        }
        k += some;
    }
    best
}

#[cfg(test)]
#[path = "extreme_tests.rs"]
mod tests;
