//! The storage classes, and what makes storages: sizes, sequences, other storages, buffers, files.

use super::call::Side;
use super::construct::{self, type_name};
use super::creation::{check_device, check_gpu};
use super::errors::run;
use super::number::{int_of, int_readers};
use super::storage::{PyStorage, storage, storage_name};
use crate::cpu::bytes;
use crate::ops::device;
use crate::python::callback;
use crate::tensor::{DType, Device, Tensor};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

macro_rules! storages {
    ($($name:ident $python:literal $module:literal $dtype:ident $device:ident;)*) => {
        $(
            #[doc = concat!("Memory of tensors of one class, seen as one dimension: ", $module, ".", $python, ".")]
            #[pyclass(extends = PyStorage, name = $python, module = $module, frozen, subclass)]
            pub struct $name;

            #[pymethods]
            impl $name {
                #[new]
                #[pyo3(signature = (*args, **kwargs))]
                fn new(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<PyClassInitializer<$name>> {
                    let made = construct(DType::$dtype, Device::$device, args, kwargs)?;
                    Ok(PyClassInitializer::from(PyStorage::around(&made)).add_subclass($name))
                }

                #[pyo3(signature = (*_args, **_kwargs))]
                fn __init__(
                    slf: &Bound<'_, Self>,
                    _args: &Bound<'_, PyTuple>,
                    _kwargs: Option<&Bound<'_, PyDict>>,
                ) -> PyResult<()> {
                    PyStorage::note(slf.as_super())
                }
            }
        )*

        /// A fresh object for the storage of `tensor`.
        pub fn wrap(py: Python<'_>, tensor: &Tensor) -> PyResult<Py<PyAny>> {
            Ok(match tensor.kind() {
                $((DType::$dtype, Device::$device) => {
                    let made = PyClassInitializer::from(PyStorage::around(tensor)).add_subclass($name);
                    let object = Bound::new(py, made)?;
                    PyStorage::note(object.as_super())?;
                    object.into_any().unbind()
                })*
            })
        }

        fn class_of(py: Python<'_>, kind: (DType, Device)) -> Bound<'_, PyType> {
            match kind {
                $((DType::$dtype, Device::$device) => py.get_type::<$name>(),)*
            }
        }

        /// Adds the classes: those of the CPU by name, those of the GPU as `cuda_` and the name.
        pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
            m.add_class::<PyStorage>()?;
            $(
                let name = if Device::$device == Device::Gpu { concat!("cuda_", $python) } else { $python };
                m.add(name, m.py().get_type::<$name>())?;
            )*
            m.add_function(wrap_pyfunction!(super::storage::is_storage, m)?)
        }
    };
}

storages! {
    ByteStorage "ByteStorage" "torch" U8 Cpu;
    CharStorage "CharStorage" "torch" I8 Cpu;
    ShortStorage "ShortStorage" "torch" I16 Cpu;
    IntStorage "IntStorage" "torch" I32 Cpu;
    LongStorage "LongStorage" "torch" I64 Cpu;
    FloatStorage "FloatStorage" "torch" F32 Cpu;
    DoubleStorage "DoubleStorage" "torch" F64 Cpu;
    HalfStorage "HalfStorage" "torch" F16 Cpu;
    CudaByteStorage "ByteStorage" "torch.cuda" U8 Gpu;
    CudaCharStorage "CharStorage" "torch.cuda" I8 Gpu;
    CudaShortStorage "ShortStorage" "torch.cuda" I16 Gpu;
    CudaIntStorage "IntStorage" "torch.cuda" I32 Gpu;
    CudaLongStorage "LongStorage" "torch.cuda" I64 Gpu;
    CudaFloatStorage "FloatStorage" "torch.cuda" F32 Gpu;
    CudaDoubleStorage "DoubleStorage" "torch.cuda" F64 Gpu;
    CudaHalfStorage "HalfStorage" "torch.cuda" F16 Gpu;
}

fn kinds() -> impl Iterator<Item = (DType, Device)> {
    let places = [Device::Cpu, Device::Gpu];
    DType::EVERY
        .into_iter()
        .flat_map(move |d| places.map(|p| (d, p)))
}

/// The element type and place that a storage class or its name stands for.
pub fn kind_of(what: &Bound<'_, PyAny>) -> PyResult<(DType, Device)> {
    let found = match what.cast::<PyType>() {
        Ok(class) => kinds().find(|kind| {
            let own = class_of(what.py(), *kind);
            class.is_subclass(&own).unwrap_or(false)
        }),
        Err(_) => {
            let name = what.extract::<String>().unwrap_or_default();
            kinds().find(|(dtype, device)| storage_name(*dtype, *device) == name)
        }
    };
    found.ok_or_else(|| {
        let given = what.repr().map_or_else(|_| "?".into(), |r| r.to_string());
        PyTypeError::new_err(format!(
            "{given} is no storage class; give one such as torch.FloatStorage or its name 'torch.FloatStorage'"
        ))
    })
}

/// `FloatStorage(...)` and its kin.
fn construct(
    dtype: DType,
    device: Device,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Tensor> {
    let name = storage_name(dtype, device);
    keywords(&name, device, kwargs)?;
    check_gpu(&name, device)?;
    let fresh = |count: i64| -> PyResult<Tensor> {
        let sizes: &[i64] = if count == 0 { &[] } else { &[count] };
        run(|| device::zeros(&name, dtype, device, sizes))
    };
    let given: Vec<Bound<'_, PyAny>> = args.iter().collect();
    let Some(first) = given.first() else {
        return fresh(0);
    };
    if let Some(other) = storage(first).filter(|s| s.kind() == (dtype, device))
        && given.len() <= 3
    {
        return view(&name, &other, &given[1..]);
    }
    if given.len() == 1 {
        if let Some(count) = int_of(Side::Tensors, &name, first)? {
            return fresh(count);
        }
        if let Some(items) = construct::sequence(first)? {
            let made = construct::from_sequence(&name, items.as_any(), dtype)?;
            if made.ndim() > 1 {
                return Err(PyRuntimeError::new_err(format!(
                    "{name}: the item at [0] has type {}; a storage is made of numbers in one row",
                    type_name(&items.get_item(0)?)
                )));
            }
            return run(|| match device {
                Device::Cpu => Ok(made),
                Device::Gpu => device::to_gpu(&made),
            });
        }
    }
    let got: Vec<String> = given.iter().map(type_name).collect();
    Err(PyTypeError::new_err(format!(
        "{name} received an invalid combination of arguments - got ({}), but expected one of: no arguments or (int size) or (sequence data) or ({name} view_source) or ({name} view_source, int offset) or ({name} view_source, int offset, int size)",
        got.join(", ")
    )))
}

/// Fails for keywords other than the device of a GPU class.
pub fn keywords(name: &str, device: Device, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    let Some(kwargs) = kwargs else { return Ok(()) };
    for (key, value) in kwargs {
        if device == Device::Gpu && key.extract::<String>().is_ok_and(|k| k == "device") {
            check_device(Some(&value))?;
            continue;
        }
        let takes = match device {
            Device::Cpu => "no keyword arguments",
            Device::Gpu => "only the keyword device",
        };
        return Err(PyTypeError::new_err(format!(
            "{name} takes {takes}; got {key}; give sizes, a sequence, a storage or a tensor"
        )));
    }
    Ok(())
}

int_readers! {
    buffer_number = Tensors "from_buffer" "(buffer, str byte_order, int count=-1, int offset=0)";
    file_size = Tensors "from_file" "(str filename, bool shared=False, int size=0)";
}

/// A storage that is a view of another: all of it, or from an offset on.
fn view(name: &str, of: &Tensor, bounds: &[Bound<'_, PyAny>]) -> PyResult<Tensor> {
    let mut numbers = Vec::new();
    for bound in bounds {
        match int_of(Side::Tensors, name, bound)? {
            Some(n) => numbers.push(n),
            None => {
                return Err(PyTypeError::new_err(format!(
                    "{name}: offset and size of a view are ints; got {}",
                    type_name(bound)
                )));
            }
        }
    }
    let have = of.storage_len() as i64;
    let offset = numbers.first().copied().unwrap_or(0);
    if offset < 0 || offset > have {
        return Err(PyRuntimeError::new_err(format!(
            "{name}: a view from element {offset} on begins outside a storage of {have} elements"
        )));
    }
    let size = numbers.get(1).copied().unwrap_or(have - offset);
    if size < 0 || size > have - offset {
        return Err(PyRuntimeError::new_err(format!(
            "{name}: a view of {size} elements from {offset} on reaches outside a storage of {have} elements"
        )));
    }
    Ok(of.part(offset as usize, size as usize)?)
}

#[pymethods]
impl PyStorage {
    /// A storage with a copy of bytes.
    #[classmethod]
    #[pyo3(signature = (buffer, byte_order=None, count=-1, offset=0))]
    fn from_buffer(
        cls: &Bound<'_, PyType>,
        buffer: &Bound<'_, PyAny>,
        byte_order: Option<&str>,
        #[pyo3(from_py_with = buffer_number)] count: i64,
        #[pyo3(from_py_with = buffer_number)] offset: i64,
    ) -> PyResult<Py<PyAny>> {
        let py = cls.py();
        let (dtype, device) = kind_of(cls)?;
        let (name, width) = (storage_name(dtype, device), dtype.bytes());
        let wrong = |text: String| PyValueError::new_err(format!("{name}.from_buffer: {text}"));
        let swap = match byte_order {
            None if width == 1 => false,
            Some("native") => false,
            Some("little") => cfg!(target_endian = "big"),
            Some("big") => cfg!(target_endian = "little"),
            None => {
                return Err(PyTypeError::new_err(format!(
                    "{name}.from_buffer: needs byte_order: 'native', 'little' or 'big'"
                )));
            }
            Some(other) => {
                return Err(wrong(format!(
                    "byte_order is 'native', 'little' or 'big'; got '{other}'"
                )));
            }
        };
        let view = pyo3::types::PyMemoryView::from(buffer).map_err(|_| {
            PyTypeError::new_err(format!(
                "{name}.from_buffer: needs bytes or another object with a buffer; got {}",
                type_name(buffer)
            ))
        })?;
        let all: Vec<u8> = callback::call_method(&view, "tobytes", ())?.extract()?;
        if offset < 0 || offset as usize > all.len() {
            return Err(wrong(format!(
                "the offset {offset} is outside a buffer of {} bytes",
                all.len()
            )));
        }
        let rest = &all[offset as usize..];
        if count < 0 && !rest.len().is_multiple_of(width) {
            return Err(wrong(format!(
                "{} bytes are no whole number of elements of {width} bytes; give count",
                rest.len()
            )));
        }
        let count = match count {
            ..0 => rest.len() / width,
            count => count as usize,
        };
        let Some(taken) = count.checked_mul(width).and_then(|n| rest.get(..n)) else {
            return Err(wrong(format!(
                "the buffer has {} bytes from {offset} on, too few for {count} elements of {width} bytes",
                rest.len()
            )));
        };
        let made = run(|| {
            let made = Tensor::empty(&name, dtype, &[count as i64])?;
            bytes::write(&made, |to| {
                to.copy_from_slice(taken);
                if swap {
                    to.chunks_exact_mut(width).for_each(<[u8]>::reverse);
                }
            });
            match device {
                Device::Cpu => Ok(made),
                Device::Gpu => device::to_gpu(&made),
            }
        })?;
        wrap(py, &made)
    }

    /// A storage on a file: with `shared`, writing to it is writing to the file, which is made and
    /// lengthened as needed; without, changes stay in this process.
    #[classmethod]
    #[pyo3(signature = (filename, shared=false, size=0))]
    fn from_file(
        cls: &Bound<'_, PyType>,
        filename: &Bound<'_, PyAny>,
        shared: bool,
        #[pyo3(from_py_with = file_size)] size: i64,
    ) -> PyResult<Py<PyAny>> {
        let (dtype, device) = kind_of(cls)?;
        let name = storage_name(dtype, device);
        if device == Device::Gpu {
            return Err(PyTypeError::new_err(format!(
                "{name}.from_file: files are mapped on the CPU only; use torch.{}Storage and .cuda()",
                dtype.name()
            )));
        }
        let Ok(filename) = filename.extract::<PathBuf>() else {
            return Err(PyTypeError::new_err(format!(
                "{name}.from_file: the name of a file is text or a path; got {}",
                type_name(filename)
            )));
        };
        let wrong = |text: String| {
            let file = filename.display();
            PyRuntimeError::new_err(format!("{name}.from_file: {file}: {text}"))
        };
        let Ok(size) = usize::try_from(size) else {
            return Err(wrong(format!("the size cannot be {size}")));
        };
        if size > isize::MAX as usize / dtype.bytes() {
            return Err(wrong(format!(
                "{size} elements of {} bytes are more than a file can hold",
                dtype.bytes()
            )));
        }
        let made = on_file(&filename, dtype, size, shared);
        match made.map_err(|e| wrong(e.to_string()))? {
            Ok(made) => wrap(cls.py(), &made),
            Err(have) => Err(wrong(format!(
                "it holds {have} elements, but {size} were asked for; shared=True would lengthen it"
            ))),
        }
    }
}

/// A storage of `size` elements, or all there are for 0, on a file that is made or lengthened where
/// it is shared and too short, never cut. Where that fails the file is what it was. The inner error is
/// how many elements a file has that is not shared and too short.
fn on_file(
    name: &Path,
    dtype: DType,
    size: usize,
    shared: bool,
) -> std::io::Result<Result<Tensor, usize>> {
    let open = |fresh: bool| {
        let mut options = File::options();
        options.read(true).write(shared).create_new(fresh);
        options.open(name)
    };
    let (file, is_fresh) = match open(false) {
        Err(e) if e.kind() == ErrorKind::NotFound && shared && size > 0 => (open(true)?, true),
        other => (other?, false),
    };
    let length = file.metadata()?.len();
    let (have, needed) = (
        length as usize / dtype.bytes(),
        (size * dtype.bytes()) as u64,
    );
    if needed <= length {
        let count = if size == 0 { have } else { size };
        return Tensor::mapped(dtype, &file, count, shared).map(Ok);
    }
    if !shared {
        return Ok(Err(have));
    }
    let made = file
        .set_len(needed)
        .and_then(|()| Tensor::mapped(dtype, &file, size, shared));
    if made.is_err() {
        // Of what can fail here, nothing is worth more words than the first error.
        let _ = match is_fresh {
            true => std::fs::remove_file(name),
            false => file.set_len(length),
        };
    }
    made.map(Ok)
}

/// The name that stands for a class in what is pickled.
#[pyfunction]
pub fn _storage_class(name: &Bound<'_, PyString>) -> PyResult<Py<PyType>> {
    let kind = kind_of(name.as_any())?;
    Ok(class_of(name.py(), kind).unbind())
}
