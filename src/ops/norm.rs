//! Norms and distances: (sum |x|^p)^(1/p), in double. p = 0 counts what is not zero.
//!
//! An infinite p is no special case, as in 0.3: the last root is then a power of 0, so the result
//! is 1 whatever x is, and the derivative is what its formula makes of |x|^p: 0 below 1, infinite
//! above. `x.abs().max()` is what such a norm should be.

use super::Op;
use super::apply::first;
use super::arith::{add_number, mul_number};
use super::compare::{gt_number, ne_number};
use super::index::keep;
use super::pointwise::{abs, reciprocal, sign};
use super::power::pow_number;
use super::reduce::{reduced, spread, sum_dim};
use super::shape::{expand, reshape, transpose, zeros_like};
use crate::cpu::fold::{self, Fold};
use crate::cpu::map::map2;
use crate::cpu::math::Math;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::{Input, Var};
use crate::tensor::dims::wrap_dim;
use crate::tensor::{Dims, Element, FromValue, Scalar, Tensor, Value};

ops! {
    /// Norm of all elements: (sum |x|^p)^(1/p); p = 0 counts what is not zero.
    ///
    /// Its gradient is 0 where the norm is 0. An infinite p gives 1, as 0.3 did: use x.abs().max().
    number method function host: fn norm(x; p: Scalar = 2i64) -> (y): Float named "norm" as "NormBackward0" {
        sized [1i64];
        forward(out) = one("norm", x, total(x, p.f64())?)?;
        grad x = |g, x, y| slope(g, x, y, p.f64())?, "g * sign x * (abs(x) / y)^(p - 1)";
        try [(sample(&[5]); 2i64), (sample(&[2, 3]); 1i64), (sample(&[5]); 3i64), (sample(&[5]); 1.5), (sample(&[5]); 0i64)];
    }
    /// Norm along `dim`, which is dropped unless `keepdim`.
    method function out host: fn norm_dim(x; p: Scalar, dim: i64, keepdim: bool = false) -> (y): Float named "norm" as "NormBackward1" {
        let d: i64 = wrap_dim("norm", dim, x.ndim())? as i64;
        forward(out) = along(x, p.f64(), d as usize, keepdim, out)?;
        grad x = |g, x, y| slope_along(g, x, y, p.f64(), d, keepdim)?, "g * sign x * (abs(x) / y)^(p - 1)";
        try [
            (sample(&[3]); 2i64, 0i64, false), (sample(&[2, 3]); 1i64, 1i64, true), (sample(&[3, 2, 2]); 2.5, 0i64, false),
            (sample(&[2, 3]); 1.5, -1i64, false), (sample(&[2, 3]); 0i64, 0i64, false),
        ];
    }
    /// Root of the sum of squares along `dim`, which is dropped unless `keepdim`.
    method function out host: fn norm_two(x; dim: i64, keepdim: bool = false) -> (y): Float named "norm" as "NormBackward1" {
        let d: i64 = wrap_dim("norm", dim, x.ndim())? as i64;
        forward(out) = along(x, 2.0, d as usize, keepdim, out)?;
        grad x = |g, x, y| slope_along(g, x, y, 2.0, d, keepdim)?, "g * x / y";
        try [(sample(&[2, 3]); 1i64, false)];
    }
    /// Norm of the difference of two tensors: (sum |x - other|^p)^(1/p).
    number method function broadcasts host: fn dist(x, other; p: Scalar = 2i64) -> (y): Float named "dist" as "DistBackward" {
        sized [1i64];
        forward(out) = one("dist", x, distance(x, other, p.f64())?)?;
        grad x = |g, x, other, y| slope(g, &(x - other), y, p.f64())?, "g * sign(x - other) * (abs(x - other) / y)^(p - 1)";
        grad other = |g, x, other, y| -slope(g, &(x - other), y, p.f64())?, "-g * sign(x - other) * (abs(x - other) / y)^(p - 1)";
        try [(sample(&[2, 3]), positive(&[2, 3]); 2i64), (sample(&[4]), positive(&[4]); 3i64), (sample(&[4]), positive(&[4]); 1i64)];
    }
    /// Slices along `dim` whose p-norm exceeds `maxnorm`, scaled by maxnorm / (norm + 1e-7).
    ///
    /// Raises RuntimeError unless p is positive and there are two dimensions or more.
    method function in_place out host: fn renorm(x; p: Scalar, dim: i64, maxnorm: Scalar) -> (y): Float named "renorm" as "RenormBackward" {
        let d: i64 = wrap_dim("renorm", dim, x.ndim())? as i64;
        forward(out) = scaled(x, p.f64(), d as usize, maxnorm.f64())?;
        made_of = scaled_parts;
        grad x = |g, x| scaled_slope(g, x, p.f64(), d, maxnorm.f64())?, "g through the scale of each part";
        try [
            (sample(&[2, 3]); 2i64, 0i64, 1.5), (sample(&[2, 3]); 3i64, 1i64, 0.7), (sample(&[2, 3]); 2i64, 0i64, 100.0),
            (sample(&[2, 2, 2]); 1i64, -1i64, 2.0),
        ];
    }
}

/// Keeps the rounding that makes a scaled norm end below the most allowed, as 0.3 does.
const MARGIN: f64 = 1e-7;

/// Calls `$body` with `$step` adding one element to a sum and `$root` ending it.
macro_rules! with_power {
    ($p:expr, $step:ident, $root:ident => $body:expr) => {{
        let p: f64 = $p;
        if p == 0.0 {
            let $step = |a: f64, v: f64| a + f64::from(u8::from(v != 0.0));
            let $root = |a: f64| a;
            $body
        } else if p == 1.0 {
            let $step = |a: f64, v: f64| a + v.abs();
            let $root = |a: f64| a;
            $body
        } else if p == 2.0 {
            let $step = |a: f64, v: f64| a + v * v;
            let $root = |a: f64| a.sqrt();
            $body
        } else {
            let $step = move |a: f64, v: f64| a + Math::pow(v.abs(), p);
            let $root = move |a: f64| a.powf(1.0 / p);
            $body
        }
    }};
}

/// The norm of all elements of `x`, which is on the CPU.
///
/// # Errors
/// `TypeError` for integers.
pub fn total(x: &Tensor, p: f64) -> Result<f64> {
    if x.numel() == 0 && x.dtype().is_float() {
        return Ok(0.0);
    }
    dispatch!(float x.dtype(), "norm", T => Ok(with_power!(p, step, root => {
        root(fold::all(x, Fold::new::<T>(0.0f64, move |a, v: T| step(a, v.to_f64()), |a, b| a + b)))
    })))
}

/// The norm of the difference of two tensors on the CPU, which expand to one size.
///
/// # Errors
/// Classes or sizes that do not match.
pub fn distance(x: &Tensor, other: &Tensor, p: f64) -> Result<f64> {
    crate::tensor::dtype::same("dist", x.kind(), other.kind())?;
    let sizes = crate::tensor::dims::broadcast("dist", x.sizes(), other.sizes())?;
    let apart = Tensor::empty("dist", x.dtype(), &sizes)?;
    let (x, other) = (x.expand(&sizes)?, other.expand(&sizes)?);
    dispatch!(float x.dtype(), "dist", T => map2::<T, T, T>(&x, &other, &apart, |a, b| a - b));
    total(&apart, p)
}

fn one(op: &str, like: &Tensor, v: f64) -> Result<Tensor> {
    let y = Tensor::empty(op, like.dtype(), &[1])?;
    crate::ops::copy::fill_with(&y, Scalar::Float(v))?;
    Ok(y)
}

fn along(x: &Tensor, p: f64, d: usize, keepdim: bool, out: &super::Out) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float("norm", x.dtype()));
    }
    let y = out.make("norm", x.kind(), &reduced(x.sizes(), d, keepdim))?;
    let mut sizes = Dims::from_slice(x.sizes());
    sizes[d] = 1;
    let kept = y.view(&sizes)?;
    dispatch!(float x.dtype(), "norm", T => with_power!(p, step, root => {
        let sum = Fold::new::<T>(0.0f64, move |a, v: T| step(a, v.to_f64()), |a, b| a + b);
        fold::dim(x, d, &kept, sum, move |a: f64| T::from_f64(root(a)));
    }));
    Ok(y)
}

/// g times the derivative of the norm y by x, where all expand to the size of x; 0 where y is.
fn slope(g: &Var, x: &Var, y: &Var, p: f64) -> Result<Var> {
    let sizes = Dims::from_slice(x.sizes());
    if p == 0.0 {
        return zeros_like(g, &sizes);
    }
    let g = expand(g, sizes.clone())?;
    if p.is_infinite() {
        // The formulas below as they stand: the norm is 1, and |x|^p is a step of x, so no part of
        // them varies but the factor x of a large p, or its sign.
        let step = pow_number(&abs(&x.detach())?, Scalar::Float(p))?;
        return match p > 0.0 {
            true => Ok(g * x * step),
            false => {
                let some = ne_number(&x.detach(), Scalar::Int(0))?.tensor;
                Ok(g * (sign(&x.detach())? * keep(&step, some)?))
            }
        };
    }
    if p == 1.0 {
        return Ok(g * sign(x)?);
    }
    // Whatever is divided by 0 is dropped by selecting, and where a selected factor is 0, so is the
    // derivative of both.
    let there = ne_number(&y.detach(), Scalar::Int(0))?.tensor;
    let there = there.expand(&sizes)?;
    let over = |y: &Var, q: f64| -> Result<Var> {
        let y = expand(y, sizes.clone())?;
        let power = match q {
            1.0 => reciprocal(&y)?,
            q => pow_number(&y, Scalar::Float(-q))?,
        };
        keep(&power, there.clone())
    };
    if p == 2.0 {
        return Ok(g * x * over(y, 1.0)?);
    }
    let powers = if p < 2.0 {
        let some = ne_number(&x.detach(), Scalar::Int(0))?.tensor;
        let power = pow_number(&abs(x)?, Scalar::Float(p - 1.0))?;
        sign(x)? * keep(&power, some)?
    } else {
        x * &pow_number(&abs(x)?, Scalar::Float(p - 2.0))?
    };
    Ok(g * powers * over(y, p - 1.0)?)
}

/// [`slope`] for norms along `d`.
fn slope_along(g: &Var, x: &Var, y: &Var, p: f64, d: i64, kept: bool) -> Result<Var> {
    let sizes = Dims::from_slice(x.sizes());
    let g = spread(g, sizes.clone(), d, kept)?;
    slope(&g, x, &spread(y, sizes, d, kept)?, p)
}

/// Fails unless slices along a dimension of `x` have a p-norm.
fn check_slices(x: &Tensor, p: f64) -> Result<()> {
    if x.ndim() < 2 {
        fail!(
            Runtime,
            "renorm: needs two dimensions or more, so that slices have a norm; got size {}",
            crate::tensor::sizes_text(x.sizes())
        );
    }
    if p.is_nan() || p <= 0.0 {
        fail!(Runtime, "renorm: p must be positive; got {p}");
    }
    Ok(())
}

fn scaled(x: &Tensor, p: f64, d: usize, most: f64) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float("renorm", x.dtype()));
    }
    check_slices(x, p)?;
    let y = crate::ops::copy::contiguous_copy(x)?;
    for i in 0..x.sizes()[d] {
        let slice = y.narrow(d as i64, i, 1)?;
        let norm = total(&slice, p)?;
        if norm > most {
            let by = most / (norm + MARGIN);
            dispatch!(float x.dtype(), "renorm", T => {
                crate::cpu::map::map1::<T, T>(&slice, &slice, |v| T::from_f64(v.to_f64() * by));
            });
        }
    }
    Ok(y)
}

/// `x` with dimension `d` first and all others in one, and the sizes of `x` turned so.
fn rows(x: &Var) -> Result<(Var, Dims)> {
    let turned = Dims::from_slice(x.sizes());
    let count = turned[0];
    let flat = Dims::from_slice(&[count, x.tensor.numel() as i64 / count]);
    Ok((reshape(x, &flat)?, turned))
}

/// most / (norm + margin), and which norms are more than `most`.
fn scale(norm: &Var, most: f64) -> Result<(Var, Tensor)> {
    let large = gt_number(&norm.detach(), Scalar::Float(most))?.tensor;
    let inverse = reciprocal(&add_number(norm, Scalar::Float(MARGIN))?)?;
    Ok((inverse, large))
}

/// What slices are multiplied with: 1 where their norm is not too large.
fn factor(inverse: &Var, large: Tensor, most: f64) -> Result<Var> {
    let by = mul_number(inverse, Scalar::Float(most))?;
    let excess = keep(&add_number(&by, Scalar::Int(-1))?, large)?;
    add_number(&excess, Scalar::Int(1))
}

/// The graph of a recorded `renorm`, which the release composes.
fn scaled_parts(x: &Input, values: &[Value]) -> Result<Var> {
    let [p, most] = [0, 2].map(|i| Scalar::from_value(&values[i]).f64());
    let d = wrap_dim("renorm", i64::from_value(&values[1]), x.tensor.ndim())? as i64;
    if !x.tensor.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float("renorm", x.tensor.dtype()));
    }
    check_slices(&x.tensor, p)?;
    let ends = [Value::Int(0), Value::Int(d)].into_iter().collect();
    let (x, turned) = rows(&first(&transpose::OP, std::slice::from_ref(x), ends)?)?;
    let norm = norm_dim(&x, Scalar::Float(p), 1, true)?;
    let (inverse, large) = scale(&norm, most)?;
    let by = factor(&inverse, large, most)?;
    let y = &x * expand(&by, Dims::from_slice(x.sizes()))?;
    transpose(&reshape(&y, &turned)?, 0, d)
}

/// The gradient of slices x s(n), where n is the norm and s = most / (n + margin) where n is more
/// than that, else 1: g s + (sum g x) s' dn/dx.
fn scaled_slope(g: &Var, x: &Var, p: f64, d: i64, most: f64) -> Result<Var> {
    let ((g, turned), (x, _)) = (rows(&transpose(g, 0, d)?)?, rows(&transpose(x, 0, d)?)?);
    let norm = norm_dim(&x, Scalar::Float(p), 1, true)?;
    let (inverse, large) = scale(&norm, most)?;
    let by = factor(&inverse, large.clone(), most)?;
    let bend = keep(&(&inverse * &inverse * -most), large)?;
    let along = sum_dim(&(&g * &x), 1, true)? * bend;
    let through = slope(&along, &x, &norm, p)?;
    let whole = &g * expand(&by, Dims::from_slice(x.sizes()))? + through;
    transpose(&reshape(&whole, &turned)?, 0, d)
}
