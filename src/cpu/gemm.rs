//! Matrix products: `c = alpha * a b + beta * c` for every element type and any strides.
//!
//! Floats go to the `gemm` crate, cut for our own threads; tiny sizes and integers are plain
//! loops. How `c` is cut never changes the order of a sum, so results are the same bits for every
//! number of threads.

use super::pool;
use crate::tensor::Element;

/// A matrix inside a slice. Strides may be 0 or swapped.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A matrix to write, no two elements of which share a place.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// Whether the last element is inside `len`.
fn is_inside(len: usize, sizes: [usize; 2], strides: [usize; 2]) -> bool {
    if sizes.contains(&0) {
        return true;
    }
    let last = |i: usize| (sizes[i] - 1).checked_mul(strides[i]);
    let last = last(0).zip(last(1)).and_then(|(a, b)| a.checked_add(b));
    // The crate counts in signed numbers.
    last.is_some_and(|last| last < len) && strides.iter().all(|s| isize::try_from(*s).is_ok())
}

impl<'a, T> View<'a, T> {
    /// `rows x columns` elements that begin with the first of `data`; none if they leave it.
    pub fn new(
        data: &'a [T],
        [rows, columns]: [usize; 2],
        [row_stride, column_stride]: [usize; 2],
    ) -> Option<View<'a, T>> {
        is_inside(data.len(), [rows, columns], [row_stride, column_stride]).then_some(View {
            data,
            rows,
            columns,
            row_stride,
            column_stride,
        })
    }
}

impl<'a, T> ViewMut<'a, T> {
    /// `rows x columns` elements that begin with the first of `data`; none if they leave it or
    /// two of them share a place.
    pub fn new(
        data: &'a mut [T],
        [rows, columns]: [usize; 2],
        [row_stride, column_stride]: [usize; 2],
    ) -> Option<ViewMut<'a, T>> {
        // One stride must step over all that the other one spans.
        let apart = |n: usize, s: usize, m: usize, t: usize| {
            (m <= 1 || t >= 1) && (n <= 1 || s > (m.max(1) - 1).saturating_mul(t))
        };
        let is_apart = rows == 0
            || columns == 0
            || apart(rows, row_stride, columns, column_stride)
            || apart(columns, column_stride, rows, row_stride);
        (is_apart && is_inside(data.len(), [rows, columns], [row_stride, column_stride])).then_some(
            ViewMut {
                data,
                rows,
                columns,
                row_stride,
                column_stride,
            },
        )
    }
}

/// An element type with a matrix product.
pub trait Product: Element {
    /// Multiplies checked views of matching sizes.
    #[doc(hidden)]
    fn product(
        alpha: Self,
        a: View<Self>,
        b: View<Self>,
        beta: Self,
        c: ViewMut<Self>,
        threads: usize,
    );
}

/// Computes `c = alpha * a b + beta * c`; with `beta` 0, what was in `c` does not count.
///
/// Integers wrap. Returns false, with `c` untouched, if the sizes do not match.
#[must_use]
pub fn gemm<T: Product>(alpha: T, a: View<T>, b: View<T>, beta: T, c: ViewMut<T>) -> bool {
    checked(alpha, a, b, beta, c, pool::threads())
}

/// As [`gemm`], on this thread alone, with the same bits.
#[must_use]
pub fn gemm_here<T: Product>(alpha: T, a: View<T>, b: View<T>, beta: T, c: ViewMut<T>) -> bool {
    checked(alpha, a, b, beta, c, 1)
}

fn checked<T: Product>(
    alpha: T,
    a: View<T>,
    b: View<T>,
    beta: T,
    c: ViewMut<T>,
    threads: usize,
) -> bool {
    let fits = a.columns == b.rows && a.rows == c.rows && b.columns == c.columns;
    if fits && c.rows > 0 && c.columns > 0 {
        T::product(alpha, a, b, beta, c, threads);
    }
    fits
}

macro_rules! integers {
    ($($t:ident)*) => {$(
        impl Product for $t {
            fn product(alpha: $t, a: View<$t>, b: View<$t>, beta: $t, c: ViewMut<$t>, _: usize) {
                loops(a, b, c, beta == 0, |x: $t, y| x.wrapping_mul(y), |x: $t, y| x.wrapping_add(y),
                    |sum, old| alpha.wrapping_mul(sum).wrapping_add(beta.wrapping_mul(old)));
            }
        }
    )*};
}

macro_rules! floats {
    ($($t:ident)*) => {$(
        impl Product for $t {
            fn product(alpha: $t, a: View<$t>, b: View<$t>, beta: $t, c: ViewMut<$t>, threads: usize) {
                let products = a.rows.saturating_mul(b.columns).saturating_mul(a.columns);
                if products > SHORT {
                    return cut(alpha, a, b, beta, c, threads);
                }
                let finish = |sum, old| alpha * sum + beta * old;
                if b.column_stride == 1 && b.columns <= LANES {
                    rows(a, b, c, beta == 0.0, |x: $t, y, sum| x * y + sum, finish);
                } else if products <= TINY {
                    loops(a, b, c, beta == 0.0, |x: $t, y| x * y, |x, y| x + y, finish);
                } else {
                    cut(alpha, a, b, beta, c, threads);
                }
            }
        }
    )*};
}

integers!(u8 i8 i16 i32 i64);
floats!(f32 f64);

/// Up to this many products a plain loop beats the call of the crate (0.27 us).
const TINY: usize = 4 * 4 * 4;

/// The same where `b` has rows without gaps, of at most [`LANES`] elements.
const SHORT: usize = 10 * 10 * 10;
const LANES: usize = 16;

/// From this many products on threads share the work.
const PARALLEL_FROM: usize = 3 << 18;

/// Parts for each thread.
const PARTS: usize = 2;

/// Sides up to which the crate cuts sums elsewhere than in larger matrices.
const SMALL: usize = 64;

/// The product as sums in the order of `k`, for any type.
#[inline(always)]
fn loops<T: Element>(
    a: View<T>,
    b: View<T>,
    c: ViewMut<T>,
    is_fresh: bool,
    times: impl Fn(T, T) -> T,
    plus: impl Fn(T, T) -> T,
    finish: impl Fn(T, T) -> T,
) {
    let zero = T::from_i64(0);
    for i in 0..c.rows {
        for j in 0..c.columns {
            let mut sum = zero;
            for k in 0..a.columns {
                let x = a.data[i * a.row_stride + k * a.column_stride];
                let y = b.data[k * b.row_stride + j * b.column_stride];
                sum = plus(sum, times(x, y));
            }
            let to = &mut c.data[i * c.row_stride + j * c.column_stride];
            *to = finish(sum, if is_fresh { zero } else { *to });
        }
    }
}

/// The same sums in the same order, a row of `c` at a time.
#[inline(always)]
fn rows<T: Element>(
    a: View<T>,
    b: View<T>,
    c: ViewMut<T>,
    is_fresh: bool,
    add_product: impl Fn(T, T, T) -> T,
    finish: impl Fn(T, T) -> T,
) {
    let zero = T::from_i64(0);
    for i in 0..c.rows {
        let mut sums = [zero; LANES];
        for k in 0..a.columns {
            let x = a.data[i * a.row_stride + k * a.column_stride];
            let row = &b.data[k * b.row_stride..][..b.columns];
            for (sum, y) in sums.iter_mut().zip(row) {
                *sum = add_product(x, *y, *sum);
            }
        }
        for (j, sum) in sums.iter().enumerate().take(c.columns) {
            let to = &mut c.data[i * c.row_stride + j * c.column_stride];
            *to = finish(*sum, if is_fresh { zero } else { *to });
        }
    }
}

/// A pointer that tasks on disjoint parts may share.
struct Shared<T>(*mut T);

// SAFETY: tasks write disjoint parts through it, as `cut` says.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Through a method, so that closures borrow the whole.
    fn get(&self) -> *mut T {
        self.0
    }
}

/// Cuts `c` along its longer side, into more parts than threads: a helper may come late.
fn cut<T: Element>(alpha: T, a: View<T>, b: View<T>, beta: T, c: ViewMut<T>, threads: usize) {
    let (m, n, k) = (c.rows, c.columns, a.columns);
    let by_rows = m > n;
    let long = m.max(n);
    let is_big = m.saturating_mul(n).saturating_mul(k) >= PARALLEL_FROM;
    // No part may meet the kernels for small matrices, whose sums have another order.
    let least = if m.min(n) > SMALL { 32 } else { SMALL + 16 };
    let parts = if is_big {
        match threads {
            1 => 1,
            _ => (threads * PARTS).min(long / least).max(1),
        }
    } else {
        1
    };
    // Whole registers in every part but the last.
    let bound = |i: usize| {
        if i == parts {
            long
        } else {
            long * i / parts / 16 * 16
        }
    };
    let to = Shared(c.data.as_mut_ptr());
    let zero = T::from_i64(0);
    let keeps = beta != zero;
    let part = |i: usize| {
        let (from, until) = (bound(i), bound(i + 1));
        let (rows, columns) = if by_rows {
            (until - from, n)
        } else {
            (m, until - from)
        };
        let (row, column) = if by_rows { (from, 0) } else { (0, from) };
        // SAFETY: every view is inside its slice for all its rows and columns, checked by `new`,
        // and these parts are inside the views. The elements of `c` are apart, also checked by
        // `new`, and the parts share no rows or columns: no two tasks write to one place.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                k,
                to.get().add(row * c.row_stride + column * c.column_stride),
                c.column_stride as isize,
                c.row_stride as isize,
                keeps,
                a.data.as_ptr().wrapping_add(row * a.row_stride),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr().wrapping_add(column * b.column_stride),
                b.column_stride as isize,
                b.row_stride as isize,
                beta,
                alpha,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    pool::run(parts, part);
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
