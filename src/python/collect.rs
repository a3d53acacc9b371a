//! Rings through the graph, made visible to Python's garbage collector.

use parking_lot::Mutex;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use std::sync::Arc;

/// References from one of our objects to others that it holds through the graph; there only while
/// the collector looks.
#[derive(Default)]
pub struct Links(Mutex<Option<Arc<Mutex<Held>>>>);

#[derive(Default)]
struct Held {
    to: Vec<Py<PyAny>>,
}

impl Links {
    /// Shows the references to the collector.
    pub fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let _ = visit;
        Ok(())
    }

    /// Drops them.
    pub fn clear(&self) {
        let held = self.0.lock().take();
        drop(held);
    }
}

/// A hook or function came into the graph.
pub fn something_foreign() {}

/// Python got another reference into the graph.
#[inline(always)]
pub fn something_new() {}
