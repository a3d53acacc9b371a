//! Triangles and diagonals of matrices.

use super::Op;
use super::copy::copy_into;
use super::device::{self, Reduction};
use super::reduce::total;
use super::shape::expand;
use crate::cpu::mask::triangle;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::Var;
use crate::tensor::{Dims, Scalar, Tensor, sizes_text};

ops! {
    /// The elements of a matrix on and below the diagonal `diagonal`, zeros above; 0 is the main
    /// diagonal, positive ones are above it.
    method function in_place out updates host: fn tril(x; diagonal: i64 = 0) -> (y): Any named "tril" as "TrilBackward" {
        forward(out) = one_side("tril", x, diagonal, false, out)?;
        grad x = |g| tril(g, diagonal)?, "g below the diagonal, else 0";
        try [(sample(&[3, 3]); 0i64), (sample(&[2, 4]); 1i64), (sample(&[4, 2]); -2i64), (sample(&[2, 2]); 9i64)];
    }
    /// The elements of a matrix on and above the diagonal `diagonal`, zeros below.
    method function in_place out updates host: fn triu(x; diagonal: i64 = 0) -> (y): Any named "triu" as "TriuBackward" {
        forward(out) = one_side("triu", x, diagonal, true, out)?;
        grad x = |g| triu(g, diagonal)?, "g above the diagonal, else 0";
        try [(sample(&[3, 3]); 0i64), (sample(&[2, 4]); 1i64), (sample(&[4, 2]); -2i64), (sample(&[2, 2]); -9i64)];
    }
    /// The diagonal `diagonal` of a matrix as a vector, or a square matrix of zeros with a vector
    /// there.
    ///
    /// Raises RuntimeError when the matrix has no such diagonal.
    method function out host: fn diag(x; diagonal: i64 = 0) -> (y): Any named "diag" as "DiagBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized diagonal_sizes(&back, diagonal);
        forward(out) = diagonal_of(x, diagonal)?;
        grad x = |g| if back.len() == 1 { diag(g, diagonal)? } else { undiag(g, back.clone(), diagonal)? }, "g on the diagonal";
        try [(sample(&[3]); 0i64), (sample(&[2]); -1i64), (sample(&[3, 3]); 0i64), (sample(&[2, 4]); 2i64), (sample(&[4, 2]); -1i64)];
    }
    /// Zeros of `sizes` with the vector g on a diagonal.
    host: fn undiag(g; sizes: Dims, diagonal: i64) -> (x): Any named "diag" as "DiagBackwardBackward" {
        sized sizes;
        forward(out) = {
            let x = device::zeros("diag", g.dtype(), g.device(), &sizes)?;
            copy_into(&line(&x, diagonal)?, g)?;
            x
        };
        grad g = |h| diag(h, diagonal)?, "the diagonal of h";
        try [(sample(&[2]); [2, 4], 2i64)];
    }
    /// The sum of a matrix's main diagonal. Floats add up in double.
    number method function host: fn trace(x) -> (y): Number named "trace" as "TraceBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized [1i64];
        forward(out) = {
            matrix("trace", x)?;
            crate::ops::reduce::sum(&Var::from(line(x, 0)?))?.tensor
        };
        grad x = |g| {
            let count = back.iter().copied().min().unwrap_or(0);
            undiag(&expand(g, Dims::from_slice(&[count]))?, back.clone(), 0)?
        }, "g on the diagonal";
        try [(sample(&[3, 3])), (sample(&[2, 4]))];
    }
}

/// The size of `diag` of a tensor of `sizes`.
fn diagonal_sizes(sizes: &[i64], k: i64) -> Dims {
    let count = match *sizes {
        [rows, columns] => {
            let (rows, columns) = (rows - k.min(0).saturating_neg(), columns - k.max(0));
            return Dims::from_slice(&[rows.min(columns)]);
        }
        _ => sizes.first().copied().unwrap_or(0) + k.saturating_abs(),
    };
    Dims::from_slice(&[count, count])
}

fn matrix(op: &str, x: &Tensor) -> Result<()> {
    if x.ndim() != 2 {
        fail!(
            Runtime,
            "{op}: needs a matrix (2 dimensions); got {} ({} dimensions)",
            sizes_text(x.sizes()),
            x.ndim()
        );
    }
    Ok(())
}

/// The sum of the main diagonal as a number (T-7).
///
/// # Errors
/// `RuntimeError` for what is no matrix.
pub fn traced(x: &Tensor) -> Result<Scalar> {
    matrix("trace", x)?;
    total(&line(x, 0)?, Reduction::Sum)
}

fn one_side(op: &str, x: &Tensor, k: i64, upper: bool, out: &super::Out) -> Result<Tensor> {
    matrix(op, x)?;
    let y = out.make(op, x.kind(), x.sizes())?;
    dispatch!(x.dtype(), T => triangle::<T>(x, k, upper, &y));
    Ok(y)
}

/// The diagonal `k` of a matrix, as a view.
fn line(x: &Tensor, k: i64) -> Result<Tensor> {
    let [rows, columns] = [x.sizes()[0], x.sizes()[1]];
    let (row, column) = (k.min(0).saturating_neg(), k.max(0));
    let count = rows.saturating_sub(row).min(columns.saturating_sub(column));
    if count < 1 {
        fail!(
            Runtime,
            "diag: a matrix of size {} has no diagonal {k}",
            sizes_text(x.sizes())
        );
    }
    let (down, right) = (x.strides()[0], x.strides()[1]);
    let offset = x.offset() as i64 + row * down + column * right;
    x.as_strided(&[count], &[down + right], offset)
}

fn diagonal_of(x: &Tensor, k: i64) -> Result<Tensor> {
    const OP: &str = "diag";
    let y = match x.ndim() {
        1 => {
            let beside = k.saturating_abs();
            let Some(size) = x.sizes()[0].checked_add(beside) else {
                fail!(Runtime, "{OP}: no matrix is large enough for diagonal {k}");
            };
            let y = device::zeros(OP, x.dtype(), x.device(), &[size, size])?;
            copy_into(&line(&y, k)?, x)?;
            y
        }
        2 => {
            let part = line(x, k)?;
            let y = device::empty(OP, x.dtype(), x.device(), part.sizes())?;
            copy_into(&y, &part)?;
            y
        }
        n => fail!(
            Runtime,
            "{OP}: needs a vector or a matrix; got {} ({n} dimensions)",
            sizes_text(x.sizes())
        ),
    };
    Ok(y)
}
