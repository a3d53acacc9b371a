//! Elements chosen by masks: counted, taken, written, found. Results lie in row-major order, so chunks
//! are counted first, and each then knows where its own begin.

use super::map::Start;
use super::plan::{GRAIN, Plan, spread};
use super::pool;
use crate::error::Result;
use crate::fail;
use crate::tensor::{Element, Tensor};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// The number of ones in a mask.
///
/// # Errors
/// `RuntimeError` for a value that is neither zero nor one.
pub fn count_ones(op: &str, mask: &Tensor) -> Result<usize> {
    let from = Start::<u8>::of(mask);
    let (count, bad) = (AtomicUsize::new(0), AtomicU32::new(0));
    Plan::new([mask]).for_rows(&|row| {
        let (mut ones, mut most) = (0, 0);
        for i in 0..row.len as isize {
            // SAFETY: the plan stays inside the tensor's geometry.
            let v = unsafe { from.ptr().offset(row.offsets[0] + i * row.steps[0]).read() };
            ones += v as usize;
            most = most.max(v as u32);
        }
        count.fetch_add(ones, Relaxed);
        bad.fetch_max(most, Relaxed);
    });
    match bad.into_inner() {
        0 | 1 => Ok(count.into_inner()),
        v => fail!(Runtime, "{op}: a mask holds only 0 and 1; got {v}"),
    }
}

/// How many of `count` elements are chosen before each chunk, at most `room`; the last is how many
/// are in all.
fn before(count: usize, room: usize, chosen: impl Fn(usize) -> bool + Sync) -> Vec<usize> {
    let counts = pool::map_chunks(count, GRAIN, |range| range.filter(|&i| chosen(i)).count());
    let mut sum = 0;
    let starts = counts.into_iter().map(|n| {
        sum += n;
        (sum - n).min(room)
    });
    let mut starts: Vec<usize> = starts.collect();
    starts.push(sum.min(room));
    starts
}

/// Calls `each(i, rank)` for every chosen element, in chunks.
///
/// Another thread may write what is chosen from, so no chunk goes on where the next begins.
fn chosen(
    count: usize,
    starts: &[usize],
    is_chosen: impl Fn(usize) -> bool + Sync,
    each: impl Fn(usize, usize) + Sync,
) {
    pool::for_chunks(count, GRAIN, |range| {
        let chunk = range.start / GRAIN;
        let (mut rank, end) = (starts[chunk], starts[chunk + 1]);
        for i in range {
            if is_chosen(i) && rank < end {
                each(i, rank);
                rank += 1;
            }
        }
    });
}

fn in_a_row(tensors: &[&Tensor]) {
    assert!(
        tensors.iter().all(|t| t.is_contiguous()),
        "elements that masks choose from lie in a row"
    );
}

/// The elements of `x` where `mask` is one, in row-major order, into the vector `y`, which has room
/// for them. `x` and `mask` are contiguous.
pub fn masked_select<T: Element>(x: &Tensor, mask: &Tensor, y: &Tensor) {
    in_a_row(&[x, mask, y]);
    let (from, at, to) = (Start::<T>::of(x), Start::<u8>::of(mask), Start::<T>::of(y));
    // SAFETY: `i` is below the number of elements that both have.
    let is_one = |i: usize| unsafe { at.ptr().add(i).read() != 0 };
    let starts = before(mask.numel(), y.numel(), is_one);
    // SAFETY: as above, and ranks are below the result's elements.
    chosen(mask.numel(), &starts, is_one, |i, rank| unsafe {
        to.ptr().add(rank).write(from.ptr().add(i).read());
    });
}

/// The next elements of the contiguous `source` go where `mask`, contiguous, is one, in row-major
/// order; `y` may have any strides.
pub fn masked_scatter<T: Element>(y: &Tensor, mask: &Tensor, source: &Tensor) {
    in_a_row(&[mask, source]);
    let (to, at, from) = (
        Start::<T>::of(y),
        Start::<u8>::of(mask),
        Start::<T>::of(source),
    );
    // SAFETY: `i` is below the number of the mask's elements.
    let is_one = |i: usize| unsafe { at.ptr().add(i).read() != 0 };
    let starts = before(mask.numel(), source.numel(), is_one);
    let (sizes, strides, straight) = (y.sizes(), y.strides(), y.is_contiguous());
    chosen(mask.numel(), &starts, is_one, |i, rank| {
        let mut offset = i as isize;
        if !straight {
            let mut rest = i as i64;
            offset = 0;
            for d in (0..sizes.len()).rev() {
                offset += (rest % sizes[d] * strides[d]) as isize;
                rest /= sizes[d];
            }
        }
        // SAFETY: `y` has the mask's sizes, and ranks are below the source's elements.
        unsafe { to.ptr().offset(offset).write(from.ptr().add(rank).read()) };
    });
}

/// Where the elements of the contiguous `x` are not zero: `make(count)` gives a contiguous LongTensor
/// of that many rows, which get one coordinate for each dimension.
///
/// # Errors
/// What `make` refuses.
pub fn nonzero<T: Element>(
    x: &Tensor,
    make: impl FnOnce(usize) -> Result<Tensor>,
) -> Result<Tensor> {
    in_a_row(&[x]);
    let from = Start::<T>::of(x);
    let zero = T::from_i64(0);
    // SAFETY: `i` is below the number of elements.
    let is_set = |i: usize| unsafe { from.ptr().add(i).read() != zero };
    let starts = before(x.numel(), usize::MAX, is_set);
    let count = starts.last().copied().unwrap_or(0);
    let y = make(count)?;
    assert!(
        y.numel() == count * x.ndim(),
        "a coordinate for each dimension"
    );
    let (to, sizes, n) = (Start::<i64>::of(&y), x.sizes(), x.ndim());
    chosen(x.numel(), &starts, is_set, |i, rank| {
        let mut rest = i as i64;
        for d in (0..n).rev() {
            // SAFETY: ranks are below `count`.
            unsafe { to.ptr().add(rank * n + d).write(rest % sizes[d]) };
            rest /= sizes[d];
        }
    });
    Ok(y)
}

/// The part of a matrix on one side of the diagonal `k` and on it, zeros beside: into `y`, which is
/// row-major or the very same place as `x`.
pub fn triangle<T: Element>(x: &Tensor, k: i64, upper: bool, y: &Tensor) {
    let (from, to) = (Start::<T>::of(x), Start::<T>::of(y));
    let (rows, columns) = (x.sizes()[0] as usize, x.sizes()[1]);
    let zero = T::from_i64(0);
    let (xs, ys) = (x.strides(), y.strides());
    let part = |range: std::ops::Range<usize>| {
        for r in range {
            let r = r as i64;
            let edge = if upper {
                r.saturating_add(k)
            } else {
                r.saturating_add(k).saturating_add(1)
            };
            let edge = edge.clamp(0, columns);
            for c in 0..columns {
                // SAFETY: inside both matrices.
                unsafe {
                    let v = if (c < edge) != upper {
                        from.ptr().offset((r * xs[0] + c * xs[1]) as isize).read()
                    } else {
                        zero
                    };
                    to.ptr().offset((r * ys[0] + c * ys[1]) as isize).write(v);
                }
            }
        }
    };
    if rows * columns as usize >= pool::PARALLEL_FROM {
        return spread(rows, (GRAIN / columns.max(1) as usize).max(1), &part);
    }
    part(0..rows);
}
