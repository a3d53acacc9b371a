//! Functions of several ops, and those of `torch.nn.functional` that are rows.

use super::call::{self, Operand};
use super::classes;
use super::errors::run;
use super::number::{int_readers, number, number_object, scalar_at};
use super::site::detached;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::{Input, Var};
use crate::ops::apply::Values;
use crate::ops::copy::as_contiguous;
use crate::ops::{self, Op, device, matmul as products, pointwise, shape, softmax};
use crate::python::callback;
use crate::tensor::{Tensor, Value, class_name, dims, sizes_text};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Whether sizes and all elements are equal.
pub fn equal(a: &Tensor, b: &Tensor) -> PyResult<bool> {
    run(|| {
        crate::tensor::dtype::same("equal", a.kind(), b.kind())?;
        crate::tensor::dtype::computed("equal", a.dtype())?;
        if a.sizes() != b.sizes() {
            return Ok(false);
        }
        let (a, b) = (
            as_contiguous(&device::to_cpu(a)?)?,
            as_contiguous(&device::to_cpu(b)?)?,
        );
        Ok(
            dispatch!(a.dtype(), T => (0..a.numel() as i64).all(|i| a.read::<T>(i) == b.read::<T>(i))),
        )
    })
}

/// A value, and whether it came as a Variable.
fn value(op: &str, obj: &Bound<'_, PyAny>) -> PyResult<(Var, bool)> {
    match Operand::of(obj) {
        Some(Operand::Raw(t)) => Ok((Var::from(t), false)),
        Some(Operand::Var(v)) => Ok((v.var.var()?, true)),
        None => Err(PyTypeError::new_err(format!(
            "{op}: needs a tensor or Variable; got {}",
            obj.get_type().name()?
        ))),
    }
}

fn wrap(py: Python<'_>, var: Var, variable: bool) -> PyResult<Py<PyAny>> {
    if variable {
        PyVariable::fresh(py, var)
    } else {
        classes::wrap(py, var.tensor)
    }
}

/// `a @ b`.
pub fn matmul(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let py = a.py();
    let ((x, variable), (y, other)) = (value("matmul", a)?, value("matmul", b)?);
    if variable != other {
        return Err(PyTypeError::new_err(
            "matmul: a Variable and a tensor do not mix: wrap the tensor in Variable(...) or take .data",
        ));
    }
    let out = detached(py, || run(|| products::matmul(&x, &y)))?;
    if !variable && x.sizes().len() == 1 && y.sizes().len() == 1 {
        return number_object(py, scalar_at(&out.tensor, 0)?);
    }
    wrap(py, out, variable)
}

#[pyfunction(name = "matmul")]
#[pyo3(signature = (tensor1, tensor2, out=None))]
fn matmul_function(
    tensor1: &Bound<'_, PyAny>,
    tensor2: &Bound<'_, PyAny>,
    out: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let made = matmul(tensor1, tensor2)?;
    into_given(tensor1.py(), "matmul", made, out)
}

/// Writes a made tensor into `out`, if there is one.
fn into_given(
    py: Python<'_>,
    op: &str,
    made: Py<PyAny>,
    out: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let Some(out) = out.filter(|o| !o.is_none()) else {
        return Ok(made);
    };
    let Ok(result) = made.bind(py).cast::<PyTensor>() else {
        let what = match Operand::of(made.bind(py)) {
            Some(_) => "Variables have no out=",
            None => "the product of two vectors is a number and has no out=",
        };
        return Err(PyTypeError::new_err(format!(
            "{op}: {what}; use what is returned"
        )));
    };
    let Ok(place) = out.cast::<PyTensor>() else {
        return Err(PyTypeError::new_err(format!(
            "{op}: out= must be a tensor; got {}",
            call::kind_name(out)
        )));
    };
    let (have, want) = (place.get().tensor().kind(), result.get().tensor().kind());
    if have != want {
        return Err(PyTypeError::new_err(format!(
            "{op}: out= must be a {}, the class of the result; got {}",
            class_name(want.0, want.1),
            class_name(have.0, have.1)
        )));
    }
    place.get().take_result(op, &result.get().tensor())?;
    Ok(out.clone().unbind())
}

fn parts<'py>(op: &str, sequence: &Bound<'py, PyAny>) -> PyResult<(Vec<Var>, bool)> {
    let mut out = Vec::new();
    let (mut kinds, mut names) = (Vec::new(), Vec::new());
    if Operand::of(sequence).is_some() {
        return Err(PyTypeError::new_err(format!(
            "{op}: needs a sequence of tensors; got one tensor; put it in a list"
        )));
    }
    for item in callback::items(sequence)? {
        let (var, variable) = value(op, &item)?;
        out.push(var);
        kinds.push(variable);
        names.push(call::kind_name(&item));
    }
    if kinds.contains(&true) && kinds.contains(&false) {
        return Err(PyTypeError::new_err(format!(
            "{op}: expected a sequence of tensors or of Variables; got a mixture ({}): wrap the tensors in Variable(...) or take .data",
            names.join(", ")
        )));
    }
    Ok((out, kinds.contains(&true)))
}

// Functions of tensors and Variables alike take what Variables do.
int_readers! {
    cat_dim = Variables "cat" "(seq, int dim=0)";
    stack_dim = Variables "stack" "(sequence, int dim=0)";
    softmax_dim = Variables "softmax" "(input, int dim)";
    log_softmax_dim = Variables "log_softmax" "(input, int dim)";
    nll_ignored = Variables "nll_loss" "(input, target, weight=None, bool size_average=True, int ignore_index=-100)";
}

/// Joins tensors along `dim`.
#[pyfunction]
#[pyo3(signature = (seq, dim=0, out=None))]
fn cat(
    py: Python<'_>,
    seq: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = cat_dim)] dim: i64,
    out: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (parts, variable) = parts("cat", seq)?;
    let made = detached(py, || run(|| shape::cat(&parts, dim)))?;
    let made = wrap(py, made, variable)?;
    into_given(py, "cat", made, out)
}

/// Joins tensors of one size along a new dimension `dim`.
#[pyfunction]
#[pyo3(signature = (sequence, dim=0, out=None))]
fn stack(
    py: Python<'_>,
    sequence: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = stack_dim)] dim: i64,
    out: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (parts, variable) = parts("stack", sequence)?;
    let Some(first) = parts.first() else {
        return Err(PyValueError::new_err(
            "stack: needs at least one tensor; the sequence is empty",
        ));
    };
    let n = first.sizes().len();
    let made = run(|| {
        for part in &parts {
            if part.sizes() != first.sizes() {
                fail!(
                    Runtime,
                    "stack: all tensors must have one size; got {} and {}",
                    sizes_text(first.sizes()),
                    sizes_text(part.sizes())
                );
            }
        }
        let dim = dims::wrap_dim("stack", dim, n + 1)? as i64;
        let wide: Result<Vec<Var>> = parts.iter().map(|p| shape::unsqueeze(p, dim)).collect();
        shape::cat(&wide?, dim)
    })?;
    let made = wrap(py, made, variable)?;
    into_given(py, "stack", made, out)
}

fn row<'py>(obj: &Bound<'py, PyAny>, op: &'static Op, values: Values) -> PyResult<Py<PyAny>> {
    let py = obj.py();
    match Operand::of(obj) {
        Some(Operand::Raw(t)) => {
            let mut made = call::apply_op(py, op, &[Input::plain(t)], values)?;
            classes::wrap(py, made.swap_remove(0).tensor)
        }
        Some(Operand::Var(v)) => {
            let mut made = call::apply_op(py, op, &[v.var.input()?], values)?;
            PyVariable::fresh(py, made.swap_remove(0))
        }
        None => Err(PyTypeError::new_err(format!(
            "{}: needs a Variable; got {}; wrap numbers in Variable(torch.Tensor([...]))",
            op.name,
            obj.get_type().name()?
        ))),
    }
}

/// e^x / sum e^x along `dim`.
#[pyfunction(name = "_softmax")]
fn softmax_function(
    input: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = softmax_dim)] dim: i64,
) -> PyResult<Py<PyAny>> {
    row(
        input,
        &softmax::softmax::OP,
        Values::from_iter([Value::Int(dim)]),
    )
}

/// x - log sum e^x along `dim`.
#[pyfunction(name = "_log_softmax")]
fn log_softmax_function(
    input: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = log_softmax_dim)] dim: i64,
) -> PyResult<Py<PyAny>> {
    row(
        input,
        &softmax::log_softmax::OP,
        Values::from_iter([Value::Int(dim)]),
    )
}

/// x where it is larger than `threshold`, else `value`.
#[pyfunction(name = "_threshold")]
fn threshold_function(
    input: &Bound<'_, PyAny>,
    threshold: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    inplace: bool,
) -> PyResult<Py<PyAny>> {
    let values: PyResult<Values> = [threshold, value]
        .into_iter()
        .map(|v| {
            let n = number(v)?.ok_or_else(|| PyTypeError::new_err("threshold: needs numbers"))?;
            Ok(crate::tensor::FromValue::into_value(n))
        })
        .collect();
    if !inplace {
        return row(input, &pointwise::threshold::OP, values?);
    }
    match Operand::of(input) {
        Some(Operand::Var(v)) => run(|| {
            ops::apply_in_place(
                &pointwise::threshold::OP,
                &v.var,
                &[],
                values.unwrap_or_default(),
            )
        })?,
        Some(Operand::Raw(t)) => {
            call::raw_in_place(&pointwise::threshold::OP, &mut [Input::plain(t)], &values?)?
        }
        None => return Err(PyTypeError::new_err("threshold_: needs a Variable")),
    }
    Ok(input.clone().unbind())
}

/// Negative log likelihood.
#[pyfunction(name = "_nll_loss")]
#[pyo3(signature = (input, target, weight, size_average, ignore_index))]
fn nll_loss_function(
    input: &Bound<'_, PyAny>,
    target: &Bound<'_, PyAny>,
    weight: Option<&Bound<'_, PyAny>>,
    size_average: bool,
    #[pyo3(from_py_with = nll_ignored)] ignore_index: i64,
) -> PyResult<Py<PyAny>> {
    let Some(classes) = Operand::of(target) else {
        return Err(PyTypeError::new_err(format!(
            "nll_loss: targets are a LongTensor of classes; got {}",
            target.get_type().name()?
        )));
    };
    if let Operand::Var(v) = &classes
        && v.var.requires_grad()
    {
        return Err(pyo3::exceptions::PyAssertionError::new_err(
            "nll_loss: targets get no gradient, but this one requires it; detach() it",
        ));
    }
    let weight = match weight.filter(|w| !w.is_none()) {
        None => Value::None,
        Some(w) => Value::Tensor(value("nll_loss", w)?.0.tensor),
    };
    let values = Values::from_iter([
        Value::Tensor(classes.tensor()),
        weight,
        Value::Bool(size_average),
        Value::Int(ignore_index),
    ]);
    row(input, &softmax::nll_loss::OP, values)
}

/// Whether two tensors or Variables have equal sizes and elements.
#[pyfunction(name = "equal")]
fn equal_function(input: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
    let ((a, variable), (b, other)) = (value("equal", input)?, value("equal", other)?);
    if variable != other {
        return Err(PyTypeError::new_err(
            "equal: a Variable and a tensor do not mix: wrap the tensor in Variable(...) or take .data",
        ));
    }
    equal(&a.tensor, &b.tensor)
}

/// Mean or sum of squared differences.
#[pyfunction(name = "_mse_loss")]
fn mse_loss_function(
    input: &Bound<'_, PyAny>,
    target: &Bound<'_, PyAny>,
    size_average: bool,
) -> PyResult<Py<PyAny>> {
    let target = value("mse_loss", target)?.0.tensor;
    row(
        input,
        &softmax::mse_loss::OP,
        Values::from_iter([Value::Tensor(target), Value::Bool(size_average)]),
    )
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(matmul_function, m)?)?;
    m.add_function(wrap_pyfunction!(cat, m)?)?;
    m.add_function(wrap_pyfunction!(stack, m)?)?;
    m.add_function(wrap_pyfunction!(softmax_function, m)?)?;
    m.add_function(wrap_pyfunction!(log_softmax_function, m)?)?;
    m.add_function(wrap_pyfunction!(threshold_function, m)?)?;
    m.add_function(wrap_pyfunction!(nll_loss_function, m)?)?;
    m.add_function(wrap_pyfunction!(mse_loss_function, m)?)?;
    m.add_function(wrap_pyfunction!(equal_function, m)?)?;
    Ok(())
}
