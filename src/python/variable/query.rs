//! What a Variable says of its data: sizes, place, truth.

use super::PyVariable;
use crate::python::number;
use crate::python::tensor::{bytes_of, size_object};
use crate::tensor::{Device, dims, sizes_text};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

#[pymethods]
impl PyVariable {
    #[getter]
    fn shape(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        size_object(py, self.var.tensor().sizes())
    }

    #[getter]
    fn is_cuda(&self) -> bool {
        self.var.tensor().device() == Device::Gpu
    }

    #[pyo3(signature = (dim=None))]
    fn size(&self, py: Python<'_>, dim: Option<i64>) -> PyResult<Py<PyAny>> {
        let t = self.var.tensor();
        match dim {
            None => size_object(py, t.sizes()),
            Some(d) => Ok(t.sizes()[dims::wrap_dim("size", d, t.ndim())?]
                .into_pyobject(py)?
                .into_any()
                .unbind()),
        }
    }

    #[pyo3(signature = (dim=None))]
    fn stride(&self, py: Python<'_>, dim: Option<i64>) -> PyResult<Py<PyAny>> {
        let t = self.var.tensor();
        match dim {
            None => Ok(PyTuple::new(py, t.strides())?.into_any().unbind()),
            Some(d) => Ok(t.strides()[dims::wrap_dim("stride", d, t.ndim())?]
                .into_pyobject(py)?
                .into_any()
                .unbind()),
        }
    }

    fn dim(&self) -> usize {
        self.var.tensor().ndim()
    }

    fn ndimension(&self) -> usize {
        self.var.tensor().ndim()
    }

    fn numel(&self) -> usize {
        self.var.tensor().numel()
    }

    fn nelement(&self) -> usize {
        self.var.tensor().numel()
    }

    fn storage_offset(&self) -> usize {
        self.var.tensor().offset()
    }

    fn element_size(&self) -> usize {
        self.var.tensor().dtype().bytes()
    }

    fn data_ptr(&self) -> usize {
        self.var.tensor().ptr() as usize
    }

    fn is_contiguous(&self) -> bool {
        self.var.tensor().is_contiguous()
    }

    fn is_signed(&self) -> bool {
        self.var.tensor().dtype() != crate::tensor::DType::U8
    }

    fn is_set_to(&self, tensor: &PyVariable) -> bool {
        let (a, b) = (self.var.tensor(), tensor.var.tensor());
        a.shares_memory(&b)
            && a.offset() == b.offset()
            && a.sizes() == b.sizes()
            && a.strides() == b.strides()
    }

    fn get_device(&self) -> PyResult<usize> {
        match self.var.tensor().device() {
            Device::Gpu => Ok(0),
            Device::Cpu => Err(PyRuntimeError::new_err(
                "get_device: this Variable is on the CPU; only cuda ones have a device",
            )),
        }
    }

    fn is_same_size(&self, other: &PyVariable) -> bool {
        other.var.tensor().sizes() == self.var.tensor().sizes()
    }

    fn __len__(&self) -> usize {
        self.var.tensor().sizes().first().copied().unwrap_or(0) as usize
    }

    fn __bool__(&self) -> PyResult<bool> {
        let t = self.var.tensor();
        match t.numel() {
            0 => Ok(false),
            1 => Ok(number::scalar_at(&t, 0)?.f64() != 0.0),
            n => Err(PyRuntimeError::new_err(format!(
                "bool value of a Variable with {n} elements is ambiguous; compare one element of .data, or use (v != 0).any()"
            ))),
        }
    }

    fn __float__(&self) -> PyResult<f64> {
        Ok(self.only("float")?.f64())
    }

    fn __int__(&self) -> PyResult<i64> {
        Ok(self.only("int")?.to::<i64>())
    }

    fn all(&self) -> PyResult<bool> {
        Ok(bytes_of("all", &self.var.tensor())?.iter().all(|&b| b != 0))
    }

    fn any(&self) -> PyResult<bool> {
        Ok(bytes_of("any", &self.var.tensor())?.iter().any(|&b| b != 0))
    }

    fn equal(&self, other: &PyVariable) -> PyResult<bool> {
        crate::python::functional::equal(&self.var.tensor(), &other.var.tensor())
    }
}

impl PyVariable {
    fn only(&self, op: &str) -> PyResult<crate::tensor::Scalar> {
        let t = self.var.tensor();
        if t.numel() != 1 {
            return Err(PyTypeError::new_err(format!(
                "{op}: only Variables of one element can be converted; this one has size {}",
                sizes_text(t.sizes())
            )));
        }
        number::scalar_at(&t, 0)
    }
}
