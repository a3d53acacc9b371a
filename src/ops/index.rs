//! Moving slices and elements by index. Every index is checked before anything is written.

use super::Op;
use super::copy::{as_contiguous, started};
use super::device;
use crate::cpu::{index as kernel, slices};
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::rule::misfit;
use crate::tensor::{DType, Device, Dims, Element, Scalar, Tensor, class_name, sizes_text};

pub use super::mask::{FORMULAS, keep, masked_fill, masked_scatter, masked_select};

ops! {
    /// Slices of dimension `dim` in the order of the LongTensor vector `index`.
    ///
    /// Raises RuntimeError for an index out of range.
    method function out: fn index_select(x; dim: i64, index: Tensor) -> (y): Any named "index_select" as "IndexSelectBackward" {
        let d: i64 = wrap_dim("index_select", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = select_rows(x, d as usize, &index)?;
        grad x = |g| unselect(g, d, index.clone(), sizes.clone())?, "g added up where index took it from";
        try [(sample(&[4, 3]); 0i64, longs(&[2, 0, 2], &[3])), (sample(&[2, 3]); -1i64, longs(&[1], &[1])), (sample(&[2, 3, 2]); 1i64, longs(&[2, 2], &[2]))];
    }
    /// Zeros of `sizes` with the slices of g added where `index` says.
    : fn unselect(g; dim: i64, index: Tensor, sizes: Dims) -> (x): Number named "index_add" as "IndexAddBackward" {
        sized sizes;
        forward(out) = {
            let x = device::zeros("index_select", g.dtype(), g.device(), &sizes)?;
            add_rows(&x, dim as usize, &index, g)?;
            x
        };
        grad g = |h| index_select(h, dim, index.clone())?, "h at index";
        try [(sample(&[3, 3]); 0i64, longs(&[2, 0, 2], &[3]), [4, 3])];
    }
    /// `x` with the slices of `source` added to those along `dim` that the LongTensor vector `index` names.
    ///
    /// Raises RuntimeError for an index out of range; nothing is added then.
    method in_place updates: fn index_add(x, source; dim: i64, index: Tensor) -> (y): Number named "index_add" as "IndexAddBackward" {
        let d: i64 = wrap_dim("index_add", dim, x.ndim())? as i64;
        let own: Dims = Dims::from_slice(x.sizes());
        sized own;
        forward(out) = {
            let y = started(x, out)?;
            add_rows(&y, d as usize, &index, source)?;
            y
        };
        grad x = |g| g.clone();
        grad source = |g| index_select(g, d, index.clone())?, "g at index";
        try [(sample(&[4, 3]), sample(&[3, 3]); 0i64, longs(&[2, 0, 2], &[3])), (sample(&[2, 3]), sample(&[2, 2]); -1i64, longs(&[1, 1], &[2])), (sample(&[3]), sample(&[2]); 0i64, longs(&[1, 1], &[2]))];
    }
    /// `x` with the slices of `source` in place of those along `dim` that the LongTensor vector `index` names.
    ///
    /// Of equal indices the last one counts. Raises RuntimeError for an index out of range; nothing is written then.
    method in_place updates host: fn index_copy(x, source; dim: i64, index: Tensor) -> (y): Any named "index_copy" as "IndexCopyBackward" {
        let d: i64 = wrap_dim("index_copy", dim, x.ndim())? as i64;
        let own: Dims = Dims::from_slice(x.sizes());
        sized own;
        forward(out) = {
            let y = started(x, out)?;
            write_rows("index_copy", &y, d as usize, &index, source)?;
            y
        };
        grad x = |g| index_fill(g, d, index.clone(), Scalar::Int(0))?, "g, 0 at index";
        grad source = |g| index_select(g, d, index.clone())?, "g at index";
        try [(sample(&[4, 3]), sample(&[2, 3]); 0i64, longs(&[2, 0], &[2])), (sample(&[2, 3]), sample(&[2, 2]); 1i64, longs(&[1, 2], &[2]))];
    }
    /// `x` with `value` in the slices along `dim` that the LongTensor vector `index` names.
    method in_place updates host: fn index_fill(x; dim: i64, index: Tensor, value: Scalar) -> (y): Any named "index_fill" as "IndexFillBackward" {
        let d: i64 = wrap_dim("index_fill", dim, x.ndim())? as i64;
        forward(out) = {
            value.check("index_fill", x.dtype())?;
            let one = device::empty("index_fill", x.dtype(), x.device(), &[1])?;
            crate::ops::copy::fill_with(&one, value)?;
            let y = started(x, out)?;
            vector("index_fill", &index, x)?;
            let mut sizes = Dims::from_slice(x.sizes());
            sizes[d as usize] = index.numel() as i64;
            write_rows("index_fill", &y, d as usize, &index, &one.expand(&sizes)?)?;
            y
        };
        grad x = |g| index_fill(g, d, index.clone(), Scalar::Int(0))?, "g, 0 at index";
        try [(sample(&[4, 3]); 0i64, longs(&[2, 0, 2], &[3]), 0.5), (sample(&[3]); 0i64, longs(&[1], &[1]), 2.0)];
    }
    /// Along `dim`, the element that `index` names: y[i][j] = x[index[i][j]][j] for dim 0.
    ///
    /// Raises RuntimeError when sizes disagree or an index is out of range.
    method function out: fn gather(x; dim: i64, index: Tensor) -> (y): Any named "gather" as "GatherBackward" {
        let d: i64 = wrap_dim("gather", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = gathered(x, d as usize, &index)?;
        grad x = |g| put_along(g, d, index.clone(), sizes.clone())?, "g added up where index took it from";
        try [(sample(&[3, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2])), (sample(&[2, 3]); 1i64, longs(&[0, 0, 2, 1], &[2, 2])), (sample(&[3]); 0i64, longs(&[2, 2], &[2]))];
    }
    /// Zeros of `sizes` with the elements of g added where `index` says along `dim`.
    : fn put_along(g; dim: i64, index: Tensor, sizes: Dims) -> (x): Number named "scatter_add" as "ScatterAddBackward" {
        sized sizes;
        forward(out) = {
            let x = device::zeros("gather", g.dtype(), g.device(), &sizes)?;
            if g.sizes() != index.sizes() {
                return Err(misfit("gather", index.sizes(), g.sizes()));
            }
            scatter_with(&x, dim as usize, &index, g, true)?;
            x
        };
        grad g = |h| gather(h, dim, index.clone())?, "h at index";
        try [(sample(&[2, 2]); 0i64, longs(&[2, 0, 2, 1], &[2, 2]), [3, 2])];
    }
    /// `x` with the elements of `src` added where `index` says along `dim`.
    method in_place updates: fn scatter_add(x, src; dim: i64, index: Tensor) -> (y): Number named "scatter_add" as "ScatterAddBackward" {
        let d: i64 = wrap_dim("scatter_add", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(src.sizes());
        let own: Dims = Dims::from_slice(x.sizes());
        sized own;
        forward(out) = {
            let y = started(x, out)?;
            scatter_with(&y, d as usize, &index, src, true)?;
            y
        };
        grad x = |g| g.clone();
        grad src = |g| spread_out(gather(g, d, index.clone())?, &sizes)?, "g at index";
        try [(sample(&[3, 2]), sample(&[2, 2]); 0i64, longs(&[2, 0, 2, 1], &[2, 2])), (sample(&[3, 2]), sample(&[3, 2]); 0i64, longs(&[2, 0, 2, 1], &[2, 2]))];
    }
    /// `x` with the elements of `src` written where `index` says along `dim`.
    ///
    /// Where one place is named more than once, the last along `dim` counts.
    method in_place updates: fn scatter(x, src; dim: i64, index: Tensor) -> (y): Any named "scatter" as "ScatterBackward0" {
        let d: i64 = wrap_dim("scatter", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(src.sizes());
        let own: Dims = Dims::from_slice(x.sizes());
        sized own;
        forward(out) = {
            let y = started(x, out)?;
            scatter_with(&y, d as usize, &index, src, false)?;
            y
        };
        grad x = |g| scatter_number(g, d, index.clone(), Scalar::Int(0))?, "g, 0 at index";
        grad src = |g| spread_out(gather(g, d, index.clone())?, &sizes)?, "g at index";
        try [(sample(&[3, 2]), sample(&[2, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2])), (sample(&[2, 3]), sample(&[3, 3]); 1i64, longs(&[2, 0, 1, 0], &[2, 2]))];
    }
    /// `x` with `value` written where `index` says along `dim`.
    method in_place updates: fn scatter_number(x; dim: i64, index: Tensor, value: Scalar) -> (y): Any named "scatter" as "ScatterBackward1" {
        let d: i64 = wrap_dim("scatter", dim, x.ndim())? as i64;
        forward(out) = {
            value.check("scatter", x.dtype())?;
            along("scatter", x, d as usize, &index)?;
            let one = device::empty("scatter", x.dtype(), x.device(), &[1])?;
            crate::ops::copy::fill_with(&one, value)?;
            let y = started(x, out)?;
            scatter_with(&y, d as usize, &index, &one.expand(index.sizes())?, false)?;
            y
        };
        grad x = |g| scatter_number(g, d, index.clone(), Scalar::Int(0))?, "g, 0 at index";
        try [(sample(&[3, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2]), 0.5)];
    }
    /// The elements at the row-major places that the LongTensor `index` names, in its size. Negative
    /// places count from the end.
    ///
    /// Raises RuntimeError for a place out of range.
    method function out host: fn take(x; index: Tensor) -> (y): Any named "take" as "TakeBackward" {
        let sizes: Dims = Dims::from_slice(x.sizes());
        sized index.sizes();
        forward(out) = taken(x, &index)?;
        grad x = |g| untake(g, index.clone(), sizes.clone())?, "g added up where index took it from";
        try [(sample(&[3, 2]); longs(&[5, 0, 0, -2], &[2, 2])), (sample(&[3]); longs(&[1], &[1]))];
    }
    /// Zeros of `sizes` with the elements of g added where `take` took them.
    host: fn untake(g; index: Tensor, sizes: Dims) -> (x): Number named "put" as "PutBackward" {
        sized sizes;
        forward(out) = {
            let x = device::zeros("take", g.dtype(), g.device(), &sizes)?;
            put_into(&x, &index, g, true)?;
            x
        };
        grad g = |h| take(h, index.clone())?, "h at index";
        try [(sample(&[2, 2]); longs(&[5, 0, 0, -2], &[2, 2]), [3, 2])];
    }
    /// `x` with the elements of `source` written to the row-major places that the LongTensor `index`
    /// names, or added there when `accumulate` is true. Negative places count from the end.
    ///
    /// Of equal places the last one counts. Raises RuntimeError for a place out of range; nothing is written then.
    method in_place updates host: fn put(x, source; index: Tensor, accumulate: bool = false) -> (y): Number named "put" as "PutBackward" {
        let sizes: Dims = Dims::from_slice(source.sizes());
        let own: Dims = Dims::from_slice(x.sizes());
        sized own;
        forward(out) = {
            let y = started(x, out)?;
            put_into(&y, &index, source, accumulate)?;
            y
        };
        grad x = |g| if accumulate { g.clone() } else {
            put(g, &crate::ops::shape::zeros_like(g, index.sizes())?, index.clone(), false)?
        }, "g, 0 at index unless values are added";
        grad source = |g| crate::ops::shape::reshape(&take(g, index.clone())?, &sizes)?, "g at index";
        try [
            (sample(&[3, 2]), sample(&[4]); longs(&[5, 0, 1, -3], &[2, 2]), false),
            (sample(&[3, 2]), sample(&[2, 2]); longs(&[5, 0, 0, -2], &[2, 2]), true),
        ];
    }
}

/// `g`, the gradient of a source's first elements, with zeros for the elements that were not read.
fn spread_out(g: crate::graph::Var, sizes: &Dims) -> Result<crate::graph::Var> {
    let mut out = g;
    for (d, &size) in sizes.iter().enumerate() {
        let mut missing = Dims::from_slice(out.sizes());
        missing[d] = size - out.sizes()[d];
        if missing[d] > 0 {
            let zeros = crate::ops::shape::zeros_like(&out, &missing)?;
            out = crate::ops::shape::cat(&[out, zeros], d as i64)?;
        }
    }
    Ok(out)
}

/// Fails unless `index` is a LongTensor where `x` is.
pub(super) fn long(op: &str, index: &Tensor, x: &Tensor) -> Result<()> {
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

/// Fails unless `index` is a vector of longs.
fn vector(op: &str, index: &Tensor, x: &Tensor) -> Result<()> {
    long(op, index, x)?;
    if index.ndim() != 1 {
        fail!(
            Runtime,
            "{op}: the index must be a vector; got size {}",
            sizes_text(index.sizes())
        );
    }
    Ok(())
}

pub(super) fn select_rows(x: &Tensor, dim: usize, index: &Tensor) -> Result<Tensor> {
    const OP: &str = "index_select";
    vector(OP, index, x)?;
    let mut sizes = Dims::from_slice(x.sizes());
    sizes[dim] = index.sizes()[0];
    // Memory comes first: an expanded index may name more than there is memory for.
    let y = device::empty(OP, x.dtype(), x.device(), &sizes)?;
    if x.device() == Device::Gpu {
        device::index_select(x, dim, index, &y)?;
        return Ok(y);
    }
    kernel::check(OP, index, x.sizes()[dim])?;
    dispatch!(any x.dtype(), T => slices::select::<T>(x, dim, index, &y));
    Ok(y)
}

/// Fails unless `x` has a slice of the size of those of `y` for each index.
fn covers(op: &str, y: &Tensor, dim: usize, index: &Tensor, x: &Tensor) -> Result<()> {
    vector(op, index, y)?;
    crate::tensor::dtype::same(op, y.kind(), x.kind())?;
    let fits = x.ndim() == y.ndim()
        && x.sizes()[dim] == index.sizes()[0]
        && (0..y.ndim()).all(|d| d == dim || x.sizes()[d] == y.sizes()[d]);
    if !fits {
        fail!(
            Runtime,
            "{op}: {} indices for slices of {} along dimension {dim} of {}; the source needs one slice of the tensor's size for each index",
            index.numel(),
            sizes_text(x.sizes()),
            sizes_text(y.sizes())
        );
    }
    Ok(())
}

fn add_rows(y: &Tensor, dim: usize, index: &Tensor, x: &Tensor) -> Result<()> {
    const OP: &str = "index_add";
    covers(OP, y, dim, index, x)?;
    if y.device() == Device::Gpu {
        return device::index_add(y, dim, index, x);
    }
    kernel::check(OP, index, y.sizes()[dim])?;
    dispatch!(y.dtype(), T => slices::write::<T>(y, dim, index, x, T::plus));
    Ok(())
}

fn write_rows(op: &str, y: &Tensor, dim: usize, index: &Tensor, x: &Tensor) -> Result<()> {
    covers(op, y, dim, index, x)?;
    kernel::check(op, index, y.sizes()[dim])?;
    dispatch!(any y.dtype(), T => slices::write::<T>(y, dim, index, x, |_, v| v));
    Ok(())
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

pub(super) fn gathered(x: &Tensor, dim: usize, index: &Tensor) -> Result<Tensor> {
    along("gather", x, dim, index)?;
    let y = device::empty("gather", x.dtype(), x.device(), index.sizes())?;
    if x.device() == Device::Gpu {
        device::gather(x, dim, index, &y)?;
        return Ok(y);
    }
    kernel::check("gather", index, x.sizes()[dim])?;
    dispatch!(any x.dtype(), T => kernel::gather::<T>(x, dim, index, &y));
    Ok(y)
}

pub(super) fn scatter_with(
    y: &Tensor,
    dim: usize,
    index: &Tensor,
    src: &Tensor,
    add: bool,
) -> Result<()> {
    let op = if add { "scatter_add" } else { "scatter" };
    along(op, y, dim, index)?;
    crate::tensor::dtype::same(op, y.kind(), src.kind())?;
    crate::tensor::dtype::computed(op, y.dtype())?;
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

fn taken(x: &Tensor, index: &Tensor) -> Result<Tensor> {
    const OP: &str = "take";
    long(OP, index, x)?;
    let count = x.numel() as i64;
    let y = Tensor::empty(OP, x.dtype(), index.sizes())?;
    kernel::within(OP, index, -count, count)?;
    dispatch!(any x.dtype(), T => kernel::take::<T>(x, index, &y));
    Ok(y)
}

fn put_into(y: &Tensor, index: &Tensor, x: &Tensor, add: bool) -> Result<()> {
    const OP: &str = "put_";
    long(OP, index, y)?;
    crate::tensor::dtype::same(OP, y.kind(), x.kind())?;
    crate::tensor::dtype::computed(OP, y.dtype())?;
    if index.numel() != x.numel() {
        fail!(
            Runtime,
            "{OP}: {} places for {} elements; the source needs one for each place",
            index.numel(),
            x.numel()
        );
    }
    let count = y.numel() as i64;
    kernel::within(OP, index, -count, count)?;
    let (index, x) = (as_contiguous(index)?, as_contiguous(x)?);
    dispatch!(y.dtype(), T => if add {
        kernel::put::<T>(y, &index, &x, T::plus);
    } else {
        kernel::put::<T>(y, &index, &x, |_, v| v);
    });
    Ok(())
}
