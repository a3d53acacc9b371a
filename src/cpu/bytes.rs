//! The bytes of a tensor's elements, for whoever moves them elsewhere.

use crate::tensor::{Device, Tensor};

fn check(x: &Tensor) {
    assert!(
        x.is_contiguous() && x.device() == Device::Cpu,
        "only elements that lie row by row in host memory are bytes in a row"
    );
}

/// Calls `f` with the bytes of `x`, which must be row-major and on the CPU.
pub fn read<R>(x: &Tensor, f: impl FnOnce(&[u8]) -> R) -> R {
    check(x);
    let length = x.numel() * x.dtype().bytes();
    if length == 0 {
        return f(&[]);
    }
    // SAFETY: a contiguous tensor's elements lie in a row inside its storage, which `x` keeps alive.
    f(unsafe { std::slice::from_raw_parts(x.ptr(), length) })
}

/// As [`read`], to write them.
pub fn write<R>(y: &Tensor, f: impl FnOnce(&mut [u8]) -> R) -> R {
    check(y);
    let length = y.numel() * y.dtype().bytes();
    if length == 0 {
        return f(&mut []);
    }
    // SAFETY: as in `read`; who writes a tensor while others read it gets unspecified elements, as
    // with every kernel.
    f(unsafe { std::slice::from_raw_parts_mut(y.ptr(), length) })
}
