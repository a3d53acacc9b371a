//! Variance and standard deviation: two passes in double, first the mean, then the squares of what
//! differs from it.

use super::Op;
use super::arith::mul_number;
use super::reduce::{mean, mean_dim, reduced, spread};
use super::shape::expand;
use crate::cpu::fold::{self, Fold};
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::Var;
use crate::tensor::{DType, Dims, Element, Scalar, Tensor};

ops! {
    /// Variance of all elements: sum (x - mean)^2 / (n - 1), or / n unless `unbiased`.
    ///
    /// Raises RuntimeError for an empty tensor; one element has no unbiased variance (NaN).
    number method function host: fn var(x; unbiased: bool = true) -> (y): Float named "var" as "VarBackward0" {
        sized [1i64];
        forward(out) = whole("var", x, unbiased)?;
        grad x = |g, x| slope(g, x, unbiased)?;
        try [(sample(&[5]); true), (sample(&[2, 3]); false)];
    }
    /// Variance along `dim`, which is dropped unless `keepdim`.
    method function out host: fn var_dim(x; dim: i64, unbiased: bool = true, keepdim: bool = false) -> (y): Float named "var" as "VarBackward1" {
        let d: i64 = wrap_dim("var", dim, x.ndim())? as i64;
        forward(out) = along("var", x, d as usize, unbiased, keepdim, out)?;
        grad x = |g, x| slope_along(g, x, d, unbiased, keepdim)?;
        try [
            (sample(&[3]); 0i64, true, false), (sample(&[2, 3]); 1i64, false, true), (sample(&[3, 2, 2]); 0i64, true, false),
            (sample(&[2, 1]); 1i64, false, false),
        ];
    }
    /// Standard deviation of all elements, the root of their variance.
    ///
    /// Raises RuntimeError for an empty tensor; one element has no unbiased deviation (NaN).
    number method function host: fn std(x; unbiased: bool = true) -> (y): Float named "std" as "StdBackward0" {
        sized [1i64];
        forward(out) = whole("std", x, unbiased)?;
        grad x = |g, x, y| slope(&(g / (y * 2.0)), x, unbiased)?;
        try [(sample(&[5]); true), (sample(&[2, 3]); false)];
    }
    /// Standard deviation along `dim`, which is dropped unless `keepdim`.
    method function out host: fn std_dim(x; dim: i64, unbiased: bool = true, keepdim: bool = false) -> (y): Float named "std" as "StdBackward1" {
        let d: i64 = wrap_dim("std", dim, x.ndim())? as i64;
        forward(out) = along("std", x, d as usize, unbiased, keepdim, out)?;
        grad x = |g, x, y| {
            expect(&OP.rule, g, y.sizes())?;
            slope_along(&(g / (y * 2.0)), x, d, unbiased, keepdim)?
        };
        try [(sample(&[3]); 0i64, true, false), (sample(&[2, 3]); 1i64, false, true), (sample(&[3, 2, 2]); 0i64, true, false)];
    }
}

/// 2 / (n - 1) or 2 / n: infinite for one element without a variance, whose gradient is NaN.
fn factor(n: i64, unbiased: bool) -> Scalar {
    Scalar::Float(2.0 / (n - i64::from(unbiased)) as f64)
}

fn slope(g: &Var, x: &Var, unbiased: bool) -> Result<Var> {
    let sizes = Dims::from_slice(x.sizes());
    let apart = x - &expand(&mean(x)?, sizes.clone())?;
    let n = x.tensor.numel() as i64;
    Ok(expand(&mul_number(g, factor(n, unbiased))?, sizes)? * apart)
}

fn slope_along(g: &Var, x: &Var, d: i64, unbiased: bool, kept: bool) -> Result<Var> {
    let sizes = Dims::from_slice(x.sizes());
    let n = sizes[d as usize];
    let apart = x - &expand(&mean_dim(x, d, true)?, sizes.clone())?;
    Ok(spread(&mul_number(g, factor(n, unbiased))?, sizes, d, kept)? * apart)
}

/// The variance of all elements of `x`, which is on the CPU.
///
/// # Errors
/// `RuntimeError` for an empty tensor, `TypeError` for integers.
pub fn total(op: &str, x: &Tensor, unbiased: bool) -> Result<f64> {
    if x.numel() == 0 {
        fail!(
            Runtime,
            "{op}: an empty tensor has none; check numel() first"
        );
    }
    let n = x.numel() as f64;
    dispatch!(float x.dtype(), op, T => {
        let mean = fold::all(x, Fold::new::<T>(0.0f64, |a, v: T| a + v.to_f64(), |a, b| a + b)) / n;
        let squares = fold::all(x, Fold::new::<T>(0.0f64, move |a, v: T| {
            let apart = v.to_f64() - mean;
            a + apart * apart
        }, |a, b| a + b));
        Ok(squares / (n - f64::from(u8::from(unbiased))))
    })
}

fn whole(op: &str, x: &Tensor, unbiased: bool) -> Result<Tensor> {
    let v = total(op, x, unbiased)?;
    let y = Tensor::empty(op, x.dtype(), &[1])?;
    let v = if op == "std" { v.sqrt() } else { v };
    crate::ops::copy::fill_with(&y, Scalar::Float(v))?;
    Ok(y)
}

fn along(
    op: &str,
    x: &Tensor,
    d: usize,
    unbiased: bool,
    keepdim: bool,
    out: &super::Out,
) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float(op, x.dtype()));
    }
    let y = out.make(op, x.kind(), &reduced(x.sizes(), d, keepdim))?;
    let mut sizes = Dims::from_slice(x.sizes());
    sizes[d] = 1;
    let (kept, means) = (y.view(&sizes)?, Tensor::empty(op, DType::F64, &sizes)?);
    let (root, n) = (op == "std", x.sizes()[d] as f64);
    let over = n - f64::from(u8::from(unbiased));
    dispatch!(float x.dtype(), op, T => {
        let plus: fn(f64, f64) -> f64 = |a, b| a + b;
        let sum = Fold::beside::<T>(0.0f64, |a, v: T, _| a + v.to_f64(), plus);
        let squares = Fold::beside::<T>(0.0f64, |a, v: T, mean: f64| {
            let apart = v.to_f64() - mean;
            a + apart * apart
        }, plus);
        fold::twice(x, d, &kept, &means, (sum, move |a| a / n), (squares, move |a| {
            T::from_f64(if root { (a / over).sqrt() } else { a / over })
        }));
    });
    Ok(y)
}
