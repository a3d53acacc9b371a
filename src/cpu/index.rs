//! Kernels that move elements by index. Indices are checked before anything is written.

use super::map::Start;
use super::plan::Plan;
use crate::error::Result;
use crate::fail;
use crate::tensor::{Element, Tensor};

/// Fails unless every index is in `0..size`.
///
/// # Errors
/// `RuntimeError` with the first index outside.
pub fn check(op: &str, index: &Tensor, size: i64) -> Result<()> {
    let from = Start::<i64>::of(index);
    let bad = parking_lot::Mutex::new(None);
    Plan::new([index]).for_rows(&|row| {
        for i in 0..row.len {
            // SAFETY: the plan stays inside the tensor's geometry.
            let v = unsafe {
                from.ptr()
                    .offset(row.offsets[0] + i as isize * row.steps[0])
                    .read()
            };
            if v < 0 || v >= size {
                bad.lock().get_or_insert(v);
                return;
            }
        }
    });
    if let Some(v) = bad.into_inner() {
        fail!(
            Runtime,
            "{op}: index {v} is out of range for a dimension of size {size} (0 to {} are valid)",
            size - 1
        );
    }
    Ok(())
}

/// Walks the places of `index` in logical order, with the offset in `line` (whose `dim` is free)
/// and in `beside` (of index's own sizes): `each(offset in line without dim, index value, offset beside)`.
fn walk(
    index: &Tensor,
    dim: usize,
    line: &Tensor,
    beside: &Tensor,
    mut each: impl FnMut(isize, i64, isize),
) {
    let from = Start::<i64>::of(index);
    let n = index.ndim();
    let mut at = vec![0i64; n];
    let dot = |s: &[i64], at: &[i64], skip: usize| -> isize {
        (0..n)
            .filter(|&d| d != skip)
            .map(|d| (at[d] * s[d]) as isize)
            .sum()
    };
    for _ in 0..index.numel() {
        // SAFETY: `at` is inside index's sizes.
        let v = unsafe { from.ptr().offset(dot(index.strides(), &at, n)).read() };
        each(
            dot(line.strides(), &at, dim),
            v,
            dot(beside.strides(), &at, n),
        );
        for d in (0..n).rev() {
            at[d] += 1;
            if at[d] < index.sizes()[d] {
                break;
            }
            at[d] = 0;
        }
    }
}

/// y[i][j] = x[index[i][j]][j] (for dim 0). Indices must be checked.
pub fn gather<T: Element>(x: &Tensor, dim: usize, index: &Tensor, y: &Tensor) {
    let (from, to) = (Start::<T>::of(x), Start::<T>::of(y));
    let step = x.strides()[dim] as isize;
    // SAFETY: indices were checked against `x`'s size in `dim`; other places are inside both.
    walk(index, dim, x, y, |line, v, out| unsafe {
        to.ptr()
            .offset(out)
            .write(from.ptr().offset(line + v as isize * step).read());
    });
}

/// y[index[i][j]][j] = join(y, x[i][j]) (for dim 0), in row-major order. Indices must be checked.
pub fn scatter<T: Element>(
    y: &Tensor,
    dim: usize,
    index: &Tensor,
    x: &Tensor,
    join: impl Fn(T, T) -> T,
) {
    let (to, from) = (Start::<T>::of(y), Start::<T>::of(x));
    let step = y.strides()[dim] as isize;
    walk(index, dim, y, x, |line, v, src| {
        let place = to.ptr().wrapping_offset(line + v as isize * step);
        // SAFETY: as in `gather`.
        unsafe { place.write(join(place.read(), from.ptr().offset(src).read())) };
    });
}

/// Rows of `x` along `dim` in the order of the vector `index`. Indices must be checked.
pub fn select<T: Element>(x: &Tensor, dim: usize, index: &Tensor, y: &Tensor) -> Result<()> {
    for k in 0..index.numel() as i64 {
        let v = index.read::<i64>(k * index.strides()[0]);
        let (from, to) = (x.narrow(dim as i64, v, 1)?, y.narrow(dim as i64, k, 1)?);
        super::map::convert::<T, T>(&from, &to);
    }
    Ok(())
}

/// Adds the rows of `x` to the rows of `y` that the vector `index` names, in order.
pub fn add_rows<T: Element>(y: &Tensor, dim: usize, index: &Tensor, x: &Tensor) -> Result<()> {
    for k in 0..index.numel() as i64 {
        let v = index.read::<i64>(k * index.strides()[0]);
        let (to, from) = (y.narrow(dim as i64, v, 1)?, x.narrow(dim as i64, k, 1)?);
        super::map::map2::<T, T, T>(&to, &from, &to, T::plus);
    }
    Ok(())
}

/// The number of ones in a mask, or the first value that is neither zero nor one.
pub fn count_ones(op: &str, mask: &Tensor) -> Result<usize> {
    let from = Start::<u8>::of(mask);
    let (count, bad) = (
        std::sync::atomic::AtomicUsize::new(0),
        std::sync::atomic::AtomicU32::new(0),
    );
    Plan::new([mask]).for_rows(&|row| {
        let (mut ones, mut most) = (0, 0);
        for i in 0..row.len {
            // SAFETY: the plan stays inside the tensor's geometry.
            let v = unsafe {
                from.ptr()
                    .offset(row.offsets[0] + i as isize * row.steps[0])
                    .read()
            };
            ones += v as usize;
            most = most.max(v as u32);
        }
        count.fetch_add(ones, std::sync::atomic::Ordering::Relaxed);
        bad.fetch_max(most, std::sync::atomic::Ordering::Relaxed);
    });
    match bad.into_inner() {
        0 | 1 => Ok(count.into_inner()),
        v => fail!(Runtime, "{op}: a mask holds only 0 and 1; got {v}"),
    }
}

/// Calls `each(place of x, place of mask, value)` for every element of `mask` in row-major order.
fn masked(x: &Tensor, mask: &Tensor, mut each: impl FnMut(isize)) {
    let from = Start::<u8>::of(mask);
    let n = mask.ndim();
    let mut at = vec![0i64; n];
    for _ in 0..mask.numel() {
        let dot = |s: &[i64]| -> isize { (0..n).map(|d| (at[d] * s[d]) as isize).sum() };
        // SAFETY: `at` is inside the sizes.
        if unsafe { from.ptr().offset(dot(mask.strides())).read() } != 0 {
            each(dot(x.strides()));
        }
        for d in (0..n).rev() {
            at[d] += 1;
            if at[d] < mask.sizes()[d] {
                break;
            }
            at[d] = 0;
        }
    }
}

/// The elements of `x` where `mask` is one, in row-major order, into the vector `y`.
pub fn masked_select<T: Element>(x: &Tensor, mask: &Tensor, y: &Tensor) {
    let (from, to) = (Start::<T>::of(x), Start::<T>::of(y));
    let step = y.strides().first().map_or(1, |&s| s as isize);
    let mut k = 0;
    // SAFETY: `y` has as many elements as the mask has ones; `x` has the mask's sizes.
    masked(x, mask, |at| unsafe {
        to.ptr()
            .offset(k * step)
            .write(from.ptr().offset(at).read());
        k += 1;
    });
}

/// The next elements of the contiguous `source` go where `mask` is one, in row-major order.
pub fn masked_scatter<T: Element>(y: &Tensor, mask: &Tensor, source: &Tensor) {
    let (to, from) = (Start::<T>::of(y), Start::<T>::of(source));
    let mut k = 0;
    // SAFETY: the callers check that `source` is contiguous and has enough elements.
    masked(y, mask, |at| unsafe {
        to.ptr().offset(at).write(from.ptr().offset(k).read());
        k += 1;
    });
}
