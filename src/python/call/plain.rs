//! The common call: operands alone, by place, all of one class. It needs no search among overloads,
//! which costs as much as a small op itself.

use super::run::{implemented, single_op};
use super::{Form, Group, Overload, Side, fall_back, has};
use crate::graph::{Input, Var};
use crate::ops::apply::Values;
use crate::ops::{Kind, Op};
use crate::python::classes;
use crate::python::tensor::PyTensor;
use crate::python::variable::PyVariable;
use pyo3::prelude::*;

/// The most operands of such a call.
const MOST: usize = 3;

/// The rows that such calls mean, by side, form and number of operands.
#[derive(Default)]
pub(super) struct Plain([[[Option<&'static Op>; MOST + 1]; 2]; 2]);

impl Plain {
    pub(super) fn of(group: &Group) -> Plain {
        let mut plain = Plain::default();
        for side in [Side::Tensors, Side::Variables] {
            for form in [Form::Method, Form::Function] {
                for count in 1..=MOST {
                    plain.0[side as usize][form as usize][count] = meant(group, side, form, count);
                }
            }
        }
        plain
    }
}

/// The row that `count` operands mean, if it takes no more and gives one tensor.
fn meant(group: &Group, side: Side, form: Form, count: usize) -> Option<&'static Op> {
    let is_index = |k: Kind| matches!(k, Kind::Tensor | Kind::OptionalTensor);
    let may_fit = |o: &&Overload| {
        let least = o.op.inputs.len();
        let indices = o.op.params.iter().filter(|p| is_index(p.kind)).count();
        (least..=least + indices).contains(&count)
    };
    let overloads = group.overloads(side).iter();
    let mut fitting = overloads.filter(|o| has(o.op, form)).filter(may_fit);
    let first = fitting.next()?;
    // The row without a scale stands hidden behind the one with it.
    let op = match first.op.params {
        [] => first.op,
        _ => fitting.find(|o| !o.shown && o.op.params.is_empty())?.op,
    };
    let is_tensor = match side {
        Side::Tensors => !op.forms.number,
        // A view knows its base.
        Side::Variables => !op.forms.view,
    };
    (is_tensor && op.results.len() == 1).then_some(op)
}

/// Runs the row of `group` that operands of one class mean; none for any other call.
pub fn plain<'py>(
    py: Python<'py>,
    group: &Group,
    form: Form,
    operands: &[Bound<'py, PyAny>],
) -> PyResult<Option<Py<PyAny>>> {
    match operands {
        [a] => run(py, group, form, [a]),
        [a, b] => run(py, group, form, [a, b]),
        [a, b, c] => run(py, group, form, [a, b, c]),
        _ => Ok(None),
    }
}

fn run<'py, const N: usize>(
    py: Python<'py>,
    group: &Group,
    form: Form,
    operands: [&Bound<'py, PyAny>; N],
) -> PyResult<Option<Py<PyAny>>> {
    let rows = &group.plain.get_or_init(|| Plain::of(group)).0;
    let row = |side: Side| rows[side as usize][form as usize][N];
    if operands[0].cast_exact::<PyVariable>().is_err()
        && let Some(tensors) = all(operands, |o| o.cast::<PyTensor>().ok())
    {
        let Some(op) = row(Side::Tensors) else {
            return Ok(None);
        };
        let mut inputs = tensors.map(|t| Input::plain(t.get().tensor()));
        if !are_alike(&inputs) {
            return Ok(None);
        }
        fall_back(op, &mut inputs)?;
        let made: Var = single_op(py, op, inputs, Values::new())?;
        return classes::wrap(py, made.tensor).map(Some);
    }
    let variables = all(operands, |o| o.cast::<PyVariable>().ok());
    let (Some(variables), Some(op)) = (variables, row(Side::Variables)) else {
        return Ok(None);
    };
    let Some(inputs) = all(variables, |v| v.get().var.input().ok()) else {
        return Ok(None);
    };
    if !are_alike(&inputs) {
        return Ok(None);
    }
    implemented(op, &variables[0].get().var)?;
    let made = single_op(py, op, inputs, Values::new())?;
    PyVariable::fresh(py, made).map(Some)
}

/// What `one` makes of each item, if it makes something of all.
fn all<T: Copy, R, const N: usize>(items: [T; N], one: impl Fn(T) -> Option<R>) -> Option<[R; N]> {
    let made = items.map(one);
    let has_all = made.iter().all(Option::is_some);
    has_all.then(|| made.map(|m| m.expect("all are there")))
}

fn are_alike(inputs: &[Input]) -> bool {
    let kind = inputs[0].tensor.kind();
    inputs[1..].iter().all(|i| i.tensor.kind() == kind)
}
