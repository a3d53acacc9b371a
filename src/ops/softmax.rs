//! Softmax, its logarithm, and the negative log likelihood.

use super::Op;
use super::compare::gt_number;
use super::device;
use super::index::keep;
use super::pointwise::exp;
use super::reduce::{reduced, spread, sum_dim};
use crate::cpu::extreme;
use crate::cpu::fold::{self, Fold};
use crate::cpu::map::map2;
use crate::cpu::math::Math;
use crate::cpu::rows;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::Var;
use crate::graph::rule::misfit;
use crate::tensor::{DType, Device, Dims, Element, Scalar, Tensor, class_name, sizes_text};

ops! {
    /// Softmax along `dim`: e^x / sum e^x, computed from x minus the largest.
    : fn softmax(x; dim: i64) -> (y): Float named "softmax" as "SoftmaxBackward" {
        let d: i64 = wrap_dim("softmax", dim, x.ndim())? as i64;
        forward(out) = lines("softmax", x, d as usize, false, out)?;
        grad x = |g, y| softmax_grad(g, y, d)?, "y * (g - sum(g * y))";
        try [(sample(&[5]); 0i64), (sample(&[2, 3]); 1i64), (sample(&[3, 2]); 0i64)];
    }
    /// y (g - sum g y) along `dim`, where y is a softmax.
    : fn softmax_grad(g, y; dim: i64) -> (out): Float named "softmax_backward" as "SoftmaxBackwardBackward" {
        forward(to) = lines_grad("softmax_backward", g, y, dim as usize, false, to)?;
        grad g = |h, y| softmax_grad(h, y, dim)?, "y * (h - sum(h * y))";
        grad y = |h, g, y| {
            expect(&OP.rule, h, y.sizes())?;
            let sizes = Dims::from_slice(y.sizes());
            let gy = spread(&sum_dim(&(g * y), dim, true)?, sizes.clone(), dim, true)?;
            let hy = spread(&sum_dim(&(h * y), dim, true)?, sizes, dim, true)?;
            h * (g - gy) - g * hy
        }, "h * g - h * sum(g * y) - g * sum(h * y)";
        try [(sample(&[2, 3]), positive(&[2, 3]); 1i64)];
    }
    /// Logarithm of the softmax along `dim`: x - log sum e^x, computed from x minus the largest.
    : fn log_softmax(x; dim: i64) -> (y): Float named "log_softmax" as "LogSoftmaxBackward" {
        let d: i64 = wrap_dim("log_softmax", dim, x.ndim())? as i64;
        forward(out) = lines("log_softmax", x, d as usize, true, out)?;
        grad x = |g, y| log_softmax_grad(g, y, d)?, "g - exp(y) * sum(g)";
        try [(sample(&[5]); 0i64), (sample(&[2, 3]); 1i64), (sample(&[3, 2]); 0i64)];
    }
    /// g - e^y sum g along `dim`, where y is a logarithm of a softmax.
    : fn log_softmax_grad(g, y; dim: i64) -> (out): Float named "log_softmax_backward" as "LogSoftmaxBackwardBackward" {
        forward(to) = lines_grad("log_softmax_backward", g, y, dim as usize, true, to)?;
        grad g = |h, y| {
            expect(&OP.rule, h, y.sizes())?;
            let hy = sum_dim(&(h * exp(y)?), dim, true)?;
            h - spread(&hy, Dims::from_slice(y.sizes()), dim, true)?
        }, "h - sum(h * exp(y))";
        grad y = |h, g, y| {
            expect(&OP.rule, h, y.sizes())?;
            let all = spread(&sum_dim(g, dim, true)?, Dims::from_slice(y.sizes()), dim, true)?;
            -(h * exp(y)? * all)
        }, "-h * exp(y) * sum(g)";
        try [(sample(&[2, 3]), sample(&[2, 3]); 1i64)];
    }
    /// Logarithm of the sum of e^x along `dim`, which is dropped unless `keepdim`; no e^x overflows.
    method function out host: fn logsumexp(x; dim: i64, keepdim: bool = false) -> (y): Float named "logsumexp" as "LogsumexpBackward" {
        let d: i64 = wrap_dim("logsumexp", dim, x.ndim())? as i64;
        forward(out) = log_of_sum(x, d as usize, keepdim, out)?;
        grad x = |g, x, y| {
            let sizes = Dims::from_slice(x.sizes());
            let y = spread(y, sizes.clone(), d, keepdim)?;
            // A line of nothing but -inf has no share to give: 0, not NaN.
            let some = gt_number(&y.detach(), Scalar::Float(f64::NEG_INFINITY))?.tensor;
            spread(g, sizes, d, keepdim)? * keep(&exp(&(x - y))?, some)?
        }, "g * exp(x - y)";
        try [(sample(&[4]); 0i64, false), (sample(&[2, 3]); 1i64, true), (sample(&[3, 2]); 0i64, false)];
    }
    /// Negative log likelihood of the classes `target` (LongTensor, one for each row of x):
    /// -sum w[t] x[i, t], divided by the sum of the weights when `size_average`.
    ///
    /// Rows whose target is `ignore_index` count nothing.
    : fn nll_loss(x; target: Tensor, weight: Option<Tensor>, size_average: bool = true, ignore_index: i64 = -100i64)
        -> (y): Float named "nll_loss" as "NllLossBackward"
    {
        let factors: Tensor = nll_factors(x, &target, weight.as_ref(), size_average, ignore_index)?;
        let classes: i64 = x.sizes()[1];
        sized [1i64];
        forward(out) = nll_sum(x, &target, &factors, ignore_index)?;
        grad x = |g| nll_loss_grad(g, target.clone(), factors.clone(), classes)?, "g * -weight at target";
        try [(sample(&[3, 4]); longs(&[1, 0, 3], &[3]), None::<f64>, true, -100i64),
             (sample(&[3, 4]); longs(&[1, 0, 3], &[3]), None::<f64>, false, 0i64)];
    }
    /// Mean (or sum) of (x - target)^2.
    : fn mse_loss(x; target: Tensor, size_average: bool = true) -> (y): Float named "mse_loss" as "MseLossBackward" {
        sized [1i64];
        forward(out) = {
            if !x.dtype().is_float() {
                return Err(crate::tensor::dtype::not_float("mse_loss", x.dtype()));
            }
            crate::tensor::dtype::same("mse_loss", x.kind(), target.kind())?;
            let difference = &Var::from(x.clone()) - &Var::from(target.clone());
            let total = crate::ops::reduce::sum(&(&difference * &difference))?;
            scaled_by(&total, size_average, x.numel())?.tensor
        };
        grad x = |g, x| {
            let difference = x - &Var::from(target.clone());
            let all = crate::ops::shape::expand(&scaled_by(g, size_average, x.tensor.numel())?, Dims::from_slice(x.sizes()))?;
            all * difference * 2.0
        }, "g * 2 * (x - target), averaged as the loss";
        try [(sample(&[2, 3]); positive(&[2, 3]), true), (sample(&[4]); positive(&[4]), false)];
    }
    /// -g w at each row's class, 0 elsewhere.
    : fn nll_loss_grad(g; target: Tensor, factors: Tensor, classes: i64) -> (out): Float named "nll_loss_backward" as "NllLossBackwardBackward" {
        sized [target.numel() as i64, classes];
        forward(to) = nll_spread(g, &target, &factors, classes)?;
        grad g = |h| nll_pick(h, target.clone(), factors.clone())?, "h * -weight at target";
        try [(sample(&[1]); longs(&[1, 0, 3], &[3]), positive(&[3]), 4i64)];
    }
    /// -sum w h at each row's class.
    : fn nll_pick(h; target: Tensor, factors: Tensor) -> (y): Float named "nll_loss" as "NllLossBackward" {
        let classes: i64 = h.sizes()[1];
        sized [1i64];
        forward(to) = nll_sum(h, &target, &factors, -100)?;
        grad h = |g| nll_loss_grad(g, target.clone(), factors.clone(), classes)?, "g * -weight at target";
        try [(sample(&[3, 4]); longs(&[1, 0, 3], &[3]), positive(&[3]))];
    }
}

fn scaled_by(v: &Var, average: bool, count: usize) -> Result<Var> {
    if average {
        crate::ops::arith::div_number(v, crate::tensor::Scalar::Int(count as i64))
    } else {
        Ok(v.clone())
    }
}

fn lines(op: &str, x: &Tensor, dim: usize, log: bool, out: &super::Out) -> Result<Tensor> {
    let y = out.make(op, x.kind(), x.sizes())?;
    if x.device() == Device::Gpu {
        device::softmax(x, dim, log, &y)?;
    } else {
        dispatch!(float x.dtype(), op, T => rows::softmax::<T>(x, dim, log, &y));
    }
    Ok(y)
}

fn log_of_sum(x: &Tensor, d: usize, keepdim: bool, out: &super::Out) -> Result<Tensor> {
    const OP: &str = "logsumexp";
    if !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float(OP, x.dtype()));
    }
    let y = out.make(OP, x.kind(), &reduced(x.sizes(), d, keepdim))?;
    let mut sizes = Dims::from_slice(x.sizes());
    sizes[d] = 1;
    let kept = y.view(&sizes)?;
    let tops = Tensor::empty(OP, DType::F64, &sizes)?;
    let logs = Tensor::empty(OP, DType::F64, &sizes)?;
    dispatch!(float x.dtype(), OP, T => {
        let larger = extreme::better::<f64, true>;
        let top = Fold::new::<T>(f64::NEG_INFINITY, move |a, v: T| larger(a, v.to_f64()), larger);
        // Where all is -inf or something +inf, differences from the top would be NaN.
        fold::dim(x, d, &tops, top, |top: f64| if top.is_infinite() { 0.0 } else { top });
        let sum = Fold::beside::<T>(0.0f64, |a, v: T, top: f64| a + Math::exp(v.to_f64() - top), |a, b| a + b);
        fold::dim_from(x, d, &logs, Some(&tops), sum, |a: f64| a.ln());
        map2::<f64, f64, T>(&tops, &logs, &kept, |top, log| T::from_f64(top + log));
    });
    Ok(y)
}

fn lines_grad(
    op: &str,
    g: &Tensor,
    y: &Tensor,
    dim: usize,
    log: bool,
    to: &super::Out,
) -> Result<Tensor> {
    crate::tensor::dtype::same(op, g.kind(), y.kind())?;
    if g.sizes() != y.sizes() {
        return Err(misfit(op, y.sizes(), g.sizes()));
    }
    let out = to.make(op, g.kind(), g.sizes())?;
    if g.device() == Device::Gpu {
        device::softmax_grad(g, y, dim, log, &out)?;
    } else {
        dispatch!(float g.dtype(), op, T => rows::softmax_grad::<T>(g, y, dim, log, &out));
    }
    Ok(out)
}

/// What each row counts: its class weight, over the sum of all when averaging; 0 when ignored.
/// On the CPU in double, and targets are checked; on the GPU the kernels check them on their way.
fn nll_factors(
    x: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    average: bool,
    ignore: i64,
) -> Result<Tensor> {
    const OP: &str = "nll_loss";
    if x.ndim() != 2 || target.ndim() != 1 || target.sizes()[0] != x.sizes()[0] {
        fail!(
            Value,
            "{OP}: needs rows of class scores and one class for each row; got {} and targets of {}",
            sizes_text(x.sizes()),
            sizes_text(target.sizes())
        );
    }
    fits(x, target, target)?;
    let classes = x.sizes()[1];
    if let Some(w) = weight
        && (w.sizes() != [classes] || w.kind() != x.kind())
    {
        fail!(
            Runtime,
            "{OP}: weight needs one number of the scores' class for each of {classes} classes; got {w:?}"
        );
    }
    if x.device() == Device::Gpu {
        return device::nll_factors(target, weight, average, ignore);
    }
    let n = target.numel();
    let mut factors = vec![0.0f64; n];
    for (i, factor) in factors.iter_mut().enumerate() {
        let t = target.read::<i64>(i as i64 * target.strides()[0]);
        if t == ignore {
            continue;
        }
        if t < 0 || t >= classes {
            fail!(
                Runtime,
                "{OP}: class {t} is out of range: there are {classes} classes (0 to {})",
                classes - 1
            );
        }
        *factor = match weight {
            Some(w) => dispatch!(w.dtype(), T => w.read::<T>(t * w.strides()[0]).to_f64()),
            None => 1.0,
        };
    }
    let sum: f64 = factors.iter().sum();
    if average && sum != 0.0 {
        factors.iter_mut().for_each(|f| *f /= sum);
    }
    Tensor::from_slice(&factors)
}

/// Fails unless `target` are classes for scores or gradients like `x`, all on one device.
fn fits(x: &Tensor, target: &Tensor, factors: &Tensor) -> Result<()> {
    if !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float("nll_loss", x.dtype()));
    }
    if target.kind() != (DType::I64, x.device()) || factors.device() != x.device() {
        fail!(
            Type,
            "nll_loss: targets beside a {} are a {} of classes; got a {}",
            class_name(x.dtype(), x.device()),
            class_name(DType::I64, x.device()),
            class_name(target.dtype(), target.device())
        );
    }
    Ok(())
}

fn nll_sum(x: &Tensor, target: &Tensor, factors: &Tensor, ignore: i64) -> Result<Tensor> {
    fits(x, target, factors)?;
    if x.ndim() != 2 || x.sizes()[0] != target.numel() as i64 {
        fail!(
            Runtime,
            "nll_loss: needs a row for each of {} classes; got size {}",
            target.numel(),
            sizes_text(x.sizes())
        );
    }
    if x.device() == Device::Gpu {
        return device::nll_sum(x, target, factors);
    }
    let y = Tensor::empty("nll_loss", x.dtype(), &[1])?;
    dispatch!(float x.dtype(), "nll_loss", T => {
        let (mut sum, classes) = (0.0, x.sizes()[1]);
        for i in 0..target.numel() as i64 {
            let (t, f) = (target.read::<i64>(i * target.strides()[0]), factors.read::<f64>(i));
            // What is ignored may be no class at all, and the way back does not know its number.
            if t != ignore && (0..classes).contains(&t) {
                sum -= f * x.read::<T>(i * x.strides()[0] + t * x.strides()[1]).to_f64();
            }
        }
        y.write(0, T::from_f64(sum));
    });
    Ok(y)
}

fn nll_spread(g: &Tensor, target: &Tensor, factors: &Tensor, classes: i64) -> Result<Tensor> {
    fits(g, target, factors)?;
    let sizes = [target.numel() as i64, classes];
    if g.device() == Device::Gpu {
        return device::nll_spread(g, target, factors, classes);
    }
    let out = Tensor::zeros("nll_loss_backward", g.dtype(), &sizes)?;
    dispatch!(float g.dtype(), "nll_loss_backward", T => {
        let scale = g.read::<T>(0).to_f64();
        for i in 0..sizes[0] {
            let (t, f) = (target.read::<i64>(i * target.strides()[0]), factors.read::<f64>(i));
            if f != 0.0 {
                out.write(i * classes + t, T::from_f64(-f * scale));
            }
        }
    });
    Ok(out)
}
