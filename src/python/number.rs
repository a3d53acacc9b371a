//! Python numbers from and to the core.

use super::call::Side;
use super::ending::guard_this;
use super::{callback, numpy};
use crate::ops::device;
use crate::tensor::{Scalar, Tensor};
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

/// An int, bool or float, also NumPy's; none for anything else. T-6 refuses NumPy's but float64, which
/// sums of Python's floats and NumPy's were when it was written, and are no more since NumPy 2. `op`
/// is what the error calls the one who asks.
///
/// # Errors
/// `RuntimeError` for an int beyond 64 bits.
#[inline]
pub fn number(op: &str, obj: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    match plain_number(op, obj)? {
        None => match numpy::scalar(obj)? {
            Some(plain) => plain_number(op, &plain),
            None => Ok(None),
        },
        found => Ok(found),
    }
}

#[inline]
fn plain_number(op: &str, obj: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    if let Ok(f) = obj.cast::<PyFloat>() {
        return Ok(Some(Scalar::Float(f.extract()?)));
    }
    if let Ok(i) = obj.cast::<PyInt>() {
        return match i.extract::<i64>() {
            Ok(v) => Ok(Some(Scalar::Int(v))),
            Err(_) => Err(too_big(op, i)),
        };
    }
    Ok(None)
}

/// The error for an int beyond 64 bits.
#[cold]
pub fn too_big(op: &str, int: &Bound<'_, PyAny>) -> PyErr {
    // Python refuses to write out ints of thousands of digits.
    let bits = callback::call_method(int, "bit_length", ()).and_then(|b| b.extract());
    let what = match bits {
        Ok(0..=128) | Err(_) => int.str().map_or_else(|_| String::new(), |s| s.to_string()),
        Ok(bits @ 129u64..) => format!("of {bits} bits"),
    };
    PyRuntimeError::new_err(format!("{op}: the int {what} does not fit 64 bits"))
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
        match error.is_instance_of::<PyOverflowError>(obj.py()) {
            true => too_big(op, obj),
            false => error,
        }
    })
}

/// Whether `obj` is no int but counts as one by its `__index__`.
pub fn is_index(obj: &Bound<'_, PyAny>) -> bool {
    guard_this();
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
