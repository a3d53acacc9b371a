//! Python objects that are looked up once.
//!
//! PyO3's own cell runs the look-up inside: a process that forks meanwhile leaves its child waiting
//! for a thread that it does not have. Here two threads may both look, and the first to end wins.

use pyo3::prelude::*;
use std::sync::OnceLock;

/// A place for an object.
pub struct Once(OnceLock<Py<PyAny>>);

impl Once {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "it is made in statics")]
    pub const fn new() -> Once {
        Once(OnceLock::new())
    }

    /// Whether it has its object.
    pub fn is_there(&self) -> bool {
        self.0.get().is_some()
    }

    /// `module.name`.
    pub fn import<'a, 'py>(
        &'a self,
        py: Python<'py>,
        module: &str,
        name: &str,
    ) -> PyResult<&'a Bound<'py, PyAny>> {
        if let Some(object) = self.0.get() {
            return Ok(object.bind(py));
        }
        let found = py.import(module)?.getattr(name)?.unbind();
        Ok(self.0.get_or_init(|| found).bind(py))
    }
}
