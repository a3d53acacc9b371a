//! What may not pass for right: second derivatives that a function does not compute, and results that
//! change with each other.

use crate::graph::arena::{self, Extra, Handle, Payload};
use crate::graph::{Origin, Rule, Var, rule};
use crate::python::node::PyNode;
use crate::python::variable::PyVariable;
use crate::tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::Arc;

/// What made a value, and as which output.
pub type Made = Option<(Handle, u32)>;

/// Edges to what made values.
pub fn origins<'a>(made: &'a [Made]) -> impl ExactSizeIterator<Item = Origin<'static>> + 'a {
    made.iter().map(|made| match made {
        Some((node, nr)) => Origin::Node(node.id(), *nr),
        None => Origin::None,
    })
}

/// Variables on the data of `variables` whose history ends in an error: what a function that is not
/// differentiable twice gives back for `gradients`. `context` is its node.
#[pyfunction]
#[pyo3(signature = (message, context, gradients, *variables))]
pub fn _delayed_error(
    py: Python<'_>,
    message: String,
    context: &Bound<'_, PyAny>,
    gradients: &Bound<'_, PyTuple>,
    variables: &Bound<'_, PyTuple>,
) -> PyResult<Py<PyAny>> {
    let mut of: Vec<Made> = Vec::new();
    for gradient in gradients.iter() {
        if let Ok(gradient) = gradient.cast::<PyVariable>() {
            of.push(gradient.get().var.var()?.history);
        }
    }
    if let Ok(node) = context.cast::<PyNode>() {
        of.extend(node.get().next());
    }
    let mut made = Vec::new();
    for object in variables.iter() {
        let Ok(variable) = object.cast::<PyVariable>() else {
            made.push(object.unbind());
            continue;
        };
        let var = failing(variable.get().var.tensor(), message.clone(), &of)?;
        made.push(PyVariable::fresh(py, var)?);
    }
    Ok(PyTuple::new(py, made)?.into_any().unbind())
}

/// A value whose history is one node that reports `message` when it runs. It leads to `of`, all that
/// the value depends on: a way back to none of them does not run it.
pub fn failing(tensor: Tensor, message: String, of: &[Made]) -> crate::error::Result<Var> {
    struct Failure(String);
    impl crate::graph::Foreign for Failure {
        fn back(&self, _step: &mut crate::graph::Step) -> crate::error::Result<()> {
            Err(crate::error::Error::Runtime(self.0.clone()))
        }
    }
    static ERROR: Rule = Rule {
        node: "Error",
        saves: |_| 0,
        inputs: 0,
        back: Some(rule::by_foreign),
    };
    let payload = Payload {
        extra: Some(Box::new(Extra {
            foreign: Some(Arc::new(Failure(message))),
            ..Extra::default()
        })),
        ..Payload::default()
    };
    let handle = arena::record(&ERROR, origins(of), payload)?;
    Ok(Var::made_by(tensor, handle, 0))
}

/// Makes results of one call that lie inside another's memory views of that: a change in place of
/// either is one of both, and what the other's backward knows of it is nothing.
pub fn tie(py: Python<'_>, results: &[Py<PyAny>]) -> PyResult<()> {
    let results = results.iter().map(|r| r.bind(py).cast::<PyVariable>());
    let results = results.collect::<Result<Vec<_>, _>>()?;
    let of = |i: usize| &results[i].get().var;
    for (i, part) in results.iter().enumerate().rev() {
        let part = &part.get().var;
        if part.base().is_some() {
            continue;
        }
        let holds = |&j: &usize| {
            let whole = of(j);
            j != i
                && !whole.is(part)
                && whole.base().is_none()
                && whole.tensor().covers(&part.tensor())
        };
        if let Some(whole) = (0..results.len()).find(holds) {
            part.clone().sharing(of(whole));
        }
    }
    Ok(())
}
