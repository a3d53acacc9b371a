//! Filling a tensor, or a Variable's, with random numbers.

use super::generator::chosen;
use super::laws::{Law, bernoulli_each, fill};
use crate::graph::Input;
use crate::ops::{apply_in_place, copy};
use crate::python::errors::run;
use crate::python::interpreter::released;
use crate::python::number::number;
use crate::python::tensor::{PyTensor, raw};
use crate::python::variable::PyVariable;
use crate::tensor::{DType, Device, Scalar, Tensor, class_name};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

type Generator<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Fails for integer classes, which do not have the method (E-81).
pub(super) fn floats(op: &str, t: &Tensor) -> PyResult<()> {
    if t.dtype().is_float() {
        return Ok(());
    }
    Err(PyAttributeError::new_err(format!(
        "{op}: {} has no such method; only FloatTensor and DoubleTensor do; use random_()",
        class_name(t.dtype(), t.device())
    )))
}

/// A parameter of a distribution: matched by type, not by what it converts to (O-8).
fn real(op: &str, form: &str, v: &Bound<'_, PyAny>) -> PyResult<f64> {
    match number(op, v)? {
        Some(n) => Ok(n.f64()),
        None => Err(PyTypeError::new_err(format!(
            "{op} received an invalid argument - got {}, but expected {op}{form} of int and float numbers",
            crate::python::call::kind_name(v)
        ))),
    }
}

/// Functions that read a parameter of one sampler.
macro_rules! real_readers {
    ($($name:ident = $op:literal $form:literal;)*) => {$(
        fn $name(v: &Bound<'_, PyAny>) -> PyResult<f64> {
            real($op, $form, v)
        }
    )*};
}

real_readers! {
    of_uniform = "uniform_" "(from=0, to=1, *, generator=None)";
    of_normal = "normal_" "(mean=0, std=1, *, generator=None)";
    of_log_normal = "log_normal_" "(mean=1, std=2, *, generator=None)";
    of_cauchy = "cauchy_" "(median=0, sigma=1, *, generator=None)";
    of_exponential = "exponential_" "(lambd=1, *, generator=None)";
    of_geometric = "geometric_" "(p, *, generator=None)";
}

fn filled<'py>(
    slf: &Bound<'py, PyTensor>,
    op: &str,
    generator: Generator<'_, 'py>,
    law: Law,
) -> PyResult<Bound<'py, PyTensor>> {
    let t = slf.get().tensor();
    let shared = chosen(generator, t.device())?;
    released(slf.py(), || run(|| fill(op, &t, &shared, law)))?;
    Ok(slf.clone())
}

fn filled_float<'py>(
    slf: &Bound<'py, PyTensor>,
    op: &str,
    generator: Generator<'_, 'py>,
    law: Law,
) -> PyResult<Bound<'py, PyTensor>> {
    floats(op, &slf.get().tensor())?;
    filled(slf, op, generator, law)
}

/// The bounds of `random_`, by place or by name; ints only.
fn bounds(given: &Bound<'_, PyTuple>, named: Option<&Bound<'_, PyDict>>) -> PyResult<Law> {
    let refused = || {
        PyTypeError::new_err(
            "random_ received an invalid combination of arguments, but expected one of:\n * ()\n * (int to)\n * (int from, int to)",
        )
    };
    let int = |v: Bound<'_, PyAny>| match number("random_", &v)? {
        Some(Scalar::Int(bound)) => Ok(bound),
        _ => Err(refused()),
    };
    let named = |name: &str| -> PyResult<Option<i64>> {
        let found = named.map(|n| n.get_item(name)).transpose()?.flatten();
        found.map(int).transpose()
    };
    let places: Vec<i64> = given.iter().map(int).collect::<PyResult<_>>()?;
    let (from, to) = (named("from")?, named("to")?);
    match (places.as_slice(), from, to) {
        ([], None, None) => Ok(Law::Ints),
        ([to], None, None) => Ok(Law::Between(0, *to)),
        ([], None, Some(to)) => Ok(Law::Between(0, to)),
        ([from, to], None, None) => Ok(Law::Between(*from, *to)),
        ([from], None, Some(to)) => Ok(Law::Between(*from, to)),
        ([], Some(from), Some(to)) => Ok(Law::Between(from, to)),
        _ => Err(refused()),
    }
}

#[pymethods]
impl PyTensor {
    /// Uniform numbers in [from, to).
    #[pyo3(signature = (from=0.0, to=1.0, *, generator=None))]
    fn uniform_<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = of_uniform)] from: f64,
        #[pyo3(from_py_with = of_uniform)] to: f64,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        filled_float(slf, "uniform_", generator, Law::Uniform(from, to))
    }

    /// Normal numbers.
    #[pyo3(signature = (mean=0.0, std=1.0, *, generator=None))]
    fn normal_<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = of_normal)] mean: f64,
        #[pyo3(from_py_with = of_normal)] std: f64,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        filled_float(slf, "normal_", generator, Law::Normal(mean, std))
    }

    /// Exponentials of normal numbers, whose mean and deviation these are.
    #[pyo3(signature = (mean=1.0, std=2.0, *, generator=None))]
    fn log_normal_<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = of_log_normal)] mean: f64,
        #[pyo3(from_py_with = of_log_normal)] std: f64,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        filled_float(slf, "log_normal_", generator, Law::LogNormal(mean, std))
    }

    /// Cauchy numbers.
    #[pyo3(signature = (median=0.0, sigma=1.0, *, generator=None))]
    fn cauchy_<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = of_cauchy)] median: f64,
        #[pyo3(from_py_with = of_cauchy)] sigma: f64,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        filled_float(slf, "cauchy_", generator, Law::Cauchy(median, sigma))
    }

    /// Exponentially distributed numbers of rate `lambd`.
    #[pyo3(signature = (lambd=1.0, *, generator=None))]
    fn exponential_<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = of_exponential)] lambd: f64,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        filled_float(slf, "exponential_", generator, Law::Exponential(lambd))
    }

    /// How often to try until the first success of probability 1 - p: ints from 1.
    #[pyo3(signature = (p, *, generator=None))]
    fn geometric_<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = of_geometric)] p: f64,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        filled(slf, "geometric_", generator, Law::Geometric(p))
    }

    /// Ints: over the whole range of the class, below `to`, or from `from` to below `to`.
    #[pyo3(signature = (*bounds, generator=None, **named))]
    fn random_<'py>(
        slf: &Bound<'py, Self>,
        bounds: &Bound<'py, PyTuple>,
        generator: Generator<'_, 'py>,
        named: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Self>> {
        filled(slf, "random_", generator, self::bounds(bounds, named)?)
    }

    /// Ones with probability `p`, which may be a tensor of probabilities, else zeros.
    #[pyo3(signature = (p=None, *, float_p=None, generator=None))]
    fn bernoulli_<'py>(
        slf: &Bound<'py, Self>,
        p: Option<&Bound<'py, PyAny>>,
        float_p: Option<&Bound<'py, PyAny>>,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        let p = match p.or(float_p) {
            None => return filled(slf, "bernoulli_", generator, Law::Bernoulli(0.5)),
            Some(p) => p,
        };
        if let Some(p) = number("bernoulli_", p)? {
            return filled(slf, "bernoulli_", generator, Law::Bernoulli(p.f64()));
        }
        let t = slf.get().tensor();
        let each = match raw("bernoulli_", p) {
            Ok(each) if matches!(each.dtype(), DType::F32 | DType::F64) => each,
            _ => {
                return Err(PyTypeError::new_err(format!(
                    "bernoulli_ received an invalid combination of arguments - got ({}), but expected one of:\n * (float p=0.5)\n * (torch.FloatTensor float_p)\n * (torch.DoubleTensor float_p)",
                    crate::python::call::kind_name(p)
                )));
            }
        };
        let shared = chosen(generator, t.device())?;
        let py = slf.py();
        released(py, || {
            run(|| bernoulli_each("bernoulli_", &t, &each, &shared))
        })?;
        Ok(slf.clone())
    }
}

/// Fills a Variable through a copy, so that flags, versions and history are those of `copy_`.
fn filled_variable<'py>(
    slf: &Bound<'py, PyVariable>,
    op: &str,
    generator: Generator<'_, 'py>,
    law: Law,
) -> PyResult<Bound<'py, PyVariable>> {
    let me = &slf.get().var;
    let t = me.tensor();
    let shared = chosen(generator, t.device())?;
    run(|| {
        let before = shared.lock().clone();
        let made = Tensor::empty(op, t.dtype(), t.sizes())?;
        fill(op, &made, &shared, law)?;
        let made = if t.device() == Device::Gpu {
            let there = crate::ops::device::empty(op, t.dtype(), t.device(), t.sizes())?;
            copy::copy_into(&there, &made)?;
            there
        } else {
            made
        };
        let copied = apply_in_place(
            &copy::copy::OP,
            me,
            &[Input::plain(made)],
            Default::default(),
        );
        if copied.is_err() {
            *shared.lock() = before;
        }
        copied
    })?;
    Ok(slf.clone())
}

#[pymethods]
impl PyVariable {
    /// Exponentials of normal numbers, whose mean and deviation these are.
    #[pyo3(signature = (mean=1.0, std=2.0, *, generator=None))]
    fn log_normal_<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = of_log_normal)] mean: f64,
        #[pyo3(from_py_with = of_log_normal)] std: f64,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        super::on_floats("log_normal_", &slf.get().var)?;
        filled_variable(slf, "log_normal_", generator, Law::LogNormal(mean, std))
    }

    /// How often to try until the first success of probability 1 - p: ints from 1.
    #[pyo3(signature = (p, *, generator=None))]
    fn geometric_<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = of_geometric)] p: f64,
        generator: Generator<'_, 'py>,
    ) -> PyResult<Bound<'py, Self>> {
        filled_variable(slf, "geometric_", generator, Law::Geometric(p))
    }
}
