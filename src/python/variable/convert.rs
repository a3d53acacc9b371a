//! A Variable in another class or place, copied, or written down.

use super::PyVariable;
use crate::ops::copy;
use crate::python::call::Operand;
use crate::python::classes::{self, kind_of};
use crate::python::errors::run;
use crate::tensor::{DType, Device, class_name};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

#[pymethods]
impl PyVariable {
    #[pyo3(name = "r#type", signature = (new_type=None))]
    fn type_(slf: &Bound<'_, Self>, new_type: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        match new_type {
            None => {
                let t = slf.get().var.tensor();
                Ok(class_name(t.dtype(), t.device())
                    .into_pyobject(slf.py())?
                    .into_any()
                    .unbind())
            }
            Some(what) => Self::cast_to(slf, kind_of(what)?),
        }
    }

    fn type_as(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match Operand::of(other) {
            Some(o) => Self::cast_to(slf, o.tensor().kind()),
            None => Err(PyTypeError::new_err("type_as: needs a tensor or Variable")),
        }
    }

    #[pyo3(signature = (device=None, r#async=false))]
    fn cuda(
        slf: &Bound<'_, Self>,
        device: Option<&Bound<'_, PyAny>>,
        r#async: bool,
    ) -> PyResult<Py<PyAny>> {
        let _ = r#async;
        crate::python::creation::check_device(device)?;
        Self::cast_to(slf, (slf.get().var.tensor().dtype(), Device::Gpu))
    }

    fn cpu(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::cast_to(slf, (slf.get().var.tensor().dtype(), Device::Cpu))
    }

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
        let made = class.call1((data,))?;
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

impl PyVariable {
    fn cast_to(slf: &Bound<'_, Self>, (dtype, device): (DType, Device)) -> PyResult<Py<PyAny>> {
        let me = slf.get();
        let kind = me.var.tensor().kind();
        if kind == (dtype, device) {
            return Ok(slf.clone().into_any().unbind());
        }
        crate::python::creation::check_gpu("cuda", device)?;
        let made = crate::python::site::detached(slf.py(), || {
            run(|| {
                let mut v = me.var.var()?;
                if kind.0 != dtype {
                    v = copy::convert(&v, dtype as i64)?;
                }
                if kind.1 != device {
                    v = copy::transfer(&v, device as i64)?;
                }
                Ok(v)
            })
        })?;
        PyVariable::fresh(slf.py(), made)
    }
}

macro_rules! casts {
    ($($method:ident $dtype:ident),*) => {
        #[pymethods]
        impl PyVariable {
            $(
                #[pyo3(signature = ())]
                fn $method(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
                    let device = slf.get().var.tensor().device();
                    Self::cast_to(slf, (DType::$dtype, device))
                }
            )*
        }
    };
}

casts!(byte U8, char I8, short I16, int I32, long I64, float F32, double F64);
