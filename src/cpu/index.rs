//! Kernels that move single elements by index. Indices are checked before anything is written.

use super::map::Start;
use super::plan::Plan;
use crate::error::Result;
use crate::fail;
use crate::tensor::{Element, Tensor, dims};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Fails unless every index is in `0..size`.
///
/// # Errors
/// `RuntimeError` with the first index outside.
pub fn check(op: &str, index: &Tensor, size: i64) -> Result<()> {
    within(op, index, 0, size)
}

/// Fails unless every index is in `low..size`.
///
/// # Errors
/// `RuntimeError` with the first index outside.
pub fn within(op: &str, index: &Tensor, low: i64, size: i64) -> Result<()> {
    let from = Start::<i64>::of(index);
    let bad = AtomicBool::new(false);
    Plan::new([index]).for_rows(&|row| {
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for i in 0..row.len as isize {
            // SAFETY: the plan stays inside the tensor's geometry.
            let v = unsafe { from.ptr().offset(row.offsets[0] + i * row.steps[0]).read() };
            least = least.min(v);
            most = most.max(v);
        }
        if least < low || most >= size {
            bad.store(true, Relaxed);
        }
    });
    if !bad.into_inner() {
        return Ok(());
    }
    let strides = dims::row_major(index.sizes());
    let at = |i: i64| -> i64 {
        (0..index.ndim())
            .map(|d| i / strides[d] % index.sizes()[d] * index.strides()[d])
            .sum()
    };
    let first = (0..index.numel() as i64)
        .map(|i| index.read::<i64>(at(i)))
        .find(|&v| v < low || v >= size);
    fail!(
        Runtime,
        "{op}: index {} is out of range for a dimension of size {size} ({low} to {} are valid)",
        first.unwrap_or(size),
        size - 1
    );
}

/// An index that was checked, read once. Another thread may have written it since: that gives some
/// element, never one outside.
///
/// # Safety
/// `at` must be inside its tensor.
#[inline(always)]
unsafe fn checked(at: *const i64, size: i64) -> isize {
    // SAFETY: the caller's; volatile, so that what is bounded is what is used.
    inside(unsafe { at.read_volatile() }, size) as isize
}

/// `place` if it is one of `size`, else the last.
#[inline(always)]
fn inside(place: i64, size: i64) -> i64 {
    (place as u64).min((size as u64).wrapping_sub(1)) as i64
}

/// Strides with that of `dim` left out of the sum.
fn free(strides: &[i64], dim: usize) -> dims::Dims {
    let mut free = dims::Dims::from_slice(strides);
    free[dim] = 0;
    free
}

/// y[i][j] = x[index[i][j]][j] (for dim 0). Indices must be checked.
pub fn gather<T: Element>(x: &Tensor, dim: usize, index: &Tensor, y: &Tensor) {
    let (from, at, to) = (
        Start::<T>::of(x),
        Start::<i64>::of(index),
        Start::<T>::of(y),
    );
    let (step, size) = (x.strides()[dim] as isize, x.sizes()[dim]);
    let line = free(x.strides(), dim);
    let plan = Plan::over(index.sizes(), [y.strides(), index.strides(), &line]);
    plan.for_rows(&|row| {
        let [put, next, along] = row.steps;
        // SAFETY: indices were checked against `x`'s size in `dim`; other places are inside.
        unsafe {
            let to = to.ptr().offset(row.offsets[0]);
            let at = at.ptr().offset(row.offsets[1]);
            let from = from.ptr().offset(row.offsets[2]);
            if put == 1 && next == 1 {
                for i in 0..row.len {
                    let v = checked(at.add(i), size);
                    to.add(i)
                        .write(from.offset(i as isize * along + v * step).read());
                }
                return;
            }
            for i in 0..row.len as isize {
                let v = checked(at.offset(i * next), size);
                to.offset(i * put)
                    .write(from.offset(i * along + v * step).read());
            }
        }
    });
}

/// y[index[i][j]][j] = join(y, x[i][j]) (for dim 0): along `dim` in order, which is the order of
/// everything that meets in one element. Indices must be checked.
pub fn scatter<T: Element>(
    y: &Tensor,
    dim: usize,
    index: &Tensor,
    x: &Tensor,
    join: impl Fn(T, T) -> T + Sync,
) {
    let (to, at, from) = (
        Start::<T>::of(y),
        Start::<i64>::of(index),
        Start::<T>::of(x),
    );
    let (step, size) = (y.strides()[dim] as isize, y.sizes()[dim]);
    let (count, next, get) = (
        index.sizes()[dim] as isize,
        index.strides()[dim] as isize,
        x.strides()[dim] as isize,
    );
    let mut lines = dims::Dims::from_slice(index.sizes());
    lines[dim] = 1;
    let plan = Plan::over(&lines, [y.strides(), index.strides(), x.strides()]);
    plan.for_rows_of(count as usize, &|row| {
        let one = |i: isize, k: isize| {
            // SAFETY: indices were checked against `y`'s size in `dim`; other places are inside.
            unsafe {
                let v = row.offsets[1] + i * row.steps[1] + k * next;
                let v = checked(at.ptr().offset(v), size);
                let place = to
                    .ptr()
                    .offset(row.offsets[0] + i * row.steps[0] + v * step);
                let new = from
                    .ptr()
                    .offset(row.offsets[2] + i * row.steps[2] + k * get)
                    .read();
                place.write(join(place.read(), new));
            }
        };
        let len = row.len as isize;
        // Lines are apart, so they may be walked one by one or abreast: as the index lies.
        if next.abs() <= row.steps[1].abs() {
            for i in 0..len {
                for k in 0..count {
                    one(i, k);
                }
            }
        } else {
            for k in 0..count {
                for i in 0..len {
                    one(i, k);
                }
            }
        }
    });
}

/// Where the element with a place in row-major order lies.
struct Places {
    sizes: dims::Dims,
    strides: dims::Dims,
    contiguous: bool,
    count: i64,
}

impl Places {
    fn of(x: &Tensor) -> Places {
        Places {
            sizes: dims::Dims::from_slice(x.sizes()),
            strides: dims::Dims::from_slice(x.strides()),
            contiguous: x.is_contiguous(),
            count: x.numel() as i64,
        }
    }

    /// Negative places count from the end.
    #[inline(always)]
    fn offset(&self, place: i64) -> isize {
        let place = if place < 0 {
            place.wrapping_add(self.count)
        } else {
            place
        };
        let mut place = inside(place, self.count);
        if self.contiguous {
            return place as isize;
        }
        let mut offset = 0;
        for d in (0..self.sizes.len()).rev() {
            offset += place % self.sizes[d] * self.strides[d];
            place /= self.sizes[d];
        }
        offset as isize
    }
}

/// y[i] = the element of `x` with the row-major place index[i]. Indices must be checked.
pub fn take<T: Element>(x: &Tensor, index: &Tensor, y: &Tensor) {
    let (from, at, to) = (
        Start::<T>::of(x),
        Start::<i64>::of(index),
        Start::<T>::of(y),
    );
    let places = Places::of(x);
    Plan::new([y, index]).for_rows(&|row| {
        for i in 0..row.len as isize {
            // SAFETY: places were checked to be inside `x`.
            unsafe {
                let v = at.ptr().offset(row.offsets[1] + i * row.steps[1]);
                let v = v.read_volatile();
                let to = to.ptr().offset(row.offsets[0] + i * row.steps[0]);
                to.write(from.ptr().offset(places.offset(v)).read());
            }
        }
    });
}

/// The element of `y` with the row-major place index[i] = join(it, x[i]), in row-major order of
/// `index`. Indices must be checked; `x` has as many elements and both are contiguous.
pub fn put<T: Element>(y: &Tensor, index: &Tensor, x: &Tensor, join: impl Fn(T, T) -> T) {
    assert!(
        index.is_contiguous() && x.is_contiguous() && x.numel() >= index.numel(),
        "sources of put lie in a row"
    );
    let (to, at, from) = (
        Start::<T>::of(y),
        Start::<i64>::of(index),
        Start::<T>::of(x),
    );
    let places = Places::of(y);
    for i in 0..index.numel() {
        // SAFETY: places were checked to be inside `y`, and `i` is inside both others.
        unsafe {
            let place = to
                .ptr()
                .offset(places.offset(at.ptr().add(i).read_volatile()));
            place.write(join(place.read(), from.ptr().add(i).read()));
        }
    }
}
