//! Elements on their way between the devices.
//!
//! What changes its class changes it on the side where it starts if that is the CPU, else where it
//! ends if that is the CPU: only classes that both sides have cross over.

use super::{buffer, empty, view};
use crate::cpu::bytes;
use crate::error::Result;
use crate::gpu;
use crate::ops::copy::{as_contiguous, copy_into};
use crate::tensor::{Device, Scalar, Tensor};

/// Copies between places of equal sizes, converting; at least one is on the GPU.
///
/// # Errors
/// No GPU, or a class that it does not have.
pub fn copy(to: &Tensor, src: &Tensor) -> Result<()> {
    if to.numel() == 0 {
        return Ok(());
    }
    match (src.device(), to.device()) {
        (Device::Cpu, Device::Gpu) => upload(to, src),
        (Device::Gpu, Device::Cpu) => download(to, src),
        _ => gpu::copy("copy", &view("copy", src)?, &view("copy", to)?),
    }
}

fn upload(to: &Tensor, src: &Tensor) -> Result<()> {
    let host = if src.dtype() == to.dtype() {
        as_contiguous(src)?
    } else {
        let host = Tensor::empty("copy", to.dtype(), to.sizes())?;
        copy_into(&host, src)?;
        host
    };
    if !to.is_contiguous() {
        let row_major = empty("copy", to.dtype(), Device::Gpu, to.sizes())?;
        upload(&row_major, &host)?;
        return copy(to, &row_major);
    }
    let first = to.offset() * to.dtype().bytes();
    bytes::read(&host, |bytes| {
        gpu::upload(buffer("copy", to)?, first, bytes)
    })
}

fn download(to: &Tensor, src: &Tensor) -> Result<()> {
    let src = as_contiguous(src)?;
    if to.is_contiguous() && to.dtype() == src.dtype() {
        let first = src.offset() * src.dtype().bytes();
        return bytes::write(to, |bytes| {
            gpu::download(buffer("copy", &src)?, first, bytes)
        });
    }
    let host = Tensor::empty("copy", src.dtype(), src.sizes())?;
    download(&host, &src)?;
    copy_into(to, &host)
}

/// The first element of `y`, from either device.
pub fn read_scalar(y: &Tensor) -> Result<Scalar> {
    read_element(y, 0)
}

/// The element that lies `at` elements behind the first one, from either device.
///
/// # Errors
/// What went wrong on the GPU since it was last waited for.
pub fn read_element(x: &Tensor, at: i64) -> Result<Scalar> {
    let one = x.as_strided(&[1], &[1], x.offset() as i64 + at)?;
    let one = to_cpu(&one)?;
    Ok(crate::dispatch!(any one.dtype(), T => {
        let v = one.read::<T>(0);
        if <T as crate::tensor::Element>::DTYPE.is_float() {
            Scalar::Float(crate::tensor::Element::to_f64(v))
        } else {
            Scalar::Int(crate::tensor::Element::to_i64(v))
        }
    }))
}

/// `x` in host memory.
pub fn to_cpu(x: &Tensor) -> Result<Tensor> {
    if x.device() == Device::Cpu {
        return Ok(x.clone());
    }
    let y = Tensor::empty("cpu", x.dtype(), x.sizes())?;
    copy(&y, x)?;
    Ok(y)
}

/// `x` on the GPU.
pub fn to_gpu(x: &Tensor) -> Result<Tensor> {
    if x.device() == Device::Gpu {
        return Ok(x.clone());
    }
    let y = empty("cuda", x.dtype(), Device::Gpu, x.sizes())?;
    copy(&y, x)?;
    Ok(y)
}
