//! Powers, with the special cases of C. The logarithm to base 2 of the size is taken in more places
//! than the result has, for the exponent multiplies its error.

use super::{clamp, poly};

/// 1.5 * 2^52: added and taken off again it rounds to a whole number, which sits in the low bits.
const ROUND: f64 = 6755399441055744.0;

/// What C says about the sign, ones and NaN, given the power of the size.
macro_rules! with_sign {
    ($t:ident, $x:ident, $y:ident, $power:ident) => {{
        let whole = $y == $y.trunc();
        let half = $y * 0.5;
        let odd = whole & (half != half.trunc());
        let power = if odd { $power.copysign($x) } else { $power };
        let none = ($x < 0.0) & ($x > $t::NEG_INFINITY) & !whole;
        let power = if none { $t::NAN } else { power };
        let one = ($x == 1.0) | ($y == 0.0) | (($x == -1.0) & ($y.abs() == $t::INFINITY));
        if one { 1.0 } else { power }
    }};
}

/// The logarithm to base 2 of the size of `x`, to 2^-37.
#[inline(always)]
pub fn log_single(x: f32) -> f64 {
    let size = x.abs();
    let tiny = size < f32::MIN_POSITIVE;
    let scaled = if tiny { size * 8388608.0 } else { size };
    // The mantissa from sqrt(1/2) up to sqrt(2), and the exponent that goes with it.
    let bits = scaled.to_bits() as i32;
    let k = bits.wrapping_sub(0x3f35_04f3) >> 23;
    let f = f32::from_bits(bits.wrapping_sub(k << 23) as u32) - 1.0;
    let k = k as f32 - if tiny { 23.0 } else { 0.0 };
    let k = if size == 0.0 { f32::NEG_INFINITY } else { k };
    let k = if size < f32::INFINITY { k } else { size };
    // f / (2 + f): a quotient of floats is quick, and what it leaves is exact in double.
    let inverse = 1.0 / (2.0 + f);
    let about = f64::from(f * inverse);
    let f = f64::from(f);
    let s = about + (f - about * (2.0 + f)) * f64::from(inverse);
    let p = poly!(
        s * s,
        2.885_390_081_790_086_4,
        0.961_796_673_341_797_5,
        0.577_083_584_965_170_3,
        0.411_672_718_997_776_7,
        0.340_730_106_585_343_36
    );
    f64::from(k) + s * p
}

/// The power whose logarithm to base 2 is `t`, to 0.53 units in the last place.
#[inline(always)]
pub fn exp_single(t: f64) -> f32 {
    // Beyond, there is nothing but 0 and infinity.
    let t = clamp(t, -200.0, 200.0);
    let turns = t + ROUND;
    let r = t - (turns - ROUND);
    let p = poly!(
        r,
        1.000_000_000_555_138_6,
        0.693_147_205_766_078,
        0.240_226_468_852_386_66,
        0.055_503_287_132_261_14,
        0.009_618_489_334_520_07,
        0.001_339_995_726_812_520_4,
        0.000_153_457_660_795_503_6
    );
    let scale = f64::from_bits((turns.to_bits() << 52).wrapping_add(1023 << 52));
    (p * scale) as f32
}

/// [`exp_single`] of what `y` makes of a logarithm, with the signs and exceptions of C.
#[inline(always)]
pub fn from_log_single(log: f64, x: f32, y: f32) -> f32 {
    let power = exp_single(log * f64::from(y));
    with_sign!(f32, x, y, power)
}

/// `x` to the power of `y`, to 0.54 units in the last place.
#[inline(always)]
pub fn single(x: f32, y: f32) -> f32 {
    from_log_single(log_single(x), x, y)
}
