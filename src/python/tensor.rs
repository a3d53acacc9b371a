//! Raw tensors: what all classes share. Methods of ops come from the table.

use super::call::Operand;
use super::classes::{self, kind_of};
use super::errors::run;
use super::{construct, dlpack, indexing, number, numpy};
use crate::ops::copy::{as_contiguous, contiguous_copy, copy_into};
use crate::tensor::{Device, Dims, Held, Tensor, class_name, dims, sizes_text};
use parking_lot::Mutex;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::sync::OnceLock;

/// What all tensor classes share.
#[pyclass(name = "_TensorBase", module = "torch", subclass, weakref, frozen)]
pub struct PyTensor {
    held: Mutex<Held>,
}

static SIZE_CLASS: OnceLock<Py<PyAny>> = OnceLock::new();

/// `torch.Size` of these sizes.
pub fn size_object(py: Python<'_>, sizes: &[i64]) -> PyResult<Py<PyAny>> {
    let tuple = PyTuple::new(py, sizes)?;
    match SIZE_CLASS.get() {
        Some(class) => class.call1(py, (tuple,)),
        None => Ok(tuple.into_any().unbind()),
    }
}

/// Whether `obj` is a `torch.Size`, which stands for sizes where a tuple stands for values.
pub fn is_size(obj: &Bound<'_, PyAny>) -> bool {
    SIZE_CLASS
        .get()
        .is_some_and(|class| obj.get_type().is(class.bind(obj.py())))
}

/// Takes the class that `torch.Size` is.
#[pyfunction]
pub fn _set_size_class(class: Py<PyAny>) {
    let _ = SIZE_CLASS.set(class);
}

impl PyTensor {
    /// An object around `held`.
    pub fn around(held: impl Into<Held>) -> PyTensor {
        PyTensor {
            held: Mutex::new(held.into()),
        }
    }

    /// The tensor as it is now.
    #[inline(always)]
    pub fn tensor(&self) -> Tensor {
        self.held.lock().get()
    }

    /// A second owner of the place, for a Variable.
    pub fn share(&self) -> Held {
        self.held.lock().share()
    }

    /// Puts another tensor in place, for all who share it.
    pub fn set(&self, tensor: Tensor) {
        self.held.lock().set(tensor);
    }

    /// Becomes a tensor of `sizes`, keeping elements in storage order (T-41).
    pub fn resize(&self, sizes: &[i64]) -> PyResult<()> {
        let tensor = self.tensor();
        let resized = run(|| {
            let count = dims::count("resize_", sizes)?;
            if count == tensor.numel() && tensor.is_contiguous() {
                return tensor.view(sizes);
            }
            let layout = crate::tensor::Layout {
                offset: tensor.offset(),
                ..crate::tensor::Layout::row_major(sizes)
            };
            let wanted = tensor.offset() + count;
            if wanted <= tensor.storage_len() {
                return tensor.with_layout(layout);
            }
            if tensor.grows_in_place() {
                tensor.grow("resize_", wanted)?;
                return tensor.with_layout(layout);
            }
            if !tensor.is_resizable() {
                tensor.grow("resize_", wanted)?;
            }
            let fresh =
                crate::ops::device::zeros("resize_", tensor.dtype(), tensor.device(), sizes)?;
            let kept = tensor.numel().min(count) as i64;
            if kept > 0 {
                let old = as_contiguous(&tensor)?
                    .view(&[tensor.numel() as i64])?
                    .narrow(0, 0, kept)?;
                copy_into(&fresh.view(&[count as i64])?.narrow(0, 0, kept)?, &old)?;
            }
            Ok(fresh)
        })?;
        self.set(resized);
        Ok(())
    }

    /// Takes the size and elements of a result (`out=`).
    pub fn take_result(&self, op: &str, result: &Tensor) -> PyResult<()> {
        let have = self.tensor();
        if have.sizes() != result.sizes() {
            if !have.is_resizable() {
                return Err(PyRuntimeError::new_err(format!(
                    "{op}: out= has size {}, the result {}, and its storage is not resizable; give a tensor of the result's size",
                    sizes_text(have.sizes()),
                    sizes_text(result.sizes())
                )));
            }
            self.resize(result.sizes())?;
        }
        run(|| copy_into(&self.tensor(), result))
    }
}

/// `obj` as a raw tensor.
pub fn raw(op: &str, obj: &Bound<'_, PyAny>) -> PyResult<Tensor> {
    match obj.cast::<PyTensor>() {
        Ok(t) => Ok(t.get().tensor()),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{op}: needs a tensor; got {}",
            obj.get_type().name()?
        ))),
    }
}

#[pymethods]
impl PyTensor {
    #[pyo3(signature = (dim=None))]
    fn size(&self, py: Python<'_>, dim: Option<i64>) -> PyResult<Py<PyAny>> {
        let t = self.tensor();
        match dim {
            None => size_object(py, t.sizes()),
            Some(d) => Ok(t.sizes()[dims::wrap_dim("size", d, t.ndim())?]
                .into_pyobject(py)?
                .into_any()
                .unbind()),
        }
    }

    #[getter]
    fn shape(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        size_object(py, self.tensor().sizes())
    }

    #[pyo3(signature = (dim=None))]
    fn stride(&self, py: Python<'_>, dim: Option<i64>) -> PyResult<Py<PyAny>> {
        let t = self.tensor();
        match dim {
            None => Ok(PyTuple::new(py, t.strides())?.into_any().unbind()),
            Some(d) => Ok(t.strides()[dims::wrap_dim("stride", d, t.ndim())?]
                .into_pyobject(py)?
                .into_any()
                .unbind()),
        }
    }

    fn dim(&self) -> usize {
        self.tensor().ndim()
    }

    fn ndimension(&self) -> usize {
        self.tensor().ndim()
    }

    fn numel(&self) -> usize {
        self.tensor().numel()
    }

    fn nelement(&self) -> usize {
        self.tensor().numel()
    }

    fn storage_offset(&self) -> usize {
        self.tensor().offset()
    }

    fn element_size(&self) -> usize {
        self.tensor().dtype().bytes()
    }

    fn data_ptr(&self) -> usize {
        self.tensor().ptr() as usize
    }

    fn is_contiguous(&self) -> bool {
        self.tensor().is_contiguous()
    }

    fn is_signed(&self) -> bool {
        self.tensor().dtype() != crate::tensor::DType::U8
    }

    fn is_pinned(&self) -> bool {
        false
    }

    fn is_same_size(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(raw("is_same_size", other)?.sizes() == self.tensor().sizes())
    }

    fn is_set_to(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (a, b) = (self.tensor(), raw("is_set_to", other)?);
        Ok(a.shares_memory(&b)
            && a.offset() == b.offset()
            && a.sizes() == b.sizes()
            && a.strides() == b.strides())
    }

    #[getter]
    fn is_cuda(&self) -> bool {
        self.tensor().device() == Device::Gpu
    }

    fn get_device(&self) -> PyResult<usize> {
        match self.tensor().device() {
            Device::Gpu => Ok(0),
            Device::Cpu => Err(PyRuntimeError::new_err(
                "get_device: this tensor is on the CPU; only cuda tensors have a device",
            )),
        }
    }

    fn __len__(&self) -> usize {
        self.tensor().sizes().first().copied().unwrap_or(0) as usize
    }

    fn __bool__(&self) -> PyResult<bool> {
        match self.tensor().numel() {
            0 => Ok(false),
            n => Err(PyRuntimeError::new_err(format!(
                "bool value of a tensor with {n} elements is ambiguous; compare one element, or use (x != 0).any()"
            ))),
        }
    }

    fn __float__(&self) -> PyResult<f64> {
        Ok(self.only("float")?.f64())
    }

    fn __int__(&self) -> PyResult<i64> {
        Ok(self.only("int")?.to::<i64>())
    }

    fn __hash__(slf: &Bound<'_, Self>) -> usize {
        slf.as_ptr() as usize >> 4
    }

    fn __repr__(&self) -> PyResult<String> {
        super::creation::text_of(&self.tensor())
    }

    fn __str__(&self) -> PyResult<String> {
        super::creation::text_of(&self.tensor())
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        indexing::raw_get(py, &self.tensor(), index)
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        indexing::raw_set(&self.tensor(), index, value)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let t = slf.get().tensor();
        let n = t.sizes().first().copied().unwrap_or(0);
        let items: PyResult<Vec<Py<PyAny>>> = (0..n)
            .map(|i| {
                if t.ndim() == 1 {
                    number::number_object(py, number::scalar_at(&t, i)?)
                } else {
                    classes::wrap(py, t.select(0, i)?)
                }
            })
            .collect();
        Ok(PyTuple::new(py, items?)?.try_iter()?.into_any().unbind())
    }

    #[pyo3(name = "r#type", signature = (new_type=None, r#async=false))]
    fn type_(
        slf: &Bound<'_, Self>,
        new_type: Option<&Bound<'_, PyAny>>,
        r#async: bool,
    ) -> PyResult<Py<PyAny>> {
        let _ = r#async;
        let t = slf.get().tensor();
        match new_type {
            None => Ok(PyString::new(slf.py(), &class_name(t.dtype(), t.device()))
                .into_any()
                .unbind()),
            Some(what) => Self::cast_to(slf, kind_of(what)?),
        }
    }

    fn type_as(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match Operand::of(other) {
            Some(o) => Self::cast_to(slf, o.tensor().kind()),
            None => Err(PyTypeError::new_err("type_as: needs a tensor")),
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
        Self::cast_to(slf, (slf.get().tensor().dtype(), Device::Gpu))
    }

    fn cpu(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::cast_to(slf, (slf.get().tensor().dtype(), Device::Cpu))
    }

    fn contiguous(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let t = slf.get().tensor();
        if t.is_contiguous() {
            return Ok(slf.clone().into_any().unbind());
        }
        classes::wrap(slf.py(), run(|| contiguous_copy(&t))?)
    }

    #[pyo3(signature = (source, r#async=false, broadcast=true))]
    fn copy_<'py>(
        slf: &Bound<'py, Self>,
        source: &Bound<'py, PyAny>,
        r#async: bool,
        broadcast: bool,
    ) -> PyResult<Bound<'py, Self>> {
        let _ = r#async;
        let (to, from) = (slf.get().tensor(), raw("copy_", source)?);
        let from = super::call::for_copy(&to, &from, broadcast)?;
        slf.py().detach(|| {
            run(|| {
                crate::ops::apply::refuse_repeats("copy_", &to)?;
                copy_into(&to, &from)
            })
        })?;
        Ok(slf.clone())
    }

    #[pyo3(signature = (*sizes))]
    fn resize_<'py>(
        slf: &Bound<'py, Self>,
        sizes: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, Self>> {
        let sizes = construct::cut_at_zero(construct::sizes_from_args("resize_", sizes)?);
        slf.get().resize(&sizes)?;
        Ok(slf.clone())
    }

    fn resize_as_<'py>(
        slf: &Bound<'py, Self>,
        template: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let sizes = Dims::from_slice(raw("resize_as_", template)?.sizes());
        slf.get().resize(&sizes)?;
        Ok(slf.clone())
    }

    fn set_<'py>(slf: &Bound<'py, Self>, source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let tensor = raw("set_", source)?;
        crate::tensor::dtype::same("set_", slf.get().tensor().kind(), tensor.kind())?;
        slf.get().set(tensor.alias());
        Ok(slf.clone())
    }

    /// A new tensor of the same class, built as the class builds it.
    #[pyo3(name = "new", signature = (*args, **kwargs))]
    fn of_same_class(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let (dtype, device) = slf.get().tensor().kind();
        let tensor = super::creation::construct(dtype, device, args, kwargs)?;
        classes::wrap_held(slf.py(), tensor)
    }

    fn expand_as(&self, py: Python<'_>, tensor: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        classes::wrap(py, self.tensor().expand(raw("expand_as", tensor)?.sizes())?)
    }

    fn view_as(&self, py: Python<'_>, tensor: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        classes::wrap(py, self.tensor().view(raw("view_as", tensor)?.sizes())?)
    }

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
        match numpy::array_wrap(array)? {
            numpy::Wrapped::Tensor(tensor) => classes::wrap(py, tensor),
            numpy::Wrapped::Other(object) => Ok(object),
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

    fn tolist(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let t = run(|| crate::ops::device::to_cpu(&self.tensor()))?;
        Ok(construct::to_list(py, &t)?.into_any().unbind())
    }

    fn numpy(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Ok(numpy::numpy(slf.py(), &slf.get().tensor())?.unbind())
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__(
        slf: &Bound<'_, Self>,
        dtype: Option<&Bound<'_, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Py<PyAny>> {
        Ok(numpy::as_array(slf.py(), &slf.get().tensor(), dtype, copy)?.unbind())
    }

    #[getter]
    fn data(&self) -> PyResult<()> {
        Err(PyRuntimeError::new_err(
            "data: only Variables have .data; this is a tensor already, so use it as it is",
        ))
    }

    fn all(&self) -> PyResult<bool> {
        self.bytes("all").map(|v| v.iter().all(|&b| b != 0))
    }

    fn any(&self) -> PyResult<bool> {
        self.bytes("any").map(|v| v.iter().any(|&b| b != 0))
    }

    fn equal(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        super::functional::equal(&self.tensor(), &raw("equal", other)?)
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let t = slf.get().tensor();
        let rebuild = py.import("rgrad._C")?.getattr("_rebuild")?;
        let args = (
            class_name(t.dtype(), Device::Cpu),
            t.sizes().to_vec(),
            slf.get().tolist(py)?,
        );
        Ok((rebuild, args).into_pyobject(py)?.into_any().unbind())
    }

    fn __deepcopy__(slf: &Bound<'_, Self>, memo: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        let key = slf.as_ptr() as usize;
        if let Some(done) = memo.get_item(key)? {
            return Ok(done.unbind());
        }
        let t = slf.get().tensor();
        let copy = classes::wrap(slf.py(), run(|| contiguous_copy(&t))?)?;
        memo.set_item(key, &copy)?;
        Ok(copy)
    }
}

impl PyTensor {
    fn cast_to(
        slf: &Bound<'_, Self>,
        (dtype, device): (crate::tensor::DType, Device),
    ) -> PyResult<Py<PyAny>> {
        let t = slf.get().tensor();
        if t.kind() == (dtype, device) {
            return Ok(slf.clone().into_any().unbind());
        }
        super::creation::check_gpu("cuda", device)?;
        let y = slf.py().detach(|| {
            run(|| {
                let y = crate::ops::device::empty("type", dtype, device, t.sizes())?;
                copy_into(&y, &t)?;
                Ok(y)
            })
        })?;
        classes::wrap(slf.py(), y)
    }

    fn only(&self, op: &str) -> PyResult<crate::tensor::Scalar> {
        let t = self.tensor();
        if t.numel() != 1 {
            return Err(PyTypeError::new_err(format!(
                "{op}: only tensors of one element can be converted; this one has size {}",
                sizes_text(t.sizes())
            )));
        }
        number::scalar_at(&t, 0)
    }

    fn bytes(&self, op: &str) -> PyResult<Vec<u8>> {
        bytes_of(op, &self.tensor())
    }
}

/// The elements of a ByteTensor.
pub fn bytes_of(op: &str, t: &Tensor) -> PyResult<Vec<u8>> {
    if t.dtype() != crate::tensor::DType::U8 {
        return Err(PyAttributeError::new_err(format!(
            "{op}: only torch.ByteTensor has it; got {}; compare first, as in (x != 0).{op}()",
            class_name(t.dtype(), t.device())
        )));
    }
    run(|| {
        let flat = as_contiguous(&crate::ops::device::to_cpu(t)?)?;
        Ok((0..flat.numel() as i64)
            .map(|i| flat.read::<u8>(i))
            .collect())
    })
}

macro_rules! casts {
    ($($method:ident $dtype:ident),*) => {
        #[pymethods]
        impl PyTensor {
            $(
                #[pyo3(signature = ())]
                fn $method(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
                    let device = slf.get().tensor().device();
                    Self::cast_to(slf, (crate::tensor::DType::$dtype, device))
                }
            )*
        }
    };
}

casts!(byte U8, char I8, short I16, int I32, long I64, float F32, double F64);

/// A tensor from what `__reduce__` wrote.
#[pyfunction]
pub fn _rebuild(class: &str, sizes: Vec<i64>, values: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let py = values.py();
    let (dtype, _) = kind_of(PyString::new(py, class).as_any())?;
    let flat = if sizes.is_empty() {
        run(|| Tensor::empty("tensor", dtype, &[]))?
    } else {
        construct::from_sequence(class, values, dtype)?
    };
    classes::wrap(py, flat)
}

/// `torch.is_tensor`.
#[pyfunction]
pub fn is_tensor(obj: &Bound<'_, PyAny>) -> bool {
    obj.cast::<PyTensor>().is_ok()
}
