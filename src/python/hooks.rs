//! Tables of hooks: what a user registered on a Variable or a node, and calling it.

use super::collect::Links;
use super::errors::raised;
use super::node::PyNode;
use super::variable::PyVariable;
use crate::engine::accumulate;
use crate::error::Result;
use crate::graph::variable::GradSlot;
use crate::graph::{Foreign, Incoming, NodeId, Outgoing, Var, Variable};
use crate::lock::plain::Mutex;
use crate::ops::copy::contiguous_copy;
use crate::ops::in_place::repeats;
use crate::python::callback;
use crate::python::interpreter::attached;
use crate::python::once::Once;
use crate::tensor::{DType, Device, Dims, Tensor, class_name, sizes_text};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::any::Any;
use std::sync::{Arc, Weak};

/// A Variable's table of hooks, as the graph keeps it.
#[pyclass(name = "_HookTable", module = "torch", frozen)]
pub struct PyTable {
    table: Mutex<Option<Py<PyAny>>>,
    /// The node that runs it; none for a leaf's.
    node: Option<NodeId>,
    pub links: Links,
}

#[pymethods]
impl PyTable {
    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        if let Some(table) = self.table.try_lock() {
            visit.call(&*table)?;
        }
        self.links.visit(&visit)
    }

    fn __clear__(&self) {
        let table = self.table.lock().take();
        drop(table);
        self.links.clear();
    }
}

/// A leaf's reference to its table.
pub struct TableOwner(pub Py<PyTable>);

impl Foreign for TableOwner {
    fn before(&self, incoming: &mut Incoming, create_graph: bool) -> Result<()> {
        attached(|py| {
            let Some(table) = self.0.get().table.lock().as_ref().map(|t| t.clone_ref(py)) else {
                return Ok(());
            };
            let total = incoming.first_mut().and_then(Option::take);
            let hooked = on_gradient(table.bind(py), total, create_graph)?;
            incoming.clear();
            incoming.push(hooked);
            Ok(())
        })
        .map_err(raised)
    }
}

/// The owner of a Variable's table, if it has one.
pub fn owner_of<R>(variable: &Variable, read: impl FnOnce(&TableOwner) -> R) -> Option<R> {
    let hooks = variable.hooks()?;
    let any: &dyn Any = &*hooks;
    any.downcast_ref::<TableOwner>().map(read)
}

/// A Variable's table, as `_backward_hooks` shows it.
pub fn table_of(py: Python<'_>, variable: &Variable) -> Option<Py<PyAny>> {
    owner_of(variable, |owner| {
        owner.0.get().table.lock().as_ref().map(|t| t.clone_ref(py))
    })?
}

/// An empty `OrderedDict`.
pub fn new_table(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: Once = Once::new();
    callback::call(CLASS.import(py, "collections", "OrderedDict")?, ())
}

/// Puts `hook` into a table; gives the handle that takes it out again.
pub fn add<'py>(
    table: &Bound<'py, PyAny>,
    hook: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: Once = Once::new();
    let class = CLASS.import(table.py(), "rgrad.utils.hooks", "RemovableHandle")?;
    let handle = callback::call(class, (table,))?;
    table.set_item(handle.getattr("id")?, hook)?;
    Ok(handle)
}

/// Fails for what nobody could call.
pub fn check_callable(hook: &Bound<'_, PyAny>) -> PyResult<()> {
    if hook.is_callable() {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "register_hook: a hook must be callable; got {}",
        hook.get_type().name()?
    )))
}

/// Makes `table` the Variable's; its node runs it from here on.
pub fn set_table(py: Python<'_>, variable: &Variable, table: Py<PyAny>) -> PyResult<()> {
    let history = variable.grad_fn()?;
    let mine = PyTable {
        table: Mutex::new(Some(table.clone_ref(py))),
        node: history.as_ref().map(|(handle, _)| handle.id()),
        links: Links::default(),
    };
    let mine = Py::new(py, mine)?;
    variable.set_hooks(Some(Arc::new(TableOwner(mine))));
    if let Some((handle, nr)) = history {
        let node = PyNode::wrap(py, handle)?;
        PyNode::hook_output(node.bind(py).cast::<PyNode>()?, nr, table)?;
    }
    Ok(())
}

/// The table to which a hook of the Variable goes: the one it has, unless another node made the
/// Variable since.
fn current_table<'py>(py: Python<'py>, variable: &Variable) -> PyResult<Bound<'py, PyAny>> {
    let node = variable.grad_fn()?.map(|(handle, _)| handle.id());
    let same = owner_of(variable, |owner| owner.0.get().node == node) == Some(true);
    if same && let Some(table) = table_of(py, variable) {
        return Ok(table.into_bound(py));
    }
    let table = new_table(py)?;
    set_table(py, variable, table.clone().unbind())?;
    Ok(table)
}

/// `v.register_hook(f)`.
pub fn register<'py>(variable: &Variable, hook: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if variable.volatile() {
        return Err(PyRuntimeError::new_err(
            "register_hook: cannot register a hook on a volatile Variable, which never gets a gradient; compute it from Variables that are not volatile",
        ));
    }
    if !variable.requires_grad() {
        return Err(PyRuntimeError::new_err(
            "register_hook: cannot register a hook on a Variable that doesn't require gradient; set requires_grad=True on it or on an input",
        ));
    }
    check_callable(hook)?;
    add(&current_table(hook.py(), variable)?, hook)
}

/// `retain_grad`: a hook among the others, which does not keep the Variable. Again after an
/// in-place op it moves to the node that made the Variable last.
pub fn retain(py: Python<'_>, variable: &Variable) -> PyResult<()> {
    let before = table_of(py, variable);
    let table = current_table(py, variable)?;
    if table.contains(RETAIN)? {
        return Ok(());
    }
    if let Some(before) = before.map(|table| table.into_bound(py))
        && before.contains(RETAIN)?
    {
        before.del_item(RETAIN)?;
    }
    let hook = Retain {
        slot: Arc::downgrade(&variable.grad_slot()),
    };
    table.set_item(RETAIN, Py::new(py, hook)?)
}

/// Its name in a table.
const RETAIN: &str = "retain_grad";

/// Keeps the gradient it is called with in a Variable's `.grad`.
#[pyclass(name = "_RetainGrad", module = "torch", frozen)]
struct Retain {
    slot: Weak<GradSlot>,
}

#[pymethods]
impl Retain {
    fn __call__(&self, gradient: Option<&Bound<'_, PyVariable>>) -> PyResult<()> {
        let Some((slot, gradient)) = self.slot.upgrade().zip(gradient) else {
            return Ok(());
        };
        let var = gradient.get().var.var()?;
        accumulate::retain(&slot, &var, !var.volatile)?;
        Ok(())
    }
}

/// The hook's name as the user knows it.
fn name_of(hook: &Bound<'_, PyAny>) -> String {
    let name = hook
        .getattr("__name__")
        .or_else(|_| hook.get_type().getattr("__name__"));
    name.map_or_else(|_| "a hook".into(), |name| name.to_string())
}

/// The hooks in `table` as they are now, so that they may be removed meanwhile.
fn hooks_in<'py>(table: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match table.cast::<PyDict>() {
        Ok(table) => Ok(table.values().iter().collect()),
        Err(_) => {
            let hooks = callback::items(&callback::call_method(table, "values", ())?)?;
            Ok(hooks.iter().collect())
        }
    }
}

/// A gradient as hooks and functions see it: volatile unless it is recorded.
pub fn object_of(py: Python<'_>, mut var: Var, create_graph: bool) -> PyResult<Py<PyAny>> {
    var.volatile |= !create_graph;
    if var.volatile {
        var.history = None;
    }
    PyVariable::fresh(py, var)
}

/// A gradient that a hook may also write to: where elements share memory it is a copy (E-9).
fn writable(gradient: &Var) -> Result<Var> {
    let mut var = accumulate::lent(gradient)?;
    if repeats(&var.tensor) {
        var.tensor = contiguous_copy(&var.tensor)?;
    }
    Ok(var)
}

/// A gradient that came back from a hook or function.
pub fn var_of(variable: &PyVariable, create_graph: bool) -> Result<Var> {
    if create_graph {
        return variable.var.var();
    }
    Ok(Var::from(variable.var.tensor()))
}

/// Calls the hooks of one Variable, each with what the one before made of the gradient.
pub fn on_gradient(
    table: &Bound<'_, PyAny>,
    total: Option<Var>,
    create_graph: bool,
) -> PyResult<Option<Var>> {
    let py = table.py();
    let hooks = hooks_in(table)?;
    if hooks.is_empty() {
        return Ok(total);
    }
    let looks = hooks.iter().all(|h| h.is_instance_of::<Retain>());
    let original = total.as_ref().map(Kind::of);
    // Hooks may change what they get in place: it becomes theirs, and with what it is after the last
    // of them, history included, the way goes on.
    let total = match &total {
        Some(var) if !looks => Some(writable(var)?),
        _ => total,
    };
    let mut current = match total {
        Some(var) => Some(object_of(py, var, create_graph)?),
        None => None,
    };
    for hook in hooks {
        let given = (current.as_ref().map(|c| c.clone_ref(py)),);
        let result = callback::call(&hook, given)?;
        if !result.is_none() {
            if !result.is_instance_of::<PyVariable>() {
                return Err(PyTypeError::new_err(format!(
                    "hook '{}' must return None or a Variable; it returned {}",
                    name_of(&hook),
                    result.get_type().name()?
                )));
            }
            if original.is_none() {
                return Err(PyRuntimeError::new_err(format!(
                    "hook '{}' can't replace a gradient that does not exist with a Variable; return None when the gradient is None",
                    name_of(&hook)
                )));
            }
            current = Some(result.unbind());
        }
        if let (Some(object), Some(original)) = (&current, &original) {
            let now = object.bind(py).cast::<PyVariable>()?.get().var.tensor();
            original.check(&now, &hook, "the gradient")?;
        }
    }
    let Some(object) = current else {
        return Ok(None);
    };
    Ok(Some(var_of(
        object.bind(py).cast::<PyVariable>()?.get(),
        create_graph,
    )?))
}

/// Calls the hooks of a node with the gradients of its inputs and outputs. `seen` is what
/// came in and how many inputs the node has.
pub fn on_node(
    table: &Bound<'_, PyAny>,
    seen: (&[Option<Var>], usize),
    outgoing: &mut Outgoing,
    create_graph: bool,
) -> PyResult<()> {
    let py = table.py();
    let hooks = hooks_in(table)?;
    if hooks.is_empty() {
        return Ok(());
    }
    let (incoming, edges) = seen;
    // As in `on_gradient`: what hooks get is theirs. Taken out one by one, so that the last of those
    // who share a gradient gets it as it is.
    let wrap = |var: Option<&Var>| match var {
        Some(var) => object_of(py, writable(var)?, create_graph),
        None => Ok(py.None()),
    };
    outgoing.resize(edges, None);
    let originals: Vec<Option<Kind>> = outgoing
        .iter()
        .map(|var| var.as_ref().map(Kind::of))
        .collect();
    let mut inputs = Vec::with_capacity(edges);
    for var in outgoing.iter_mut() {
        inputs.push(wrap(var.take().as_ref())?);
    }
    let outputs = incoming.iter().map(|var| wrap(var.as_ref()));
    let outputs = PyTuple::new(py, outputs.collect::<PyResult<Vec<_>>>()?)?.unbind();
    let mut inputs = PyTuple::new(py, inputs)?.unbind();
    for hook in hooks {
        let given = (inputs.bind(py), outputs.bind(py)).into_pyobject(py)?;
        let result = callback::call(&hook, &given)?;
        if result.is_none() {
            check_all(inputs.bind(py), &originals, &hook)?;
            continue;
        }
        let Ok(tuple) = result.cast::<PyTuple>() else {
            return Err(PyTypeError::new_err(format!(
                "hook '{}' must return None or a tuple of Variables; it returned {}",
                name_of(&hook),
                result.get_type().name()?
            )));
        };
        if tuple.len() != edges {
            return Err(PyRuntimeError::new_err(format!(
                "hook '{}' returned an incorrect number of values: {} for {edges} inputs; return one for each",
                name_of(&hook),
                tuple.len()
            )));
        }
        if let Some(wrong) = tuple
            .iter()
            .find(|v| !v.is_none() && !v.is_instance_of::<PyVariable>())
        {
            return Err(PyTypeError::new_err(format!(
                "hook '{}' must return Variables or None in its tuple; it returned {}",
                name_of(&hook),
                wrong.get_type().name()?
            )));
        }
        check_all(tuple, &originals, &hook)?;
        inputs = tuple.clone().unbind();
    }
    for (place, object) in outgoing.iter_mut().zip(inputs.bind(py).iter()) {
        *place = match object.cast::<PyVariable>() {
            Ok(variable) => Some(var_of(variable.get(), create_graph)?),
            Err(_) => None,
        };
    }
    Ok(())
}

/// What a hook must leave as it is: class, place and sizes of a gradient.
struct Kind {
    kind: (DType, Device),
    sizes: Dims,
}

impl Kind {
    fn of(gradient: &Var) -> Kind {
        Kind {
            kind: gradient.tensor.kind(),
            sizes: Dims::from_slice(gradient.sizes()),
        }
    }

    fn check(&self, now: &Tensor, hook: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
        if now.kind() == self.kind && now.sizes() == self.sizes.as_slice() {
            return Ok(());
        }
        let (dtype, device) = self.kind;
        Err(PyRuntimeError::new_err(format!(
            "hook '{}' has changed the type or size of {what}: it was a {} of size {} and is a {} of size {}; return one like the gradient that came in",
            name_of(hook),
            class_name(dtype, device),
            sizes_text(&self.sizes),
            class_name(now.dtype(), now.device()),
            sizes_text(now.sizes())
        )))
    }
}

/// [`Kind::check`] for each gradient of a node's inputs.
fn check_all(
    now: &Bound<'_, PyTuple>,
    originals: &[Option<Kind>],
    hook: &Bound<'_, PyAny>,
) -> PyResult<()> {
    for (i, (now, was)) in now.iter().zip(originals).enumerate() {
        if let (Ok(now), Some(was)) = (now.cast::<PyVariable>(), was) {
            was.check(&now.get().var.tensor(), hook, &format!("gradient {i}"))?;
        }
    }
    Ok(())
}
