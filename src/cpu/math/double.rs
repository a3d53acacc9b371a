//! The functions for `f64`: the common ones as SIMD, the rare ones from `libm`.

use super::{Math, composed, poly};
use std::f64::consts::LOG2_E;

/// 1.5 * 2^52: added and taken off again it rounds to a whole number, which sits in the low bits.
const ROUND: f64 = 6755399441055744.0;
/// 2^52, whose low bits hold a whole number up to there.
const WHOLE: f64 = 4503599627370496.0;
/// ln 2 in two parts; the first has 41 bits, so that its product with an exponent is exact.
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fefa_3800);
const LN2_LOW: f64 = 5.497_923_018_708_371e-14;

/// `x = n ln 2 + r` with `|r|` at most half of ln 2, and `(exp(r) - 1 - r) / r^2`.
#[inline(always)]
fn reduce(x: f64) -> (i64, f64, f64) {
    let t = x * LOG2_E + ROUND;
    let n = t - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let p = poly!(
        r,
        0.5,
        0.166_666_666_666_666_7,
        0.041_666_666_666_669_814,
        0.008_333_333_333_326_025,
        0.001_388_888_888_888_367,
        0.000_198_412_698_752_050_77,
        2.480_158_732_582_228e-5,
        2.755_725_491_348_67e-6,
        2.755_727_329_553_972_4e-7,
        2.510_541_919_201_633_6e-8,
        2.091_483_135_138_041e-9
    );
    (
        (t.to_bits() as i64).wrapping_sub(ROUND.to_bits() as i64),
        r,
        p,
    )
}

/// 2^n for n from -1022 to 1023.
#[inline(always)]
fn power_of_two(n: i64) -> f64 {
    f64::from_bits((n.wrapping_add(1023) << 52) as u64)
}

/// `x` within `low` and `high`; NaN stays.
#[inline(always)]
fn clamp(x: f64, low: f64, high: f64) -> f64 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

impl Math for f64 {
    composed!(f64, 22.0);

    #[inline(always)]
    fn exp(self) -> f64 {
        let (n, r, p) = reduce(clamp(self, -746.0, 710.0));
        let y = 1.0 + (r + r * r * p);
        // Two steps reach denormals and infinity with one rounding. The shift is one of unsigned
        // numbers: AVX2 has no other of 64 bits.
        let half = ((n.wrapping_add(4096) as u64) >> 1) as i64 - 2048;
        y * power_of_two(half) * power_of_two(n.wrapping_sub(half))
    }

    #[inline(always)]
    fn expm1(self) -> f64 {
        let (n, r, p) = reduce(clamp(self, -60.0, 710.0));
        let q = r + r * r * p;
        // Half of 2^n, because 2^1024 is no double.
        let s = power_of_two(n.wrapping_sub(1));
        let y = 2.0 * (s * q + (s - 0.5));
        if self.abs() < 1e-17 { self } else { y }
    }

    #[inline(always)]
    fn ln(self) -> f64 {
        let tiny = self < f64::MIN_POSITIVE;
        let x = if tiny { self * WHOLE } else { self };
        // The mantissa from sqrt(1/2) up to sqrt(2), and the exponent that goes with it, 1024 too
        // high so that no sign is lost.
        let bits = x.to_bits();
        let k = bits
            .wrapping_sub(0x3fe6_a09e_667f_3bcd)
            .wrapping_add(1024 << 52)
            >> 52;
        let m = f64::from_bits(bits.wrapping_sub(k.wrapping_sub(1024) << 52));
        let k = f64::from_bits(k | WHOLE.to_bits()) - (WHOLE + 1024.0);
        let k = k - if tiny { 52.0 } else { 0.0 };
        let f = m - 1.0;
        let s = f / (2.0 + f);
        let z = s * s;
        let half = 0.5 * f * f;
        let p = z * poly!(
            z,
            0.666_666_666_666_666_6,
            0.400_000_000_000_008_8,
            0.285_714_285_708_032_3,
            0.222_222_223_918_004_7,
            0.181_817_956_308_847_53,
            0.153_862_402_058_134_8,
            0.132_687_596_685_606_86,
            0.130_867_670_099_481_74
        );
        let y = k * LN2_HIGH + (f - (half - (s * (half + p) + k * LN2_LOW)));
        let y = if self == f64::INFINITY { self } else { y };
        let y = if self == 0.0 { f64::NEG_INFINITY } else { y };
        // Below zero, and NaN itself.
        if self >= 0.0 { y } else { f64::NAN }
    }

    #[inline]
    fn sin(self) -> f64 {
        libm::sin(self)
    }

    #[inline]
    fn cos(self) -> f64 {
        libm::cos(self)
    }

    #[inline]
    fn tan(self) -> f64 {
        libm::tan(self)
    }

    #[inline]
    fn asin(self) -> f64 {
        libm::asin(self)
    }

    #[inline]
    fn acos(self) -> f64 {
        libm::acos(self)
    }

    #[inline]
    fn atan(self) -> f64 {
        libm::atan(self)
    }

    #[inline]
    fn sinh(self) -> f64 {
        libm::sinh(self)
    }

    #[inline]
    fn cosh(self) -> f64 {
        libm::cosh(self)
    }

    #[inline]
    fn erf(self) -> f64 {
        libm::erf(self)
    }

    #[inline]
    fn lgamma(self) -> f64 {
        libm::lgamma(self)
    }

    #[inline]
    fn pow(self, y: f64) -> f64 {
        libm::pow(self, y)
    }
}
