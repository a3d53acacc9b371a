//! Moves by index: gather, scatter, scatter_add, and their forms with one index for whole slices.
//!
//! Indexes are checked where they are used; a bad one touches nothing and is reported at the next wait.

use super::buffer::{Buffer, alloc};
use super::device::gpu;
use super::map::{apart, contiguous, fill};
use super::operand::{Operand, collapse};
use super::shader::{COMPLAIN, File, Kind, Slot, Use, Wanted, accessors};
use super::stream::{Job, MOST_LOOPS, Walk, grid_of, push};
use crate::error::Result;
use crate::fail;
use crate::tensor::dims::row_major;
use crate::tensor::{DType, Dims, sizes_text};

const WG: u64 = 256;
/// Indexes that one invocation looks at in one dispatch; longer lines take several, in order.
const AT_ONCE: i64 = 8192;
/// Lines from which on each gets an invocation of its own in scatter_add.
const MANY_LINES: u64 = 1024;

fn check(op: &str, dim: usize, index: &Operand, operands: &[&Operand]) -> Result<()> {
    index.check(op, "the index")?;
    if index.dtype != DType::I64 {
        fail!(
            Type,
            "{op}: the index must be a torch.cuda.LongTensor; got torch.cuda.{}Tensor",
            index.dtype.name()
        );
    }
    for x in operands {
        x.check(op, "an operand")?;
        if x.dtype != operands[0].dtype {
            fail!(
                Type,
                "{op}: both operands must be of one class; got torch.cuda.{}Tensor and torch.cuda.{}Tensor",
                operands[0].dtype.name(),
                x.dtype.name()
            );
        }
        if x.sizes.len() != index.sizes.len() || (index.count() > 0 && dim >= x.sizes.len()) {
            fail!(
                Runtime,
                "{op}: operands and index need the same number of dimensions, more than {dim}; got {} and {}",
                sizes_text(x.sizes),
                sizes_text(index.sizes)
            );
        }
    }
    Ok(())
}

/// Fails unless `inner` fits into `outer` in every dimension but `dim`.
fn fits(op: &str, dim: usize, inner: &Operand, outer: &Operand) -> Result<()> {
    let bad = (0..inner.sizes.len()).any(|d| d != dim && inner.sizes[d] > outer.sizes[d]);
    if bad {
        fail!(
            Runtime,
            "{op}: an index of {} reaches outside {} in another dimension than {dim}",
            sizes_text(inner.sizes),
            sizes_text(outer.sizes)
        );
    }
    Ok(())
}

/// The strides with none along `dim`: kernels step there by index.
fn still(strides: &[i64], dim: usize) -> Dims {
    let mut strides = Dims::from_slice(strides);
    strides[dim] = 0;
    strides
}

/// Geometry over `sizes`; `order` says whether the numbering of elements may change.
fn geometry(op: &str, sizes: &[i64], strides: [Option<&[i64]>; 4], order: bool) -> Result<Walk> {
    let loops = collapse(sizes, strides, order);
    if loops.len() > MOST_LOOPS {
        fail!(
            Runtime,
            "{op}: {} has too many dimensions for a kernel",
            sizes_text(sizes)
        );
    }
    let mut walk = Walk::default();
    walk.set_loops(&loops);
    walk.count = sizes.iter().product::<i64>() as u32;
    walk.invocations = walk.count;
    Ok(walk)
}

fn send(
    op: &str,
    file: File,
    kind: Kind,
    buffers: &[&Buffer],
    reads: usize,
    walk: Walk,
) -> Result<()> {
    let gpu = gpu()?;
    let key = [file as u8, kind as u8];
    let wanted = Wanted {
        file,
        key: &key,
        reads,
        writes: buffers.len() - reads,
    };
    let pipeline = gpu
        .shaders
        .get(gpu, op, &wanted, || definitions(file, kind))?;
    let grid = grid_of(u64::from(walk.invocations).div_ceil(WG));
    push(
        gpu,
        Job {
            op,
            pipeline: &pipeline,
            buffers,
            walk,
            grid,
        },
    );
    Ok(())
}

/// The definitions of an index kernel for elements of `kind`.
pub(super) fn definitions(file: File, kind: Kind) -> String {
    let slot = |name, kind, how| Slot { name, kind, how };
    let slots = match file {
        File::Gather => vec![
            slot('a', kind, Use::Read),
            slot('b', Kind::I64, Use::Read),
            slot('y', kind, Use::Write),
        ],
        File::ScatterMark => vec![slot('a', Kind::I64, Use::Read)],
        File::ScatterMove => vec![
            slot('a', kind, Use::Read),
            slot('b', Kind::Raw32, Use::Read),
            slot('y', kind, Use::Write),
        ],
        _ => vec![
            slot('a', kind, Use::Read),
            slot('b', Kind::I64, Use::Read),
            slot('y', kind, Use::Both),
        ],
    };
    let text = accessors(&slots, false);
    debug_assert!(file == File::ScatterMove || text.contains(COMPLAIN));
    format!("const WG: u32 = {WG}u;\nconst FLAT: bool = false;\n{text}")
}

/// `out[.., i, ..] = x[.., index[.., i, ..], ..]` along `dim`.
///
/// # Errors
/// Sizes or types that do not fit; an index outside is raised at the next wait.
pub fn gather(op: &str, x: &Operand, dim: usize, index: &Operand, out: &Operand) -> Result<()> {
    check(op, dim, index, &[x, out])?;
    if index.sizes != out.sizes {
        fail!(
            Runtime,
            "{op}: the result has the index's sizes; got {} and {}",
            sizes_text(out.sizes),
            sizes_text(index.sizes)
        );
    }
    if out.count() == 0 {
        return Ok(());
    }
    fits(op, dim, index, x)?;
    apart(op, x, &[out], |x| {
        apart(op, index, &[out], |index| {
            let still = still(x.strides, dim);
            let strides = [
                Some(&still[..]),
                Some(index.strides),
                None,
                Some(out.strides),
            ];
            let mut walk = geometry(op, out.sizes, strides, true)?;
            walk.offsets = [x.offset as u32, index.offset as u32, 0, out.offset as u32];
            walk.steps[0] = x.strides[dim] as u32;
            walk.extra[0] = x.sizes[dim] as u32;
            let buffers = [x.buffer, index.buffer, out.buffer];
            send(op, File::Gather, Kind::raw(x.dtype), &buffers, 2, walk)
        })
    })
}

/// `out[.., index[.., i, ..], ..] = source[.., i, ..]` along `dim`; of several for one place the last
/// one in row-major order stays.
///
/// # Errors
/// Sizes or types that do not fit; an index outside is raised at the next wait.
pub fn scatter(
    op: &str,
    dim: usize,
    index: &Operand,
    source: &Operand,
    out: &Operand,
) -> Result<()> {
    check(op, dim, index, &[source, out])?;
    if index.count() == 0 {
        return Ok(());
    }
    fits(op, dim, index, out)?;
    let source = part_of(op, source, index)?;
    let (row_major_source, _) = contiguous(op, &source)?;
    apart(op, index, &[out], |index| {
        let marks = alloc(out.count() * 4)?;
        let strides = row_major(out.sizes);
        let winners = Operand {
            buffer: &marks,
            dtype: DType::I32,
            strides: &strides,
            offset: 0,
            ..*out
        };
        fill(op, &winners, 0.0)?;
        let still = still(&strides, dim);
        let both = [Some(index.strides), None, None, Some(&still[..])];
        let mut walk = geometry(op, index.sizes, both, false)?;
        walk.offsets[0] = index.offset as u32;
        walk.steps[3] = strides[dim] as u32;
        walk.extra[0] = out.sizes[dim] as u32;
        send(
            op,
            File::ScatterMark,
            Kind::I64,
            &[index.buffer, &marks],
            1,
            walk,
        )?;
        let both = [None, Some(&strides[..]), None, Some(out.strides)];
        let mut walk = geometry(op, out.sizes, both, true)?;
        walk.offsets[3] = out.offset as u32;
        let buffers = [&row_major_source, &marks, out.buffer];
        send(
            op,
            File::ScatterMove,
            Kind::raw(out.dtype),
            &buffers,
            2,
            walk,
        )
    })
}

/// The leading part of `source` that `index` names.
fn part_of<'a>(op: &str, source: &Operand<'a>, index: &Operand<'a>) -> Result<Operand<'a>> {
    if (0..index.sizes.len()).any(|d| index.sizes[d] > source.sizes[d]) {
        fail!(
            Runtime,
            "{op}: an index of {} needs a source at least as large; got {}",
            sizes_text(index.sizes),
            sizes_text(source.sizes)
        );
    }
    Ok(Operand {
        sizes: index.sizes,
        ..*source
    })
}

/// `out[.., index[.., i, ..], ..] += source[.., i, ..]` along `dim`, adding in the order of `i`.
///
/// # Errors
/// Sizes or types that do not fit; an index outside is raised at the next wait.
pub fn scatter_add(
    op: &str,
    dim: usize,
    index: &Operand,
    source: &Operand,
    out: &Operand,
) -> Result<()> {
    check(op, dim, index, &[source, out])?;
    if !matches!(out.dtype, DType::F32 | DType::I32) {
        fail!(
            Type,
            "{op}: torch.cuda.{}Tensor cannot be added to on the GPU (Float and Int can)",
            out.dtype.name()
        );
    }
    if index.count() == 0 {
        return Ok(());
    }
    fits(op, dim, index, out)?;
    let source = part_of(op, source, index)?;
    apart(op, &source, &[out], |source| {
        apart(op, index, &[out], |index| {
            let mut sizes = Dims::from_slice(index.sizes);
            let length = std::mem::replace(&mut sizes[dim], 1);
            let strides = [
                Some(source.strides),
                Some(index.strides),
                None,
                Some(out.strides),
            ];
            let mut walk = geometry(op, &sizes, strides, false)?;
            walk.offsets = [
                source.offset as u32,
                index.offset as u32,
                0,
                out.offset as u32,
            ];
            let step = |x: &Operand| x.strides[dim] as u32;
            walk.steps = [step(source), step(index), 0, step(out)];
            // A scan looks at every index for every element; beyond 2^32 looks even a few lines alone
            // are quicker.
            let (lines, width) = (u64::from(walk.count), out.sizes[dim] as u64);
            let looks = (lines * width).saturating_mul(length as u64);
            let file = if lines >= MANY_LINES || looks > 1 << 32 {
                File::ScatterAddLine
            } else {
                walk.invocations = (lines * width) as u32;
                File::ScatterAddScan
            };
            let buffers = [source.buffer, index.buffer, out.buffer];
            let mut first = 0;
            while first < length {
                let end = length.min(first + AT_ONCE);
                walk.extra = [width as u32, first as u32, end as u32, 0];
                send(op, file, Kind::of(out.dtype), &buffers, 2, walk)?;
                first = end;
            }
            Ok(())
        })
    })
}

/// A one-dimensional index as one for every slice along `dim`.
fn spread(op: &str, dim: usize, index: &Operand, like: &Operand) -> Result<(Dims, Dims)> {
    if index.sizes.len() > 1 {
        fail!(
            Runtime,
            "{op}: the index must have one dimension; got {}",
            sizes_text(index.sizes)
        );
    }
    if dim >= like.sizes.len() {
        fail!(
            Runtime,
            "{op}: dimension {dim} is not one of the {} dimensions",
            like.sizes.len()
        );
    }
    let mut sizes = Dims::from_slice(like.sizes);
    let mut strides: Dims = smallvec::SmallVec::from_elem(0, sizes.len());
    sizes[dim] = index.sizes.first().copied().unwrap_or(0);
    strides[dim] = index.strides.first().copied().unwrap_or(1);
    Ok((sizes, strides))
}

/// `out` is the slices of `x` along `dim` that a one-dimensional `index` names.
///
/// # Errors
/// Sizes or types that do not fit; an index outside is raised at the next wait.
pub fn index_select(
    op: &str,
    x: &Operand,
    dim: usize,
    index: &Operand,
    out: &Operand,
) -> Result<()> {
    let (sizes, strides) = spread(op, dim, index, x)?;
    gather(
        op,
        x,
        dim,
        &Operand {
            sizes: &sizes,
            strides: &strides,
            ..*index
        },
        out,
    )
}

/// Adds the slices of `source` along `dim` to those of `out` that a one-dimensional `index` names.
///
/// # Errors
/// Sizes or types that do not fit; an index outside is raised at the next wait.
pub fn index_add(
    op: &str,
    dim: usize,
    index: &Operand,
    source: &Operand,
    out: &Operand,
) -> Result<()> {
    let (sizes, strides) = spread(op, dim, index, source)?;
    scatter_add(
        op,
        dim,
        &Operand {
            sizes: &sizes,
            strides: &strides,
            ..*index
        },
        source,
        out,
    )
}
