//! Comparisons: ByteTensors of 0 and 1. Recorded, with zero gradients.

use super::device::Row;
use super::{Op, copy::zeros_as};
use crate::tensor::Scalar;

macro_rules! test_formula {
    ($name:ident [$($x:ident)+] [$($p:ident)*] $($text:literal),+) => {
        const { row_formula!($name Number [$($x)+] [$($p)*] $($text),+).test() }
    };
}

macro_rules! comparison {
    ($($(#[doc = $doc:literal])* $number:ident $row:ident $name:literal $node0:literal $node1:literal, $x:ident $o:ident $cpu:expr, $number_text:literal $text:literal $(or $number_whole:literal $whole:literal)?;)*) => {
        ops! {$(
            $(#[doc = $doc])*
            method function in_place out compares: fn $number($x; value: Scalar) -> (y): Number named $name as $node0 {
                let dtype: i64 = $x.dtype() as i64;
                forward(out) = {
                    let kind = $x.kind();
                    value.check($name, kind.0)?;
                    let y = out.make($name, (DType::U8, kind.1), $x.sizes())?;
                    if kind.1 == Device::Gpu {
                        $crate::ops::device::map($name, &test_formula!($number [x] [value] $number_text $(, $number_whole)?), &[$x], &[value], &y)?;
                    } else {
                        $crate::dispatch!(kind.0, T => {
                            let $o = value.to::<T>();
                            $crate::cpu::map::map1::<T, u8>($x, &y, |$x: T| u8::from($cpu))
                        });
                    }
                    y
                };
                grad $x = |g| zeros_as(g, dtype)?, "0";
                try [(sample(&[5]); 0.3)];
            }
            $(#[doc = $doc])*
            method function in_place out broadcasts compares: fn $row($x, other) -> (y): Number named $name as $node1 {
                let dtype: i64 = $x.dtype() as i64;
                forward(out, inputs, values) = {
                    let kind = same_kind($name, inputs)?;
                    let y = out.make($name, (DType::U8, kind.1), $x.sizes())?;
                    if kind.1 == Device::Gpu {
                        $crate::ops::device::map($name, &test_formula!($row [x other] [] $text $(, $whole)?), &[$x, other], &[], &y)?;
                    } else {
                        $crate::dispatch!(kind.0, T => {
                            $crate::cpu::map::map2::<T, T, u8>($x, other, &y, |$x: T, $o: T| u8::from($cpu))
                        });
                    }
                    y
                };
                grad $x = |g| zeros_as(g, dtype)?, "0";
                grad other = |g| zeros_as(g, dtype)?, "0";
                try [(sample(&[2, 3]), sample(&[2, 3]))];
            }
        )*}

        /// The formulas of this room.
        pub static FORMULAS: &[Row] = &[$(
            test_formula!($number [x] [value] $number_text $(, $number_whole)?),
            test_formula!($row [x other] [] $text $(, $whole)?),
        )*];
    };
}

/// Where elements are equal to a number.
pub(super) const EQUALS: Row = test_formula!(eq_number [x] [value] "a == p0");

comparison! {
    /// Where elements are equal.
    eq_number eq "eq" "EqBackward0" "EqBackward1", x o x == o, "a == p0" "a == b";
    /// Where elements differ.
    ne_number ne "ne" "NeBackward0" "NeBackward1", x o x != o, "ne_(a, p0)" "ne_(a, b)" or "a != p0" "a != b";
    /// Where elements are smaller.
    lt_number lt "lt" "LtBackward0" "LtBackward1", x o x < o, "a < p0" "a < b";
    /// Where elements are smaller or equal.
    le_number le "le" "LeBackward0" "LeBackward1", x o x <= o, "a <= p0" "a <= b";
    /// Where elements are larger.
    gt_number gt "gt" "GtBackward0" "GtBackward1", x o x > o, "a > p0" "a > b";
    /// Where elements are larger or equal.
    ge_number ge "ge" "GeBackward0" "GeBackward1", x o x >= o, "a >= p0" "a >= b";
}
