//! Graph nodes as Python sees them: one class for each kind, made when first asked for.

use super::variable::PyVariable;
use crate::engine;
use crate::graph::NodeId;
use crate::graph::arena::Handle;
use parking_lot::Mutex;
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType, PyWeakrefMethods, PyWeakrefReference};
use std::cell::RefCell;
use std::collections::HashMap;

/// A recorded operation.
#[pyclass(name = "_Node", module = "torch", subclass, weakref, dict, frozen)]
pub struct PyNode {
    pub handle: Handle,
}

thread_local! {
    /// The node that the next object is made for: Python's constructor takes no Rust values.
    static NEXT: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// Classes by name.
static CLASSES: Mutex<Option<HashMap<&'static str, Py<PyType>>>> = Mutex::new(None);
/// Objects that live, so that a node is one object while somebody holds it.
static OBJECTS: Mutex<Option<HashMap<NodeId, Py<PyWeakrefReference>>>> = Mutex::new(None);

impl Drop for PyNode {
    fn drop(&mut self) {
        if let Some(objects) = OBJECTS.lock().as_mut() {
            objects.remove(&self.handle.id());
        }
    }
}

impl PyNode {
    /// The object of a node.
    pub fn wrap(py: Python<'_>, handle: Handle) -> PyResult<Py<PyAny>> {
        let known = OBJECTS
            .lock()
            .as_ref()
            .and_then(|o| o.get(&handle.id()).map(|r| r.clone_ref(py)));
        if let Some(object) = known.and_then(|r| r.bind(py).upgrade()) {
            return Ok(object.unbind());
        }
        let id = handle.id();
        let class = class_for(py, handle.rule().node)?;
        NEXT.set(Some(handle));
        let object = class.bind(py).call0()?;
        let weak = PyWeakrefReference::new(&object)?.unbind();
        let old = OBJECTS.lock().get_or_insert_default().insert(id, weak);
        drop(old);
        Ok(object.unbind())
    }
}

fn class_for(py: Python<'_>, name: &'static str) -> PyResult<Py<PyType>> {
    if let Some(class) = CLASSES.lock().as_ref().and_then(|c| c.get(name)) {
        return Ok(class.clone_ref(py));
    }
    let space = PyDict::new(py);
    // Native nodes have no module in their name.
    space.set_item("__module__", "builtins")?;
    let class = py
        .get_type::<PyType>()
        .call1((name, (py.get_type::<PyNode>(),), space))?;
    let class = class.cast_into::<PyType>()?.unbind();
    CLASSES
        .lock()
        .get_or_insert_default()
        .insert(name, class.clone_ref(py));
    Ok(class)
}

#[pymethods]
impl PyNode {
    #[new]
    fn new() -> PyResult<PyNode> {
        match NEXT.take() {
            Some(handle) => Ok(PyNode { handle }),
            None => Err(PyTypeError::new_err(
                "graph nodes are made by operations on Variables, not by hand",
            )),
        }
    }

    /// Where the inputs came from: (node or None, output number) for each.
    #[getter]
    fn next_functions(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut items: Vec<Bound<'_, PyTuple>> = Vec::new();
        for next in engine::next_functions(&self.handle) {
            items.push(match next {
                Some((handle, nr)) => (PyNode::wrap(py, handle)?, nr).into_pyobject(py)?,
                None => (py.None(), 0).into_pyobject(py)?,
            });
        }
        Ok(PyTuple::new(py, items)?.into_any().unbind())
    }

    #[getter]
    fn requires_grad(&self) -> bool {
        true
    }

    /// The leaf that an AccumulateGrad node adds into.
    #[getter]
    fn variable(&self, py: Python<'_>) -> PyResult<Py<PyVariable>> {
        match self.handle.leaf() {
            Some(leaf) => {
                let object = PyVariable::wrap(py, leaf)?;
                object.get().hold_grad();
                Ok(object)
            }
            None => Err(PyAttributeError::new_err(format!(
                "'{}' object has no attribute 'variable'; only AccumulateGrad has",
                self.handle.rule().node
            ))),
        }
    }

    /// The name of the node's class.
    fn name(&self) -> &'static str {
        self.handle.rule().node
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        format!(
            "<{} object at {:#x}>",
            slf.get().handle.rule().node,
            slf.as_ptr() as usize
        )
    }
}
