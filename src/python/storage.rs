//! Storages: the memory of tensors as Python sees it, one dimension, with a class for each element
//! type and place. What makes them is in [`super::storages`].

use super::call::Side;
use super::construct::{self, type_name};
use super::creation;
use super::errors::run;
use super::number::{self, int_of, number};
use super::shared;
use super::storages::{kind_of, wrap};
use crate::lock::plain::Mutex;
use crate::ops::copy::{contiguous_copy, copy_into, fill_with};
use crate::ops::device;
use crate::python::callback;
use crate::tensor::{DType, Device, Scalar, Tensor, class_name};
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySlice, PyString, PyTuple, PyWeakrefReference};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What all storage classes share.
#[pyclass(name = "_StorageBase", module = "torch", subclass, weakref, frozen)]
pub struct PyStorage {
    /// Who owns the memory; every tensor on it has the same one.
    root: Tensor,
    number: u64,
}

/// The object of each storage that has one, by the address of its root, with the object's number:
/// a pickle that meets a storage twice must see one object (T-44).
static OBJECTS: Mutex<Option<HashMap<usize, Object>>> = Mutex::new(None);

type Object = (u64, Py<PyWeakrefReference>);

impl Drop for PyStorage {
    fn drop(&mut self) {
        let address = self.root.address();
        let mut objects = OBJECTS.lock();
        let entry = objects.as_mut().and_then(|all| all.get(&address));
        let dead = match entry {
            Some((number, _)) if *number == self.number => {
                objects.as_mut().and_then(|all| all.remove(&address))
            }
            _ => None,
        };
        drop(objects);
        drop(dead);
    }
}

/// The object for the storage of `tensor`: the one it has, or a fresh one.
pub fn storage_of(py: Python<'_>, tensor: &Tensor) -> PyResult<Py<PyAny>> {
    let address = tensor.memory_root().address();
    let known = OBJECTS
        .lock()
        .as_ref()
        .and_then(|all| all.get(&address))
        .map(|(_, object)| object.clone_ref(py));
    if let Some(object) = known.and_then(|o| o.bind(py).upgrade()) {
        return Ok(object.unbind());
    }
    wrap(py, tensor)
}

/// The storage that `object` is, if it is one.
pub fn storage(object: &Bound<'_, PyAny>) -> Option<Tensor> {
    object
        .cast::<PyStorage>()
        .ok()
        .map(|s| s.get().root.clone())
}

/// `torch.FloatStorage`.
pub fn storage_name(dtype: DType, device: Device) -> String {
    class_name(dtype, device).replace("Tensor", "Storage")
}

impl PyStorage {
    /// An object around the storage of `tensor`.
    pub fn around(tensor: &Tensor) -> PyStorage {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        PyStorage {
            root: tensor.memory_root().clone(),
            number: NUMBER.fetch_add(1, Relaxed),
        }
    }

    /// Remembers the object, so that the storage is not wrapped twice.
    pub fn note(object: &Bound<'_, PyStorage>) -> PyResult<()> {
        let me = object.get();
        let weak = PyWeakrefReference::new(object.as_any())?.unbind();
        let mut objects = OBJECTS.lock();
        let all = objects.get_or_insert_default();
        let old = all.insert(me.root.address(), (me.number, weak));
        drop(objects);
        drop(old);
        Ok(())
    }

    /// The storage.
    pub fn tensor(&self) -> &Tensor {
        &self.root
    }

    fn name(&self) -> String {
        storage_name(self.root.dtype(), self.root.device())
    }

    fn flat(&self) -> PyResult<Tensor> {
        Ok(self.root.flat()?)
    }

    /// The place of an element, negative ones counted from the end.
    fn place(&self, index: i64) -> PyResult<i64> {
        let length = self.root.storage_len() as i64;
        if index < -length || index >= length {
            return Err(PyIndexError::new_err(format!(
                "{}: index {index} is out of range for a storage of {length} elements",
                self.name()
            )));
        }
        Ok(if index < 0 { index + length } else { index })
    }

    /// First element and count of a slice.
    fn run_of(&self, slice: &Bound<'_, PySlice>) -> PyResult<(i64, i64)> {
        let found = slice.indices(self.root.storage_len() as isize)?;
        if found.step != 1 {
            return Err(PyRuntimeError::new_err(format!(
                "{}: slices of storages have step 1; got a step of {}",
                self.name(),
                found.step
            )));
        }
        Ok((found.start as i64, found.slicelength as i64))
    }

    fn element(&self, value: &Bound<'_, PyAny>) -> PyResult<Scalar> {
        match number(&self.name(), value)? {
            Some(Scalar::Float(_)) if !self.root.dtype().is_float() => {}
            Some(value) => return Ok(value),
            None => {}
        }
        Err(PyRuntimeError::new_err(format!(
            "{}: can only hold {} numbers; got {}",
            self.name(),
            if self.root.dtype().is_float() {
                "int and float"
            } else {
                "int"
            },
            type_name(value)
        )))
    }

    fn cast_to(slf: &Bound<'_, Self>, (dtype, device): (DType, Device)) -> PyResult<Py<PyAny>> {
        let me = slf.get();
        if me.root.kind() == (dtype, device) {
            return Ok(slf.clone().into_any().unbind());
        }
        creation::check_gpu("cuda", device)?;
        let flat = me.flat()?;
        let made = run(|| {
            let made = device::empty("type", dtype, device, flat.sizes())?;
            copy_into(&made, &flat)?;
            Ok(made)
        })?;
        wrap(slf.py(), &made)
    }
}

#[pymethods]
impl PyStorage {
    fn __len__(&self) -> usize {
        self.root.storage_len()
    }

    fn size(&self) -> usize {
        self.root.storage_len()
    }

    fn element_size(&self) -> usize {
        self.root.dtype().bytes()
    }

    fn data_ptr(&self) -> usize {
        self.root.ptr() as usize
    }

    /// A number for the storage, its own as long as it lives.
    #[getter]
    fn _cdata(&self) -> usize {
        self.root.address()
    }

    #[getter]
    fn is_cuda(&self) -> bool {
        self.root.device() == Device::Gpu
    }

    fn get_device(&self) -> PyResult<usize> {
        super::query::device_number(&self.root)
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let (start, length) = self.run_of(slice)?;
            return wrap(py, &self.root.part(start as usize, length as usize)?);
        }
        let Some(index) = int_of(Side::Variables, "storage", index)? else {
            return Err(PyTypeError::new_err(format!(
                "{}: an index is an int or a slice; got {}",
                self.name(),
                type_name(index)
            )));
        };
        let place = self.place(index)?;
        number::number_object(py, number::scalar_at(&self.flat()?, place)?)
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (start, length) = match index.cast::<PySlice>() {
            Ok(slice) => self.run_of(slice)?,
            Err(_) => match int_of(Side::Variables, "storage", index)? {
                Some(index) => (self.place(index)?, 1),
                None => {
                    return Err(PyTypeError::new_err(format!(
                        "{}: an index is an int or a slice; got {}",
                        self.name(),
                        type_name(index)
                    )));
                }
            },
        };
        let value = self.element(value)?;
        if length > 0 {
            run(|| fill_with(&self.root.flat()?.narrow(0, start, length)?, value))?;
        }
        Ok(())
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.list(py)?.bind(py).try_iter()?.into_any().unbind())
    }

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        super::query::backwards(slf.as_any())
    }

    #[pyo3(name = "tolist")]
    fn list(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(construct::to_list(py, &self.flat()?)?.into_any().unbind())
    }

    fn fill_<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let me = slf.get();
        let value = me.element(value)?;
        run(|| fill_with(&me.root.flat()?, value))?;
        Ok(slf.clone())
    }

    /// Copies the elements of a storage of any class and the same size.
    #[pyo3(signature = (source, r#async=false))]
    fn copy_<'py>(
        slf: &Bound<'py, Self>,
        source: &Bound<'py, PyAny>,
        r#async: bool,
    ) -> PyResult<Bound<'py, Self>> {
        let _ = r#async;
        let me = slf.get();
        let Some(source) = storage(source) else {
            return Err(PyTypeError::new_err(format!(
                "{}.copy_: needs a storage; got {}",
                me.name(),
                type_name(source)
            )));
        };
        if source.storage_len() != me.root.storage_len() {
            return Err(PyRuntimeError::new_err(format!(
                "{}.copy_: both storages must have one size; got {} elements for {}",
                me.name(),
                source.storage_len(),
                me.root.storage_len()
            )));
        }
        run(|| copy_into(&me.root.flat()?, &source.flat()?))?;
        Ok(slf.clone())
    }

    /// Changes the number of elements; those that stay keep their values.
    fn resize_<'py>(
        slf: &Bound<'py, Self>,
        new_size: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let me = slf.get();
        let count = int_of(Side::Tensors, "resize_", new_size)?;
        let Some(count) = count.filter(|n| *n >= 0) else {
            return Err(PyTypeError::new_err(format!(
                "{}.resize_: needs a number of elements; got {}",
                me.name(),
                new_size.repr()?
            )));
        };
        run(|| device::resize_storage("resize_", &me.root, count as usize))?;
        Ok(slf.clone())
    }

    fn clone(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        wrap(py, &run(|| contiguous_copy(&self.root.flat()?))?)
    }

    /// A new storage of the same class, built as the class builds it.
    #[pyo3(name = "new", signature = (*args, **kwargs))]
    fn of_same_class<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        callback::call_with(&slf.get_type(), args, kwargs)
    }

    #[pyo3(name = "r#type", signature = (new_type=None, r#async=false))]
    fn type_(
        slf: &Bound<'_, Self>,
        new_type: Option<&Bound<'_, PyAny>>,
        r#async: bool,
    ) -> PyResult<Py<PyAny>> {
        let _ = r#async;
        match new_type {
            None => Ok(PyString::new(slf.py(), &slf.get().name())
                .into_any()
                .unbind()),
            Some(what) => Self::cast_to(slf, kind_of(what)?),
        }
    }

    #[pyo3(signature = (device=None, r#async=false))]
    fn cuda(
        slf: &Bound<'_, Self>,
        device: Option<&Bound<'_, PyAny>>,
        r#async: bool,
    ) -> PyResult<Py<PyAny>> {
        let _ = r#async;
        creation::check_device(device)?;
        Self::cast_to(slf, (slf.get().root.dtype(), Device::Gpu))
    }

    fn cpu(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::cast_to(slf, (slf.get().root.dtype(), Device::Cpu))
    }

    fn is_shared(&self) -> bool {
        self.root.device() == Device::Gpu || self.root.is_shared()
    }

    /// Moves the elements to memory that other processes can have too. They keep their size, and must
    /// be nobody else's: of a NumPy array's or a file's, share the clone().
    fn share_memory_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        shared::share(slf.py(), "share_memory_", &slf.get().root)?;
        Ok(slf.clone())
    }

    fn is_pinned(&self) -> bool {
        false
    }

    fn pin_memory(&self) -> PyResult<()> {
        Err(super::query::no_pinned_memory())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut lines = Vec::new();
        for item in self.list(py)?.bind(py).try_iter()? {
            lines.push(item?.str()?.to_string());
        }
        Ok(format!(
            " {}\n[{} of size {}]",
            lines.join("\n "),
            self.name(),
            lines.len()
        ))
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        Ok(super::query::html(&self.__repr__(py)?))
    }

    fn __sizeof__(&self) -> usize {
        size_of::<PyStorage>() + self.root.storage_len() * self.root.dtype().bytes()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let utils = slf.py().import("rgrad._utils")?;
        callback::call_method(&utils, "_reduce_storage", (slf,))
    }

    fn __deepcopy__(slf: &Bound<'_, Self>, memo: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        copied(slf.py(), &slf.get().root, memo)
    }
}

/// A copy of the storage of `tensor`; one for all who ask with the same memo (T-44).
pub fn copied(py: Python<'_>, tensor: &Tensor, memo: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
    let storages = match memo.get_item("torch")? {
        Some(found) => found.cast_into::<PyDict>()?,
        None => {
            let fresh = PyDict::new(py);
            memo.set_item("torch", &fresh)?;
            fresh
        }
    };
    let key = tensor.memory_root().address();
    if let Some(done) = storages.get_item(key)? {
        return Ok(done.unbind());
    }
    let copy = wrap(py, &run(|| contiguous_copy(&tensor.flat()?))?)?;
    storages.set_item(key, &copy)?;
    // The address is the storage's own only as long as somebody holds it.
    storages.set_item((key, "held"), storage_of(py, tensor)?)?;
    Ok(copy)
}

macro_rules! casts {
    ($($method:ident $dtype:ident),*) => {
        #[pymethods]
        impl PyStorage {
            $(
                #[pyo3(signature = ())]
                fn $method(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
                    let device = slf.get().root.device();
                    Self::cast_to(slf, (DType::$dtype, device))
                }
            )*
        }
    };
}

casts!(byte U8, char I8, short I16, int I32, long I64, half F16, float F32, double F64);

/// Whether `obj` is a storage.
#[pyfunction]
pub fn is_storage(obj: &Bound<'_, PyAny>) -> bool {
    obj.cast::<PyStorage>().is_ok()
}
