//! Where rows meet the GPU: one function for each kind of kernel.

use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, Device, Scalar, Tensor};

/// An uninitialised row-major tensor.
#[inline]
pub fn empty(op: &str, dtype: DType, device: Device, sizes: &[i64]) -> Result<Tensor> {
    match device {
        Device::Cpu => Tensor::empty(op, dtype, sizes),
        Device::Gpu => gpu_empty(op, dtype, sizes),
    }
}

/// A row-major tensor of zeros.
pub fn zeros(op: &str, dtype: DType, device: Device, sizes: &[i64]) -> Result<Tensor> {
    match device {
        Device::Cpu => Tensor::zeros(op, dtype, sizes),
        Device::Gpu => {
            let y = gpu_empty(op, dtype, sizes)?;
            fill(&y, Scalar::Int(0))?;
            Ok(y)
        }
    }
}

fn gpu_empty(op: &str, _dtype: DType, _sizes: &[i64]) -> Result<Tensor> {
    fail!(Runtime, "{op}: no GPU")
}

/// y = f(inputs), element by element.
pub fn map(
    op: &str,
    _wgsl: &str,
    _inputs: &[&Tensor],
    _params: &[Scalar],
    _y: &Tensor,
) -> Result<()> {
    fail!(Runtime, "{op}: no GPU")
}

/// Sets every element.
pub fn fill(_y: &Tensor, _value: Scalar) -> Result<()> {
    fail!(Runtime, "fill: no GPU")
}

/// Copies between places, converting.
pub fn copy(_to: &Tensor, _src: &Tensor) -> Result<()> {
    fail!(Runtime, "copy: no GPU")
}

/// What a reduction computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
}

impl Reduction {
    /// The op's name.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Mean => "mean",
            Reduction::Max => "max",
            Reduction::Min => "min",
        }
    }
}

/// Reduces everything, or dimension `dim`, into `y`.
pub fn fold(what: Reduction, _x: &Tensor, _dim: Option<usize>, _y: &Tensor) -> Result<()> {
    fail!(Runtime, "{}: no GPU", what.name())
}

/// The extremum of each line, and where it is.
pub fn fold_arg(
    _largest: bool,
    _x: &Tensor,
    _dim: usize,
    _values: &Tensor,
    _indices: &Tensor,
) -> Result<()> {
    fail!(Runtime, "max: no GPU")
}

/// The one element of `y`.
pub fn read_scalar(_y: &Tensor) -> Result<Scalar> {
    fail!(Runtime, "sum: no GPU")
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

/// `x` on the device.
pub fn to_gpu(x: &Tensor) -> Result<Tensor> {
    if x.device() == Device::Gpu {
        return Ok(x.clone());
    }
    let y = gpu_empty("cuda", x.dtype(), x.sizes())?;
    copy(&y, x)?;
    Ok(y)
}

/// Softmax along `dim`, or its logarithm.
pub fn softmax(_x: &Tensor, _dim: usize, _log: bool, _y: &Tensor) -> Result<()> {
    fail!(Runtime, "softmax: no GPU")
}

/// The gradient of [`softmax`].
pub fn softmax_grad(
    _g: &Tensor,
    _y: &Tensor,
    _dim: usize,
    _log: bool,
    _out: &Tensor,
) -> Result<()> {
    fail!(Runtime, "softmax: no GPU")
}

pub fn nll_sum(_x: &Tensor, _target: &Tensor, _factors: &Tensor, _ignore: i64) -> Result<Tensor> {
    fail!(Runtime, "nll_loss: no GPU")
}

pub fn nll_spread(
    _g: &Tensor,
    _target: &Tensor,
    _factors: &Tensor,
    _classes: i64,
) -> Result<Tensor> {
    fail!(Runtime, "nll_loss: no GPU")
}

pub fn index_select(_x: &Tensor, _dim: usize, _index: &Tensor, _y: &Tensor) -> Result<()> {
    fail!(Runtime, "index_select: no GPU")
}

pub fn index_add(_y: &Tensor, _dim: usize, _index: &Tensor, _x: &Tensor) -> Result<()> {
    fail!(Runtime, "index_add: no GPU")
}

pub fn gather(_x: &Tensor, _dim: usize, _index: &Tensor, _y: &Tensor) -> Result<()> {
    fail!(Runtime, "gather: no GPU")
}

pub fn scatter(_y: &Tensor, _dim: usize, _index: &Tensor, _src: &Tensor, _add: bool) -> Result<()> {
    fail!(Runtime, "scatter: no GPU")
}

pub fn matmul(
    op: &str,
    _a: &Tensor,
    _b: &Tensor,
    _y: &Tensor,
    _alpha: Scalar,
    _beta: Scalar,
) -> Result<()> {
    fail!(Runtime, "{op}: no GPU")
}
