//! What gives a Variable another shape or fills it from another, with arguments that are Variables.

use super::PyVariable;
use crate::graph::{Var, Variable};
use crate::ops::{self, copy, shape};
use crate::python::errors::run;
use crate::tensor::Dims;
use pyo3::prelude::*;

#[pymethods]
impl PyVariable {
    fn contiguous(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let me = slf.get();
        if me.var.tensor().is_contiguous() {
            return Ok(slf.clone().into_any().unbind());
        }
        PyVariable::fresh(slf.py(), run(|| copy::contiguous(&me.var.var()?))?)
    }

    fn copy_<'py>(slf: &Bound<'py, Self>, other: &PyVariable) -> PyResult<Bound<'py, Self>> {
        let me = slf.get();
        run(|| {
            let input = other.var.input()?;
            if input.tensor.sizes() == me.var.tensor().sizes() {
                return ops::apply_in_place(&copy::copy::OP, &me.var, &[input], Default::default());
            }
            let wide = ops::apply::expanded(&input, &Dims::from_slice(me.var.tensor().sizes()))
                .map_err(|e| e.said_by("copy_", "expand"))?;
            ops::apply_in_place(
                &copy::copy::OP,
                &me.var,
                &[wide.input()],
                Default::default(),
            )
        })?;
        Ok(slf.clone())
    }

    fn expand_as(&self, py: Python<'_>, other: &PyVariable) -> PyResult<Py<PyAny>> {
        let sizes = Dims::from_slice(other.var.tensor().sizes());
        self.view_op(py, |v| shape::expand(v, sizes))
    }

    fn view_as(&self, py: Python<'_>, other: &PyVariable) -> PyResult<Py<PyAny>> {
        let sizes = Dims::from_slice(other.var.tensor().sizes());
        self.view_op(py, |v| shape::view(v, sizes))
    }
}

impl PyVariable {
    fn view_op(
        &self,
        py: Python<'_>,
        op: impl FnOnce(&Var) -> crate::error::Result<Var>,
    ) -> PyResult<Py<PyAny>> {
        let var = run(|| op(&self.var.var()?))?;
        Ok(PyVariable::wrap(py, Variable::view_of(var, &self.var, shape::remake_view))?.into_any())
    }
}
