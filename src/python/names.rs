//! What the user's program calls its Variables.

use super::variable::PyVariable;
use crate::graph::{NodeId, Variable};
use crate::python::callback;
use crate::tensor::Tensor;
use pyo3::prelude::*;
use std::collections::HashMap;

/// (name, Variable) pairs, as `rgrad._names` finds them.
pub type Known<'py> = Vec<(String, Bound<'py, PyVariable>)>;

/// Names that the caller has for Variables.
pub struct Names {
    known: Vec<(String, Variable)>,
    made: HashMap<(NodeId, u32), usize>,
}

impl Names {
    /// From (name, Variable) pairs; a name that the user gave goes before what a Python variable
    /// happens to be called.
    pub fn new(pairs: Known) -> Names {
        let pairs = pairs.into_iter();
        let known: Vec<_> = pairs
            .map(|(name, v)| (v.get().name().unwrap_or(name), v.get().var.clone()))
            .collect();
        let mut made = HashMap::new();
        for (i, (_, v)) in known.iter().enumerate() {
            // A view whose history cannot be made anew has none: its error may be what names are for.
            if let Ok(Some((handle, nr))) = v.grad_fn() {
                made.entry((handle.id(), nr)).or_insert(i);
            }
        }
        Names { known, made }
    }

    /// The name of a leaf.
    pub fn of_leaf(&self, leaf: &Variable) -> Option<&str> {
        self.known
            .iter()
            .find(|(_, v)| v.is(leaf))
            .map(|(name, _)| name.as_str())
    }

    /// Output `nr` of a node, with its name.
    pub fn of_output(&self, id: NodeId, nr: u32) -> Option<&(String, Variable)> {
        self.made.get(&(id, nr)).map(|&i| &self.known[i])
    }

    /// The name of the leaf with this tensor.
    pub fn of_tensor(&self, t: &Tensor) -> Option<&str> {
        self.known
            .iter()
            .find(|(_, v)| v.is_leaf() && v.tensor().is(t))
            .map(|(name, _)| name.as_str())
    }

    /// What is visible from where the extension was called; nothing when it cannot be looked at.
    pub fn calling(py: Python<'_>) -> Names {
        let found = py
            .import("rgrad._names")
            .and_then(|m| callback::call_method(&m, "calling", ()))
            .and_then(|pairs| pairs.extract::<Known>());
        let names = found.map(Names::new);
        names.unwrap_or_else(|_| Names {
            known: Vec::new(),
            made: HashMap::new(),
        })
    }

    /// The name of a Variable.
    pub fn of(&self, v: &Variable) -> Option<&str> {
        self.of_leaf(v)
    }

    /// The name of a Variable whose changes are counted in `family`; rather one that is no view.
    pub fn of_family(&self, family: usize) -> Option<&str> {
        let mut found = None;
        for (name, v) in &self.known {
            if v.tensor().family() == family {
                if v.base().is_none() {
                    return Some(name);
                }
                found = found.or(Some(name.as_str()));
            }
        }
        found
    }
}
