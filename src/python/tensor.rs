//! Raw tensors: what all classes share. Methods of ops come from the table.

use super::classes;
use super::errors::run;
use super::{construct, indexing, number, table};
use crate::lock::plain::Mutex;
use crate::ops::copy::{as_contiguous, contiguous_copy, copy_into};
use crate::python::callback;
use crate::python::interpreter::released;
use crate::tensor::{Held, Tensor, class_name, sizes_text};
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
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
        Some(class) => callback::call(class.bind(py), (tuple,)).map(Bound::unbind),
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
    fn __bool__(&self) -> PyResult<bool> {
        let t = self.tensor();
        match t.numel() {
            0 => Ok(false),
            1 => Ok(number::scalar_at(&t, 0)?.f64() != 0.0),
            n => Err(PyRuntimeError::new_err(format!(
                "bool value of a tensor with {n} elements is ambiguous; compare one element, or use (x != 0).any()"
            ))),
        }
    }

    fn __float__(&self) -> PyResult<f64> {
        Ok(self.only("float")?.f64())
    }

    fn __int__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        number::int_object(py, self.only("int")?)
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

    fn _repr_html_(&self) -> PyResult<String> {
        Ok(super::query::html(&super::creation::text_of(
            &self.tensor(),
        )?))
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        indexing::raw_get(py, &self.tensor(), index)
    }

    /// `self[indices]`; a list is of tensors, one for each dimension.
    fn index(&self, py: Python<'_>, indices: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        indexing::raw_get(py, &self.tensor(), &indexing::together(indices)?)
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        indexing::raw_set(&self.tensor(), index, value)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let t = slf.get().tensor();
        let n = t.sizes().first().copied().unwrap_or(0);
        let items = table::list(py, n as usize, |i| {
            let i = i as i64;
            let item = match t.ndim() {
                1 => number::number_object(py, number::scalar_at(&t, i * t.strides()[0])?)?,
                _ => classes::wrap(py, t.select(0, i)?)?,
            };
            Ok(item.into_bound(py))
        })?;
        Ok(items.try_iter()?.into_any().unbind())
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
        released(slf.py(), || {
            run(|| {
                crate::ops::in_place::refuse_repeats("copy_", &to)?;
                copy_into(&to, &from)
            })
        })?;
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

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        super::query::backwards(slf.as_any())
    }

    fn tolist(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let t = run(|| crate::ops::device::to_cpu(&self.tensor()))?;
        Ok(construct::to_list(py, &t)?.into_any().unbind())
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
}

impl PyTensor {
    /// The other operand of a query.
    fn peer(op: &str, other: &Bound<'_, PyAny>) -> PyResult<Tensor> {
        raw(op, other)
    }

    fn only(&self, op: &str) -> PyResult<crate::tensor::Scalar> {
        let t = self.tensor();
        if t.numel() != 1 {
            return Err(PyTypeError::new_err(format!(
                "{op}: only tensors of one element can be converted; this one has size {}; take one of them by index, or sum() them",
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

super::query::queries!(PyTensor, Tensors, me => me.tensor());

/// `torch.is_tensor`.
#[pyfunction]
pub fn is_tensor(obj: &Bound<'_, PyAny>) -> bool {
    obj.cast::<PyTensor>().is_ok()
}
