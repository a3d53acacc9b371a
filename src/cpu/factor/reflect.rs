//! Householder QR in LAPACK's packed form: R above the diagonal, below it the vectors of
//! reflections `I - tau v vᵀ` with an implied leading one.
//!
//! Reflections work in blocks of [`BLOCK`], `I - V T Vᵀ`, so that most work is matrix products.

use super::{Real, room};
use crate::cpu::gemm::{View, ViewMut, gemm};
use crate::cpu::math::wide;
use crate::error::Result;

const BLOCK: usize = 32;

/// A matrix inside a slice: rows, columns and the strides of both.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub sizes: [usize; 2],
    pub strides: [usize; 2],
}

impl Shape {
    /// A column-major matrix.
    pub fn columns(rows: usize, columns: usize) -> Shape {
        Shape {
            sizes: [rows, columns],
            strides: [1, rows],
        }
    }

    /// Its transpose.
    pub fn turned(self) -> Shape {
        let ([m, n], [s, t]) = (self.sizes, self.strides);
        Shape {
            sizes: [n, m],
            strides: [t, s],
        }
    }
}

/// The inner product of two columns.
#[inline(always)]
fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    const LANES: usize = 16;
    let mut lanes = [T::default(); LANES];
    let (a, b) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let tail = rest.fold(T::default(), |sum, (p, q)| sum.plus(p.times(*q)));
    for (p, q) in a.zip(b) {
        for j in 0..LANES {
            lanes[j] = lanes[j].plus(p[j].times(q[j]));
        }
    }
    lanes.iter().fold(tail, |sum, v| sum.plus(*v))
}

/// The length of a column, without overflow on the way.
fn length<T: Real>(x: &[T]) -> f64 {
    let largest = x.iter().fold(0.0f64, |a, v| a.max(v.magnitude().to_f64()));
    if x.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    if largest == 0.0 || largest.is_infinite() {
        return largest;
    }
    let sum: f64 = x.iter().map(|v| (v.to_f64() / largest).powi(2)).sum();
    largest * sum.sqrt()
}

/// Makes `column` a reflection: its head becomes what the column is reflected to. Gives tau.
fn reflect<T: Real>(column: &mut [T]) -> T {
    let Some((head, tail)) = column.split_first_mut() else {
        return T::default();
    };
    let norm = length(tail);
    if norm == 0.0 {
        return T::default();
    }
    let alpha = head.to_f64();
    let beta = -alpha.hypot(norm).copysign(alpha);
    for v in tail {
        *v = T::from_f64(v.to_f64() / (alpha - beta));
    }
    *head = T::from_f64(beta);
    T::from_f64((beta - alpha) / beta)
}

/// Factors `a`, m x n, in place; `tau` gets min(m, n) numbers.
///
/// # Errors
/// No memory.
pub fn factor<T: Real>(op: &str, a: &mut [T], m: usize, n: usize, tau: &mut [T]) -> Result<()> {
    let k = m.min(n);
    for from in (0..k).step_by(BLOCK) {
        let width = BLOCK.min(k - from);
        for j in from..from + width {
            let (done, rest) = a.split_at_mut((j + 1) * m);
            let column = &mut done[j * m + j..];
            tau[j] = reflect(column);
            let head = std::mem::replace(&mut column[0], T::ONE);
            let by = tau[j];
            for other in rest.chunks_exact_mut(m).take(from + width - j - 1) {
                let other = &mut other[j..];
                wide(
                    #[inline(always)]
                    || {
                        let w = dot(column, other).times(by);
                        for (to, v) in other.iter_mut().zip(&*column) {
                            *to = to.minus(v.times(w));
                        }
                    },
                );
            }
            column[0] = head;
        }
        let (left, right) = a.split_at_mut((from + width) * m);
        if right.is_empty() {
            break;
        }
        let block = Block::new(op, left, m, from, &tau[from..from + width])?;
        let shape = Shape {
            sizes: [m - from, right.len() / m],
            strides: [1, m],
        };
        block.apply(op, true, &mut right[from..], shape)?;
    }
    Ok(())
}

/// Reflections `from` to `from + width` of a packed matrix as `I - V T Vᵀ`.
struct Block<T> {
    v: Vec<T>,
    t: Vec<T>,
    rows: usize,
    width: usize,
}

impl<T: Real> Block<T> {
    fn new(op: &str, a: &[T], m: usize, from: usize, tau: &[T]) -> Result<Block<T>> {
        let (rows, width) = (m - from, tau.len());
        let mut v = room::<T>(op, rows * width)?;
        for (j, column) in v.chunks_exact_mut(rows).enumerate() {
            column[j] = T::ONE;
            column[j + 1..].copy_from_slice(&a[(from + j) * m + from + j + 1..][..rows - j - 1]);
        }
        let mut t = room::<T>(op, width * width)?;
        for j in 0..width {
            let column = &v[j * rows..][..rows];
            let mut with = [T::default(); BLOCK];
            for (i, w) in with.iter_mut().enumerate().take(j) {
                let other = &v[i * rows..][..rows];
                *w = wide(
                    #[inline(always)]
                    || dot(&other[j..], &column[j..]),
                );
            }
            for i in 0..j {
                let mut sum = T::default();
                for p in i..j {
                    sum = sum.plus(t[p * width + i].times(with[p]));
                }
                t[j * width + i] = T::default().minus(tau[j].times(sum));
            }
            t[j * width + j] = tau[j];
        }
        Ok(Block { v, t, rows, width })
    }

    /// Overwrites `c` with the product of the block, or its transpose, and `c`.
    fn apply(&self, op: &str, transpose: bool, c: &mut [T], shape: Shape) -> Result<()> {
        let [rows, columns] = shape.sizes;
        let (width, one, zero) = (self.width, T::ONE, T::default());
        let mut w = room::<T>(op, width * columns)?;
        let mut tw = room::<T>(op, width * columns)?;
        let turned = View::new(&self.v, [width, rows], [self.rows, 1]);
        let v = View::new(&self.v, [rows, width], [1, self.rows]);
        let order = if transpose { [width, 1] } else { [1, width] };
        let t = View::new(&self.t, [width, width], order);
        let (narrow, steps) = ([width, columns], [1, width]);
        let done = (|| {
            let from = View::new(c, shape.sizes, shape.strides)?;
            let to = ViewMut::new(&mut w, narrow, steps)?;
            gemm(one, turned?, from, zero, to).then_some(())?;
            let to = ViewMut::new(&mut tw, narrow, steps)?;
            gemm(one, t?, View::new(&w, narrow, steps)?, zero, to).then_some(())?;
            let to = ViewMut::new(c, shape.sizes, shape.strides)?;
            let by = View::new(&tw, narrow, steps)?;
            gemm(zero.minus(one), v?, by, one, to).then_some(())
        })();
        assert!(done.is_some(), "blocks fit what they are applied to");
        Ok(())
    }
}

/// Overwrites `c` with Q c, or Qᵀ c, for the first `tau.len()` reflections of `a`, packed with
/// `m` rows.
///
/// # Errors
/// No memory.
pub fn apply<T: Real>(
    op: &str,
    (a, m): (&[T], usize),
    tau: &[T],
    transpose: bool,
    c: &mut [T],
    shape: Shape,
) -> Result<()> {
    let starts = (0..tau.len()).step_by(BLOCK);
    let run = |from: usize, c: &mut [T]| {
        let width = BLOCK.min(tau.len() - from);
        let block = Block::new(op, a, m, from, &tau[from..from + width])?;
        let part = Shape {
            sizes: [shape.sizes[0] - from, shape.sizes[1]],
            ..shape
        };
        block.apply(op, transpose, &mut c[from * shape.strides[0]..], part)
    };
    if transpose {
        starts.into_iter().try_for_each(|from| run(from, c))
    } else {
        starts.rev().try_for_each(|from| run(from, c))
    }
}

/// Writes the first `columns` columns of Q, m x m, to `q`.
///
/// # Errors
/// No memory.
pub fn expand<T: Real>(
    op: &str,
    (a, m): (&[T], usize),
    tau: &[T],
    q: &mut [T],
    columns: usize,
) -> Result<()> {
    q.fill(T::default());
    for j in 0..columns.min(m) {
        q[j * m + j] = T::ONE;
    }
    // A block changes only columns from its own first one on.
    for from in (0..tau.len()).step_by(BLOCK).rev() {
        let width = BLOCK.min(tau.len() - from);
        let block = Block::new(op, a, m, from, &tau[from..from + width])?;
        let shape = Shape {
            sizes: [m - from, columns - from],
            strides: [1, m],
        };
        block.apply(op, false, &mut q[from * m + from..], shape)?;
    }
    Ok(())
}
