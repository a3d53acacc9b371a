//! Functions of statistics that have no formula in WGSL: on the GPU the host computes them.

use super::Op;
use super::arith::div;
use super::pointwise::bell;
use crate::cpu::map::map1;
use crate::dispatch;

ops! {
    /// The number whose erf is x; NaN outside [-1, 1].
    host direct method function in_place out: fn erfinv(x) -> (y): Float named "erfinv" as "ErfinvBackward" {
        forward(out) = {
            let y = out.make("erfinv", x.kind(), x.sizes())?;
            dispatch!(float x.dtype(), "erfinv", T => map1::<T, T>(x, &y, Math::erfinv));
            y
        };
        grad x = |g, x| div(&(g * (1.0 / std::f64::consts::FRAC_2_SQRT_PI)), &bell(&erfinv(x)?)?)?, "g * sqrt(pi) / 2 * exp(y^2)";
        try [(sample_in(-0.9, 0.9, &[5]))];
    }
    /// Logarithm of the absolute value of the gamma function.
    ///
    /// There is no derivative: backward raises RuntimeError.
    host direct method function in_place out: fn lgamma(x) -> (y): Float named "lgamma" as "LgammaBackward" {
        forward(out) = {
            let y = out.make("lgamma", x.kind(), x.sizes())?;
            dispatch!(float x.dtype(), "lgamma", T => map1::<T, T>(x, &y, Math::lgamma));
            y
        };
        try [(positive(&[5])), (sample(&[5]))];
    }
}
