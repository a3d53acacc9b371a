//! Random numbers: the generator of 0.3 and what is filled from it, in row-major order (T-109).

use super::classes;

use super::creation::filled;
use super::errors::run;
use super::number::number;
use super::tensor::{PyTensor, raw};
use super::variable::PyVariable;
use crate::cpu::random::Generator;
use crate::dispatch;
use crate::error::Result;
use crate::ops::copy::{as_contiguous, copy_into};
use crate::ops::device;
use crate::tensor::{DType, Device, Element, Tensor, class_name};
use parking_lot::Mutex;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Arc, LazyLock};

type Shared = Arc<Mutex<Generator>>;

static DEFAULT: LazyLock<Shared> = LazyLock::new(|| Arc::new(Mutex::new(Generator::default())));

/// A source of random numbers with a state of its own (T-110).
#[pyclass(name = "Generator", module = "torch", frozen)]
pub struct PyGenerator(Shared);

#[pymethods]
impl PyGenerator {
    #[new]
    fn new() -> PyGenerator {
        PyGenerator(Arc::new(Mutex::new(Generator::default())))
    }

    fn manual_seed(slf: &Bound<'_, Self>, seed: &Bound<'_, PyAny>) -> PyResult<Py<PyGenerator>> {
        slf.get().0.lock().manual_seed(seed_of(seed)?);
        Ok(slf.clone().unbind())
    }

    fn seed(&self) -> u64 {
        self.0.lock().seed()
    }

    fn initial_seed(&self) -> u64 {
        self.0.lock().initial_seed()
    }

    fn get_state(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        classes::wrap(py, run(|| Tensor::from_slice(&self.0.lock().get_state()))?)
    }

    fn set_state(slf: &Bound<'_, Self>, state: &Bound<'_, PyAny>) -> PyResult<Py<PyGenerator>> {
        let t = raw("set_state", state)?;
        if t.dtype() != DType::U8 {
            return Err(PyTypeError::new_err(format!(
                "set_state: the state is a torch.ByteTensor of 5048 bytes; got {}",
                class_name(t.dtype(), t.device())
            )));
        }
        let bytes: Vec<u8> = run(|| {
            let t = as_contiguous(&t)?;
            Ok((0..t.numel() as i64).map(|i| t.read::<u8>(i)).collect())
        })?;
        slf.get().0.lock().set_state(&bytes)?;
        Ok(slf.clone().unbind())
    }
}

fn seed_of(seed: &Bound<'_, PyAny>) -> PyResult<u64> {
    let index = seed.call_method0("__int__")?;
    match index.extract::<i64>() {
        Ok(v) => Ok(v as u64),
        Err(_) => index.extract::<u64>(),
    }
}

fn chosen(generator: Option<&Bound<'_, PyAny>>) -> PyResult<Shared> {
    match generator.filter(|g| !g.is_none()) {
        None => Ok(DEFAULT.clone()),
        Some(g) => match g.cast::<PyGenerator>() {
            Ok(g) => Ok(g.get().0.clone()),
            Err(_) => Err(PyTypeError::new_err(format!(
                "generator= must be a torch.Generator; got {}",
                g.get_type().name()?
            ))),
        },
    }
}

/// Writes the next numbers of `draw` into `t`, row by row; onto the GPU through the host.
fn fill(t: &Tensor, mut draw: impl FnMut(DType) -> Result<f64>) -> Result<()> {
    let whole = t.device() == Device::Cpu && t.is_contiguous();
    let host = if whole {
        t.clone()
    } else {
        Tensor::empty("random", t.dtype(), t.sizes())?
    };
    dispatch!(t.dtype(), T => {
        for i in 0..host.numel() as i64 {
            host.write::<T>(i, T::from_f64(draw(T::DTYPE)?));
        }
    });
    if whole { Ok(()) } else { copy_into(t, &host) }
}

fn fill_ints(t: &Tensor, mut draw: impl FnMut(DType) -> Result<i64>) -> Result<()> {
    let whole = t.device() == Device::Cpu && t.is_contiguous();
    let host = if whole {
        t.clone()
    } else {
        Tensor::empty("random", t.dtype(), t.sizes())?
    };
    dispatch!(t.dtype(), T => {
        for i in 0..host.numel() as i64 {
            host.write::<T>(i, T::from_i64(draw(T::DTYPE)?));
        }
    });
    if whole { Ok(()) } else { copy_into(t, &host) }
}

fn uniform(t: &Tensor, shared: &Shared, a: f64, b: f64) -> Result<()> {
    let mut g = shared.lock();
    fill(t, |dtype| {
        Ok(if dtype == DType::F64 {
            g.uniform_f64(a, b)
        } else {
            f64::from(g.uniform_f32(a as f32, b as f32))
        })
    })
}

fn floats(op: &str, t: &Tensor) -> PyResult<()> {
    if t.dtype().is_float() {
        return Ok(());
    }
    Err(pyo3::exceptions::PyAttributeError::new_err(format!(
        "{op}: torch.{}Tensor has no such method; only FloatTensor and DoubleTensor do; use random_()",
        t.dtype().name()
    )))
}

/// Uniform numbers in [0, 1) in the default class.
#[pyfunction]
#[pyo3(signature = (*sizes, out=None, generator=None))]
fn rand<'py>(
    py: Python<'py>,
    sizes: &Bound<'py, PyTuple>,
    out: Option<&Bound<'py, PyAny>>,
    generator: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (sizes, generator) = with_generator(sizes, generator)?;
    filled(py, "rand", &sizes, out, |t| {
        run(|| uniform(t, &generator, 0.0, 1.0))
    })
}

/// Normal numbers of mean 0 and deviation 1 in the default class.
#[pyfunction]
#[pyo3(signature = (*sizes, out=None, generator=None))]
fn randn<'py>(
    py: Python<'py>,
    sizes: &Bound<'py, PyTuple>,
    out: Option<&Bound<'py, PyAny>>,
    generator: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (sizes, generator) = with_generator(sizes, generator)?;
    filled(py, "randn", &sizes, out, |t| {
        run(|| normal(t, &generator, 0.0, 1.0))
    })
}

/// 0.3 also takes the generator as the first argument.
fn with_generator<'py>(
    sizes: &Bound<'py, PyTuple>,
    generator: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyTuple>, Shared)> {
    if let Ok(first) = sizes.get_item(0)
        && let Ok(g) = first.cast::<PyGenerator>()
    {
        return Ok((sizes.get_slice(1, sizes.len()), g.get().0.clone()));
    }
    Ok((sizes.clone(), chosen(generator)?))
}

fn normal(t: &Tensor, shared: &Shared, mean: f64, std: f64) -> Result<()> {
    let mut g = shared.lock();
    fill(t, |_| Ok(g.normal(mean, std)))
}

/// Room for `n` ints.
fn zeroed(op: &str, n: usize) -> Result<Vec<i64>> {
    let mut out = Vec::new();
    match out.try_reserve_exact(n) {
        Ok(()) => {
            out.extend(std::iter::repeat_n(0, n));
            Ok(out)
        }
        Err(_) => crate::fail!(Memory, "{op}: no memory for {n} results"),
    }
}

/// The ints from 0 to n - 1 in random order, as a LongTensor.
#[pyfunction]
#[pyo3(signature = (n, out=None, generator=None))]
fn randperm<'py>(
    py: Python<'py>,
    n: i64,
    out: Option<&Bound<'py, PyAny>>,
    generator: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    if n < 1 {
        return Err(PyRuntimeError::new_err(format!(
            "randperm: needs a positive number; got {n}"
        )));
    }
    let mut order = zeroed("randperm", n as usize)?;
    chosen(generator)?.lock().permutation(&mut order);
    let made = run(|| Tensor::from_slice(&order))?;
    match out.filter(|o| !o.is_none()) {
        None => classes::wrap(py, made),
        Some(out) => {
            let Ok(place) = out.cast::<PyTensor>() else {
                return Err(PyTypeError::new_err(
                    "randperm: out= must be a torch.LongTensor",
                ));
            };
            place.get().take_result("randperm", &made)?;
            Ok(out.clone().unbind())
        }
    }
}

/// `num_samples` indices of each row, drawn with its weights.
#[pyfunction]
#[pyo3(signature = (input, num_samples=1, replacement=false, out=None, generator=None))]
fn multinomial<'py>(
    py: Python<'py>,
    input: &Bound<'py, PyAny>,
    num_samples: i64,
    replacement: bool,
    out: Option<&Bound<'py, PyAny>>,
    generator: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let variable = input
        .cast::<PyVariable>()
        .ok()
        .map(|v| v.get().var.tensor());
    let is_var = variable.is_some();
    let t = variable.map_or_else(|| raw("multinomial", input), Ok)?;
    floats("multinomial", &t)?;
    let shared = chosen(generator)?;
    let made = run(|| {
        let t = as_contiguous(&device::to_cpu(&t)?)?;
        if t.ndim() == 0 || t.ndim() > 2 || num_samples < 1 {
            crate::fail!(
                Runtime,
                "multinomial: needs one or two dimensions of weights and at least one sample; got {:?} and {num_samples}",
                t.sizes()
            );
        }
        let columns = t.sizes()[t.ndim() - 1];
        let rows = t.numel() as i64 / columns;
        let Some(total) = rows.checked_mul(num_samples) else {
            crate::fail!(
                Memory,
                "multinomial: {rows} rows of {num_samples} samples are more than memory can hold"
            );
        };
        let mut drawn = zeroed("multinomial", total as usize)?;
        let mut g = shared.lock();
        for (r, part) in drawn.chunks_mut(num_samples as usize).enumerate() {
            let weights: Vec<f64> = dispatch!(t.dtype(), T => {
                (0..columns).map(|c| t.read::<T>(r as i64 * columns + c).to_f64()).collect()
            });
            g.multinomial(&weights, replacement, part)?;
        }
        let flat = Tensor::from_slice(&drawn)?;
        if t.ndim() == 2 {
            flat.view(&[rows, num_samples])
        } else {
            Ok(flat)
        }
    })?;
    if is_var {
        return PyVariable::fresh(py, made.into());
    }
    match out.filter(|o| !o.is_none()).map(|o| o.cast::<PyTensor>()) {
        Some(Ok(place)) => {
            place.get().take_result("multinomial", &made)?;
            Ok(place.clone().into_any().unbind())
        }
        Some(Err(_)) => Err(PyTypeError::new_err(
            "multinomial: out= must be a torch.LongTensor",
        )),
        None => classes::wrap(py, made),
    }
}

/// Seeds the default generator and gives it.
#[pyfunction]
fn manual_seed(py: Python<'_>, seed: &Bound<'_, PyAny>) -> PyResult<Py<PyGenerator>> {
    DEFAULT.lock().manual_seed(seed_of(seed)?);
    Py::new(py, PyGenerator(DEFAULT.clone()))
}

/// The seed the default generator started from.
#[pyfunction]
fn initial_seed() -> u64 {
    DEFAULT.lock().initial_seed()
}

/// The default generator's state, a ByteTensor of 5048 bytes.
#[pyfunction]
fn get_rng_state(py: Python<'_>) -> PyResult<Py<PyAny>> {
    classes::wrap(py, run(|| Tensor::from_slice(&DEFAULT.lock().get_state()))?)
}

/// Puts the default generator into a state that `get_rng_state` gave.
#[pyfunction]
fn set_rng_state(py: Python<'_>, new_state: &Bound<'_, PyAny>) -> PyResult<()> {
    let own = Bound::new(py, PyGenerator(DEFAULT.clone()))?;
    PyGenerator::set_state(&own, new_state).map(|_| ())
}

fn bound(op: &str, v: &Bound<'_, PyAny>) -> PyResult<i64> {
    match number(v)? {
        Some(n) => Ok(n.to::<i64>()),
        None => Err(PyTypeError::new_err(format!("{op}: needs ints"))),
    }
}

#[pymethods]
impl PyTensor {
    /// Uniform numbers in [from, to).
    #[pyo3(signature = (from=0.0, to=1.0, *, generator=None))]
    fn uniform_<'py>(
        slf: &Bound<'py, Self>,
        from: f64,
        to: f64,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let t = slf.get().tensor();
        floats("uniform_", &t)?;
        let shared = chosen(generator)?;
        run(|| uniform(&t, &shared, from, to))?;
        Ok(slf.clone())
    }

    /// Normal numbers.
    #[pyo3(signature = (mean=0.0, std=1.0, *, generator=None))]
    fn normal_<'py>(
        slf: &Bound<'py, Self>,
        mean: f64,
        std: f64,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let t = slf.get().tensor();
        floats("normal_", &t)?;
        if std <= 0.0 {
            return Err(PyRuntimeError::new_err(format!(
                "normal_: the deviation must be positive; got {std}"
            )));
        }
        let shared = chosen(generator)?;
        run(|| normal(&t, &shared, mean, std))?;
        Ok(slf.clone())
    }

    /// Ints: over the whole range of the class, below `to`, or from `from` to below `to`.
    #[pyo3(signature = (*bounds, generator=None))]
    fn random_<'py>(
        slf: &Bound<'py, Self>,
        bounds: &Bound<'py, PyTuple>,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let t = slf.get().tensor();
        let shared = chosen(generator)?;
        let given: PyResult<Vec<i64>> = bounds.iter().map(|b| bound("random_", &b)).collect();
        let mut g = shared.lock();
        match given?.as_slice() {
            [] => run(|| fill_ints(&t, |dtype| Ok(g.random(dtype))))?,
            [to] => run(|| fill_ints(&t, |dtype| g.random_between(dtype, 0, *to)))?,
            [from, to] => run(|| fill_ints(&t, |dtype| g.random_between(dtype, *from, *to)))?,
            _ => {
                return Err(PyTypeError::new_err(
                    "random_: expected () or (int to) or (int from, int to)",
                ));
            }
        }
        drop(g);
        Ok(slf.clone())
    }

    /// Ones with probability `p`, which may be a tensor of probabilities, else zeros.
    #[pyo3(signature = (p=None, *, generator=None))]
    fn bernoulli_<'py>(
        slf: &Bound<'py, Self>,
        p: Option<&Bound<'py, PyAny>>,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let t = slf.get().tensor();
        let shared = chosen(generator)?;
        let Some(p) = p else {
            let mut g = shared.lock();
            run(|| fill(&t, |_| g.bernoulli(0.5).map(f64::from)))?;
            drop(g);
            return Ok(slf.clone());
        };
        if let Some(p) = number(p)? {
            let mut g = shared.lock();
            run(|| fill(&t, |_| g.bernoulli(p.f64()).map(f64::from)))?;
            drop(g);
            return Ok(slf.clone());
        }
        let each = raw("bernoulli_", p)?;
        run(|| {
            let each = as_contiguous(&device::to_cpu(&each)?.expand(t.sizes())?)?;
            let mut at = 0;
            let mut g = shared.lock();
            fill(&t, |_| {
                let p = dispatch!(each.dtype(), T => each.read::<T>(at).to_f64());
                at += 1;
                g.bernoulli(p).map(f64::from)
            })
        })?;
        Ok(slf.clone())
    }

    /// Exponentially distributed numbers of rate `lambd`.
    #[pyo3(signature = (lambd=1.0, *, generator=None))]
    fn exponential_<'py>(
        slf: &Bound<'py, Self>,
        lambd: f64,
        generator: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let t = slf.get().tensor();
        floats("exponential_", &t)?;
        let shared = chosen(generator)?;
        let mut g = shared.lock();
        run(|| fill(&t, |_| Ok(g.exponential(lambd))))?;
        drop(g);
        Ok(slf.clone())
    }
}

/// Adds the class and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyGenerator>()?;
    m.add_function(wrap_pyfunction!(rand, m)?)?;
    m.add_function(wrap_pyfunction!(randn, m)?)?;
    m.add_function(wrap_pyfunction!(randperm, m)?)?;
    m.add_function(wrap_pyfunction!(multinomial, m)?)?;
    m.add_function(wrap_pyfunction!(manual_seed, m)?)?;
    m.add_function(wrap_pyfunction!(initial_seed, m)?)?;
    m.add_function(wrap_pyfunction!(get_rng_state, m)?)?;
    m.add_function(wrap_pyfunction!(set_rng_state, m)?)?;
    Ok(())
}
