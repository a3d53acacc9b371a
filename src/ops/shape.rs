//! Shapes: views that share memory, and joining.

use super::Op;
use super::copy::{as_contiguous, contiguous_copy, copy_into};
use super::{device, overlap};
use crate::error::Result;
use crate::fail;
use crate::graph::foreign::no_derivative;
use crate::graph::rule::misfit;
use crate::graph::{Rule, Step, Var};
use crate::tensor::{Dims, Tensor};

pub use super::join::cat;

ops! {
    /// Repeats dimensions of size one, without copying; -1 keeps a size.
    method view: fn expand(x; sizes: Dims) -> (y): Any named "expand" as "ExpandBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized expanded_sizes(&sizes, &back);
        forward(out) = x.expand(&sizes)?;
        grad x = |g| sum_to(g, &back)?, "g summed over what was repeated";
        try [(sample(&[1, 3]); [2, 3]), (sample(&[3]); [2, 3]), (sample(&[2, 1]); [-1, 3])];
    }
    /// The same elements in other sizes; one of them may be -1.
    method view: fn view(x; sizes: Dims) -> (y): Any named "view" as "ViewBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized inferred(&sizes, &back)?;
        forward(out) = x.view(&sizes)?;
        grad x = |g| reshape(g, &back)?, "g in the size of x";
        try [(sample(&[2, 3]); [6]), (sample(&[2, 3]); [3, -1])];
    }
    /// A copy with the same elements in other sizes.
    : fn resize(x; sizes: Dims) -> (y): Any named "resize" as "ResizeBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized inferred(&sizes, &back)?;
        forward(out) = contiguous_copy(x)?.view(&sizes)?;
        grad x = |g| reshape(g, &back)?, "g in the size of x";
        try [(sample(&[2, 3]); [3, 2])];
    }
    /// The transpose of a matrix.
    method function in_place view: fn t(x) -> (y): Any named "t" as "TBackward" {
        forward(out) = x.t()?;
        grad x = |g| t(g)?, "g.t()";
        try [(sample(&[2, 3]))];
    }
    /// Swaps two dimensions.
    method function in_place view: fn transpose(x; dim0: i64, dim1: i64) -> (y): Any named "transpose" as "TransposeBackward" {
        forward(out) = x.transpose(dim0, dim1)?;
        grad x = |g| transpose(g, dim0, dim1)?, "g transposed back";
        try [(sample(&[2, 3, 2]); 0i64, 1i64), (sample(&[2, 3]); -1i64, 0i64)];
    }
    /// Reorders all dimensions.
    method view: fn permute(x; dims: Dims) -> (y): Any named "permute" as "PermuteBackward" {
        let back: Dims = inverse(&dims, x.ndim());
        forward(out) = x.permute(&dims)?;
        grad x = |g| permute(g, back.clone())?, "g permuted back";
        try [(sample(&[2, 3, 2]); [1, 2, 0])];
    }
    /// Drops dimension `dim` if its size is one.
    method function in_place out view: fn squeeze_dim(x; dim: i64) -> (y): Any named "squeeze" as "SqueezeBackward1" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized squeezed(&back, Some(wrap_dim("squeeze", dim, back.len())?));
        forward(out) = x.squeeze_dim(dim)?;
        grad x = |g| reshape(g, &back)?, "g in the size of x";
        try [(sample(&[2, 1, 3]); 1i64), (sample(&[2, 3]); 0i64)];
    }
    /// Drops all dimensions of size one; at least one stays.
    method function in_place out view: fn squeeze(x) -> (y): Any named "squeeze" as "SqueezeBackward0" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized squeezed(&back, None);
        forward(out) = x.squeeze()?;
        grad x = |g| reshape(g, &back)?, "g in the size of x";
        try [(sample(&[2, 1, 3])), (sample(&[1, 1]))];
    }
    /// Inserts a dimension of size one.
    method function in_place out view: fn unsqueeze(x; dim: i64) -> (y): Any named "unsqueeze" as "UnsqueezeBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized unsqueezed(&back, wrap_dim("unsqueeze", dim, back.len() + 1)?);
        forward(out) = x.unsqueeze(dim)?;
        grad x = |g| reshape(g, &back)?, "g in the size of x";
        try [(sample(&[2, 3]); 1i64), (sample(&[2, 3]); -1i64)];
    }
    /// `length` slices of dimension `dimension` from `start`.
    method view: fn narrow(x; dimension: i64, start: i64, length: i64) -> (y): Any named "narrow" as "NarrowBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        let steps: Dims = Dims::from_slice(&[STEP_SLICE, wrap_dim("narrow", dimension, x.ndim())? as i64, start, length, 1]);
        forward(out) = x.narrow(dimension, start, length)?;
        grad x = |g| unindex(g, back.clone(), steps.clone())?, "g put where x was taken from";
        try [(sample(&[4, 3]); 0i64, 1i64, 2i64), (sample(&[2, 3]); 1i64, 2i64, 1i64)];
    }
    /// One slice of dimension `dim`, without that dimension; a vector keeps size one.
    method view: fn select(x; dim: i64, index: i64) -> (y): Any named "select" as "SelectBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        let steps: Dims = Dims::from_slice(&[STEP_SELECT, wrap_dim("select", dim, x.ndim())? as i64, index, 0, 0]);
        forward(out) = x.select(dim, index)?;
        grad x = |g| unindex(g, back.clone(), steps.clone())?, "g put where x was taken from";
        try [(sample(&[4, 3]); 0i64, 1i64), (sample(&[3]); 0i64, 2i64), (sample(&[2, 3]); 1i64, -1i64)];
    }
    /// Basic indexing: a walk of selects, slices and new dimensions.
    view: fn index(x; steps: Dims) -> (y): Any named "__getitem__" as "IndexBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        forward(out) = walk(x, &steps)?;
        grad x = |g| unindex(g, back.clone(), steps.clone())?, "g put where x was taken from";
        try [(sample(&[4, 3]); [STEP_SELECT, 0, 1, 0, 0, STEP_SLICE, 0, 0, 2, 2]), (sample(&[3]); [STEP_NEW, 0, 0, 0, 0])];
    }
    /// Zeros of `sizes` with g where the walk `steps` leads.
    : fn unindex(g; sizes: Dims, steps: Dims) -> (x): Any named "__getitem__" as "IndexBackwardBackward" {
        sized sizes;
        forward(out) = {
            let x = device::zeros("index", g.dtype(), g.device(), &sizes)?;
            let part = walk(&x, &steps)?;
            if g.sizes() != part.sizes() {
                return Err(misfit("index", part.sizes(), g.sizes()));
            }
            copy_into(&part, g)?;
            x
        };
        grad g = |h| reshape(&index(h, steps.clone())?, &Dims::from_slice(walk_sizes(&sizes, &steps)?.sizes()))?, "h where g was put";
        try [(sample(&[2]); [4, 3], [STEP_SELECT, 0, 1, 0, 0, STEP_SLICE, 0, 0, 2, 2])];
    }
    /// Any geometry on the elements of `x` as they lie from its first one on; `offset` counts from there.
    view: fn as_strided(x; sizes: Dims, strides: Dims, offset: i64) -> (y): Any named "as_strided" as "AsStridedBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        let own: Dims = Dims::from_slice(x.strides());
        sized sizes;
        forward(out) = x.as_strided(&sizes, &strides, x.offset() as i64 + offset)?;
        grad x = |g| {
            if overlap::repeats(&sizes, &strides) || overlap::repeats(&back, &own) {
                overlap::add_strided(g, &back, &own, &strides, offset)?
            } else {
                put_strided(&zeros_like(g, &back)?, g, own.clone(), sizes.clone(), strides.clone(), offset)?
            }
        }, "g put where x was taken from";
        try [
            (sample(&[2, 3]); [3, 2], [1, 3], 0i64),
            (sample(&[6]); [2, 2], [3, 1], 1i64),
            (sample(&[5]); [3, 2], [1, 1], 1i64),
            (sample(&[1, 3]); [2, 3], [0, 1], 0i64),
        ];
    }
    /// `x`, laid out with the strides `own`, with `part` written where sizes, strides and offset lead.
    : fn put_strided(x, part; own: Dims, sizes: Dims, strides: Dims, offset: i64) -> (y): Any named "as_strided" as "PutStridedBackward" {
        let whole: Dims = Dims::from_slice(x.sizes());
        sized whole;
        forward(out) = {
            let y = laid_out(x, &own)?;
            let place = y.as_strided(&sizes, &strides, y.offset() as i64 + offset)?;
            copy_into(&place, part)?;
            if y.is_contiguous() { y } else { contiguous_copy(&y)? }
        };
        grad x = |g| {
            let blank = zeros_like(g, &sizes)?;
            put_strided(g, &blank, own.clone(), sizes.clone(), strides.clone(), offset)?
        }, "g, 0 where part is";
        grad part = |g| as_strided(&relaid(g, &own)?, sizes.clone(), strides.clone(), offset)?, "g where part is";
        try [(sample(&[2, 3]), sample(&[2]); [3, 1], [2], [1], 1i64)];
    }
    /// `x` in memory with the strides `own`.
    : fn relayout(x; own: Dims) -> (y): Any named "contiguous" as "CloneBackward" {
        forward(out) = laid_out(x, &own)?;
        grad x = |g| g.clone();
        try [(sample(&[2, 3]); [1, 2])];
    }
}

/// The sizes that `expand` gives to a tensor of the sizes `own`: -1 keeps one.
fn expanded_sizes(sizes: &[i64], own: &[i64]) -> Dims {
    let lead = sizes.len().saturating_sub(own.len());
    let kept = |(d, &size): (usize, &i64)| match size {
        -1 if d >= lead => own[d - lead],
        size => size,
    };
    sizes.iter().enumerate().map(kept).collect()
}

/// Codes of a walk: each step is five numbers.
pub const STEP_SELECT: i64 = 0;
pub const STEP_SLICE: i64 = 1;
pub const STEP_NEW: i64 = 2;

/// Follows the steps of basic indexing.
pub fn walk(x: &Tensor, steps: &[i64]) -> Result<Tensor> {
    let mut y = x.clone();
    for step in steps.chunks_exact(5) {
        y = match step[0] {
            STEP_SELECT => y.select(step[1], step[2])?,
            STEP_SLICE => y.stepped(step[1] as usize, step[2], step[3], step[4])?,
            _ => y.unsqueeze(step[1])?,
        };
    }
    Ok(if y.is(x) { x.alias() } else { y })
}

/// A stand-in of `sizes` that followed the steps, for its sizes.
fn walk_sizes(sizes: &[i64], steps: &[i64]) -> Result<Tensor> {
    let one = Tensor::zeros("index", crate::tensor::DType::U8, &[1])?;
    walk(&one.expand(sizes)?, steps)
}

/// `own` without its dimension `dim`, or without all, of size one; at least one stays.
fn squeezed(own: &[i64], dim: Option<usize>) -> Dims {
    let drops = |d: usize| own[d] == 1 && dim.is_none_or(|dim| dim == d);
    let mut sizes: Dims = (0..own.len())
        .filter(|&d| !drops(d))
        .map(|d| own[d])
        .collect();
    if sizes.is_empty() && !own.is_empty() {
        sizes.push(1);
    }
    sizes
}

/// `own` with a dimension of size one at `dim`.
fn unsqueezed(own: &[i64], dim: usize) -> Dims {
    let mut sizes = Dims::from_slice(own);
    sizes.insert(dim, 1);
    sizes
}

/// The sizes of a view of what has the sizes `own`.
fn inferred(sizes: &[i64], own: &[i64]) -> Result<Dims> {
    crate::tensor::view::infer(own.iter().product::<i64>() as usize, sizes)
}

impl Tensor {
    /// The same elements in `sizes`, copied only when they do not lie row by row.
    pub fn view_or_copy(&self, sizes: &[i64]) -> Result<Tensor> {
        if self.sizes() == sizes {
            Ok(self.clone())
        } else {
            as_contiguous(self)?.view(sizes)
        }
    }
}

fn laid_out(x: &Tensor, own: &[i64]) -> Result<Tensor> {
    let reach: i64 = x
        .sizes()
        .iter()
        .zip(own)
        .map(|(&size, &stride)| (size - 1).max(0) * stride)
        .sum();
    let store = device::zeros("as_strided", x.dtype(), x.device(), &[reach + 1])?;
    let y = store.as_strided(x.sizes(), own, 0)?;
    copy_into(&y, x)?;
    Ok(y)
}

fn relaid(g: &Var, own: &Dims) -> Result<Var> {
    if g.tensor.strides() == own.as_slice() && g.tensor.offset() == 0 {
        Ok(g.clone())
    } else {
        relayout(g, own.clone())
    }
}

fn inverse(order: &[i64], n: usize) -> Dims {
    let mut back = Dims::from_elem(0, n);
    for (i, &d) in order.iter().enumerate() {
        if let Some(slot) = back.get_mut(if d < 0 { d + n as i64 } else { d } as usize) {
            *slot = i as i64;
        }
    }
    back
}

/// Zeros of `sizes` in g's class and place.
pub fn zeros_like(g: &Var, sizes: &[i64]) -> Result<Var> {
    Ok(Var::from(device::zeros(
        "zeros",
        g.tensor.dtype(),
        g.tensor.device(),
        sizes,
    )?))
}

/// `x` in `sizes`, through a row-major copy when it needs one.
pub fn reshape(x: &Var, sizes: &Dims) -> Result<Var> {
    if x.sizes() == sizes.as_slice() {
        return Ok(x.clone());
    }
    if x.tensor.is_contiguous() {
        return view(x, sizes.clone());
    }
    view(&crate::ops::copy::contiguous(x)?, sizes.clone())
}

/// Sums `g` down to `sizes`, undoing an expand.
pub fn sum_to(g: &Var, sizes: &Dims) -> Result<Var> {
    let mut out = g.clone();
    while out.sizes().len() > sizes.len() {
        if out.sizes().len() == 1 {
            break;
        }
        out = crate::ops::reduce::sum_dim(&out, 0, false)?;
    }
    for d in 0..sizes.len() {
        if sizes[d] == 1 && out.sizes()[d] != 1 {
            out = crate::ops::reduce::sum_dim(&out, d as i64, true)?;
        }
    }
    Ok(out)
}

/// A write through a view: what flows to the base skips the part that was written over, and the
/// rule that wrote takes its gradient from there.
pub static COPY_SLICES: Rule = Rule {
    node: "CopySlices",
    saves: |_| 0,
    inputs: 1,
    back: Some(copy_slices_back),
};

fn copy_slices_back(step: &mut Step) -> Result<()> {
    let g = step.gradient().clone();
    let (own, sizes, strides): (Dims, Dims, Dims) = (step.value(0), step.value(1), step.value(2));
    let offset: i64 = step.value(3);
    let base: Dims = step.value(4);
    if g.sizes() != base.as_slice() {
        return Err(step.rule.misfit(&base, g.sizes()));
    }
    let Some((rule, payload)) = step.payload.extra.as_mut().and_then(|e| e.inner.take()) else {
        fail!(
            Runtime,
            "CopySlices: Trying to backward through the graph a second time, but the buffers have already been freed; specify retain_graph=True when calling backward the first time"
        );
    };
    let part = as_strided(&relaid(&g, &own)?, sizes.clone(), strides.clone(), offset)?;
    let incoming = [Some(part)];
    let histories = match step.history {
        None => None,
        Some((node, edges)) => Some(histories_inside(
            node, edges, &g, &own, &sizes, &strides, offset,
        )?),
    };
    let mut inner = Step::new(rule, payload, &incoming);
    inner.given = histories.as_deref();
    match rule.back {
        Some(back) => back(&mut inner)?,
        None => return Err(no_derivative(rule.node)),
    }
    let mut gradients = inner.outgoing;
    if step.needs(0) {
        let through = match gradients.first_mut().and_then(Option::take) {
            Some(through) => through,
            None => zeros_like(&g, &sizes)?,
        };
        step.give(0, put_strided(&g, &through, own, sizes, strides, offset)?);
    }
    for (i, gradient) in gradients.into_iter().enumerate().skip(1) {
        if let Some(gradient) = gradient {
            step.give(i as u32, gradient);
        }
    }
    Ok(())
}

/// Where the operands and the result of a write through a view came from: the part that was
/// overwritten from what the base was, the result from what it is now.
fn histories_inside(
    node: &crate::graph::Handle,
    edges: &crate::graph::Edges,
    g: &Var,
    own: &Dims,
    sizes: &Dims,
    strides: &Dims,
    offset: i64,
) -> Result<Vec<Option<Var>>> {
    // Only the history of these is read, so any elements of the base's geometry will do.
    let blank = laid_out(
        &device::zeros("as_strided", g.tensor.dtype(), g.tensor.device(), g.sizes())?,
        own,
    )?;
    let part = |base: Var| as_strided(&base, sizes.clone(), strides.clone(), offset);
    let mut out = Vec::with_capacity(edges.len() + 1);
    for (i, &edge) in edges.iter().enumerate() {
        let from =
            crate::graph::Handle::of_edge(edge).map(|h| Var::made_by(blank.clone(), h, edge.nr));
        out.push(match from {
            Some(base) if i == 0 => Some(part(base)?),
            other => other,
        });
    }
    out.push(Some(part(Var::made_by(blank, node.clone(), 0))?));
    Ok(out)
}

/// Reads a base's value through the geometry of `view`, for a view whose history is old.
pub fn remake_view(base: &Var, view: &Tensor) -> Result<Var> {
    let offset = view.offset() as i64 - base.tensor.offset() as i64;
    let mut var = as_strided(
        base,
        Dims::from_slice(view.sizes()),
        Dims::from_slice(view.strides()),
        offset,
    )?;
    var.tensor = view.clone();
    Ok(var)
}
