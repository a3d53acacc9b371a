//! Powers, with a number or a tensor on either side.

use super::Op;
use super::arith::sub_number;
use super::compare::gt_number;
use super::mask::keep;
use super::pointwise::log;
use crate::cpu::map::{map1, map1_or, map2_or};
use crate::cpu::math::Math;
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::{Scalar, Tensor};

pointwise! {
    /// Power with a number as exponent: a ^ exponent.
    method function in_place out: pow_number(a; exponent: Scalar) -> y: Float named "pow" as "PowBackward0" {
        cpu by power::<T>(a, exponent, &y);
        wgsl = "pow_number_(a, p0)";
        grad a = |g, a| g * (pow_number(a, Scalar::Float(exponent.f64() - 1.0))? * exponent), "g * exponent * a^(exponent - 1)";
        try [
            (positive(&[5]); 2.5), (sample(&[5]); 1.0), (sample(&[5]); 2.0), (sample(&[5]); 3.0), (sample(&[5]); 4.0),
            (positive(&[5]); -1.0), (positive(&[5]); -2.0), (positive(&[5]); 0.5), (positive(&[5]); -0.5), (positive(&[5]); 0.0)
        ];
    }
    /// Power element by element: a ^ exponent.
    method function in_place out broadcasts: pow(a, exponent) -> y: Float named "pow" as "PowBackward1" {
        cpu by map2_or::<T>(a, exponent, &y, Math::pow, Math::is_hard_pow, Math::hard_pow);
        wgsl = "pow_(a, b)";
        grad a = |g, a, exponent| g * (exponent * pow(a, &sub_number(exponent, Scalar::Float(1.0))?)?), "g * exponent * a^(exponent - 1)";
        grad exponent = |g, a, exponent| g * (pow(a, exponent)? * log(a)?), "g * a^exponent * log a";
        try [(positive(&[2, 3]), sample(&[2, 3]))];
    }
    /// Power of a number: base ^ x.
    function out: pow_base(x; base: Scalar) -> y: Float named "pow" as "PowConstantBackward" {
        cpu by map1_or::<T>(x, &y, #[inline(always)] |x| Math::pow(base, x), #[inline(always)] |x| Math::is_hard_pow(base, x), |x| Math::hard_pow(base, x));
        wgsl = "pow_(p0, a)";
        grad x = |g, y| if base.f64() == 0.0 { of_zero(g, y)? } else { g * y * base.f64().ln() }, "g * y * log base";
        try [(sample(&[5]); 1.7), (positive(&[5]); 0.0)];
    }
}

/// The gradient of y = 0 ^ x: 0 but for negative x, where y is infinite.
fn of_zero(g: &Var, y: &Var) -> Result<Var> {
    let y = y.detach();
    let steep = gt_number(&y, Scalar::Int(1))?.tensor;
    Ok(g * keep(&(&y * f64::NEG_INFINITY), steep)?)
}

/// y = a ^ exponent, with loops of their own for the exponents of everyday, as 0.3 has them.
fn power<T: Math>(a: &Tensor, exponent: T, y: &Tensor) {
    let p = exponent.to_f64();
    if p == 1.0 {
        map1::<T, T>(a, y, |a| a)
    } else if p == 2.0 {
        map1::<T, T>(a, y, |a| a * a)
    } else if p == 3.0 {
        map1::<T, T>(a, y, |a| a * a * a)
    } else if p == 0.5 {
        map1::<T, T>(a, y, Math::sqrt)
    } else if p == -0.5 {
        map1::<T, T>(a, y, Math::rsqrt)
    } else if p == -1.0 {
        map1::<T, T>(a, y, Math::recip)
    } else if p == -2.0 {
        map1::<T, T>(a, y, |a| {
            let part = Math::recip(a);
            part * part
        })
    } else {
        map1_or::<T>(
            a,
            y,
            #[inline(always)]
            |a| Math::pow(a, exponent),
            #[inline(always)]
            |a| Math::is_hard_pow(a, exponent),
            |a| Math::hard_pow(a, exponent),
        )
    }
}
