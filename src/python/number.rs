//! Python numbers from and to the core.

use crate::ops::device;
use crate::tensor::{Scalar, Tensor};
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

/// An int, bool or float (NumPy's float64 is one); none for anything else (T-6).
#[inline]
pub fn number(obj: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    if let Ok(f) = obj.cast::<PyFloat>() {
        return Ok(Some(Scalar::Float(f.extract()?)));
    }
    if let Ok(i) = obj.cast::<PyInt>() {
        return match i.extract::<i64>() {
            Ok(v) => Ok(Some(Scalar::Int(v))),
            Err(_) => Err(PyRuntimeError::new_err(format!(
                "the int {i} does not fit 64 bits; use a float"
            ))),
        };
    }
    Ok(None)
}

/// The element `at` elements behind the first, wherever it lives.
pub fn scalar_at(t: &Tensor, at: i64) -> PyResult<Scalar> {
    Ok(device::read_element(t, at)?)
}

/// A Python int or float.
pub fn number_object(py: Python<'_>, value: Scalar) -> PyResult<Py<PyAny>> {
    Ok(match value {
        Scalar::Int(i) => i.into_pyobject(py)?.into_any().unbind(),
        Scalar::Float(f) => f.into_pyobject(py)?.into_any().unbind(),
    })
}

/// What `int()` makes of a Python int or float: of any size, and nothing of what is not finite.
pub fn int_object(py: Python<'_>, value: Scalar) -> PyResult<Py<PyAny>> {
    let number = number_object(py, value)?;
    match value {
        Scalar::Int(_) => Ok(number),
        Scalar::Float(_) => number.call_method0(py, "__int__"),
    }
}

/// An int argument of a function written by hand; one beyond 64 bits is a `RuntimeError`, as it is
/// among sizes.
pub fn int64(obj: &Bound<'_, PyAny>) -> PyResult<i64> {
    obj.extract::<i64>().map_err(|e| {
        if e.is_instance_of::<PyOverflowError>(obj.py()) {
            return PyRuntimeError::new_err(format!("the int {obj} does not fit 64 bits"));
        }
        e
    })
}

/// [`int64`], or none.
pub fn int64_or_none(obj: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    match obj.is_none() {
        true => Ok(None),
        false => int64(obj).map(Some),
    }
}

/// Whether `obj` counts as an int by its `__index__`.
pub fn is_index(obj: &Bound<'_, PyAny>) -> bool {
    obj.cast::<PyFloat>().is_err() && obj.extract::<i64>().is_ok()
}

/// An int argument of `op`, which is called like `form`.
pub fn whole(op: &str, form: &str, obj: &Bound<'_, PyAny>) -> PyResult<i64> {
    int64(obj).map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(obj.py()) {
            return error;
        }
        PyTypeError::new_err(format!(
            "{op} received an invalid argument - got {}, but expected {op}{form}",
            super::call::kind_name(obj)
        ))
    })
}
