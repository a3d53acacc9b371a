//! Running the overload that was chosen, in the form that was asked for.

use super::fallback::{fall_back, fall_back_in_place, keepdim_hint, masks_fall_back};
use super::{Form, Matched, Operand};
use crate::cpu::stop;
use crate::error::{Error, Result};
use crate::fail;
use crate::graph::{Input, Origin, Var, Variable, is_recording, with_recording};
use crate::ops::apply::{Values, apply, single, single_in_line};
use crate::ops::in_place::{apply_in_place, leaf_in_place, refuse_repeats, run_into};
use crate::ops::{self, Op, shape};
use crate::python::classes;
use crate::python::errors::run;
use crate::python::interpreter::released;
use crate::python::number::{number_object, scalar_at};
use crate::python::site::detached;
use crate::python::tensor::PyTensor;
use crate::python::variable::PyVariable;
use crate::tensor::{Tensor, Value, class_name, sizes_text};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use smallvec::SmallVec;

/// Runs `m` in the form that was asked for.
pub(super) fn matched<'py>(
    py: Python<'py>,
    form: Form,
    m: Matched<'py>,
    own: Option<&Bound<'py, PyAny>>,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    if m.keepdim_left_out {
        keepdim_hint(m.op)?;
    }
    match (form, out) {
        (Form::InPlace, _) => in_place(py, m, own),
        (_, Some(out)) => into_out(py, m, &out),
        (_, None) => fresh(py, m),
    }
}

/// Operands large enough that other Python threads may run meanwhile.
#[inline(always)]
fn is_long(op: &Op, inputs: &[Input]) -> bool {
    let most = inputs.iter().map(|i| i.tensor.numel()).max().unwrap_or(0);
    most >= 1 << 16 || (most >= 1 << 12 && op.is_product())
}

/// Runs an op of one result on operands it may keep, with the interpreter released when it takes
/// long.
// In line, so that the result is not moved from one kind of `Result` into another.
#[inline(always)]
pub fn single_op<const N: usize>(
    py: Python<'_>,
    op: &'static Op,
    inputs: [Input; N],
    values: Values,
) -> PyResult<Var> {
    if is_long(op, &inputs) {
        return detached(py, || run(|| single(op, inputs, values)));
    }
    match single_in_line(op, inputs, values) {
        Ok(made) => Ok(made),
        Err(error) => Err(error.into()),
    }
}

/// Runs the op, with the interpreter released when it takes long.
pub fn apply_op(
    py: Python<'_>,
    op: &'static Op,
    inputs: &[Input],
    values: Values,
) -> PyResult<ops::apply::Results> {
    if is_long(op, inputs) {
        return detached(py, || run(|| apply(op, inputs, values)));
    }
    apply(op, inputs, values).map_err(PyErr::from)
}

pub(super) fn fresh<'py>(py: Python<'py>, m: Matched<'py>) -> PyResult<Py<PyAny>> {
    let Some(Operand::Var(me)) = m.inputs.first() else {
        return raw(py, m);
    };
    let base = me.var.clone();
    implemented(m.op, &base)?;
    let mut inputs: SmallVec<[Input; 3]> = inputs_of(&m.inputs)?;
    inputs[0].volatile |= m.beside.volatile;
    if m.beside.requires_grad && is_recording() {
        refuse_constant(m.op, &inputs)?;
    }
    let results = apply_op(py, m.op, &inputs, m.values)?;
    let mut made = SmallVec::<[Py<PyAny>; 2]>::new();
    for var in results {
        let variable = if m.op.forms.view {
            Variable::view_of(var, &base, shape::remake_view)
        } else {
            Variable::new(var)
        };
        made.push(PyVariable::wrap(py, variable)?.into_any());
    }
    several(py, made)
}

/// Fails where nothing but an argument without a derivative requires grad: the result would lose it.
fn refuse_constant(op: &Op, inputs: &[Input]) -> PyResult<()> {
    let told = |i: &Input| i.volatile || i.requires_grad();
    if inputs.iter().any(told) {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "{}: the derivative by its second operand is not implemented, and that one requires grad; give its detach()",
        op.name
    )))
}

/// Fails for a Variable of a class that the op does not take (E-81).
pub fn implemented(op: &Op, v: &Variable) -> PyResult<()> {
    let t = v.tensor();
    if op.class.has(t.dtype()) {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "{} is not implemented for type {}; convert with .float() first",
        op.name,
        class_name(t.dtype(), t.device())
    )))
}

fn several(py: Python<'_>, mut made: SmallVec<[Py<PyAny>; 2]>) -> PyResult<Py<PyAny>> {
    if made.len() == 1 {
        return Ok(made.remove(0));
    }
    Ok(PyTuple::new(py, made)?.into_any().unbind())
}

/// What the op needs of Variables.
fn inputs_of<'a>(operands: &'a [Operand<'_>]) -> Result<SmallVec<[Input<'a>; 3]>> {
    operands
        .iter()
        .map(|operand| match operand {
            Operand::Var(v) => v.var.input(),
            Operand::Raw(t) => Ok(Input::plain(t.clone())),
        })
        .collect()
}

/// Raw tensors: full reductions give numbers, and equal element counts are enough (T-52).
fn raw<'py>(py: Python<'py>, m: Matched<'py>) -> PyResult<Py<PyAny>> {
    let mut inputs: SmallVec<[Input; 3]> = inputs_of(&m.inputs)?;
    // A vector's element is a number (T-39).
    if m.op.name == "select" && inputs[0].tensor.ndim() == 1 {
        let made = apply_op(py, m.op, &inputs, m.values)?;
        return number_object(py, scalar_at(&made[0].tensor, 0)?);
    }
    let mut values = m.values;
    fall_back(m.op, &mut inputs)?;
    masks_fall_back(m.op, &inputs, &mut values)?;
    if m.op.forms.number {
        return number_of(py, m.op, &inputs, values);
    }
    let results = apply_op(py, m.op, &inputs, values)?;
    let made: PyResult<SmallVec<[Py<PyAny>; 2]>> = results
        .into_iter()
        .map(|v| classes::wrap(py, v.tensor))
        .collect();
    several(py, made?)
}

fn number_of(
    py: Python<'_>,
    op: &'static Op,
    inputs: &[Input],
    values: Values,
) -> PyResult<Py<PyAny>> {
    run(|| op.refuse_half(inputs))?;
    let known = match op.name {
        "dot" => Some(run(|| {
            ops::matmul::dot_total(&inputs[0].tensor, &inputs[1].tensor)
        })?),
        _ => released(py, || {
            run(|| stop::allowed(|| ops::reduce::number(op, inputs, &values)))
        })?,
    };
    let value = match known {
        Some(value) => value,
        None => {
            let made = apply_op(py, op, inputs, values)?;
            scalar_at(&made[0].tensor, 0)?
        }
    };
    number_object(py, value)
}

fn in_place<'py>(
    py: Python<'py>,
    m: Matched<'py>,
    own: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let own = own.map(|o| o.clone().unbind()).unwrap_or_else(|| py.None());
    let mut inputs = inputs_of(&m.inputs)?;
    if m.op.forms.view {
        turn_in_place(&m, &inputs, own.bind(py))?;
        return Ok(own);
    }
    if let Some(Operand::Var(me)) = m.inputs.first() {
        implemented(m.op, &me.var)?;
        run(|| apply_in_place(m.op, &me.var, &inputs[1..], m.values))?;
        return Ok(own);
    }
    let mut values = m.values;
    fall_back_in_place(m.op, &mut inputs)?;
    masks_fall_back(m.op, &inputs, &mut values)?;
    raw_in_place(m.op, &mut inputs, &values)?;
    Ok(own)
}

/// `t_()` and its kin: the object takes another geometry on the same elements.
fn turn_in_place(m: &Matched<'_>, inputs: &[Input], own: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(Operand::Var(me)) = m.inputs.first() else {
        let result = run(|| apply(m.op, inputs, m.values.clone()))?.swap_remove(0);
        own.cast::<PyTensor>()?.get().set(result.tensor);
        return Ok(());
    };
    run(|| turn(m.op, &me.var, m.values.clone()))
}

/// A Variable takes the geometry that a view op gives it, in place.
pub fn turn(op: &'static Op, var: &Variable, values: Values) -> Result<()> {
    let input = var.input()?;
    if matches!(input.origin, Origin::Leaf(_)) && is_recording() {
        return Err(leaf_in_place(op.name, "a leaf", &input.tensor));
    }
    if var.base().is_some() {
        fail!(
            Runtime,
            "{}_: a view cannot change its geometry in place; use {}() for another view",
            op.name,
            op.name
        );
    }
    let before = input.tensor.version();
    let is_leaf = matches!(input.origin, Origin::Leaf(_));
    // The history must tell of the geometry also where nobody records; a leaf has none.
    let records = is_recording() || matches!(input.origin, Origin::Node(..));
    let result = with_recording(records, || apply(op, &[input], values))?.swap_remove(0);
    result.tensor.bump();
    crate::graph::site::note_change(&result.tensor);
    var.turn(result);
    if is_leaf {
        var.settle(before);
    }
    Ok(())
}

/// Runs on a raw tensor in place; other operands expand to its sizes.
pub fn raw_in_place(op: &'static Op, inputs: &mut [Input], values: &[Value]) -> PyResult<()> {
    run(|| {
        let target = inputs[0].tensor.clone();
        refuse_repeats(op.name, &target)?;
        if op.forms.broadcasts {
            for other in &mut inputs[1..] {
                crate::tensor::dtype::same(op.name, target.kind(), other.tensor.kind())?;
                if other.tensor.sizes() != target.sizes() {
                    other.tensor = other.tensor.expand(target.sizes()).map_err(|_| {
                        Error::Runtime(format!(
                            "{}_: an operand of size {} does not expand to the tensor's {}, and in place the tensor's size stays",
                            op.name,
                            sizes_text(other.tensor.sizes()),
                            sizes_text(target.sizes())
                        ))
                    })?;
                }
            }
        }
        run_into(op, inputs, values, &target).map(|_| ())
    })
}

/// `out=`: the caller's tensors take the sizes and elements of the results (O-7).
fn into_out<'py>(py: Python<'py>, m: Matched<'py>, out: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
    if m.inputs.iter().any(|i| matches!(i, Operand::Var(_))) {
        return Err(PyTypeError::new_err(format!(
            "{}: out= takes tensors only, and Variables have no out=",
            m.op.name
        )));
    }
    if m.op.forms.number || !(m.op.forms.out || m.op.forms.view) {
        return Err(PyTypeError::new_err(format!(
            "{}: this form has no out=; use its result",
            m.op.name
        )));
    }
    let mut inputs = inputs_of(&m.inputs)?;
    let mut values = m.values;
    let op = m.op;
    fall_back(op, &mut inputs)?;
    masks_fall_back(op, &inputs, &mut values)?;
    let targets: Vec<Bound<'py, PyAny>> = match (out.cast::<PyTuple>(), out.cast::<PyList>()) {
        (Ok(tuple), _) => tuple.iter().collect(),
        (_, Ok(list)) => list.iter().collect(),
        _ => vec![out.clone()],
    };
    let count = op.results.len();
    if targets.len() != count {
        return Err(PyTypeError::new_err(format!(
            "{}: gives {count} results, but out= has {}; give a tuple of {count} tensors",
            op.name,
            targets.len()
        )));
    }
    let mut places = Vec::new();
    for target in &targets {
        let Ok(place) = target.cast::<PyTensor>() else {
            return Err(PyTypeError::new_err(format!(
                "{}: out= must be a tensor; got {}",
                op.name,
                super::kind_name(target)
            )));
        };
        places.push(place.clone());
    }
    if let [place] = places.as_slice()
        && directly(op, &inputs, &place.get().tensor())
    {
        let to = place.get().tensor();
        released(py, || {
            run(|| run_into(op, &inputs, &values, &to).map(|_| ()))
        })?;
        return Ok(out.clone().unbind());
    }
    let made = apply_op(py, op, &inputs, values)?;
    for (place, result) in places.iter().zip(&made) {
        fits_out(op, &inputs, place.get(), &result.tensor)?;
    }
    let shared = |i: usize, j: usize| {
        let (a, b) = (places[i].get().tensor(), places[j].get().tensor());
        places[i].is(&places[j]) || a.shares_memory(&b)
    };
    if let Some((i, j)) = (0..count)
        .flat_map(|i| (0..i).map(move |j| (j, i)))
        .find(|&(i, j)| shared(i, j))
    {
        return Err(PyRuntimeError::new_err(format!(
            "{}: items {i} and {j} of out= share memory, so that one result would overwrite the other",
            op.name
        )));
    }
    for (place, result) in places.iter().zip(made) {
        place.get().take_result(op.name, &result.tensor)?;
    }
    Ok(out.clone().unbind())
}

/// Whether the kernel may write into `to` at once: it has the result's class and sizes, and none
/// of its elements is read elsewhere.
fn directly(op: &Op, inputs: &[Input], to: &Tensor) -> bool {
    let own = &inputs[0].tensor;
    op.forms.direct
        && !op.forms.compares
        && to.kind() == own.kind()
        && refuse_repeats(op.name, to).is_ok()
        && inputs.iter().all(|i| i.tensor.sizes() == to.sizes())
}

/// Fails for an `out=` that cannot take `result`.
fn fits_out(op: &Op, inputs: &[Input], to: &PyTensor, result: &Tensor) -> PyResult<()> {
    let (have, want) = (to.tensor().kind(), result.kind());
    // A comparison also writes its 0 and 1 into the class it compared.
    if have != want && !(op.forms.compares && have == inputs[0].tensor.kind()) {
        return Err(PyTypeError::new_err(format!(
            "{}: out= must be a {}, the class of the result; got {}",
            op.name,
            class_name(want.0, want.1),
            class_name(have.0, have.1)
        )));
    }
    to.check_takes(op.name, result)
}
