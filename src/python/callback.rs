//! Calling Python code from here: the thread may end inside it, so it is guarded before.
//!
//! A test sees to it that nothing in this layer calls a Python object past these functions. What
//! reads attributes or converts arguments runs in threads that are guarded already.

use super::ending::guard_this;
use pyo3::BoundObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// `callable(*args, **named)`.
pub fn call_with<'py>(
    callable: &Bound<'py, PyAny>,
    args: impl IntoPyObject<'py, Target = PyTuple>,
    named: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    guard_this();
    let args = args.into_pyobject(callable.py()).map_err(Into::into)?;
    callable.call(args.into_bound(), named)
}

/// `callable(*args)`.
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    args: impl IntoPyObject<'py, Target = PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    call_with(callable, args, None)
}

/// `object.name(*args)`.
pub fn call_method<'py>(
    object: &Bound<'py, PyAny>,
    name: &str,
    args: impl IntoPyObject<'py, Target = PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    guard_this();
    call(&object.getattr(name)?, args)
}

/// `iter(object)`.
pub fn iter<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    guard_this();
    object.try_iter().map(Bound::into_any)
}

/// `list(iterable)`.
pub fn items<'py>(iterable: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    guard_this();
    iterable
        .py()
        .get_type::<PyList>()
        .call1((iterable,))?
        .cast_into()
        .map_err(PyErr::from)
}
