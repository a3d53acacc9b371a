//! Sine, cosine and tangent of `f32`, right for every float.
//!
//! Angles below a million are taken apart in double. Beyond: a float is a whole number of 24 bits times a power of two. Of its product with 2/pi only the
//! part modulo 4 matters, for which 96 bits of 2/pi, shifted by the exponent, are enough. They are
//! chosen by comparisons: a table would keep AVX2 from vectorising the loop.

use super::poly;
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// The first 224 bits of 2/pi, behind 32 bits in front of the point.
const TWO_OVER_PI: [u32; 8] = [
    0,
    0xa2f9_836e,
    0x4e44_1529,
    0xfc27_57d1,
    0xf534_ddc0,
    0xdb62_9599,
    0x3c43_9041,
    0xfe51_63ab,
];

/// Word `at + J` of [`TWO_OVER_PI`], for `at` from 0 to 4.
#[inline(always)]
fn word<const J: usize>(at: u32) -> u32 {
    let w = if at >= 1 {
        TWO_OVER_PI[J + 1]
    } else {
        TWO_OVER_PI[J]
    };
    let w = if at >= 2 { TWO_OVER_PI[J + 2] } else { w };
    let w = if at >= 3 { TWO_OVER_PI[J + 3] } else { w };
    if at >= 4 { TWO_OVER_PI[J + 4] } else { w }
}

/// The 32 bits from bit `shift` of `high` on, continued in `low`.
#[inline(always)]
fn joined(high: u32, low: u32, shift: u32) -> u64 {
    (((u64::from(high) << 32) | u64::from(low)) << shift) >> 32
}

/// The quadrant of `|x|`, and the angle from its middle, at most 1.
#[inline(always)]
fn reduce(x: f32) -> (u32, f64) {
    let bits = x.to_bits() & 0x7fff_ffff;
    let m = u64::from((bits & 0x7f_ffff) | 0x80_0000);
    // The first bit of 2/pi whose product with `m` is below 4.
    let first = (bits >> 23).wrapping_sub(127).wrapping_add(7) & 0xff;
    let (at, shift) = (first >> 5, first & 31);
    let (a, b, c, d) = (word::<0>(at), word::<1>(at), word::<2>(at), word::<3>(at));
    // In units of 2^-62, where 2^64 is 4 and drops out by itself.
    let turn = ((m * joined(a, b, shift)) << 32)
        .wrapping_add(m * joined(b, c, shift))
        .wrapping_add((m * joined(c, d, shift)) >> 32);
    let quadrant = turn.wrapping_add(1 << 61) >> 62;
    let rest = turn.wrapping_sub(quadrant << 62);
    // Two conversions of 32 bits: AVX2 has none of 64.
    let high = f64::from((rest >> 32) as u32 as i32);
    let low = f64::from((rest as u32 >> 1) as i32);
    let angle = (high + low * (0.5 / (1u64 << 30) as f64)) * (FRAC_PI_2 / (1u64 << 30) as f64);
    let small = bits < 0x3f80_0000;
    let quadrant = if small { 0 } else { quadrant as u32 };
    let angle = if small {
        f64::from(f32::from_bits(bits))
    } else {
        angle
    };
    // Infinity has no angle.
    (quadrant, if bits >= 0x7f80_0000 { f64::NAN } else { angle })
}

/// Sine within [-1, 1], to 2^-41.
#[inline(always)]
fn sine(r: f64) -> f64 {
    let z = r * r;
    let p = poly!(
        z,
        -0.166_666_666_666_356_73,
        0.008_333_333_317_834_781,
        -0.000_198_412_574_362_115_4,
        2.755_384_195_728_634e-6,
        -2.465_372_362_907_267e-8
    );
    r + r * z * p
}

/// Cosine within [-1, 1], to 2^-47.
#[inline(always)]
fn cosine(r: f64) -> f64 {
    let z = r * r;
    let p = poly!(
        z,
        -0.499_999_999_999_994_46,
        0.041_666_666_666_268_385,
        -0.001_388_888_884_240_878,
        2.480_156_745_775_711_7e-5,
        -2.755_348_765_536_434_5e-7,
        2.053_530_984_616_98e-9
    );
    1.0 + z * p
}

/// The sine of an angle in `quadrant`.
#[inline(always)]
fn along(quadrant: u32, r: f64) -> f64 {
    let y = if quadrant & 1 == 0 {
        sine(r)
    } else {
        cosine(r)
    };
    if quadrant & 2 == 0 { y } else { -y }
}

#[inline(always)]
pub fn far_sin(x: f32) -> f32 {
    let (quadrant, r) = reduce(x);
    let y = along(quadrant, r) as f32;
    let y = if x.is_sign_negative() { -y } else { y };
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub fn far_cos(x: f32) -> f32 {
    let (quadrant, r) = reduce(x);
    along(quadrant.wrapping_add(1), r) as f32
}

#[inline(always)]
pub fn far_tan(x: f32) -> f32 {
    let (quadrant, r) = reduce(x);
    let (s, c) = (sine(r), cosine(r));
    let y = if quadrant & 1 == 0 { s / c } else { -c / s } as f32;
    let y = if x.is_sign_negative() { -y } else { y };
    if x == 0.0 { x } else { y }
}

/// Angles from here on are far.
const FAR: f32 = 1e6;
/// 1.5 * 2^52: added and taken off again it rounds to a whole number, which sits in the low bits.
const ROUND: f64 = 6755399441055744.0;
/// Pi/2 in two parts; the first has 33 bits, so that its product with a quadrant is exact.
const HIGH: f64 = f64::from_bits(0x3ff9_21fb_5440_0000);
const LOW: f64 = 6.077_100_506_506_192e-11;

#[inline(always)]
pub fn is_far(x: f32) -> bool {
    x.abs() >= FAR
}

/// The quadrant of a near angle, and the angle from its middle.
#[inline(always)]
fn near(x: f32) -> (u32, f32) {
    let x = f64::from(x);
    let t = x * FRAC_2_PI + ROUND;
    let n = t - ROUND;
    (t.to_bits() as u32, ((x - n * HIGH) - n * LOW) as f32)
}

/// Sine and cosine within [-pi/4, pi/4], to a unit in the last place.
#[inline(always)]
fn pair(r: f32) -> (f32, f32) {
    let z = r * r;
    let s = poly!(
        z,
        -0.166_666_67,
        0.008_333_332,
        -0.000_198_400_86,
        2.724_986_4e-6
    );
    let c = poly!(z, 0.041_666_664, -0.001_388_830_2, 2.454_789_1e-5);
    (r + r * z * s, 1.0 - (0.5 * z - z * z * c))
}

/// `y` with the sign of the two upper quadrants taken off.
#[inline(always)]
fn signed(y: f32, quadrant: u32) -> f32 {
    f32::from_bits(y.to_bits() ^ (quadrant & 2) << 30)
}

#[inline(always)]
pub fn sin(x: f32) -> f32 {
    let (quadrant, r) = near(x);
    let (s, c) = pair(r);
    let y = signed(if quadrant & 1 == 0 { s } else { c }, quadrant);
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub fn cos(x: f32) -> f32 {
    let (quadrant, r) = near(x);
    let (s, c) = pair(r);
    signed(
        if quadrant & 1 == 0 { c } else { s },
        quadrant.wrapping_add(1),
    )
}

#[inline(always)]
pub fn tan(x: f32) -> f32 {
    let (quadrant, r) = near(x);
    let (s, c) = pair(r);
    let even = quadrant & 1 == 0;
    let (top, bottom) = if even { (s, c) } else { (-c, s) };
    if x == 0.0 { x } else { top / bottom }
}
