//! What tensors and Variables say of themselves in the same words (T-36): sizes, place, type.

use super::call::Side;
use super::tensor::size_object;
use crate::tensor::{Device, Tensor, dims};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The place of the dimension that `dim` says.
fn place(op: &str, side: Side, t: &Tensor, dim: &Bound<'_, PyAny>) -> PyResult<usize> {
    let dim = super::number::whole(side, op, "() or (int dim)", dim)?;
    Ok(dims::wrap_dim(op, dim, t.ndim())?)
}

/// `size()` and `size(dim)`.
pub fn size(
    py: Python<'_>,
    side: Side,
    t: &Tensor,
    dim: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    match dim {
        None => size_object(py, t.sizes()),
        Some(d) => {
            let d = place("size", side, t, d)?;
            Ok(t.sizes()[d].into_pyobject(py)?.into_any().unbind())
        }
    }
}

/// `stride()` and `stride(dim)`.
pub fn stride(
    py: Python<'_>,
    side: Side,
    t: &Tensor,
    dim: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    match dim {
        None => Ok(PyTuple::new(py, t.strides())?.into_any().unbind()),
        Some(d) => {
            let d = place("stride", side, t, d)?;
            Ok(t.strides()[d].into_pyobject(py)?.into_any().unbind())
        }
    }
}

/// The number of the GPU that a tensor is on.
pub fn device_number(t: &Tensor) -> PyResult<usize> {
    match t.device() {
        Device::Gpu => Ok(0),
        Device::Cpu => Err(PyRuntimeError::new_err(
            "get_device: this is in the memory of the CPU; only what is on the GPU has a device",
        )),
    }
}

/// Whether both use the same storage in the same way.
pub fn is_set_to(a: &Tensor, b: &Tensor) -> bool {
    a.kind() == b.kind()
        && a.memory_root().address() == b.memory_root().address()
        && a.offset() == b.offset()
        && a.sizes() == b.sizes()
        && a.strides() == b.strides()
}

/// What pinning memory for CUDA gives without CUDA.
pub fn no_pinned_memory() -> PyErr {
    PyRuntimeError::new_err(
        "pin_memory: pinned memory is CUDA's, and there is no CUDA here; leave the call out",
    )
}

/// A text form for notebooks: the same characters.
pub fn html(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<pre>{text}</pre>")
}

/// The methods that `$class` answers from the tensor that `$tensor` finds in it.
macro_rules! queries {
    ($class:ident, $side:ident, $me:ident => $tensor:expr) => {
        #[pymethods]
        impl $class {
            #[pyo3(signature = (dim=None))]
            fn size(&self, py: Python<'_>, dim: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
                let $me = self;
                $crate::python::query::size(py, $crate::python::call::Side::$side, &$tensor, dim)
            }

            #[getter]
            fn shape(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                let $me = self;
                $crate::python::query::size(py, $crate::python::call::Side::$side, &$tensor, None)
            }

            #[pyo3(signature = (dim=None))]
            fn stride(
                &self,
                py: Python<'_>,
                dim: Option<&Bound<'_, PyAny>>,
            ) -> PyResult<Py<PyAny>> {
                let $me = self;
                $crate::python::query::stride(py, $crate::python::call::Side::$side, &$tensor, dim)
            }

            fn dim(&self) -> usize {
                let $me = self;
                $tensor.ndim()
            }

            fn ndimension(&self) -> usize {
                self.dim()
            }

            fn numel(&self) -> usize {
                let $me = self;
                $tensor.numel()
            }

            fn nelement(&self) -> usize {
                self.numel()
            }

            fn storage_offset(&self) -> usize {
                let $me = self;
                $tensor.offset()
            }

            fn element_size(&self) -> usize {
                let $me = self;
                $tensor.dtype().bytes()
            }

            fn data_ptr(&self) -> usize {
                let $me = self;
                $tensor.ptr() as usize
            }

            fn is_contiguous(&self) -> bool {
                let $me = self;
                $tensor.is_contiguous()
            }

            fn is_signed(&self) -> bool {
                let $me = self;
                $tensor.dtype() != $crate::tensor::DType::U8
            }

            #[getter]
            fn is_cuda(&self) -> bool {
                let $me = self;
                $tensor.device() == $crate::tensor::Device::Gpu
            }

            /// Sparse classes are classes of their own.
            #[getter]
            fn is_sparse(&self) -> bool {
                false
            }

            fn get_device(&self) -> PyResult<usize> {
                let $me = self;
                $crate::python::query::device_number(&$tensor)
            }

            fn is_set_to(&self, tensor: &Bound<'_, PyAny>) -> PyResult<bool> {
                let $me = self;
                let other = Self::peer("is_set_to", tensor)?;
                Ok($crate::python::query::is_set_to(&$tensor, &other))
            }

            fn is_same_size(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
                let $me = self;
                Ok($tensor.sizes() == Self::peer("is_same_size", other)?.sizes())
            }

            /// The memory of the elements; writing to it is writing to them.
            fn storage(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                let $me = self;
                $crate::python::storage::storage_of(py, &$tensor)
            }

            fn is_pinned(&self) -> bool {
                false
            }

            fn __len__(&self) -> usize {
                let $me = self;
                $tensor.sizes().first().copied().unwrap_or(0) as usize
            }
        }
    };
}

pub(crate) use queries;
