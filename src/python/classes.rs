//! The typed tensor classes, and wrapping core values in Python objects.

use super::tensor::PyTensor;
use crate::tensor::{DType, Device, Held, Tensor};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

macro_rules! classes {
    ($($name:ident $python:literal $module:literal $dtype:ident $device:ident;)*) => {
        $(
            #[doc = concat!("Tensors of class ", $module, ".", $python, ".")]
            #[pyclass(extends = PyTensor, name = $python, module = $module, frozen, subclass)]
            pub struct $name;

            #[pymethods]
            impl $name {
                #[new]
                #[pyo3(signature = (*args, **kwargs))]
                fn new(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<PyClassInitializer<$name>> {
                    let tensor = super::creation::construct(DType::$dtype, Device::$device, args, kwargs)?;
                    Ok(PyClassInitializer::from(PyTensor::around(tensor)).add_subclass($name))
                }
            }
        )*

        /// `held` as an object of its class.
        pub fn wrap_held(py: Python<'_>, mut held: Held) -> PyResult<Py<PyAny>> {
            let (dtype, device) = held.get().kind();
            Ok(match (dtype, device) {
                $((DType::$dtype, Device::$device) => {
                    Py::new(py, PyClassInitializer::from(PyTensor::around(held)).add_subclass($name))?.into_any()
                })*
            })
        }

        /// The class object for an element type.
        pub fn class_of(py: Python<'_>, dtype: DType, device: Device) -> Bound<'_, PyType> {
            match (dtype, device) {
                $((DType::$dtype, Device::$device) => py.get_type::<$name>(),)*
            }
        }

        /// Adds the classes: those of the CPU by name, those of the GPU as `cuda_` and the name.
        pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
            m.add_class::<PyTensor>()?;
            $(
                let name = if Device::$device == Device::Gpu { concat!("cuda_", $python) } else { $python };
                m.add(name, m.py().get_type::<$name>())?;
            )*
            Ok(())
        }
    };
}

classes! {
    ByteTensor "ByteTensor" "torch" U8 Cpu;
    CharTensor "CharTensor" "torch" I8 Cpu;
    ShortTensor "ShortTensor" "torch" I16 Cpu;
    IntTensor "IntTensor" "torch" I32 Cpu;
    LongTensor "LongTensor" "torch" I64 Cpu;
    FloatTensor "FloatTensor" "torch" F32 Cpu;
    DoubleTensor "DoubleTensor" "torch" F64 Cpu;
    HalfTensor "HalfTensor" "torch" F16 Cpu;
    CudaByteTensor "ByteTensor" "torch.cuda" U8 Gpu;
    CudaCharTensor "CharTensor" "torch.cuda" I8 Gpu;
    CudaShortTensor "ShortTensor" "torch.cuda" I16 Gpu;
    CudaIntTensor "IntTensor" "torch.cuda" I32 Gpu;
    CudaLongTensor "LongTensor" "torch.cuda" I64 Gpu;
    CudaFloatTensor "FloatTensor" "torch.cuda" F32 Gpu;
    CudaDoubleTensor "DoubleTensor" "torch.cuda" F64 Gpu;
    CudaHalfTensor "HalfTensor" "torch.cuda" F16 Gpu;
}

/// The place of a method that halves do not have: it computes (T-9).
#[pyclass(frozen, name = "_Missing", module = "rgrad._C")]
pub struct Missing(pub String);

#[pymethods]
impl Missing {
    fn __get__(
        &self,
        _object: &Bound<'_, PyAny>,
        _class: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        Err(PyAttributeError::new_err(format!(
            "torch.HalfTensor has no {}, because halves are stored only; convert with .float() first",
            self.0
        )))
    }
}

/// `tensor` as an object of its class.
pub fn wrap(py: Python<'_>, tensor: Tensor) -> PyResult<Py<PyAny>> {
    wrap_held(py, Held::from(tensor))
}

/// The class with this name: 'torch.FloatTensor'.
#[pyfunction]
pub fn _tensor_class(name: &Bound<'_, PyAny>) -> PyResult<Py<PyType>> {
    let (dtype, device) = kind_of(name)?;
    Ok(class_of(name.py(), dtype, device).unbind())
}

/// The element type and place that a class, its name, or a tensor stands for.
pub fn kind_of(what: &Bound<'_, PyAny>) -> PyResult<(DType, Device)> {
    let name = match what.cast::<PyType>() {
        Ok(class) => {
            let found = DType::EVERY
                .into_iter()
                .flat_map(|d| [(d, Device::Cpu), (d, Device::Gpu)]);
            for (dtype, device) in found {
                if class_of(what.py(), dtype, device).is(class) {
                    return Ok((dtype, device));
                }
            }
            class.repr()?.to_string()
        }
        Err(_) => match what.extract::<String>() {
            Ok(text) => text,
            Err(_) => what.get_type().name()?.to_string(),
        },
    };
    for dtype in DType::EVERY {
        for device in [Device::Cpu, Device::Gpu] {
            if crate::tensor::class_name(dtype, device) == name {
                return Ok((dtype, device));
            }
        }
    }
    Err(pyo3::exceptions::PyTypeError::new_err(format!(
        "{name} is no tensor class; give one such as torch.FloatTensor or its name 'torch.FloatTensor'"
    )))
}
