//! Variance and standard deviation: two passes in double, first the mean, then the squares of what
//! differs from it. A recorded one is composed of other ops, as in the release (`SqrtBackward`, and
//! not the snapshot's `StdBackward`).

use super::Op;
use super::apply::{Values, first};
use super::arith::{div_number, mul, sub};
use super::pointwise::sqrt;
use super::reduce::{mean, mean_dim, reduced, sum, sum_dim};
use super::shape::{expand, unsqueeze, view};
use crate::cpu::fold::{self, Fold};
use crate::dispatch;
use crate::error::{Error, Result};
use crate::graph::{Input, Var};
use crate::tensor::dims::wrap_dim;
use crate::tensor::{DType, Dims, Element, FromValue, Scalar, Tensor, Value};

ops! {
    /// Variance of all elements: sum (x - mean)^2 / (n - 1), or / n unless `unbiased`.
    ///
    /// Raises RuntimeError for an empty tensor; one element has no unbiased variance (NaN).
    number method function host: fn var(x; unbiased: bool = true) -> (y): Float named "var" as "DivBackward0" {
        forward(out) = whole("var", x, unbiased)?;
        made_of = variance_parts;
        try [(sample(&[5]); true), (sample(&[2, 3]); false)];
    }
    /// Variance along `dim`, which is dropped unless `keepdim`.
    method function out host: fn var_dim(x; dim: i64, unbiased: bool = true, keepdim: bool = false) -> (y): Float named "var" as "DivBackward0" {
        let d: i64 = wrap_dim("var", dim, x.ndim())? as i64;
        forward(out) = along("var", x, d as usize, unbiased, keepdim, out)?;
        made_of = variance_parts_along;
        try [
            (sample(&[3]); 0i64, true, false), (sample(&[2, 3]); 1i64, false, true), (sample(&[3, 2, 2]); 0i64, true, false),
            (sample(&[2, 1]); 1i64, false, false),
        ];
    }
    /// Standard deviation of all elements, the root of their variance.
    ///
    /// Raises RuntimeError for an empty tensor; one element has no unbiased deviation (NaN).
    number method function host: fn std(x; unbiased: bool = true) -> (y): Float named "std" as "SqrtBackward" {
        forward(out) = whole("std", x, unbiased)?;
        made_of = deviation_parts;
        try [(sample(&[5]); true), (sample(&[2, 3]); false)];
    }
    /// Standard deviation along `dim`, which is dropped unless `keepdim`.
    method function out host: fn std_dim(x; dim: i64, unbiased: bool = true, keepdim: bool = false) -> (y): Float named "std" as "SqrtBackward" {
        let d: i64 = wrap_dim("std", dim, x.ndim())? as i64;
        forward(out) = along("std", x, d as usize, unbiased, keepdim, out)?;
        made_of = deviation_parts_along;
        try [(sample(&[3]); 0i64, true, false), (sample(&[2, 3]); 1i64, false, true), (sample(&[3, 2, 2]); 0i64, true, false)];
    }
}

/// The graph of a variance as the release composes it: squares of what differs from the mean, summed
/// and divided.
fn composed(op: &str, x: &Input, dim: Option<(i64, bool)>, unbiased: bool) -> Result<Var> {
    let sizes = Dims::from_slice(x.tensor.sizes());
    let one = core::slice::from_ref(x);
    let (mean, n) = match dim {
        None => {
            if sizes.is_empty() {
                return Err(empty(op));
            }
            let mean = first(&mean::OP, one, Values::new())?;
            let ones = Dims::from_elem(1, sizes.len());
            (view(&mean, ones)?, x.tensor.numel() as i64)
        }
        Some((d, keepdim)) => {
            let values = [Value::Int(d), Value::Bool(keepdim)];
            let mean = first(&mean_dim::OP, one, values.into_iter().collect())?;
            let dropped = !keepdim && sizes.len() > 1;
            let mean = if dropped { unsqueeze(&mean, d)? } else { mean };
            (mean, sizes[d as usize])
        }
    };
    let mean = expand(&mean, sizes)?;
    let apart = first(&sub::OP, &[x.clone(), mean.input()], Values::new())?;
    let squares = mul(&apart, &apart)?;
    let total = match dim {
        None => sum(&squares)?,
        Some((d, keepdim)) => sum_dim(&squares, d, keepdim)?,
    };
    div_number(&total, Scalar::Float((n - i64::from(unbiased)) as f64))
}

fn variance_parts(x: &Input, values: &[Value]) -> Result<Var> {
    composed("var", x, None, bool::from_value(&values[0]))
}

fn deviation_parts(x: &Input, values: &[Value]) -> Result<Var> {
    sqrt(&composed("std", x, None, bool::from_value(&values[0]))?)
}

fn along_parts(op: &str, x: &Input, values: &[Value]) -> Result<Var> {
    let d = wrap_dim(op, i64::from_value(&values[0]), x.tensor.ndim())? as i64;
    let [unbiased, keepdim] = [1, 2].map(|i| bool::from_value(&values[i]));
    composed(op, x, Some((d, keepdim)), unbiased)
}

fn variance_parts_along(x: &Input, values: &[Value]) -> Result<Var> {
    along_parts("var", x, values)
}

fn deviation_parts_along(x: &Input, values: &[Value]) -> Result<Var> {
    sqrt(&along_parts("std", x, values)?)
}

fn empty(op: &str) -> Error {
    Error::Runtime(format!(
        "{op}: an empty tensor has none; check numel() first"
    ))
}

/// The variance of all elements of `x`, which is on the CPU.
///
/// # Errors
/// `RuntimeError` for an empty tensor, `TypeError` for integers.
pub fn total(op: &str, x: &Tensor, unbiased: bool) -> Result<f64> {
    if x.numel() == 0 {
        return Err(empty(op));
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
