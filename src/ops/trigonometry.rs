//! Functions of angles, their inverses, and the hyperbolic ones.

use super::Op;
use super::arith::{add_number, div, neg};
use super::pointwise::rsqrt;
use crate::cpu::map::map1_or;
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::Scalar;

pointwise! {
    /// Sine.
    method function in_place out: sin(x) -> y: Float named "sin" as "SinBackward" {
        cpu by map1_or::<T>(x, &y, Math::sin, Math::is_far, Math::far_sin);
        wgsl = "sin_(a)";
        grad x = |g, x| g * cos(x)?;
        try [(sample(&[5]))];
    }
    /// Cosine.
    method function in_place out: cos(x) -> y: Float named "cos" as "CosBackward" {
        cpu by map1_or::<T>(x, &y, Math::cos, Math::is_far, Math::far_cos);
        wgsl = "cos_(a)";
        grad x = |g, x| -(g * sin(x)?), "g * -sin(x)";
        try [(sample(&[5]))];
    }
    /// Tangent.
    method function in_place out: tan(x) -> y: Float named "tan" as "TanBackward" {
        cpu by map1_or::<T>(x, &y, Math::tan, Math::is_far, Math::far_tan);
        wgsl = "tan_(a)";
        grad x = |g, x| { let c = cos(x)?; div(g, &(&c * &c))? }, "g / cos(x)^2";
        try [(sample_in(-1.2, 1.2, &[5]))];
    }
    /// The angle whose sine is x, from -pi/2 to pi/2; NaN outside [-1, 1].
    method function in_place out: asin(x) -> y: Float named "asin" as "AsinBackward" {
        cpu = Math::asin(x);
        wgsl = "asin_(a)";
        grad x = |g, x| g * rsqrt(&rest_of_circle(x)?)?, "g / sqrt(1 - x^2)";
        try [(sample_in(-0.9, 0.9, &[5]))];
    }
    /// The angle whose cosine is x, from 0 to pi; NaN outside [-1, 1].
    method function in_place out: acos(x) -> y: Float named "acos" as "AcosBackward" {
        cpu = Math::acos(x);
        wgsl = "acos_(a)";
        grad x = |g, x| -(g * rsqrt(&rest_of_circle(x)?)?), "g * -1 / sqrt(1 - x^2)";
        try [(sample_in(-0.9, 0.9, &[5]))];
    }
    /// The angle whose tangent is x, from -pi/2 to pi/2.
    method function in_place out: atan(x) -> y: Float named "atan" as "AtanBackward" {
        cpu = Math::atan(x);
        wgsl = "atan_(a)";
        grad x = |g, x| div(g, &add_number(&(x * x), Scalar::Int(1))?)?, "g / (1 + x^2)";
        try [(sample(&[5]))];
    }
    /// The angle of the point (other, x), from -pi to pi.
    method function in_place out broadcasts: atan2(x, other) -> y: Float named "atan2" as "Atan2Backward" {
        cpu = Math::atan2(x, other);
        wgsl = "atan2_(a, b)";
        grad x = |g, x, other| g * div(other, &(x * x + other * other))?, "g * other / (x^2 + other^2)";
        grad other = |g, x, other| -(g * div(x, &(x * x + other * other))?), "g * -x / (x^2 + other^2)";
        try [(sample(&[2, 3]), sample_in(-1.7, 1.9, &[2, 3]))];
    }
    /// Hyperbolic sine.
    method function in_place out: sinh(x) -> y: Float named "sinh" as "SinhBackward" {
        cpu = Math::sinh(x);
        wgsl = "sinh_(a)";
        grad x = |g, x| g * cosh(x)?;
        try [(sample(&[5]))];
    }
    /// Hyperbolic cosine.
    method function in_place out: cosh(x) -> y: Float named "cosh" as "CoshBackward" {
        cpu = Math::cosh(x);
        wgsl = "cosh_(a)";
        grad x = |g, x| g * sinh(x)?;
        try [(sample(&[5]))];
    }
}

/// 1 - x x.
fn rest_of_circle(x: &Var) -> Result<Var> {
    add_number(&neg(&(x * x))?, Scalar::Int(1))
}
