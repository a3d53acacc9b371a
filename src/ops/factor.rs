//! Linear equations: inverses, LU and Cholesky factors, triangular and batched solves.
//!
//! Arguments and results are LAPACK's: right-hand sides come first, pivots count from 1, results lie
//! column by column. Only `inverse`, `gesv` and `potrf` have derivatives.
#![allow(non_snake_case, reason = "arguments have the names of 0.3")]
#![cfg_attr(
    not(feature = "linalg"),
    allow(unused, unreachable_code, clippy::diverging_sub_expression)
)]

use super::Op;
use super::arith::{mul, neg};
use super::copy::{as_contiguous, contiguous_copy, copy_into};
use super::index::keep;
use super::matmul::mm;
use super::shape::{reshape, t};
#[cfg(feature = "linalg")]
use crate::cpu::factor::{Real, cholesky, elements, lu, read};
use crate::error::{Error, Result};
use crate::fail;
use crate::graph::Var;
use crate::graph::rule::misfit;
use crate::ops::device;
use crate::tensor::{DType, Device, Dims, Tensor, sizes_text};

/// Runs a kernel for `f32` and `f64`, where the crate was built with kernels.
macro_rules! kernel {
    ($op:expr, $dtype:expr, $t:ident => $body:expr) => {{
        #[cfg(feature = "linalg")]
        {
            $crate::dispatch!(float $dtype, $op, $t => $body)
        }
        #[cfg(not(feature = "linalg"))]
        {
            return Err($crate::ops::factor::absent($op, $dtype));
        }
    }};
}
pub(super) use kernel;

ops! {
    /// The inverse of a square matrix.
    method function out host: fn inverse(x) -> (y): Float named "inverse" as "InverseBackward" {
        forward(out) = inverted(x)?;
        grad x = |g, y| {
            let turned = t(y)?;
            neg(&mm(&mm(&turned, g)?, &turned)?)?
        }, "-y.t() @ g @ y.t()";
        try [(regular(3)), (regular(1))];
    }
    /// Solves A X = B: the matrix it is called on is B, n x k or n. Gives X and the packed LU
    /// factors of A.
    method function out host: fn gesv(x, A) -> (solution, lu): Float named "gesv" as "GesvBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        forward(out) = solved(x, A)?;
        grad x = |g, A| reshape(&solved_back(g, A, &back)?, &back)?, "A.t()^-1 @ g";
        grad A = |g, A, solution| neg(&mm(&solved_back(g, A, &back)?, &t(solution)?)?)?, "-(A.t()^-1 @ g) @ solution.t()";
        try [(sample(&[3, 2]), regular(3)), (sample(&[3]), regular(3)), (sample(&[1, 1]), regular(1))];
    }
    /// Cholesky factor of a positive definite matrix: U with A = UᵀU, or L with A = LLᵀ.
    ///
    /// Only the named triangle is read, and the gradient is one for that triangle.
    method function out host: fn potrf(x; upper: bool = true) -> (y): Float named "potrf" as "PotrfBackward" {
        forward(out) = factored(x, upper)?;
        grad x = |g, y| factor_gradient(g, y, upper)?, "g through the factor y";
        try [(definite(3); true), (definite(3); false), (definite(1); true)];
    }
    /// The inverse of a matrix from its Cholesky factor.
    method function out host: fn potri(x; upper: bool = true) -> (y): Float named "potri" as "PotriBackward" {
        forward(out) = {
            let n = square("potri", x)?;
            triangle_is_regular("potri", x)?;
            let factor = columns("potri", x)?;
            from_columns(n, kernel!("potri", x.dtype(), T => {
                Tensor::from_slice(&cholesky::inverse::<T>("potri", read(&factor), n, upper)?)?
            }))?
        };
        try [(regular(3); true), (regular(3); false)];
    }
    /// Solves A X = B from the Cholesky factor `input2` of A; the matrix it is called on is B.
    method function out host: fn potrs(x, input2; upper: bool = true) -> (y): Float named "potrs" as "PotrsBackward" {
        forward(out) = {
            let n = square("potrs", input2)?;
            let b = right_side("potrs", x, input2)?;
            triangle_is_regular("potrs", input2)?;
            let (factor, mut y) = (columns("potrs", input2)?, columns("potrs", &b)?);
            kernel!("potrs", x.dtype(), T => cholesky::solve::<T>(read(&factor), elements(&mut y), n, upper));
            y.t()?
        };
        try [(sample(&[3, 2]), regular(3); true), (sample(&[3]), regular(3); false)];
    }
    /// Cholesky factor with complete pivoting of a positive semidefinite matrix, and the order of its
    /// rows, from 1. Below the rank, rows of U (columns of L) are zero; `tol` -1 stands for
    /// n eps max A_ii.
    method function out host: fn pstrf(x; upper: bool = true, tol: f64 = -1.0) -> (u, piv): Float named "pstrf" as "PstrfBackward" {
        forward(out) = factored_with_pivots(x, upper, tol)?;
        try [(definite(3); true, -1.0), (definite(3); false, -1.0)];
    }
    /// Solves A X = B for a triangular A; the matrix it is called on is B. Gives X and A.
    method function out host: fn trtrs(x; A: Tensor, upper: bool = true, transpose: bool = false, unitriangular: bool = false)
        -> (solution, clone): Float named "trtrs" as "TrtrsBackward"
    {
        forward(out) = {
            let n = square("trtrs", &A)?;
            let b = right_side("trtrs", x, &A)?;
            if !unitriangular {
                triangle_is_regular("trtrs", &A)?;
            }
            let (a, mut y) = (columns("trtrs", &A)?, columns("trtrs", &b)?);
            kernel!("trtrs", x.dtype(), T => {
                cholesky::solve_triangular::<T>(read(&a), elements(&mut y), n, upper, transpose, unitriangular)
            });
            (y.t()?, a.t()?)
        };
        try [(sample(&[3, 2]); regular(3), true, false, false), (sample(&[3]); regular(3), false, true, false),
             (sample(&[3, 2]); regular(3), true, true, true)];
    }
    /// LU factors of a stack of square matrices, and an IntTensor of their row exchanges, from 1.
    ///
    /// `info=` takes an IntTensor that gets the position of each matrix's first zero pivot, or 0;
    /// without it a singular matrix raises RuntimeError. Without pivoting on the GPU only.
    method function out: fn btrifact(x; pivot: bool = true) -> (lu, pivots): Float named "btrifact" as "BtrifactBackward" {
        forward(out) = {
            let (lu, pivots, info) = stack_factored(x, pivot)?;
            if let Some((i, at)) = first_singular(&info)? {
                fail!(
                    Runtime,
                    "btrifact: matrix {i} of the stack is singular: its pivot {at} is zero; give info= to get the factors"
                );
            }
            (lu, pivots)
        };
        try [(stack_of(&[3, 1]); true)];
    }
    /// As `btrifact`, with the position of each matrix's first zero pivot, or 0, as a third result.
    method function out: fn btrifact_with_info(x; pivot: bool = true) -> (lu, pivots, info): Float named "btrifact_with_info" as "BtrifactBackward" {
        forward(out) = stack_factored(x, pivot)?;
        try [(stack_of(&[3, 1]); true)];
    }
    /// Solves A X = B for each matrix of a stack, from the results of `btrifact`; the tensor it is
    /// called on is B, b x n or b x n x k.
    method function out host: fn btrisolve(x; LU_data: Tensor, LU_pivots: Tensor) -> (y): Float named "btrisolve" as "BtrisolveBackward" {
        forward(out) = stack_solved(x, &LU_data, &LU_pivots)?;
        try [(sample(&[2, 3]); stack_of(&[2, 1]), pivots_of(2)), (sample(&[2, 3, 2]); stack_of(&[2, 1]), pivots_of(2))];
    }
}

/// The error of a build without kernels.
#[cfg(not(feature = "linalg"))]
pub fn absent(op: &str, dtype: DType) -> Error {
    if !dtype.is_float() {
        return crate::tensor::dtype::not_float(op, dtype);
    }
    Error::Runtime(format!(
        "{op}: this build has no matrix factorizations; build it with the cargo feature `linalg`, which is on by default"
    ))
}

/// A matrix far from singular.
pub fn regular(n: i64) -> Tensor {
    let x = super::sample::sample(&[n, n]);
    (0..n).for_each(|i| x.write(i * n + i, 3.5 + 0.3 * i as f64));
    x
}

/// A symmetric matrix far from indefinite.
pub fn definite(n: i64) -> Tensor {
    let x = regular(n);
    for i in 0..n {
        (0..i).for_each(|j| x.write(i * n + j, x.read::<f64>(j * n + i)));
    }
    x
}

/// What a gradient of the solution for a right-hand side of size `back` is by the other one.
fn solved_back(g: &Var, a: &Var, back: &Dims) -> Result<Var> {
    let sizes = [back[0], back.get(1).copied().unwrap_or(1)];
    if g.tensor.sizes() != sizes {
        return Err(misfit("gesv", &sizes, g.tensor.sizes()));
    }
    gesv(g, &t(a)?)
}

/// Regular 3 x 3 matrices, each with its rows moved down by another of `steps`.
fn stack_of(steps: &[i64]) -> Tensor {
    let (one, count) = (regular(3), steps.len() as i64);
    let y = super::sample::sample(&[count, 3, 3]);
    for (b, step) in steps.iter().enumerate() {
        for i in 0..9 {
            let from = (i / 3 + step) % 3 * 3 + i % 3;
            y.write(b as i64 * 9 + i, one.read::<f64>(from));
        }
    }
    y
}

/// Exchanges for `count` matrices of three rows.
fn pivots_of(count: i64) -> Tensor {
    let each: Vec<i32> = (0..count).flat_map(|_| [2, 3, 3]).collect();
    let flat = Tensor::from_slice(&each).and_then(|t| t.view(&[count, 3]));
    flat.expect("a small tensor")
}

/// The size of a square matrix of floats.
///
/// # Errors
/// `RuntimeError` for other sizes (E-86), `TypeError` for other classes.
pub fn square(op: &str, a: &Tensor) -> Result<usize> {
    if !a.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float(op, a.dtype()));
    }
    if a.ndim() != 2 || a.sizes()[0] != a.sizes()[1] {
        fail!(
            Runtime,
            "{op}: needs a square matrix; got {}",
            sizes_text(a.sizes())
        );
    }
    Ok(a.sizes()[0] as usize)
}

/// The right-hand side of equations with matrix `a`, with two dimensions.
///
/// # Errors
/// `RuntimeError` when it has not as many rows, `TypeError` for another class.
pub fn right_side(op: &str, b: &Tensor, a: &Tensor) -> Result<Tensor> {
    crate::tensor::dtype::same(op, b.kind(), a.kind())?;
    if !(1..=2).contains(&b.ndim()) || b.sizes()[0] != a.sizes()[0] {
        fail!(
            Runtime,
            "{op}: the right-hand side needs {} rows, as the matrix of {} has; got {}",
            a.sizes().first().copied().unwrap_or(0),
            sizes_text(a.sizes()),
            sizes_text(b.sizes())
        );
    }
    if b.ndim() == 1 {
        b.unsqueeze(1)
    } else {
        Ok(b.clone())
    }
}

/// A fresh row-major tensor of the transpose: the columns of `x`, one after the other.
///
/// # Errors
/// No memory.
pub fn columns(op: &str, x: &Tensor) -> Result<Tensor> {
    let y = device::empty(op, x.dtype(), x.device(), &[x.sizes()[1], x.sizes()[0]])?;
    copy_into(&y.t()?, x)?;
    Ok(y)
}

fn from_columns(n: usize, y: Tensor) -> Result<Tensor> {
    y.view(&[n as i64, n as i64])?.t()
}

/// Fails when a triangular matrix has a zero on its diagonal.
fn triangle_is_regular(op: &str, a: &Tensor) -> Result<()> {
    let n = a.sizes()[0];
    let step = a.strides()[0] + a.strides()[1];
    let diagonal = as_contiguous(&a.as_strided(&[n], &[step], a.offset() as i64)?)?;
    crate::dispatch!(float a.dtype(), op, T => {
        if let Some(i) = (0..n).find(|&i| diagonal.read::<T>(i) == T::default()) {
            return Err(singular(op, i as usize + 1, a));
        }
    });
    Ok(())
}

fn singular(op: &str, at: usize, a: &Tensor) -> Error {
    Error::Runtime(format!(
        "{op}: the matrix of {} is singular: its pivot {at} is zero, so there is no solution",
        sizes_text(a.sizes())
    ))
}

fn inverted(x: &Tensor) -> Result<Tensor> {
    let n = square("inverse", x)?;
    let mut a = columns("inverse", x)?;
    kernel!("inverse", x.dtype(), T => {
        let mut pivots = vec![0; n];
        if let Some(at) = lu::factor::<T>("inverse", elements(&mut a), n, &mut pivots)? {
            return Err(singular("inverse", at, x));
        }
        from_columns(n, Tensor::from_slice(&lu::inverse::<T>("inverse", read(&a), &pivots, n)?)?)
    })
}

fn solved(x: &Tensor, a: &Tensor) -> Result<(Tensor, Tensor)> {
    let n = square("gesv", a)?;
    let b = right_side("gesv", x, a)?;
    let (mut y, mut factors) = (columns("gesv", &b)?, columns("gesv", a)?);
    kernel!("gesv", x.dtype(), T => {
        let mut pivots = vec![0; n];
        if let Some(at) = lu::factor::<T>("gesv", elements(&mut factors), n, &mut pivots)? {
            return Err(singular("gesv", at, a));
        }
        lu::solve::<T>(read(&factors), &pivots, elements(&mut y), n);
    });
    Ok((y.t()?, factors.t()?))
}

fn factored(x: &Tensor, upper: bool) -> Result<Tensor> {
    let n = square("potrf", x)?;
    let mut a = columns("potrf", x)?;
    kernel!("potrf", x.dtype(), T => {
        if let Some(at) = cholesky::factor::<T>("potrf", elements(&mut a), n, upper)? {
            fail!(
                Runtime,
                "potrf: the matrix of {} is not positive definite: its leading minor of order {at} is not",
                sizes_text(x.sizes())
            );
        }
    });
    a.t()
}

#[allow(clippy::useless_conversion, reason = "one text for both types")]
fn factored_with_pivots(x: &Tensor, upper: bool, tol: f64) -> Result<(Tensor, Tensor)> {
    let n = square("pstrf", x)?;
    let a = columns("pstrf", x)?;
    let mut order = Tensor::zeros("pstrf", DType::I32, &[n as i64])?;
    let lower = kernel!("pstrf", x.dtype(), T => {
        let made = cholesky::factor_pivoted::<T>("pstrf", read(&a), n, upper, tol, elements(&mut order))?;
        let top = (0..n).fold(0.0f64, |m, i| m.max(f64::from(read::<T>(&a)[i * n + i])));
        // What is left of a semidefinite matrix is rounding.
        let rounding = 100.0 * n as f64 * <T as Real>::EPSILON * top;
        if made.rest.is_nan() || made.rest < -tol.max(rounding) {
            fail!(
                Runtime,
                "pstrf: the matrix of {} is not positive semidefinite: pivot {} is {}",
                sizes_text(x.sizes()),
                made.rank + 1,
                made.rest
            );
        }
        Tensor::from_slice(&made.lower)?
    });
    let lower = from_columns(n, lower)?;
    Ok((if upper { lower.t()? } else { lower }, order))
}

/// The gradient of a Cholesky factor for the triangle it is made from (Murray 2016).
fn factor_gradient(g: &Var, y: &Var, upper: bool) -> Result<Var> {
    let turn = |v: &Var| if upper { t(v) } else { Ok(v.clone()) };
    let (l, g) = (turn(y)?, turn(g)?);
    let up = t(&l)?;
    let half = Halves::like(&l.tensor)?;
    // Only the lower triangle of the factor varies.
    let p = half.of(&mm(&up, &keep(&g, half.mask.clone())?)?)?;
    let s = gesv(&super::arith::add(&p, &t(&p)?)?, &up)?;
    let s = gesv(&t(&s)?, &up)?;
    turn(&half.of(&s)?)
}

/// Takes the lower triangle of a matrix and half of its diagonal.
struct Halves {
    mask: Tensor,
    factors: Var,
}

impl Halves {
    fn like(a: &Tensor) -> Result<Halves> {
        let n = a.sizes()[0];
        let mask = Tensor::zeros("potrf", DType::U8, &[n, n])?;
        let factors = Tensor::zeros("potrf", DType::F64, &[n, n])?;
        for i in 0..n {
            for j in 0..=i {
                mask.write::<u8>(i * n + j, 1);
                factors.write(i * n + j, if i == j { 0.5 } else { 1.0 });
            }
        }
        let own = Tensor::empty("potrf", a.dtype(), &[n, n])?;
        copy_into(&own, &factors)?;
        let (mask, factors) = match a.device() {
            Device::Gpu => (device::to_gpu(&mask)?, device::to_gpu(&own)?),
            Device::Cpu => (mask, own),
        };
        Ok(Halves {
            mask,
            factors: Var::from(factors),
        })
    }

    fn of(&self, a: &Var) -> Result<Var> {
        mul(&keep(a, self.mask.clone())?, &self.factors)
    }
}

fn stack_factored(x: &Tensor, pivot: bool) -> Result<(Tensor, Tensor, Tensor)> {
    if !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float("btrifact", x.dtype()));
    }
    if x.ndim() != 3 || x.sizes()[1] != x.sizes()[2] {
        fail!(
            Runtime,
            "btrifact: needs a stack of square matrices, b x n x n; got {}",
            sizes_text(x.sizes())
        );
    }
    if x.device() == Device::Gpu {
        let (lu, pivots, info) = stack_in_memory(&device::to_cpu(x)?, pivot)?;
        return Ok((
            device::to_gpu(&lu)?,
            device::to_gpu(&pivots)?,
            device::to_gpu(&info)?,
        ));
    }
    if !pivot {
        fail!(
            Runtime,
            "btrifact: pivot=False is for GPU tensors; leave it out or move the stack with .cuda()"
        );
    }
    stack_in_memory(x, pivot)
}

fn stack_in_memory(x: &Tensor, pivot: bool) -> Result<(Tensor, Tensor, Tensor)> {
    let (count, n) = (x.sizes()[0], x.sizes()[1] as usize);
    // Each matrix column by column.
    let mut lu = contiguous_copy(&x.transpose(1, 2)?)?;
    let mut pivots = Tensor::zeros("btrifact", DType::I32, &[count, n as i64])?;
    let mut info = Tensor::zeros("btrifact", DType::I32, &[count])?;
    kernel!("btrifact", x.dtype(), T => {
        let (pivots, info) = (elements::<i32>(&mut pivots), elements::<i32>(&mut info));
        let stack = elements::<T>(&mut lu).chunks_exact_mut(n * n);
        for ((a, pivots), info) in stack.zip(pivots.chunks_exact_mut(n)).zip(info) {
            let mut found = None;
            if pivot {
                let before = a.to_vec();
                found = lu::factor::<T>("btrifact", a, n, pivots)?;
                if found.is_some() {
                    a.copy_from_slice(&before);
                }
            }
            if !pivot || found.is_some() {
                found = lu::factor_whole::<T>(a, n, pivots, pivot);
            }
            *info = found.unwrap_or(0) as i32;
        }
    });
    Ok((lu.transpose(1, 2)?, pivots, info))
}

/// The first matrix of a stack that has a zero pivot, and where.
fn first_singular(info: &Tensor) -> Result<Option<(i64, i32)>> {
    let info = device::to_cpu(info)?;
    let all = (0..info.numel() as i64).map(|i| (i, info.read::<i32>(i)));
    Ok(all.into_iter().find(|(_, at)| *at != 0))
}

fn stack_solved(b: &Tensor, lu: &Tensor, pivots: &Tensor) -> Result<Tensor> {
    let op = "btrisolve";
    crate::tensor::dtype::same(op, b.kind(), lu.kind())?;
    if pivots.dtype() != DType::I32 {
        fail!(
            Type,
            "{op}: pivots must be an IntTensor, as btrifact gives; got a torch.{}Tensor",
            pivots.dtype().name()
        );
    }
    let [count, n] = [0, 1].map(|i| lu.sizes().get(i).copied().unwrap_or(0));
    let fits = lu.sizes() == [count, n, n]
        && pivots.sizes() == [count, n]
        && (2..=3).contains(&b.ndim())
        && b.sizes()[..2] == [count, n];
    if !fits {
        fail!(
            Runtime,
            "{op}: needs b x n or b x n x k beside factors of b x n x n and pivots of b x n; got {}, {} and {}",
            sizes_text(b.sizes()),
            sizes_text(lu.sizes()),
            sizes_text(pivots.sizes())
        );
    }
    let pivots = as_contiguous(pivots)?;
    let inside = |i: i64| (1..=n as i32).contains(&pivots.read::<i32>(i));
    if let Some(i) = (0..pivots.numel() as i64).find(|&i| !inside(i)) {
        fail!(
            Runtime,
            "{op}: a pivot is {}, outside of 1 to {n}",
            pivots.read::<i32>(i)
        );
    }
    let wide = if b.ndim() == 2 {
        b.unsqueeze(2)?
    } else {
        b.clone()
    };
    let mut y = contiguous_copy(&wide.transpose(1, 2)?)?;
    let factors = contiguous_copy(&lu.transpose(1, 2)?)?;
    kernel!(op, b.dtype(), T => {
        let n = n as usize;
        let each = y.numel() / count.max(1) as usize;
        let stack = elements::<T>(&mut y).chunks_exact_mut(each);
        let factors = read::<T>(&factors).chunks_exact(n * n);
        for ((b, a), pivots) in stack.zip(factors).zip(read::<i32>(&pivots).chunks_exact(n)) {
            if let Some(i) = (0..n).find(|i| a[i * n + i] == T::default()) {
                fail!(Runtime, "{op}: pivot {} of a matrix is zero: it is singular", i + 1);
            }
            lu::solve::<T>(a, pivots, b, n);
        }
    });
    let y = y.transpose(1, 2)?;
    if b.ndim() == 2 { y.select(2, 0) } else { Ok(y) }
}
