//! What explanations, the profiler and anomaly mode are made of; Python puts them into words.

use super::classes;
use super::names::{Known, Names};
use super::site;
use super::variable::PyVariable;
use crate::engine::explain::{Turn, explain};
use crate::engine::{Root, anomaly, check_gradient, ones_for};
use crate::error::Error;
use crate::graph::arena::{self, Handle};
use crate::graph::{Var, profile};
use crate::lock::plain::Mutex;
use crate::ops::Op;
use crate::python::callback;
use crate::tensor::Value;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A gradient as a tensor.
fn shown(py: Python<'_>, gradient: Option<&Var>) -> PyResult<Option<Py<PyAny>>> {
    gradient
        .map(|g| classes::wrap(py, g.tensor.clone()))
        .transpose()
}

fn shown_all(py: Python<'_>, gradients: &[Option<Var>]) -> PyResult<Vec<Option<Py<PyAny>>>> {
    gradients.iter().map(|g| shown(py, g.as_ref())).collect()
}

/// How the gradient of operand `i` is computed, in words, and what they call the incoming one.
fn formula(op: &Op, i: usize) -> Option<(&'static str, String)> {
    let name = op.inputs.get(i).copied();
    let mut all = op.formulas.iter();
    let found = all.find(|f| op.forms.list || Some(f.of) == name)?;
    Some((found.incoming, found.plain()))
}

fn number_text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Int(v) => v.to_string(),
        Value::Float(v) => v.to_string(),
        _ => return None,
    })
}

/// One node as a dict.
fn step<'py>(py: Python<'py>, turn: &Turn, names: &Names) -> PyResult<Bound<'py, PyDict>> {
    let about = PyDict::new(py);
    let (op, rule) = (turn.op, turn.rule);
    let operand = |i: u32| -> String {
        let known = op.and_then(|op| {
            let results = op.results.iter();
            op.inputs.iter().chain(results).nth(i as usize).copied()
        });
        known.map_or_else(|| format!("operand {}", i + 1), str::to_string)
    };
    about.set_item("key", turn.node.id().pack())?;
    about.set_item("node", rule.node)?;
    about.set_item("operation", op.map(|op| op.name))?;
    about.set_item("source", site::source(py, turn.node.site()))?;
    about.set_item("site", turn.node.site())?;
    let outputs = 0..turn.incoming.len() as u32;
    let made: Vec<_> = outputs
        .map(|nr| {
            names
                .of_output(turn.node.id(), nr)
                .map(|(name, _)| name.clone())
        })
        .collect();
    about.set_item("makes", made)?;
    let leaf = turn.leaf.as_ref();
    about.set_item(
        "leaf",
        leaf.map(|l| PyVariable::wrap(py, l.clone())).transpose()?,
    )?;
    about.set_item("leaf_name", leaf.and_then(|l| names.of_leaf(l)))?;
    let mut edges = Vec::new();
    for &edge in &turn.edges {
        edges.push(Handle::of_edge(edge).map(|next| (next.id().pack(), edge.nr)));
    }
    about.set_item("edges", edges)?;
    let count = turn.edges.len().max(op.map_or(0, |op| op.inputs.len())) as u32;
    about.set_item("operands", (0..count).map(operand).collect::<Vec<_>>())?;
    let formulas = op.map_or_else(Vec::new, |op| {
        (0..count as usize).map(|i| formula(op, i)).collect()
    });
    about.set_item("formulas", formulas)?;
    let letters = op.map_or_else(Vec::new, |op| [op.inputs, op.results].concat());
    about.set_item("letters", letters)?;
    let arguments = PyDict::new(py);
    for (param, value) in op.map_or(&[][..], |op| op.params).iter().zip(&turn.values) {
        if let Some(text) = number_text(value) {
            arguments.set_item(param.name, text)?;
        }
    }
    about.set_item("arguments", arguments)?;
    about.set_item(
        "hooks",
        turn.leaf.as_ref().map_or_else(
            || super::node::hooks_on(py, &turn.node),
            |leaf| {
                super::hooks::table_of(py, leaf)
                    .map_or(0, |table| table.bind(py).len().unwrap_or(0))
            },
        ),
    )?;
    let mut saved = Vec::new();
    for (i, tensor) in &turn.saved {
        let name = names.of_tensor(tensor).map(str::to_string);
        saved.push((operand(*i), name, *i, classes::wrap(py, tensor.clone())?));
    }
    for (i, tensor) in super::function::kept(py, &turn.node) {
        let name = names.of_tensor(&tensor).map(str::to_string);
        saved.push((operand(i), name, i, classes::wrap(py, tensor)?));
    }
    about.set_item("saved", saved)?;
    let mut incoming = Vec::new();
    for gradient in &turn.incoming {
        incoming.push(match gradient {
            Some((g, ways)) => Some((shown(py, Some(g))?, *ways)),
            None => None,
        });
    }
    about.set_item("incoming", incoming)?;
    about.set_item("outgoing", shown_all(py, &turn.outgoing)?)?;
    about.set_item("local", shown_all(py, &turn.local)?)?;
    Ok(about)
}

/// Walks back from `root` without changing anything and calls `each` with a dict for each node.
#[pyfunction]
fn _explain(
    root: &Bound<'_, PyVariable>,
    gradient: Option<&Bound<'_, PyAny>>,
    names: Known<'_>,
    each: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = root.py();
    let names = Names::new(names);
    let root = &root.get().var;
    let Some((node, nr)) = root.var()?.history else {
        return Err(PyRuntimeError::new_err(
            "explain: this Variable has no history to explain: it does not require grad, or is volatile",
        ));
    };
    let gradient = match gradient.filter(|g| !g.is_none()) {
        None => Var::from(ones_for("explain", root)?),
        Some(given) => match super::call::Operand::of(given) {
            Some(given) => Var::from(given.tensor()),
            None => {
                return Err(pyo3::exceptions::PyTypeError::new_err(format!(
                    "explain: the gradient can be a Variable, a tensor or None; got {}",
                    given.get_type().name()?
                )));
            }
        },
    };
    check_gradient("explain", &root.tensor(), &gradient.tensor)?;
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let keep = |error: PyErr| {
        *raised.lock() = Some(error);
        Error::Runtime("explain: interrupted".into())
    };
    let result = explain(
        Root { node, nr, gradient },
        &|| py.check_signals().map_err(keep),
        &mut |turn| {
            let shown = step(py, &turn, &names).and_then(|step| callback::call(each, (step,)));
            shown.map(|_| ()).map_err(keep)
        },
    );
    match raised.into_inner() {
        Some(error) => Err(error),
        None => result.map_err(PyErr::from),
    }
}

/// Sets whether gradients that are not finite stop a backward; gives what it was.
#[pyfunction]
fn _set_anomaly(on: bool) -> bool {
    anomaly::turn(on)
}

/// Every row with a derivative: (node, Python name, operand, how its gradient is computed).
#[pyfunction]
fn _formulas() -> Vec<(String, String, String, String)> {
    let mut all = Vec::new();
    for op in crate::ops::all().filter(|op| op.rule.back.is_some()) {
        for f in op.formulas {
            let row = [op.rule.node, op.name, f.of].map(str::to_string);
            let [node, name, of] = row;
            all.push((node, name, of, f.plain()));
        }
        if op.formulas.is_empty() {
            all.push((
                op.rule.node.into(),
                op.name.into(),
                String::new(),
                String::new(),
            ));
        }
    }
    all
}

/// Begins to note what runs; tells whether that was so before.
#[pyfunction]
fn _profile_start() -> bool {
    profile::start()
}

/// Ends noting what runs: (name, start, end, thread), times in nanoseconds.
#[pyfunction]
fn _profile_stop() -> Vec<(String, u64, u64, u64)> {
    let events = profile::stop().into_iter();
    events
        .map(|e| (e.name.into_owned(), e.start, e.end, e.thread))
        .collect()
}

/// A stretch of the program that the profiler shows under a name.
#[pyclass(name = "_Range", module = "rgrad", frozen)]
struct PyRange(Mutex<Option<profile::Span>>, String);

#[pymethods]
impl PyRange {
    #[new]
    fn new(name: String) -> PyRange {
        PyRange(Mutex::new(None), name)
    }

    fn __enter__(&self) {
        if profile::is_on() {
            *self.0.lock() = Some(profile::range(self.1.clone().into()));
        }
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, pyo3::types::PyTuple>) {
        let span = self.0.lock().take();
        drop(span);
    }
}

/// How many bytes of tensors the graph nodes alive keep for backward.
#[pyfunction]
fn saved_bytes() -> usize {
    arena::saved_bytes()
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<PyRange>()?;
    m.add_function(wrap_pyfunction!(_explain, m)?)?;
    m.add_function(wrap_pyfunction!(_formulas, m)?)?;
    m.add_function(wrap_pyfunction!(_set_anomaly, m)?)?;
    m.add_function(wrap_pyfunction!(_profile_start, m)?)?;
    m.add_function(wrap_pyfunction!(_profile_stop, m)?)?;
    m.add_function(wrap_pyfunction!(saved_bytes, m)?)
}
