//! Order statistics: sorting, and elements chosen by their rank. Equal elements keep their order,
//! NaN counts as the largest of all.

use super::Op;
use super::copy::as_contiguous;
use super::index::put_along;
use super::reduce::{all_ties, extremum, reduced, restore};
use crate::cpu::sort as kernel;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, Dims, Tensor, sizes_text};

/// The last dimension, where 0.3 looks when none is given.
const LAST: i64 = -1;

ops! {
    /// Sorts the last dimension: the elements in order, and where each was.
    method function out host: fn sort_last(x; descending: bool = false) -> (y, indices): Number named "sort" as "SortBackward" {
        let d: i64 = wrap_dim("sort", LAST, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = ordered(x, d as usize, descending)?;
        grad x = |g, indices| put_along(g, d, indices.tensor.clone(), sizes.clone())?, "g put where x was taken from";
        try [(sample(&[5]); false), (sample(&[2, 3]); true)];
    }
    /// Sorts dimension `dim`: the elements in order, and where each was.
    method function out host: fn sort(x; dim: i64, descending: bool = false) -> (y, indices): Number named "sort" as "SortBackward" {
        let d: i64 = wrap_dim("sort", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = ordered(x, d as usize, descending)?;
        grad x = |g, indices| put_along(g, d, indices.tensor.clone(), sizes.clone())?, "g put where x was taken from";
        try [(sample(&[5]); 0i64, false), (sample(&[3, 2]); 0i64, true), (sample(&[2, 3]); 1i64, false)];
    }
    /// The `k` largest (or smallest) elements of the last dimension, and where they are.
    method function out host: fn topk_last(x; k: i64, largest: bool = true, sorted: bool = true) -> (y, indices): Number named "topk" as "TopkBackward" {
        let d: i64 = wrap_dim("topk", LAST, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = top(x, k, d as usize, largest, sorted)?;
        grad x = |g, indices| put_along(g, d, indices.tensor.clone(), sizes.clone())?, "g put where x was taken from";
        try [(sample(&[5]); 2i64, true, true), (sample(&[2, 3]); 3i64, false, true), (sample(&[4]); 2i64, false, false)];
    }
    /// The `k` largest (or smallest) elements along `dim`, and where they are; in order if `sorted`.
    ///
    /// Raises RuntimeError unless 1 <= k <= the size of the dimension.
    method function out host: fn topk(x; k: i64, dim: i64, largest: bool = true, sorted: bool = true) -> (y, indices): Number named "topk" as "TopkBackward" {
        let d: i64 = wrap_dim("topk", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = top(x, k, d as usize, largest, sorted)?;
        grad x = |g, indices| put_along(g, d, indices.tensor.clone(), sizes.clone())?, "g put where x was taken from";
        try [(sample(&[5]); 1i64, 0i64, true, true), (sample(&[3, 2]); 2i64, 0i64, false, true)];
    }
    /// The k-th smallest element (counted from 1) of the last dimension, and where it is.
    method function out host: fn kthvalue_last(x; k: i64, keepdim: bool = false) -> (y, indices): Number named "kthvalue" as "KthvalueBackward" {
        let d: i64 = wrap_dim("kthvalue", LAST, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = ranked("kthvalue", x, k, d as usize, keepdim)?;
        grad x = |g, indices| restore(g, &indices.tensor, sizes.clone(), d, keepdim)?, "g put where x was taken from";
        try [(sample(&[5]); 2i64, false), (sample(&[2, 3]); 3i64, true)];
    }
    /// The k-th smallest element (counted from 1) of each line along `dim`, and where it is.
    ///
    /// Raises RuntimeError unless 1 <= k <= the size of the dimension.
    method function out host: fn kthvalue(x; k: i64, dim: i64, keepdim: bool = false) -> (y, indices): Number named "kthvalue" as "KthvalueBackward" {
        let d: i64 = wrap_dim("kthvalue", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = ranked("kthvalue", x, k, d as usize, keepdim)?;
        grad x = |g, indices| restore(g, &indices.tensor, sizes.clone(), d, keepdim)?, "g put where x was taken from";
        try [(sample(&[5]); 1i64, 0i64, false), (sample(&[3, 2]); 2i64, 0i64, false)];
    }
    /// Median of all elements, the lower one of an even count; every element equal to it gets the gradient.
    number method function host: fn median(x) -> (y): Number named "median" as "MedianBackward0" {
        sized [1i64];
        forward(out) = {
            let n = x.numel() as i64;
            if n == 0 {
                fail!(Runtime, "median: an empty tensor has none; check numel() first");
            }
            ranked("median", &as_contiguous(x)?.view(&[n])?, (n + 1) / 2, 0, false)?.0
        };
        grad x = |g, x, y| all_ties(g, x, y)?, "g where x = y, else 0";
        try [(sample(&[5])), (sample(&[2, 3]))];
    }
    /// Median of each line along the last dimension, the lower one of an even count, and where it is.
    method function out host: fn median_last(x; keepdim: bool) -> (y, indices): Number named "median" as "MedianBackward1" {
        let d: i64 = wrap_dim("median", LAST, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = ranked("median", x, (sizes[d as usize] + 1) / 2, d as usize, keepdim)?;
        grad x = |g, indices| restore(g, &indices.tensor, sizes.clone(), d, keepdim)?, "g put where x was taken from";
        try [(sample(&[2, 3]); true)];
    }
    /// Median of each line along `dim`, the lower one of an even count, and where it is.
    method function out host: fn median_dim(x; dim: i64, keepdim: bool = false) -> (y, indices): Number named "median" as "MedianBackward1" {
        let d: i64 = wrap_dim("median", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = ranked("median", x, (sizes[d as usize] + 1) / 2, d as usize, keepdim)?;
        grad x = |g, indices| restore(g, &indices.tensor, sizes.clone(), d, keepdim)?, "g put where x was taken from";
        try [(sample(&[5]); 0i64, false), (sample(&[4, 2]); 0i64, true)];
    }
    /// The most frequent element of the last dimension, the smallest of several, and where it is last.
    method function out host: fn mode_last(x; keepdim: bool = false) -> (y, indices): Number named "mode" as "ModeBackward" {
        let d: i64 = wrap_dim("mode", LAST, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = frequent(x, d as usize, keepdim)?;
        grad x = |g, indices| restore(g, &indices.tensor, sizes.clone(), d, keepdim)?, "g put where x was taken from";
        try [(sample(&[5]); false), (sample(&[2, 3]); true)];
    }
    /// The most frequent element of each line along `dim`, the smallest of several, and where it is last.
    method function out host: fn mode(x; dim: i64, keepdim: bool = false) -> (y, indices): Number named "mode" as "ModeBackward" {
        let d: i64 = wrap_dim("mode", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = frequent(x, d as usize, keepdim)?;
        grad x = |g, indices| restore(g, &indices.tensor, sizes.clone(), d, keepdim)?, "g put where x was taken from";
        try [(sample(&[3, 2]); 0i64, false)];
    }
    /// Where the largest element of each line along `dim` is: the first of equals, or the first NaN.
    method function out: fn argmax(x; dim: i64, keepdim: bool = false) -> (indices): Number named "argmax" {
        forward(out) = extremum("argmax", x, wrap_dim("argmax", dim, x.ndim())?, keepdim, true)?.1;
        try [(sample(&[5]); 0i64, false), (sample(&[2, 3]); 1i64, true)];
    }
    /// Where the smallest element of each line along `dim` is: the first of equals, or the first NaN.
    method function out: fn argmin(x; dim: i64, keepdim: bool = false) -> (indices): Number named "argmin" {
        forward(out) = extremum("argmin", x, wrap_dim("argmin", dim, x.ndim())?, keepdim, false)?.1;
        try [(sample(&[5]); 0i64, false), (sample(&[3, 2]); 0i64, false)];
    }
}

/// Values and indices along `d`, where `count` of each line will be.
fn results(op: &str, x: &Tensor, d: usize, count: i64) -> Result<(Tensor, Tensor)> {
    let mut sizes = Dims::from_slice(x.sizes());
    sizes[d] = count;
    Ok((
        Tensor::empty(op, x.dtype(), &sizes)?,
        Tensor::empty(op, DType::I64, &sizes)?,
    ))
}

fn ordered(x: &Tensor, d: usize, descending: bool) -> Result<(Tensor, Tensor)> {
    let (y, indices) = results("sort", x, d, x.sizes()[d])?;
    dispatch!(x.dtype(), T => kernel::sort::<T>("sort", [x, &y, &indices], d, descending)?);
    Ok((y, indices))
}

/// Fails unless there is a `k`-th element along `d`.
fn check_rank(op: &str, x: &Tensor, k: i64, d: usize) -> Result<()> {
    if k < 1 || k > x.sizes()[d] {
        fail!(
            Runtime,
            "{op}: k must be from 1 to {}, the size of dimension {d} of {}; got {k}",
            x.sizes()[d],
            sizes_text(x.sizes())
        );
    }
    Ok(())
}

fn top(x: &Tensor, k: i64, d: usize, largest: bool, sorted: bool) -> Result<(Tensor, Tensor)> {
    check_rank("topk", x, k, d)?;
    let (y, indices) = results("topk", x, d, k)?;
    let all = [x, &y, &indices];
    dispatch!(x.dtype(), T => kernel::top::<T>("topk", all, d, k as usize, largest, sorted)?);
    Ok((y, indices))
}

fn ranked(op: &str, x: &Tensor, k: i64, d: usize, keepdim: bool) -> Result<(Tensor, Tensor)> {
    check_rank(op, x, k, d)?;
    let (y, indices) = results(op, x, d, 1)?;
    let all = [x, &y, &indices];
    dispatch!(x.dtype(), T => kernel::select::<T>(op, all, d, k as usize - 1)?);
    let sizes = reduced(x.sizes(), d, keepdim);
    Ok((y.view(&sizes)?, indices.view(&sizes)?))
}

fn frequent(x: &Tensor, d: usize, keepdim: bool) -> Result<(Tensor, Tensor)> {
    let (y, indices) = results("mode", x, d, 1)?;
    dispatch!(x.dtype(), T => kernel::mode::<T>("mode", [x, &y, &indices], d)?);
    let sizes = reduced(x.sizes(), d, keepdim);
    Ok((y.view(&sizes)?, indices.view(&sizes)?))
}
