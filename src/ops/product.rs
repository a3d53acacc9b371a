//! Products over everything or over one dimension, and running products. Their gradients are made
//! of linear recurrences, which divide by nothing: zeros need no special case, at no order.

use super::Op;
use super::reduce::{reduced, spread};
use super::scan::recur;
use super::shape::{cat, expand, narrow, reshape, zeros_like};
use crate::cpu::fold::{self, Fold};
use crate::dispatch;
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::{Dims, Element, Scalar, Tensor};

ops! {
    /// Product over one dimension, which is dropped unless `keepdim`. Floats multiply in double.
    method function out host: fn prod_dim(x; dim: i64, keepdim: bool = false) -> (y): Number named "prod" as "ProdBackward" {
        let d: i64 = wrap_dim("prod", dim, x.ndim())? as i64;
        forward(out) = along(x, d as usize, keepdim, out)?;
        grad x = |g, x| spread(g, Dims::from_slice(x.sizes()), d, keepdim)? * others(x, d)?, "g * the product of the others";
        try [
            (sample(&[3]); 0i64, false), (sample(&[2, 3]); 1i64, false), (sample(&[3, 2, 2]); 0i64, true),
            (with_zeros(&[0], &[2, 3]); 1i64, false), (with_zeros(&[1, 2], &[2, 3]); 1i64, true), (sample(&[2, 1]); 1i64, false),
        ];
    }
    /// Product of all elements. Floats multiply in double; an empty tensor gives 1.
    number method function host: fn prod(x) -> (y): Number named "prod" as "ProdBackward" {
        sized [1i64];
        forward(out) = {
            let y = Tensor::empty("prod", x.dtype(), &[1])?;
            crate::ops::copy::fill_with(&y, total(x))?;
            y
        };
        grad x = |g, x| {
            let sizes = Dims::from_slice(x.sizes());
            let flat = Dims::from_slice(&[x.tensor.numel() as i64]);
            if sizes.is_empty() {
                zeros_like(g, &sizes)?
            } else {
                expand(g, sizes.clone())? * reshape(&others(&reshape(x, &flat)?, 0)?, &sizes)?
            }
        }, "g * the product of the others";
        try [
            (sample(&[4])), (sample(&[2, 3])), (with_zeros(&[2], &[4])), (with_zeros(&[0, 3], &[4])),
            (with_zeros(&[0, 1, 3], &[4])), (sample(&[1])),
        ];
    }
}

/// A sample with zeros at these places.
pub fn with_zeros(places: &[i64], sizes: &[i64]) -> Tensor {
    let x = crate::ops::sample::sample(sizes);
    for &at in places {
        x.write(at, 0.0f64);
    }
    x
}

/// The product of all elements of `x`, which is on the CPU: in double, or in 64 bits (T-7).
pub fn total(x: &Tensor) -> Scalar {
    if x.numel() == 0 {
        return match x.dtype().is_float() {
            true => Scalar::Float(1.0),
            false => Scalar::Int(1),
        };
    }
    dispatch!(x.dtype(), T => if T::DTYPE.is_float() {
        Scalar::Float(fold::all(x, Fold::new::<T>(1.0f64, |a, v: T| a * v.to_f64(), |a, b| a * b)))
    } else {
        Scalar::Int(fold::all(x, Fold::new::<T>(1i64, |a, v: T| a.wrapping_mul(v.to_i64()), i64::wrapping_mul)))
    })
}

fn along(x: &Tensor, d: usize, keepdim: bool, out: &super::Out) -> Result<Tensor> {
    let y = out.make("prod", x.kind(), &reduced(x.sizes(), d, keepdim))?;
    let mut sizes = Dims::from_slice(x.sizes());
    sizes[d] = 1;
    let kept = y.view(&sizes)?;
    dispatch!(x.dtype(), T => if T::DTYPE.is_float() {
        let product = Fold::new::<T>(1.0f64, |a, v: T| a * v.to_f64(), |a, b| a * b);
        fold::dim(x, d, &kept, product, T::from_f64);
    } else {
        let product = Fold::new::<T>(T::ONE, T::times, T::times);
        fold::dim(x, d, &kept, product, |a: T| a);
    });
    Ok(y)
}

/// For each element, the product of the others of its line.
fn others(x: &Var, d: i64) -> Result<Var> {
    Ok(before(x, d, false)? * before(x, d, true)?)
}

/// For each element, the product of those before it in its line, or of those behind it.
fn before(x: &Var, d: i64, behind: bool) -> Result<Var> {
    let n = x.sizes()[d as usize];
    let mut sizes = Dims::from_slice(x.sizes());
    let blank = zeros_like(x, &sizes)?;
    sizes[d as usize] = 1;
    let edge = blank.tensor.narrow(d, if behind { n - 1 } else { 0 }, 1)?;
    super::copy::fill_with(&edge, Scalar::Int(1))?;
    recur(&shift(x, d, !behind)?, &blank, d, behind)
}

/// Every element one place on along `d`, or one back; what comes in is 0.
pub fn shift(x: &Var, d: i64, on: bool) -> Result<Var> {
    let mut sizes = Dims::from_slice(x.sizes());
    let n = sizes[d as usize];
    sizes[d as usize] = 1;
    let zero = zeros_like(x, &sizes)?;
    if n == 1 {
        return Ok(zero);
    }
    let rest = narrow(x, d, i64::from(!on), n - 1)?;
    if on {
        cat(&[zero, rest], d)
    } else {
        cat(&[rest, zero], d)
    }
}

/// The gradient of `cumprod`: what is before an element, times what it multiplies behind it.
pub(super) fn cumprod_slope(g: &Var, x: &Var, d: i64) -> Result<Var> {
    Ok(before(x, d, false)? * recur(&shift(x, d, false)?, g, d, true)?)
}
