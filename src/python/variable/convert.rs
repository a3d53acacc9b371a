//! A Variable copied, or written down.

use super::PyVariable;
use crate::ops::copy;
use crate::python::callback;
use crate::python::classes;
use crate::python::errors::run;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

#[pymethods]
impl PyVariable {
    fn __deepcopy__(slf: &Bound<'_, Self>, memo: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let me = slf.get();
        if !me.var.is_leaf() {
            return Err(PyRuntimeError::new_err(
                "deepcopy: only Variables created explicitly by the user (graph leaves) support it; deepcopy v.data, or v.detach()",
            ));
        }
        let key = slf.as_ptr() as usize;
        if let Some(done) = memo.get_item(key)? {
            return Ok(done.unbind());
        }
        let data = classes::wrap(py, run(|| copy::contiguous_copy(&me.var.tensor()))?)?;
        let class = slf.get_type();
        let made = callback::call(&class, (data,))?;
        made.setattr("requires_grad", me.var.requires_grad())?;
        made.setattr("volatile", me.var.volatile())?;
        memo.set_item(key, &made)?;
        Ok(made.unbind())
    }

    fn __reduce_ex__(slf: &Bound<'_, Self>, _protocol: i32) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let me = slf.get();
        let hooks = match me.var.is_leaf() {
            true => crate::python::hooks::table_of(py, &me.var),
            false => None,
        };
        let state = (me.var.requires_grad(), me.var.volatile(), hooks);
        let rebuild = py.import("rgrad.autograd.variable")?.getattr("_rebuild")?;
        let class = slf.get_type();
        let name = (class.module()?, class.qualname()?);
        Ok((rebuild, (name, Self::data(slf)?), state)
            .into_pyobject(py)?
            .into_any()
            .unbind())
    }

    fn __setstate__(&self, state: &Bound<'_, PyTuple>) -> PyResult<()> {
        let (grad, volatile, hooks) = if state.len() == 5 {
            (state.get_item(3)?, state.get_item(4)?, state.get_item(2)?)
        } else {
            (state.get_item(0)?, state.get_item(1)?, state.get_item(2)?)
        };
        self.set_requires_grad(&grad)?;
        self.set_volatile(&volatile)?;
        if !hooks.is_none() {
            crate::python::hooks::set_table(state.py(), &self.var, hooks.unbind())?;
        }
        Ok(())
    }
}
