//! Elements of 16 bits: IEEE binary16, which is stored and converted but not computed with (T-9).
//!
//! Conversions round once, to nearest and ties to even, from whatever type they start.

use super::dtype::{DType, Element};
use std::cmp::Ordering;

/// A number of 16 bits: a sign, 5 bits of exponent, 10 of fraction.
#[derive(Debug, Clone, Copy, Default)]
#[repr(transparent)]
pub struct Half(u16);

/// The bits of the least double that is a normal half: 2^-14.
const NORMAL: u64 = (1023 - 14) << 52;
/// Bits of a double's fraction that a half has no room for.
const CUT: u32 = 52 - 10;

impl Half {
    /// With these bits.
    pub const fn from_bits(bits: u16) -> Half {
        Half(bits)
    }

    /// The bits.
    pub const fn to_bits(self) -> u16 {
        self.0
    }
}

/// The nearest half; beyond 65520 that is infinity.
#[inline]
fn round(v: f64) -> u16 {
    let sign = (v.to_bits() >> 48) as u16 & 0x8000;
    let size = v.abs();
    let bits = size.to_bits();
    sign | if size.is_nan() {
        0x7e00 | (bits >> CUT) as u16 & 0x1ff
    } else if size >= 65520.0 {
        0x7c00
    } else if bits < NORMAL {
        // In units of 2^-24, the least half; adding 2^52 leaves a whole number, rounded.
        let units = size * 16_777_216.0 + 4_503_599_627_370_496.0;
        units.to_bits() as u16
    } else {
        let rebased = bits - ((1023 - 15) << 52);
        let even = rebased >> CUT & 1;
        ((rebased + (1 << (CUT - 1)) - 1 + even) >> CUT) as u16
    }
}

#[inline]
fn widen(bits: u16) -> f64 {
    let (exponent, fraction) = (u64::from(bits >> 10 & 0x1f), u64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction as f64 / 16_777_216.0,
        31 => f64::from_bits(0x7ff << 52 | fraction << CUT),
        _ => f64::from_bits((exponent + 1023 - 15) << 52 | fraction << CUT),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

impl PartialEq for Half {
    fn eq(&self, other: &Half) -> bool {
        self.to_f64() == other.to_f64()
    }
}

impl PartialOrd for Half {
    fn partial_cmp(&self, other: &Half) -> Option<Ordering> {
        self.to_f64().partial_cmp(&other.to_f64())
    }
}

impl Element for Half {
    const DTYPE: DType = DType::F16;
    const ONE: Self = Half(0x3c00);
    #[inline(always)]
    fn from_f64(v: f64) -> Self {
        Half(round(v))
    }
    #[inline(always)]
    fn from_i64(v: i64) -> Self {
        // Longs that a double cannot hold are infinite as halves anyway.
        Half(round(v as f64))
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        widen(self.0)
    }
    #[inline(always)]
    fn to_i64(self) -> i64 {
        widen(self.0) as i64
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self::from_f64(self.to_f64() + other.to_f64())
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        Self::from_f64(self.to_f64() - other.to_f64())
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        Self::from_f64(self.to_f64() * other.to_f64())
    }
    #[inline(always)]
    fn over(self, other: Self) -> Self {
        Self::from_f64(self.to_f64() / other.to_f64())
    }
    #[inline(always)]
    fn modulo(self, other: Self) -> Self {
        Self::from_f64(self.to_f64().modulo(other.to_f64()))
    }
    #[inline(always)]
    fn rest(self, other: Self) -> Self {
        Self::from_f64(self.to_f64().rest(other.to_f64()))
    }
    #[inline(always)]
    fn magnitude(self) -> Self {
        Half(self.0 & 0x7fff)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        self.0 & 0x7fff > 0x7c00
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By definition: the nearest of all halves, the even one of two that are equally near.
    fn nearest(v: f64, all: &[(f64, u16)]) -> u16 {
        let at = all.partition_point(|(x, _)| *x < v);
        let (low, high) = (all[at - 1], all[at]);
        match (v - low.0).partial_cmp(&(high.0 - v)).unwrap() {
            Ordering::Less => low.1,
            Ordering::Greater => high.1,
            Ordering::Equal if low.1 & 1 == 0 => low.1,
            Ordering::Equal => high.1,
        }
    }

    #[test]
    fn every_half_survives_the_way_to_double_and_back() {
        for bits in 0..=u16::MAX {
            let back = Half::from_f64(Half(bits).to_f64());
            if Half(bits).is_nan() {
                assert!(back.is_nan() && Half(bits).to_f64().is_nan());
            } else {
                assert_eq!(back.0, bits);
            }
        }
    }

    #[test]
    fn conversion_gives_the_nearest_and_the_even_of_two() {
        let all: Vec<(f64, u16)> = (0..0x7c00).map(|b| (Half(b).to_f64(), b)).collect();
        for pair in all.windows(2) {
            let middle = (pair[0].0 + pair[1].0) / 2.0;
            for v in [middle, middle.next_down(), middle.next_up()] {
                assert_eq!(Half::from_f64(v).0, nearest(v, &all), "{v}");
                assert_eq!(Half::from_f64(-v).0, 0x8000 | nearest(v, &all), "-{v}");
            }
        }
    }

    #[test]
    fn what_is_too_large_is_infinite() {
        assert_eq!(Half::from_f64(65504.0).0, 0x7bff);
        assert_eq!(Half::from_f64(65520f64.next_down()).0, 0x7bff);
        for v in [65520.0, 1e300, f64::INFINITY] {
            assert_eq!(Half::from_f64(v).0, 0x7c00);
        }
        assert_eq!(Half::from_i64(i64::MIN).0, 0xfc00);
        assert_eq!(Half::from_f64(2f64.powi(-25)).0, 0);
        assert_eq!(Half::from_f64(2f64.powi(-25).next_up()).0, 1);
    }
}
