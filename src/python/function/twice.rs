//! What may not pass for right: second derivatives that a function does not compute, and results that
//! change with each other.

use crate::graph::arena::{self, Extra, Handle, Payload};
use crate::graph::{Origin, Rule, Var, Variable, rule};
use crate::ops::overlap;
use crate::python::node::PyNode;
use crate::python::variable::PyVariable;
use crate::tensor::Tensor;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::cmp::Reverse;
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

/// Makes results that lie inside another result's or an argument's memory views of that: a change in
/// place of either is one of both, and what the other's backward knows of it is nothing. Those
/// that share some elements only end each other's use instead.
pub fn tie(results: &[&Variable], arguments: &[Variable]) {
    let whole = |v: &Variable| v.base().is_none();
    let results = results.iter().map(|&v| (v.clone(), true));
    let arguments = arguments.iter().map(|v| (v.clone(), false));
    let mut all: Vec<Member> = (results.chain(arguments).filter(|(v, _)| whole(v)))
        .map(|(variable, is_result)| Member {
            tensor: variable.tensor(),
            variable,
            is_result,
        })
        .collect();
    // Within one memory a whole comes before its parts.
    all.sort_by_key(|m| {
        let (from, reach) = (m.tensor.offset(), m.tensor.reach());
        let has_gaps = reach != m.tensor.numel();
        let place = (m.tensor.memory_id(), from, Reverse(reach), has_gaps);
        (place, m.variable.address(), m.is_result)
    });
    all.dedup_by(|a, b| a.variable.is(&b.variable));
    for group in all.chunk_by(|a, b| a.tensor.memory_id() == b.tensor.memory_id()) {
        if group.len() > 1 {
            tie_in_one_memory(group);
        }
    }
}

struct Member {
    variable: Variable,
    tensor: Tensor,
    is_result: bool,
}

fn tie_in_one_memory(group: &[Member]) {
    let end = |m: &Member| m.tensor.offset() + m.tensor.reach();
    let mut apart: Vec<&Member> = Vec::new();
    // Of those that have no gaps, the one that reaches farthest holds all that any of them holds.
    let mut farthest: Option<&Member> = None;
    for member in group {
        match farthest {
            Some(whole) if member.is_result && whole.tensor.covers(&member.tensor) => {
                member.variable.clone().sharing(&whole.variable);
                continue;
            }
            _ => apart.push(member),
        }
        let is_dense = member.tensor.reach() == member.tensor.numel();
        if is_dense && farthest.is_none_or(|f| end(f) < end(member)) {
            farthest = Some(member);
        }
    }
    let tensors: Vec<&Tensor> = apart.iter().map(|m| &m.tensor).collect();
    for (member, meets) in apart.iter().zip(overlap::meeting(&tensors)) {
        if meets {
            member.variable.meets_another();
        }
    }
}
