//! Python numbers from and to the core.

use super::call::Side;
use super::callback;
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
        Scalar::Float(_) => Ok(callback::call_method(number.bind(py), "__int__", ())?.unbind()),
    }
}

/// An int for `op`: on tensors one of Python's own, bools among them; on Variables also what Python
/// can use as an index (O-8). None for anything else.
///
/// # Errors
/// `RuntimeError` beyond 64 bits, and what an `__index__` raises.
pub fn int_of(side: Side, op: &str, obj: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if obj.cast::<PyInt>().is_err() && (side == Side::Tensors || !is_index(obj)) {
        return Ok(None);
    }
    obj.extract().map(Some).map_err(|error: PyErr| {
        if !error.is_instance_of::<PyOverflowError>(obj.py()) {
            return error;
        }
        PyRuntimeError::new_err(format!("{op}: the int {obj} does not fit 64 bits"))
    })
}

/// Whether `obj` is no int but counts as one by its `__index__`.
pub fn is_index(obj: &Bound<'_, PyAny>) -> bool {
    obj.cast::<PyFloat>().is_err()
        && super::call::Operand::of(obj).is_none()
        && matches!(obj.get_type().hasattr("__index__"), Ok(true))
}

/// An int argument of `op`, which is called like `form`.
pub fn whole(side: Side, op: &str, form: &str, obj: &Bound<'_, PyAny>) -> PyResult<i64> {
    int_of(side, op, obj)?.ok_or_else(|| {
        PyTypeError::new_err(format!(
            "{op} received an invalid argument - got {}, but expected {op}{form}",
            super::call::kind_name(obj)
        ))
    })
}

/// Functions that read an int argument of a function written by hand, by [`whole`]; after `or`, one
/// that also takes None.
macro_rules! int_readers {
    ($($name:ident $(or $optional:ident)? = $side:ident $op:literal $form:literal;)*) => {$(
        fn $name(obj: &Bound<'_, PyAny>) -> PyResult<i64> {
            $crate::python::number::whole($crate::python::call::Side::$side, $op, $form, obj)
        }

        $(fn $optional(obj: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
            match obj.is_none() {
                true => Ok(None),
                false => $name(obj).map(Some),
            }
        })?
    )*};
}

pub(crate) use int_readers;
