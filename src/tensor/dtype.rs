//! The element types of 0.3 and the two places where elements live.

use crate::error::{Error, Result};
use std::fmt;

/// An element type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DType {
    U8,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    /// Stored, moved and converted, not computed with (T-9).
    F16,
}

impl DType {
    /// Every element type.
    pub const EVERY: [DType; 8] = [
        DType::U8,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::F32,
        DType::F64,
        DType::F16,
    ];

    /// The element type with this `as i64`, as nodes keep it.
    pub fn of_code(code: i64) -> DType {
        DType::EVERY[code as usize]
    }

    /// The element types that are computed with, smallest first.
    pub const ALL: [DType; 7] = [
        DType::U8,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::F32,
        DType::F64,
    ];

    /// Bytes of one element.
    pub const fn bytes(self) -> usize {
        match self {
            DType::U8 | DType::I8 => 1,
            DType::I16 | DType::F16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// Whether elements have a fraction.
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F32 | DType::F64 | DType::F16)
    }

    /// The first half of the class name in Python: `Float` of `FloatTensor`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::U8 => "Byte",
            DType::I8 => "Char",
            DType::I16 => "Short",
            DType::I32 => "Int",
            DType::I64 => "Long",
            DType::F32 => "Float",
            DType::F64 => "Double",
            DType::F16 => "Half",
        }
    }
}

/// Where elements live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Device {
    Cpu,
    Gpu,
}

impl Device {
    /// The place with this `as i64`, as nodes keep it.
    pub fn of_code(code: i64) -> Device {
        if code == 0 { Device::Cpu } else { Device::Gpu }
    }
}

/// The Python name of the tensor class of `dtype` on `device`: `torch.FloatTensor`.
pub fn class_name(dtype: DType, device: Device) -> String {
    let place = match device {
        Device::Cpu => "",
        Device::Gpu => "cuda.",
    };
    format!("torch.{place}{}Tensor", dtype.name())
}

/// A Rust type that is an element type.
///
/// Conversions follow 0.3: float to integer truncates toward zero, integers wrap.
pub trait Element: Copy + Send + Sync + PartialOrd + Default + fmt::Debug + 'static {
    /// Which element type this is.
    const DTYPE: DType;
    /// The number one.
    const ONE: Self;
    /// From a double, truncating and wrapping as C does where C is defined.
    fn from_f64(v: f64) -> Self;
    /// From a long, wrapping.
    fn from_i64(v: i64) -> Self;
    /// To a double.
    fn to_f64(self) -> f64;
    /// To a long, truncating toward zero.
    fn to_i64(self) -> i64;
    /// Sum; integers wrap (T-7).
    fn plus(self, other: Self) -> Self;
    /// Difference; integers wrap.
    fn minus(self, other: Self) -> Self;
    /// Product; integers wrap.
    fn times(self, other: Self) -> Self;
    /// Quotient; integers truncate toward zero and give 0 for a zero divisor, which is refused before.
    fn over(self, other: Self) -> Self;
    /// Remainder with the divisor's sign (T-7); as [`Element::over`] for zero.
    fn modulo(self, other: Self) -> Self;
    /// Remainder with the dividend's sign, exact; as [`Element::over`] for zero.
    fn rest(self, other: Self) -> Self;
    /// Absolute value; integers wrap.
    fn magnitude(self) -> Self;
    /// Whether this is not a number.
    fn is_nan(self) -> bool;
}

macro_rules! integer {
    ($($t:ident $d:ident),*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            const ONE: Self = 1;
            #[inline(always)]
            fn from_f64(v: f64) -> Self { v as i64 as $t }
            #[inline(always)]
            fn from_i64(v: i64) -> Self { v as $t }
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn to_i64(self) -> i64 { self as i64 }
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline(always)]
            fn minus(self, other: Self) -> Self { self.wrapping_sub(other) }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
            #[inline(always)]
            fn over(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_div(other) }
            }
            #[inline(always)]
            fn modulo(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let r = self.wrapping_rem(other);
                #[allow(unused_comparisons, reason = "u8 has no negative values")]
                let turn = r != 0 && ((r < 0) != (other < 0));
                if turn { r.wrapping_add(other) } else { r }
            }
            #[inline(always)]
            fn rest(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_rem(other) }
            }
            #[inline(always)]
            fn magnitude(self) -> Self {
                #[allow(unused_comparisons, reason = "u8 has no negative values")]
                if self < 0 { (0 as $t).wrapping_sub(self) } else { self }
            }
            #[inline(always)]
            fn is_nan(self) -> bool { false }
        }
    )*};
}

macro_rules! float {
    ($($t:ident $d:ident),*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            const ONE: Self = 1.0;
            #[inline(always)]
            fn from_f64(v: f64) -> Self { v as $t }
            #[inline(always)]
            fn from_i64(v: i64) -> Self { v as $t }
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn to_i64(self) -> i64 { self as i64 }
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self + other }
            #[inline(always)]
            fn minus(self, other: Self) -> Self { self - other }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self * other }
            #[inline(always)]
            fn over(self, other: Self) -> Self { self / other }
            #[inline(always)]
            fn modulo(self, other: Self) -> Self { self - other * (self / other).floor() }
            #[inline(always)]
            fn rest(self, other: Self) -> Self { self % other }
            #[inline(always)]
            fn magnitude(self) -> Self { self.abs() }
            #[inline(always)]
            fn is_nan(self) -> bool { self != self }
        }
    )*};
}

integer!(u8 U8, i8 I8, i16 I16, i32 I32, i64 I64);
float!(f32 F32, f64 F64);

/// Runs `$body` with `$t` standing for the Rust type of `$dtype`.
///
/// `dispatch!(dtype, T => ...)` covers the types that are computed with, `dispatch!(any dtype, T =>
/// ...)` all of them, for what only moves elements; `dispatch!(float dtype, "op", T => ...)` covers
/// `f32` and `f64` and fails with a `TypeError` that names the op on others; `dispatch!(whole ...)`
/// covers the integers.
#[macro_export]
macro_rules! dispatch {
    (float $dtype:expr, $op:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::tensor::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::tensor::DType::F64 => {
                type $t = f64;
                $body
            }
            other => return Err($crate::tensor::dtype::not_float($op, other)),
        }
    };
    (any $dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::tensor::DType::F16 => {
                type $t = $crate::tensor::Half;
                $body
            }
            computed => $crate::dispatch!(computed, $t => $body),
        }
    };
    (whole $dtype:expr, $op:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::tensor::DType::U8 => {
                type $t = u8;
                $body
            }
            $crate::tensor::DType::I8 => {
                type $t = i8;
                $body
            }
            $crate::tensor::DType::I16 => {
                type $t = i16;
                $body
            }
            $crate::tensor::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::tensor::DType::I64 => {
                type $t = i64;
                $body
            }
            other => return Err($crate::tensor::dtype::not_whole($op, other)),
        }
    };
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::tensor::DType::F16 => $crate::tensor::dtype::refuse_half(),
            $crate::tensor::DType::U8 => {
                type $t = u8;
                $body
            }
            $crate::tensor::DType::I8 => {
                type $t = i8;
                $body
            }
            $crate::tensor::DType::I16 => {
                type $t = i16;
                $body
            }
            $crate::tensor::DType::I32 => {
                type $t = i32;
                $body
            }
            $crate::tensor::DType::I64 => {
                type $t = i64;
                $body
            }
            $crate::tensor::DType::F32 => {
                type $t = f32;
                $body
            }
            $crate::tensor::DType::F64 => {
                type $t = f64;
                $body
            }
        }
    };
}

/// Ends what halves came to although only computed types may: most rows refuse them before.
///
/// # Panics
/// With the `TypeError` that the Python edge then raises.
#[cold]
pub fn refuse_half() -> ! {
    std::panic::panic_any(no_half("this"))
}

/// The error for an op that computes, on halves (T-9).
#[cold]
pub fn no_half(op: &str) -> Error {
    Error::Type(format!(
        "{op}: torch.HalfTensor does not implement it, because halves are stored only; convert with .float() first"
    ))
}

/// Fails for halves, which are stored only (T-9).
#[inline]
pub fn computed(op: &str, dtype: DType) -> Result<()> {
    match dtype {
        DType::F16 => Err(no_half(op)),
        _ => Ok(()),
    }
}

/// The error for a float-only op on an integer class.
pub fn not_float(op: &str, dtype: DType) -> Error {
    if dtype == DType::F16 {
        return no_half(op);
    }
    Error::Type(format!(
        "{op}: torch.{}Tensor does not implement it (only FloatTensor and DoubleTensor do); convert with .float() first",
        dtype.name()
    ))
}

/// The error for an op on bits on a class of floats.
pub fn not_whole(op: &str, dtype: DType) -> Error {
    Error::Type(format!(
        "{op}: torch.{}Tensor does not implement it (only the integer classes do); convert with .long() or .byte() first",
        dtype.name()
    ))
}

/// Fails unless both element types are the same (0.3 has no promotion).
pub fn same(op: &str, a: (DType, Device), b: (DType, Device)) -> Result<()> {
    if a == b {
        return Ok(());
    }
    let (left, right) = (class_name(a.0, a.1), class_name(b.0, b.1));
    Err(Error::Type(format!(
        "{op}: both operands must be of one class; got {left} and {right}; convert one with .type_as(other)"
    )))
}
