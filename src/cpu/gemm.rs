//! Matrix products: `c = alpha * a b + beta * c` for every element type and any strides.
//!
//! Floats go to the `gemm` crate, cut for our own threads; tiny sizes and integers are plain
//! loops. How `c` is cut never changes the order of a sum, so results are the same bits for every
//! number of threads.

use super::math::wide;
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
            fn product(alpha: $t, a: View<$t>, b: View<$t>, beta: $t, c: ViewMut<$t>, threads: usize) {
                let grid = grid::<$t>(c.rows, c.columns, 8 * a.columns, threads);
                by_rows(a, b, c, grid,
                    |x: $t, y, sum| x.wrapping_mul(y).wrapping_add(sum),
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
                    let grid = grid::<$t>(c.rows, c.columns, a.columns, threads);
                    return by_crate(alpha, a, b, beta, c, grid);
                }
                let finish = |sum, old| alpha * sum + beta * old;
                if b.column_stride == 1 && b.columns <= LANES {
                    rows(a, b, c, beta == 0.0, |x: $t, y, sum| x * y + sum, finish);
                } else if products <= TINY {
                    loops(a, b, c, beta == 0.0, |x: $t, y| x * y, |x, y| x + y, finish);
                } else {
                    by_crate(alpha, a, b, beta, c, [1, 1]);
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

/// The most products of a part, times the bytes of an element: some 20 ms here.
const PART: usize = 1 << 33;

/// The least side of a part that is cut off for that.
const SQUARE: usize = 256;

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

/// How many parts the rows and the columns of an `m x n` product with sums of `k` are cut into.
///
/// The longer side is, into more parts than threads: a helper may come late. A part has [`PART`]
/// products at most: a signal is answered between two.
fn grid<T>(m: usize, n: usize, k: usize, threads: usize) -> [usize; 2] {
    let products = m.saturating_mul(n).saturating_mul(k);
    let wanted = products.div_ceil(PART / size_of::<T>());
    let by_threads = match threads {
        1 => 1,
        _ if products < PARALLEL_FROM => 1,
        _ => threads * PARTS,
    };
    // No part may meet the kernels for small matrices, whose sums have another order.
    let least = if m.min(n) > SMALL { 32 } else { SMALL + 16 };
    if wanted <= by_threads {
        let parts = by_threads.min(m.max(n) / least).max(1);
        return if m > n { [parts, 1] } else { [1, parts] };
    }
    // Parts near to squares: each packs its rows and its columns again.
    let wanted = wanted.next_multiple_of(threads);
    let down = (wanted as f64 * m as f64 / n as f64).sqrt().round() as usize;
    let down = down.min(m / SQUARE).max(1);
    let across = wanted.div_ceil(down).min(n / SQUARE).max(1);
    [wanted.div_ceil(across).min(m / SQUARE).max(1), across]
}

/// A part of a product: the first element of `c` in it, its place and its size.
struct Tile<T> {
    to: *mut T,
    at: [usize; 2],
    size: [usize; 2],
}

/// Computes the parts of `c` that a grid cuts it into; `compute` writes to the elements of its part
/// only.
fn cut<T: Element>(c: ViewMut<T>, [down, across]: [usize; 2], compute: impl Fn(Tile<T>) + Sync) {
    // Whole registers in every part but the last.
    let bound = |i: usize, parts: usize, side: usize| match i == parts {
        true => side,
        false => side * i / parts / 16 * 16,
    };
    let to = Shared(c.data.as_mut_ptr());
    pool::run(down * across, |part| {
        let (i, j) = (part / across, part % across);
        let (row, column) = (bound(i, down, c.rows), bound(j, across, c.columns));
        let size = [
            bound(i + 1, down, c.rows) - row,
            bound(j + 1, across, c.columns) - column,
        ];
        let at = row * c.row_stride + column * c.column_stride;
        compute(Tile {
            to: to.get().wrapping_add(at),
            at: [row, column],
            size,
        });
    });
}

/// The product by the crate's kernels.
fn by_crate<T: Element>(
    alpha: T,
    a: View<T>,
    b: View<T>,
    beta: T,
    c: ViewMut<T>,
    grid: [usize; 2],
) {
    let keeps = beta != T::from_i64(0);
    let (row_stride, column_stride) = (c.row_stride as isize, c.column_stride as isize);
    cut(c, grid, |tile| {
        let ([row, column], [rows, columns]) = (tile.at, tile.size);
        // SAFETY: every view is inside its slice for all its rows and columns, checked by `new`,
        // and these parts are inside the views. The elements of `c` are apart, also checked by
        // `new`, and the parts share none: no two tasks write to one place.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                a.columns,
                tile.to,
                column_stride,
                row_stride,
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
    });
}

/// The product in sums that may be formed in any order, as those of integers: rows of `b` times an
/// element of `a`, added up.
#[inline(always)]
fn by_rows<T: Element>(
    a: View<T>,
    b: View<T>,
    c: ViewMut<T>,
    grid: [usize; 2],
    add_product: impl Fn(T, T, T) -> T + Sync,
    finish: impl Fn(T, T) -> T + Sync,
) {
    let (row_stride, column_stride) = (c.row_stride, c.column_stride);
    cut(c, grid, |tile| {
        wide(
            #[inline(always)]
            || {
                let ([row, column], [rows, columns]) = (tile.at, tile.size);
                for (i, from) in
                    (0..rows).flat_map(|i| (0..columns).step_by(BLOCK).map(move |j| (i, j)))
                {
                    let mut sums = [T::default(); BLOCK];
                    let sums = &mut sums[..BLOCK.min(columns - from)];
                    for k in 0..a.columns {
                        let x = a.data[(row + i) * a.row_stride + k * a.column_stride];
                        let y = &b.data[k * b.row_stride + (column + from) * b.column_stride..];
                        if b.column_stride == 1 {
                            for (sum, y) in sums.iter_mut().zip(y) {
                                *sum = add_product(x, *y, *sum);
                            }
                        } else {
                            for (j, sum) in sums.iter_mut().enumerate() {
                                *sum = add_product(x, y[j * b.column_stride], *sum);
                            }
                        }
                    }
                    for (j, sum) in sums.iter().enumerate() {
                        // SAFETY: an element of the part, and the parts share none, as `new` checked.
                        unsafe {
                            let to = tile.to.add(i * row_stride + (from + j) * column_stride);
                            *to = finish(*sum, *to);
                        }
                    }
                }
            },
        );
    });
}

/// Elements of a row whose sums are formed at once.
const BLOCK: usize = 256;

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
