//! Element by element: y = f(a), f(a, b), f(a, b, c), with any strides, in place or not.
//!
//! Elements are read in blocks, computed, then written, so that a target that is also an input
//! needs no second loop and the compiler never has to doubt aliasing.

use super::math::wide;
use super::plan::{Plan, Row};
use crate::tensor::{Element, Tensor};

/// Elements computed together: two AVX-512 registers of f32.
const BLOCK: usize = 32;

/// The address of a tensor's first element, for loops that may run on several threads.
pub(super) struct Start<T>(*mut T);

impl<T> Clone for Start<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Start<T> {}

// SAFETY: loops give each thread its own part of the target; sources are only read.
unsafe impl<T> Send for Start<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Start<T> {}

impl<T: Element> Start<T> {
    /// The address. A method, so that closures take the whole of it.
    #[inline(always)]
    pub fn ptr(self) -> *mut T {
        self.0
    }

    /// Where `tensor` starts; its element type must be `T`.
    pub fn of(tensor: &Tensor) -> Start<T> {
        assert_eq!(
            tensor.dtype(),
            T::DTYPE,
            "a kernel was given another element type"
        );
        assert!(
            !tensor.ptr().is_null() || tensor.numel() == 0,
            "a CPU kernel was given a tensor of another device"
        );
        Start(tensor.ptr().cast())
    }
}

/// Reads `len` elements `step` apart; the rest of the block is ones, which no function fears.
///
/// # Safety
/// All `len` elements must be inside their tensor.
#[inline(always)]
unsafe fn load<T: Element>(from: *const T, step: isize, len: usize) -> [T; BLOCK] {
    // SAFETY: the caller vouches for `len` elements.
    unsafe {
        if len == BLOCK && step == 1 {
            return from.cast::<[T; BLOCK]>().read_unaligned();
        }
        if step == 0 {
            return [from.read(); BLOCK];
        }
        let mut block = [T::ONE; BLOCK];
        for (i, slot) in block.iter_mut().enumerate().take(len) {
            *slot = from.offset(i as isize * step).read();
        }
        block
    }
}

/// Writes the first `len` elements of `block`, `step` apart.
///
/// # Safety
/// As [`load`].
#[inline(always)]
unsafe fn store<T: Element>(to: *mut T, step: isize, len: usize, block: [T; BLOCK]) {
    // SAFETY: the caller vouches for `len` elements.
    unsafe {
        if len == BLOCK && step == 1 {
            return to.cast::<[T; BLOCK]>().write_unaligned(block);
        }
        for (i, value) in block.iter().enumerate().take(len) {
            to.offset(i as isize * step).write(*value);
        }
    }
}

/// Runs a loop over elements of type `T`. Loops over integers are compiled once and not once for
/// each SIMD width: they are rarely what takes time, and there are many of them.
#[inline(always)]
pub(super) fn compiled<T: Element, R>(body: impl FnOnce() -> R) -> R {
    if const { T::DTYPE.is_float() } {
        wide(body)
    } else {
        body()
    }
}

macro_rules! map {
    ($(#[$doc:meta])* $name:ident, $part:ident, $n:literal, $first:ident, $($x:ident $k:tt $t:ident),*) => {
        $(#[$doc])*
        pub fn $name<$($t: Element,)* U: Element>(
            $($x: &Tensor,)* y: &Tensor, f: impl Fn($($t),*) -> U + Copy + Sync,
        ) {
            $part($($x,)* y, f, #[inline(always)] |$(_: $t),*| false, f);
        }

        /// As the one above, but where `rare` holds, `other` computes the element: what would keep a
        /// loop over `f` from becoming SIMD is done after each block, and seldom.
        #[inline(always)]
        fn $part<$($t: Element,)* U: Element>(
            $($x: &Tensor,)*
            y: &Tensor,
            f: impl Fn($($t),*) -> U + Copy + Sync,
            rare: impl Fn($($t),*) -> bool + Copy + Sync,
            other: impl Fn($($t),*) -> U + Copy + Sync,
        ) {
            $(debug_assert_eq!($x.sizes(), y.sizes());)*
            let to = Start::<U>::of(y);
            $(let $x = (Start::<$t>::of($x), $x);)*
            if y.numel() == 1 {
                // SAFETY: one element each, inside their tensors.
                unsafe {
                    $(let $x = $x.0.ptr().read();)*
                    let one = if rare($($x),*) { other($($x),*) } else { f($($x),*) };
                    to.ptr().write(one);
                }
                return;
            }
            let plan: Plan<$n> = Plan::new([y $(, $x.1)*]);
            plan.for_rows(&|row: Row<$n>| {
                $(let $x = $x.0;)*
                compiled::<$first, _>(#[inline(always)]
                    || {
                        let mut i = 0;
                        while i < row.len {
                            let len = BLOCK.min(row.len - i);
                            let at = |k: usize| row.offsets[k] + i as isize * row.steps[k];
                            // SAFETY: the plan stays inside sizes that all operands share, and a
                            // tensor's geometry stays inside its memory.
                            unsafe {
                                $(let $x = load($x.ptr().offset(at($k)), row.steps[$k], len);)*
                                let mut block = [U::ONE; BLOCK];
                                for j in 0..BLOCK {
                                    block[j] = f($($x[j]),*);
                                }
                                let mut any = false;
                                for j in 0..BLOCK {
                                    any |= rare($($x[j]),*);
                                }
                                if any {
                                    for j in 0..BLOCK {
                                        if rare($($x[j]),*) {
                                            block[j] = other($($x[j]),*);
                                        }
                                    }
                                }
                                store(to.ptr().offset(at(0)), row.steps[0], len, block);
                            }
                            i += BLOCK;
                        }
                    });
            });
        }
    };
}

map!(
    /// y = f(a) for every element.
    map1, parts1, 2, A, a 1 A
);
map!(
    /// y = f(a, b) for every element; sizes are equal (broadcasting is an expand before).
    map2, parts2, 3, A, a 1 A, b 2 B
);
map!(
    /// y = f(a, b, c) for every element.
    map3, parts3, 4, A, a 1 A, b 2 B, c 3 C
);

/// y = f(a), and y = other(a) where `rare` holds.
pub fn map1_or<T: Element>(
    a: &Tensor,
    y: &Tensor,
    f: impl Fn(T) -> T + Copy + Sync,
    rare: impl Fn(T) -> bool + Copy + Sync,
    other: impl Fn(T) -> T + Copy + Sync,
) {
    parts1(a, y, f, rare, other);
}

/// y = f(a, b), and y = other(a, b) where `rare` holds.
pub fn map2_or<T: Element>(
    a: &Tensor,
    b: &Tensor,
    y: &Tensor,
    f: impl Fn(T, T) -> T + Copy + Sync,
    rare: impl Fn(T, T) -> bool + Copy + Sync,
    other: impl Fn(T, T) -> T + Copy + Sync,
) {
    parts2(a, b, y, f, rare, other);
}

/// Sets every element to `value`.
pub fn fill<T: Element>(y: &Tensor, value: T) {
    map1::<T, T>(y, y, |_| value);
}

/// Copies with conversion: y = U(x).
pub fn convert<T: Element, U: Element>(x: &Tensor, y: &Tensor) {
    if const { T::DTYPE as u8 == U::DTYPE as u8 } {
        map1::<T, T>(x, y, |v| v);
    } else if const { T::DTYPE.is_float() } {
        map1::<T, U>(x, y, |v| U::from_f64(v.to_f64()));
    } else {
        map1::<T, U>(x, y, |v| U::from_i64(v.to_i64()));
    }
}
