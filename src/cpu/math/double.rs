//! The functions for `f64`: the common ones as SIMD, the rare ones from `libm`.

use super::arc::{arc, arcs};
use super::{Math, clamp, composed, erf, poly};
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

const QUARTER_PI: f64 = std::f64::consts::FRAC_PI_4;
/// Pi in two parts.
const PI_HIGH: f64 = std::f64::consts::PI;
const PI_LOW: f64 = 1.224_646_799_147_353_2e-16;

/// For `z` up to 1/4.
#[inline(always)]
fn asin_tail(z: f64) -> f64 {
    poly!(
        z,
        0.166_666_666_666_666_69,
        0.074_999_999_999_984_33,
        0.044_642_857_146_355_43,
        0.030_381_944_138_531_247,
        0.022_372_172_942_149_89,
        0.017_352_392_720_869_973,
        0.013_971_212_973_552_933,
        0.011_479_177_415_184_906,
        0.010_322_814_350_185_78,
        0.005_457_506_718_640_358,
        0.017_400_879_442_694_02,
        -0.014_851_887_071_247_204,
        0.028_757_851_367_421_566
    )
}

/// For `z` up to the square of the tangent of pi/8.
#[inline(always)]
fn atan_tail(z: f64) -> f64 {
    poly!(
        z,
        -0.333_333_333_333_333_3,
        0.199_999_999_999_955_2,
        -0.142_857_142_846_665_42,
        0.111_111_110_152_563_61,
        -0.090_909_045_781_239_03,
        0.076_921_831_908_260_87,
        -0.066_645_114_473_819_48,
        0.058_581_489_128_022_1,
        -0.050_854_497_379_402_6,
        0.039_231_658_295_587_19,
        -0.019_176_887_119_062_26
    )
}

/// For `z` up to 1.
#[inline(always)]
fn sinh_tail(z: f64) -> f64 {
    poly!(
        z,
        0.166_666_666_666_666_66,
        0.008_333_333_333_333_299,
        0.000_198_412_698_413_241_98,
        2.755_731_919_138_181_6e-6,
        2.505_211_769_590_782_3e-8,
        1.605_767_962_380_163_8e-10,
        7.746_178_593_018_827e-13
    )
}

/// Half of e to the power of `x`, for `x` from 0 on.
#[inline(always)]
fn half_exp(x: f64) -> f64 {
    let (n, r, p) = reduce(clamp(x, 0.0, 712.0));
    let half = ((n as u64) >> 1) as i64;
    (1.0 + (r + r * r * p))
        * power_of_two(half)
        * power_of_two(n.wrapping_sub(half).wrapping_sub(1))
}

arc!(f64);

/// Angles from here on are far.
const FAR: f64 = 1e6;
/// Pi/2 in four parts of 33 bits, so that their products with a quadrant are exact.
const HALF_PI: [f64; 4] = [
    f64::from_bits(0x3ff9_21fb_5440_0000),
    f64::from_bits(0x3dd0_b461_1a60_0000),
    f64::from_bits(0x3ba3_198a_2e00_0000),
    8.478_427_660_368_9e-32,
];

/// The quadrant of a near angle, and the sine and cosine of the angle from its middle.
#[inline(always)]
fn turn(x: f64) -> (u64, f64, f64) {
    let t = x * std::f64::consts::FRAC_2_PI + ROUND;
    let n = t - ROUND;
    let r = (((x - n * HALF_PI[0]) - n * HALF_PI[1]) - n * HALF_PI[2]) - n * HALF_PI[3];
    let z = r * r;
    let s = poly!(
        z,
        -0.166_666_666_666_666_66,
        0.008_333_333_333_333_331,
        -0.000_198_412_698_412_650_6,
        2.755_731_921_933_545_3e-6,
        -2.505_210_623_115_790_4e-8,
        1.605_853_141_458_901e-10,
        -7.586_685_070_091_267e-13
    );
    let c = poly!(
        z,
        0.041_666_666_666_666_664,
        -0.001_388_888_888_888_739_5,
        2.480_158_729_876_343_3e-5,
        -2.755_731_727_056_032_6e-7,
        2.087_614_602_468_974_7e-9,
        -1.138_261_486_855_632_5e-11
    );
    (t.to_bits(), r + r * z * s, 1.0 - (0.5 * z - z * z * c))
}

/// `y` with the sign of the two upper quadrants taken off.
#[inline(always)]
fn signed(y: f64, quadrant: u64) -> f64 {
    f64::from_bits(y.to_bits() ^ (quadrant & 2) << 62)
}

impl Math for f64 {
    composed!(f64, 22.0);
    arcs!(f64);

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
    fn exp_below(self) -> f64 {
        let x = if self < -746.0 { -746.0 } else { self };
        let (n, r, p) = reduce(x);
        let y = 1.0 + (r + r * r * p);
        // From -1077 up: a fixed second step leaves the first one an exponent that is there.
        y * power_of_two(n.wrapping_add(512)) * power_of_two(-512)
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
    fn lgamma(self) -> f64 {
        libm::lgamma(self)
    }

    #[inline]
    fn pow(self, y: f64) -> f64 {
        libm::pow(self, y)
    }

    #[inline(always)]
    fn is_hard_pow(self, _: f64) -> bool {
        false
    }

    #[inline]
    fn hard_pow(self, y: f64) -> f64 {
        Math::pow(self, y)
    }

    #[inline(always)]
    fn sin(self) -> f64 {
        let (quadrant, s, c) = turn(self);
        let y = signed(if quadrant & 1 == 0 { s } else { c }, quadrant);
        if self == 0.0 { self } else { y }
    }

    #[inline(always)]
    fn cos(self) -> f64 {
        let (quadrant, s, c) = turn(self);
        signed(
            if quadrant & 1 == 0 { c } else { s },
            quadrant.wrapping_add(1),
        )
    }

    #[inline(always)]
    fn tan(self) -> f64 {
        let (quadrant, s, c) = turn(self);
        let (top, bottom) = if quadrant & 1 == 0 { (s, c) } else { (-c, s) };
        if self == 0.0 { self } else { top / bottom }
    }

    #[inline(always)]
    fn is_far(self) -> bool {
        self.abs() >= FAR
    }

    #[inline]
    fn far_sin(self) -> f64 {
        libm::sin(self)
    }

    #[inline]
    fn far_cos(self) -> f64 {
        libm::cos(self)
    }

    #[inline]
    fn far_tan(self) -> f64 {
        libm::tan(self)
    }

    #[inline(always)]
    fn erf(self) -> f64 {
        erf::erf(self)
    }

    #[inline(always)]
    fn erfinv(self) -> f64 {
        erf::erfinv(self)
    }
}
