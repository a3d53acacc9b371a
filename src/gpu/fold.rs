//! Folds: sum, product and extremes over everything or one dimension, and extremes with their places.
//!
//! Nothing here depends on scheduling: the same input gives the same bits, whatever the adapter's speed.

use super::buffer::alloc;
use super::device::gpu;
use super::map::{apart, contiguous};
use super::operand::{Operand, Pick, Reduce, collapse};
use super::shader::{File, Kind, Slot, Use, Wanted, accessors};
use super::stream::{Job, MOST_LOOPS, Walk, grid_of, push};
use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, Dims, sizes_text};
use smallvec::SmallVec;

/// Invocations of a workgroup.
const WG: u32 = 256;
/// Elements that one invocation folds before a row is split: short loops keep clear of the cap on loop
/// iterations that software adapters have, and give long rows enough parallel work.
const EACH: u32 = 64;

/// `out = fold(x)` over dimension `dim`, or over everything (`out` then has one element).
///
/// Floats add in `f32`; integers in 64 bits. NaN wins in max and min. `out` has `x`'s sizes with `dim`
/// left out or of size one.
///
/// # Errors
/// Wrong sizes of `out`, a maximum of nothing, or an element type without kernels.
pub fn fold(
    op: &str,
    reduce: Reduce,
    x: &Operand,
    dim: Option<usize>,
    out: &Operand,
) -> Result<()> {
    x.check(op, "the input")?;
    out.check(op, "the result")?;
    let (a, y) = (x.dtype, out.dtype);
    if (a == DType::F32) != (y == DType::F32) {
        fail!(
            Type,
            "{op}: torch.cuda.{}Tensor cannot be folded into torch.cuda.{}Tensor",
            a.name(),
            y.name()
        );
    }
    if x.count() == 0 && !matches!(reduce, Reduce::Sum | Reduce::Prod) {
        fail!(
            Runtime,
            "{op}: an empty tensor has no largest or smallest element"
        );
    }
    apart(op, x, &[out], |x| {
        let kind = |d| {
            if d == DType::I64 {
                Kind::Raw64
            } else {
                Kind::of(d)
            }
        };
        let ends = (kind(a), kind(y));
        if let Some(d) = dim {
            let (kept, row) = kept(op, x, out, d)?;
            return rows(op, reduce, &kept, row, ends);
        }
        if out.count() != 1 {
            fail!(
                Runtime,
                "{op}: everything folds into one element; got a result of {}",
                sizes_text(out.sizes)
            );
        }
        let loops = collapse(x.sizes, [Some(x.strides), None, None, None], false);
        let whole = Kept {
            x: *x,
            y: *out,
            sizes: Dims::new(),
            xs: Dims::new(),
            ys: Dims::new(),
        };
        if loops.len() <= 1 {
            let step = loops.first().map_or(1, |l| l.1[0]);
            return rows(op, reduce, &whole, (x.count() as i64, step), ends);
        }
        let (buffer, strides) = contiguous(op, x)?;
        let x = Operand {
            buffer: &buffer,
            strides: &strides,
            offset: 0,
            ..*x
        };
        rows(
            op,
            reduce,
            &Kept { x, ..whole },
            (x.count() as i64, 1),
            ends,
        )
    })
}

/// The dimensions that stay, and where both operands are along them.
pub(super) struct Kept<'a> {
    pub x: Operand<'a>,
    pub y: Operand<'a>,
    pub sizes: Dims,
    pub xs: Dims,
    pub ys: Dims,
}

/// Splits `x` into rows along `dim`: what stays, and length and stride of a row.
pub(super) fn kept<'a>(
    op: &str,
    x: &Operand<'a>,
    y: &Operand<'a>,
    dim: usize,
) -> Result<(Kept<'a>, (i64, i64))> {
    if dim >= x.sizes.len() {
        fail!(
            Runtime,
            "{op}: dimension {dim} is not one of the {} dimensions",
            x.sizes.len()
        );
    }
    let without = |s: &[i64]| -> Dims {
        s.iter()
            .enumerate()
            .filter(|(d, _)| *d != dim)
            .map(|(_, &v)| v)
            .collect()
    };
    let sizes = without(x.sizes);
    let ys = if y.sizes.len() == x.sizes.len() && y.sizes[dim] == 1 {
        (without(y.sizes) == sizes).then(|| without(y.strides))
    } else {
        let same = y.sizes == &sizes[..] || (sizes.is_empty() && y.count() == 1);
        same.then(|| {
            if sizes.is_empty() {
                Dims::new()
            } else {
                Dims::from_slice(y.strides)
            }
        })
    };
    let Some(ys) = ys else {
        fail!(
            Runtime,
            "{op}: {} over dimension {dim} does not give a result of {}",
            sizes_text(x.sizes),
            sizes_text(y.sizes)
        );
    };
    let row = (x.sizes[dim], x.strides[dim]);
    Ok((
        Kept {
            x: *x,
            y: *y,
            xs: without(x.strides),
            ys,
            sizes,
        },
        row,
    ))
}

impl Kept<'_> {
    fn count(&self) -> u64 {
        self.sizes.iter().product::<i64>() as u64
    }

    /// Geometry with `x` as a and `y` as y.
    fn walk(&self, op: &str) -> Result<Walk> {
        let loops = collapse(
            &self.sizes,
            [Some(&self.xs), None, None, Some(&self.ys)],
            false,
        );
        if loops.len() > MOST_LOOPS {
            fail!(
                Runtime,
                "{op}: {} has too many dimensions for a kernel",
                sizes_text(self.x.sizes)
            );
        }
        let mut walk = Walk {
            count: self.count() as u32,
            ..Walk::default()
        };
        walk.offsets = [self.x.offset as u32, 0, 0, self.y.offset as u32];
        walk.set_loops(&loops);
        Ok(walk)
    }
}

/// Whether each row gets an invocation rather than a workgroup: rows that are short, or that lie across
/// memory while there are many of them.
pub(super) fn is_thin(rows: u64, length: i64, step: i64) -> bool {
    length <= 32 || (step != 1 && rows >= 64)
}

fn rows(
    op: &str,
    reduce: Reduce,
    kept: &Kept,
    (length, step): (i64, i64),
    (read, write): (Kind, Kind),
) -> Result<()> {
    let count = kept.count();
    if count == 0 {
        return Ok(());
    }
    let thin = is_thin(count, length, step);
    let stretch = if thin { EACH * 4 } else { EACH * WG };
    let parts = (length.max(1) as u64).div_ceil(stretch.into());
    if parts > 1 {
        // Stretches go side by side into a buffer, which is then folded along them.
        let kind = if read == Kind::F32 {
            Kind::F32
        } else {
            Kind::Raw64
        };
        let dtype = if read == Kind::F32 {
            DType::F32
        } else {
            DType::I64
        };
        let buffer = alloc((count * parts) as usize * dtype.bytes())?;
        let sizes: Dims = kept.sizes.iter().copied().chain([parts as i64]).collect();
        let strides = crate::tensor::dims::row_major(&sizes);
        let part = Operand {
            buffer: &buffer,
            dtype,
            sizes: &sizes,
            strides: &strides,
            offset: 0,
        };
        let n = strides.len() - 1;
        let first = Kept {
            x: kept.x,
            y: part,
            sizes: kept.sizes.clone(),
            xs: kept.xs.clone(),
            ys: Dims::from_slice(&strides[..n]),
        };
        pass(
            op,
            reduce,
            &first,
            (length, step),
            (stretch, parts as u32),
            (read, kind),
            thin,
        )?;
        let second = Kept {
            x: part,
            y: kept.y,
            sizes: kept.sizes.clone(),
            xs: first.ys,
            ys: kept.ys.clone(),
        };
        return rows(op, reduce, &second, (parts as i64, 1), (kind, write));
    }
    pass(
        op,
        reduce,
        kept,
        (length, step),
        (stretch, 1),
        (read, write),
        thin,
    )
}

fn pass(
    op: &str,
    reduce: Reduce,
    kept: &Kept,
    (length, step): (i64, i64),
    (stretch, parts): (u32, u32),
    (read, write): (Kind, Kind),
    thin: bool,
) -> Result<()> {
    let mut walk = kept.walk(op)?;
    walk.extra = [length as u32, stretch, parts, 1];
    walk.steps[0] = step as u32;
    let jobs = u64::from(walk.count) * u64::from(parts);
    walk.invocations = jobs as u32;
    let (file, groups) = if thin {
        (File::FoldCol, jobs.div_ceil(WG.into()))
    } else {
        (File::FoldRow, jobs)
    };
    let gpu = gpu()?;
    let key = [file as u8, reduce as u8, read as u8, write as u8];
    let wanted = Wanted {
        file,
        key: &key,
        reads: 1,
        writes: 1,
    };
    let pipeline = gpu
        .shaders
        .get(gpu, op, &wanted, || fold_definitions(reduce, read, write))?;
    let buffers = [kept.x.buffer, kept.y.buffer];
    push(
        gpu,
        Job {
            op,
            pipeline: &pipeline,
            buffers: &buffers,
            walk,
            grid: grid_of(groups),
        },
    );
    Ok(())
}

/// The definitions for both forms of a fold.
pub(super) fn fold_definitions(reduce: Reduce, read: Kind, write: Kind) -> String {
    let slots = [
        Slot {
            name: 'a',
            kind: read,
            how: Use::Read,
        },
        Slot {
            name: 'y',
            kind: write,
            how: Use::Write,
        },
    ];
    let float = read == Kind::F32;
    let (start, join) = match (reduce, float) {
        (Reduce::Sum, true) => ("0.0", "p + q"),
        (Reduce::Prod, true) => ("1.0", "p * q"),
        // The bits of an infinity cannot be a constant: the largest number stands in, and is told
        // apart from data by `Acc` carrying whether there was any.
        (Reduce::Max, true) => ("Extreme(0.0, false)", "larger(p, q)"),
        (Reduce::Min, true) => ("Extreme(0.0, false)", "smaller(p, q)"),
        (Reduce::Sum, false) => ("vec2<u32>(0u, 0u)", "add_long_(p, q)"),
        (Reduce::Prod, false) => ("vec2<u32>(1u, 0u)", "mul_long_(p, q)"),
        (Reduce::Max, false) => (
            "vec2<u32>(0u, 0x80000000u)",
            "select(p, q, less_long_(p, q))",
        ),
        (Reduce::Min, false) => (
            "vec2<u32>(0xffffffffu, 0x7fffffffu)",
            "select(p, q, less_long_(q, p))",
        ),
    };
    let extreme = start.starts_with("Extreme");
    let acc = match (float, extreme) {
        (true, true) => "Extreme",
        (true, false) => "f32",
        _ => "vec2<u32>",
    };
    let lift = match (read, extreme) {
        (Kind::F32, true) => "Extreme(v, true)",
        (Kind::F32 | Kind::Raw64, _) => "v",
        _ => "long_of_int_(v)",
    };
    let drop = match (write, extreme) {
        (Kind::F32, true) => "v.value",
        (Kind::F32 | Kind::Raw64, _) => "v",
        _ => "bitcast<i32>(v.x)",
    };
    let extra = if extreme {
        "\
struct Extreme { value: f32, any: bool }
fn larger(p: Extreme, q: Extreme) -> Extreme {
    if !p.any { return q; }
    if !q.any { return p; }
    return Extreme(max_(p.value, q.value), true);
}
fn smaller(p: Extreme, q: Extreme) -> Extreme {
    if !p.any { return q; }
    if !q.any { return p; }
    return Extreme(min_(p.value, q.value), true);
}
"
    } else {
        ""
    };
    format!(
        "const WG: u32 = {WG}u;\nconst FLAT: bool = false;\n{}{extra}alias Acc = {acc};\nconst START: Acc = {start};\nfn join(p: Acc, q: Acc) -> Acc {{ return {join}; }}\nfn lift(v: {}) -> Acc {{ return {lift}; }}\nfn drop_(v: Acc) -> {} {{ return {drop}; }}\n",
        accessors(&slots, false),
        read.text(),
        write.text()
    )
}

/// The extreme of each row along `dim` into `values`, and where it stands into `places`: the first of
/// equals, and the first NaN before everything.
///
/// # Errors
/// Wrong sizes or types of the results, nothing to choose from, or an element type without kernels.
pub fn fold_arg(
    op: &str,
    pick: Pick,
    x: &Operand,
    dim: usize,
    values: &Operand,
    places: &Operand,
) -> Result<()> {
    x.check(op, "the input")?;
    values.check(op, "the values")?;
    places.check(op, "the indices")?;
    if values.dtype != x.dtype || places.dtype != DType::I64 {
        fail!(
            Type,
            "{op}: values must be torch.cuda.{}Tensor and indices torch.cuda.LongTensor; got {} and {}",
            x.dtype.name(),
            values.dtype.name(),
            places.dtype.name()
        );
    }
    if values.buffer.id() == places.buffer.id() {
        fail!(Runtime, "{op}: values and indices cannot share memory");
    }
    if x.count() == 0 {
        fail!(
            Runtime,
            "{op}: an empty tensor has no largest or smallest element"
        );
    }
    apart(op, x, &[values, places], |x| {
        let (kept, (length, step)) = kept(op, x, values, dim)?;
        let (second, _) = self::kept(op, x, places, dim)?;
        let loops = collapse(
            &kept.sizes,
            [Some(&kept.xs), None, Some(&second.ys), Some(&kept.ys)],
            false,
        );
        if loops.len() > MOST_LOOPS {
            fail!(
                Runtime,
                "{op}: {} has too many dimensions for a kernel",
                sizes_text(x.sizes)
            );
        }
        let mut walk = Walk {
            count: kept.count() as u32,
            ..Walk::default()
        };
        walk.offsets = [
            x.offset as u32,
            0,
            places.offset as u32,
            values.offset as u32,
        ];
        walk.set_loops(&loops);
        walk.steps[0] = step as u32;
        walk.extra[0] = length as u32;
        let thin = is_thin(kept.count(), length, step) && length <= 4096;
        let (file, groups) = if thin {
            (File::ArgCol, kept.count().div_ceil(WG.into()))
        } else {
            (File::ArgRow, kept.count())
        };
        let kind = if x.dtype == DType::I64 {
            Kind::Raw64
        } else {
            Kind::of(x.dtype)
        };
        let gpu = gpu()?;
        let key = [file as u8, pick as u8, kind as u8];
        let wanted = Wanted {
            file,
            key: &key,
            reads: 1,
            writes: 2,
        };
        let pipeline = gpu
            .shaders
            .get(gpu, op, &wanted, || arg_definitions(pick, kind))?;
        let buffers: SmallVec<[_; 3]> =
            SmallVec::from_slice(&[x.buffer, values.buffer, places.buffer]);
        push(
            gpu,
            Job {
                op,
                pipeline: &pipeline,
                buffers: &buffers,
                walk,
                grid: grid_of(groups),
            },
        );
        Ok(())
    })
}

/// The definitions for both forms of an extreme with its place.
pub(super) fn arg_definitions(pick: Pick, kind: Kind) -> String {
    let slots = [
        Slot {
            name: 'a',
            kind,
            how: Use::Read,
        },
        Slot {
            name: 'y',
            kind,
            how: Use::Write,
        },
        Slot {
            name: 'c',
            kind: Kind::I64,
            how: Use::Write,
        },
    ];
    let beats = match (pick, kind) {
        (Pick::Max, Kind::F32) => "q > p || (is_nan_(q) && !is_nan_(p))",
        (Pick::Min, Kind::F32) => "q < p || (is_nan_(q) && !is_nan_(p))",
        (Pick::Max, Kind::Raw64) => "less_long_(p, q)",
        (Pick::Min, Kind::Raw64) => "less_long_(q, p)",
        (Pick::Max, _) => "q > p",
        (Pick::Min, _) => "q < p",
    };
    format!(
        "const WG: u32 = {WG}u;\nconst FLAT: bool = false;\n{}alias A = {};\nfn beats(q: A, p: A) -> bool {{ return {beats}; }}\n",
        accessors(&slots, false),
        kind.text()
    )
}
