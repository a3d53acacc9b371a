//! `btrifact(info=...)`: a tensor of the caller's that gets the status of each matrix.

use super::run::fresh;
use super::{Matched, Operand, kind_name};
use crate::fail;
use crate::ops::copy::copy_into;
use crate::ops::factor::btrifact_with_info;
use crate::python::errors::run;
use crate::python::tensor::PyTensor;
use crate::tensor::{DType, Tensor, sizes_text};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Runs the call with its third result written into `info`, and the others into `out` if given.
pub(super) fn call<'py>(
    py: Python<'py>,
    mut matched: Matched<'py>,
    info: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let place = match Operand::of(info) {
        Some(place) if place.tensor().dtype() == DType::I32 => place,
        _ => {
            return Err(PyTypeError::new_err(format!(
                "btrifact: info= must be an IntTensor; got {}",
                kind_name(info)
            )));
        }
    };
    matched.op = &btrifact_with_info::OP;
    let made = fresh(py, matched)?;
    let made = made.bind(py).cast::<PyTuple>()?;
    let status = tensor(&made.get_item(2)?)?;
    if let Operand::Raw(_) = &place {
        info.cast::<PyTensor>()?
            .get()
            .check_takes("btrifact", &status)?;
    }
    let note = || match &place {
        Operand::Raw(_) => info
            .cast::<PyTensor>()?
            .get()
            .take_result("btrifact", &status),
        Operand::Var(v) => run(|| fill(&v.var.tensor(), &status)),
    };
    let results = made.get_slice(0, 2);
    let Some(out) = out else {
        note()?;
        return Ok(results.into_any().unbind());
    };
    let targets = out.cast::<PyTuple>()?;
    if targets.len() != 2 {
        return Err(PyTypeError::new_err(format!(
            "btrifact: gives 2 results, but out= has {}",
            targets.len()
        )));
    }
    for (target, result) in targets.iter().zip(&results) {
        let result = tensor(&result)?;
        let target = target.cast::<PyTensor>()?.get();
        if target.tensor().kind() != result.kind() {
            return Err(PyTypeError::new_err(
                "btrifact: out= must be a tensor of the stack's class and an IntTensor",
            ));
        }
        target.check_takes("btrifact", &result)?;
    }
    note()?;
    for (target, result) in targets.iter().zip(&results) {
        let target = target.cast::<PyTensor>()?.get();
        target.take_result("btrifact", &tensor(&result)?)?;
    }
    Ok(out.clone().unbind())
}

fn tensor(object: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    match Operand::of(object) {
        Some(operand) => Ok(operand.tensor()),
        None => Err(PyTypeError::new_err("btrifact: a result is no tensor")),
    }
}

fn fill(to: &Tensor, status: &Tensor) -> crate::error::Result<()> {
    if to.sizes() != status.sizes() {
        fail!(
            Runtime,
            "btrifact: info= has size {}, but the stack needs {}",
            sizes_text(to.sizes()),
            sizes_text(status.sizes())
        );
    }
    copy_into(to, status)?;
    to.bump();
    Ok(())
}
