//! Functions that users write, in both styles. The context of one call is the graph's node;
//! the node keeps it, and it keeps the tensors that were saved, never the node.

mod apply;
mod back;
mod results;

pub use apply::*;
pub use back::{back, free};

use super::classes;
use super::node::PyNode;
use super::variable::PyVariable;
use crate::graph::{Var, Variable};
use crate::lock::plain::Mutex;
use crate::python::callback;
use crate::tensor::{DType, Device, Dims, Tensor};
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// What contexts and old-style Functions share.
#[pyclass(extends = PyNode, name = "_FunctionBase", module = "torch._C", subclass, frozen)]
pub struct PyFunction {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the user asked for while forward ran.
    marks: Marks,
    needs_input_grad: Option<Py<PyTuple>>,
    /// One for each argument.
    arguments: Vec<Argument>,
    /// One for each result.
    outputs: Vec<Kind>,
    saved: Vec<Option<Kept>>,
    /// What was saved is given back.
    freed: bool,
    /// Forward has begun.
    used: bool,
}

/// What the user asked for, tuple by tuple.
#[derive(Default)]
struct Marks {
    save: Option<Py<PyTuple>>,
    dirty: Option<Py<PyTuple>>,
    shared: Option<Py<PyTuple>>,
    non_differentiable: Option<Py<PyTuple>>,
}

/// Class, place and sizes of a tensor.
#[derive(Clone)]
struct Kind {
    dtype: DType,
    device: Device,
    sizes: Dims,
}

impl Kind {
    fn of(tensor: &Tensor) -> Kind {
        Kind {
            dtype: tensor.dtype(),
            device: tensor.device(),
            sizes: Dims::from_slice(tensor.sizes()),
        }
    }

    fn zeros(&self) -> crate::error::Result<Tensor> {
        crate::ops::device::zeros("backward", self.dtype, self.device, &self.sizes)
    }
}

/// An argument of the call; none for what is no Variable.
type Argument = Option<Input>;

struct Input {
    kind: Kind,
    requires_grad: bool,
}

/// A tensor saved for backward.
struct Kept {
    tensor: Tensor,
    version: u32,
    from: From,
}

#[derive(Clone, Copy)]
enum From {
    /// The Variable argument with this number, counting Variables only.
    Input(usize),
    Output(usize),
}

#[pymethods]
impl PyFunction {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<PyFunction> {
        PyClassInitializer::from(PyNode::unrecorded()).add_subclass(PyFunction {
            state: Mutex::new(State::default()),
        })
    }

    /// Accepts what a subclass gives on: there is nothing to set up.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {}

    /// Runs the Function on Variables and other arguments.
    #[classmethod]
    #[pyo3(signature = (*args))]
    fn apply(
        cls: &Bound<'_, pyo3::types::PyType>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        apply::new_style(cls, args)
    }

    /// Runs an old-style Function.
    #[pyo3(signature = (*args))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        callback::call_method(slf, "_do_forward", args)
    }

    /// What calling an old-style Function does.
    #[pyo3(signature = (*args))]
    fn _do_forward(slf: &Bound<'_, Self>, args: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        apply::old_style(slf, args)
    }

    /// Keeps tensors, which must be arguments or results of this call, for backward.
    #[pyo3(signature = (*tensors))]
    fn save_for_backward(&self, tensors: Py<PyTuple>) {
        let old = self.state.lock().marks.save.replace(tensors);
        drop(old);
    }

    /// Says which arguments forward changed in place.
    #[pyo3(signature = (*args))]
    fn mark_dirty(&self, args: Py<PyTuple>) {
        let old = self.state.lock().marks.dirty.replace(args);
        drop(old);
    }

    /// Says which results share memory with which arguments: pairs of argument and result.
    #[pyo3(signature = (*pairs))]
    fn mark_shared_storage(&self, pairs: Py<PyTuple>) {
        let old = self.state.lock().marks.shared.replace(pairs);
        drop(old);
    }

    /// Says which results have no gradient.
    #[pyo3(signature = (*args))]
    fn mark_non_differentiable(&self, args: Py<PyTuple>) {
        let old = self.state.lock().marks.non_differentiable.replace(args);
        drop(old);
    }

    #[getter]
    fn to_save(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        self.state
            .lock()
            .marks
            .save
            .as_ref()
            .map(|t| t.clone_ref(py))
    }

    #[getter]
    fn dirty_tensors(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        self.state
            .lock()
            .marks
            .dirty
            .as_ref()
            .map(|t| t.clone_ref(py))
    }

    #[getter]
    fn shared_pairs(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        self.state
            .lock()
            .marks
            .shared
            .as_ref()
            .map(|t| t.clone_ref(py))
    }

    #[getter]
    fn non_differentiable(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        let state = self.state.lock();
        state
            .marks
            .non_differentiable
            .as_ref()
            .map(|t| t.clone_ref(py))
    }

    /// Which arguments want a gradient; False for those that are no Variables.
    #[getter]
    fn needs_input_grad(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        self.state
            .lock()
            .needs_input_grad
            .as_ref()
            .map(|t| t.clone_ref(py))
    }

    /// What was saved, as raw tensors.
    #[getter]
    fn saved_tensors(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let wrap = |kept: Option<(Tensor, From)>| match kept {
            Some((tensor, _)) => classes::wrap(py, tensor),
            None => Ok(py.None()),
        };
        let items = saved(slf)?
            .into_iter()
            .map(wrap)
            .collect::<PyResult<Vec<_>>>()?;
        Ok(PyTuple::new(py, items)?.into_any().unbind())
    }

    /// What was saved, as Variables with their history.
    #[getter]
    fn saved_variables(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let mut items = Vec::new();
        for kept in saved(slf)? {
            items.push(match kept {
                Some((tensor, from)) => variable_of(slf, tensor, from)?,
                None => py.None(),
            });
        }
        Ok(PyTuple::new(py, items)?.into_any().unbind())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        let Some(state) = self.state.try_lock() else {
            return Ok(());
        };
        let marks = &state.marks;
        for tuple in [
            &marks.save,
            &marks.dirty,
            &marks.shared,
            &marks.non_differentiable,
        ] {
            visit.call(tuple)?;
        }
        visit.call(&state.needs_input_grad)
    }

    fn __clear__(&self) {
        let old = std::mem::take(&mut *self.state.lock());
        drop(old);
    }
}

/// What was saved, checked to be there and unchanged.
fn saved(slf: &Bound<'_, PyFunction>) -> PyResult<Vec<Option<(Tensor, From)>>> {
    let name = slf.get_type().name()?;
    let state = slf.get().state.lock();
    if state.freed {
        return Err(PyRuntimeError::new_err(format!(
            "{name}: Trying to backward through the graph a second time, but the buffers have already been freed; specify retain_graph=True when calling backward the first time"
        )));
    }
    let mut found = Vec::with_capacity(state.saved.len());
    for (i, kept) in state.saved.iter().enumerate() {
        let Some(kept) = kept else {
            found.push(None);
            continue;
        };
        if kept.tensor.version() != kept.version {
            return Err(PyRuntimeError::new_err(format!(
                "{name}: one of the variables needed for gradient computation has been modified by an inplace operation: saved tensor {i} had version {} when it was saved and has {} now; clone() it before changing it",
                kept.version,
                kept.tensor.version()
            )));
        }
        found.push(Some((kept.tensor.clone(), kept.from)));
    }
    Ok(found)
}

/// A saved tensor as the Variable it was: the leaf itself where it is one.
fn variable_of(slf: &Bound<'_, PyFunction>, tensor: Tensor, from: From) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let node = slf.as_super().get();
    let history = match from {
        From::Input(i) => node.next().into_iter().nth(i).flatten(),
        From::Output(nr) => node.handle().map(|handle| (handle, nr as u32)),
    };
    if let Some((handle, _)) = &history
        && let Some(leaf) = handle.leaf()
        && leaf.tensor().ptr() == tensor.ptr()
    {
        return Ok(PyVariable::wrap(py, leaf)?.into_any());
    }
    let variable = Variable::new(Var {
        tensor,
        history,
        volatile: false,
    });
    Ok(PyVariable::wrap(py, variable)?.into_any())
}
