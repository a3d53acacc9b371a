//! From a graph to its two pictures: that of Variables and that of Functions.

use super::names::{Known, Names};
use super::variable::PyVariable;
use crate::draw::{self, Direction, Kind, Picture};
use crate::engine;
use crate::graph::arena::Handle;
use crate::graph::{NodeId, Variable};
use crate::python::interpreter::released;
use crate::tensor::{Tensor, class_name};
use pyo3::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;

/// A picture of a graph: shown by notebooks, saved as SVG, printed as text.
#[pyclass(name = "Picture", module = "rgrad", frozen)]
pub struct PyPicture(Picture);

/// Columns of a terminal that a printed picture may use.
const WIDTH: usize = 100;

#[pymethods]
impl PyPicture {
    /// The picture as SVG text.
    fn _repr_svg_(&self, py: Python<'_>) -> PyResult<String> {
        released(py, || super::errors::run(|| draw::svg(&self.0)))
    }

    /// Writes the SVG into a file.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        Ok(std::fs::write(path, self._repr_svg_(py)?)?)
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        released(py, || super::errors::run(|| draw::text(&self.0, WIDTH)))
    }

    fn __repr__(&self) -> String {
        format!(
            "<picture of {} boxes: {}>",
            self.0.nodes.len(),
            self.0.title
        )
    }
}

/// `4 x 3`, and the one value of a small tensor.
fn size_line(t: &Tensor) -> String {
    let sizes = crate::tensor::sizes_text(t.sizes());
    if t.numel() != 1 {
        return sizes;
    }
    match super::number::scalar_at(t, 0) {
        Ok(v) => format!("{}", (v.f64() * 1e4).round() / 1e4),
        Err(_) => sizes,
    }
}

fn note(t: &Tensor) -> String {
    format!(
        "{} of size {}",
        class_name(t.dtype(), t.device()),
        crate::tensor::sizes_text(t.sizes())
    )
}

/// An empty picture that folds chains before it becomes too large to read, or slow to lay out.
fn blank(title: &str, direction: Direction) -> Picture {
    let mut picture = Picture::new(title, direction);
    picture.fold_above = 400;
    picture
}

/// `mul` of `MulBackward1`.
fn operation(node: &str) -> String {
    let name = node.trim_end_matches(|c: char| c.is_ascii_digit());
    name.trim_end_matches("Backward")
        .trim_end_matches("Backwards")
        .to_lowercase()
}

/// Nodes from `root` on, each once, in the order they are met.
fn reachable(root: &Handle) -> Vec<Handle> {
    let mut order = vec![root.clone()];
    let mut seen: std::collections::HashSet<NodeId> = [root.id()].into();
    let mut at = 0;
    while at < order.len() {
        for (next, _) in engine::next_functions(&order[at]).into_iter().flatten() {
            if seen.insert(next.id()) {
                order.push(next);
            }
        }
        at += 1;
    }
    order
}

/// The graph of Functions: `grad_fn` and what `next_functions` lead to.
fn functions(root: &Handle, names: &Names) -> Picture {
    let mut picture = blank(
        "Functions: from grad_fn along next_functions",
        Direction::Down,
    );
    let nodes = reachable(root);
    let mut place = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        let class = node.rule().node;
        let index = match node.leaf() {
            Some(leaf) => {
                let t = leaf.tensor();
                let name = names.of_leaf(&leaf).unwrap_or("leaf").to_string();
                let line = format!("{name}: {}", size_line(&t));
                picture.node(Kind::Leaf, &[class, &line], &note(&t))
            }
            None => {
                let made = names.of_output(node.id(), 0);
                let line =
                    made.map(|(name, v)| format!("makes {name}: {}", size_line(&v.tensor())));
                let kind = if i == 0 { Kind::Root } else { Kind::Function };
                match &line {
                    Some(line) => picture.node(kind, &[class, line], class),
                    None => picture.node(kind, &[class], class),
                }
            }
        };
        place.insert(node.id(), index);
    }
    for node in &nodes {
        for (next, _) in engine::next_functions(node).into_iter().flatten() {
            picture.edge(place[&node.id()], place[&next.id()]);
        }
    }
    picture
}

/// The graph of Variables: from the leaves through operations to the result.
fn variables(root: &Variable, node: &Handle, names: &Names) -> Picture {
    let mut picture = blank("Variables: from the leaves to the result", Direction::Down);
    let nodes = reachable(node);
    let mut place = HashMap::new();
    let mut constants: Vec<(Tensor, usize)> = Vec::new();
    // In the order they are met from the result, which keeps operands from left to right.
    for node in &nodes {
        if let Some(leaf) = node.leaf() {
            let t = leaf.tensor();
            let name = names.of_leaf(&leaf).unwrap_or("leaf");
            let index = picture.node(Kind::Leaf, &[name, &size_line(&t)], &note(&t));
            place.insert((node.id(), 0), index);
        }
    }
    let mut boxes = HashMap::new();
    for node in nodes.iter().filter(|n| n.leaf().is_none()) {
        let class = node.rule().node;
        boxes.insert(
            node.id(),
            picture.node(Kind::Function, &[&operation(class)], class),
        );
    }
    for (handle, box_) in nodes
        .iter()
        .filter_map(|n| boxes.get(&n.id()).map(|b| (n, *b)))
    {
        for nr in 0..handle.outputs() {
            let is_root = handle.id() == node.id() && nr == root.output_nr();
            let known = names.of_output(handle.id(), nr);
            let (name, tensor) = match (known, is_root) {
                (Some((name, v)), _) => (name.clone(), v.tensor()),
                (None, true) => ("result".into(), root.tensor()),
                (None, false) => continue,
            };
            let kind = if is_root { Kind::Root } else { Kind::Value };
            let index = picture.node(kind, &[&name, &size_line(&tensor)], &note(&tensor));
            picture.edge(box_, index);
            place.insert((handle.id(), nr), index);
        }
    }
    for node in nodes.iter().filter(|n| n.leaf().is_none()) {
        let to = boxes[&node.id()];
        for (i, next) in engine::next_functions(node).into_iter().enumerate() {
            if let Some((next, nr)) = next {
                let from = place
                    .get(&(next.id(), nr))
                    .or_else(|| boxes.get(&next.id()));
                if let Some(&from) = from {
                    picture.edge(from, to);
                }
                continue;
            }
            let Some(t) = node.saved_input(i as u32) else {
                continue;
            };
            let from = match constants.iter().find(|(known, _)| known.is(&t)) {
                Some((_, index)) => *index,
                None => {
                    let name = names.of_tensor(&t).unwrap_or("constant");
                    let index = picture.node(Kind::Constant, &[name, &size_line(&t)], &note(&t));
                    constants.push((t, index));
                    index
                }
            };
            picture.edge(from, to);
        }
    }
    picture
}

fn alone(root: &Variable, names: &Names) -> Picture {
    let t = root.tensor();
    let mut picture = Picture::new("A Variable without history", Direction::Down);
    let kind = if root.requires_grad() {
        Kind::Leaf
    } else {
        Kind::Constant
    };
    picture.node(
        kind,
        &[names.of_leaf(root).unwrap_or("leaf"), &size_line(&t)],
        &note(&t),
    );
    picture
}

/// Both pictures of what made `root`: (Variables, Functions). `names` are (name, Variable) pairs.
#[pyfunction]
fn _pictures(root: &Bound<'_, PyVariable>, names: Known<'_>) -> PyResult<(PyPicture, PyPicture)> {
    let root = &root.get().var;
    let names = Names::new(names);
    match root.grad_fn()? {
        Some((node, _)) => Ok((
            PyPicture(variables(root, &node, &names)),
            PyPicture(functions(&node, &names)),
        )),
        None => Ok((
            PyPicture(alone(root, &names)),
            PyPicture(alone(root, &names)),
        )),
    }
}

/// Adds the class and function to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyPicture>()?;
    m.add_function(wrap_pyfunction!(_pictures, m)?)
}
