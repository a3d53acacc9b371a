//! `x[index]`.

use super::{Index, OP, Places};
use crate::error::Result;
use crate::graph::{Input, Variable};
use crate::ops::{self, apply::Values, copy::contiguous_copy, index, mask, pick, shape};
use crate::tensor::{DType, Dims, FromValue, Tensor, Value};

/// What `index` names in a raw tensor: a view for basic indices, else a copy. Where
/// [`Index::is_number`] holds it has one element, which Python gets as a number.
///
/// # Errors
/// `RuntimeError` for a number of a LongTensor out of range and a mask that does not expand.
pub fn get(x: &Tensor, index: &Index) -> Result<Tensor> {
    let x = match index {
        Index::Rows { steps, .. } | Index::Places { steps, .. } if !steps.is_empty() => {
            shape::walk(x, steps)?
        }
        _ => x.clone(),
    };
    match index {
        Index::Basic { steps, .. } => shape::walk(&x, steps),
        Index::Nothing(_) => ops::device::empty(OP, x.dtype(), x.device(), &[]),
        other => {
            let (op, values) = recorded(other);
            let mut results = ops::apply(op, &[Input::plain(x)], values)?;
            Ok(results.swap_remove(0).tensor)
        }
    }
}

/// What `index` names in a Variable, recorded; a view of it for basic indices.
///
/// # Errors
/// As [`get`].
pub fn get_var(x: &Variable, index: &Index) -> Result<Variable> {
    match index {
        Index::Basic { steps, .. } => part(x, steps),
        Index::Rows { steps, .. } | Index::Places { steps, .. } if !steps.is_empty() => {
            pick(&part(x, steps)?, index)
        }
        other => pick(x, other),
    }
}

/// The view where the walk `steps` leads, recorded.
fn part(x: &Variable, steps: &Dims) -> Result<Variable> {
    let values = Values::from_iter([steps.clone().into_value()]);
    let var = ops::apply::first(&shape::index::OP, &[x.input()?], values)?;
    Ok(Variable::view_of(var, x, shape::remake_view))
}

fn pick(x: &Variable, index: &Index) -> Result<Variable> {
    let input = x.input()?;
    if let Index::Nothing(_) = index {
        // The empty tensor with a history: gradients of zeros flow back through it.
        let zero = ops::device::zeros(OP, DType::U8, x.tensor().device(), &[1])?;
        let mask = Index::Mask(zero.expand(x.tensor().sizes())?);
        return pick(x, &mask);
    }
    let (op, mut values) = recorded(index);
    // The formula reads the mask later; what a program does to it meanwhile must not matter.
    if let (Index::Mask(mask), true) = (index, input.requires_grad()) {
        values = Values::from_iter([Value::Tensor(contiguous_copy(mask)?)]);
    }
    Ok(Variable::new(ops::apply::first(op, &[input], values)?))
}

/// The row of the table that follows `index`, its walk apart.
fn recorded(index: &Index) -> (&'static ops::Op, Values) {
    match index {
        Index::Mask(mask) => (
            &mask::masked_select::OP,
            Values::from_iter([Value::Tensor(mask.clone())]),
        ),
        Index::Rows { dim, index, .. } => (
            &index::index_select::OP,
            Values::from_iter([Value::Int(*dim as i64), Value::Tensor(index.clone())]),
        ),
        Index::Places { places, .. } => (&pick::pick::OP, arguments(places)),
        Index::Basic { .. } | Index::Nothing(_) => unreachable!("{index:?} picks nothing"),
    }
}

/// The arguments of `pick` and `put`.
pub(super) fn arguments(places: &Places) -> Values {
    Values::from_iter([
        places.order.clone().into_value(),
        places.span.clone().into_value(),
        Value::Tensor(places.index.clone()),
        places.shape.clone().into_value(),
    ])
}
