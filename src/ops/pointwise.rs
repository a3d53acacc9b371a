//! Functions of one element.

use super::Op;
use super::arith::{add_number, div, div_number, mul};
use super::power::pow_number;
use crate::tensor::Scalar;

pointwise! {
    /// Exponential: e ^ x.
    method function in_place out: exp(x) -> y: Float named "exp" as "ExpBackward" {
        cpu = Math::exp(x);
        wgsl = "exp_(a)";
        grad x = |g, y| g * y;
        try [(sample(&[5])), (sample(&[2, 3]))];
    }
    /// Natural logarithm; NaN below zero, -inf at zero.
    method function in_place out: log(x) -> y: Float named "log" as "LogBackward" {
        cpu = Math::ln(x);
        wgsl = "log_(a)";
        grad x = |g, x| div(g, x)?, "g / x";
        try [(positive(&[5]))];
    }
    /// Square root.
    method function in_place out: sqrt(x) -> y: Float named "sqrt" as "SqrtBackward" {
        cpu = Math::sqrt(x);
        wgsl = "sqrt_(a)";
        grad x = |g, x| div_number(&mul(g, &pow_number(x, Scalar::Float(-0.5))?)?, Scalar::Float(2.0))?, "g / (2 * sqrt x)";
        try [(positive(&[5]))];
    }
    /// Hyperbolic tangent.
    method function in_place out: tanh(x) -> y: Float named "tanh" as "TanhBackward0" {
        cpu = Math::tanh(x);
        wgsl = "tanh_(a)";
        grad x = |g, y| tanh_grad(g, y)?, "g * (1 - y^2)";
        try [(sample(&[5]))];
    }
    /// g (1 - y y), where y is a hyperbolic tangent.
    : tanh_grad(g, y) -> out: Float named "_tanh_backward" as "TanhBackwardBackward" {
        cpu = g.minus(g.times(y).times(y));
        wgsl = "a - a * b * b";
        grad g = |h, y| tanh_grad(h, y)?, "h * (1 - y^2)";
        grad y = |h, g, y| h * g * y * -2.0;
        try [(sample(&[5]), sample_in(-0.9, 0.9, &[5]))];
    }
    /// Logistic function: 1 / (1 + e^-x).
    method function in_place out: sigmoid(x) -> y: Float named "sigmoid" as "SigmoidBackward0" {
        cpu = Math::sigmoid(x);
        wgsl = "sigmoid_(a)";
        grad x = |g, y| sigmoid_grad(g, y)?, "g * y * (1 - y)";
        try [(sample(&[5]))];
    }
    /// g y (1 - y), where y is a logistic function.
    : sigmoid_grad(g, y) -> out: Float named "_sigmoid_backward" as "SigmoidBackwardBackward" {
        cpu = g.times(y).times(T::ONE.minus(y));
        wgsl = "a * b * (1.0 - b)";
        grad g = |h, y| sigmoid_grad(h, y)?, "h * y * (1 - y)";
        grad y = |h, g, y| h * g - h * g * y * 2.0;
        try [(sample(&[5]), sample_in(0.1, 0.9, &[5]))];
    }
    /// ln(1 + x), exact to the last places near 0.
    method function in_place out: log1p(x) -> y: Float named "log1p" as "Log1PBackward" {
        cpu = Math::log1p(x);
        wgsl = "log1p_(a)";
        grad x = |g, x| div(g, &add_number(x, Scalar::Int(1))?)?, "g / (1 + x)";
        try [(positive(&[5])), (sample_in(-0.8, 0.8, &[5]))];
    }
    /// 1 / sqrt(x).
    method function in_place out: rsqrt(x) -> y: Float named "rsqrt" as "RsqrtBackward" {
        cpu = Math::rsqrt(x);
        wgsl = "1.0 / sqrt_(a)";
        grad x = |g, y| g * (y * y * y) * -0.5, "g * -y^3 / 2";
        try [(positive(&[5]))];
    }
    /// Error function.
    method function in_place out: erf(x) -> y: Float named "erf" as "ErfBackward" {
        cpu = Math::erf(x);
        wgsl = "erf_(a)";
        grad x = |g, x| g * (bell(x)? * std::f64::consts::FRAC_2_SQRT_PI), "g * 2 / sqrt(pi) * exp(-x^2)";
        try [(sample(&[5]))];
    }
    /// Absolute value; gradient 0 at 0.
    method function in_place out: abs(x) -> y: Signed named "abs" as "AbsBackward" {
        cpu = x.magnitude();
        wgsl = "abs(a)";
        grad x = |g, x| g * sign(&x.detach())?, "g * sign x";
        try [(sample(&[5]))];
    }
    /// -1, 0 or 1; 0 for NaN, which is neither above nor below 0.
    method function in_place out: sign(x) -> y: Number named "sign" as "SignBackward" {
        cpu = if x > T::default() { T::ONE } else if x < T::default() { T::default().minus(T::ONE) } else { T::default() };
        wgsl = "sign_(a)" or "sign(a)";
        grad x = |g| no_gradient(g)?, "0";
        try [(sample(&[5]))];
    }
    /// 1 / x.
    method function in_place out: reciprocal(x) -> y: Float named "reciprocal" as "ReciprocalBackward" {
        cpu = T::ONE.over(x);
        wgsl = "1.0 / a";
        grad x = |g, x| -(g / (x * x)), "g * -y^2";
        try [(positive(&[5]))];
    }
    /// `x` kept inside [min, max]; gradient where it is inside, both ends included.
    method function in_place out: clamp(x; min: Scalar, max: Scalar) -> y: Number named "clamp" as "ClampBackward" {
        cpu = if x < min { min } else if x > max { max } else { x };
        wgsl = "clamp_(a, p0, p1)" or "select(select(a, p1, a > p1), p0, a < p0)";
        grad x = |g, x| clamp_grad(g, x, min, max)?, "g where x is between min and max, else 0";
        try [(sample(&[7]); -0.6, 0.9)];
    }
    /// g where x is inside [min, max], else 0.
    : clamp_grad(g, x; min: Scalar, max: Scalar) -> out: Number named "_clamp_backward" as "ClampBackwardBackward" {
        cpu = if x >= min && x <= max { g } else { T::default() };
        wgsl = "select(0, a, b >= p0 && b <= p1)";
        grad g = |h, x| clamp_grad(h, x, min, max)?, "h where x is between min and max, else 0";
        grad x = |h, x| no_gradient(h)?, "0";
        try [(sample(&[7]), sample_in(-1.9, 1.8, &[7]); -0.6, 0.9)];
    }
    /// `x` but at least min; gradient where x is larger.
    method function in_place out: clamp_min(x; min: Scalar) -> y: Number named "clamp" as "CmaxConstantBackward" {
        cpu = if x < min { min } else { x };
        wgsl = "select(a, p0, a < p0)";
        grad x = |g, x| threshold_grad(g, x, min)?, "g where x is above min, else 0";
        try [(sample(&[7]); -0.6)];
    }
    /// `x` but at most max; gradient where x is smaller.
    method function in_place out: clamp_max(x; max: Scalar) -> y: Number named "clamp" as "CminConstantBackward" {
        cpu = if x > max { max } else { x };
        wgsl = "select(a, p0, a > p0)";
        grad x = |g, x| below_grad(g, x, max)?, "g where x is below max, else 0";
        try [(sample(&[7]); 0.6)];
    }
    /// `x` where it is larger than threshold, else value.
    function in_place: threshold(x; threshold: Scalar, value: Scalar) -> y: Number named "threshold" as "ThresholdBackward" {
        cpu = if x > threshold || x.is_nan() { x } else { value };
        wgsl = "select(p1, a, a > p0 || is_nan_(a))" or "select(p1, a, a > p0)";
        grad x = |g, x| threshold_grad(g, x, threshold)?, "g where x is above the threshold, else 0";
        try [(sample(&[7]); 0.1, -3.0)];
    }
    /// g where x is larger than threshold, else 0.
    : threshold_grad(g, x; threshold: Scalar) -> out: Number named "threshold_backward" as "ThresholdBackwardBackward" {
        cpu = if x > threshold { g } else { T::default() };
        wgsl = "select(0, a, b > p0)";
        grad g = |h, x| threshold_grad(h, x, threshold)?, "h where x is above the threshold, else 0";
        grad x = |h, x| no_gradient(h)?, "0";
        try [(sample(&[7]), sample_in(-1.9, 1.8, &[7]); 0.1)];
    }
    /// g where x is smaller than max, else 0.
    : below_grad(g, x; max: Scalar) -> out: Number named "_clamp_max_backward" as "CminConstantBackwardBackward" {
        cpu = if x < max { g } else { T::default() };
        wgsl = "select(0, a, b < p0)";
        grad g = |h, x| below_grad(h, x, max)?, "h where x is below max, else 0";
        grad x = |h, x| no_gradient(h)?, "0";
        try [(sample(&[7]), sample_in(-1.9, 1.8, &[7]); 0.1)];
    }
}

use crate::error::Result;
use crate::graph::Var;

/// Zeros of g's sizes and type.
pub fn no_gradient(g: &Var) -> Result<Var> {
    Ok(Var::from(crate::ops::device::zeros(
        "zeros",
        g.tensor.kind().0,
        g.tensor.kind().1,
        g.sizes(),
    )?))
}

/// e ^ -x x.
pub(super) fn bell(x: &Var) -> Result<Var> {
    exp(&-(x * x))
}
