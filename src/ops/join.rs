//! Joining, cutting into parts, and repeating.

use super::apply::Values;
use super::copy::copy_into;
use super::device;
use super::shape::{narrow, reshape, zeros_like};
use super::{Formula, Op, Param};
use crate::error::Result;
use crate::fail;
use crate::graph::{Input, Rule, Step, Var};
use crate::tensor::{Dims, FromValue, Tensor, Value, dims, sizes_text};
use smallvec::SmallVec;

ops! {
    /// The tensor beside itself: `sizes[d]` times along each dimension; more sizes than dimensions
    /// put new ones in front. A copy.
    ///
    /// Raises RuntimeError for fewer sizes than dimensions.
    method: fn repeat(x; sizes: Dims) -> (y): Any named "repeat" as "RepeatBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        sized whole(&unfolded(&back, &sizes));
        forward(out) = repeated(x, &sizes)?;
        grad x = |g| unrepeat(g, &sizes, &back)?, "g summed over what was repeated";
        try [(sample(&[2]); [3]), (sample(&[2, 3]); [2, 1, 2]), (sample(&[1, 2]); [3, 1])];
    }
}

/// Each dimension of a repeated tensor as two: how often, and the size.
fn unfolded(sizes: &[i64], times: &[i64]) -> Dims {
    let lead = times.len() - sizes.len();
    let own = |d: usize| if d < lead { 1 } else { sizes[d - lead] };
    (0..times.len()).flat_map(|d| [times[d], own(d)]).collect()
}

/// The size of the repeated tensor.
fn whole(pairs: &[i64]) -> Dims {
    pairs.chunks_exact(2).map(|p| p[0] * p[1]).collect()
}

fn repeated(x: &Tensor, times: &[i64]) -> Result<Tensor> {
    const OP: &str = "repeat";
    if x.ndim() == 0 || times.len() < x.ndim() || times.iter().any(|&t| t < 1) {
        fail!(
            Runtime,
            "{OP}: needs at least one positive size for each dimension of the tensor of size {}; got {}",
            sizes_text(x.sizes()),
            sizes_text(times)
        );
    }
    let lead = times.len() - x.ndim();
    let pairs = unfolded(x.sizes(), times);
    let sizes = whole(&pairs);
    dims::count(OP, &pairs)?;
    let y = device::empty(OP, x.dtype(), x.device(), &sizes)?;
    let step = |d: usize| if d < lead { 0 } else { x.strides()[d - lead] };
    let strides: Dims = (0..times.len()).flat_map(|d| [0, step(d)]).collect();
    let wide = x.as_strided(&pairs, &strides, x.offset() as i64)?;
    copy_into(&y.view(&pairs)?, &wide)?;
    Ok(y)
}

fn unrepeat(g: &Var, times: &[i64], sizes: &Dims) -> Result<Var> {
    let mut out = reshape(g, &unfolded(sizes, times))?;
    for d in (0..times.len()).rev() {
        out = crate::ops::reduce::sum_dim(&out, 2 * d as i64, false)?;
    }
    reshape(&out, sizes)
}

/// Parts of one size along a dimension; the last may be smaller. One node with many results.
pub static SPLIT: Op = Op {
    name: "split",
    doc: "Parts of `split_size` along `dim`; the last may be smaller. Views.",
    inputs: &["x"],
    params: &[
        Param {
            name: "split_size",
            kind: super::Kind::Int,
            default: None,
        },
        Param {
            name: "dim",
            kind: super::Kind::Int,
            default: Some(|| Value::Int(0)),
        },
    ],
    results: &["y"],
    class: super::Class::Any,
    forms: super::Forms {
        view: true,
        ..super::macros::prelude::NO_FORMS
    },
    rule: Rule {
        node: "SplitBackward",
        saves: |_| 0,
        inputs: 1,
        back: Some(split_back),
    },
    parts: None,
    formulas: &[Formula {
        of: "x",
        incoming: "g",
        text: "the parts of g together",
    }],
    run: split_run,
    tries: || {
        use crate::ops::sample::{Sample, sample};
        vec![
            Sample::new(vec![sample(&[5, 2])], vec![Value::Int(2), Value::Int(0)]),
            Sample::new(vec![sample(&[2, 3])], vec![Value::Int(3), Value::Int(-1)]),
            Sample::new(vec![sample(&[4])], vec![Value::Int(1), Value::Int(0)]),
        ]
    },
};

/// The parts of `x`, as many as `split_size` leaves.
pub fn split(x: &Input, split_size: i64, dim: i64) -> Result<SmallVec<[Var; 1]>> {
    let values = Values::from_iter([Value::Int(split_size), Value::Int(dim)]);
    crate::ops::apply(&SPLIT, std::slice::from_ref(x), values)
}

fn split_run(inputs: &[Input], values: &[Value], _out: &super::Out) -> Result<super::Made> {
    let x = &inputs[0].tensor;
    let (each, dim) = (i64::from_value(&values[0]), i64::from_value(&values[1]));
    let dim = dims::wrap_dim("split", dim, x.ndim())?;
    if each < 1 {
        fail!(
            Runtime,
            "split: the size of a part must be positive; got {each}"
        );
    }
    let size = x.sizes()[dim];
    let mut outputs = SmallVec::new();
    let count = (size - 1) / each + 1;
    if outputs.try_reserve(count as usize).is_err() {
        fail!(
            Memory,
            "split: no memory for {count} parts of size {each}; make the parts larger"
        );
    }
    let mut at = 0;
    while at < size {
        let length = each.min(size - at);
        outputs.push(x.narrow(dim as i64, at, length)?);
        at += length;
    }
    // 0.3 keeps the operand, so a second time back is refused; what is kept here only says so.
    let token = Tensor::empty("split", crate::tensor::DType::U8, &[])?;
    Ok(super::Made {
        outputs,
        lets: Values::from_iter([
            Value::Int(dim as i64),
            Value::Dims(Box::new(Dims::from_slice(x.sizes()))),
            Value::Tensor(token),
        ]),
    })
}

fn split_back(step: &mut Step) -> Result<()> {
    if step.payload.values.is_empty() {
        fail!(
            Runtime,
            "SplitBackward: Trying to backward through the graph a second time, but the buffers have already been freed; specify retain_graph=True when calling backward the first time"
        );
    }
    let (each, dim, sizes): (i64, i64, Dims) = (step.value(0), step.value(2), step.value(3));
    let Some(like) = step.incoming.iter().flatten().next() else {
        return Ok(());
    };
    // The last parts are missing altogether when nothing was made of them.
    let size = sizes[dim as usize];
    let count = (size - 1) / each + 1;
    let mut parts = Vec::with_capacity(count as usize);
    for i in 0..count {
        parts.push(match step.incoming.get(i as usize) {
            Some(Some(part)) => part.clone(),
            _ => {
                let mut own = sizes.clone();
                own[dim as usize] = each.min(size - i * each);
                zeros_like(like, &own)?
            }
        });
    }
    let whole = cat(&parts, dim)?;
    if whole.sizes() != sizes.as_slice() {
        return Err(step.rule.misfit(&sizes, whole.sizes()));
    }
    step.give(0, whole);
    Ok(())
}

/// Joins tensors along dimension `dim`; empty ones are skipped.
pub static CAT: Op = Op {
    name: "cat",
    doc: "Joins tensors along dimension `dim`; tensors without dimensions are skipped.",
    inputs: &[],
    params: &[super::Param {
        name: "dim",
        kind: super::Kind::Int,
        default: Some(|| Value::Int(0)),
    }],
    results: &["y"],
    class: super::Class::Any,
    forms: super::Forms {
        function: true,
        out: true,
        list: true,
        ..super::macros::prelude::NO_FORMS
    },
    rule: Rule {
        node: "CatBackward",
        saves: |_| 0,
        inputs: 0,
        back: Some(cat_back),
    },
    parts: None,
    formulas: &[Formula {
        of: "tensors",
        incoming: "g",
        text: "the part of g",
    }],
    run: cat_run,
    tries: || {
        use crate::ops::sample::{Sample, sample};
        vec![
            Sample::new(vec![sample(&[2, 3]), sample(&[1, 3])], vec![Value::Int(0)]),
            Sample::new(vec![sample(&[2, 1]), sample(&[2, 2])], vec![Value::Int(-1)]),
        ]
    },
};

/// Joins `parts` along `dim`.
pub fn cat(parts: &[Var], dim: i64) -> Result<Var> {
    let inputs: Vec<Input> = parts.iter().map(Var::input).collect();
    crate::ops::apply::first(&CAT, &inputs, Values::from_iter([Value::Int(dim)]))
}

fn cat_run(inputs: &[Input], values: &[Value], out: &super::Out) -> Result<super::Made> {
    let full: Vec<&Tensor> = inputs
        .iter()
        .map(|i| &i.tensor)
        .filter(|t| t.ndim() > 0)
        .collect();
    let Some(first) = full.first() else {
        match inputs.first() {
            Some(input) => {
                let mut outputs = smallvec::SmallVec::new();
                outputs.push(device::empty(
                    "cat",
                    input.tensor.dtype(),
                    input.tensor.device(),
                    &[],
                )?);
                return Ok(super::Made {
                    outputs,
                    lets: Values::from_iter([Value::Int(0), Value::Dims(Box::default())]),
                });
            }
            None => fail!(
                Runtime,
                "cat: needs at least one tensor; the sequence is empty"
            ),
        }
    };
    let dim = dims::wrap_dim("cat", i64::from_value(&values[0]), first.ndim())?;
    let mut sizes = Dims::from_slice(first.sizes());
    sizes[dim] = 0;
    for part in &full {
        crate::tensor::dtype::same("cat", first.kind(), part.kind())?;
        let fits = part.ndim() == first.ndim()
            && (0..part.ndim()).all(|d| d == dim || part.sizes()[d] == first.sizes()[d]);
        if !fits {
            fail!(
                Runtime,
                "cat: sizes must be equal in every dimension but {dim}; got {} and {}",
                sizes_text(first.sizes()),
                sizes_text(part.sizes())
            );
        }
        sizes[dim] += part.sizes()[dim];
    }
    let y = out.make("cat", first.kind(), &sizes)?;
    let mut at = 0;
    for part in &full {
        let length = part.sizes()[dim];
        copy_into(&y.narrow(dim as i64, at, length)?, part)?;
        at += length;
    }
    let lengths = inputs
        .iter()
        .map(|i| i.tensor.sizes().get(dim).copied().unwrap_or(0))
        .collect();
    let mut outputs = smallvec::SmallVec::new();
    outputs.push(y);
    Ok(super::Made {
        outputs,
        lets: Values::from_iter([Value::Int(dim as i64), Value::Dims(Box::new(lengths))]),
    })
}

fn cat_back(step: &mut Step) -> Result<()> {
    let g = step.gradient().clone();
    let (dim, lengths): (i64, Dims) = (step.value(1), step.value(2));
    let total = lengths.iter().sum();
    if g.sizes().get(dim as usize).copied().unwrap_or(0) != total {
        let mut sizes = Dims::from_slice(g.sizes());
        sizes.resize(sizes.len().max(dim as usize + 1), 1);
        sizes[dim as usize] = total;
        return Err(step.rule.misfit(&sizes, g.sizes()));
    }
    let mut at = 0;
    for (i, &length) in lengths.iter().enumerate() {
        if step.needs(i as u32) && length > 0 {
            step.give(i as u32, narrow(&g, dim, at, length)?);
        }
        at += length;
    }
    Ok(())
}
