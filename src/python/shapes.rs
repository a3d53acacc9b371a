//! Methods of shape that are no row: parts, and names that 0.3 kept for old programs.

use super::call::Side;
use super::classes;
use super::errors::run;
use super::number::int_readers;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::graph::{Input, Var, Variable};
use crate::ops::apply::{Values, first};
use crate::ops::in_place::apply_in_place;
use crate::ops::{join, mask, shape};
use crate::python::callback;
use crate::tensor::{Dims, Tensor, Value, dims, sizes_text};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::ffi::CStr;

fn warn(py: Python<'_>, text: &CStr) -> PyResult<()> {
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), text, 1)
}

const MASKED_COPY: &CStr = c"masked_copy is deprecated and renamed to masked_scatter";
const RESIZE: &CStr = c"non-inplace resize is deprecated; use view()";

int_readers! {
    split_number = Tensors "split" "(int split_size, int dim=0)";
    split_number_of_variable = Variables "split" "(int split_size, int dim=0)";
    chunk_number = Tensors "chunk" "(int chunks, int dim=0)";
    chunk_number_of_variable = Variables "chunk" "(int chunks, int dim=0)";
    slice_number or slice_end = Variables "slice" "(int start=0, int end=None, int step=1, int dim=0)";
}

/// The size of parts for about `chunks` of them.
fn part_size(t: &Tensor, chunks: i64, dim: i64) -> crate::error::Result<i64> {
    let dim = dims::wrap_dim("chunk", dim, t.ndim())?;
    if chunks < 1 {
        crate::fail!(
            Runtime,
            "chunk: the number of parts must be positive; got {chunks}"
        );
    }
    Ok((t.sizes()[dim].max(1) - 1) / chunks + 1)
}

fn raw_parts<'py>(
    py: Python<'py>,
    t: Tensor,
    size: i64,
    dim: i64,
) -> PyResult<Bound<'py, PyTuple>> {
    let parts = run(|| join::split(&Input::plain(t), size, dim))?;
    let parts: PyResult<Vec<Py<PyAny>>> = parts
        .into_iter()
        .map(|v| classes::wrap(py, v.tensor))
        .collect();
    PyTuple::new(py, parts?)
}

fn var_parts<'py>(
    py: Python<'py>,
    me: &Variable,
    size: i64,
    dim: i64,
) -> PyResult<Bound<'py, PyTuple>> {
    let parts = run(|| join::split(&me.input()?, size, dim))?;
    let parts: PyResult<Vec<Py<PyAny>>> = parts.into_iter().map(|v| view(py, v, me)).collect();
    PyTuple::new(py, parts?)
}

/// `var`, a view of `base`, as an object; writes to it reach the base's history.
fn view(py: Python<'_>, var: Var, base: &Variable) -> PyResult<Py<PyAny>> {
    let variable = Variable::view_of(var, base, shape::remake_view);
    Ok(PyVariable::wrap(py, variable)?.into_any())
}

#[pymethods]
impl PyTensor {
    /// Parts of `split_size` along `dim`; the last may be smaller. Views.
    #[pyo3(signature = (split_size, dim=0))]
    fn split<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = split_number)] split_size: i64,
        #[pyo3(from_py_with = split_number)] dim: i64,
    ) -> PyResult<Bound<'py, PyTuple>> {
        raw_parts(py, self.tensor(), split_size, dim)
    }

    /// About `chunks` parts of equal size along `dim`. Views.
    #[pyo3(signature = (chunks, dim=0))]
    fn chunk<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = chunk_number)] chunks: i64,
        #[pyo3(from_py_with = chunk_number)] dim: i64,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let t = self.tensor();
        let size = part_size(&t, chunks, dim)?;
        raw_parts(py, t, size, dim)
    }

    /// The old name of masked_scatter_.
    fn masked_copy_<'py>(
        slf: &Bound<'py, Self>,
        mask: &Bound<'py, PyAny>,
        source: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        warn(slf.py(), MASKED_COPY)?;
        callback::call_method(slf, "masked_scatter_", (mask, source))
    }
}

#[pymethods]
impl PyVariable {
    /// Parts of `split_size` along `dim`; the last may be smaller. Views.
    #[pyo3(signature = (split_size, dim=0))]
    fn split<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = split_number_of_variable)] split_size: i64,
        #[pyo3(from_py_with = split_number_of_variable)] dim: i64,
    ) -> PyResult<Bound<'py, PyTuple>> {
        var_parts(py, &self.var, split_size, dim)
    }

    /// About `chunks` parts of equal size along `dim`. Views.
    #[pyo3(signature = (chunks, dim=0))]
    fn chunk<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = chunk_number_of_variable)] chunks: i64,
        #[pyo3(from_py_with = chunk_number_of_variable)] dim: i64,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let size = part_size(&self.var.tensor(), chunks, dim)?;
        var_parts(py, &self.var, size, dim)
    }

    /// The slices from `start` to before `end` of dimension `dim`, every `step`-th. A view.
    #[pyo3(signature = (start=0, end=None, step=1, dim=0))]
    fn slice(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = slice_number)] start: i64,
        #[pyo3(from_py_with = slice_end)] end: Option<i64>,
        #[pyo3(from_py_with = slice_number)] step: i64,
        #[pyo3(from_py_with = slice_number)] dim: i64,
    ) -> PyResult<Py<PyAny>> {
        let var = run(|| {
            let t = self.var.tensor();
            let d = dims::wrap_dim("slice", dim, t.ndim())?;
            let size = t.sizes()[d];
            let clamp = |v: i64| {
                if v < 0 {
                    v.saturating_add(size).max(0)
                } else {
                    v.min(size)
                }
            };
            let (low, high) = (clamp(start), clamp(end.unwrap_or(size)));
            if step < 1 || high <= low {
                crate::fail!(
                    Runtime,
                    "slice: needs a positive step and at least one element; got {low} to {high} by {step} of a dimension of size {size}"
                );
            }
            let length = (high - low - 1) / step + 1;
            let step = if length == 1 { 1 } else { step };
            let steps = [shape::STEP_SLICE, d as i64, low, length, step];
            shape::index(&self.var.var()?, Dims::from_slice(&steps))
        })?;
        view(py, var, &self.var)
    }

    /// The old name of masked_scatter_.
    fn masked_copy_<'py>(
        slf: &Bound<'py, Self>,
        mask: &PyVariable,
        source: &PyVariable,
    ) -> PyResult<Bound<'py, Self>> {
        warn(slf.py(), MASKED_COPY)?;
        run(|| {
            let values = Values::from_iter([Value::Tensor(mask.var.tensor())]);
            let from = [source.var.input()?];
            apply_in_place(&mask::masked_scatter::OP, &slf.get().var, &from, values)
        })?;
        Ok(slf.clone())
    }

    /// The old name of masked_scatter.
    fn masked_copy(
        &self,
        py: Python<'_>,
        mask: &PyVariable,
        source: &PyVariable,
    ) -> PyResult<Py<PyAny>> {
        warn(py, MASKED_COPY)?;
        let made = run(|| {
            let values = Values::from_iter([Value::Tensor(mask.var.tensor())]);
            let inputs = [self.var.input()?, source.var.input()?];
            first(&mask::masked_scatter::OP, &inputs, values)
        })?;
        PyVariable::fresh(py, made)
    }

    /// A copy with the same elements in other sizes; view() gives them without a copy.
    #[pyo3(signature = (*sizes))]
    fn resize(&self, py: Python<'_>, sizes: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        warn(py, RESIZE)?;
        let sizes = super::construct::sizes_from_args(Side::Variables, "resize", sizes)?;
        PyVariable::fresh(py, run(|| resized(&self.var, &sizes))?)
    }

    /// A copy with the same elements in the size of another Variable.
    fn resize_as(&self, py: Python<'_>, variable: &PyVariable) -> PyResult<Py<PyAny>> {
        warn(py, RESIZE)?;
        let sizes = Dims::from_slice(variable.var.tensor().sizes());
        PyVariable::fresh(py, run(|| resized(&self.var, &sizes))?)
    }
}

fn resized(me: &Variable, sizes: &[i64]) -> crate::error::Result<Var> {
    let t = me.tensor();
    if dims::count("resize", sizes)? != t.numel() {
        crate::fail!(
            Runtime,
            "resize: requested size {} has other than the {} elements of the Variable of size {}; the number of elements must stay",
            sizes_text(sizes),
            t.numel(),
            sizes_text(t.sizes())
        );
    }
    shape::resize(&me.var()?, Dims::from_slice(sizes))
}
