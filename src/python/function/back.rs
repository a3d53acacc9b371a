//! Backward of a user's Function.

use super::PyFunction;
use super::twice::{Made, failing};
use crate::engine::accumulate;
use crate::error::{Error, Result};
use crate::graph::{Step, Var, with_recording};
use crate::python::callback;
use crate::python::classes;
use crate::python::errors::raised;
use crate::python::hooks::{object_of, var_of};
use crate::python::interpreter::attached;
use crate::python::node::PyNode;
use crate::python::tensor::PyTensor;
use crate::python::variable::PyVariable;
use crate::tensor::{Tensor, class_name, sizes_text};
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Drops what a Function saved.
pub fn free(node: &Bound<'_, PyNode>) {
    let Ok(function) = node.cast::<PyFunction>() else {
        return;
    };
    let mut state = function.get().state.lock();
    let old = std::mem::take(&mut state.saved);
    state.freed |= !old.is_empty();
    drop(state);
    drop(old);
}

/// The gradients of the inputs of the Function whose context is `context`.
pub fn back(context: &Py<PyNode>, step: &mut Step) -> Result<()> {
    // What a Function computes by itself is recorded as ever: its gradients are volatile unless a
    // graph of them is wanted.
    let create_graph = crate::graph::is_recording();
    attached(|py| {
        let Ok(context) = context.bind(py).cast::<PyFunction>() else {
            return Err(PyRuntimeError::new_err("this node has no function"));
        };
        with_recording(true, || run(context, step, create_graph))
    })
    .map_err(raised)
}

fn run(context: &Bound<'_, PyFunction>, step: &mut Step, create_graph: bool) -> PyResult<()> {
    let py = context.py();
    let name = step.rule.node;
    let forward_class = context.getattr("_forward_cls").ok();
    let mut gradients = Vec::new();
    let kinds = context.get().state.lock().outputs.clone();
    for (nr, kind) in kinds.iter().enumerate() {
        // Missing gradients are zeros. What is given may be changed in place.
        let var = match step.incoming.get(nr) {
            Some(Some(var)) if var.sizes() != kind.sizes.as_slice() => {
                return Err(step.rule.misfit(&kind.sizes, var.sizes()).into());
            }
            Some(Some(var)) => accumulate::lent(var)?,
            _ => Var::from(kind.zeros()?),
        };
        gradients.push(match &forward_class {
            Some(_) => object_of(py, var, create_graph)?,
            None => classes::wrap(py, var.tensor)?,
        });
    }
    let result = match &forward_class {
        Some(class) => {
            let backward = class.getattr("backward")?;
            if backward.getattr("_is_missing").is_ok() {
                return Err(PyNotImplementedError::new_err(format!(
                    "{name}: a Function must define backward to be differentiated, and {} does not",
                    class.getattr("__name__")?
                )));
            }
            gradients.insert(0, context.as_any().clone().unbind());
            callback::call(&backward, PyTuple::new(py, gradients)?)?
        }
        None => {
            let backward = context.getattr("backward")?;
            if backward.getattr("_is_missing").is_ok() {
                return Err(PyRuntimeError::new_err(format!(
                    "{name}: a Function must define backward to be differentiated, and this class does not"
                )));
            }
            callback::call(&backward, PyTuple::new(py, gradients)?)?
        }
    };
    let mut items: Vec<Bound<'_, PyAny>> = match result.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().collect(),
        Err(_) => vec![result.clone()],
    };
    let state = context.get().state.lock();
    let wanted: Vec<Option<(super::Kind, bool)>> = state
        .arguments
        .iter()
        .map(|a| a.as_ref().map(|a| (a.kind.clone(), a.requires_grad)))
        .collect();
    drop(state);
    while items.len() > wanted.len() && items.last().is_some_and(|i| i.is_none()) {
        items.pop();
    }
    if items.len() != wanted.len() {
        return Err(PyRuntimeError::new_err(format!(
            "{name}: backward returned an incorrect number of gradients (expected {}, got {}); return one for each argument of forward, None where there is none",
            wanted.len(),
            items.len()
        )));
    }
    let mut of: Vec<Made> = Vec::new();
    if create_graph {
        let incoming = step.incoming.iter().flatten();
        of.extend(incoming.map(|g| g.history.clone()));
        of.extend(context.as_super().get().next());
    }
    let mut at = 0;
    for (i, (object, argument)) in items.iter().zip(wanted).enumerate() {
        let Some((kind, requires_grad)) = argument else {
            if !object.is_none() {
                return Err(PyRuntimeError::new_err(format!(
                    "{name}: backward returned a gradient different than None at position {}, but the corresponding forward argument was not a Variable; return None there",
                    i + 1
                )));
            }
            continue;
        };
        let edge = at;
        at += 1;
        if object.is_none() {
            // Zeros are delivered where a gradient was wanted.
            if requires_grad {
                step.give(edge, Var::from(kind.zeros()?));
            }
            continue;
        }
        let var = match forward_class {
            Some(_) => match object.cast::<PyVariable>() {
                Ok(variable) => var_of(variable.get(), create_graph)?,
                Err(_) => return Err(wrong_kind(name, "a Variable", i, object)),
            },
            None => match object.cast::<PyTensor>() {
                Ok(tensor) => old_style(name, tensor.get().tensor(), &of)?,
                Err(_) => return Err(wrong_kind(name, "a tensor", i, object)),
            },
        };
        if !requires_grad {
            continue;
        }
        let given = &var.tensor;
        if given.sizes() != kind.sizes.as_slice() || given.kind() != (kind.dtype, kind.device) {
            return Err(PyRuntimeError::new_err(format!(
                "{name}: backward returned a {} of size {} at position {}, but the argument is a {} of size {}; return a gradient like the argument",
                class_name(given.dtype(), given.device()),
                sizes_text(given.sizes()),
                i + 1,
                class_name(kind.dtype, kind.device),
                sizes_text(&kind.sizes)
            )));
        }
        step.give(edge, var);
    }
    Ok(())
}

/// The gradient of an old-style Function: it cannot be differentiated again, by none of what
/// it depends on.
fn old_style(name: &str, tensor: Tensor, of: &[Made]) -> Result<Var> {
    if of.is_empty() {
        return Ok(Var::from(tensor));
    }
    failing(
        tensor,
        format!(
            "{name}: trying to differentiate twice a function that is not differentiable twice; write it in the new style, with static methods and Variables in backward"
        ),
        of,
    )
}

fn wrong_kind(name: &str, wanted: &str, i: usize, object: &Bound<'_, PyAny>) -> PyErr {
    let got = object
        .get_type()
        .name()
        .map_or_else(|_| "?".into(), |n| n.to_string());
    PyErr::from(Error::Runtime(format!(
        "{name}: backward must return {wanted} or None for each argument, but at position {} there is a {got}",
        i + 1
    )))
}
