//! DLPack: elements shared with other libraries, in both directions. What crosses as raw memory is
//! in [`super::interop`].
#![forbid(unsafe_code)]

use super::classes;
use super::construct::type_name;
use super::interop::{CPU, DlTensor, Old, Versioned, is_old, is_versioned, lend, take};
use super::tensor::PyTensor;
use crate::error::{Error, Result};
use crate::fail;
use crate::ops::copy::contiguous_copy;
use crate::ops::device;
use crate::python::callback;
use crate::tensor::{DType, Device, Dims, Layout, MAX_DIMS, Tensor, dims};
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};

/// `t.__dlpack__(*, max_version=None, dl_device=None, copy=None)`: the elements for other
/// libraries; a GPU tensor is copied when the host is asked for.
///
/// # Errors
/// `BufferError` for GPU tensors, other devices, and copies that are needed and forbidden.
pub fn to_dlpack<'py>(
    py: Python<'py>,
    tensor: &Tensor,
    max_version: Option<(u32, u32)>,
    dl_device: Option<(i32, i32)>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let wrong = |text: &str| Err(PyBufferError::new_err(format!("__dlpack__: {text}")));
    if dl_device.is_some_and(|device| device != (CPU, 0)) {
        return wrong("tensors can be handed out on the CPU only");
    }
    let moved = tensor.device() == Device::Gpu;
    if moved && (dl_device.is_none() || copy == Some(false)) {
        return wrong("the tensor is in the memory of the GPU; use .cpu() first");
    }
    let copied = moved || copy == Some(true);
    let tensor = match copied {
        false => tensor.clone(),
        true if moved => device::to_cpu(tensor)?,
        true => contiguous_copy(tensor)?,
    };
    tensor.pin();
    match max_version {
        Some((major, _)) if major >= 1 => lend::<Versioned>(py, tensor, copied),
        _ => lend::<Old>(py, tensor, copied),
    }
}

/// `t.__dlpack_device__()`: device kind and number. A GPU of ours has no kind in DLPack but 15,
/// that of WebGPU.
pub fn dlpack_device(tensor: &Tensor) -> (i32, i32) {
    match tensor.device() {
        Device::Cpu => (CPU, 0),
        Device::Gpu => (15, 0),
    }
}

/// A tensor on the elements of any object with `__dlpack__`; a copy when they are read-only.
///
/// # Errors
/// `RuntimeError` for other devices, element types without a class, negative strides and objects
/// without elements; `TypeError` for objects without the protocol.
pub fn from_dlpack(obj: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    let py = obj.py();
    if !obj.hasattr("__dlpack__")? || !obj.hasattr("__dlpack_device__")? {
        return Err(PyTypeError::new_err(format!(
            "from_dlpack: needs an object with __dlpack__ and __dlpack_device__; got {}",
            type_name(obj)
        )));
    }
    let device: (i32, i32) = callback::call_method(obj, "__dlpack_device__", ())?.extract()?;
    if device.0 != CPU {
        return Err(Error::Runtime(format!(
            "from_dlpack: the elements are on device kind {}, only the CPU's (1) can be shared; move them to the CPU first",
            device.0
        ))
        .into());
    }
    let asked = PyDict::new(py);
    asked.set_item("max_version", (1, 0))?;
    let capsule = match callback::call_with(&obj.getattr("__dlpack__")?, (), Some(&asked)) {
        // Makers of before 1.0 know no versions.
        Err(e) if e.is_instance_of::<PyTypeError>(py) => {
            callback::call_method(obj, "__dlpack__", ())?
        }
        other => other?,
    };
    let capsule = capsule.cast_into::<PyCapsule>()?;
    taken(&capsule)
}

/// A tensor on what a capsule holds, which is used up by that.
///
/// # Errors
/// `RuntimeError` for a capsule that was used before, or that holds something else.
fn taken(capsule: &Bound<'_, PyCapsule>) -> PyResult<Tensor> {
    if is_versioned(capsule) {
        return take::<Versioned>(capsule);
    }
    if is_old(capsule) {
        return take::<Old>(capsule);
    }
    Err(Error::Runtime(format!(
        "from_dlpack: a capsule can be used once, and this one was used or holds no tensor: {}; make a fresh one with to_dlpack",
        capsule.repr()?
    ))
    .into())
}

/// The elements of a tensor in a capsule for other libraries.
#[pyfunction]
pub fn _to_dlpack<'py>(tensor: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyCapsule>> {
    let Ok(tensor) = tensor.cast::<PyTensor>() else {
        return Err(PyTypeError::new_err(format!(
            "to_dlpack: needs a tensor; got {}; of a Variable take .data",
            type_name(tensor)
        )));
    };
    to_dlpack(tensor.py(), &tensor.get().tensor(), None, None, None)
}

/// A tensor on the elements in a capsule, or of an object that makes one.
#[pyfunction]
pub fn _from_dlpack(source: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let tensor = match source.cast::<PyCapsule>() {
        Ok(capsule) => taken(capsule)?,
        Err(_) => from_dlpack(source)?,
    };
    classes::wrap(source.py(), tensor)
}

/// The element type and geometry of what another library lends.
pub(super) fn check(
    seen: &DlTensor,
    sizes: Option<&[i64]>,
    strides: Option<&[i64]>,
) -> Result<(DType, Layout)> {
    let dtype = match (seen.code, seen.bits, seen.lanes) {
        (1, 8, 1) => DType::U8,
        (0, 8, 1) => DType::I8,
        (0, 16, 1) => DType::I16,
        (0, 32, 1) => DType::I32,
        (0, 64, 1) => DType::I64,
        (2, 16, 1) => DType::F16,
        (2, 32, 1) => DType::F32,
        (2, 64, 1) => DType::F64,
        (code, bits, lanes) => fail!(
            Runtime,
            "from_dlpack: there is no tensor class for elements of kind {code} with {bits} bits in {lanes} lanes"
        ),
    };
    let mut sizes = Dims::from_slice(sizes.unwrap_or_default());
    if *sizes == [0] {
        // The empty tensor, as its array has it (T-87).
        return Ok((dtype, Layout::row_major(&[])));
    }
    if sizes.len() > MAX_DIMS || dims::count("from_dlpack", &sizes)? == 0 && !sizes.is_empty() {
        fail!(
            Runtime,
            "from_dlpack: sizes {sizes:?} have no elements or too many dimensions"
        );
    }
    let mut strides = match strides {
        Some(strides) => Dims::from_slice(strides),
        None => dims::row_major(&sizes),
    };
    if sizes.is_empty() {
        (sizes, strides) = (Dims::from_slice(&[1]), Dims::from_slice(&[1]));
    }
    for (&size, stride) in sizes.iter().zip(&mut strides) {
        if size == 1 && *stride < 0 {
            *stride = 1;
        }
        if *stride < 0 {
            fail!(
                Runtime,
                "from_dlpack: a stride is negative; make a copy first"
            );
        }
    }
    if !(seen.data as usize + seen.byte_offset as usize).is_multiple_of(dtype.bytes()) {
        fail!(
            Runtime,
            "from_dlpack: the elements are not aligned; make a copy first"
        );
    }
    let layout = Layout {
        sizes,
        strides,
        offset: 0,
    };
    Ok((dtype, layout))
}
