//! Numbers in even steps whose spacing is not theirs.

use super::creation::{computed, floats_only};
use super::number::int_readers;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

int_readers! {
    logspace_steps = Tensors "logspace" "(number start, number end, int steps=100)";
}

/// `steps` powers of ten, from 10^start to 10^end, both included, with evenly spaced exponents.
#[pyfunction]
#[pyo3(signature = (start, end, steps=100, out=None))]
fn logspace<'py>(
    py: Python<'py>,
    start: f64,
    end: f64,
    #[pyo3(from_py_with = logspace_steps)] steps: i64,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    floats_only("logspace", out)?;
    if steps < 1 || (steps == 1 && start != end) {
        return Err(PyRuntimeError::new_err(format!(
            "logspace: {steps} steps cannot hold both 10^{start} and 10^{end}; ask for at least 2"
        )));
    }
    let width = if steps == 1 {
        0.0
    } else {
        (end - start) / (steps - 1) as f64
    };
    computed(py, "logspace", &[steps], out, |i| {
        10f64.powf(start + i as f64 * width)
    })
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(logspace, m)?)
}
