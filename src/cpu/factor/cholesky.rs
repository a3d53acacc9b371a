//! Cholesky factors, with and without pivots, and triangular matrices.

use super::{Real, matrix, matrix_mut, room, scratch};
use crate::error::Result;
use faer::Par;
use faer::dyn_stack::MemStack;
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve as triangular;

/// Overwrites `a`, n x n, of which one triangle is read, with its factor: U with A = UᵀU, or L with
/// A = LLᵀ. Gives the order of the first leading minor that is not positive.
///
/// # Errors
/// No memory.
pub fn factor<T: Real>(op: &str, a: &mut [T], n: usize, upper: bool) -> Result<Option<usize>> {
    let need = llt::factor::cholesky_in_place_scratch::<T>(n, Par::Seq, Default::default());
    let mut memory = scratch(op, need)?;
    let stack = MemStack::new(&mut memory);
    let view = matrix_mut(a, n, n);
    let view = if upper { view.transpose_mut() } else { view };
    let done = llt::factor::cholesky_in_place(
        view,
        Default::default(),
        Par::Seq,
        stack,
        Default::default(),
    );
    if let Err(llt::factor::LltError::NonPositivePivot { index }) = done {
        return Ok(Some(index + 1));
    }
    let zero = T::default();
    for j in 0..n {
        let column = &mut a[j * n..][..n];
        if column[j].is_nan() || column[j] <= zero {
            return Ok(Some(j + 1));
        }
        let other = if upper { j + 1..n } else { 0..j };
        column[other].fill(zero);
    }
    Ok(None)
}

/// The inverse of A from its factor.
///
/// # Errors
/// No memory.
pub fn inverse<T: Real>(op: &str, factor: &[T], n: usize, upper: bool) -> Result<Vec<T>> {
    let mut y = room::<T>(op, n * n)?;
    let mut memory = scratch(op, llt::inverse::inverse_scratch::<T>(n, Par::Seq))?;
    let factor = matrix(factor, n, n);
    let lower = if upper { factor.transpose() } else { factor };
    let stack = MemStack::new(&mut memory);
    llt::inverse::inverse(matrix_mut(&mut y, n, n), lower, Par::Seq, stack);
    for j in 0..n {
        for i in 0..j {
            y[j * n + i] = y[i * n + j];
        }
    }
    Ok(y)
}

/// Overwrites `b`, n x k, with the solution of `A x = b`, from the factor of A.
pub fn solve<T: Real>(factor: &[T], b: &mut [T], n: usize, upper: bool) {
    solve_triangular(factor, b, n, upper, upper, false);
    solve_triangular(factor, b, n, upper, !upper, false);
}

/// Overwrites `b`, n x k, with the solution of `A x = b` or `Aᵀ x = b` for a triangular matrix.
pub fn solve_triangular<T: Real>(
    a: &[T],
    b: &mut [T],
    n: usize,
    upper: bool,
    transpose: bool,
    unit: bool,
) {
    let k = b.len() / n.max(1);
    let b = matrix_mut(b, n, k);
    let a = matrix(a, n, n);
    let a = if transpose { a.transpose() } else { a };
    match (upper != transpose, unit) {
        (true, false) => triangular::solve_upper_triangular_in_place(a, b, Par::Seq),
        (true, true) => triangular::solve_unit_upper_triangular_in_place(a, b, Par::Seq),
        (false, false) => triangular::solve_lower_triangular_in_place(a, b, Par::Seq),
        (false, true) => triangular::solve_unit_lower_triangular_in_place(a, b, Par::Seq),
    }
}

/// What a pivoted factorization found.
pub struct Pivoted<T> {
    /// L, column-major, n x n, with zeros above its diagonal and from column `rank` on.
    pub lower: Vec<T>,
    pub rank: usize,
    /// The largest of the diagonal that was left when it stopped, in absolute value negative.
    pub rest: f64,
}

/// Factors P'AP = LL' with complete pivoting, A given by one triangle of `a`. It stops where the
/// largest pivot left is at most `tol`, or n eps max A_ii if `tol` is negative. `pivots` gets the
/// order of rows, from 1.
///
/// # Errors
/// No memory.
pub fn factor_pivoted<T: Real>(
    op: &str,
    a: &[T],
    n: usize,
    upper: bool,
    tol: f64,
    pivots: &mut [i32],
) -> Result<Pivoted<T>> {
    let mut l = room::<T>(op, n * n)?;
    for j in 0..n {
        for i in j..n {
            l[j * n + i] = if upper { a[i * n + j] } else { a[j * n + i] };
        }
    }
    for (i, p) in pivots.iter_mut().enumerate() {
        *p = i as i32 + 1;
    }
    let largest = |l: &[T], from: usize| {
        let mut best = from;
        for i in from..n {
            let d = l[i * n + i];
            if d > l[best * n + best] || l[best * n + best].is_nan() {
                best = i;
            }
        }
        best
    };
    let top = largest(&l, 0);
    let stop = if tol < 0.0 {
        n as f64 * T::EPSILON * l[top * n + top].to_f64()
    } else {
        tol
    };
    let mut rank = n;
    for k in 0..n {
        let p = largest(&l, k);
        let pivot = l[p * n + p].to_f64();
        // A pivot that is not a number stops it, too.
        if !(pivot > stop && pivot > 0.0) {
            rank = k;
            break;
        }
        exchange(&mut l, n, k, p);
        pivots.swap(k, p);
        let root = T::from_f64(pivot.sqrt());
        l[k * n + k] = root;
        for i in k + 1..n {
            l[k * n + i] = l[k * n + i].over(root);
        }
        let (done, rest) = l.split_at_mut((k + 1) * n);
        let column = &done[k * n..];
        for (j, other) in rest.chunks_exact_mut(n).enumerate() {
            let j = k + 1 + j;
            let by = column[j];
            for (to, from) in other[j..].iter_mut().zip(&column[j..]) {
                *to = to.minus(from.times(by));
            }
        }
    }
    let left = (rank..n).map(|i| l[i * n + i].to_f64());
    let rest = left.fold(0.0, |a: f64, d| if d.is_nan() { d } else { a.min(d) });
    l[rank * n..].fill(T::default());
    Ok(Pivoted {
        lower: l,
        rank,
        rest,
    })
}

/// Exchanges rows and columns `k` and `p`, `k` not the larger, of a symmetric matrix stored below
/// its diagonal.
fn exchange<T: Real>(l: &mut [T], n: usize, k: usize, p: usize) {
    if k == p {
        return;
    }
    for j in 0..k {
        l.swap(j * n + k, j * n + p);
    }
    l.swap(k * n + k, p * n + p);
    for i in k + 1..p {
        l.swap(k * n + i, i * n + p);
    }
    for i in p + 1..n {
        l.swap(k * n + i, p * n + i);
    }
}
