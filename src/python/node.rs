//! Graph nodes as Python sees them: one class for each kind, made when first asked for.
//!
//! A plain wrapper keeps its node alive. The object of a node with hooks, or of a user's Function,
//! is kept by the node instead; it holds what the node leads to, so that walking on works after the
//! node is gone, and never the node itself, which would be a ring.

use super::collect::{self, Links};
use super::hooks;
use super::variable::PyVariable;
use crate::engine;
use crate::error::Result;
use crate::graph::arena::Handle;
use crate::graph::{Foreign, Incoming, NodeId, Outgoing, Rule, Step, Var, Variable, is_recording};
use crate::lock::plain::Mutex;
use crate::python::callback;
use crate::python::interpreter::{attached, released};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType, PyWeakrefMethods, PyWeakrefReference};
use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// A recorded operation.
#[pyclass(name = "_Node", module = "torch", subclass, weakref, dict, frozen)]
pub struct PyNode {
    state: Mutex<State>,
    pub links: Links,
}

struct State {
    hold: Hold,
    /// Tables of Variables' hooks, with the output each belongs to.
    before: Vec<(u32, Py<PyAny>)>,
    /// The table of the node's own hooks.
    after: Option<Py<PyAny>>,
}

/// An edge as a pair that keeps what it leads to.
type Next = Option<(Handle, u32)>;

enum Hold {
    /// Not recorded, or not yet.
    Nothing,
    Node(Handle),
    /// The node keeps this object.
    By(Box<Keeper>),
}

struct Keeper {
    node: NodeId,
    rule: &'static Rule,
    next: Vec<Next>,
    leaf: Option<Variable>,
}

/// A node's reference to the object that has its hooks and function.
pub struct Owner(pub Py<PyNode>);

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
        let id = match &self.state.get_mut().hold {
            Hold::Nothing => return,
            Hold::Node(handle) => handle.id(),
            Hold::By(keeper) => keeper.node,
        };
        let old = OBJECTS.lock().as_mut().and_then(|o| o.remove(&id));
        drop(old);
    }
}

impl PyNode {
    fn around(hold: Hold) -> PyNode {
        PyNode {
            state: Mutex::new(State {
                hold,
                before: Vec::new(),
                after: None,
            }),
            links: Links::default(),
        }
    }

    /// A node that is not recorded yet: the context of a Function.
    pub fn unrecorded() -> PyNode {
        PyNode::around(Hold::Nothing)
    }

    /// The object of a node.
    pub fn wrap(py: Python<'_>, handle: Handle) -> PyResult<Py<PyAny>> {
        if let Some(own) = owner_of(&handle, |owner| owner.0.clone_ref(py)) {
            return Ok(own.into_any());
        }
        let known = OBJECTS
            .lock()
            .as_ref()
            .and_then(|o| o.get(&handle.id()).map(|r| r.clone_ref(py)));
        if let Some(object) = known.and_then(|r| r.bind(py).upgrade()) {
            return Ok(object.unbind());
        }
        collect::something_new();
        let id = handle.id();
        let class = class_for(py, handle.rule().node)?;
        NEXT.set(Some(handle));
        let object = callback::call(class.bind(py), ())?;
        let weak = PyWeakrefReference::new(&object)?.unbind();
        let old = OBJECTS.lock().get_or_insert_default().insert(id, weak);
        drop(old);
        Ok(object.unbind())
    }

    /// Lets `handle`'s node keep this object, which then keeps what the node leads to.
    pub fn give_to(slf: &Bound<'_, PyNode>, handle: &Handle) {
        let keeper = Keeper {
            node: handle.id(),
            rule: handle.rule(),
            next: engine::next_functions(handle),
            leaf: handle.leaf(),
        };
        let old = std::mem::replace(&mut slf.get().state.lock().hold, Hold::By(Box::new(keeper)));
        handle.attach(Arc::new(Owner(slf.clone().unbind())));
        drop(old);
    }

    /// Makes sure that the node keeps this object, for hooks to be found there.
    fn settle(slf: &Bound<'_, PyNode>) {
        let handle = match &slf.get().state.lock().hold {
            Hold::Node(handle) => handle.clone(),
            _ => return,
        };
        PyNode::give_to(slf, &handle);
    }

    /// Runs the hooks in `table` on the gradient of output `nr` from here on.
    pub fn hook_output(slf: &Bound<'_, PyNode>, nr: u32, table: Py<PyAny>) {
        PyNode::settle(slf);
        slf.get().state.lock().before.push((nr, table));
    }

    /// The recorded node, while it lives.
    pub fn handle(&self) -> Option<Handle> {
        match &self.state.lock().hold {
            Hold::Nothing => None,
            Hold::Node(handle) => Some(handle.clone()),
            Hold::By(keeper) => Handle::to(keeper.node),
        }
    }

    /// What the node's inputs came from.
    pub fn next(&self) -> Vec<Next> {
        let handle = match &self.state.lock().hold {
            Hold::Nothing => return Vec::new(),
            Hold::By(keeper) => return keeper.next.clone(),
            Hold::Node(handle) => handle.clone(),
        };
        engine::next_functions(&handle)
    }

    fn rule(&self) -> Option<&'static Rule> {
        match &self.state.lock().hold {
            Hold::Nothing => None,
            Hold::Node(handle) => Some(handle.rule()),
            Hold::By(keeper) => Some(keeper.rule),
        }
    }

    fn leaf(&self) -> Option<Variable> {
        match &self.state.lock().hold {
            Hold::Nothing => None,
            Hold::Node(handle) => handle.leaf(),
            Hold::By(keeper) => keeper.leaf.clone(),
        }
    }

    /// For the search for rings: the node that this object holds, or all that it leads to.
    pub fn held(&self) -> Vec<Handle> {
        match &self.state.lock().hold {
            Hold::Nothing => Vec::new(),
            Hold::Node(handle) => vec![handle.clone()],
            Hold::By(keeper) => {
                let next = keeper.next.iter().flatten();
                next.map(|(handle, _)| handle.clone()).collect()
            }
        }
    }

    /// For the search for rings: the leaf that the object of an accumulator keeps.
    pub fn kept_leaf(&self) -> Option<Variable> {
        match &self.state.lock().hold {
            Hold::By(keeper) => keeper.leaf.clone(),
            _ => None,
        }
    }
}

/// What `read` makes of the object that the node keeps.
pub fn owner_of<R>(handle: &Handle, read: impl FnOnce(&Owner) -> R) -> Option<R> {
    let foreign = handle.foreign()?;
    let any: &dyn Any = &*foreign;
    any.downcast_ref::<Owner>().map(read)
}

/// How many of the operands of what `rule` stands for have a derivative: up to the last that has.
fn differentiable(rule: &Rule) -> usize {
    let op = crate::ops::all().find(|op| std::ptr::eq(&op.rule, rule));
    let last = op.filter(|op| !op.forms.list).and_then(|op| {
        let has = |name: &&str| op.formulas.iter().any(|f| f.of == *name);
        op.inputs.iter().rposition(has)
    });
    last.map_or(usize::MAX, |last| last + 1)
}

/// How many hooks run when the node runs.
pub fn hooks_on(py: Python<'_>, handle: &Handle) -> usize {
    let Some(node) = owner_of(handle, |owner| owner.0.clone_ref(py)) else {
        return 0;
    };
    let tables: Vec<Py<PyAny>> = {
        let state = node.get().state.lock();
        let before = state.before.iter().map(|(_, table)| table);
        let each = before.chain(state.after.as_ref());
        each.map(|table| table.clone_ref(py)).collect()
    };
    let lengths = tables.iter().map(|t| t.bind(py).len().unwrap_or(0));
    lengths.sum()
}

impl Foreign for Owner {
    fn before(&self, incoming: &mut Incoming, create_graph: bool) -> Result<()> {
        attached(|py| {
            let node = self.0.bind(py).get();
            let tables: Vec<(u32, Py<PyAny>)> = {
                let state = node.state.lock();
                let each = state.before.iter();
                each.map(|(nr, table)| (*nr, table.clone_ref(py))).collect()
            };
            for (nr, table) in tables {
                let nr = nr as usize;
                let total = incoming.get(nr).cloned().flatten();
                let hooked = hooks::on_gradient(table.bind(py), total, create_graph)?;
                while incoming.len() <= nr {
                    incoming.push(None);
                }
                incoming[nr] = hooked;
            }
            Ok(())
        })
        .map_err(super::errors::raised)
    }

    fn back(&self, step: &mut Step) -> Result<()> {
        super::function::back(&self.0, step)
    }

    fn after(
        &self,
        incoming: &Incoming,
        outgoing: &mut Outgoing,
        edges: usize,
        create_graph: bool,
    ) -> Result<()> {
        attached(|py| {
            let table = self
                .0
                .get()
                .state
                .lock()
                .after
                .as_ref()
                .map(|t| t.clone_ref(py));
            match table {
                Some(table) => {
                    let seen = (&incoming[..], edges);
                    hooks::on_node(table.bind(py), seen, outgoing, create_graph)
                }
                None => Ok(()),
            }
        })
        .map_err(super::errors::raised)
    }

    fn free(&self) {
        attached(|py| super::function::free(self.0.bind(py)));
    }
}

fn class_for(py: Python<'_>, name: &'static str) -> PyResult<Py<PyType>> {
    if let Some(class) = CLASSES.lock().as_ref().and_then(|c| c.get(name)) {
        return Ok(class.clone_ref(py));
    }
    let space = PyDict::new(py);
    // Native nodes have no module in their name.
    space.set_item("__module__", "builtins")?;
    let bases = (py.get_type::<PyNode>(),);
    let class = callback::call(&py.get_type::<PyType>(), (name, bases, space))?;
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
            Some(handle) => Ok(PyNode::around(Hold::Node(handle))),
            None => Err(PyTypeError::new_err(
                "graph nodes are made by operations on Variables, not by hand",
            )),
        }
    }

    /// Where the inputs came from: (node or None, output number) for each.
    #[getter]
    fn next_functions(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut items: Vec<Bound<'_, PyTuple>> = Vec::new();
        let mut all = self.next();
        all.truncate(self.rule().map_or(usize::MAX, differentiable));
        for next in all {
            items.push(match next {
                Some((handle, nr)) => (PyNode::wrap(py, handle)?, nr).into_pyobject(py)?,
                None => (py.None(), 0).into_pyobject(py)?,
            });
        }
        Ok(PyTuple::new(py, items)?.into_any().unbind())
    }

    #[getter]
    fn requires_grad(&self) -> bool {
        self.rule().is_some()
    }

    /// The leaf that an AccumulateGrad node adds into.
    #[getter]
    fn variable(&self, py: Python<'_>) -> PyResult<Py<PyVariable>> {
        match self.leaf() {
            Some(leaf) => {
                let object = PyVariable::wrap(py, leaf)?;
                object.get().hold_accumulator();
                Ok(object)
            }
            None => Err(PyAttributeError::new_err(format!(
                "'{}' object has no attribute 'variable'; only AccumulateGrad has",
                self.rule().map_or("_Node", |r| r.node)
            ))),
        }
    }

    /// Calls `hook(grad_inputs, grad_outputs)` each time after the node ran; what it returns
    /// replaces the gradients of the inputs. Gives a handle with `remove()`.
    fn register_hook<'py>(
        slf: &Bound<'py, Self>,
        hook: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        hooks::check_callable(hook)?;
        PyNode::settle(slf);
        let known = slf
            .get()
            .state
            .lock()
            .after
            .as_ref()
            .map(|t| t.clone_ref(py));
        let table = match known {
            Some(table) => table.into_bound(py),
            None => {
                let table = hooks::new_table(py)?;
                slf.get().state.lock().after = Some(table.clone().unbind());
                table
            }
        };
        hooks::add(&table, hook)
    }

    /// Runs the hooks of `variable` on its gradient when this node runs.
    fn _register_hook_dict(
        slf: &Bound<'_, Self>,
        variable: &Bound<'_, PyVariable>,
    ) -> PyResult<()> {
        let table = hooks::table_of(slf.py(), &variable.get().var);
        if let Some(table) = table {
            PyNode::hook_output(slf, variable.get().var.output_nr(), table);
        }
        Ok(())
    }

    /// The gradients that this node gives its inputs for those of its outputs.
    #[pyo3(signature = (*gradients))]
    fn __call__(slf: &Bound<'_, Self>, gradients: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Some(handle) = slf.get().handle() else {
            return Err(PyTypeError::new_err(
                "this node is in no graph; call the node of a Variable's grad_fn",
            ));
        };
        let mut incoming = Incoming::new();
        let mut volatile = false;
        for (i, gradient) in gradients.iter().enumerate() {
            incoming.push(match gradient.cast::<PyVariable>() {
                Ok(v) => {
                    volatile |= v.get().var.volatile();
                    Some(v.get().var.var()?)
                }
                Err(_) if gradient.is_none() => None,
                Err(_) => {
                    return Err(PyTypeError::new_err(format!(
                        "{}: argument {} must be a Variable or None; got {}",
                        handle.rule().node,
                        i + 1,
                        gradient.get_type().name()?
                    )));
                }
            });
        }
        let recorded = !volatile && is_recording();
        let found = released(py, || {
            super::errors::run(|| engine::run_node(&handle, incoming, recorded))
        })?;
        let wrap = |found: Option<Var>| match found {
            Some(mut var) => {
                var.volatile = volatile;
                PyVariable::fresh(py, var)
            }
            None => Ok(py.None()),
        };
        let mut items = found.into_iter().map(wrap).collect::<PyResult<Vec<_>>>()?;
        match items.len() {
            0 => Ok(py.None()),
            1 => Ok(items.remove(0)),
            _ => Ok(PyTuple::new(py, items)?.into_any().unbind()),
        }
    }

    /// The name of the node's class.
    fn name(slf: &Bound<'_, Self>) -> PyResult<String> {
        match slf.get().rule() {
            Some(rule) => Ok(rule.node.into()),
            None => Ok(slf.get_type().name()?.to_string()),
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type();
        let module = class.module()?.to_string();
        let prefix = match module.as_str() {
            "builtins" => String::new(),
            module => format!("{module}."),
        };
        Ok(format!(
            "<{prefix}{} object at {:#x}>",
            class.qualname()?,
            slf.as_ptr() as usize
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        // Locked by somebody means that it is in use.
        if let Some(state) = self.state.try_lock() {
            for (_, table) in &state.before {
                visit.call(table)?;
            }
            visit.call(&state.after)?;
        }
        self.links.visit(&visit)
    }

    fn __clear__(&self) {
        let mut state = self.state.lock();
        let tables = (std::mem::take(&mut state.before), state.after.take());
        // Only a ring keeps this object, and with it its node: opened here, it falls apart.
        let node = match &state.hold {
            Hold::By(keeper) => Handle::to(keeper.node),
            _ => None,
        };
        drop(state);
        drop(tables);
        self.links.clear();
        if let Some(node) = node {
            node.strip();
            collect::something_stripped();
        }
    }
}
