//! Sine, cosine and tangent of `f32`, computed in doubles, right for every float.
//!
//! A float is `m * 2^e` with a whole `m` of 24 bits. Only `2/pi * 2^e` modulo 4 matters for its
//! quadrant, and that is a table of 128 rows, in three parts whose products with `m` are exact.

use super::poly;
use std::f64::consts::FRAC_PI_2;

/// The first 256 bits of 2/pi after the point.
const TWO_OVER_PI: [u64; 4] = [
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
];

/// 1.5 * 2^52: added and taken off again it rounds to a whole number, which sits in the low bits.
const ROUND: f64 = 6755399441055744.0;

/// `count` bits of 2/pi from `first` on, the first one with weight `2^weight`.
const fn window(first: i32, count: i32, weight: i32) -> f64 {
    let mut sum = 0.0;
    let mut i = 0;
    while i < count {
        // Bit 1 is the first one after the point.
        let at = first + i - 1;
        if at >= 0 && (TWO_OVER_PI[(at / 64) as usize] >> (63 - at % 64)) & 1 == 1 {
            sum += f64::from_bits(((1023 + weight - i) as u64) << 52);
        }
        i += 1;
    }
    sum
}

/// `2/pi * 2^e` modulo 4 for `e` from -23 to 104: 29 bits, the next 29, and 53 more.
const fn parts(which: usize) -> [f64; 128] {
    let mut table = [0.0; 128];
    let mut i = 0;
    while i < 128 {
        let e = i as i32 - 23;
        table[i] = match which {
            0 => window(e - 1, 29, 1),
            1 => window(e + 28, 29, -28),
            _ => window(e + 57, 53, -57),
        };
        i += 1;
    }
    table
}

static HIGH: [f64; 128] = parts(0);
static MIDDLE: [f64; 128] = parts(1);
static LOW: [f64; 128] = parts(2);

/// The quadrant of `|x|`, and the angle from its middle, at most 1.
#[inline(always)]
fn reduce(x: f32) -> (u32, f64) {
    let bits = x.to_bits() & 0x7fff_ffff;
    let m = f64::from(((bits & 0x7f_ffff) | 0x80_0000) as i32);
    let row = ((bits >> 23).wrapping_sub(127) & 127) as usize;
    let t = m * HIGH[row];
    let rounded = t + ROUND;
    let turn = ((t - (rounded - ROUND)) + m * MIDDLE[row]) + m * LOW[row];
    let small = bits < 0x3f80_0000;
    let quadrant = if small { 0 } else { rounded.to_bits() as u32 };
    let angle = if small {
        f64::from(f32::from_bits(bits))
    } else {
        turn * FRAC_PI_2
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
