//! Softmax and log-softmax along a dimension, forward and backward: a workgroup for each row.

use super::device::gpu;
use super::map::apart;
use super::operand::{Operand, collapse};
use super::shader::{File, Wanted};
use super::stream::{Job, MOST_LOOPS, Walk, grid_of, push};
use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, Dims, sizes_text};

/// `y = softmax(x)` or, with `log`, its logarithm, along `dim`.
///
/// # Errors
/// Sizes that differ, or elements other than floats.
pub fn softmax(op: &str, x: &Operand, dim: usize, log: bool, y: &Operand) -> Result<()> {
    check(op, &[x, y], dim)?;
    apart(op, x, &[y], |x| run(op, File::Softmax, &[x], dim, log, y))
}

/// The gradient of [`softmax`]: `g` is the incoming one, `y` what `softmax` gave.
///
/// # Errors
/// Sizes that differ, or elements other than floats.
pub fn softmax_grad(
    op: &str,
    g: &Operand,
    y: &Operand,
    dim: usize,
    log: bool,
    out: &Operand,
) -> Result<()> {
    check(op, &[g, y, out], dim)?;
    apart(op, g, &[out], |g| {
        apart(op, y, &[out], |y| {
            run(op, File::SoftmaxGrad, &[g, y], dim, log, out)
        })
    })
}

fn check(op: &str, operands: &[&Operand], dim: usize) -> Result<()> {
    for x in operands {
        x.check(op, "an operand")?;
        if x.dtype != DType::F32 {
            fail!(
                Type,
                "{op}: torch.cuda.{}Tensor does not implement it; convert with .float() first",
                x.dtype.name()
            );
        }
        if x.sizes != operands[0].sizes {
            fail!(
                Runtime,
                "{op}: sizes must be equal; got {} and {}",
                sizes_text(operands[0].sizes),
                sizes_text(x.sizes)
            );
        }
        if x.count() > 0 && dim >= x.sizes.len() {
            fail!(
                Runtime,
                "{op}: dimension {dim} is not one of the {} dimensions",
                x.sizes.len()
            );
        }
    }
    Ok(())
}

fn run(op: &str, file: File, reads: &[&Operand], dim: usize, log: bool, y: &Operand) -> Result<()> {
    if y.count() == 0 {
        return Ok(());
    }
    let without = |s: &[i64]| -> Dims {
        s.iter()
            .enumerate()
            .filter(|(d, _)| *d != dim)
            .map(|(_, &v)| v)
            .collect()
    };
    let rest: [Dims; 3] =
        std::array::from_fn(|i| reads.get(i).map_or(Dims::new(), |x| without(x.strides)));
    let last = without(y.strides);
    let one = |i: usize| (i < reads.len()).then_some(&rest[i][..]);
    let sizes = without(y.sizes);
    let loops = collapse(&sizes, [one(0), one(1), None, Some(&last)], false);
    if loops.len() > MOST_LOOPS {
        fail!(
            Runtime,
            "{op}: {} has too many dimensions for a kernel",
            sizes_text(y.sizes)
        );
    }
    let length = y.sizes[dim];
    let rows = y.count() as u64 / length as u64;
    let mut walk = Walk {
        count: rows as u32,
        ..Walk::default()
    };
    walk.set_loops(&loops);
    walk.extra[0] = length as u32;
    for (i, x) in reads.iter().enumerate() {
        walk.offsets[i] = x.offset as u32;
        walk.steps[i] = x.strides[dim] as u32;
    }
    walk.offsets[3] = y.offset as u32;
    walk.steps[3] = y.strides[dim] as u32;
    let width = if length <= 64 { 32 } else { 256 };
    let gpu = gpu()?;
    let key = [file as u8, u8::from(log), (width / 32) as u8];
    let wanted = Wanted {
        file,
        key: &key,
        reads: reads.len(),
        writes: 1,
    };
    let pipeline = gpu
        .shaders
        .get(gpu, op, &wanted, || definitions(log, width))?;
    let buffers = [reads[0].buffer, reads[reads.len() - 1].buffer, y.buffer];
    let buffers = &buffers[2 - reads.len()..];
    push(
        gpu,
        Job {
            op,
            pipeline: &pipeline,
            buffers,
            walk,
            grid: grid_of(rows),
        },
    );
    Ok(())
}

/// The definitions for a form and a number of invocations for each row.
pub(super) fn definitions(log: bool, width: u32) -> String {
    format!("const WG: u32 = {width}u;\nconst FLAT: bool = false;\nconst LOG: bool = {log};\n")
}
