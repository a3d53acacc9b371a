//! Reductions over everything (to size 1) or over one dimension.

use super::Op;
use super::arith::div_number;
use super::compare::eq;
use super::device::{self, Reduction};
use super::index::{keep, put_along};
use super::shape::{expand, unsqueeze};
use crate::cpu::extreme;
use crate::cpu::fold::{self, Fold};
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::rule::misfit;
use crate::graph::{Input, Var};
use crate::tensor::{DType, Device, Dims, Element, FromValue, Scalar, Tensor, Value, sizes_text};

ops! {
    /// Sum over one dimension, which is dropped unless `keepdim`. Floats add up in double.
    method function out: fn sum_dim(x; dim: i64, keepdim: bool = false) -> (y): Number named "sum" as "SumBackward1" {
        let d: i64 = wrap_dim("sum", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = over_dim("sum", x, d as usize, keepdim, out, Reduction::Sum)?;
        grad x = |g| spread(g, sizes.clone(), d, keepdim)?, "g for each element that was summed";
        try [(sample(&[3]); 0i64, false), (sample(&[2, 3]); 1i64, false), (sample(&[2, 3, 2]); -2i64, true)];
    }
    /// Sum of all elements. Floats add up in double; an empty tensor gives 0.
    number method function: fn sum(x) -> (y): Number named "sum" as "SumBackward0" {
        let sizes: Dims = Dims::from_slice(x.sizes());
        sized [1i64];
        forward(out) = whole(x, Reduction::Sum)?;
        grad x = |g| if sizes.is_empty() { crate::ops::shape::zeros_like(g, &sizes)? } else { expand(g, sizes.clone())? }, "g for each element";
        try [(sample(&[5])), (sample(&[2, 3]))];
    }
    /// Mean over one dimension, which is dropped unless `keepdim`.
    method function out: fn mean_dim(x; dim: i64, keepdim: bool = false) -> (y): Float named "mean" as "MeanBackward0" {
        let d: i64 = wrap_dim("mean", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = over_dim("mean", x, d as usize, keepdim, out, Reduction::Mean)?;
        grad x = |g| div_number(&spread(g, sizes.clone(), d, keepdim)?, Scalar::Int(sizes[d as usize]))?, "g / (elements averaged) for each element";
        try [(sample(&[3]); 0i64, false), (sample(&[2, 3]); 1i64, true)];
    }
    /// Mean of all elements.
    ///
    /// Raises RuntimeError for an empty tensor.
    number method function: fn mean(x) -> (y): Float named "mean" as "MeanBackward1" {
        sized [1i64];
        forward(out) = whole(x, Reduction::Mean)?;
        grad x = |g, x| div_number(&expand(g, Dims::from_slice(x.sizes()))?, Scalar::Int(x.tensor.numel() as i64))?, "g / (number of elements) for each element";
        try [(sample(&[5])), (sample(&[2, 3]))];
    }
    /// Largest element of each line along `dim`, and where it is (the first of equals; NaN wins).
    method function out: fn max_dim(x; dim: i64, keepdim: bool = false) -> (y, indices): Number named "max" as "MaxBackward0" {
        let d: i64 = wrap_dim("max", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = extremum("max", x, d as usize, keepdim, true)?;
        grad x = |g, indices| restore(g, &indices.tensor, sizes.clone(), d, keepdim)?, "g put where x was taken from";
        try [(sample(&[5]); 0i64, false), (sample(&[2, 3]); 1i64, false), (sample(&[3, 2]); 0i64, true)];
    }
    /// Largest element; every element equal to it gets the gradient.
    number method function: fn max(x) -> (y): Number named "max" as "MaxBackward1" {
        sized [1i64];
        forward(out) = whole(x, Reduction::Max)?;
        grad x = |g, x, y| all_ties(g, x, y)?, "g where x = y, else 0";
        try [(sample(&[5])), (sample(&[2, 3]))];
    }
    /// Smallest element of each line along `dim`, and where it is (the first of equals; NaN wins).
    method function out: fn min_dim(x; dim: i64, keepdim: bool = false) -> (y, indices): Number named "min" as "MinBackward0" {
        let d: i64 = wrap_dim("min", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = extremum("min", x, d as usize, keepdim, false)?;
        grad x = |g, indices| restore(g, &indices.tensor, sizes.clone(), d, keepdim)?, "g put where x was taken from";
        try [(sample(&[5]); 0i64, false), (sample(&[2, 3]); 1i64, false), (sample(&[3, 2]); 0i64, true)];
    }
    /// Smallest element; every element equal to it gets the gradient.
    number method function: fn min(x) -> (y): Number named "min" as "MinBackward1" {
        sized [1i64];
        forward(out) = whole(x, Reduction::Min)?;
        grad x = |g, x, y| all_ties(g, x, y)?, "g where x = y, else 0";
        try [(sample(&[5])), (sample(&[2, 3]))];
    }
}

/// The gradient of a sum over `dim` for every element of the line.
///
/// # Errors
/// `RuntimeError` for a gradient of another size than such a sum has.
pub fn spread(g: &Var, sizes: Dims, dim: i64, kept: bool) -> Result<Var> {
    let own = reduced(&sizes, dim as usize, kept);
    if g.sizes() != own.as_slice() {
        return Err(misfit("sum", &own, g.sizes()));
    }
    if kept || sizes.len() == 1 {
        expand(g, sizes)
    } else {
        expand(&unsqueeze(g, dim)?, sizes)
    }
}

/// The gradient of one chosen element of each line along `dim`, where `indices` say which.
pub(super) fn restore(g: &Var, indices: &Tensor, sizes: Dims, dim: i64, kept: bool) -> Result<Var> {
    if kept || sizes.len() == 1 {
        return put_along(g, dim, indices.clone(), sizes);
    }
    put_along(&unsqueeze(g, dim)?, dim, indices.unsqueeze(dim)?, sizes)
}

/// The gradient of a number that is one of the elements: all that are equal to it get it.
pub(super) fn all_ties(g: &Var, x: &Var, y: &Var) -> Result<Var> {
    let sizes = Dims::from_slice(x.sizes());
    let ties = eq(&x.detach(), &expand(&y.detach(), sizes.clone())?)?;
    keep(&expand(g, sizes)?, ties.tensor)
}

/// All elements of `x` as one number: what a raw tensor's `sum()` gives. Floats are in double,
/// integers in 64 bits.
///
/// # Errors
/// `RuntimeError` for an empty tensor where the reduction has no value, `TypeError` for a mean of
/// integers.
pub fn total(x: &Tensor, what: Reduction) -> Result<Scalar> {
    let n = x.numel();
    if n == 0 && what != Reduction::Sum {
        fail!(
            Runtime,
            "{}: an empty tensor has none; check numel() first",
            what.name()
        );
    }
    if what == Reduction::Mean && !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float("mean", x.dtype()));
    }
    if x.device() == Device::Gpu {
        // Sums of integers are in 64 bits here, too.
        let dtype = match what {
            Reduction::Sum if !x.dtype().is_float() => DType::I64,
            _ => x.dtype(),
        };
        let y = device::empty(what.name(), dtype, Device::Gpu, &[1])?;
        device::fold(what, x, None, &y)?;
        return device::read_scalar(&y);
    }
    if n == 0 {
        return Ok(if x.dtype().is_float() {
            Scalar::Float(0.0)
        } else {
            Scalar::Int(0)
        });
    }
    Ok(dispatch!(x.dtype(), T => match what {
        Reduction::Sum | Reduction::Mean if T::DTYPE.is_float() => {
            let sum = fold::all(x, Fold::new::<T>(0.0f64, |a, v: T| a + v.to_f64(), |a, b| a + b));
            Scalar::Float(if what == Reduction::Mean { sum / n as f64 } else { sum })
        }
        Reduction::Sum | Reduction::Mean => {
            Scalar::Int(fold::all(x, Fold::new::<T>(0i64, |a, v: T| a.wrapping_add(v.to_i64()), i64::wrapping_add)))
        }
        Reduction::Max => scalar(extreme::all::<T, true>(x)),
        Reduction::Min => scalar(extreme::all::<T, false>(x)),
    }))
}

fn scalar<T: Element>(v: T) -> Scalar {
    if T::DTYPE.is_float() {
        Scalar::Float(v.to_f64())
    } else {
        Scalar::Int(v.to_i64())
    }
}

/// What a full reduction of raw tensors gives: in double or 64 bits, not rounded to the class
/// (T-7, T-8). None for rows whose number is an element of their result.
///
/// # Errors
/// What the row refuses.
pub fn number(op: &Op, inputs: &[Input], values: &[Value]) -> Result<Option<Scalar>> {
    let what = match op.name {
        "sum" => Some(Reduction::Sum),
        "mean" => Some(Reduction::Mean),
        "max" => Some(Reduction::Max),
        "min" => Some(Reduction::Min),
        _ => None,
    };
    if let Some(what) = what {
        return total(&inputs[0].tensor, what).map(Some);
    }
    let here = |i: usize| device::to_cpu(&inputs[i].tensor);
    Ok(Some(match op.name {
        "prod" => super::product::total(&here(0)?),
        "trace" => super::diagonal::traced(&here(0)?)?,
        "std" | "var" => {
            let unbiased = bool::from_value(&values[0]);
            let v = super::variance::total(op.name, &here(0)?, unbiased)?;
            Scalar::Float(if op.name == "std" { v.sqrt() } else { v })
        }
        "norm" => {
            let p = Scalar::from_value(&values[0]).f64();
            Scalar::Float(super::norm::total(&here(0)?, p)?)
        }
        "dist" => {
            let p = Scalar::from_value(&values[0]).f64();
            Scalar::Float(super::norm::distance(&here(0)?, &here(1)?, p)?)
        }
        _ => return Ok(None),
    }))
}

/// All elements reduced to a tensor of size 1 and the same class.
fn whole(x: &Tensor, what: Reduction) -> Result<Tensor> {
    if x.device() == Device::Gpu {
        if what == Reduction::Mean && !x.dtype().is_float() {
            return Err(crate::tensor::dtype::not_float("mean", x.dtype()));
        }
        if x.numel() == 0 && what != Reduction::Sum {
            fail!(
                Runtime,
                "{}: an empty tensor has none; check numel() first",
                what.name()
            );
        }
        let y = device::empty(what.name(), x.dtype(), Device::Gpu, &[1])?;
        device::fold(what, x, None, &y)?;
        return Ok(y);
    }
    let y = Tensor::empty(what.name(), x.dtype(), &[1])?;
    let v = total(x, what)?;
    crate::ops::copy::fill_with(&y, v)?;
    Ok(y)
}

/// `sizes` without dimension `d`, or with size 1 there; never without any dimension.
pub(super) fn reduced(sizes: &[i64], d: usize, keepdim: bool) -> Dims {
    let mut out = Dims::from_slice(sizes);
    if keepdim || sizes.len() == 1 {
        out[d] = 1;
    } else {
        out.remove(d);
    }
    out
}

fn over_dim(
    op: &str,
    x: &Tensor,
    d: usize,
    keepdim: bool,
    out: &super::Out,
    what: Reduction,
) -> Result<Tensor> {
    if what == Reduction::Mean && !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float(op, x.dtype()));
    }
    let sizes = reduced(x.sizes(), d, keepdim);
    let y = out.make(op, x.kind(), &sizes)?;
    let kept = if sizes.len() == x.ndim() {
        y.clone()
    } else {
        y.unsqueeze(d as i64)?
    };
    if x.device() == Device::Gpu {
        device::fold(what, x, Some(d), &kept)?;
        return Ok(y);
    }
    let n = x.sizes()[d] as f64;
    dispatch!(x.dtype(), T => if T::DTYPE.is_float() {
        let sum = Fold::new::<T>(0.0f64, |a, v: T| a + v.to_f64(), |a, b| a + b);
        match what {
            Reduction::Mean => fold::dim(x, d, &kept, sum, |a| T::from_f64(a / n)),
            _ => fold::dim(x, d, &kept, sum, T::from_f64),
        }
    } else {
        let sum = Fold::new::<T>(T::default(), T::plus, T::plus);
        fold::dim(x, d, &kept, sum, |a: T| a);
    });
    Ok(y)
}

pub(super) fn extremum(
    op: &str,
    x: &Tensor,
    d: usize,
    keepdim: bool,
    largest: bool,
) -> Result<(Tensor, Tensor)> {
    if x.numel() == 0 {
        fail!(
            Runtime,
            "{op}: an empty tensor has none; got size {}",
            sizes_text(x.sizes())
        );
    }
    let mut kept = Dims::from_slice(x.sizes());
    kept[d] = 1;
    let values = device::empty(op, x.dtype(), x.device(), &kept)?;
    let indices = device::empty(op, DType::I64, x.device(), &kept)?;
    if x.device() == Device::Gpu {
        device::fold_arg(largest, x, d, &values, &indices)?;
    } else {
        dispatch!(x.dtype(), T => if largest {
            extreme::arg::<T, true>(x, d, &values, &indices);
        } else {
            extreme::arg::<T, false>(x, d, &values, &indices);
        });
    }
    let sizes = reduced(x.sizes(), d, keepdim);
    Ok((values.view(&sizes)?, indices.view(&sizes)?))
}
