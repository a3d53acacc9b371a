//! What the machine has and rgrad uses of it: threads, processor features, adapters.

use super::errors::run;
use super::number::int_readers;
use crate::cpu::pool;
use crate::ops::device;
use crate::python::interpreter::released;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

int_readers! {
    thread_count = Tensors "set_num_threads" "(int n)";
}

/// How many threads loops may use.
#[pyfunction]
fn get_num_threads() -> usize {
    pool::threads()
}

/// Sets how many threads loops may use; results do not depend on it.
#[pyfunction]
fn set_num_threads(#[pyo3(from_py_with = thread_count)] n: i64) -> PyResult<()> {
    if n < 1 {
        return Err(PyRuntimeError::new_err(format!(
            "set_num_threads: needs a positive number; got {n}"
        )));
    }
    if n > pool::MOST as i64 {
        return Err(PyRuntimeError::new_err(format!(
            "set_num_threads: {n} threads are more than the {} that can be used; give a smaller number",
            pool::MOST
        )));
    }
    pool::set_threads(n as usize);
    Ok(())
}

/// Processor features that loops are compiled for and this machine has.
#[pyfunction]
fn _cpu_features() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if is_x86_feature_detected!("avx2") {
            return "AVX2";
        }
    }
    "baseline"
}

/// (name, kind, driver) of each adapter that could be used.
#[pyfunction]
fn _gpu_adapters(py: Python<'_>) -> Vec<String> {
    released(py, || {
        crate::gpu::adapters()
            .iter()
            .map(|a| format!("{a:?}"))
            .collect()
    })
}

#[pyfunction]
fn _gpu_is_available(py: Python<'_>) -> bool {
    released(py, crate::gpu::is_available)
}

#[pyfunction]
fn _gpu_device_count(py: Python<'_>) -> usize {
    released(py, crate::gpu::device_count)
}

#[pyfunction]
fn _gpu_device_name(py: Python<'_>) -> PyResult<String> {
    released(py, || run(|| Ok(crate::gpu::device_name()?.to_string())))
}

/// Every shader text that is sent, as JSON: for the tests that run them elsewhere.
#[pyfunction]
fn _gpu_manifest() -> String {
    device::manifest()
}

#[pyfunction]
fn _gpu_synchronize(py: Python<'_>) -> PyResult<()> {
    released(py, || run(crate::gpu::synchronize))
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(get_num_threads, m)?)?;
    m.add_function(wrap_pyfunction!(set_num_threads, m)?)?;
    m.add_function(wrap_pyfunction!(_cpu_features, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_adapters, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_is_available, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_device_count, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_device_name, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_synchronize, m)?)?;
    m.add_function(wrap_pyfunction!(_gpu_manifest, m)?)?;
    Ok(())
}
