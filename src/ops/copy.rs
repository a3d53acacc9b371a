//! Copies: filling, converting, moving between places.

use super::Op;
use super::device;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::Var;
use crate::tensor::{DType, Device, Scalar, Tensor, sizes_text};

ops! {
    /// A copy in its own memory.
    method: fn clone(x) -> (y): Any named "clone" as "CloneBackward" {
        forward(out) = contiguous_copy(x)?;
        grad x = |g| g.clone();
        try [(sample(&[2, 3]))];
    }
    /// A copy that stands for a first gradient with history.
    : fn identity(x) -> (y): Any named "_identity" as "Identity" {
        forward(out) = contiguous_copy(x)?;
        grad x = |g| g.clone();
        try [(sample(&[2, 3]))];
    }
    /// The same elements in row-major memory; the tensor itself when it is so already.
    : fn contiguous(x) -> (y): Any named "contiguous" as "CloneBackward" {
        forward(out) = contiguous_copy(x)?;
        grad x = |g| g.clone();
        try [(sample(&[2, 3]))];
    }
    /// Copies `src` into the tensor, converting and expanding it.
    : fn copy(x, src) -> (y): Any named "copy" as "CopyBackwards" {
        let dtype: i64 = src.dtype() as i64;
        let place: i64 = src.device() as i64;
        forward(out) = {
            let y = device::empty("copy", x.dtype(), x.device(), x.sizes())?;
            copy_into(&y, src)?;
            y
        };
        grad x = |g| crate::ops::pointwise::no_gradient(g)?, "0";
        grad src = |g| to(g, dtype, place)?, "g in the class of src";
        try [(sample(&[2, 3]), sample(&[2, 3]))];
    }
    /// Sets every element to `value`.
    in_place direct: fn fill(x; value: Scalar) -> (y): Any named "fill" as "FillBackward" {
        forward(out) = {
            value.check("fill", x.dtype())?;
            let y = out.make("fill", x.kind(), x.sizes())?;
            fill_with(&y, value)?;
            y
        };
        grad x = |g| crate::ops::pointwise::no_gradient(g)?, "0";
        try [(sample(&[2, 3]); 0.5)];
    }
    /// Sets every element to zero.
    in_place direct: fn zero(x) -> (y): Any named "zero" as "ZeroBackward" {
        forward(out) = {
            let y = out.make("zero", x.kind(), x.sizes())?;
            fill_with(&y, Scalar::Int(0))?;
            y
        };
        grad x = |g| crate::ops::pointwise::no_gradient(g)?, "0";
        try [(sample(&[2, 3]))];
    }
    /// The elements as another class; fractions truncate toward zero, integers wrap.
    : fn convert(x; dtype: i64) -> (y): Any named "type" as "TypeBackward" {
        let back: i64 = x.dtype() as i64;
        let place: i64 = x.device() as i64;
        forward(out) = {
            let y = device::empty("type", DType::of_code(dtype), x.device(), x.sizes())?;
            copy_into(&y, x)?;
            y
        };
        grad x = |g| to(g, back, place)?, "g in the class of x";
        try [(sample(&[2, 3]); 6i64)];
    }
    /// The elements on another device, 0 the CPU and 1 the GPU.
    : fn transfer(x; place: i64) -> (y): Any named "cuda" as "CudaTransferBackward" {
        let back: i64 = x.device() as i64;
        forward(out) = {
            let y = device::empty("cuda", x.dtype(), Device::of_code(place), x.sizes())?;
            copy_into(&y, x)?;
            y
        };
        grad x = |g| transfer(g, back)?, "g at the place of x";
        try [(sample(&[2, 3]); 0i64)];
    }
}

/// `g` as the class and place with these codes; itself when it is so already.
fn to(g: &Var, dtype: i64, place: i64) -> Result<Var> {
    let typed = if g.tensor.dtype() == DType::of_code(dtype) {
        g.clone()
    } else {
        convert(g, dtype)?
    };
    if typed.tensor.device() == Device::of_code(place) {
        Ok(typed)
    } else {
        transfer(&typed, place)
    }
}

/// Zeros of g's sizes in the element type with this code.
pub fn zeros_as(g: &Var, dtype: i64) -> Result<Var> {
    Ok(Var::from(device::zeros(
        "zeros",
        DType::of_code(dtype),
        g.tensor.device(),
        g.sizes(),
    )?))
}

/// Sets every element.
pub fn fill_with(y: &Tensor, value: Scalar) -> Result<()> {
    if y.device() == Device::Gpu {
        return device::fill(y, value);
    }
    dispatch!(any y.dtype(), T => crate::cpu::map::fill::<T>(y, value.to()));
    Ok(())
}

/// A row-major copy on the same device.
pub fn contiguous_copy(x: &Tensor) -> Result<Tensor> {
    let y = device::empty("clone", x.dtype(), x.device(), x.sizes())?;
    copy_same_size(&y, x)?;
    Ok(y)
}

/// Where an op that changes its first operand `x` writes: a copy, or `x` itself in place.
pub fn started(x: &Tensor, out: &super::Out) -> Result<Tensor> {
    match out {
        super::Out::Into(y) if y.is(x) || (y.shares_memory(x) && !overlaps(y, x)) => {
            Ok((*y).clone())
        }
        _ => contiguous_copy(x),
    }
}

/// `x` itself when it is row-major, else a copy.
pub fn as_contiguous(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() {
        Ok(x.clone())
    } else {
        contiguous_copy(x)
    }
}

/// Writes `src` into `to`, expanding and converting it, between any devices.
///
/// # Errors
/// `RuntimeError` when the sizes cannot match; nothing is written then.
pub fn copy_into(to: &Tensor, src: &Tensor) -> Result<()> {
    if to.sizes() == src.sizes() {
        return if overlaps(to, src) {
            copy_same_size(to, &contiguous_copy(src)?)
        } else {
            copy_same_size(to, src)
        };
    }
    let wide = match src.expand(to.sizes()) {
        Ok(wide) => wide,
        Err(_) => fail!(
            Runtime,
            "copy_: a tensor of size {} does not expand to {}",
            sizes_text(src.sizes()),
            sizes_text(to.sizes())
        ),
    };
    if overlaps(to, src) {
        copy_same_size(to, &contiguous_copy(&wide)?)
    } else {
        copy_same_size(to, &wide)
    }
}

fn overlaps(a: &Tensor, b: &Tensor) -> bool {
    a.shares_memory(b) && !(a.ptr() == b.ptr() && a.strides() == b.strides())
}

fn copy_same_size(to: &Tensor, src: &Tensor) -> Result<()> {
    if to.device() == Device::Cpu && src.device() == Device::Cpu {
        if src.dtype() == to.dtype() {
            if !src.shares_memory(to) {
                crate::cpu::copy::copy(src, to);
            }
            // What shares memory here is the very same place.
            return Ok(());
        }
        dispatch!(any src.dtype(), T => dispatch!(any to.dtype(), U => crate::cpu::map::convert::<T, U>(src, to)));
        return Ok(());
    }
    device::copy(to, src)
}
