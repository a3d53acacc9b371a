//! Windows that slide along a dimension.

use super::Op;
use super::device;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::rule::misfit;
use crate::tensor::{Dims, Element, Tensor, dims, sizes_text};

ops! {
    /// All windows of `size` elements along `dimension`, `step` apart, as a new last dimension. A view.
    ///
    /// Raises RuntimeError for a window larger than the dimension and for a step below one.
    method view: fn unfold(x; dimension: i64, size: i64, step: i64) -> (y): Any named "unfold" as "UnfoldBackward" {
        let d: i64 = wrap_dim("unfold", dimension, x.ndim())? as i64;
        let back: Dims = Dims::from_slice(x.sizes());
        forward(out) = windows(x, d as usize, size, step)?;
        grad x = |g| fold(g, back.clone(), d, size, step)?, "g added up over the windows";
        try [(sample(&[6]); 0i64, 3i64, 1i64), (sample(&[2, 5]); -1i64, 2i64, 2i64), (sample(&[4, 2]); 0i64, 2i64, 3i64)];
    }
    /// Zeros of `sizes` with the windows g along dimension `dim` added where they were taken.
    host: fn fold(g; sizes: Dims, dim: i64, size: i64, step: i64) -> (x): Number named "unfold" as "UnfoldBackwardBackward" {
        sized sizes;
        forward(out) = {
            let x = device::zeros("unfold", g.dtype(), g.device(), &sizes)?;
            add_windows(&x, g, dim as usize, size, step)?;
            x
        };
        grad g = |h| unfold(h, dim, size, step)?, "the windows of h";
        try [(sample(&[4, 3]); [6], 0i64, 3i64, 1i64), (sample(&[2, 2, 2]); [2, 5], 1i64, 2i64, 2i64)];
    }
}

fn windows(x: &Tensor, dim: usize, size: i64, step: i64) -> Result<Tensor> {
    let have = x.sizes()[dim];
    if size < 1 || size > have || step < 1 {
        fail!(
            Runtime,
            "unfold: windows of {size} elements, {step} apart, do not fit dimension {dim} of size {have} (of {}); size is 1 to {have}, step at least 1",
            sizes_text(x.sizes())
        );
    }
    let mut sizes = Dims::from_slice(x.sizes());
    let mut strides = Dims::from_slice(x.strides());
    sizes[dim] = (have - size) / step + 1;
    sizes.push(size);
    strides.push(strides[dim]);
    // One window has no step, and a step beyond the dimension would overflow the stride.
    strides[dim] *= if sizes[dim] == 1 { 1 } else { step };
    dims::count("unfold", &sizes)?;
    x.as_strided(&sizes, &strides, x.offset() as i64)
}

/// One element of all windows after the other: those are apart, and so the order is fixed.
fn add_windows(x: &Tensor, g: &Tensor, dim: usize, size: i64, step: i64) -> Result<()> {
    // Windows of other sizes would lead outside.
    let own = windows(x, dim, size, step)?;
    if g.sizes() != own.sizes() {
        return Err(misfit("unfold", own.sizes(), g.sizes()));
    }
    let count = g.sizes()[dim];
    for i in 0..size {
        let to = x.stepped(dim, i, count, if count == 1 { 1 } else { step })?;
        let from = g.select(-1, i)?;
        dispatch!(x.dtype(), T => crate::cpu::map::map2::<T, T, T>(&to, &from, &to, T::plus));
    }
    Ok(())
}
