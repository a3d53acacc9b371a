//! The functions for `f32`. Coefficients are our own minimax fits; errors are stated per function.

use super::arc::{arc, arcs};
use super::{Math, clamp, composed, poly, power, turn};
use std::f32::consts::LOG2_E;

/// 1.5 * 2^23: added and taken off again it rounds to a whole number, which sits in the low bits.
const ROUND: f32 = 12582912.0;
/// ln 2 in two parts; the first has 15 bits, so that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;

/// `x = n ln 2 + r` with `|r|` at most half of ln 2, and `(exp(r) - 1 - r) / r^2`.
#[inline(always)]
fn reduce(x: f32) -> (i32, f32, f32) {
    let t = x * LOG2_E + ROUND;
    let n = t - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let p = poly!(
        r,
        0.5,
        0.166_665_76,
        0.041_666_554,
        0.008_363_293,
        0.001_392_632_6
    );
    (
        (t.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32),
        r,
        p,
    )
}

/// 2^n for n from -126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

const QUARTER_PI: f32 = std::f32::consts::FRAC_PI_4;
/// Pi in two parts.
const PI_HIGH: f32 = std::f32::consts::PI;
const PI_LOW: f32 = -8.742_278e-8;

/// For `z` up to 1/4.
#[inline(always)]
fn asin_tail(z: f32) -> f32 {
    poly!(
        z,
        0.166_666_66,
        0.075_000_94,
        0.044_599_403,
        0.031_100_662,
        0.017_149_238,
        0.033_690_847
    )
}

/// For `z` up to the square of the tangent of pi/8.
#[inline(always)]
fn atan_tail(z: f32) -> f32 {
    poly!(
        z,
        -0.333_333_3,
        0.199_995_4,
        -0.142_639_56,
        0.107_437_31,
        -0.064_519_28
    )
}

/// For `z` up to 1.
#[inline(always)]
fn sinh_tail(z: f32) -> f32 {
    poly!(
        z,
        0.166_666_67,
        0.008_333_339,
        0.000_198_381_02,
        2.806_280_2e-6
    )
}

/// Half of e to the power of `x`, for `x` from 0 on.
#[inline(always)]
fn half_exp(x: f32) -> f32 {
    let (n, r, p) = reduce(clamp(x, 0.0, 91.0));
    let half = n >> 1;
    (1.0 + (r + r * r * p))
        * power_of_two(half)
        * power_of_two(n.wrapping_sub(half).wrapping_sub(1))
}

arc!(f32);

impl Math for f32 {
    composed!(f32, 10.0);
    arcs!(f32);

    #[inline(always)]
    fn exp(self) -> f32 {
        let (n, r, p) = reduce(clamp(self, -104.0, 89.0));
        let y = 1.0 + (r + r * r * p);
        // Two steps reach denormals and infinity with one rounding.
        let half = n >> 1;
        y * power_of_two(half) * power_of_two(n.wrapping_sub(half))
    }

    #[inline(always)]
    fn exp_below(self) -> f32 {
        let x = if self < -104.0 { -104.0 } else { self };
        let (n, r, p) = reduce(x);
        let y = 1.0 + (r + r * r * p);
        // From -150 up: a fixed second step leaves the first one an exponent that is there.
        y * power_of_two(n.wrapping_add(64)) * power_of_two(-64)
    }

    #[inline(always)]
    fn expm1(self) -> f32 {
        let (n, r, p) = reduce(clamp(self, -30.0, 89.0));
        let q = r + r * r * p;
        // Half of 2^n, because 2^128 is no float.
        let s = power_of_two(n.wrapping_sub(1));
        let y = 2.0 * (s * q + (s - 0.5));
        if self.abs() < 1e-8 { self } else { y }
    }

    #[inline(always)]
    fn ln(self) -> f32 {
        let tiny = self < f32::MIN_POSITIVE;
        let x = if tiny { self * 8388608.0 } else { self };
        // The mantissa from sqrt(1/2) up to sqrt(2), and the exponent that goes with it.
        let bits = x.to_bits() as i32;
        let k = bits.wrapping_sub(0x3f35_04f3) >> 23;
        let f = f32::from_bits(bits.wrapping_sub(k << 23) as u32) - 1.0;
        let k = k as f32 - if tiny { 23.0 } else { 0.0 };
        let p = poly!(
            f,
            0.333_333_3,
            -0.249_999_97,
            0.200_007_16,
            -0.166_678_02,
            0.142_490_57,
            -0.124_256_86,
            0.116_854_24,
            -0.114_797_49,
            0.069_716_21
        );
        let z = f * f;
        let y = k * LN2_HIGH + (f + ((k * LN2_LOW - 0.5 * z) + f * z * p));
        let y = if self == f32::INFINITY { self } else { y };
        let y = if self == 0.0 { f32::NEG_INFINITY } else { y };
        // Below zero, and NaN itself.
        if self >= 0.0 { y } else { f32::NAN }
    }

    #[inline(always)]
    fn sin(self) -> f32 {
        turn::sin(self)
    }

    #[inline(always)]
    fn cos(self) -> f32 {
        turn::cos(self)
    }

    #[inline(always)]
    fn tan(self) -> f32 {
        turn::tan(self)
    }

    #[inline(always)]
    fn erf(self) -> f32 {
        let a = clamp(self.abs(), 0.0, 4.0);
        let z = self * self;
        let near = self
            * poly!(
                z,
                std::f32::consts::FRAC_2_SQRT_PI,
                -0.376_126_32,
                0.112_836_69,
                -0.026_857_96,
                0.005_197_487_2,
                -0.000_810_291_56,
                0.000_082_041_7
            );
        // The logarithm of 1 - erf, which is less than a fifth from here on.
        let tail = poly!(
            a,
            0.000_318_539_66,
            -1.130_231_1,
            -0.631_823_9,
            -0.110_087_17,
            0.026_427_638,
            -0.004_762_626,
            0.000_597_585_77,
            -0.000_046_163_86,
            1.643_063_7e-6
        );
        let far = (1.0 - Math::exp_below(tail)).copysign(self);
        if a < 0.92 { near } else { far }
    }

    #[inline(always)]
    fn pow(self, y: f32) -> f32 {
        power::single(self, y)
    }

    #[inline]
    fn lgamma(self) -> f32 {
        libm::lgamma(f64::from(self)) as f32
    }

    #[inline(always)]
    fn is_hard_pow(self, _: f32) -> bool {
        false
    }

    #[inline]
    fn hard_pow(self, y: f32) -> f32 {
        Math::pow(self, y)
    }

    #[inline(always)]
    fn is_far(self) -> bool {
        turn::is_far(self)
    }

    #[inline]
    fn far_sin(self) -> f32 {
        turn::far_sin(self)
    }

    #[inline]
    fn far_cos(self) -> f32 {
        turn::far_cos(self)
    }

    #[inline]
    fn far_tan(self) -> f32 {
        turn::far_tan(self)
    }

    #[inline(always)]
    fn erfinv(self) -> f32 {
        Math::erfinv(f64::from(self)) as f32
    }
}
