//! Variables: a tensor with flags, history and `.grad`. Methods of ops come from the table.

use crate::python::callback;
use crate::python::classes;
use crate::python::collect::{self, Links};
use crate::python::hooks;
use crate::python::indexing;
use crate::python::node::PyNode;
use crate::python::table;
use crate::python::tensor::PyTensor;
mod convert;
mod memory;
mod query;
mod shape;

use crate::graph::arena::{self, Handle};
use crate::graph::{Var, Variable};
use crate::lock::plain::Mutex;
use crate::tensor::{DType, Held, class_name, sizes_text};
use pyo3::exceptions::{PyAttributeError, PyNotImplementedError, PyRuntimeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A tensor that remembers how it was computed.
#[pyclass(
    name = "Variable",
    module = "torch.autograd.variable",
    subclass,
    weakref,
    dict,
    frozen
)]
pub struct PyVariable {
    pub var: Variable,
    /// Keeps a leaf's accumulator, so that not every small graph makes and drops one.
    accumulator: Mutex<Option<Handle>>,
    /// The object that `.data` is.
    data: Mutex<Option<Py<PyAny>>>,
    name: Mutex<Option<String>>,
    /// This object's own note, as the Variable has it.
    note: AtomicUsize,
    pub links: Links,
}

impl Drop for PyVariable {
    fn drop(&mut self) {
        // The interpreter's lock orders this with `wrap`, so plain loads and stores are enough.
        let noted = self.var.wrapper();
        if noted.load(Relaxed) == self.note.load(Relaxed) {
            noted.store(0, Relaxed);
        }
    }
}

impl PyVariable {
    fn from(var: Variable) -> PyVariable {
        PyVariable {
            var,
            accumulator: Mutex::new(None),
            data: Mutex::new(None),
            name: Mutex::new(None),
            note: AtomicUsize::new(0),
            links: Links::default(),
        }
    }

    /// The object of `var`: the one it has, or a fresh one.
    #[inline]
    pub fn wrap(py: Python<'_>, var: Variable) -> PyResult<Py<PyVariable>> {
        if let Some(object) = table::noted(py, var.wrapper().load(Relaxed)) {
            return Ok(object.cast_into::<PyVariable>()?.unbind());
        }
        collect::something_new();
        let object = Py::new(py, PyVariable::from(var))?;
        object.get().note_down(object.as_ptr() as usize);
        Ok(object)
    }

    /// A fresh value as an object.
    #[inline(always)]
    pub fn fresh(py: Python<'_>, var: Var) -> PyResult<Py<PyAny>> {
        let object = Py::new(py, PyVariable::from(Variable::new(var)))?;
        object.get().note_down(object.as_ptr() as usize);
        Ok(object.into_any())
    }

    fn note_down(&self, address: usize) {
        self.note.store(address, Relaxed);
        self.var.wrapper().store(address, Relaxed);
    }

    /// Makes a leaf's accumulator last as long as this object.
    pub fn hold_accumulator(&self) {
        if self.var.is_leaf() && self.var.requires_grad() {
            // Without room for a node the first recorded op will say so.
            *self.accumulator.lock() = arena::accumulator(&self.var).ok();
        }
    }

    /// For the search for rings: the accumulator that this object holds.
    pub fn held_accumulator(&self) -> Option<Handle> {
        self.accumulator.lock().clone()
    }

    /// Makes `object` what `.data` is.
    pub fn set_data_object(&self, object: Py<PyAny>) {
        let old = self.data.lock().replace(object);
        drop(old);
    }

    /// The user's name for it, if it was given one.
    pub fn name(&self) -> Option<String> {
        self.name.lock().clone()
    }
}

/// A flag that must be True or False (E-7).
fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.cast::<PyBool>() {
        Ok(b) => Ok(b.is_true()),
        Err(_) => Err(PyRuntimeError::new_err(format!(
            "{name} must be a bool; got {}",
            value.get_type().name()?
        ))),
    }
}

#[pymethods]
impl PyVariable {
    #[new]
    #[pyo3(signature = (data=None, requires_grad=None, volatile=None, _grad_fn=None, name=None))]
    fn new(
        py: Python<'_>,
        data: Option<&Bound<'_, PyAny>>,
        requires_grad: Option<&Bound<'_, PyAny>>,
        volatile: Option<&Bound<'_, PyAny>>,
        _grad_fn: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyVariable> {
        let name = match name.filter(|name| !name.is_none()) {
            None => None,
            Some(name) => Some(name.extract::<String>().map_err(|_| {
                PyTypeError::new_err(format!(
                    "Variable: name has to be a str or None; got {}",
                    crate::python::call::kind_name(name)
                ))
            })?),
        };
        let requires_grad = requires_grad.map_or(Ok(false), |v| flag("requires_grad", v))?;
        let volatile = volatile.map_or(Ok(false), |v| flag("volatile", v))?;
        if requires_grad && volatile {
            return Err(PyRuntimeError::new_err(
                "Variable can't be volatile and require_grad at the same time; drop either volatile=True or requires_grad=True",
            ));
        }
        let history = match _grad_fn.filter(|f| !f.is_none()) {
            None => None,
            Some(f) => match f.cast::<PyNode>() {
                Ok(node) => match PyNode::handle(node)? {
                    Some(handle) => Some((handle, 0)),
                    None => {
                        return Err(PyRuntimeError::new_err(
                            "Variable: _grad_fn is a Function in no graph; call it on Variables that require grad first",
                        ));
                    }
                },
                Err(_) => {
                    return Err(PyRuntimeError::new_err(format!(
                        "Variable: _grad_fn has to be a Function object or None; got {}",
                        f.get_type().name()?
                    )));
                }
            },
        };
        let object = match data {
            Some(object) if !object.is_none() => object.clone().unbind(),
            _ => classes::wrap(
                py,
                crate::tensor::Tensor::empty("Variable", DType::F32, &[])?,
            )?,
        };
        let Ok(tensor) = object.bind(py).cast::<PyTensor>().cloned() else {
            return Err(PyRuntimeError::new_err(format!(
                "Variable data has to be a tensor, but got {}; build one with torch.Tensor(...) or torch.from_numpy(...)",
                object.bind(py).get_type().name()?
            )));
        };
        let place = tensor.get();
        // A second Variable on the same memory counts its own versions.
        let held = if place.tensor().claim() {
            place.share()
        } else {
            Held::from(place.tensor().with_own_version())
        };
        let made = PyVariable::from(Variable::around(held, requires_grad, volatile));
        *made.data.lock() = Some(object);
        *made.name.lock() = name;
        if history.is_some() {
            made.var.rebase(history, volatile);
        } else if requires_grad {
            made.hold_accumulator();
        }
        if volatile {
            made.var.note_volatile();
        }
        collect::something_new();
        Ok(made)
    }

    /// Notes the object's address once it has one.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(
        slf: &Bound<'_, Self>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) {
        slf.get().note_down(slf.as_ptr() as usize);
    }

    #[getter]
    pub fn data(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let me = slf.get();
        if let Some(object) = me.data.lock().as_ref() {
            return Ok(object.clone_ref(slf.py()));
        }
        let object = classes::wrap_held(slf.py(), me.var.share_data())?;
        *me.data.lock() = Some(object.clone_ref(slf.py()));
        Ok(object)
    }

    #[setter]
    fn set_data(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(tensor) = value.cast::<PyTensor>() else {
            return Err(PyRuntimeError::new_err(format!(
                "data: Variable data has to be a tensor, but got {}; for a Variable take its .data",
                value.get_type().name()?
            )));
        };
        let me = slf.get();
        me.var.set_data(tensor.get().share())?;
        let old = me.data.lock().replace(value.clone().unbind());
        drop(old);
        Ok(())
    }

    #[getter]
    fn grad(&self, py: Python<'_>) -> PyResult<Option<Py<PyVariable>>> {
        self.var.grad().map(|g| PyVariable::wrap(py, g)).transpose()
    }

    #[setter]
    fn set_grad(slf: &Bound<'_, Self>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let me = slf.get();
        let new = match value.filter(|v| !v.is_none()) {
            None => None,
            Some(value) => {
                let Ok(grad) = value.cast::<PyVariable>() else {
                    return Err(PyRuntimeError::new_err(format!(
                        "grad: expected a Variable or None; got {}",
                        value.get_type().name()?
                    )));
                };
                if grad.get().var.is(&me.var) {
                    return Err(PyRuntimeError::new_err(
                        "grad: a Variable cannot be its own gradient; give another one",
                    ));
                }
                let (have, want) = (grad.get().var.tensor(), me.var.tensor());
                if have.kind() != want.kind() || have.sizes() != want.sizes() {
                    return Err(PyRuntimeError::new_err(format!(
                        "grad: must be a {} of size {} as the Variable is; got a {} of size {}",
                        class_name(want.dtype(), want.device()),
                        sizes_text(want.sizes()),
                        class_name(have.dtype(), have.device()),
                        sizes_text(have.sizes())
                    )));
                }
                Some(grad.get().var.clone())
            }
        };
        if new.as_ref().is_some_and(|grad| !grad.is_leaf()) {
            crate::graph::cycles::suspect();
        }
        let slot = me.var.grad_slot();
        let old = std::mem::replace(&mut *slot.lock(), new);
        drop(old);
        Ok(())
    }

    #[getter(_grad)]
    fn grad_alias(&self, py: Python<'_>) -> PyResult<Option<Py<PyVariable>>> {
        self.grad(py)
    }

    #[setter(_grad)]
    fn set_grad_alias(slf: &Bound<'_, Self>, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        Self::set_grad(slf, value)
    }

    #[getter]
    fn requires_grad(&self) -> bool {
        self.var.requires_grad()
    }

    #[setter]
    fn set_requires_grad(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let on = flag("requires_grad", value)?;
        self.var.set_requires_grad(on)?;
        if on {
            self.hold_accumulator();
        }
        Ok(())
    }

    #[getter]
    fn volatile(&self) -> bool {
        self.var.volatile()
    }

    #[setter]
    fn set_volatile(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.var.set_volatile(flag("volatile", value)?)?)
    }

    #[getter]
    fn is_leaf(&self) -> bool {
        self.var.is_leaf()
    }

    #[getter]
    fn grad_fn(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let node = self.var.shown_grad_fn()?;
        node.map(|handle| PyNode::wrap(py, handle)).transpose()
    }

    #[getter]
    fn _grad_fn(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.grad_fn(py)
    }

    /// Forgets what made it: None is all that can be set.
    #[setter(_grad_fn)]
    fn set_grad_fn(&self, value: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        if let Some(value) = value.filter(|v| !v.is_none()) {
            return Err(PyRuntimeError::new_err(format!(
                "_grad_fn: can only be set to None; got {}",
                value.get_type().name()?
            )));
        }
        if self.var.base().is_some() && !self.var.has_own_history() {
            return Err(PyRuntimeError::new_err(
                "_grad_fn: a view cannot forget its history, which follows from its base; use detach()",
            ));
        }
        let wants = self.var.requires_grad();
        self.var.rebase(None, false);
        if wants {
            self.var.set_requires_grad(true)?;
            self.hold_accumulator();
        }
        Ok(())
    }

    /// The names that resolve: `retains_grad` is one after `retain_grad()` only.
    fn __dir__<'py>(slf: &Bound<'py, Self>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let names = callback::call_method(&slf.py().get_type::<PyAny>(), "__dir__", (slf,))?;
        let retains = slf.get().var.retains_grad();
        let mut shown = Vec::new();
        for name in names.try_iter()? {
            let name = name?;
            if retains || !name.eq("retains_grad")? {
                shown.push(name);
            }
        }
        Ok(shown)
    }

    #[getter]
    fn output_nr(&self) -> u32 {
        self.var.output_nr()
    }

    #[getter]
    fn _version(&self) -> u32 {
        self.var.tensor().version()
    }

    #[getter]
    fn _base(&self, py: Python<'_>) -> PyResult<Option<Py<PyVariable>>> {
        self.var.base().map(|b| PyVariable::wrap(py, b)).transpose()
    }

    #[getter]
    fn retains_grad(&self) -> PyResult<bool> {
        if self.var.retains_grad() {
            return Ok(true);
        }
        Err(PyAttributeError::new_err(
            "Variable has no attribute retains_grad before retain_grad() was called",
        ))
    }

    #[getter(name)]
    fn get_name(&self) -> Option<String> {
        self.name()
    }

    #[setter(name)]
    fn set_name(&self, name: Option<String>) {
        *self.name.lock() = name;
    }

    fn __hash__(slf: &Bound<'_, Self>) -> usize {
        slf.as_ptr() as usize >> 4
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().name()?.to_string();
        Ok(format!(
            "{class} containing:{}",
            crate::python::creation::text_of(&slf.get().var.tensor())?
        ))
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        indexing::var_get(py, &self.var, index)
    }

    /// `self[indices]`; a list is of Variables, one for each dimension.
    fn index(&self, py: Python<'_>, indices: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        indexing::var_get(py, &self.var, &indexing::together(indices)?)
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        indexing::var_set(&self.var, index, value)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let me = slf.get();
        let n = me.var.tensor().sizes().first().copied().unwrap_or(0);
        let items = crate::python::table::list(py, n as usize, |i| {
            let item = indexing::var_get(py, &me.var, i.into_pyobject(py)?.as_any())?;
            Ok(item.into_bound(py))
        })?;
        Ok(items.try_iter()?.into_any().unbind())
    }

    fn __invert__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "~ does not exist for Variables in 0.3; use 1 - v, or ~v.data on a ByteTensor",
        ))
    }

    fn __ipow__(&self, _other: &Bound<'_, PyAny>, _modulo: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyNotImplementedError::new_err(
            "in-place ** does not exist for Variables in 0.3; write v = v ** p",
        ))
    }

    /// Adds the gradients of this Variable with respect to the leaves that it came from into their
    /// `.grad`.
    ///
    /// What is ready runs first in, first out, in the same order in every run. Ctrl-C is answered
    /// between two nodes, and inside long operations.
    #[pyo3(signature = (gradient=None, retain_graph=None, create_graph=None, retain_variables=None))]
    fn backward(
        slf: &Bound<'_, Self>,
        gradient: Option<&Bound<'_, PyAny>>,
        retain_graph: Option<&Bound<'_, PyAny>>,
        create_graph: Option<&Bound<'_, PyAny>>,
        retain_variables: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let roots = [slf.clone()];
        let gradients = [gradient.cloned()];
        crate::python::autograd::backward_of(
            slf.py(),
            &roots,
            &gradients,
            retain_graph,
            create_graph,
            retain_variables,
        )
    }

    /// A leaf on the same data, without history.
    fn detach(&self, py: Python<'_>) -> PyResult<Py<PyVariable>> {
        PyVariable::wrap(
            py,
            Variable::leaf(self.var.tensor().alias(), false, self.var.volatile()),
        )
    }

    fn detach_(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let me = slf.get();
        if me.var.base().is_some() && !me.var.has_own_history() {
            return Err(PyRuntimeError::new_err(
                "detach_: cannot detach a view in place; use detach()",
            ));
        }
        me.var.rebase(None, false);
        Ok(slf.clone().into_any().unbind())
    }

    /// Calls `hook(gradient)` each time the total gradient of this Variable is known; a Variable that
    /// it returns replaces the gradient. Gives a handle with `remove()`.
    fn register_hook<'py>(&self, hook: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        hooks::register(&self.var, hook)
    }

    #[getter]
    fn _backward_hooks(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        hooks::table_of(py, &self.var)
    }

    #[setter]
    #[pyo3(name = "_backward_hooks")]
    fn set_backward_hooks(&self, py: Python<'_>, table: Option<Py<PyAny>>) -> PyResult<()> {
        match table {
            Some(table) => {
                let bound = table.bind(py);
                if !bound.is_instance_of::<PyDict>() && !bound.hasattr("values")? {
                    return Err(PyTypeError::new_err(format!(
                        "_backward_hooks: must be a dict of hooks or None; got {}",
                        bound.get_type().name()?
                    )));
                }
                hooks::set_table(py, &self.var, table)
            }
            None => {
                self.var.set_hooks(None);
                Ok(())
            }
        }
    }

    /// Removed in 0.3; says so.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn reinforce(
        &self,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        Err(PyRuntimeError::new_err(
            "reinforce() was removed; use torch.distributions: loss = -distribution.log_prob(action) * reward, then loss.backward()",
        ))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(data) = self.data.try_lock() {
            visit.call(&*data)?;
        }
        self.links.visit(&visit)
    }

    fn __clear__(&self) {
        let data = self.data.lock().take();
        drop(data);
        self.links.clear();
    }

    fn retain_grad(&self, py: Python<'_>) -> PyResult<()> {
        if !self.var.requires_grad() {
            return Err(PyRuntimeError::new_err(
                "retain_grad: can't retain_grad on Variable that has requires_grad=False; set it on the leaves that this is computed from, before that",
            ));
        }
        if !self.var.is_leaf() {
            hooks::retain(py, &self.var)?;
            self.var.set_retains_grad();
        }
        Ok(())
    }
}
