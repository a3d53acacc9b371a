//! Sine, cosine and tangent of `f32`, right for every float.
//!
//! A float is a whole number of 24 bits times a power of two. Of its product with 2/pi only the
//! part modulo 4 matters, for which 96 bits of 2/pi, shifted by the exponent, are enough. They are
//! chosen by comparisons: a table would keep AVX2 from vectorising the loop.

use super::poly;
use std::f64::consts::FRAC_PI_2;

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
pub fn sin(x: f32) -> f32 {
    let (quadrant, r) = reduce(x);
    let y = along(quadrant, r) as f32;
    let y = if x.is_sign_negative() { -y } else { y };
    if x == 0.0 { x } else { y }
}

#[inline(always)]
pub fn cos(x: f32) -> f32 {
    let (quadrant, r) = reduce(x);
    along(quadrant.wrapping_add(1), r) as f32
}

#[inline(always)]
pub fn tan(x: f32) -> f32 {
    let (quadrant, r) = reduce(x);
    let (s, c) = (sine(r), cosine(r));
    let y = if quadrant & 1 == 0 { s / c } else { -c / s } as f32;
    let y = if x.is_sign_negative() { -y } else { y };
    if x == 0.0 { x } else { y }
}
