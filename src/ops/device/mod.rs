//! Where rows meet the GPU: one function for each kind of kernel, and memory on either device.
//!
//! Float and Int tensors are computed with; Byte tensors as well, Long tensors are moved, compared,
//! chosen from and added up. Other classes cannot be made on the GPU, so kernels never meet one.

mod formula;
mod host;
mod loss;
mod storage;
mod transfer;

pub use formula::{Row, choose, manifest, map, samples};
pub use host::through_host;
pub use loss::{nll_factors, nll_spread, nll_sum};
pub use storage::{check_moves, grow, resize_storage, share};
pub use transfer::{copy, read_element, read_scalar, to_cpu, to_gpu};

use crate::error::Result;
use crate::fail;
use crate::gpu::{self, Operand, Pick, Reduce};
use crate::tensor::{DType, Device, Scalar, Tensor, class_name, dims};

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

fn gpu_empty(op: &str, dtype: DType, sizes: &[i64]) -> Result<Tensor> {
    if !matches!(dtype, DType::U8 | DType::I32 | DType::I64 | DType::F32) {
        fail!(
            Type,
            "{op}: there is no {} (the GPU has Byte, Int, Long and Float tensors); convert with .float() or .int() first",
            class_name(dtype, Device::Gpu)
        );
    }
    let count = dims::count(op, sizes)?;
    let buffer = gpu::alloc(count * dtype.bytes())?;
    Tensor::on_device(op, dtype, sizes, Box::new(buffer))
}

/// The buffer that holds the elements of `x`.
///
/// # Errors
/// `TypeError` for a tensor on the CPU.
fn buffer<'a>(op: &str, x: &'a Tensor) -> Result<&'a gpu::Buffer> {
    match x.device_memory().and_then(|m| m.downcast_ref()) {
        Some(buffer) => Ok(buffer),
        None => fail!(
            Type,
            "{op}: all operands must be on the GPU; got a {}; move it with .cuda()",
            class_name(x.dtype(), x.device())
        ),
    }
}

/// `x` as a kernel sees it.
///
/// # Errors
/// `TypeError` for a tensor on the CPU, `RuntimeError` beyond what shaders can count.
fn view<'a>(op: &str, x: &'a Tensor) -> Result<Operand<'a>> {
    if x.numel() >= 1 << 31 {
        fail!(
            Runtime,
            "{op}: {} has 2^31 elements or more, which the GPU cannot count; work on parts, or use .cpu()",
            crate::tensor::sizes_text(x.sizes())
        );
    }
    Ok(Operand {
        buffer: buffer(op, x)?,
        dtype: x.dtype(),
        sizes: x.sizes(),
        strides: x.strides(),
        offset: x.offset(),
    })
}

/// Sets every element.
pub fn fill(y: &Tensor, value: Scalar) -> Result<()> {
    // The bits of the element, as the CPU converts it.
    let bits = match y.dtype() {
        DType::F32 => value.to::<f32>().to_bits().into(),
        DType::I32 => value.to::<i32>() as u32 as u64,
        DType::U8 => value.to::<u8>().into(),
        _ => value.to::<i64>() as u64,
    };
    gpu::fill_bits("fill", &view("fill", y)?, bits)
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
pub fn fold(what: Reduction, x: &Tensor, dim: Option<usize>, y: &Tensor) -> Result<()> {
    let op = what.name();
    let reduce = match what {
        Reduction::Sum | Reduction::Mean => Reduce::Sum,
        Reduction::Max => Reduce::Max,
        Reduction::Min => Reduce::Min,
    };
    gpu::fold(op, reduce, &view(op, x)?, dim, &view(op, y)?)?;
    if what == Reduction::Mean {
        let n = dim.map_or(x.numel() as i64, |d| x.sizes()[d]);
        formula::mean(y, n)?;
    }
    Ok(())
}

/// The extremum of each line, and where it is.
pub fn fold_arg(
    largest: bool,
    x: &Tensor,
    dim: usize,
    values: &Tensor,
    indices: &Tensor,
) -> Result<()> {
    let (op, pick) = if largest {
        ("max", Pick::Max)
    } else {
        ("min", Pick::Min)
    };
    let (values, indices) = (view(op, values)?, view(op, indices)?);
    gpu::fold_arg(op, pick, &view(op, x)?, dim, &values, &indices)
}

/// Whether there is a zero among the elements; waits for the GPU.
pub fn has_zero(op: &str, x: &Tensor) -> Result<bool> {
    if x.numel() == 0 {
        return Ok(false);
    }
    let zero = gpu_empty(op, DType::U8, x.sizes())?;
    map(op, &super::compare::EQUALS, &[x], &[Scalar::Int(0)], &zero)?;
    let any = gpu_empty(op, DType::U8, &[1])?;
    fold(Reduction::Max, &zero, None, &any)?;
    Ok(read_scalar(&any)?.f64() != 0.0)
}

/// Softmax along `dim`, or its logarithm.
pub fn softmax(x: &Tensor, dim: usize, log: bool, y: &Tensor) -> Result<()> {
    let op = if log { "log_softmax" } else { "softmax" };
    gpu::softmax(op, &view(op, x)?, dim, log, &view(op, y)?)
}

/// The gradient of [`softmax`].
pub fn softmax_grad(g: &Tensor, y: &Tensor, dim: usize, log: bool, out: &Tensor) -> Result<()> {
    let op = if log {
        "log_softmax_backward"
    } else {
        "softmax_backward"
    };
    let (g, y, out) = (view(op, g)?, view(op, y)?, view(op, out)?);
    gpu::softmax_grad(op, &g, &y, dim, log, &out)
}

/// y = the slices of x along `dim` that the vector `index` names.
pub fn index_select(x: &Tensor, dim: usize, index: &Tensor, y: &Tensor) -> Result<()> {
    let op = "index_select";
    let (x, index, y) = (view(op, x)?, view(op, index)?, view(op, y)?);
    gpu::index_select(op, &x, dim, &index, &y)
}

/// Adds the slices of `x` to those of `y` that the vector `index` names.
pub fn index_add(y: &Tensor, dim: usize, index: &Tensor, x: &Tensor) -> Result<()> {
    let op = "index_add";
    let (y, index, x) = (view(op, y)?, view(op, index)?, view(op, x)?);
    gpu::index_add(op, dim, &index, &x, &y)
}

/// y[i][j] = x[index[i][j]][j], for `dim` 0.
pub fn gather(x: &Tensor, dim: usize, index: &Tensor, y: &Tensor) -> Result<()> {
    let op = "gather";
    let (x, index, y) = (view(op, x)?, view(op, index)?, view(op, y)?);
    gpu::gather(op, &x, dim, &index, &y)
}

/// y[index[i][j]][j] = src[i][j], or += it, for `dim` 0.
pub fn scatter(y: &Tensor, dim: usize, index: &Tensor, src: &Tensor, add: bool) -> Result<()> {
    let op = if add { "scatter_add" } else { "scatter" };
    let (y, index, src) = (view(op, y)?, view(op, index)?, view(op, src)?);
    if add {
        gpu::scatter_add(op, dim, &index, &src, &y)
    } else {
        gpu::scatter(op, dim, &index, &src, &y)
    }
}

/// y = alpha a b + beta y, for matrices or stacks of them.
pub fn matmul(
    op: &str,
    a: &Tensor,
    b: &Tensor,
    y: &Tensor,
    alpha: Scalar,
    beta: Scalar,
) -> Result<()> {
    let (a, b, to) = (view(op, a)?, view(op, b)?, view(op, y)?);
    let (alpha, beta) = (
        formula::number(op, y.dtype(), alpha)?,
        formula::number(op, y.dtype(), beta)?,
    );
    gpu::matmul(op, &a, &b, &to, alpha, beta)
}
