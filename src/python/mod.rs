//! The edge to Python.

pub mod indexing;

use crate::error::Error;
use pyo3::PyErr;
use pyo3::exceptions as py;

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        match error {
            Error::Type(text) => py::PyTypeError::new_err(text),
            Error::Value(text) => py::PyValueError::new_err(text),
            Error::Index(text) => py::PyIndexError::new_err(text),
            Error::Runtime(text) => py::PyRuntimeError::new_err(text),
            Error::ZeroDivision(text) => py::PyZeroDivisionError::new_err(text),
            Error::Memory(text) => py::PyMemoryError::new_err(text),
        }
    }
}
