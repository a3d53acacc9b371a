//! Moving elements by index or mask.

use super::Op;
use super::copy::{as_contiguous, contiguous_copy, copy_into};
use super::device::{self, Row};
use crate::cpu::index as kernel;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, Device, Dims, Element, Scalar, Tensor, class_name, dims, sizes_text};

ops! {
    /// Slices of dimension `dim` in the order of the LongTensor vector `index`.
    ///
    /// Raises RuntimeError for an index out of range.
    method function out: fn index_select(x; dim: i64, index: Tensor) -> (y): Any named "index_select" as "IndexSelectBackward" {
        let d: i64 = wrap_dim("index_select", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = select_rows(x, d as usize, &index)?;
        grad x = |g| unselect(g, d, index.clone(), sizes.clone())?;
        try [(sample(&[4, 3]); 0i64, longs(&[2, 0, 2], &[3])), (sample(&[2, 3]); -1i64, longs(&[1], &[1]))];
    }
    /// Zeros of `sizes` with the slices of g added where `index` says.
    : fn unselect(g; dim: i64, index: Tensor, sizes: Dims) -> (x): Number named "index_add" as "IndexAddBackward" {
        forward(out) = {
            let x = device::zeros("index_select", g.dtype(), g.device(), &sizes)?;
            add_rows(&x, dim as usize, &index, g)?;
            x
        };
        grad g = |h| index_select(h, dim, index.clone())?;
        try [(sample(&[3, 3]); 0i64, longs(&[2, 0, 2], &[3]), [4, 3])];
    }
    /// Along `dim`, the element that `index` names: y[i][j] = x[index[i][j]][j] for dim 0.
    ///
    /// Raises RuntimeError when sizes disagree or an index is out of range.
    method function out: fn gather(x; dim: i64, index: Tensor) -> (y): Any named "gather" as "GatherBackward" {
        let d: i64 = wrap_dim("gather", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = gathered(x, d as usize, &index)?;
        grad x = |g| put_along(g, d, index.clone(), sizes.clone())?;
        try [(sample(&[3, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2])), (sample(&[2, 3]); 1i64, longs(&[0, 0, 2, 1], &[2, 2]))];
    }
    /// Zeros of `sizes` with the elements of g added where `index` says along `dim`.
    : fn put_along(g; dim: i64, index: Tensor, sizes: Dims) -> (x): Number named "scatter_add" as "ScatterAddBackward" {
        forward(out) = {
            let x = device::zeros("gather", g.dtype(), g.device(), &sizes)?;
            scatter_with(&x, dim as usize, &index, g, true)?;
            x
        };
        grad g = |h| gather(h, dim, index.clone())?;
        try [(sample(&[2, 2]); 0i64, longs(&[2, 0, 2, 1], &[2, 2]), [3, 2])];
    }
    /// `x` with the elements of `src` added where `index` says along `dim`.
    in_place: fn scatter_add(x, src; dim: i64, index: Tensor) -> (y): Number named "scatter_add" as "ScatterAddBackward" {
        let d: i64 = wrap_dim("scatter_add", dim, x.ndim())? as i64;
        forward(out) = {
            let y = contiguous_copy(x)?;
            scatter_with(&y, d as usize, &index, src, true)?;
            y
        };
        grad x = |g| g.clone();
        grad src = |g| gather(g, d, index.clone())?;
        try [(sample(&[3, 2]), sample(&[2, 2]); 0i64, longs(&[2, 0, 2, 1], &[2, 2]))];
    }
    /// `x` with the elements of `src` written where `index` says along `dim`.
    in_place: fn scatter(x, src; dim: i64, index: Tensor) -> (y): Any named "scatter" as "ScatterBackward0" {
        let d: i64 = wrap_dim("scatter", dim, x.ndim())? as i64;
        forward(out) = {
            let y = contiguous_copy(x)?;
            scatter_with(&y, d as usize, &index, src, false)?;
            y
        };
        grad x = |g| scatter_number(g, d, index.clone(), Scalar::Int(0))?;
        grad src = |g| gather(g, d, index.clone())?;
        try [(sample(&[3, 2]), sample(&[2, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2]))];
    }
    /// `x` with `value` written where `index` says along `dim`.
    in_place: fn scatter_number(x; dim: i64, index: Tensor, value: Scalar) -> (y): Any named "scatter" as "ScatterBackward1" {
        let d: i64 = wrap_dim("scatter", dim, x.ndim())? as i64;
        forward(out) = {
            value.check("scatter", x.dtype())?;
            let one = device::empty("scatter", x.dtype(), x.device(), &[1])?;
            crate::ops::copy::fill_with(&one, value)?;
            let y = contiguous_copy(x)?;
            scatter_with(&y, d as usize, &index, &one.expand(index.sizes())?, false)?;
            y
        };
        grad x = |g| scatter_number(g, d, index.clone(), Scalar::Int(0))?;
        try [(sample(&[3, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2]), 0.5)];
    }
    /// The elements of `x` where the ByteTensor `mask` is one, as a vector in row-major order.
    method function out: fn masked_select(x; mask: Tensor) -> (y): Any named "masked_select" as "MaskedSelectBackward" {
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = select_masked(x, &mask)?;
        grad x = |g| crate::ops::shape::sum_to(&unmask(g, mask.clone(), dims::broadcast("masked_select", &sizes, mask.sizes())?)?, &sizes)?;
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3])), (sample(&[2, 3]); bytes(&[1, 0, 1], &[3]))];
    }
    /// Zeros of `sizes` with the elements of the vector g where `mask` is one.
    : fn unmask(g; mask: Tensor, sizes: Dims) -> (x): Any named "masked_select" as "MaskedSelectBackwardBackward" {
        forward(out) = {
            let x = device::zeros("masked_select", g.dtype(), g.device(), &sizes)?;
            scatter_masked(&x, &mask, g)?;
            x
        };
        grad g = |h| masked_select(h, mask.clone())?;
        try [(sample(&[3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]), [2, 3])];
    }
    /// `x` with `value` where the ByteTensor `mask` is one.
    in_place: fn masked_fill(x; mask: Tensor, value: Scalar) -> (y): Number named "masked_fill" as "MaskedFillBackward" {
        forward(out) = {
            value.check("masked_fill", x.dtype())?;
            chosen("masked_fill", x, &mask, value, true, out)?
        };
        grad x = |g| masked_fill(g, mask.clone(), Scalar::Int(0))?;
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]), 0.5)];
    }
    /// `x` with the next elements of `source` where `mask` is one.
    in_place: fn masked_scatter(x, source; mask: Tensor) -> (y): Any named "masked_scatter" as "MaskedScatterBackward" {
        let count: i64 = source.numel() as i64;
        let sizes: Dims = Dims::from_slice(source.sizes());
        forward(out) = {
            let y = contiguous_copy(x)?;
            scatter_masked(&y, &mask, source)?;
            y
        };
        grad x = |g| masked_fill(g, mask.clone(), Scalar::Int(0))?;
        grad source = |g| {
            let part = masked_select(g, mask.clone())?;
            let rest = count - part.tensor.numel() as i64;
            let whole = if rest == 0 { part } else { crate::ops::shape::cat(&[part, crate::ops::shape::zeros_like(g, &[rest])?], 0)? };
            crate::ops::shape::reshape(&whole, &sizes)?
        };
        try [(sample(&[2, 3]), sample(&[4]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]))];
    }
    /// g where the mask is one, else 0.
    : fn keep(g; mask: Tensor) -> (out): Number named "_keep" as "MaskedFillBackward" {
        forward(to) = chosen("keep", g, &mask, Scalar::Int(0), false, to)?;
        grad g = |h| keep(h, mask.clone())?;
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]))];
    }
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

fn long(op: &str, index: &Tensor, x: &Tensor) -> Result<()> {
    if index.kind() != (DType::I64, x.device()) {
        fail!(
            Type,
            "{op}: the index must be a {}; got {}",
            class_name(DType::I64, x.device()),
            class_name(index.dtype(), index.device())
        );
    }
    Ok(())
}

fn select_rows(x: &Tensor, dim: usize, index: &Tensor) -> Result<Tensor> {
    const OP: &str = "index_select";
    long(OP, index, x)?;
    if index.ndim() != 1 {
        fail!(
            Runtime,
            "{OP}: the index must be a vector; got size {}",
            sizes_text(index.sizes())
        );
    }
    let mut sizes = Dims::from_slice(x.sizes());
    sizes[dim] = index.sizes()[0];
    let y = device::empty(OP, x.dtype(), x.device(), &sizes)?;
    if x.device() == Device::Gpu {
        device::index_select(x, dim, index, &y)?;
        return Ok(y);
    }
    kernel::check(OP, index, x.sizes()[dim])?;
    dispatch!(x.dtype(), T => kernel::select::<T>(x, dim, index, &y))?;
    Ok(y)
}

fn add_rows(y: &Tensor, dim: usize, index: &Tensor, x: &Tensor) -> Result<()> {
    const OP: &str = "index_add";
    long(OP, index, y)?;
    if x.sizes().get(dim) != index.sizes().first() {
        fail!(
            Runtime,
            "{OP}: {} indices for slices of {}",
            index.numel(),
            sizes_text(x.sizes())
        );
    }
    if y.device() == Device::Gpu {
        return device::index_add(y, dim, index, x);
    }
    kernel::check(OP, index, y.sizes()[dim])?;
    dispatch!(y.dtype(), T => kernel::add_rows::<T>(y, dim, index, x))
}

/// Fails unless `index` has x's dimensions and, but for `dim`, sizes of at most x's.
fn along(op: &str, x: &Tensor, dim: usize, index: &Tensor) -> Result<()> {
    long(op, index, x)?;
    let fits = index.ndim() == x.ndim()
        && (0..x.ndim()).all(|d| d == dim || index.sizes()[d] <= x.sizes()[d]);
    if !fits {
        fail!(
            Runtime,
            "{op}: the index of size {} does not fit the tensor of size {} along dimension {dim}",
            sizes_text(index.sizes()),
            sizes_text(x.sizes())
        );
    }
    Ok(())
}

fn gathered(x: &Tensor, dim: usize, index: &Tensor) -> Result<Tensor> {
    along("gather", x, dim, index)?;
    let y = device::empty("gather", x.dtype(), x.device(), index.sizes())?;
    if x.device() == Device::Gpu {
        device::gather(x, dim, index, &y)?;
        return Ok(y);
    }
    kernel::check("gather", index, x.sizes()[dim])?;
    dispatch!(x.dtype(), T => kernel::gather::<T>(x, dim, index, &y));
    Ok(y)
}

fn scatter_with(y: &Tensor, dim: usize, index: &Tensor, src: &Tensor, add: bool) -> Result<()> {
    let op = if add { "scatter_add" } else { "scatter" };
    along(op, y, dim, index)?;
    crate::tensor::dtype::same(op, y.kind(), src.kind())?;
    let fits =
        src.ndim() == index.ndim() && index.sizes().iter().zip(src.sizes()).all(|(i, s)| i <= s);
    if !fits {
        fail!(
            Runtime,
            "{op}: the source of size {} does not cover the index of size {}",
            sizes_text(src.sizes()),
            sizes_text(index.sizes())
        );
    }
    if y.device() == Device::Gpu {
        return device::scatter(y, dim, index, src, add);
    }
    kernel::check(op, index, y.sizes()[dim])?;
    dispatch!(y.dtype(), T => if add {
        kernel::scatter::<T>(y, dim, index, src, T::plus);
    } else {
        kernel::scatter::<T>(y, dim, index, src, |_, v| v);
    });
    Ok(())
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
    dispatch!(x.dtype(), T => kernel::masked_select::<T>(&x, &mask, &y));
    Ok(y)
}

fn scatter_masked(y: &Tensor, mask: &Tensor, source: &Tensor) -> Result<()> {
    const OP: &str = "masked_scatter";
    let mask = fitting_mask(OP, mask, y)?;
    crate::tensor::dtype::same(OP, y.kind(), source.kind())?;
    if y.device() == Device::Gpu {
        let on_cpu = device::to_cpu(y)?;
        scatter_masked(&on_cpu, &device::to_cpu(&mask)?, &device::to_cpu(source)?)?;
        return copy_into(y, &on_cpu);
    }
    let ones = kernel::count_ones(OP, &mask)?;
    if source.numel() < ones {
        fail!(
            Runtime,
            "{OP}: the mask has {ones} ones, but the source only {} elements",
            source.numel()
        );
    }
    let source = as_contiguous(source)?;
    dispatch!(y.dtype(), T => kernel::masked_scatter::<T>(y, &mask, &source));
    Ok(())
}
