//! Scans: running sums and products along a dimension, and the linear recurrence that their
//! gradients are made of.

use super::Op;
use super::product::{cumprod_slope, shift};
use crate::cpu::scan;
use crate::dispatch;
use crate::error::Result;
use crate::graph::rule::misfit;
use crate::tensor::{Element, Tensor};

ops! {
    /// Running sums along `dim`. Floats add up in double, integers wrap.
    method function out host: fn cumsum(x; dim: i64) -> (y): Number named "cumsum" as "CumsumBackward" {
        let d: i64 = wrap_dim("cumsum", dim, x.ndim())? as i64;
        forward(out) = sums(x, d as usize, false, out)?;
        grad x = |g| cumsum_back(g, d)?, "sums of g from the end";
        try [(sample(&[4]); 0i64), (sample(&[2, 3]); -1i64), (sample(&[3, 2, 2]); 0i64)];
    }
    /// Running sums along `dim` from its end.
    host: fn cumsum_back(g; dim: i64) -> (x): Number named "cumsum_backward" as "CumsumBackwardBackward" {
        forward(out) = sums(g, wrap_dim("cumsum", dim, g.ndim())?, true, out)?;
        grad g = |h| cumsum(h, dim)?, "sums of h";
        try [(sample(&[2, 3]); 1i64), (sample(&[3, 2]); 0i64)];
    }
    /// Running products along `dim`. Floats multiply in double, integers wrap.
    method function out host: fn cumprod(x; dim: i64) -> (y): Number named "cumprod" as "CumprodBackward" {
        let d: i64 = wrap_dim("cumprod", dim, x.ndim())? as i64;
        forward(out) = products(x, d as usize, out)?;
        grad x = |g, x| cumprod_slope(g, x, d)?, "sums of g * y from the end, over x";
        try [
            (sample(&[4]); 0i64), (sample(&[2, 3]); -1i64), (sample(&[3, 2, 2]); 0i64), (sample(&[2, 1]); 1i64),
            (crate::ops::product::with_zeros(&[1], &[4]); 0i64), (crate::ops::product::with_zeros(&[0, 4], &[3, 2]); 0i64),
        ];
    }
    /// y_k = b_k + a_k y_{k-1} along `dim`, or with y_{k+1} from its end; nothing precedes the first.
    host: fn recur(a, b; dim: i64, from_end: bool) -> (y): Float named "recurrence" as "RecurrenceBackward" {
        forward(out) = {
            crate::tensor::dtype::same("recurrence", a.kind(), b.kind())?;
            if a.sizes() != b.sizes() {
                return Err(misfit("recurrence", a.sizes(), b.sizes()));
            }
            let y = out.make("recurrence", a.kind(), a.sizes())?;
            dispatch!(float a.dtype(), "recurrence", T => scan::recur::<T>(a, b, dim as usize, from_end, &y));
            y
        };
        grad a = |g, a, y| recur(&shift(a, dim, from_end)?, g, dim, !from_end)? * shift(y, dim, !from_end)?, "the recurrence of g backwards * y shifted";
        grad b = |g, a| recur(&shift(a, dim, from_end)?, g, dim, !from_end)?, "the recurrence of g backwards";
        try [
            (sample(&[4]), positive(&[4]); 0i64, false), (sample(&[2, 3]), positive(&[2, 3]); 1i64, true),
            (sample(&[3, 2]), positive(&[3, 2]); 0i64, true),
        ];
    }
}

fn sums(x: &Tensor, d: usize, from_end: bool, out: &super::Out) -> Result<Tensor> {
    let y = out.make("cumsum", x.kind(), x.sizes())?;
    dispatch!(x.dtype(), T => if T::DTYPE.is_float() {
        scan::scan::<T, f64>(x, d, from_end, &y, 0.0, |a, v| a + v.to_f64(), T::from_f64);
    } else {
        scan::scan::<T, T>(x, d, from_end, &y, T::default(), T::plus, |a| a);
    });
    Ok(y)
}

fn products(x: &Tensor, d: usize, out: &super::Out) -> Result<Tensor> {
    let y = out.make("cumprod", x.kind(), x.sizes())?;
    dispatch!(x.dtype(), T => if T::DTYPE.is_float() {
        scan::scan::<T, f64>(x, d, false, &y, 1.0, |a, v| a * v.to_f64(), T::from_f64);
    } else {
        scan::scan::<T, T>(x, d, false, &y, T::ONE, T::times, |a| a);
    });
    Ok(y)
}
