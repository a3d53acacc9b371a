//! Functions of one number, written without branches so that a loop over them becomes SIMD.
//!
//! Call loops through [`wide`], which compiles them for the best instructions at hand. There is
//! no fused multiply-add: every machine gives the same bits. Measured errors are in the tests:
//! at most 4 units in the last place, over all floats for `f32`.

mod arc;
mod double;
mod erf;
mod power;
mod single;
mod turn;

use crate::tensor::Element;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A float type with its functions. Call them as `math::exp(x)`: `x.exp()` would be std's.
pub trait Math:
    Element
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// See [`exp`].
    fn exp(self) -> Self;
    /// See [`exp_below`].
    fn exp_below(self) -> Self;
    /// See [`expm1`].
    fn expm1(self) -> Self;
    /// See [`ln`].
    fn ln(self) -> Self;
    /// See [`log1p`].
    fn log1p(self) -> Self;
    /// See [`tanh`].
    fn tanh(self) -> Self;
    /// See [`sigmoid`].
    fn sigmoid(self) -> Self;
    /// See [`softplus`].
    fn softplus(self) -> Self;
    /// See [`sin`].
    fn sin(self) -> Self;
    /// See [`cos`].
    fn cos(self) -> Self;
    /// See [`tan`].
    fn tan(self) -> Self;
    /// See [`asin`].
    fn asin(self) -> Self;
    /// See [`acos`].
    fn acos(self) -> Self;
    /// See [`atan`].
    fn atan(self) -> Self;
    /// See [`sinh`].
    fn sinh(self) -> Self;
    /// See [`cosh`].
    fn cosh(self) -> Self;
    /// See [`erf`].
    fn erf(self) -> Self;
    /// See [`lgamma`].
    fn lgamma(self) -> Self;
    /// See [`pow`].
    fn pow(self, y: Self) -> Self;
    /// The angle of the point (`x`, `self`), from -pi to pi, with the special cases of C.
    fn atan2(self, x: Self) -> Self;
    /// See [`erfinv`].
    fn erfinv(self) -> Self;
    /// Whether [`sin`], [`cos`] and [`tan`] are wrong for this angle, being too far from 0, so that
    /// the functions named `far` are called for.
    fn is_far(self) -> bool;
    /// The sine of any angle, slowly.
    fn far_sin(self) -> Self;
    /// The cosine of any angle, slowly.
    fn far_cos(self) -> Self;
    /// The tangent of any angle, slowly.
    fn far_tan(self) -> Self;
    /// Whether [`pow`] is wrong for this pair, so that `hard_pow` is called for.
    fn is_hard_pow(self, y: Self) -> bool;
    /// [`pow`] of any pair, slowly.
    fn hard_pow(self, y: Self) -> Self;
    /// See [`sqrt`].
    fn sqrt(self) -> Self;
    /// See [`rsqrt`].
    fn rsqrt(self) -> Self;
    /// See [`recip`].
    fn recip(self) -> Self;
    /// See [`abs`].
    fn abs(self) -> Self;
    /// See [`floor`].
    fn floor(self) -> Self;
    /// See [`ceil`].
    fn ceil(self) -> Self;
    /// See [`trunc`].
    fn trunc(self) -> Self;
    /// See [`round`].
    fn round(self) -> Self;
}

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident($x:ident $(, $y:ident)?);)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<T: Math>($x: T $(, $y: T)?) -> T { Math::$name($x $(, $y)?) }
    )*};
}

functions! {
    /// e to the power of `x`.
    exp(x);
    /// The same bits as [`exp`] for `x` up to 0 (and NaN), a little faster.
    exp_below(x);
    /// `exp(x) - 1`, exact to the last places near 0.
    expm1(x);
    /// The natural logarithm.
    ln(x);
    /// `ln(1 + x)`, exact to the last places near 0.
    log1p(x);
    /// The hyperbolic tangent.
    tanh(x);
    /// `1 / (1 + exp(-x))`.
    sigmoid(x);
    /// `ln(1 + exp(x))`, without overflow.
    softplus(x);
    /// The sine of an angle that is not far.
    sin(x);
    /// The cosine of an angle that is not far.
    cos(x);
    /// The tangent of an angle that is not far.
    tan(x);
    /// The angle whose sine is `x`.
    asin(x);
    /// The angle whose cosine is `x`.
    acos(x);
    /// The angle whose tangent is `x`.
    atan(x);
    /// The hyperbolic sine.
    sinh(x);
    /// The hyperbolic cosine.
    cosh(x);
    /// The error function.
    erf(x);
    /// The number whose error function is `x`.
    erfinv(x);
    /// The logarithm of the absolute gamma function.
    lgamma(x);
    /// `x` to the power of `y`, with the special cases of C.
    pow(x, y);
    /// The square root.
    sqrt(x);
    /// One over the square root.
    rsqrt(x);
    /// One over `x`.
    recip(x);
    /// The absolute value.
    abs(x);
    /// The next whole number below.
    floor(x);
    /// The next whole number above.
    ceil(x);
    /// The whole number next to it toward 0.
    trunc(x);
    /// The nearest whole number, halves away from 0.
    round(x);
}

/// Formulas that are the same for both types.
macro_rules! composed {
    ($t:ident, $one_is_all_from:expr) => {
        #[inline(always)]
        fn tanh(self) -> $t {
            // The clamp keeps NaN: a comparison with it is false.
            let a = self.abs();
            let a = if a > $one_is_all_from {
                $one_is_all_from
            } else {
                a
            };
            let q = Math::expm1(a + a);
            (q / (q + 2.0)).copysign(self)
        }

        #[inline(always)]
        fn sigmoid(self) -> $t {
            let e = Math::exp_below(-self.abs());
            let top = if self < 0.0 { e } else { 1.0 };
            top / (1.0 + e)
        }

        #[inline(always)]
        fn softplus(self) -> $t {
            let above = if self > 0.0 { self } else { 0.0 };
            above + Math::log1p(Math::exp_below(-self.abs()))
        }

        #[inline(always)]
        fn log1p(self) -> $t {
            let u = 1.0 + self;
            // What rounding took from `u`, as the first term of the series of ln at `u`.
            let rest = (self - (u - 1.0)) / u;
            let rest = if (u > 0.0) & (u < $t::INFINITY) {
                rest
            } else {
                0.0
            };
            let y = Math::ln(u) + rest;
            if self == 0.0 { self } else { y }
        }

        #[inline(always)]
        fn sqrt(self) -> $t {
            $t::sqrt(self)
        }

        #[inline(always)]
        fn rsqrt(self) -> $t {
            1.0 / $t::sqrt(self)
        }

        #[inline(always)]
        fn recip(self) -> $t {
            1.0 / self
        }

        #[inline(always)]
        fn abs(self) -> $t {
            $t::abs(self)
        }

        #[inline(always)]
        fn floor(self) -> $t {
            $t::floor(self)
        }

        #[inline(always)]
        fn ceil(self) -> $t {
            $t::ceil(self)
        }

        #[inline(always)]
        fn trunc(self) -> $t {
            $t::trunc(self)
        }

        #[inline(always)]
        fn round(self) -> $t {
            let whole = $t::trunc(self);
            let up: $t = if (self - whole).abs() >= 0.5 {
                1.0
            } else {
                0.0
            };
            whole + up.copysign(self)
        }
    };
}
use composed;

/// `x` within `low` and `high`; NaN stays.
#[inline(always)]
fn clamp<T: PartialOrd>(x: T, low: T, high: T) -> T {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// A polynomial, lowest coefficient first: Horner's scheme in pairs. It has as many operations as
/// the plain one and half as long a chain of them, which is what these loops wait for.
macro_rules! poly {
    ($x:expr, $($c:expr),+) => {{
        let x = $x;
        let z = x * x;
        poly!(@ x, z; $($c),+)
    }};
    (@ $x:ident, $z:ident; $c:expr) => { $c };
    (@ $x:ident, $z:ident; $c:expr, $d:expr) => { $c + $x * $d };
    (@ $x:ident, $z:ident; $c:expr, $d:expr, $($rest:expr),+) => {
        ($c + $x * $d) + $z * poly!(@ $x, $z; $($rest),+)
    };
}
use poly;

/// Runs `body` compiled for the widest vectors of this machine.
///
/// `body` and what it calls must be inlined to profit: write `#[inline(always)]` before `||`, and
/// a plain `for` inside. A body left out of line runs with baseline instructions, ten times slower.
#[inline(always)]
pub fn wide<R>(body: impl FnOnce() -> R) -> R {
    struct Body<F>(F);
    impl<R, F: FnOnce() -> R> pulp::WithSimd for Body<F> {
        type Output = R;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Body(body))
}

#[cfg(test)]
use super::pool;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
