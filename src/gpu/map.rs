//! Element by element: formulas, copies with conversion, fills.

use super::buffer::{Buffer, alloc};
use super::device::gpu;
use super::operand::{Formula, Operand, Scalar, collapse};
use super::shader::{File, Kind, Slot, Use, Wanted, accessors};
use super::stream::{Job, MOST_LOOPS, Walk, grid_of, push};
use crate::error::Result;
use crate::fail;
use crate::tensor::dims::row_major;
use crate::tensor::{DType, Dims, sizes_text};
use smallvec::SmallVec;

/// Invocations of a workgroup.
const WG: u64 = 256;

/// `out = formula(inputs)`, element by element, with any strides; `out` may be one of the inputs.
///
/// # Errors
/// Sizes that differ, an element type without kernels, or a formula that does not compile.
pub fn map(formula: &Formula, inputs: &[&Operand], params: &[Scalar], out: &Operand) -> Result<()> {
    let operands: SmallVec<[(Operand, Kind); 3]> =
        inputs.iter().map(|o| (**o, Kind::of(o.dtype))).collect();
    run(formula, &operands, params, (*out, Kind::of(out.dtype)))
}

/// How `from` becomes `to`: a formula over `a`, and how both are seen. Floats lose their fraction,
/// integers wrap, equal types are moved bit for bit.
fn conversion(from: DType, to: DType) -> (&'static str, Kind, Kind) {
    use DType::{F32, I64};
    match (from, to) {
        _ if from == to => ("a", Kind::raw(from), Kind::raw(to)),
        (F32, I64) => ("long_of_float_(a)", Kind::F32, Kind::Raw64),
        (F32, _) => ("bitcast<i32>(long_of_float_(a).x)", Kind::F32, Kind::of(to)),
        (I64, F32) => ("float_of_long_(a)", Kind::Raw64, Kind::F32),
        (I64, _) => ("bitcast<i32>(a.x)", Kind::Raw64, Kind::of(to)),
        _ => ("a", Kind::of(from), Kind::of(to)),
    }
}

/// Every conversion there is, for the list of shaders.
pub(super) fn conversions() -> Vec<(&'static str, Kind, Kind)> {
    let all = [DType::U8, DType::I32, DType::I64, DType::F32];
    let mut list = Vec::new();
    for from in all {
        for to in all {
            let entry = conversion(from, to);
            if !list.contains(&entry) {
                list.push(entry);
            }
        }
    }
    list
}

/// Copies `from` into `to`, converting as 0.3 does: floats lose their fraction, integers wrap.
///
/// # Errors
/// Sizes that differ, or an element type without kernels.
pub fn copy(op: &str, from: &Operand, to: &Operand) -> Result<()> {
    from.check(op, "the source")?;
    let (expr, read, write) = conversion(from.dtype, to.dtype);
    run(&Formula::new(op, expr), &[(*from, read)], &[], (*to, write))
}

/// The formula that fills elements of a kind: the value's bits are its numbers.
pub(super) fn fill_expr(kind: Kind) -> &'static str {
    match kind {
        Kind::Raw64 => "vec2<u32>(bitcast<u32>(p0), bitcast<u32>(p1))",
        Kind::Raw32 => "bitcast<u32>(p0)",
        _ => "p0",
    }
}

/// Sets every element to `value`, converted as 0.3 does.
///
/// # Errors
/// An element type without kernels.
pub fn fill(op: &str, to: &Operand, value: f64) -> Result<()> {
    let bits = match to.dtype {
        DType::F32 => (value as f32).to_bits().into(),
        _ => value as i64 as u64,
    };
    fill_bits(op, to, bits)
}

/// Sets every element to the one whose bits are the lowest of `bits`.
///
/// # Errors
/// An element type without kernels.
pub fn fill_bits(op: &str, to: &Operand, bits: u64) -> Result<()> {
    let kind = match to.dtype {
        DType::I64 => Kind::Raw64,
        DType::F32 => Kind::Raw32,
        other => Kind::of(other),
    };
    let params = [bits, bits >> 32].map(|w| Scalar::I32(w as u32 as i32));
    let used = if kind == Kind::Raw64 { 2 } else { 1 };
    run(
        &Formula::new(op, fill_expr(kind)),
        &[],
        &params[..used],
        (*to, kind),
    )
}

/// A copy of `from` in row-major order, and its strides.
pub(super) fn contiguous(op: &str, from: &Operand) -> Result<(Buffer, Dims)> {
    let buffer = alloc(from.count() * from.dtype.bytes())?;
    let strides = row_major(from.sizes);
    let to = Operand {
        buffer: &buffer,
        strides: &strides,
        offset: 0,
        ..*from
    };
    copy(op, from, &to)?;
    Ok((buffer, strides))
}

/// What is read while `outs` are written: `x` itself, or a copy of it if it shares a buffer with them.
pub(super) fn apart<T>(
    op: &str,
    x: &Operand,
    outs: &[&Operand],
    then: impl FnOnce(&Operand) -> Result<T>,
) -> Result<T> {
    if outs.iter().all(|o| o.buffer.id() != x.buffer.id()) || x.count() == 0 {
        return then(x);
    }
    let (buffer, strides) = contiguous(op, x)?;
    then(&Operand {
        buffer: &buffer,
        strides: &strides,
        offset: 0,
        ..*x
    })
}

type Typed<'a> = (Operand<'a>, Kind);

pub(super) fn run(
    formula: &Formula,
    inputs: &[Typed],
    params: &[Scalar],
    out: Typed,
) -> Result<()> {
    let op = formula.op;
    out.0.check(op, "the result")?;
    if inputs.len() > 3 || inputs.len() > formula.names.len() || params.len() > 4 {
        fail!(
            Runtime,
            "{op}: a formula takes up to 3 operands and 4 numbers; got {} and {}",
            inputs.len(),
            params.len()
        );
    }
    for ((x, _), name) in inputs.iter().zip(formula.names) {
        if x.sizes != out.0.sizes {
            fail!(
                Runtime,
                "{op}: {name} is {} but the result is {}; expand one first",
                sizes_text(x.sizes),
                sizes_text(out.0.sizes)
            );
        }
        x.check(op, name)?;
    }
    if out.0.count() == 0 {
        return Ok(());
    }
    // An input that shares memory with the result, but not element for element, is copied away first.
    for (i, (x, kind)) in inputs.iter().enumerate() {
        if x.buffer.id() == out.0.buffer.id() && !may_share(x, &out.0) {
            let (buffer, strides) = contiguous(op, x)?;
            let mut moved: SmallVec<[Typed; 3]> = SmallVec::from_slice(inputs);
            moved[i] = (
                Operand {
                    buffer: &buffer,
                    strides: &strides,
                    offset: 0,
                    ..*x
                },
                *kind,
            );
            return run(formula, &moved, params, out);
        }
    }
    dispatch(formula, inputs, params, out)
}

/// Whether reading `x` through the binding of `y` gives what was there before: the same elements, or
/// none in common.
fn may_share(x: &Operand, y: &Operand) -> bool {
    let (p, q) = (x.span(), y.span());
    x.is_same(y) || (x.dtype == y.dtype && (p.1 <= q.0 || q.1 <= p.0))
}

fn dispatch(formula: &Formula, inputs: &[Typed], params: &[Scalar], out: Typed) -> Result<()> {
    let y = &out.0;
    let mut strides: [Option<&[i64]>; 4] = [None; 4];
    let mut walk = Walk {
        count: y.count() as u32,
        ..Walk::default()
    };
    for (i, (x, _)) in inputs.iter().enumerate() {
        strides[i] = Some(x.strides);
        walk.offsets[i] = x.offset as u32;
    }
    strides[3] = Some(y.strides);
    walk.offsets[3] = y.offset as u32;
    let loops = collapse(y.sizes, strides, true);
    if loops.len() > MOST_LOOPS {
        return by_slices(formula, inputs, params, out);
    }
    for (slot, p) in walk.params.iter_mut().zip(params) {
        *slot = p.bits();
    }
    let (_, step) = loops.first().copied().unwrap_or((1, [0, 0, 0, 1]));
    let flat = loops.len() <= 1
        && step[3] == 1
        && (0..4).all(|i| match step[i] {
            0 => true,
            1 => walk.offsets[i].is_multiple_of(4),
            _ => false,
        });
    if flat {
        walk.steps = step.map(|s| s as u32);
        walk.invocations = walk.count.div_ceil(4);
    } else {
        walk.set_loops(&loops);
        walk.invocations = walk.count;
    }

    let file = [File::Map0, File::Map1, File::Map2, File::Map3][inputs.len()];
    let mut key: SmallVec<[u8; 128]> = SmallVec::new();
    let mut reads: SmallVec<[&Buffer; 4]> = SmallVec::new();
    key.extend_from_slice(&[file as u8, u8::from(flat), out.1 as u8]);
    for (x, kind) in inputs {
        let shared = x.buffer.id() == y.buffer.id();
        key.extend_from_slice(&[*kind as u8, u8::from(shared)]);
        if !shared {
            reads.push(x.buffer);
        }
    }
    for p in params {
        key.push(matches!(p, Scalar::F32(_)).into());
    }
    for name in formula
        .names
        .iter()
        .take(inputs.len())
        .chain(formula.params.iter().take(params.len()))
    {
        key.extend_from_slice(name.as_bytes());
        key.push(b',');
    }
    key.extend_from_slice(formula.expr.as_bytes());
    let wanted = Wanted {
        file,
        key: &key,
        reads: reads.len(),
        writes: 1,
    };
    let gpu = gpu()?;
    let pipeline = gpu.shaders.get(gpu, formula.op, &wanted, || {
        let kinds: Vec<(Kind, bool)> = inputs
            .iter()
            .map(|(x, k)| (*k, x.buffer.id() == y.buffer.id()))
            .collect();
        let floats: Vec<bool> = params.iter().map(|p| matches!(p, Scalar::F32(_))).collect();
        definitions(formula, &kinds, &floats, out.1, flat)
    })?;
    reads.push(y.buffer);
    let grid = grid_of(u64::from(walk.invocations).div_ceil(WG));
    push(
        gpu,
        Job {
            op: formula.op,
            pipeline: &pipeline,
            buffers: &reads,
            walk,
            grid,
        },
    );
    Ok(())
}

/// The definitions that make a map of `formula`; inputs are marked if they share the result's buffer.
pub(super) fn definitions(
    formula: &Formula,
    inputs: &[(Kind, bool)],
    floats: &[bool],
    out: Kind,
    flat: bool,
) -> String {
    let mut slots = Vec::new();
    for (&(kind, shared), name) in inputs.iter().zip(['a', 'b', 'c']) {
        slots.push(Slot {
            name,
            kind,
            how: if shared { Use::Shared } else { Use::Read },
        });
    }
    slots.push(Slot {
        name: 'y',
        kind: out,
        how: Use::Write,
    });
    let mut text = format!("const WG: u32 = {WG}u;\nconst FLAT: bool = {flat};\n");
    text.push_str(&accessors(&slots, flat));
    let args: Vec<String> = inputs
        .iter()
        .zip(formula.names)
        .map(|((kind, _), name)| format!("{name}: {}", kind.text()))
        .collect();
    let y = out.text();
    let result = match out {
        Kind::Raw32 | Kind::Raw64 => formula.expr.to_string(),
        _ => format!("{y}({})", formula.expr),
    };
    text.push_str(&format!("fn f({}) -> {y} {{\n", args.join(", ")));
    for ((float, name), axis) in floats.iter().zip(formula.params).zip(['x', 'y', 'z', 'w']) {
        let ty = if *float { "f32" } else { "i32" };
        text.push_str(&format!(
            "    let {name} = bitcast<{ty}>(at.params.{axis});\n"
        ));
    }
    text.push_str(&format!("    return {result};\n}}\n"));
    let letters = ["a", "b", "c"];
    let list = |lane: &str| {
        let parts: Vec<String> = letters
            .iter()
            .take(inputs.len())
            .map(|n| format!("{n}{lane}"))
            .collect();
        parts.join(", ")
    };
    let each = |kind: &str| {
        let parts: Vec<String> = inputs
            .iter()
            .zip(letters)
            .map(|((k, _), n)| kind.replace("NAME", n).replace("TYPE", k.text()))
            .collect();
        parts.join(", ")
    };
    if flat {
        let four: Vec<String> = (0..4)
            .map(|i| format!("f({})", list(&format!("[{i}]"))))
            .collect();
        text.push_str(&format!(
            "fn each({}) -> array<{y}, 4> {{\n    return array<{y}, 4>({});\n}}\n",
            each("NAME: array<TYPE, 4>"),
            four.join(", ")
        ));
    } else {
        text.push_str(&format!(
            "fn each({}) -> {y} {{ return f({}); }}\n",
            each("NAME: TYPE"),
            list("")
        ));
    }
    text
}

/// More dimensions than a kernel walks: the first one is walked here.
fn by_slices(formula: &Formula, inputs: &[Typed], params: &[Scalar], out: Typed) -> Result<()> {
    let slice =
        |x: &(Operand<'_>, Kind), i: i64| -> usize { x.0.offset + (i * x.0.strides[0]) as usize };
    for i in 0..out.0.sizes[0] {
        let parts: SmallVec<[Typed; 3]> = inputs
            .iter()
            .map(|x| (inner(&x.0, slice(x, i)), x.1))
            .collect();
        dispatch(
            formula,
            &parts,
            params,
            (inner(&out.0, slice(&out, i)), out.1),
        )?;
    }
    Ok(())
}

fn inner<'a>(x: &Operand<'a>, offset: usize) -> Operand<'a> {
    Operand {
        sizes: &x.sizes[1..],
        strides: &x.strides[1..],
        offset,
        ..*x
    }
}
