//! A Python function on every element of a CPU tensor: `apply_`, `map_` and `map2_`.

use super::errors::run;
use super::number::{number, number_object, scalar_at};
use super::tensor::{PyTensor, raw};
use crate::dispatch;
use crate::ops::copy::{as_contiguous, copy_into};
use crate::ops::in_place::refuse_repeats;
use crate::python::callback;
use crate::tensor::{Device, Scalar, Tensor, class_name, sizes_text};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Puts what `function` makes of the elements of `t` and `others` into `t`, once it has made all.
fn each(op: &str, t: &Tensor, others: &[Tensor], function: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = function.py();
    if t.device() == Device::Gpu {
        return Err(PyTypeError::new_err(format!(
            "{op}: only for tensors of the CPU; got {}; use .cpu() first",
            class_name(t.dtype(), t.device())
        )));
    }
    if !function.is_callable() {
        return Err(PyTypeError::new_err(format!(
            "{op}: needs a function; got {}",
            function.get_type().name()?
        )));
    }
    run(|| refuse_repeats(op, t))?;
    let mut operands = vec![run(|| as_contiguous(t))?];
    for other in others {
        run(|| crate::tensor::dtype::same(op, t.kind(), other.kind()))?;
        let wide = match other.expand(t.sizes()) {
            Err(_) if other.numel() == t.numel() => other.view_or_copy(t.sizes())?,
            Err(_) => {
                return Err(PyRuntimeError::new_err(format!(
                    "{op}: a tensor of size {} does not expand to the size {} of what is written",
                    sizes_text(other.sizes()),
                    sizes_text(t.sizes())
                )));
            }
            Ok(wide) => wide,
        };
        operands.push(run(|| as_contiguous(&wide))?);
    }
    let made = run(|| Tensor::empty(op, t.dtype(), t.sizes()))?;
    for i in 0..t.numel() as i64 {
        let elements: PyResult<Vec<_>> = operands
            .iter()
            .map(|o| number_object(py, scalar_at(o, i)?))
            .collect();
        let result = callback::call(function, PyTuple::new(py, elements?)?)?;
        let value =
            number(op, &result)?.filter(|v| t.dtype().is_float() || matches!(v, Scalar::Int(_)));
        let Some(value) = value else {
            let kind = if t.dtype().is_float() {
                "a number"
            } else {
                "an int"
            };
            return Err(PyRuntimeError::new_err(format!(
                "{op}: the function should return {kind} for a {}; got {}",
                class_name(t.dtype(), t.device()),
                result.get_type().name()?
            )));
        };
        dispatch!(any made.dtype(), T => made.write::<T>(i, value.to()));
    }
    run(|| copy_into(t, &made))
}

#[pymethods]
impl PyTensor {
    /// Replaces every element x by callable(x); slow, and for the CPU only.
    fn apply_<'py>(
        slf: &Bound<'py, Self>,
        callable: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        each("apply_", &slf.get().tensor(), &[], callable)?;
        Ok(slf.clone())
    }

    /// Replaces every element x by callable(x, y), with y from `tensor`.
    fn map_<'py>(
        slf: &Bound<'py, Self>,
        tensor: &Bound<'py, PyAny>,
        callable: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let others = [raw("map_", tensor)?];
        each("map_", &slf.get().tensor(), &others, callable)?;
        Ok(slf.clone())
    }

    /// Replaces every element z by callable(z, a, b), with a from `x` and b from `y`.
    fn map2_<'py>(
        slf: &Bound<'py, Self>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        callable: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let others = [raw("map2_", x)?, raw("map2_", y)?];
        each("map2_", &slf.get().tensor(), &others, callable)?;
        Ok(slf.clone())
    }
}
