//! Whole numbers near an element. Steps: recorded, with zero gradients, but for `frac`.

use super::Op;
use super::pointwise::no_gradient;

pointwise! {
    /// The next whole number above.
    method function in_place out: ceil(x) -> y: Float named "ceil" as "CeilBackward" {
        cpu = Math::ceil(x);
        wgsl = "ceil(a)";
        grad x = |g| no_gradient(g)?, "0";
        try [(sample(&[5]))];
    }
    /// The next whole number below.
    method function in_place out: floor(x) -> y: Float named "floor" as "FloorBackward" {
        cpu = Math::floor(x);
        wgsl = "floor(a)";
        grad x = |g| no_gradient(g)?, "0";
        try [(sample(&[5]))];
    }
    /// The nearest whole number; halves go away from zero.
    method function in_place out: round(x) -> y: Float named "round" as "RoundBackward" {
        cpu = Math::round(x);
        wgsl = "round_(a)";
        grad x = |g| no_gradient(g)?, "0";
        try [(sample(&[5]))];
    }
    /// The whole number next to x toward zero.
    method function in_place out: trunc(x) -> y: Float named "trunc" as "TruncBackward" {
        cpu = Math::trunc(x);
        wgsl = "trunc(a)";
        grad x = |g| no_gradient(g)?, "0";
        try [(sample(&[5]))];
    }
    /// What trunc takes off: x - trunc(x), with the sign of x.
    method function in_place out: frac(x) -> y: Float named "frac" as "FracBackward" {
        cpu = x - Math::trunc(x);
        wgsl = "a - trunc(a)";
        grad x = |g| g.clone();
        try [(sample(&[5]))];
    }
}
