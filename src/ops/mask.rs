//! Moving elements by mask.

use super::Op;
use super::copy::{as_contiguous, contiguous_copy, copy_into, started};
use super::device::{self, Row};
use crate::cpu::mask as kernel;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::rule::misfit;
use crate::tensor::{DType, Device, Dims, Scalar, Tensor, class_name, dims, sizes_text};

ops! {
    /// The elements of `x` where the ByteTensor `mask` is one, as a vector in row-major order.
    method function out: fn masked_select(x; mask: Tensor) -> (y): Any named "masked_select" as "MaskedSelectBackward" {
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = select_masked(x, &mask)?;
        grad x = |g| crate::ops::shape::sum_to(&unmask(g, mask.clone(), dims::broadcast("masked_select", &sizes, mask.sizes())?)?, &sizes)?, "g where mask is set, else 0";
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3])), (sample(&[2, 3]); bytes(&[1, 0, 1], &[3]))];
    }
    /// Zeros of `sizes` with the elements of the vector g where `mask` is one.
    : fn unmask(g; mask: Tensor, sizes: Dims) -> (x): Any named "masked_select" as "MaskedSelectBackwardBackward" {
        sized sizes;
        forward(out) = {
            let x = device::zeros("masked_select", g.dtype(), g.device(), &sizes)?;
            let ones = scatter_masked(&x, &mask, g)?;
            if ones != g.numel() || g.ndim() > 1 {
                return Err(misfit("masked_select", &[ones as i64], g.sizes()));
            }
            x
        };
        grad g = |h| masked_select(h, mask.clone())?, "h where mask is set";
        try [(sample(&[3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]), [2, 3])];
    }
    /// `x` with `value` where the ByteTensor `mask`, which expands to its size, is one.
    method in_place updates: fn masked_fill(x; mask: Tensor, value: Scalar) -> (y): Number named "masked_fill" as "MaskedFillBackward" {
        forward(out) = {
            value.check("masked_fill", x.dtype())?;
            chosen("masked_fill", x, &mask, value, true, out)?
        };
        grad x = |g| masked_fill(g, mask.clone(), Scalar::Int(0))?, "g, 0 where mask is set";
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]), 0.5)];
    }
    /// `x` with the next elements of `source` where `mask` is one.
    method in_place updates: fn masked_scatter(x, source; mask: Tensor) -> (y): Any named "masked_scatter" as "MaskedScatterBackward" {
        let count: i64 = source.numel() as i64;
        let sizes: Dims = Dims::from_slice(source.sizes());
        let own: Dims = Dims::from_slice(x.sizes());
        sized own;
        forward(out) = {
            let y = started(x, out)?;
            scatter_masked(&y, &mask, source)?;
            y
        };
        grad x = |g| masked_fill(g, mask.clone(), Scalar::Int(0))?, "g, 0 where mask is set";
        grad source = |g| {
            let part = masked_select(g, mask.clone())?;
            let rest = count - part.tensor.numel() as i64;
            let whole = if rest == 0 { part } else { crate::ops::shape::cat(&[part, crate::ops::shape::zeros_like(g, &[rest])?], 0)? };
            crate::ops::shape::reshape(&whole, &sizes)?
        }, "g where mask is set";
        try [(sample(&[2, 3]), sample(&[4]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]))];
    }
    /// The places of the elements that are not zero: a LongTensor with a row for each, in row-major
    /// order, and a column for each dimension; without dimensions when all are zero.
    method function out host places: fn nonzero(x) -> (y): Any named "nonzero" {
        forward(out) = places_of_nonzero(x)?;
        try [(crate::ops::sample::grid(&[2, 3])), (crate::ops::sample::grid(&[4]))];
    }
    /// g where the mask is one, else 0.
    : fn keep(g; mask: Tensor) -> (out): Number named "_keep" as "MaskedFillBackward" {
        forward(to) = chosen("keep", g, &mask, Scalar::Int(0), false, to)?;
        grad g = |h| keep(h, mask.clone())?, "h where mask is set, else 0";
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]))];
    }
}

/// Writes `value` into `y` where `mask` is one, without recording.
pub fn fill_masked(y: &Tensor, mask: &Tensor, value: Scalar) -> Result<()> {
    value.check("index", y.dtype())?;
    let mask = if mask.shares_memory(y) {
        contiguous_copy(mask)?
    } else {
        mask.clone()
    };
    chosen("index", y, &mask, value, true, &super::Out::Into(y)).map(drop)
}

/// A number where the mask is not one, and where it is.
pub static FORMULAS: &[Row] = &[
    row_formula!(keep Number [g mask] [value] "select(p0, a, b != 0)").masked(),
    row_formula!(masked_fill Number [x mask] [value] "select(a, p0, b != 0)").masked(),
];

/// `value` where the mask is (or, unless `inside`, is not) one, else x.
fn chosen(
    op: &str,
    x: &Tensor,
    mask: &Tensor,
    value: Scalar,
    inside: bool,
    out: &super::Out,
) -> Result<Tensor> {
    let mask = fitting_mask(op, mask, x)?;
    let y = out.make(op, x.kind(), x.sizes())?;
    if x.device() == Device::Gpu {
        let row = &FORMULAS[usize::from(inside)];
        device::choose(op, row, &[x, &mask], &[value], &y)?;
        return Ok(y);
    }
    kernel::count_ones(op, &mask)?;
    dispatch!(x.dtype(), T => {
        let value = value.to::<T>();
        if inside {
            crate::cpu::map::map2::<T, u8, T>(x, &mask, &y, |v, m| if m != 0 { value } else { v });
        } else {
            crate::cpu::map::map2::<T, u8, T>(x, &mask, &y, |v, m| if m != 0 { v } else { value });
        }
    });
    Ok(y)
}

/// `mask` expanded to the sizes of `x`.
///
/// # Errors
/// `TypeError` for anything but a ByteTensor of the same place, `RuntimeError` for other sizes.
fn fitting_mask(op: &str, mask: &Tensor, x: &Tensor) -> Result<Tensor> {
    if mask.kind() != (DType::U8, x.device()) {
        fail!(
            Type,
            "{op}: the mask must be a {}; got {}",
            class_name(DType::U8, x.device()),
            class_name(mask.dtype(), mask.device())
        );
    }
    if mask.sizes() == x.sizes() {
        return Ok(mask.clone());
    }
    match mask.expand(x.sizes()) {
        Ok(wide) => Ok(wide),
        Err(_) => fail!(
            Runtime,
            "{op}: a mask of size {} does not expand to the tensor's {}",
            sizes_text(mask.sizes()),
            sizes_text(x.sizes())
        ),
    }
}

/// Both operands expanded to their common size.
fn pair(op: &str, x: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
    if mask.kind() != (DType::U8, x.device()) {
        fitting_mask(op, mask, x)?;
    }
    let sizes = dims::broadcast(op, x.sizes(), mask.sizes())?;
    Ok((x.expand(&sizes)?, mask.expand(&sizes)?))
}

fn select_masked(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    const OP: &str = "masked_select";
    if mask.kind() != (DType::U8, x.device()) {
        fitting_mask(OP, mask, x)?;
    }
    let (x, mask) = if x.ndim() == 0 && mask.ndim() == 0 {
        (x.clone(), mask.clone())
    } else {
        pair(OP, x, mask)?
    };
    if x.device() == Device::Gpu {
        // How many there are decides the size, so the mask has to come to the CPU in any case.
        let y = select_masked(&device::to_cpu(&x)?, &device::to_cpu(&mask)?)?;
        return device::to_gpu(&y);
    }
    let ones = kernel::count_ones(OP, &mask)?;
    let sizes = if ones == 0 {
        Dims::new()
    } else {
        Dims::from_slice(&[ones as i64])
    };
    let y = Tensor::empty(OP, x.dtype(), &sizes)?;
    if ones > 0 {
        let (x, mask) = (as_contiguous(&x)?, as_contiguous(&mask)?);
        dispatch!(any x.dtype(), T => kernel::masked_select::<T>(&x, &mask, &y));
    }
    Ok(y)
}

/// Writes the next elements of `source` into `y` where `mask` is one, without recording; gives how
/// many there are.
///
/// # Errors
/// Another class, sizes that do not expand, or too few elements; nothing is written then.
pub fn scatter_masked(y: &Tensor, mask: &Tensor, source: &Tensor) -> Result<usize> {
    const OP: &str = "masked_scatter";
    let mask = fitting_mask(OP, mask, y)?;
    crate::tensor::dtype::same(OP, y.kind(), source.kind())?;
    if y.device() == Device::Gpu {
        let on_cpu = device::to_cpu(y)?;
        let ones = scatter_masked(&on_cpu, &device::to_cpu(&mask)?, &device::to_cpu(source)?)?;
        copy_into(y, &on_cpu)?;
        return Ok(ones);
    }
    let ones = kernel::count_ones(OP, &mask)?;
    if source.numel() < ones {
        fail!(
            Runtime,
            "{OP}: the mask has {ones} ones, but the source only {} elements",
            source.numel()
        );
    }
    let (mask, source) = (as_contiguous(&mask)?, as_contiguous(source)?);
    dispatch!(any y.dtype(), T => kernel::masked_scatter::<T>(y, &mask, &source));
    Ok(ones)
}

fn places_of_nonzero(x: &Tensor) -> Result<Tensor> {
    crate::tensor::dtype::computed("nonzero", x.dtype())?;
    let flat = as_contiguous(x)?;
    let make = |count: usize| {
        let sizes = [count as i64, x.ndim() as i64];
        let sizes = if count == 0 { &[] } else { sizes.as_slice() };
        Tensor::empty("nonzero", DType::I64, sizes)
    };
    dispatch!(x.dtype(), T => kernel::nonzero::<T>(&flat, make))
}
