//! Memory shared with others: NumPy arrays, the buffer protocol, DLPack (T-85 to T-90).
//!
//! Who looks at memory holds its owner: a tensor over an array holds a memoryview of it, an array
//! over a tensor holds an [`Export`], which holds the elements and not the Python object, because
//! that can be given other elements at any time.

use crate::fail;
use crate::ops::copy::copy_into;
use crate::tensor::{DType, Device, Dims, Element, Layout, Tensor, class_name};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyMemoryView, PyType};
use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

/// The elements of a tensor that nobody else has seen, for writing them the first time.
///
/// # Panics
/// When the tensor is shared, a view, off the CPU or of another element type.
pub fn fresh_elements<T: Element>(tensor: &mut Tensor) -> &mut [MaybeUninit<T>] {
    assert!(
        tensor.is_unique() && tensor.kind() == (T::DTYPE, Device::Cpu),
        "the elements of {tensor:?} are not fresh"
    );
    if tensor.numel() == 0 {
        return &mut [];
    }
    // SAFETY: a root is row-major over its own memory, and this is the only handle to it, which
    // the borrow keeps from being cloned.
    unsafe { std::slice::from_raw_parts_mut(tensor.ptr().cast(), tensor.numel()) }
}

/// The tensor itself, or its copy in host memory when it is on the GPU.
pub fn on_host(tensor: &Tensor) -> crate::error::Result<Tensor> {
    if tensor.device() == Device::Cpu {
        return Ok(tensor.clone());
    }
    let host = Tensor::empty("cpu", tensor.dtype(), tensor.sizes())?;
    copy_into(&host, tensor)?;
    Ok(host)
}

/// Whether `obj` is of the NumPy class `name`; false without a look as long as nobody has imported
/// numpy.
pub fn is_instance_of_numpy(
    obj: &Bound<'_, PyAny>,
    class: &'static PyOnceLock<Py<PyType>>,
    name: &str,
) -> PyResult<bool> {
    let py = obj.py();
    if class.get(py).is_none() {
        let modules = py.import("sys")?.getattr("modules")?;
        if !modules.contains("numpy")? {
            return Ok(false);
        }
    }
    obj.is_instance(class.import(py, "numpy", name)?)
}

/// Whether `obj` is a `numpy.ndarray`.
pub fn is_ndarray(obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    static NDARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    is_instance_of_numpy(obj, &NDARRAY, "ndarray")
}

const SUPPORTED: &str = "float64, float32, int64, int32, int16 and uint8";

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
            super::construct::type_name(array)
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
    if seen.buffer.shape() == [0] {
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

fn unsupported(op: &str, array: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    Ok(PyRuntimeError::new_err(format!(
        "{op}: an array of {} cannot share its elements with a tensor; supported are {SUPPORTED}; make a copy with astype() first",
        array.getattr("dtype")?.str()?
    )))
}

/// A tensor of its own with the array's elements, which NumPy converts.
fn copied(op: &str, array: &Bound<'_, PyAny>, dtype: DType, sizes: &[i64]) -> PyResult<Tensor> {
    let tensor = Tensor::empty(op, dtype, sizes)?;
    let py = array.py();
    as_ndarray(py, &tensor)?.set_item(py.Ellipsis(), array)?;
    Ok(tensor)
}

/// An array's memory, seen through the buffer protocol, which keeps it where it is.
struct Seen<'py> {
    /// What a tensor holds: a Python object, so that it can be dropped on any thread without
    /// waiting for the interpreter.
    view: Bound<'py, PyMemoryView>,
    buffer: PyUntypedBuffer,
}

impl<'py> Seen<'py> {
    /// `None` for element types that the protocol cannot name, as dates. A zero-dimensional array
    /// is seen with one dimension.
    fn new(array: &Bound<'py, PyAny>) -> PyResult<Option<Seen<'py>>> {
        let view = match PyMemoryView::from(array) {
            Ok(view) => view,
            Err(e) if e.is_instance_of::<PyValueError>(array.py()) => return Ok(None),
            Err(e) => return Err(e),
        };
        let view = match view.getattr("ndim")?.extract()? {
            0 => PyMemoryView::from(&array.call_method1("reshape", (1,))?)?,
            _ => view,
        };
        let buffer = PyUntypedBuffer::get(&view)?;
        Ok(Some(Seen { view, buffer }))
    }

    /// The element type, and whether its bytes are in the machine's order.
    fn dtype(&self) -> Option<(DType, bool)> {
        let (order, kind) = match self.buffer.format().to_bytes() {
            [kind] => (b'@', *kind),
            [order @ (b'@' | b'=' | b'<' | b'>' | b'!'), kind] => (*order, *kind),
            _ => return None,
        };
        let dtype = match (kind, self.buffer.item_size()) {
            (b'B', 1) => DType::U8,
            (b'b', 1) => DType::I8,
            (b'h', 2) => DType::I16,
            (b'i' | b'l', 4) => DType::I32,
            (b'l' | b'q' | b'n', 8) => DType::I64,
            (b'f', 4) => DType::F32,
            (b'd', 8) => DType::F64,
            _ => return None,
        };
        let native = match order {
            b'<' => cfg!(target_endian = "little"),
            b'>' | b'!' => cfg!(target_endian = "big"),
            _ => true,
        };
        Some((dtype, native))
    }

    /// Sizes, none of them zero.
    fn sizes(&self, op: &str, array: &Bound<'_, PyAny>) -> PyResult<Dims> {
        let shape = self.buffer.shape();
        if shape.contains(&0) {
            return Err(PyRuntimeError::new_err(format!(
                "{op}: an array of {} with shape {} has no elements, and no tensor has a dimension of size zero",
                array.getattr("dtype")?.str()?,
                array.getattr("shape")?.str()?
            )));
        }
        Ok(shape.iter().map(|&size| size as i64).collect())
    }

    /// Strides in elements.
    fn strides(&self, op: &str, array: &Bound<'_, PyAny>) -> PyResult<Dims> {
        let width = self.buffer.item_size() as isize;
        let wrong = |what: &str| -> PyResult<Dims> {
            Err(PyRuntimeError::new_err(format!(
                "{op}: an array of {} with {what} cannot be a tensor (strides are {} bytes); make a copy with copy() first",
                array.getattr("dtype")?.str()?,
                array.getattr("strides")?.str()?,
            )))
        };
        let mut strides = Dims::new();
        for (&size, &stride) in self.buffer.shape().iter().zip(self.buffer.strides()) {
            match stride {
                // The step of a single element is never taken and can be anything.
                _ if size == 1 && (stride < 0 || stride % width != 0) => strides.push(1),
                _ if stride < 0 => return wrong("a negative stride"),
                _ if stride % width != 0 => return wrong("a stride that is no whole elements"),
                _ => strides.push((stride / width) as i64),
            }
        }
        if self.buffer.buf_ptr() as usize % width as usize != 0 {
            return wrong("elements that are not aligned");
        }
        Ok(strides)
    }

    /// A tensor on this memory, or its copy where writing to it is not possible.
    fn share_or_copy(self, op: &str, array: &Bound<'_, PyAny>) -> PyResult<Tensor> {
        let (dtype, native) = self.dtype().expect("the caller looked");
        let sizes = self.sizes(op, array)?;
        let strides = self.strides(op, array)?;
        if self.buffer.suboffsets().is_some() {
            return Err(unsupported(op, array)?);
        }
        if self.buffer.readonly() || !native {
            return copied(op, array, dtype, &sizes);
        }
        let reach: i64 = sizes.iter().zip(&strides).map(|(n, s)| (n - 1) * s).sum();
        let layout = Layout {
            sizes,
            strides,
            offset: 0,
        };
        let bytes = (reach as usize + 1) * dtype.bytes();
        let keep = Box::new(self.view.unbind());
        let host = self.buffer.buf_ptr().cast();
        // SAFETY: the buffer promises that all elements its shape and strides reach are valid
        // until the view is given back, which is when `keep` is dropped; it is writable, and
        // `strides` has checked that none is negative and that elements are aligned.
        Ok(unsafe { Tensor::foreign(dtype, layout, host, bytes, keep) }?)
    }
}

/// A NumPy array on the tensor's memory (`t.numpy()`), which cannot be resized any more.
///
/// # Errors
/// `RuntimeError` for GPU tensors and CharTensor (T-87, E-84).
pub fn numpy<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyAny>> {
    sharable("numpy", tensor)?;
    tensor.fix();
    as_ndarray(py, tensor)
}

fn sharable(op: &str, tensor: &Tensor) -> crate::error::Result<()> {
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
    static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let asarray = ASARRAY.import(py, "numpy", "asarray")?;
    asarray.call1((Export::new(py, tensor)?,))
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
    let host = on_host(tensor)?;
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
        return array.call_method1("astype", (dtype,));
    }
    if copy == Some(true) && !moved {
        return array.call_method0("copy");
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
        return Ok(Wrapped::Other(array.call_method0("item")?.unbind()));
    }
    let dtype = match seen.buffer.format().to_bytes() {
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

/// The elements of a tensor for the buffer protocol.
#[pyclass(frozen, name = "Memory", module = "rgrad._C")]
pub struct Export {
    tensor: Tensor,
    shape: Box<[isize]>,
    /// In bytes.
    strides: Box<[isize]>,
}

impl Export {
    fn new<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, Export>> {
        let width = tensor.dtype().bytes() as isize;
        let mut shape: Box<[isize]> = tensor.sizes().iter().map(|&n| n as isize).collect();
        let mut strides: Box<[isize]> = tensor
            .strides()
            .iter()
            .map(|&s| s as isize * width)
            .collect();
        if shape.is_empty() {
            (shape, strides) = (Box::new([0]), Box::new([width]));
        }
        let tensor = tensor.clone();
        Bound::new(
            py,
            Export {
                tensor,
                shape,
                strides,
            },
        )
    }

    fn format(&self) -> &'static CStr {
        match self.tensor.dtype() {
            DType::U8 => c"B",
            DType::I8 => c"b",
            DType::I16 => c"h",
            DType::I32 => c"i",
            // NumPy's int64 is the C long where that has eight bytes.
            DType::I64 if size_of::<std::ffi::c_long>() == 8 => c"l",
            DType::I64 => c"q",
            DType::F32 => c"f",
            DType::F64 => c"d",
        }
    }

    /// Whether elements follow each other with the first dimension fastest.
    fn is_column_major(&self) -> bool {
        let mut expected = self.tensor.dtype().bytes() as isize;
        self.shape
            .iter()
            .zip(&self.strides)
            .all(|(&size, &stride)| {
                let fits = size == 1 || stride == expected;
                expected *= size;
                fits
            })
    }

    /// Fails when the one who asks could not walk these elements.
    fn check(&self, flags: c_int) -> PyResult<()> {
        let asked = |flag: c_int| flags & flag == flag;
        let rows = self.tensor.is_contiguous() || self.tensor.numel() == 0;
        let columns = self.is_column_major();
        let fits = (rows || asked(ffi::PyBUF_STRIDES) && !asked(ffi::PyBUF_C_CONTIGUOUS))
            && (columns || !asked(ffi::PyBUF_F_CONTIGUOUS))
            && (rows || columns || !asked(ffi::PyBUF_ANY_CONTIGUOUS));
        if fits {
            return Ok(());
        }
        Err(PyBufferError::new_err(
            "buffer: the tensor is not contiguous as asked for; call contiguous() first",
        ))
    }
}

#[pymethods]
impl Export {
    /// # Safety
    /// Python calls it, with a `view` to be filled.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("buffer: there is no view to fill"));
        }
        let this = slf.get();
        let asked = |flag: c_int| flags & flag == flag;
        let checked = this.check(flags);
        let mut buf: *mut c_void = this.tensor.ptr().cast();
        if buf.is_null() {
            // An empty tensor; the protocol has no null.
            buf = ptr::NonNull::<u64>::dangling().as_ptr().cast();
        }
        // SAFETY: `view` is Python's to fill and not null. Memory, shape and strides belong to
        // `slf`, which the view holds as its `obj`; nobody writes them after `new`.
        unsafe {
            (*view).obj = ptr::null_mut();
            checked?;
            (*view).buf = buf;
            (*view).len = (this.tensor.numel() * this.tensor.dtype().bytes()) as isize;
            (*view).readonly = 0;
            (*view).itemsize = this.tensor.dtype().bytes() as isize;
            (*view).format = ptr::null_mut();
            if asked(ffi::PyBUF_FORMAT) {
                (*view).format = this.format().as_ptr().cast_mut();
            }
            (*view).ndim = this.shape.len() as c_int;
            (*view).shape = ptr::null_mut();
            if asked(ffi::PyBUF_ND) {
                (*view).shape = this.shape.as_ptr().cast_mut();
            }
            (*view).strides = ptr::null_mut();
            if asked(ffi::PyBUF_STRIDES) {
                (*view).strides = this.strides.as_ptr().cast_mut();
            }
            (*view).suboffsets = ptr::null_mut();
            (*view).internal = ptr::null_mut();
            (*view).obj = slf.into_ptr();
        }
        Ok(())
    }
}

/// `__getbuffer__` of a tensor class: hands the request on to an [`Export`], which the view then
/// holds; there is nothing to release.
///
/// # Safety
/// `view` must be the one that Python handed to `__getbuffer__`.
pub unsafe fn getbuffer(
    py: Python<'_>,
    tensor: &Tensor,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    if tensor.device() == Device::Gpu {
        return Err(PyBufferError::new_err(
            "buffer: the tensor is in the memory of the GPU; use .cpu() first",
        ));
    }
    let export = Export::new(py, tensor)?;
    // SAFETY: `export` has the protocol, and `view` is the caller's promise.
    if unsafe { ffi::PyObject_GetBuffer(export.as_ptr(), view, flags) } < 0 {
        return Err(PyErr::fetch(py));
    }
    tensor.fix();
    Ok(())
}
