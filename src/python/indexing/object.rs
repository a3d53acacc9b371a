//! `__getitem__` and `__setitem__` of tensors and Variables.

use super::{Given, Index, Rules, get, get_var, given, parse, set, set_var};
use crate::graph::Variable;
use crate::python::call::Operand;
use crate::python::classes;
use crate::python::errors::run;
use crate::python::number::{number_object, scalar_at};
use crate::python::variable::PyVariable;
use crate::tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::PyList;

fn tensor_of(object: &Bound<'_, PyAny>) -> Option<Tensor> {
    Operand::of(object).map(|o| o.tensor())
}

/// For indices of raw tensors, where a Variable is none (E-13).
fn raw_tensor_of(object: &Bound<'_, PyAny>) -> Option<Tensor> {
    match Operand::of(object) {
        Some(Operand::Raw(t)) => Some(t),
        _ => None,
    }
}

fn value_of(value: &Bound<'_, PyAny>) -> PyResult<Given> {
    match Operand::of(value) {
        Some(Operand::Raw(t)) => Ok(Given::Tensor(t)),
        Some(Operand::Var(v)) => Ok(Given::Variable(v.var.clone())),
        None => given(value),
    }
}

/// What `x.index(indices)` is as `x[...]`: a list there is of tensors, one for each dimension.
pub fn together<'py>(indices: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let Ok(list) = indices.cast::<PyList>() else {
        return Ok(indices.clone());
    };
    if list.is_empty() || !list.iter().all(|i| Operand::of(&i).is_some()) {
        return Ok(indices.clone());
    }
    Ok(list.to_tuple().into_any())
}

/// `tensor[index]`.
pub fn raw_get(py: Python<'_>, x: &Tensor, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let index: Index = parse(index, x, Rules::Raw, &raw_tensor_of)?;
    let part = run(|| get(x, &index))?;
    if index.is_number() {
        return number_object(py, scalar_at(&part, 0)?);
    }
    classes::wrap(py, part)
}

/// `tensor[index] = value`.
pub fn raw_set(x: &Tensor, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let index = parse(index, x, Rules::Raw, &raw_tensor_of)?;
    let value = value_of(value)?;
    run(|| set(x, &index, value))
}

/// `variable[index]`.
pub fn var_get(py: Python<'_>, x: &Variable, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let index = parse(index, &x.tensor(), Rules::Variable, &tensor_of)?;
    let part = run(|| get_var(x, &index))?;
    Ok(PyVariable::wrap(py, part)?.into_any())
}

/// `variable[index] = value`.
pub fn var_set(x: &Variable, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let index = parse(index, &x.tensor(), Rules::Variable, &tensor_of)?;
    let value = value_of(value)?;
    run(|| set_var(x, &index, value))
}
