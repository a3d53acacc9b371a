//! Tensors and Variables in another class or place (T-75): the object itself when nothing changes.

use super::classes;
use super::creation::check_gpu;
use super::errors::run;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::ops::copy::{self, copy_into};
use crate::ops::device;
use crate::python::interpreter::released;
use crate::tensor::{DType, Device};
use pyo3::prelude::*;

/// The methods that turn objects of `$class`, which has `kind` and `cast_to`.
macro_rules! conversions {
    ($class:ident; $($method:ident $dtype:ident),*) => {
        #[pymethods]
        impl $class {
            #[pyo3(name = "r#type", signature = (new_type=None, r#async=false))]
            fn type_(
                slf: &Bound<'_, Self>,
                new_type: Option<&Bound<'_, PyAny>>,
                r#async: bool,
            ) -> PyResult<Py<PyAny>> {
                let _ = r#async;
                let (dtype, device) = slf.get().kind();
                match new_type {
                    None => {
                        let name = crate::tensor::class_name(dtype, device);
                        Ok(name.into_pyobject(slf.py())?.into_any().unbind())
                    }
                    Some(what) => Self::cast_to(slf, classes::kind_of(what)?),
                }
            }

            fn type_as(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                match super::call::Operand::of(other) {
                    Some(o) => Self::cast_to(slf, o.tensor().kind()),
                    None => Err(pyo3::exceptions::PyTypeError::new_err(format!(
                        "type_as: needs a tensor or Variable; got {}",
                        super::construct::type_name(other)
                    ))),
                }
            }

            #[pyo3(signature = (device=None, r#async=false))]
            fn cuda(
                slf: &Bound<'_, Self>,
                device: Option<&Bound<'_, PyAny>>,
                r#async: bool,
            ) -> PyResult<Py<PyAny>> {
                let _ = r#async;
                super::creation::check_device(device)?;
                Self::cast_to(slf, (slf.get().kind().0, Device::Gpu))
            }

            fn cpu(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
                Self::cast_to(slf, (slf.get().kind().0, Device::Cpu))
            }

            $(
                #[pyo3(signature = ())]
                fn $method(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
                    Self::cast_to(slf, (DType::$dtype, slf.get().kind().1))
                }
            )*
        }
    };
    ($class:ident) => {
        conversions!($class; byte U8, char I8, short I16, int I32, long I64, half F16, float F32, double F64);
    };
}

conversions!(PyTensor);
conversions!(PyVariable);

impl PyTensor {
    fn kind(&self) -> (DType, Device) {
        self.tensor().kind()
    }

    fn cast_to(slf: &Bound<'_, Self>, (dtype, device): (DType, Device)) -> PyResult<Py<PyAny>> {
        let t = slf.get().tensor();
        if t.kind() == (dtype, device) {
            return Ok(slf.clone().into_any().unbind());
        }
        check_gpu("cuda", device)?;
        let y = released(slf.py(), || {
            run(|| {
                let y = device::empty("type", dtype, device, t.sizes())?;
                copy_into(&y, &t)?;
                Ok(y)
            })
        })?;
        classes::wrap(slf.py(), y)
    }
}

impl PyVariable {
    fn kind(&self) -> (DType, Device) {
        self.var.tensor().kind()
    }

    fn cast_to(slf: &Bound<'_, Self>, (dtype, device): (DType, Device)) -> PyResult<Py<PyAny>> {
        let me = slf.get();
        let kind = me.kind();
        if kind == (dtype, device) {
            return Ok(slf.clone().into_any().unbind());
        }
        check_gpu("cuda", device)?;
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
