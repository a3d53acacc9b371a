//! Memory shared with others: the buffer protocol, which is how NumPy sees it, and DLPack (T-90).
//!
//! Who looks at memory holds its owner: a tensor over an array holds a memoryview of it, an array
//! over a tensor holds an [`Export`], which holds the elements and not the Python object, because
//! that can be given other elements at any time.

use super::tensor::PyTensor;
use crate::fail;
use crate::lock::plain::Mutex;
use crate::ops::copy::contiguous_copy;
use crate::python::callback;
use crate::tensor::{DType, Device, Dims, Element, Layout, Tensor};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyMemoryView};
use std::collections::BTreeMap;
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

/// An array's memory, seen through the buffer protocol, which keeps it where it is.
pub struct Seen<'py> {
    /// What a tensor holds: a Python object, so that it can be dropped on any thread without
    /// waiting for the interpreter.
    view: Bound<'py, PyMemoryView>,
    buffer: PyUntypedBuffer,
}

impl<'py> Seen<'py> {
    /// `None` for element types that the protocol cannot name, as dates. A zero-dimensional array
    /// is seen with one dimension.
    pub fn new(array: &Bound<'py, PyAny>) -> PyResult<Option<Seen<'py>>> {
        let view = match PyMemoryView::from(array) {
            Ok(view) => view,
            Err(e) if e.is_instance_of::<PyValueError>(array.py()) => return Ok(None),
            Err(e) => return Err(e),
        };
        let view = match view.getattr("ndim")?.extract()? {
            0 => PyMemoryView::from(&callback::call_method(array, "reshape", (1,))?)?,
            _ => view,
        };
        let buffer = PyUntypedBuffer::get(&view)?;
        Ok(Some(Seen { view, buffer }))
    }

    /// Sizes as they are.
    pub fn shape(&self) -> &[usize] {
        self.buffer.shape()
    }

    /// The element type in the words of the protocol.
    pub fn format(&self) -> &[u8] {
        self.buffer.format().to_bytes()
    }

    /// The element type, and whether its bytes are in the machine's order.
    pub fn dtype(&self) -> Option<(DType, bool)> {
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
            (b'e', 2) => DType::F16,
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
    pub fn sizes(&self, op: &str, array: &Bound<'_, PyAny>) -> PyResult<Dims> {
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
        if !(self.buffer.buf_ptr() as usize).is_multiple_of(width as usize) {
            return wrong("elements that are not aligned");
        }
        Ok(strides)
    }

    /// A tensor on this memory, or its copy where writing to it is not possible.
    pub fn share_or_copy(self, op: &str, array: &Bound<'_, PyAny>) -> PyResult<Tensor> {
        let (dtype, native) = self.dtype().expect("the caller looked");
        let sizes = self.sizes(op, array)?;
        let strides = self.strides(op, array)?;
        if self.buffer.suboffsets().is_some() {
            return Err(super::numpy::unsupported(op, array)?);
        }
        if self.buffer.readonly() || !native {
            return super::numpy::copied(op, array, dtype, &sizes);
        }
        let bytes = span(&sizes, &strides)? * dtype.bytes();
        let layout = Layout {
            sizes,
            strides,
            offset: 0,
        };
        let keep = Box::new(self.view.unbind());
        let host = self.buffer.buf_ptr().cast();
        // SAFETY: the buffer promises that all elements its shape and strides reach are valid
        // until the view is given back, which is when `keep` is dropped; it is writable, and
        // `strides` has checked that none is negative and that elements are aligned.
        Ok(unsafe { Tensor::foreign(dtype, layout, host, bytes, keep) }?)
    }
}

/// The elements of a tensor for the buffer protocol.
#[pyclass(frozen, name = "Memory", module = "rgrad._C")]
pub struct Export {
    tensor: Tensor,
    shape: Box<[isize]>,
    /// In bytes.
    strides: Box<[isize]>,
    home: usize,
}

/// How many exports there are of each memory, by its address: it must not move meanwhile.
static EXPORTED: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// Whether an array or another buffer looks at the memory of `tensor`.
pub fn is_exported(tensor: &Tensor) -> bool {
    EXPORTED.lock().contains_key(&tensor.home_address())
}

impl Drop for Export {
    fn drop(&mut self) {
        let mut all = EXPORTED.lock();
        match all.get_mut(&self.home) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.home)),
        }
    }
}

impl Export {
    /// Of a CPU tensor.
    pub fn new<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, Export>> {
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
        let (tensor, home) = (tensor.clone(), tensor.home_address());
        *EXPORTED.lock().entry(home).or_default() += 1;
        Bound::new(
            py,
            Export {
                tensor,
                shape,
                strides,
                home,
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
            DType::F16 => c"e",
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

#[pymethods]
impl PyTensor {
    /// Hands the request on to an [`Export`], which the view then holds; there is nothing to release.
    ///
    /// # Safety
    /// Python calls it, with a `view` to be filled.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let (py, tensor) = (slf.py(), slf.get().tensor());
        if tensor.device() == Device::Gpu {
            if !view.is_null() {
                // SAFETY: `view` is Python's to fill and not null.
                unsafe { (*view).obj = ptr::null_mut() };
            }
            return Err(PyBufferError::new_err(
                "buffer: the tensor is in the memory of the GPU; use .cpu() first",
            ));
        }
        let export = Export::new(py, &tensor)?;
        // SAFETY: `export` has the protocol, and `view` is Python's.
        if unsafe { ffi::PyObject_GetBuffer(export.as_ptr(), view, flags) } < 0 {
            return Err(PyErr::fetch(py));
        }
        tensor.fix();
        Ok(())
    }
}

// DLPack, as its header lays it out.

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct DlTensor {
    pub data: *mut c_void,
    pub device_kind: i32,
    pub device_id: i32,
    pub ndim: i32,
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
    pub shape: *const i64,
    pub strides: *const i64,
    pub byte_offset: u64,
}

#[repr(C)]
pub(super) struct Old {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Old)>,
}

#[repr(C)]
pub(super) struct Versioned {
    major: u32,
    minor: u32,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Versioned)>,
    flags: u64,
    tensor: DlTensor,
}

/// The kind of device that host memory is.
pub(super) const CPU: i32 = 1;
const READ_ONLY: u64 = 1;
const COPIED: u64 = 2;

/// One of the two forms of a managed tensor.
pub(super) trait Managed: Sized + 'static {
    const NAME: &'static CStr;
    const USED: &'static CStr;
    fn new(tensor: DlTensor, copied: bool) -> Self;
    fn tensor(&self) -> DlTensor;
    fn is_read_only(&self) -> bool;
    fn deleter(&self) -> Option<unsafe extern "C" fn(*mut Self)>;
}

impl Managed for Old {
    const NAME: &'static CStr = c"dltensor";
    const USED: &'static CStr = c"used_dltensor";

    fn new(tensor: DlTensor, _copied: bool) -> Old {
        Old {
            tensor,
            context: ptr::null_mut(),
            deleter: Some(delete::<Old>),
        }
    }

    fn tensor(&self) -> DlTensor {
        self.tensor
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn deleter(&self) -> Option<unsafe extern "C" fn(*mut Old)> {
        self.deleter
    }
}

impl Managed for Versioned {
    const NAME: &'static CStr = c"dltensor_versioned";
    const USED: &'static CStr = c"used_dltensor_versioned";

    fn new(tensor: DlTensor, copied: bool) -> Versioned {
        Versioned {
            major: 1,
            minor: 0,
            context: ptr::null_mut(),
            deleter: Some(delete::<Versioned>),
            flags: if copied { COPIED } else { 0 },
            tensor,
        }
    }

    fn tensor(&self) -> DlTensor {
        self.tensor
    }

    fn is_read_only(&self) -> bool {
        self.flags & READ_ONLY != 0
    }

    fn deleter(&self) -> Option<unsafe extern "C" fn(*mut Versioned)> {
        self.deleter
    }
}

/// What we hand out: the part the other side knows first, then the tensor that keeps the memory.
#[repr(C)]
struct Lent<M> {
    managed: M,
    tensor: Tensor,
}

/// # Safety
/// `managed` is the start of a [`Lent`] that `lend` boxed, and is not used afterwards.
unsafe extern "C" fn delete<M: Managed>(managed: *mut M) {
    // SAFETY: as above; only the sizes, strides and elements of the tensor were lent.
    drop(unsafe { Box::from_raw(managed.cast::<Lent<M>>()) });
}

/// # Safety
/// Python calls it with a capsule that `lend` made.
unsafe extern "C" fn forget<M: Managed>(capsule: *mut ffi::PyObject) {
    // SAFETY: whoever took the tensor has renamed the capsule; the name tells whose it is.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, M::NAME.as_ptr()) == 1 {
            delete::<M>(ffi::PyCapsule_GetPointer(capsule, M::NAME.as_ptr()).cast());
        }
    }
}

/// Puts the tensor into a capsule that another library takes.
pub(super) fn lend<M: Managed>(
    py: Python<'_>,
    tensor: Tensor,
    copied: bool,
) -> PyResult<Bound<'_, PyCapsule>> {
    static EMPTY: ([i64; 1], [i64; 1]) = ([0], [1]);
    let dtype = tensor.dtype();
    let (sizes, strides): (&[i64], &[i64]) = match tensor.ndim() {
        0 => (&EMPTY.0, &EMPTY.1),
        _ => (tensor.sizes(), tensor.strides()),
    };
    let described = DlTensor {
        data: tensor.ptr().cast(),
        device_kind: CPU,
        device_id: 0,
        ndim: sizes.len() as i32,
        code: match dtype {
            DType::U8 => 1,
            _ if dtype.is_float() => 2,
            _ => 0,
        },
        bits: 8 * dtype.bytes() as u8,
        lanes: 1,
        shape: sizes.as_ptr(),
        strides: strides.as_ptr(),
        byte_offset: 0,
    };
    let managed = M::new(described, copied);
    let lent = ptr::NonNull::from(Box::leak(Box::new(Lent { managed, tensor })));
    // SAFETY: the pointer is to a leaked box, which `forget` or the taker's call of the deleter
    // gives back, on any thread: a tensor can be dropped anywhere.
    unsafe {
        PyCapsule::new_with_pointer_and_destructor(py, lent.cast(), M::NAME, Some(forget::<M>))
    }
}

/// A managed tensor that we took, given back on drop.
struct Taken<M: Managed>(ptr::NonNull<M>);

// SAFETY: the deleter may be called on any thread, says DLPack.
unsafe impl<M: Managed> Send for Taken<M> {}

impl<M: Managed> Drop for Taken<M> {
    fn drop(&mut self) {
        // SAFETY: the capsule was renamed when this was made, so nobody else gives it back.
        unsafe {
            if let Some(deleter) = self.0.as_ref().deleter() {
                deleter(self.0.as_ptr());
            }
        }
    }
}

/// Whether the capsule holds the form without a version.
pub(super) fn is_old(capsule: &Bound<'_, PyCapsule>) -> bool {
    capsule.is_valid_checked(Some(Old::NAME))
}

/// Whether the capsule holds the form with a version.
pub(super) fn is_versioned(capsule: &Bound<'_, PyCapsule>) -> bool {
    capsule.is_valid_checked(Some(Versioned::NAME))
}

/// Elements from the first to the last that sizes and strides reach.
fn span(sizes: &[i64], strides: &[i64]) -> crate::error::Result<usize> {
    let end = sizes
        .iter()
        .zip(strides)
        .try_fold(1i64, |end, (size, stride)| {
            end.checked_add((size - 1).checked_mul(*stride)?)
        });
    match end {
        // An element has at most eight bytes.
        Some(end) if end <= isize::MAX as i64 / 8 => Ok(end as usize),
        _ => fail!(
            Runtime,
            "sizes {sizes:?} with strides {strides:?} reach further than memory"
        ),
    }
}

/// A tensor on what a capsule holds, which is ours from here on.
pub(super) fn take<M: Managed>(capsule: &Bound<'_, PyCapsule>) -> PyResult<Tensor> {
    let managed = capsule.pointer_checked(Some(M::NAME))?.cast::<M>();
    // SAFETY: the name says that the capsule holds this form; from here on it is ours.
    let (seen, read_only) = unsafe {
        if ffi::PyCapsule_SetName(capsule.as_ptr(), M::USED.as_ptr()) != 0 {
            return Err(PyErr::fetch(capsule.py()));
        }
        (managed.as_ref().tensor(), managed.as_ref().is_read_only())
    };
    let taken = Taken(managed);
    // SAFETY: DLPack promises `ndim` sizes, and strides unless they are null.
    let (sizes, strides) =
        unsafe { (given(seen.shape, seen.ndim), given(seen.strides, seen.ndim)) };
    let (dtype, layout) = super::dlpack::check(&seen, sizes, strides)?;
    if layout.sizes.is_empty() {
        return Ok(Tensor::empty("from_dlpack", dtype, &[])?);
    }
    let host = seen
        .data
        .cast::<u8>()
        .wrapping_add(seen.byte_offset as usize);
    let bytes = span(&layout.sizes, &layout.strides)? * dtype.bytes();
    // Held as a Python object, because deleters wait for the interpreter and drops must not.
    let keep = PyCapsule::new_with_value(capsule.py(), taken, c"rgrad_dltensor")?.unbind();
    // SAFETY: DLPack promises that the elements are valid until the deleter is called, which is
    // when `keep` dies; `check` has checked strides and alignment.
    let tensor = unsafe { Tensor::foreign(dtype, layout, host, bytes, Box::new(keep)) }?;
    Ok(match read_only {
        true => contiguous_copy(&tensor)?,
        false => tensor,
    })
}

/// # Safety
/// `values` is null or points to `count` numbers.
unsafe fn given<'a>(values: *const i64, count: i32) -> Option<&'a [i64]> {
    let count = usize::try_from(count).ok()?;
    // SAFETY: as above.
    (!values.is_null()).then(|| unsafe { std::slice::from_raw_parts(values, count) })
}
