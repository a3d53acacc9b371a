//! Operations on the bits of integers. Never recorded: results require no gradient.
//!
//! A shift by less than zero or by the width or more gives what is left after endless single steps:
//! 0, or -1 for negative numbers going right. Shifts of floats multiply by powers of two.

use super::Op;
use crate::cpu::math::Math;
use crate::tensor::{Element, Scalar};

pointwise! {
    /// The bits that are set in x and in the number.
    in_place: and_number(x; value: Scalar) -> y: Whole named "__and__" {
        cpu = x & value;
        wgsl = "a & p0";
        try [(sample_in(-90.0, 90.0, &[7]); 13i64)];
    }
    /// The bits that are set in both.
    in_place broadcasts: and(x, other) -> y: Whole named "__and__" {
        cpu = x & other;
        wgsl = "a & b";
        try [(sample_in(-90.0, 90.0, &[2, 3]), sample_in(-70.0, 80.0, &[2, 3]))];
    }
    /// The bits that are set in x or in the number.
    in_place: or_number(x; value: Scalar) -> y: Whole named "__or__" {
        cpu = x | value;
        wgsl = "a | p0";
        try [(sample_in(-90.0, 90.0, &[7]); 13i64)];
    }
    /// The bits that are set in one or both.
    in_place broadcasts: or(x, other) -> y: Whole named "__or__" {
        cpu = x | other;
        wgsl = "a | b";
        try [(sample_in(-90.0, 90.0, &[2, 3]), sample_in(-70.0, 80.0, &[2, 3]))];
    }
    /// The bits in which x and the number differ.
    in_place: xor_number(x; value: Scalar) -> y: Whole named "__xor__" {
        cpu = x ^ value;
        wgsl = "a ^ p0";
        try [(sample_in(-90.0, 90.0, &[7]); 13i64)];
    }
    /// The bits in which both differ.
    in_place broadcasts: xor(x, other) -> y: Whole named "__xor__" {
        cpu = x ^ other;
        wgsl = "a ^ b";
        try [(sample_in(-90.0, 90.0, &[2, 3]), sample_in(-70.0, 80.0, &[2, 3]))];
    }
    /// x times 2 ^ value.
    in_place: left_number(x; value: Scalar) -> y: Number named "__lshift__" {
        cpu = x.left(value);
        wgsl = "a * pow_(2.0, p0)" or "left_(a, p0)";
        try [(sample_in(-90.0, 90.0, &[7]); 3i64), (sample_in(-90.0, 90.0, &[7]); 40i64)];
    }
    /// x times 2 ^ other, element by element.
    in_place broadcasts: left(x, other) -> y: Number named "__lshift__" {
        cpu = x.left(other);
        wgsl = "a * pow_(2.0, b)" or "left_(a, b)";
        try [(sample_in(-90.0, 90.0, &[2, 3]), sample_in(-3.0, 34.0, &[2, 3]))];
    }
    /// x over 2 ^ value.
    in_place: right_number(x; value: Scalar) -> y: Number named "__rshift__" {
        cpu = x.right(value);
        wgsl = "a / pow_(2.0, p0)" or "right_(a, p0)";
        try [(sample_in(-90.0, 90.0, &[7]); 3i64), (sample_in(-90.0, 90.0, &[7]); 40i64)];
    }
    /// x over 2 ^ other, element by element.
    in_place broadcasts: right(x, other) -> y: Number named "__rshift__" {
        cpu = x.right(other);
        wgsl = "a / pow_(2.0, b)" or "right_(a, b)";
        try [(sample_in(-90.0, 90.0, &[2, 3]), sample_in(-3.0, 34.0, &[2, 3]))];
    }
}

/// Elements that can be shifted.
trait Shift: Element {
    fn left(self, by: Self) -> Self;
    fn right(self, by: Self) -> Self;
}

macro_rules! whole {
    ($($t:ident)*) => {$(
        impl Shift for $t {
            #[inline(always)]
            fn left(self, by: Self) -> Self {
                u32::try_from(by).ok().and_then(|by| self.checked_shl(by)).unwrap_or(0)
            }
            #[inline(always)]
            fn right(self, by: Self) -> Self {
                let sign = if self < $t::default() { $t::default().wrapping_sub(1) } else { 0 };
                u32::try_from(by).ok().and_then(|by| self.checked_shr(by)).unwrap_or(sign)
            }
        }
    )*};
}
whole!(u8 i8 i16 i32 i64);

macro_rules! float {
    ($($t:ident)*) => {$(
        impl Shift for $t {
            #[inline(always)]
            fn left(self, by: Self) -> Self {
                self * two_to::<$t>(by)
            }
            #[inline(always)]
            fn right(self, by: Self) -> Self {
                self / two_to::<$t>(by)
            }
        }
    )*};
}
float!(f32 f64);

#[inline(always)]
fn two_to<T: Math>(by: T) -> T {
    T::from_f64(libm::exp2(by.to_f64()))
}
