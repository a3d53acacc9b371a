//! Errors and panics of the core as Python exceptions.

use crate::error::{Error, Raised, Result};
use crate::python::callback;
use crate::python::interpreter::attached;
use pyo3::exceptions::{
    PyAssertionError, PyIndexError, PyMemoryError, PyRuntimeError, PyTypeError, PyValueError,
    PyZeroDivisionError,
};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

pyo3::create_exception!(
    torch,
    InternalError,
    PyRuntimeError,
    "A bug in rgrad itself; please report it."
);

/// `ZeroDivisionError` that old code can also catch as `RuntimeError` (E-79).
static ZERO_DIVISION: OnceLock<Py<PyAny>> = OnceLock::new();
/// For permutations that are none (T-45).
static ASSERTION: OnceLock<Py<PyAny>> = OnceLock::new();

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        crate::graph::site::forget_volatile();
        match error {
            Error::Type(text) => PyTypeError::new_err(text),
            Error::Value(text) => PyValueError::new_err(text),
            Error::Index(text) => PyIndexError::new_err(text),
            Error::Runtime(text) => PyRuntimeError::new_err(text),
            Error::Memory(text) => PyMemoryError::new_err(text),
            Error::ZeroDivision(text) => of_two(&ZERO_DIVISION, text),
            Error::Assertion(text) => of_two(&ASSERTION, text),
            Error::At(blame) => attached(|py| super::site::teach::explained(py, *blame)),
            Error::Raised(Raised(inner)) => match inner.downcast_ref::<PyErr>() {
                Some(raised) => attached(|py| raised.clone_ref(py)),
                None => InternalError::new_err("a bug in rgrad: an exception lost its kind"),
            },
        }
    }
}

/// An error of a class that `register` made of two.
fn of_two(class: &OnceLock<Py<PyAny>>, text: String) -> PyErr {
    attached(
        |py| match class.get().map(|c| c.bind(py).cast::<PyType>()) {
            Some(Ok(class)) => PyErr::from_type(class.clone(), text),
            _ => PyRuntimeError::new_err(text),
        },
    )
}

/// A Python exception on its way through the core: it comes out as the same object.
pub fn raised(error: PyErr) -> Error {
    Error::Raised(Raised(Arc::new(error)))
}

/// Adds the exception classes to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    m.add("InternalError", py.get_type::<InternalError>())?;
    let pairs = [
        (
            "IntegerDivisionByZero",
            py.get_type::<PyZeroDivisionError>(),
            &ZERO_DIVISION,
        ),
        (
            "InvalidPermutation",
            py.get_type::<PyAssertionError>(),
            &ASSERTION,
        ),
    ];
    for (name, first, place) in pairs {
        let both = (first, py.get_type::<PyRuntimeError>());
        let space = pyo3::types::PyDict::new(py);
        space.set_item("__module__", "torch")?;
        let class = callback::call(&py.get_type::<PyType>(), (name, both, space))?;
        m.add(name, &class)?;
        let _ = place.set(class.unbind());
    }
    Ok(())
}

/// Keeps panics that become exceptions off standard error.
pub fn quiet_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let ours = info.location().is_some_and(|l| l.file().contains("src"));
        if !ours || std::env::var_os("RGRAD_PANICS").is_some() {
            before(info);
        }
    }));
}

/// Runs `body`; a panic inside becomes the error it carries, or `InternalError`.
#[inline]
pub fn guard<R>(body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => Err(match panic.downcast::<Error>() {
            Ok(error) => PyErr::from(*error),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
                InternalError::new_err(format!("a bug in rgrad: {}", text.unwrap_or_default()))
            }
        }),
    }
}

/// [`guard`] for results of the core.
#[inline]
pub fn run<R>(body: impl FnOnce() -> Result<R>) -> PyResult<R> {
    guard(|| body().map_err(PyErr::from))
}
