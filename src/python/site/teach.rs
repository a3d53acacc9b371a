//! What errors of the graph say beyond their sentence: which Variable, which line.

use super::described;
use crate::engine::anomaly;
use crate::error::{Blame, Error};
use crate::graph::site::{BY_GRADIENT, Site};
use crate::graph::{NodeId, Variable};
use crate::python::callback;
use crate::python::names::Names;
use pyo3::prelude::*;

/// `train.py:12:  w * x`.
fn line(py: Python<'_>, site: Site) -> Option<String> {
    let (place, text) = described(py, site)?;
    Some(match text {
        Some(text) => format!("{place}:  {text}"),
        None => place,
    })
}

/// The error with further lines; each is indented under the sentence.
fn with_lines(error: Error, lines: &[String]) -> PyErr {
    let add = |text: String| lines.iter().fold(text, |text, line| text + "\n    " + line);
    PyErr::from(match error {
        Error::Type(text) => Error::Type(add(text)),
        Error::Value(text) => Error::Value(add(text)),
        Error::Index(text) => Error::Index(add(text)),
        Error::Runtime(text) => Error::Runtime(add(text)),
        other => other,
    })
}

/// An error of the core with the names and lines of what it is about.
pub fn explained(py: Python<'_>, blame: Blame) -> PyErr {
    // Looking for names leaves a copy of each caller's locals behind until that returns, and with it
    // what the locals hold; for somebody else's exception there is nothing to name.
    if is_foreign(&blame.error) && !anomaly::is_on() {
        return PyErr::from(blame.error);
    }
    let names = Names::calling(py);
    let mut lines = Vec::new();
    let made = blame.node.and_then(NodeId::unpack);
    let made = made.and_then(|id| names.of_output(id, 0));
    let made = made.map_or("it".into(), |(name, _)| format!("`{name}`"));
    if let Some(at) = line(py, blame.site) {
        lines.push(format!("{made} was computed at {at}"));
    } else if made != "it" {
        lines.push(format!("it computed {made}"));
    }
    if let Some((what, family)) = blame.tensor {
        let name = names.of_family(family);
        let changed = line(py, blame.changed);
        lines.extend(match (name, changed) {
            (Some(name), Some(at)) => {
                Some(format!("the {what} is `{name}`, changed in place at {at}"))
            }
            (Some(name), None) => Some(format!("the {what} is `{name}`")),
            (None, Some(at)) => Some(format!("the {what} was changed in place at {at}")),
            (None, None) => None,
        });
    }
    if is_foreign(&blame.error) {
        // Somebody else's exception keeps its words (E-38); anomaly mode adds a note beside them.
        let error = PyErr::from(blame.error);
        for line in &lines {
            let _ = callback::call_method(error.value(py), "add_note", (line,));
        }
        return error;
    }
    with_lines(blame.error, &lines)
}

/// Whether the core did not make the error's words.
fn is_foreign(error: &Error) -> bool {
    !matches!(
        error,
        Error::Type(_)
            | Error::Value(_)
            | Error::Index(_)
            | Error::Runtime(_)
            | Error::ZeroDivision(_)
            | Error::Memory(_)
            | Error::At(_)
    )
}

/// An error about what `backward` was called on.
pub fn of_root(py: Python<'_>, error: Error, root: &Variable) -> PyErr {
    let names = Names::calling(py);
    let name = names
        .of(root)
        .map_or("it".into(), |name| format!("`{name}`"));
    let mut lines = Vec::new();
    if root.volatile() {
        let entered = root.entered();
        if let Some(at) = line(py, entered & !BY_GRADIENT) {
            lines.push(format!("{name} is volatile since {at}"));
        }
        if entered & BY_GRADIENT != 0 {
            lines.push(
                "a gradient in .grad is volatile, and so is what is computed from it: change parameters by w.data -= lr * w.grad.data".into(),
            );
        } else {
            lines.push("volatile=True there says that no gradient is wanted; leave it out".into());
        }
        return with_lines(error, &lines);
    }
    let made = root.grad_fn().ok().flatten();
    if let Some(at) = made.and_then(|(node, _)| line(py, node.site())) {
        lines.push(format!("{name} was computed at {at}"));
    } else if name != "it" {
        lines.push(format!("the Variable is {name}"));
    }
    with_lines(error, &lines)
}
