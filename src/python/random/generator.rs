//! `torch.Generator`, and the two that are drawn from unless another is given: one for the CPU,
//! one for the GPU, whose numbers come from the host too (T-113).

use crate::cpu::random::Generator;
use crate::lock::plain::Mutex;
use crate::ops::copy::as_contiguous;
use crate::python::callback;
use crate::python::classes;
use crate::python::errors::run;
use crate::python::tensor::raw;
use crate::tensor::{DType, Device, Tensor, class_name};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyFloat, PyInt};
use std::sync::{Arc, LazyLock};

pub(super) type Shared = Arc<Mutex<Generator>>;

static CPU: LazyLock<Shared> = LazyLock::new(|| Arc::new(Mutex::new(Generator::default())));
static GPU: LazyLock<Shared> = LazyLock::new(|| Arc::new(Mutex::new(Generator::default())));

/// A source of random numbers with a state of its own (T-110).
#[pyclass(name = "Generator", module = "torch", frozen)]
pub struct PyGenerator(pub(super) Shared);

/// `torch.default_generator`, one object for the whole program.
fn default_generator(py: Python<'_>) -> PyResult<Py<PyGenerator>> {
    static OBJECT: PyOnceLock<Py<PyGenerator>> = PyOnceLock::new();
    let object = OBJECT.get_or_try_init(py, || Py::new(py, PyGenerator(CPU.clone())))?;
    Ok(object.clone_ref(py))
}

/// The generator that was asked for, or that of the device.
pub(super) fn chosen(generator: Option<&Bound<'_, PyAny>>, device: Device) -> PyResult<Shared> {
    match generator.filter(|g| !g.is_none()) {
        None if device == Device::Gpu => Ok(GPU.clone()),
        None => Ok(CPU.clone()),
        Some(g) => match g.cast::<PyGenerator>() {
            Ok(g) => Ok(g.get().0.clone()),
            Err(_) => Err(PyTypeError::new_err(format!(
                "generator= must be a torch.Generator; got {}",
                g.get_type().name()?
            ))),
        },
    }
}

#[pymethods]
impl PyGenerator {
    #[new]
    fn new() -> PyGenerator {
        PyGenerator(Arc::new(Mutex::new(Generator::default())))
    }

    fn manual_seed(slf: &Bound<'_, Self>, seed: &Bound<'_, PyAny>) -> PyResult<Py<PyGenerator>> {
        let seed = seed_of(seed)?;
        slf.get().0.lock().manual_seed(seed);
        Ok(slf.clone().unbind())
    }

    fn seed(&self) -> u64 {
        self.0.lock().seed()
    }

    fn initial_seed(&self) -> u64 {
        self.0.lock().initial_seed()
    }

    fn get_state(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        state_of(py, &self.0)
    }

    fn set_state(slf: &Bound<'_, Self>, state: &Bound<'_, PyAny>) -> PyResult<Py<PyGenerator>> {
        put_state(&slf.get().0, state)?;
        Ok(slf.clone().unbind())
    }
}

fn state_of(py: Python<'_>, shared: &Shared) -> PyResult<Py<PyAny>> {
    let state = shared.lock().get_state();
    classes::wrap(py, run(|| Tensor::from_slice(&state))?)
}

fn put_state(shared: &Shared, state: &Bound<'_, PyAny>) -> PyResult<()> {
    let t = raw("set_state", state)?;
    if t.kind() != (DType::U8, Device::Cpu) {
        return Err(PyTypeError::new_err(format!(
            "set_state: the state is a torch.ByteTensor of 5048 bytes; got {}",
            class_name(t.dtype(), t.device())
        )));
    }
    let bytes: Vec<u8> = run(|| {
        let t = as_contiguous(&t)?;
        Ok((0..t.numel() as i64).map(|i| t.read::<u8>(i)).collect())
    })?;
    Ok(shared.lock().set_state(&bytes)?)
}

/// An int of 64 bits, with or without sign.
fn seed_of(seed: &Bound<'_, PyAny>) -> PyResult<u64> {
    let whole = if seed.cast::<PyInt>().is_ok() {
        seed.clone()
    } else if seed.cast::<PyFloat>().is_ok() || crate::python::number::is_index(seed) {
        // Programs of the time seeded with time.time().
        callback::call_method(seed, "__int__", ())?
    } else {
        return Err(PyTypeError::new_err(format!(
            "manual_seed: the seed is an int; got {}",
            seed.get_type().name()?
        )));
    };
    match (whole.extract::<i64>(), whole.extract::<u64>()) {
        (Ok(v), _) => Ok(v as u64),
        (_, Ok(v)) => Ok(v),
        _ => Err(PyRuntimeError::new_err(format!(
            "manual_seed: the seed {whole} does not fit 64 bits"
        ))),
    }
}

/// Seeds the generators of the CPU and of the GPU, and gives that of the CPU.
#[pyfunction]
fn manual_seed(py: Python<'_>, seed: &Bound<'_, PyAny>) -> PyResult<Py<PyGenerator>> {
    let seed = seed_of(seed)?;
    CPU.lock().manual_seed(seed);
    GPU.lock().manual_seed(seed);
    default_generator(py)
}

/// The seed the default generator started from.
#[pyfunction]
fn initial_seed() -> u64 {
    CPU.lock().initial_seed()
}

/// The default generator's state, a ByteTensor of 5048 bytes.
#[pyfunction]
fn get_rng_state(py: Python<'_>) -> PyResult<Py<PyAny>> {
    state_of(py, &CPU)
}

/// Puts the default generator into a state that `get_rng_state` gave.
#[pyfunction]
fn set_rng_state(new_state: &Bound<'_, PyAny>) -> PyResult<()> {
    put_state(&CPU, new_state)
}

/// The generator of what is filled on the GPU.
#[pyfunction]
fn _gpu_generator() -> PyGenerator {
    PyGenerator(GPU.clone())
}

/// Adds the class, the functions and `default_generator` to the module.
pub(super) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyGenerator>()?;
    m.add_function(wrap_pyfunction!(manual_seed, m)?)?;
    m.add_function(wrap_pyfunction!(initial_seed, m)?)?;
    m.add_function(wrap_pyfunction!(get_rng_state, m)?)?;
    m.add_function(wrap_pyfunction!(set_rng_state, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_generator, m)?)?;
    m.add("default_generator", default_generator(m.py())?)
}
