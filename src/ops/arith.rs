//! Arithmetic: + - * / % ** and their number forms.

use super::Op;
use super::compare::{ge, gt, le, lt};
use super::index::keep;

pointwise! {
    /// Sum of a tensor and a number: a + value.
    method function in_place out: add_number(a; value: Scalar) -> y: Number named "add" as "AddBackward0" {
        cpu = a.plus(value);
        wgsl = "a + p0";
        grad a = |g| g.clone();
        try [(sample(&[5]); 0.7)];
    }
    /// Sum of two tensors: a + b.
    method function in_place out broadcasts: add(a, b) -> y: Number named "add" as "AddBackward1" {
        cpu = a.plus(b);
        wgsl = "a + b";
        grad a = |g| g.clone();
        grad b = |g| g.clone();
        try [(sample(&[2, 3]), sample(&[2, 3]))];
    }
    /// Sum of a tensor and a scaled one: a + alpha b.
    method function in_place out broadcasts: add_scaled(a, b; alpha: Scalar) -> y: Number named "add" as "AddBackward1" {
        cpu = a.plus(alpha.times(b));
        wgsl = "a + p0 * b";
        grad a = |g| g.clone();
        grad b = |g| g * alpha;
        try [(sample(&[2, 3]), sample(&[2, 3]); 0.5)];
    }
    /// Difference of a tensor and a number: a - value.
    method in_place out: sub_number(a; value: Scalar) -> y: Number named "sub" as "SubBackward0" {
        cpu = a.minus(value);
        wgsl = "a - p0";
        grad a = |g| g.clone();
        try [(sample(&[5]); 0.7)];
    }
    /// Difference of two tensors: a - b.
    method in_place out broadcasts: sub(a, b) -> y: Number named "sub" as "SubBackward1" {
        cpu = a.minus(b);
        wgsl = "a - b";
        grad a = |g| g.clone();
        grad b = |g| -g;
        try [(sample(&[2, 3]), sample(&[2, 3]))];
    }
    /// Difference of a tensor and a scaled one: a - alpha b.
    method in_place out broadcasts: sub_scaled(a, b; alpha: Scalar) -> y: Number named "sub" as "SubBackward1" {
        cpu = a.minus(alpha.times(b));
        wgsl = "a - p0 * b";
        grad a = |g| g.clone();
        grad b = |g| -(g * alpha), "g * -alpha";
        try [(sample(&[2, 3]), sample(&[2, 3]); 0.5)];
    }
    /// Product of a tensor and a number: a value.
    method function in_place out: mul_number(a; value: Scalar) -> y: Number named "mul" as "MulBackward0" {
        cpu = a.times(value);
        wgsl = "a * p0";
        grad a = |g| g * value;
        try [(sample(&[5]); -1.5)];
    }
    /// Product element by element: a b.
    method function in_place out broadcasts: mul(a, b) -> y: Number named "mul" as "MulBackward1" {
        cpu = a.times(b);
        wgsl = "a * b";
        grad a = |g, b| g * b;
        grad b = |g, a| g * a;
        try [(sample(&[2, 3]), sample(&[2, 3])), (sample(&[1]), sample(&[1]))];
    }
    /// Quotient by a number: a / value. Integer classes truncate toward zero.
    ///
    /// Raises ZeroDivisionError for an integer class and the number 0.
    method function in_place out: div_number(a; value: Scalar) -> y: Number named "div" as "DivBackward0" {
        check = |inputs, values| refuse_zero_number("div", inputs[0].tensor.dtype(), &values[0]);
        cpu = a.over(value);
        wgsl = "a / p0";
        grad a = |g| div_number(g, value)?, "g / value";
        try [(sample(&[5]); -1.5)];
    }
    /// Quotient element by element: a / b. Integer classes truncate toward zero.
    ///
    /// Raises ZeroDivisionError for an integer class with a 0 among the divisors.
    method function in_place out broadcasts: div(a, b) -> y: Number named "div" as "DivBackward1" {
        check = |inputs, _| refuse_zero("div", &inputs[1].tensor);
        cpu = a.over(b);
        wgsl = "a / b";
        grad a = |g, b| g / b;
        grad b = |g, a, b| -(g * a) / (b * b), "g * -a / b^2";
        try [(sample(&[2, 3]), positive(&[2, 3]))];
    }
    /// Remainder with the sign of the divisor: a - value floor(a / value).
    method function in_place out: remainder_number(a; value: Scalar) -> y: Number named "remainder" as "RemainderBackward0" {
        check = |inputs, values| refuse_zero_number("remainder", inputs[0].tensor.dtype(), &values[0]);
        cpu = a.modulo(value);
        wgsl = "modulo_(a, p0)" or "modulo_int_(a, p0)";
        grad a = |g| g.clone();
        try [(sample(&[5]); 0.6)];
    }
    /// Remainder element by element with the sign of the divisor: a - b floor(a / b).
    ///
    /// Raises ZeroDivisionError for an integer class with a 0 among the divisors.
    method function in_place out broadcasts: remainder(a, b) -> y: Number named "remainder" as "RemainderBackward1" {
        check = |inputs, _| refuse_divisor(inputs);
        cpu = a.modulo(b);
        wgsl = "modulo_(a, b)" or "modulo_int_(a, b)";
        grad a = |g| g.clone();
        try [(sample(&[2, 3]), positive(&[2, 3]))];
    }
    /// Remainder with the sign of the dividend, as C's fmod.
    method function in_place out: fmod_number(a; value: Scalar) -> y: Number named "fmod" as "FmodBackward0" {
        check = |inputs, values| refuse_zero_number("fmod", inputs[0].tensor.dtype(), &values[0]);
        cpu = a.rest(value);
        wgsl = "fmod_(a, p0)" or "fmod_int_(a, p0)";
        grad a = |g| g.clone();
        try [(sample(&[5]); 0.6)];
    }
    /// Remainder element by element with the sign of the dividend, as C's fmod.
    ///
    /// There is no derivative for the divisor: backward raises RuntimeError if it requires one.
    /// Raises ZeroDivisionError for an integer class with a 0 among the divisors.
    method function in_place out broadcasts: fmod(a, b) -> y: Number named "fmod" as "FmodBackward1" {
        check = |inputs, _| refuse_zero("fmod", &inputs[1].tensor);
        cpu = a.rest(b);
        wgsl = "fmod_(a, b)" or "fmod_int_(a, b)";
        // 0.3 keeps the divisor, so that a second walk back over a freed graph fails.
        grad a = |g, b| { let _ = b; g.clone() }, "g";
        grad b = |g, b| no_derivative("fmod", "FmodBackward1")?, "no known derivative";
        try [(sample(&[2, 3]), positive(&[2, 3]))];
    }
    /// Negative: -x.
    method function in_place out: neg(x) -> y: Signed named "neg" as "NegBackward" {
        cpu = T::default().minus(T::ONE).times(x);
        wgsl = "-a";
        grad x = |g| -g;
        try [(sample(&[5]))];
    }
    /// The larger of two, element by element; NaN wins.
    method function out broadcasts: max_of(x, other) -> y: Number named "max" as "MaxBackward2" {
        cpu = if x > other || x.is_nan() { x } else { other };
        wgsl = "max_(a, b)" or "max(a, b)";
        grad x = |g, x, other| keep(g, gt(&x.detach(), &other.detach())?.tensor)?, "g where x is above other, else 0";
        grad other = |g, x, other| keep(g, le(&x.detach(), &other.detach())?.tensor)?, "g where x is not above other, else 0";
        try [(sample(&[2, 3]), sample_in(-1.5, 1.7, &[2, 3]))];
    }
    /// The smaller of two, element by element; NaN wins.
    method function out broadcasts: min_of(x, other) -> y: Number named "min" as "MinBackward2" {
        cpu = if x < other || x.is_nan() { x } else { other };
        wgsl = "min_(a, b)" or "min(a, b)";
        grad x = |g, x, other| keep(g, lt(&x.detach(), &other.detach())?.tensor)?, "g where x is below other, else 0";
        grad other = |g, x, other| keep(g, ge(&x.detach(), &other.detach())?.tensor)?, "g where x is not below other, else 0";
        try [(sample(&[2, 3]), sample_in(-1.5, 1.7, &[2, 3]))];
    }
}

use super::device::{self, Row};
use crate::error::Result;
use crate::fail;
use crate::graph::Var;
use crate::tensor::{DType, Device, FromValue, Scalar, Tensor, Value};

/// A tensor divided by a number.
pub(super) const DIVIDE: Row = row_formula!(div_number Number [a] [value] "a / p0");

fn refuse_zero_number(op: &str, dtype: DType, value: &Value) -> Result<()> {
    if !dtype.is_float() && Scalar::from_value(value).f64() == 0.0 {
        fail!(
            ZeroDivision,
            "{op}: integer division by zero: a torch.{}Tensor and the number 0",
            dtype.name()
        );
    }
    Ok(())
}

/// 0.3 has no derivative for the divisor and refuses it in forward.
fn refuse_divisor(inputs: &[crate::graph::Input]) -> Result<()> {
    if inputs[1].requires_grad() {
        fail!(
            Runtime,
            "remainder: the derivative for the divisor is not implemented; detach() it first"
        );
    }
    refuse_zero("remainder", &inputs[1].tensor)
}

/// Fails where 0.3 has no derivative for the divisor and refuses it in backward.
fn no_derivative(op: &str, node: &str) -> Result<Var> {
    fail!(
        Runtime,
        "{node}: the derivative of {op} for the divisor is not implemented; detach() it first"
    )
}

pub(super) fn refuse_zero(op: &str, divisor: &Tensor) -> Result<()> {
    if divisor.dtype().is_float() {
        return Ok(());
    }
    let zero = if divisor.device() == Device::Gpu {
        device::has_zero(op, divisor)?
    } else {
        crate::dispatch!(divisor.dtype(), T => {
            let fold = crate::cpu::fold::Fold::new::<T>(false, |a, v: T| a | (v == T::default()), |a, b| a | b);
            crate::cpu::fold::all(divisor, fold)
        })
    };
    if zero {
        fail!(
            ZeroDivision,
            "{op}: integer division by zero: there is a 0 among the divisors"
        );
    }
    Ok(())
}
