//! From our errors to Python's exceptions.

use crate::error::Error;
use pyo3::PyErr;
use pyo3::exceptions::{
    PyIndexError, PyMemoryError, PyRuntimeError, PyTypeError, PyValueError, PyZeroDivisionError,
};

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        match error {
            Error::Type(text) => PyTypeError::new_err(text),
            Error::Value(text) => PyValueError::new_err(text),
            Error::Index(text) => PyIndexError::new_err(text),
            Error::Runtime(text) => PyRuntimeError::new_err(text),
            Error::ZeroDivision(text) => PyZeroDivisionError::new_err(text),
            Error::Memory(text) => PyMemoryError::new_err(text),
        }
    }
}
