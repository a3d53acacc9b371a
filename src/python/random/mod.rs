//! Random numbers: the generator of 0.3 and what is made from it.

mod generator;
mod laws;
mod methods;

use super::call::{self, Operand};
use super::classes;
use super::creation::{filled, floats_only};
use super::errors::run;
use super::number::{int_readers, number};
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::graph::Variable;
use crate::ops::apply::{Values, single};
use crate::ops::in_place::refuse_repeats;
use crate::ops::{arith, device};
use crate::python::interpreter::released;
use crate::tensor::{DType, Device, FromValue, Scalar, Tensor, class_name};
use generator::{PyGenerator, chosen};
use laws::{Law, bernoulli_each, fill, zeroed};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Fails for Variables of integer classes (E-81).
fn on_floats(op: &str, v: &Variable) -> PyResult<()> {
    let t = v.tensor();
    if t.dtype().is_float() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "{op} is not implemented for type {}; convert with .float() first",
        class_name(t.dtype(), t.device())
    )))
}

/// The tensor of an operand of a function that floats alone have, and whether it is a Variable.
fn float_operand(op: &str, obj: &Bound<'_, PyAny>) -> PyResult<(Tensor, bool)> {
    match Operand::of(obj) {
        Some(Operand::Var(v)) => on_floats(op, &v.var).map(|()| (v.var.tensor(), true)),
        Some(Operand::Raw(t)) if t.dtype().is_float() => {
            crate::tensor::dtype::computed(op, t.dtype())?;
            Ok((t, false))
        }
        Some(Operand::Raw(t)) => Err(crate::tensor::dtype::not_float(op, t.dtype()).into()),
        None => Err(PyTypeError::new_err(format!(
            "{op}: needs a tensor or Variable; got {}",
            call::kind_name(obj)
        ))),
    }
}

/// The place that `out=` gives, if it has the class.
fn place_of<'a, 'py>(
    op: &str,
    out: Given<'a, 'py>,
    kind: (DType, Device),
) -> PyResult<Option<&'a Bound<'py, PyTensor>>> {
    let Some(out) = out.filter(|o| !o.is_none()) else {
        return Ok(None);
    };
    match out.cast::<PyTensor>() {
        Ok(place) if place.get().tensor().kind() == kind => Ok(Some(place)),
        _ => Err(PyTypeError::new_err(format!(
            "{op}: out= must be a {}, the class of the result; got {}",
            class_name(kind.0, kind.1),
            call::kind_name(out)
        ))),
    }
}

/// A made tensor in `out`, as a Variable without history, or as it is.
fn give<'py>(
    py: Python<'py>,
    op: &str,
    made: Tensor,
    variable: bool,
    out: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    if variable {
        if out.is_some_and(|o| !o.is_none()) {
            return Err(PyTypeError::new_err(format!(
                "{op}: out= takes tensors only, and Variables have no out="
            )));
        }
        return PyVariable::fresh(py, made.into());
    }
    match place_of(op, out, made.kind())? {
        None => classes::wrap(py, made),
        Some(place) => {
            place.get().take_result(op, &made)?;
            Ok(place.clone().into_any().unbind())
        }
    }
}

/// A function that fills a tensor of these sizes, of the default class or given.
fn fresh<'py>(
    py: Python<'py>,
    op: &str,
    (sizes, out, generator): (&Bound<'py, PyTuple>, Given<'_, 'py>, Given<'_, 'py>),
    law: Law,
) -> PyResult<Py<PyAny>> {
    floats_only(op, out)?;
    if let Some(out) = out.filter(|o| !o.is_none())
        && let Some(Operand::Raw(t)) = Operand::of(out)
    {
        run(|| refuse_repeats(op, &t))?;
    }
    // 0.3 also takes the generator as the first argument.
    let first = sizes.get_item(0).ok();
    let first = first.filter(|f| f.cast::<PyGenerator>().is_ok());
    let sizes = match first {
        Some(_) => sizes.get_slice(1, sizes.len()),
        None => sizes.clone(),
    };
    let generator = first.as_ref().or(generator);
    chosen(generator, Device::Cpu)?;
    filled(py, op, &sizes, out, |t| {
        let shared = chosen(generator, t.device())?;
        released(py, || run(|| fill(op, t, &shared, law)))
    })
}

/// Uniform numbers in [0, 1) in the default class.
#[pyfunction]
#[pyo3(signature = (*sizes, size=None, out=None, generator=None))]
fn rand<'py>(
    py: Python<'py>,
    sizes: &Bound<'py, PyTuple>,
    size: Given<'_, 'py>,
    out: Given<'_, 'py>,
    generator: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    let sizes = &super::creation::sizes_or("rand", sizes, size)?;
    fresh(py, "rand", (sizes, out, generator), Law::Uniform(0.0, 1.0))
}

/// Normal numbers of mean 0 and deviation 1 in the default class.
#[pyfunction]
#[pyo3(signature = (*sizes, size=None, out=None, generator=None))]
fn randn<'py>(
    py: Python<'py>,
    sizes: &Bound<'py, PyTuple>,
    size: Given<'_, 'py>,
    out: Given<'_, 'py>,
    generator: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    let sizes = &super::creation::sizes_or("randn", sizes, size)?;
    fresh(py, "randn", (sizes, out, generator), Law::Normal(0.0, 1.0))
}

int_readers! {
    randperm_count = Tensors "randperm" "(int n)";
    // The function takes Variables as well.
    sample_count = Variables "multinomial" "(input, int num_samples, bool replacement=False)";
    sample_count_of_tensor = Tensors "multinomial" "(int num_samples, bool replacement=False)";
    sample_count_of_variable = Variables "multinomial" "(int num_samples=1, bool replacement=False)";
}

/// The ints from 0 to n - 1 in random order, as a LongTensor.
#[pyfunction]
#[pyo3(signature = (n, out=None, generator=None))]
fn randperm<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = randperm_count)] n: i64,
    out: Given<'_, 'py>,
    generator: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    if n < 1 {
        return Err(PyRuntimeError::new_err(format!(
            "randperm: needs a positive number; got {n}"
        )));
    }
    place_of("randperm", out, (DType::I64, Device::Cpu))?;
    let shared = chosen(generator, Device::Cpu)?;
    let made = released(py, || {
        run(|| {
            let mut order = zeroed("randperm", n as usize)?;
            shared.lock().permutation(&mut order);
            Tensor::from_slice(&order)
        })
    })?;
    give(py, "randperm", made, false, out)
}

fn drawn<'py>(
    input: &Bound<'py, PyAny>,
    num_samples: i64,
    replacement: bool,
    out: Given<'_, 'py>,
    generator: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    let py = input.py();
    let (t, variable) = float_operand("multinomial", input)?;
    place_of("multinomial", out, (DType::I64, t.device()))?;
    let shared = chosen(generator, t.device())?;
    let made = released(py, || {
        run(|| {
            let made = laws::multinomial(&t, num_samples, replacement, &shared)?;
            if t.device() == Device::Cpu {
                return Ok(made);
            }
            let there = device::empty("multinomial", DType::I64, t.device(), made.sizes())?;
            crate::ops::copy::copy_into(&there, &made)?;
            Ok(there)
        })
    })?;
    give(py, "multinomial", made, variable, out)
}

/// `num_samples` indices of each row, drawn with its weights.
#[pyfunction]
#[pyo3(signature = (input, num_samples=1, replacement=false, out=None, generator=None))]
fn multinomial<'py>(
    input: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = sample_count)] num_samples: i64,
    replacement: bool,
    out: Given<'_, 'py>,
    generator: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    drawn(input, num_samples, replacement, out, generator)
}

fn coins<'py>(
    input: &Bound<'py, PyAny>,
    out: Given<'_, 'py>,
    generator: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    let py = input.py();
    let (p, variable) = float_operand("bernoulli", input)?;
    place_of("bernoulli", out, p.kind())?;
    let shared = chosen(generator, p.device())?;
    let made = released(py, || {
        run(|| {
            let y = device::empty("bernoulli", p.dtype(), p.device(), p.sizes())?;
            bernoulli_each("bernoulli", &y, &p, &shared)?;
            Ok(y)
        })
    })?;
    give(py, "bernoulli", made, variable, out)
}

/// Ones with the probabilities that the input holds, else zeros.
#[pyfunction]
#[pyo3(signature = (input, out=None, generator=None))]
fn bernoulli<'py>(
    input: &Bound<'py, PyAny>,
    out: Given<'_, 'py>,
    generator: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    coins(input, out, generator)
}

/// Normal numbers whose means, deviations or both are elements of tensors.
#[pyfunction]
#[pyo3(signature = (means=None, std=None, *, mean=None, out=None, generator=None))]
fn normal<'py>(
    py: Python<'py>,
    means: Given<'_, 'py>,
    std: Given<'_, 'py>,
    mean: Given<'_, 'py>,
    out: Given<'_, 'py>,
    generator: Given<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    let refused = || {
        let shown = |v: Given<'_, 'py>| v.map(call::kind_name);
        let got: Vec<String> = [means.or(mean), std]
            .into_iter()
            .filter_map(shown)
            .collect();
        PyTypeError::new_err(format!(
            "normal received an invalid combination of arguments - got ({}), but expected one of:\n * (Tensor means, float std=1)\n * (float mean=0, Tensor std)\n * (Tensor means, Tensor std)",
            got.join(", ")
        ))
    };
    if means.is_some() && mean.is_some() {
        return Err(refused());
    }
    let part = |v: Given<'_, 'py>, default: f64| -> PyResult<(Option<(Tensor, bool)>, f64)> {
        let Some(v) = v else {
            return Ok((None, default));
        };
        if Operand::of(v).is_some() {
            return Ok((Some(float_operand("normal", v)?), default));
        }
        let n = number("normal", v)?.ok_or_else(refused)?;
        Ok((None, n.f64()))
    };
    let (centre, mean) = part(means.or(mean), 0.0)?;
    let (width, std) = part(std, 1.0)?;
    let (t, variable) = match (&centre, &width) {
        (Some(a), Some(b)) if a.1 != b.1 || a.0.kind() != b.0.kind() => return Err(refused()),
        (Some((a, _)), Some((b, _))) if a.numel() != b.numel() => {
            return Err(PyRuntimeError::new_err(format!(
                "normal: needs as many means as deviations; got {} and {}",
                crate::tensor::sizes_text(a.sizes()),
                crate::tensor::sizes_text(b.sizes())
            )));
        }
        (Some(one), _) | (None, Some(one)) => one.clone(),
        (None, None) => return Err(refused()),
    };
    place_of("normal", out, t.kind())?;
    let shared = chosen(generator, t.device())?;
    let made = released(py, || {
        run(|| {
            let y = device::empty("normal", t.dtype(), t.device(), t.sizes())?;
            // Rounded after each step, as 0.3 does (T-108).
            let scale = if width.is_some() { 1.0 } else { std };
            fill("normal", &y, &shared, Law::Normal(0.0, scale))?;
            let mut y = crate::graph::Var::from(y);
            let same = |other: &Tensor| -> crate::error::Result<_> {
                Ok(crate::graph::Input::plain(other.view_or_copy(t.sizes())?))
            };
            if let Some((width, _)) = &width {
                y = single(&arith::mul::OP, [y.input(), same(width)?], Values::new())?;
            }
            if let Some((centre, _)) = &centre {
                y = single(&arith::add::OP, [y.input(), same(centre)?], Values::new())?;
            } else {
                let mut values = Values::new();
                values.push(FromValue::into_value(Scalar::Float(mean)));
                y = single(&arith::add_number::OP, [y.input()], values)?;
            }
            Ok(y.tensor)
        })
    })?;
    give(py, "normal", made, variable, out)
}

#[pymethods]
impl PyTensor {
    /// Ones with the probabilities that the tensor holds, else zeros.
    #[pyo3(name = "bernoulli", signature = (*, generator=None))]
    fn bernoulli_method<'py>(
        slf: &Bound<'py, Self>,
        generator: Given<'_, 'py>,
    ) -> PyResult<Py<PyAny>> {
        coins(slf.as_any(), None, generator)
    }

    /// `num_samples` indices of each row, drawn with its weights.
    #[pyo3(name = "multinomial", signature = (num_samples, replacement=false, *, generator=None))]
    fn multinomial_method<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = sample_count_of_tensor)] num_samples: i64,
        replacement: bool,
        generator: Given<'_, 'py>,
    ) -> PyResult<Py<PyAny>> {
        drawn(slf.as_any(), num_samples, replacement, None, generator)
    }
}

#[pymethods]
impl PyVariable {
    /// Ones with the probabilities that the Variable holds, else zeros; a leaf.
    #[pyo3(name = "bernoulli", signature = (*, generator=None))]
    fn bernoulli_method<'py>(
        slf: &Bound<'py, Self>,
        generator: Given<'_, 'py>,
    ) -> PyResult<Py<PyAny>> {
        coins(slf.as_any(), None, generator)
    }

    /// `num_samples` indices of each row, drawn with its weights; a leaf.
    #[pyo3(name = "multinomial", signature = (num_samples=1, replacement=false, *, generator=None))]
    fn multinomial_method<'py>(
        slf: &Bound<'py, Self>,
        #[pyo3(from_py_with = sample_count_of_variable)] num_samples: i64,
        replacement: bool,
        generator: Given<'_, 'py>,
    ) -> PyResult<Py<PyAny>> {
        drawn(slf.as_any(), num_samples, replacement, None, generator)
    }
}

/// The methods that integer classes do not have at all.
const OF_FLOATS: [&str; 7] = [
    "uniform_",
    "normal_",
    "log_normal_",
    "cauchy_",
    "exponential_",
    "bernoulli",
    "multinomial",
];

/// Moves the methods that floats alone have from the base to their classes.
fn narrow(py: Python<'_>) -> PyResult<()> {
    let base: Bound<'_, PyType> = py.get_type::<PyTensor>();
    for name in OF_FLOATS {
        let method = base.getattr("__dict__")?.get_item(name)?;
        for dtype in [DType::F32, DType::F64] {
            for place in [Device::Cpu, Device::Gpu] {
                classes::class_of(py, dtype, place).setattr(name, &method)?;
            }
        }
        base.delattr(name)?;
    }
    Ok(())
}

/// Adds the class and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    generator::register(m)?;
    m.add_function(wrap_pyfunction!(rand, m)?)?;
    m.add_function(wrap_pyfunction!(randn, m)?)?;
    m.add_function(wrap_pyfunction!(randperm, m)?)?;
    m.add_function(wrap_pyfunction!(multinomial, m)?)?;
    m.add_function(wrap_pyfunction!(bernoulli, m)?)?;
    m.add_function(wrap_pyfunction!(normal, m)?)?;
    narrow(m.py())
}
