//! Elements as numbers whose order is theirs, with their index below it: words are never equal, so
//! every order of them is stable and every selection has one answer.
//!
//! NaN is the largest of all, and -0 is 0.

use crate::tensor::{DType, Element};

/// Bits of a digit of a radix sort, and how many digits there are.
pub const DIGIT: u32 = 11;
/// Values of a digit.
pub const DIGITS: usize = 1 << DIGIT;

/// An element's key above its index.
pub trait Word: Copy + Ord + Send + Sync + 'static {
    /// Bits of the key.
    const BITS: u32;
    /// The word of element `v` at `index`; `flip` turns the order of keys.
    fn of<T: Element>(v: T, index: usize, flip: bool) -> Self;
    /// The key, as it was before it was turned.
    fn key(self, flip: bool) -> u64;
    /// Where the element was.
    fn index(self) -> usize;
    /// Digit `pass` of the key, the lowest first.
    fn digit(self, pass: u32) -> usize;
    /// The highest bits of the key, as many as a digit has.
    fn top(self) -> usize;
    /// How many digits a key has.
    fn passes() -> u32 {
        Self::BITS.div_ceil(DIGIT)
    }
}

macro_rules! word {
    ($t:ident $key:ident $bits:literal) => {
        impl Word for $t {
            const BITS: u32 = $bits;
            #[inline(always)]
            fn of<T: Element>(v: T, index: usize, flip: bool) -> $t {
                let key = key(v) as $key;
                let key = if flip { !key } else { key };
                (key as $t) << $bits | index as $t
            }
            #[inline(always)]
            fn key(self, flip: bool) -> u64 {
                let key = (self >> $bits) as $key;
                u64::from(if flip { !key } else { key })
            }
            #[inline(always)]
            fn index(self) -> usize {
                (self & $key::MAX as $t) as usize
            }
            #[inline(always)]
            fn digit(self, pass: u32) -> usize {
                (self >> ($bits + pass * DIGIT)) as usize & (DIGITS - 1)
            }
            #[inline(always)]
            fn top(self) -> usize {
                (self >> (2 * $bits - DIGIT)) as usize
            }
        }
    };
}

word!(u64 u32 32);
word!(u128 u64 64);

const TOP: u32 = 1 << 31;
const TOP_LONG: u64 = 1 << 63;

/// A number that grows with the element.
#[inline(always)]
fn key<T: Element>(v: T) -> u64 {
    match T::DTYPE {
        DType::F32 => {
            let bits = (v.to_f64() as f32 + 0.0).to_bits();
            let key = bits ^ (((bits as i32) >> 31) as u32 | TOP);
            u64::from(if v.is_nan() { u32::MAX } else { key })
        }
        DType::F64 => {
            let bits = (v.to_f64() + 0.0).to_bits();
            let key = bits ^ (((bits as i64) >> 63) as u64 | TOP_LONG);
            if v.is_nan() { u64::MAX } else { key }
        }
        DType::I64 => v.to_i64() as u64 ^ TOP_LONG,
        _ => u64::from(v.to_i64() as i32 as u32 ^ TOP),
    }
}

/// The element with this key; `at` reads it where the key has lost something of it.
#[inline(always)]
pub fn element<T: Element>(key: u64, at: impl Fn() -> T) -> T {
    match T::DTYPE {
        DType::F32 => {
            let key = key as u32;
            if key == TOP || key == u32::MAX {
                return at();
            }
            let bits = if key & TOP == 0 { !key } else { key ^ TOP };
            T::from_f64(f64::from(f32::from_bits(bits)))
        }
        DType::F64 => {
            if key == TOP_LONG || key == u64::MAX {
                return at();
            }
            let bits = if key & TOP_LONG == 0 {
                !key
            } else {
                key ^ TOP_LONG
            };
            T::from_f64(f64::from_bits(bits))
        }
        DType::I64 => T::from_i64((key ^ TOP_LONG) as i64),
        _ => T::from_i64(i64::from((key as u32 ^ TOP) as i32)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_order_as_elements_do() {
        let ordered = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.5,
            -1e-40,
            0.0,
            1e-45,
            1.0,
            f32::INFINITY,
            f32::NAN,
        ];
        for (i, &a) in ordered.iter().enumerate() {
            for (j, &b) in ordered.iter().enumerate() {
                let (u, v) = (u64::of(a, 0, false), u64::of(b, 0, false));
                assert_eq!(u.cmp(&v), i.cmp(&j), "{a} {b}");
                let (u, v) = (
                    u128::of(f64::from(a), 0, true),
                    u128::of(f64::from(b), 0, true),
                );
                assert_eq!(u.cmp(&v), j.cmp(&i), "{a} {b}");
            }
            let back = element(u64::of(a, 7, true).key(true), || a);
            assert_eq!(back.to_bits(), a.to_bits());
        }
        assert_eq!(
            u64::of(-0.0f32, 3, false).key(false),
            u64::of(0.0f32, 4, false).key(false)
        );
        for v in [i64::MIN, -1, 0, 5, i64::MAX] {
            assert_eq!(element(u128::of(v, 1, false).key(false), || 0i64), v);
        }
        assert!(u64::of(-3i8, 0, false) < u64::of(2i8, 0, false));
        assert_eq!(element(u64::of(200u8, 1, false).key(false), || 0u8), 200);
    }
}
