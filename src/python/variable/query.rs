//! What a Variable says of its data: sizes, place, truth.

use super::PyVariable;
use crate::python::call::{Operand, kind_name};
use crate::python::number;
use crate::python::tensor::bytes_of;
use crate::tensor::{Tensor, sizes_text};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;

#[pymethods]
impl PyVariable {
    fn _repr_html_(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(crate::python::query::html(&slf.repr()?.to_string()))
    }

    fn __bool__(&self) -> PyResult<bool> {
        let t = self.var.tensor();
        match t.numel() {
            0 => Ok(false),
            1 => Ok(number::scalar_at(&t, 0)?.f64() != 0.0),
            n => Err(PyRuntimeError::new_err(format!(
                "bool value of a Variable with {n} elements is ambiguous; compare one element of .data, or use (v != 0).any()"
            ))),
        }
    }

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        crate::python::query::backwards(slf.as_any())
    }

    fn __float__(&self) -> PyResult<f64> {
        Ok(self.only("float")?.f64())
    }

    fn __int__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        number::int_object(py, self.only("int")?)
    }

    fn all(&self) -> PyResult<bool> {
        Ok(bytes_of("all", &self.var.tensor())?.iter().all(|&b| b != 0))
    }

    fn any(&self) -> PyResult<bool> {
        Ok(bytes_of("any", &self.var.tensor())?.iter().any(|&b| b != 0))
    }

    fn equal(&self, other: &PyVariable) -> PyResult<bool> {
        crate::python::functional::equal(&self.var.tensor(), &other.var.tensor())
    }
}

impl PyVariable {
    /// The other operand of a query.
    fn peer(op: &str, other: &Bound<'_, PyAny>) -> PyResult<Tensor> {
        match Operand::of(other) {
            // `is_set_to` asks the data, so it takes data as well.
            Some(o) if op == "is_set_to" || matches!(o, Operand::Var(_)) => Ok(o.tensor()),
            _ => Err(PyTypeError::new_err(format!(
                "{op}: needs a Variable; got {}; wrap a tensor in Variable(...) or take .data",
                kind_name(other)
            ))),
        }
    }

    fn only(&self, op: &str) -> PyResult<crate::tensor::Scalar> {
        let t = self.var.tensor();
        if t.numel() != 1 {
            return Err(PyTypeError::new_err(format!(
                "{op}: only Variables of one element can be converted; this one has size {}; take one of them by index, or sum() them",
                sizes_text(t.sizes())
            )));
        }
        number::scalar_at(&t, 0)
    }
}

crate::python::query::queries!(PyVariable, Variables, me => me.var.tensor());
