//! NumPy arrays as tensors and tensors as NumPy arrays (T-25, T-30, T-85 to T-90).
//!
//! numpy is imported when the first array is made; until then nothing can be an array.
#![forbid(unsafe_code)]

use super::construct::type_name;
use super::interop::{Export, Seen};
use super::tensor::PyTensor;
use super::{classes, dlpack};
use crate::error::Result;
use crate::fail;
use crate::ops::copy::copy_into;
use crate::ops::device;
use crate::python::callback;
use crate::python::once::Once;
use crate::tensor::{DType, Device, Tensor, class_name};
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

const SUPPORTED: &str = "float64, float32, float16, int64, int32, int16 and uint8";

/// A tensor on the memory of a NumPy array; a copy when the array is read-only or byte-swapped.
///
/// # Errors
/// `RuntimeError` for what is no array, for other element types, negative strides and arrays
/// without elements (T-30, E-83).
pub fn from_numpy(array: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    const OP: &str = "from_numpy";
    if !is_ndarray(array)? {
        return Err(PyRuntimeError::new_err(format!(
            "{OP}: needs a numpy.ndarray; got {}",
            type_name(array)
        )));
    }
    let seen = Seen::new(array)?;
    match seen.as_ref().and_then(Seen::dtype) {
        Some((dtype, _)) if dtype != DType::I8 => {}
        _ => return Err(unsupported(OP, array)?),
    }
    let seen = seen.expect("it has an element type");
    seen.share_or_copy(OP, array)
}

/// A tensor of class `dtype` from a NumPy array: on its memory when the element type is the same,
/// a converted copy for other real numbers (T-25).
///
/// # Errors
/// As [`from_numpy`]; an array of size (0,) gives the empty tensor.
pub fn share_or_convert(op: &str, array: &Bound<'_, PyAny>, dtype: DType) -> PyResult<Tensor> {
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !matches!(kind.as_str(), "b" | "i" | "u" | "f") {
        return Err(unsupported(op, array)?);
    }
    let Some(seen) = Seen::new(array)? else {
        return Err(unsupported(op, array)?);
    };
    if seen.shape() == [0] {
        return Ok(Tensor::empty(op, dtype, &[])?);
    }
    match seen.dtype() {
        Some((same, _)) if same == dtype => seen.share_or_copy(op, array),
        // Our own conversion where there is one, so that a cast is the same however it is written.
        Some((other, _)) => {
            let y = Tensor::empty(op, dtype, &seen.sizes(op, array)?)?;
            copy_into(&y, &copied(op, array, other, y.sizes())?)?;
            Ok(y)
        }
        None => copied(op, array, dtype, &seen.sizes(op, array)?),
    }
}

/// The error for an element type without a class.
pub(super) fn unsupported(op: &str, array: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    Ok(PyRuntimeError::new_err(format!(
        "{op}: an array of {} cannot share its elements with a tensor; supported are {SUPPORTED}; make a copy with astype() first",
        array.getattr("dtype")?.str()?
    )))
}

/// A tensor of its own with the array's elements, which NumPy converts.
pub(super) fn copied(
    op: &str,
    array: &Bound<'_, PyAny>,
    dtype: DType,
    sizes: &[i64],
) -> PyResult<Tensor> {
    let tensor = Tensor::empty(op, dtype, sizes)?;
    let py = array.py();
    as_ndarray(py, &tensor)?.set_item(py.Ellipsis(), array)?;
    Ok(tensor)
}

/// A NumPy array on the tensor's memory (`t.numpy()`), which cannot be resized any more.
///
/// # Errors
/// `RuntimeError` for GPU tensors and CharTensor (T-87, E-84).
pub fn share<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    sharable("numpy", tensor)?;
    tensor.fix();
    as_ndarray(py, tensor)
}

fn sharable(op: &str, tensor: &Tensor) -> Result<()> {
    let class = class_name(tensor.dtype(), tensor.device());
    if tensor.device() == Device::Gpu {
        fail!(
            Runtime,
            "{op}: a {class} is in the memory of the GPU; use .cpu() first, as in t.cpu().numpy()"
        );
    }
    if tensor.dtype() == DType::I8 {
        fail!(
            Runtime,
            "{op}: a {class} has no array; supported are {SUPPORTED}; convert with .short() first"
        );
    }
    Ok(())
}

fn as_ndarray<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    static ASARRAY: Once = Once::new();
    let asarray = ASARRAY.import(py, "numpy", "asarray")?;
    callback::call(asarray, (Export::new(py, tensor)?,))
}

/// `t.__array__(dtype=None, copy=None)`, for NumPy 1 and 2; moves GPU tensors to the host.
///
/// # Errors
/// `RuntimeError` for CharTensor, `ValueError` when `copy` is false and a copy is needed.
pub fn as_array<'py>(
    py: Python<'py>,
    tensor: &Tensor,
    dtype: Option<&Bound<'py, PyAny>>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let host = device::to_cpu(tensor)?;
    sharable("__array__", &host)?;
    let array = as_ndarray(py, &host)?;
    let converts = match dtype {
        Some(wanted) if !wanted.is_none() => array.getattr("dtype")?.ne(wanted)?,
        _ => false,
    };
    let moved = tensor.device() == Device::Gpu;
    if copy == Some(false) && (converts || moved) {
        return Err(PyValueError::new_err(format!(
            "__array__: a {} cannot become this array without a copy; leave out copy=False",
            class_name(tensor.dtype(), tensor.device())
        )));
    }
    if converts {
        return callback::call_method(&array, "astype", (dtype,));
    }
    if copy == Some(true) && !moved {
        return callback::call_method(&array, "copy", ());
    }
    host.fix();
    Ok(array)
}

/// What a NumPy function made of a tensor.
pub enum Wrapped {
    Tensor(Tensor),
    /// A Python number, or the array itself when no class has its element type.
    Other(Py<PyAny>),
}

/// `t.__array_wrap__(array, ...)`: arrays become tensors, of bool ByteTensor, and
/// zero-dimensional ones Python numbers (T-88).
pub fn array_wrap(array: &Bound<'_, PyAny>) -> PyResult<Wrapped> {
    if !is_ndarray(array)? {
        return Ok(Wrapped::Other(array.clone().unbind()));
    }
    let Some(seen) = Seen::new(array)? else {
        return Ok(Wrapped::Other(array.clone().unbind()));
    };
    if array.getattr("ndim")?.extract::<usize>()? == 0 {
        return Ok(Wrapped::Other(
            callback::call_method(array, "item", ())?.unbind(),
        ));
    }
    let dtype = match seen.format() {
        b"?" => Some(DType::U8),
        _ => seen.dtype().map(|(dtype, _)| dtype),
    };
    match dtype {
        Some(dtype) => Ok(Wrapped::Tensor(share_or_convert(
            "__array_wrap__",
            array,
            dtype,
        )?)),
        None => Ok(Wrapped::Other(array.clone().unbind())),
    }
}

/// Whether `obj` is of the NumPy class `name`; false without a look as long as nobody has imported
/// numpy.
pub fn is_instance_of_numpy(
    obj: &Bound<'_, PyAny>,
    class: &'static Once,
    name: &str,
) -> PyResult<bool> {
    let py = obj.py();
    if !class.is_there() {
        let modules = py.import("sys")?.getattr("modules")?;
        if !modules.contains("numpy")? {
            return Ok(false);
        }
    }
    obj.is_instance(class.import(py, "numpy", name)?)
}

/// A NumPy scalar as the Python number of its kind: a float of any width, an int, or a bool as an int;
/// none for others, times and complex numbers among them.
///
/// # Errors
/// What its own conversion raises.
#[cold]
pub fn scalar<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static GENERIC: Once = Once::new();
    if !is_instance_of_numpy(obj, &GENERIC, "generic")? {
        return Ok(None);
    }
    let kind: String = obj.getattr("dtype")?.getattr("kind")?.extract()?;
    let convert = match kind.as_str() {
        "f" => "__float__",
        "i" | "u" | "b" => "__int__",
        _ => return Ok(None),
    };
    callback::call_method(obj, convert, ()).map(Some)
}

/// Whether `obj` is a `numpy.ndarray`.
pub fn is_ndarray(obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    static NDARRAY: Once = Once::new();
    is_instance_of_numpy(obj, &NDARRAY, "ndarray")
}

#[pymethods]
impl PyTensor {
    /// NumPy asks this class, not the array, when both stand in an expression.
    #[classattr]
    fn __array_priority__() -> i64 {
        1000
    }

    #[pyo3(signature = (array, context=None, return_scalar=false))]
    fn __array_wrap__(
        &self,
        py: Python<'_>,
        array: &Bound<'_, PyAny>,
        context: Option<&Bound<'_, PyAny>>,
        return_scalar: bool,
    ) -> PyResult<Py<PyAny>> {
        let _ = (context, return_scalar);
        match array_wrap(array)? {
            Wrapped::Tensor(tensor) => classes::wrap(py, tensor),
            Wrapped::Other(object) => Ok(object),
        }
    }

    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__(
        &self,
        py: Python<'_>,
        stream: Option<&Bound<'_, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Py<PyAny>> {
        let _ = stream;
        Ok(
            dlpack::to_dlpack(py, &self.tensor(), max_version, dl_device, copy)?
                .into_any()
                .unbind(),
        )
    }

    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::dlpack_device(&self.tensor())
    }

    fn numpy(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Ok(share(slf.py(), &slf.get().tensor())?.unbind())
    }

    /// Where the elements are, for libraries that look there before they ask for an array.
    #[getter]
    fn __array_interface__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let tensor = slf.get().tensor();
        if tensor.device() == Device::Gpu {
            return Err(PyAttributeError::new_err(
                "__array_interface__: the tensor is in the memory of the GPU; use .cpu() first",
            ));
        }
        tensor.pin();
        let array = as_ndarray(slf.py(), &tensor)?;
        Ok(array.getattr("__array_interface__")?.unbind())
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__(
        slf: &Bound<'_, Self>,
        dtype: Option<&Bound<'_, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Py<PyAny>> {
        Ok(as_array(slf.py(), &slf.get().tensor(), dtype, copy)?.unbind())
    }
}
