//! Running an op: forward, then a node when somebody wants a gradient.

use super::{Made, Op, Out, shape};
use crate::error::Result;
use crate::graph::arena::{self, Extra, Filling, Payload, Saved};
use crate::graph::{Input, Origin, Var, is_recording};
use crate::tensor::{Dims, FromValue, Tensor, Value, dims};
use smallvec::SmallVec;

/// Arguments of a call.
pub type Values = SmallVec<[Value; 1]>;
/// Results of a call.
pub type Results = SmallVec<[Var; 1]>;

/// Runs `op` and records it where an operand requires a gradient.
///
/// # Errors
/// What the op refuses; nothing is recorded then.
#[inline]
pub fn apply(op: &'static Op, inputs: &[Input], values: Values) -> Result<Results> {
    if let (Some(parts), [input]) = (op.parts, inputs)
        && input.requires_grad()
        && !input.volatile
        && is_recording()
    {
        return Ok(Results::from_iter([parts(input, &values)?]));
    }
    if op.forms.broadcasts
        && let Some(sizes) = broadcast(op, inputs)?
    {
        return apply_expanded(op, inputs, values, &sizes);
    }
    if op.forms.expands_first
        && let Ok(sizes) =
            super::products::added_sizes(op.name, &inputs[1].tensor, &inputs[2].tensor)
        && inputs[0].tensor.sizes() != sizes.as_slice()
        && inputs[0].tensor.expand(&sizes).is_ok()
    {
        let wide = expanded(&inputs[0], &sizes)?;
        let all = [wide.input(), inputs[1].clone(), inputs[2].clone()];
        let made = op.call(&all, &values, &Out::Fresh)?;
        return record(op, &all, values, made);
    }
    let made = op.call(inputs, &values, &Out::Fresh)?;
    record(op, inputs, values, made)
}

/// The first result of [`apply`].
#[inline]
pub fn first(op: &'static Op, inputs: &[Input], values: Values) -> Result<Var> {
    let mut results = apply(op, inputs, values)?;
    Ok(results.swap_remove(0))
}

/// The first result of an op whose operands are given away, so that what the node keeps of them
/// needs no further handle: the way of formulas.
///
/// # Errors
/// As [`apply`].
#[inline(never)]
pub fn single<const N: usize>(op: &'static Op, inputs: [Input; N], values: Values) -> Result<Var> {
    single_in_line(op, inputs, values)
}

/// [`single`] for the Python operators, where even moving its operands and result counts.
#[inline(always)]
pub fn single_in_line<const N: usize>(
    op: &'static Op,
    inputs: [Input; N],
    mut values: Values,
) -> Result<Var> {
    let sizes = inputs[0].tensor.sizes();
    let agree = !op.forms.broadcasts || inputs[1..].iter().all(|i| i.tensor.sizes() == sizes);
    if !agree || op.forms.expands_first || op.results.len() > 1 || op.parts.is_some() {
        return first(op, &inputs, values);
    }
    // Left where the kernel put it: taking it out of the `Result` whole would move it.
    let mut called = op.call(&inputs, &values, &Out::Fresh);
    let made = match &mut called {
        Ok(made) => made,
        Err(error) => return Err(error.clone()),
    };
    let tensor = made.outputs.swap_remove(0);
    let volatile = inputs.iter().any(|i| i.volatile);
    let needs = if volatile || op.rule.node.is_empty() {
        0
    } else {
        needs(&inputs)
    };
    if needs == 0 || !is_recording() {
        return Ok(Var {
            tensor,
            history: None,
            volatile: volatile && !op.forms.places,
        });
    }
    let kept = (op.rule.saves)(needs) & ((2 << N) - 1);
    let origins: [Origin; N] = std::array::from_fn(|i| inputs[i].origin);
    if !made.lets.is_empty() {
        values.extend(made.lets.drain(..));
    }
    note_versions(op, &mut values);
    let result = (kept >> N & 1 == 1).then(|| tensor.clone());
    let mut tensors = inputs.map(|input| Some(input.tensor));
    let mut saved = |i: usize| tensors[i].take_if(|_| kept >> i & 1 == 1).map(Saved::now);
    let handle = if Filling::fits(N, kept.count_ones() as usize + values.len()) {
        arena::record_small(&op.rule, origins, needs, |mut filling| {
            for i in 0..N {
                if let Some(saved) = saved(i) {
                    filling.save(saved);
                }
            }
            if let Some(result) = result {
                filling.save(Saved::now(result));
            }
            values.into_iter().for_each(|value| filling.value(value));
        })?
    } else {
        let payload = Payload {
            needs,
            saved: (0..N)
                .filter_map(saved)
                .chain(result.map(Saved::now))
                .collect(),
            values,
            extra: None,
        };
        arena::record(&op.rule, origins.into_iter(), payload)?
    };
    Ok(Var::made_by(tensor, handle, 0))
}

/// The sizes that operands must be expanded to; none when they agree.
#[inline]
fn broadcast(op: &Op, inputs: &[Input]) -> Result<Option<Dims>> {
    let have = inputs[0].tensor.sizes();
    if inputs[1..].iter().all(|i| i.tensor.sizes() == have) {
        return Ok(None);
    }
    let mut sizes = Dims::from_slice(have);
    for other in &inputs[1..] {
        sizes = dims::broadcast(op.name, &sizes, other.tensor.sizes())?;
    }
    Ok(Some(sizes))
}

fn apply_expanded(
    op: &'static Op,
    inputs: &[Input],
    values: Values,
    sizes: &Dims,
) -> Result<Results> {
    // Element types are compared first, so that a refused call leaves no expand behind.
    for other in &inputs[1..] {
        crate::tensor::dtype::same(op.name, inputs[0].tensor.kind(), other.tensor.kind())?;
    }
    let mut held: SmallVec<[Option<Var>; 3]> = SmallVec::new();
    for input in inputs {
        held.push(if input.tensor.sizes() == sizes.as_slice() {
            None
        } else {
            Some(expanded(input, sizes)?)
        });
    }
    let wide: SmallVec<[Input; 3]> = inputs
        .iter()
        .zip(&held)
        .map(|(input, var)| var.as_ref().map_or_else(|| input.clone(), Var::input))
        .collect();
    let made = op.call(&wide, &values, &Out::Fresh)?;
    record(op, &wide, values, made)
}

/// `input` expanded to `sizes`, recorded as the graph of 0.3 draws it.
pub fn expanded(input: &Input, sizes: &Dims) -> Result<Var> {
    let values = Values::from_iter([FromValue::into_value(sizes.clone())]);
    first(&shape::expand::OP, std::slice::from_ref(input), values)
}

/// Makes results of what a kernel made.
#[inline]
fn record(op: &'static Op, inputs: &[Input], values: Values, made: Made) -> Result<Results> {
    let volatile = inputs.iter().any(|i| i.volatile);
    let needs = if volatile || op.rule.node.is_empty() {
        0
    } else {
        needs(inputs)
    };
    if needs == 0 || !is_recording() {
        let wrap = |(nr, tensor): (usize, Tensor)| Var {
            volatile: volatile && shares_flags(op, nr, &tensor),
            tensor,
            history: None,
        };
        return Ok(made.outputs.into_iter().enumerate().map(wrap).collect());
    }
    let outputs = made.outputs;
    let mut payload = payload(op, inputs, &outputs, values, made.lets, needs);
    if op.forms.list || outputs.len() > 1 {
        // Indices, which come last, are none that a gradient could have.
        let counted = |&(nr, tensor): &(usize, &Tensor)| shares_flags(op, nr, tensor);
        payload.extra = Some(Box::new(Extra {
            outputs: outputs.iter().enumerate().filter(counted).count() as u32,
            ..Extra::default()
        }));
    }
    let handle = arena::record(&op.rule, inputs.iter().map(|i| i.origin), payload)?;
    if outputs.len() == 1 {
        let tensor = outputs.into_iter().next().expect("one result");
        return Ok(Results::from_iter([Var::made_by(tensor, handle, 0)]));
    }
    Ok(outputs
        .into_iter()
        .enumerate()
        .map(|(nr, tensor)| {
            if shares_flags(op, nr, &tensor) {
                Var::made_by(tensor, handle.clone(), nr as u32)
            } else {
                Var::from(tensor)
            }
        })
        .collect())
}

/// Whether result `nr` has the flags of the operands: indices have none at all.
fn shares_flags(op: &Op, nr: usize, result: &Tensor) -> bool {
    !op.forms.places && (nr == 0 || op.forms.view || result.dtype().is_float())
}

#[inline(always)]
pub(super) fn needs(inputs: &[Input]) -> u64 {
    let mut needs = 0;
    for (i, input) in inputs.iter().enumerate() {
        needs |= u64::from(input.requires_grad()) << i.min(63);
    }
    needs
}

#[inline(always)]
pub(super) fn payload(
    op: &Op,
    inputs: &[Input],
    outputs: &[Tensor],
    mut values: Values,
    lets: Values,
    needs: u64,
) -> Payload {
    let mut payload = Payload {
        needs,
        ..Payload::default()
    };
    let mut kept = (op.rule.saves)(needs);
    while kept != 0 {
        let i = kept.trailing_zeros() as usize;
        kept &= kept - 1;
        let tensor = if i < inputs.len() {
            &inputs[i].tensor
        } else {
            &outputs[i - inputs.len()]
        };
        payload.saved.push(Saved {
            tensor: tensor.clone(),
            version: tensor.version(),
        });
    }
    if !lets.is_empty() {
        values.extend(lets);
    }
    note_versions(op, &mut values);
    payload.values = values;
    payload
}

/// Adds the versions of index tensors and masks, which must not change before the way back.
/// A node without one keeps no tensors.
#[inline(always)]
fn note_versions(op: &Op, values: &mut Values) {
    for i in 0..values.len() {
        if let Value::Tensor(t) = &values[i] {
            if op.rule.back.is_none() {
                values[i] = Value::None;
                continue;
            }
            let version = i64::from(t.version());
            values.push(Value::Int(version));
        }
    }
}
