//! Running an op in place: what may be written where, and the history of what was overwritten.

use super::apply::{Values, expanded, needs, payload};
use super::macros::prelude::same_sizes;
use super::{Op, Out, copy, shape};
use crate::error::{Error, Result};
use crate::fail;
use crate::graph::arena::{self, Extra, Handle, Payload};
use crate::graph::site;
use crate::graph::{Input, Origin, Var, Variable, is_recording};
use crate::tensor::{Dims, Tensor, Value, sizes_text};
use smallvec::SmallVec;

/// Runs `op` without recording and writes its first result into `out`; gives what the formula reads.
///
/// # Errors
/// What the op refuses, or a result of other sizes than `out`; `out` is untouched then.
pub fn run_into(
    op: &'static Op,
    inputs: &[Input],
    values: &[Value],
    out: &Tensor,
) -> Result<Values> {
    if op.forms.broadcasts {
        // Kernels of such rows take operands that were expanded before.
        same_sizes(op.name, inputs)?;
    }
    if op.forms.direct
        && !op.on_host(inputs, values)
        && writes_directly(inputs, out)
        && op.rule_result(inputs) == Some(out.kind())
    {
        return Ok(op.call(inputs, values, &Out::Into(out))?.lets);
    }
    if op.forms.updates && updates_directly(inputs, values, out) {
        return Ok(op.call(inputs, values, &Out::Into(out))?.lets);
    }
    let made = op.call(inputs, values, &Out::Fresh)?;
    let result = &made.outputs[0];
    if result.sizes() != out.sizes() {
        fail!(
            Runtime,
            "{}_: the result of size {} does not fit a tensor of size {} in place",
            op.name,
            sizes_text(result.sizes()),
            sizes_text(out.sizes())
        );
    }
    copy::copy_into(out, result)?;
    Ok(made.lets)
}

/// Whether `out` is the first operand itself, without an element twice, and apart from all else that
/// is read.
fn updates_directly(inputs: &[Input], values: &[Value], out: &Tensor) -> bool {
    let mut others = inputs[1..].iter().map(|i| &i.tensor);
    let mut arguments = values.iter().filter_map(|v| match v {
        Value::Tensor(t) => Some(t),
        _ => None,
    });
    let me = &inputs[0].tensor;
    me.device() == crate::tensor::Device::Cpu
        && me.kind() == out.kind()
        && me.shares_memory(out)
        && me.offset() == out.offset()
        && me.strides() == out.strides()
        && me.sizes() == out.sizes()
        && !repeats(out)
        && !others.any(|t| t.shares_memory(out))
        && !arguments.any(|t| t.shares_memory(out))
}

/// Whether writing into `out` while reading the operands is safe: `out` has no element twice and
/// each operand is the very same place or another memory.
fn writes_directly(inputs: &[Input], out: &Tensor) -> bool {
    let same = |t: &Tensor| {
        t.offset() == out.offset() && t.strides() == out.strides() && t.sizes() == out.sizes()
    };
    !repeats(out)
        && inputs.iter().all(|i| {
            i.tensor.sizes() == out.sizes() && (!i.tensor.shares_memory(out) || same(&i.tensor))
        })
}

/// Whether several elements of `t` are one in memory.
pub fn repeats(t: &Tensor) -> bool {
    !t.is_contiguous() && super::overlap::repeats(t.sizes(), t.strides())
}

/// Fails for a target of which several elements are one in memory.
///
/// # Errors
/// `RuntimeError` for an expanded tensor.
pub fn refuse_repeats(op: &str, target: &Tensor) -> Result<()> {
    // One value everywhere is right there, too.
    if repeats(target) && !matches!(op, "fill" | "zero") {
        fail!(
            Runtime,
            "{op}: cannot write into an expanded tensor of size {}, whose elements share memory (strides {:?}); clone() it first",
            sizes_text(target.sizes()),
            target.strides()
        );
    }
    Ok(())
}

/// Fails for a write with history through `view`, where that has no place of its own in its base.
fn refuse_parts(op: &str, base: &Tensor, view: &Tensor) -> Result<()> {
    if repeats(base) {
        fail!(
            Runtime,
            "{op}_: cannot write with gradients into a part of a Variable whose elements share memory (size {}, strides {:?}); clone() that Variable first",
            sizes_text(base.sizes()),
            base.strides()
        );
    }
    let end = |t: &Tensor| t.offset() + t.reach();
    if view.offset() < base.offset() || end(view) > end(base) {
        fail!(
            Runtime,
            "{op}_: the view of size {} lies outside the Variable of size {} that it is a view of, whose .data was replaced; make the view again",
            sizes_text(view.sizes()),
            sizes_text(base.sizes())
        );
    }
    Ok(())
}

impl Op {
    /// Class and place of the first result, where the row's kernel gives that of its operands.
    fn rule_result(
        &self,
        inputs: &[Input],
    ) -> Option<(crate::tensor::DType, crate::tensor::Device)> {
        (!self.forms.compares).then(|| inputs[0].tensor.kind())
    }
}

/// Runs `op` on `target` in place (`name_`), with history.
///
/// # Errors
/// `RuntimeError` for a leaf that requires grad, and what the op refuses; nothing has
/// changed then.
pub fn apply_in_place(
    op: &'static Op,
    target: &Variable,
    others: &[Input],
    values: Values,
) -> Result<()> {
    let me = target.input()?;
    let recording = is_recording();
    if recording && matches!(me.origin, Origin::Leaf(_)) {
        return Err(leaf_in_place(op.name, "a leaf", &me.tensor));
    }
    let tensor = me.tensor.clone();
    refuse_repeats(op.name, &tensor)?;
    let mut held: SmallVec<[Option<Var>; 2]> = SmallVec::new();
    for other in others {
        let fits = !op.forms.broadcasts || other.tensor.sizes() == tensor.sizes();
        if !fits && other.tensor.expand(tensor.sizes()).is_err() {
            fail!(
                Runtime,
                "{}_: an operand of size {} does not expand to the Variable's {}, and in place the Variable's size stays",
                op.name,
                sizes_text(other.tensor.sizes()),
                sizes_text(tensor.sizes())
            );
        }
        held.push(if fits {
            None
        } else {
            Some(expanded(other, &Dims::from_slice(tensor.sizes()))?)
        });
    }
    let mut inputs: SmallVec<[Input; 3]> = SmallVec::new();
    inputs.push(me.clone());
    for (other, var) in others.iter().zip(&held) {
        inputs.push(var.as_ref().map_or_else(|| other.clone(), Var::input));
    }
    let volatile = inputs.iter().any(|i| i.volatile);
    let base = target.base();
    if recording
        && base
            .as_ref()
            .is_some_and(|b| b.is_leaf() && b.requires_grad())
    {
        return Err(leaf_in_place(op.name, "a view of a leaf", &me.tensor));
    }
    let base_var = match &base {
        Some(base) => Some(base.input()?),
        None => None,
    };
    let mut wanted = 0;
    if !volatile && recording && !op.rule.node.is_empty() {
        wanted = needs(&inputs);
        if let Some(base) = &base_var {
            // Also where the view itself was made without recording: what it writes is the base's.
            wanted |= u64::from(base.requires_grad());
            if wanted != 0 {
                refuse_parts(op.name, &base.tensor, &tensor)?;
            }
        }
    }
    // A formula that reads what is overwritten gets a copy of it, be it the target itself or
    // another operand on the same memory.
    let kept = (op.rule.saves)(wanted);
    let mut before: SmallVec<[Tensor; 3]> = SmallVec::new();
    for (i, input) in inputs.iter().enumerate() {
        let overwritten = kept >> i.min(63) & 1 == 1 && input.tensor.shares_memory(&tensor);
        before.push(if overwritten {
            copy::contiguous_copy(&input.tensor)?
        } else {
            input.tensor.clone()
        });
    }
    let lets = run_into(op, &inputs, &values, &tensor)?;
    let version = tensor.version();
    tensor.bump();
    site::note_change(&tensor);
    for (input, before) in inputs.iter_mut().zip(before) {
        input.tensor = before;
    }
    if !recording {
        target.settle(version);
        if let Some(base) = base {
            base.settle(version);
        }
        return Ok(());
    }
    if wanted == 0 {
        if volatile {
            target.rebase(None, true);
            if let Some(base) = base {
                base.rebase(None, true);
            }
        }
        return Ok(());
    }
    let payload = payload(
        op,
        &inputs,
        std::slice::from_ref(&tensor),
        values,
        lets,
        wanted,
    );
    let Some((base, from)) = base.as_ref().zip(base_var) else {
        let handle = arena::record(&op.rule, inputs.iter().map(|i| i.origin), payload)?;
        target.rebase(Some((handle, 0)), false);
        return Ok(());
    };
    if target.has_own_history() {
        let handle = arena::record(&op.rule, inputs.iter().map(|i| i.origin), payload)?;
        return written(target, base, &from, Some((handle, 0)));
    }
    let handle = write_through(op, &from, &inputs, &tensor, payload)?;
    base.rebase(Some((handle, 0)), false);
    target.outdate();
    Ok(())
}

/// Gives `target`, a view that was written over, the history of what was written, and its base the
/// history of a base with that in it. `from` is what the base was.
pub fn written(
    target: &Variable,
    base: &Variable,
    from: &Input,
    history: Option<(Handle, u32)>,
) -> Result<()> {
    let tensor = target.tensor();
    let (dtype, device) = tensor.kind();
    let part = Var {
        tensor: tensor.clone(),
        history: history.clone(),
        volatile: false,
    };
    let inputs = [Input::plain(tensor.clone()), part.input()];
    let kinds = [Value::Int(dtype as i64), Value::Int(device as i64)];
    let payload = Payload {
        needs: u64::from(from.requires_grad()) | u64::from(part.requires_grad()) << 1,
        values: kinds.into_iter().collect(),
        ..Payload::default()
    };
    if payload.needs != 0 {
        let handle = write_through(&copy::copy::OP, from, &inputs, &tensor, payload)?;
        base.rebase(Some((handle, 0)), false);
    }
    target.rebase(history, false);
    Ok(())
}

/// The error of an in-place op on `what`, a leaf or its view.
pub fn leaf_in_place(op: &str, what: &str, leaf: &Tensor) -> Error {
    Error::Runtime(format!(
        "{op}_: {what} Variable that requires grad has been used in an in-place operation; change its .data instead"
    ))
    .about("leaf", leaf.family(), 0)
}

/// The node of a write through a view: it leads to what the base was and to the other operands.
fn write_through(
    op: &'static Op,
    base: &Input,
    inputs: &[Input],
    view: &Tensor,
    inner: Payload,
) -> Result<Handle> {
    let mut origins: SmallVec<[Origin; 3]> = SmallVec::new();
    origins.push(base.origin);
    origins.extend(inputs[1..].iter().map(|i| i.origin));
    let t = &base.tensor;
    let numbers = [t.strides(), view.sizes(), view.strides()];
    let mut values: Values = numbers
        .iter()
        .map(|n| Value::Dims(Box::new(Dims::from_slice(n))))
        .collect();
    values.push(Value::Int(view.offset() as i64 - t.offset() as i64));
    values.push(Value::Dims(Box::new(Dims::from_slice(t.sizes()))));
    let payload = Payload {
        needs: inner.needs,
        values,
        extra: Some(Box::new(Extra {
            inner: Some((&op.rule, inner)),
            ..Extra::default()
        })),
        ..Payload::default()
    };
    arena::record(&shape::COPY_SLICES, origins.into_iter(), payload)
}
