//! LU with row exchanges.

use super::{Real, matrix, matrix_mut, room, scratch};
use crate::error::Result;
use faer::Par;
use faer::dyn_stack::MemStack;
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::linalg::triangular_solve::{
    solve_unit_lower_triangular_in_place, solve_upper_triangular_in_place,
};

/// Overwrites `a`, n x n, with its factors and `pivots` with the exchanges; gives the position of
/// the first zero pivot, from 1. Below and right of a zero pivot nothing is defined.
///
/// # Errors
/// No memory.
pub fn factor<T: Real>(
    op: &str,
    a: &mut [T],
    n: usize,
    pivots: &mut [i32],
) -> Result<Option<usize>> {
    let (mut rows, mut places) = (vec![0usize; n], vec![0usize; n]);
    let need = lu_in_place_scratch::<usize, T>(n, n, Par::Seq, Default::default());
    let mut memory = scratch(op, need)?;
    let stack = MemStack::new(&mut memory);
    let view = matrix_mut(a, n, n);
    lu_in_place(
        view,
        &mut rows,
        &mut places,
        Par::Seq,
        stack,
        Default::default(),
    );
    // From the final order of rows back to the exchanges that lead there.
    let mut order: Vec<usize> = (0..n).collect();
    let mut place = order.clone();
    for i in 0..n {
        let p = place[rows[i]];
        pivots[i] = p as i32 + 1;
        order.swap(i, p);
        place[order[i]] = i;
        place[order[p]] = p;
    }
    Ok((0..n).find(|i| a[i * n + i] == T::default()).map(|i| i + 1))
}

/// As [`factor`], step by step, going on after a zero pivot and without exchanges on request.
pub fn factor_whole<T: Real>(
    a: &mut [T],
    n: usize,
    pivots: &mut [i32],
    exchanges: bool,
) -> Option<usize> {
    let mut first = None;
    for k in 0..n {
        let mut p = k;
        if exchanges {
            for i in k + 1..n {
                if a[k * n + i].magnitude() > a[k * n + p].magnitude() {
                    p = i;
                }
            }
        }
        pivots[k] = p as i32 + 1;
        let pivot = a[k * n + p];
        if pivot == T::default() {
            first = first.or(Some(k + 1));
            continue;
        }
        if p != k {
            for j in 0..n {
                a.swap(j * n + k, j * n + p);
            }
        }
        for i in k + 1..n {
            a[k * n + i] = a[k * n + i].over(pivot);
        }
        let (done, rest) = a.split_at_mut((k + 1) * n);
        let column = &done[k * n + k + 1..];
        for other in rest.chunks_exact_mut(n) {
            let by = other[k];
            for (to, from) in other[k + 1..].iter_mut().zip(column) {
                *to = to.minus(from.times(by));
            }
        }
    }
    first
}

/// Overwrites `b`, n x k, with the solution of `A x = b`, from the factors of A.
pub fn solve<T: Real>(factors: &[T], pivots: &[i32], b: &mut [T], n: usize) {
    for column in b.chunks_exact_mut(n) {
        for (i, p) in pivots.iter().enumerate() {
            column.swap(i, *p as usize - 1);
        }
    }
    let k = b.len() / n.max(1);
    let factors = matrix(factors, n, n);
    solve_unit_lower_triangular_in_place(factors, matrix_mut(b, n, k), Par::Seq);
    solve_upper_triangular_in_place(factors, matrix_mut(b, n, k), Par::Seq);
}

/// The inverse from the factors.
///
/// # Errors
/// No memory.
pub fn inverse<T: Real>(op: &str, factors: &[T], pivots: &[i32], n: usize) -> Result<Vec<T>> {
    let mut y = room::<T>(op, n * n)?;
    for i in 0..n {
        y[i * n + i] = T::ONE;
    }
    solve(factors, pivots, &mut y, n);
    Ok(y)
}
