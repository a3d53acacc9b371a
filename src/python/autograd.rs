//! `backward`, `grad` and the recording switch.

use super::collect;
use super::ending::guard_this;
use super::errors::{guard, raised};
use super::interpreter::attached;
use super::site::{detached, teach};
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::cpu::stop;
use crate::engine::{self, Options, Root};
use crate::error::{Error, Result};
use crate::graph::{Var, Variable, switch};
use crate::lock::plain::Mutex;
use crate::python::callback;
use crate::tensor::sizes_text;
use pyo3::exceptions::{
    PyKeyboardInterrupt, PyRuntimeError, PyTypeError, PyUserWarning, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::cell::RefCell;

/// A gradient as it was given.
enum Given {
    Missing,
    Tensor(crate::tensor::Tensor),
    Var(Variable),
}

fn given(op: &str, gradient: Option<&Bound<'_, PyAny>>) -> PyResult<Given> {
    let Some(gradient) = gradient.filter(|g| !g.is_none()) else {
        return Ok(Given::Missing);
    };
    if let Ok(v) = gradient.cast::<PyVariable>() {
        return Ok(Given::Var(v.get().var.clone()));
    }
    if let Ok(t) = gradient.cast::<PyTensor>() {
        return Ok(Given::Tensor(t.get().tensor()));
    }
    Err(PyTypeError::new_err(format!(
        "{op}: gradients can be a Variable, a tensor or None; got {}",
        gradient.get_type().name()?
    )))
}

fn truth(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<bool>> {
    guard_this();
    value
        .filter(|v| !v.is_none())
        .map(|v| v.is_truthy())
        .transpose()
}

/// What the arguments of `backward` and `grad` come to (A-71…A-74).
fn options(
    py: Python<'_>,
    gradients: &[Given],
    retain_graph: Option<&Bound<'_, PyAny>>,
    create_graph: Option<&Bound<'_, PyAny>>,
    retain_variables: Option<&Bound<'_, PyAny>>,
) -> PyResult<Options> {
    let live = gradients
        .iter()
        .any(|g| matches!(g, Given::Var(v) if !v.volatile()));
    let create_graph = truth(create_graph)?.unwrap_or(live);
    let mut retain = truth(retain_graph)?;
    if let Some(old) = truth(retain_variables)? {
        if retain.is_some() {
            return Err(PyValueError::new_err(
                "backward: got both retain_graph and retain_variables; give retain_graph only",
            ));
        }
        PyErr::warn(
            py,
            &py.get_type::<PyUserWarning>(),
            c"retain_variables option is deprecated and will be removed in 0.3; use retain_graph instead",
            1,
        )?;
        retain = Some(old);
    }
    Ok(Options {
        retain_graph: retain.unwrap_or(create_graph),
        create_graph,
    })
}

/// The roots with their first gradients; checks come before anything runs.
fn roots_of(
    names: (&str, &str),
    variables: &[Bound<'_, PyVariable>],
    gradients: Vec<Given>,
    create_graph: bool,
) -> PyResult<Vec<Root>> {
    let mut roots = Vec::new();
    for (i, (variable, gradient)) in variables.iter().zip(gradients).enumerate() {
        let root = &variable.get().var;
        let made = root_of(names, i, root, gradient, create_graph);
        roots.push(made.map_err(|error| teach::of_root(variable.py(), error, root))?);
    }
    Ok(roots)
}

fn root_of(
    (op, what): (&str, &str),
    i: usize,
    root: &Variable,
    gradient: Given,
    create_graph: bool,
) -> Result<Root> {
    if root.volatile() {
        return Err(Error::Runtime(format!(
            "{op}: element {i} of {what} is volatile, and volatile results keep no history; compute it from Variables that are not volatile"
        )));
    }
    let var = root.var()?;
    let Some((node, nr)) = var.history else {
        return Err(Error::Runtime(format!(
            "{op}: element {i} of {what} does not require grad and does not have a grad_fn; make an input with requires_grad=True"
        )));
    };
    let gradient = match gradient {
        Given::Missing => Var::from(engine::ones_for(op, root)?),
        Given::Tensor(tensor) => Var::from(tensor),
        Given::Var(v) if create_graph => v.var()?,
        Given::Var(v) => Var::from(v.tensor()),
    };
    engine::check_gradient(op, &root.tensor(), &gradient.tensor)?;
    Ok(Root { node, nr, gradient })
}

/// Lets signals in. They come to the main thread only, which may be waiting for this one.
fn signals(py: Python<'_>) -> PyResult<()> {
    py.check_signals()?;
    if engine::is_stopped() {
        return Err(PyKeyboardInterrupt::new_err(()));
    }
    Ok(())
}

/// How a kernel looks for signals.
fn look() -> Result<()> {
    attached(signals).map_err(raised)
}

/// Runs `body` with the interpreter released; signals are looked at now and then.
fn released<R: Send>(
    py: Python<'_>,
    body: impl FnOnce(engine::Pulse) -> Result<R> + Send,
) -> PyResult<R> {
    let interrupted: Mutex<Option<PyErr>> = Mutex::new(None);
    let pulse = || {
        attached(signals).map_err(|e| {
            *interrupted.lock() = Some(e);
            Error::Runtime("interrupted".into())
        })
    };
    let result = detached(py, || guard(|| body(&pulse).map_err(PyErr::from)));
    match interrupted.into_inner() {
        Some(error) => Err(error),
        None => result,
    }
}

thread_local! {
    /// What to call at the end of each pass that is under way on this thread.
    static QUEUED: RefCell<Vec<Vec<Py<PyAny>>>> = const { RefCell::new(Vec::new()) };
}
/// What to call at the end of a pass, queued from a thread that began none.
static QUEUED_ELSEWHERE: Mutex<Vec<Py<PyAny>>> = Mutex::new(Vec::new());

/// Runs a pass, and then what was queued meanwhile, in order.
fn pass<R: Send>(
    py: Python<'_>,
    body: impl FnOnce(engine::Pulse) -> Result<R> + Send,
) -> PyResult<R> {
    QUEUED.with_borrow_mut(|queued| queued.push(Vec::new()));
    let result = released(py, body);
    let mut queued = QUEUED.with_borrow_mut(Vec::pop).unwrap_or_default();
    queued.append(&mut QUEUED_ELSEWHERE.lock());
    if result.is_ok() {
        // What these queue in turn belongs to this pass, too.
        while !queued.is_empty() {
            QUEUED.with_borrow_mut(|queued| queued.push(Vec::new()));
            let called = queued
                .iter()
                .try_for_each(|queued| callback::call(queued.bind(py), ()).map(drop));
            queued = QUEUED.with_borrow_mut(Vec::pop).unwrap_or_default();
            called?;
        }
        collect::when_due(py)?;
    }
    result
}

/// Calls `callback` at the end of the pass that is under way, or of the next.
#[pyfunction]
fn _queue_callback(callback: Py<PyAny>) {
    let outside = QUEUED.with_borrow_mut(|queued| match queued.last_mut() {
        Some(pass) => {
            pass.push(callback);
            None
        }
        None => Some(callback),
    });
    QUEUED_ELSEWHERE.lock().extend(outside);
}

/// `backward` from several roots.
pub fn backward_of(
    py: Python<'_>,
    variables: &[Bound<'_, PyVariable>],
    gradients: &[Option<Bound<'_, PyAny>>],
    retain_graph: Option<&Bound<'_, PyAny>>,
    create_graph: Option<&Bound<'_, PyAny>>,
    retain_variables: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let gradients = gradients
        .iter()
        .map(|g| given("backward", g.as_ref()))
        .collect::<PyResult<Vec<_>>>()?;
    if gradients.len() != variables.len() {
        return Err(PyRuntimeError::new_err(format!(
            "backward: got {} Variables and {} gradients; give one for each, None where the output has one element",
            variables.len(),
            gradients.len()
        )));
    }
    if variables.is_empty() {
        return Err(PyRuntimeError::new_err(
            "backward: there are no graph nodes that require computing gradients; give at least one Variable",
        ));
    }
    let options = options(py, &gradients, retain_graph, create_graph, retain_variables)?;
    let roots = roots_of(
        ("backward", "variables tuple"),
        variables,
        gradients,
        options.create_graph,
    )?;
    pass(py, |pulse| engine::backward(roots, options, pulse))
}

fn sequence<'py>(of: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if of.cast::<PyVariable>().is_ok() || of.cast::<PyTensor>().is_ok() || of.is_none() {
        return Ok(vec![of.clone()]);
    }
    match callback::iter(of) {
        Ok(items) => Ok(callback::items(&items)?.iter().collect()),
        Err(_) => Ok(vec![of.clone()]),
    }
}

fn variables<'py>(what: &str, of: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyVariable>>> {
    let mut out = Vec::new();
    for (i, item) in sequence(of)?.into_iter().enumerate() {
        match item.cast_into::<PyVariable>() {
            Ok(v) => out.push(v),
            Err(e) => {
                return Err(PyRuntimeError::new_err(format!(
                    "{what}: element {i} must be a Variable; got {}",
                    e.into_inner().get_type().name()?
                )));
            }
        }
    }
    Ok(out)
}

fn gradients_of<'py>(
    count: usize,
    given: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
    match given {
        Some(g) if !g.is_none() => Ok(sequence(g)?.into_iter().map(Some).collect()),
        _ => Ok(vec![None; count]),
    }
}

/// Adds the gradients of `variables`, summed, into the leaves' `.grad`.
///
/// A node runs when all its consumers have delivered; what is ready runs first in, first out, and
/// gives to its inputs from left to right. So the order of hooks and of float sums is that of 0.3,
/// the same in every run. Ctrl-C is answered between two nodes, and inside long operations.
#[pyfunction]
#[pyo3(signature = (variables, grad_variables=None, retain_graph=None, create_graph=None, retain_variables=None))]
fn backward(
    py: Python<'_>,
    variables: &Bound<'_, PyAny>,
    grad_variables: Option<&Bound<'_, PyAny>>,
    retain_graph: Option<&Bound<'_, PyAny>>,
    create_graph: Option<&Bound<'_, PyAny>>,
    retain_variables: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let roots = self::variables("backward", variables)?;
    let gradients = gradients_of(roots.len(), grad_variables)?;
    backward_of(
        py,
        &roots,
        &gradients,
        retain_graph,
        create_graph,
        retain_variables,
    )
}

/// Gradients of `outputs` with respect to `inputs`, as a tuple with one for each.
#[pyfunction]
#[pyo3(signature = (outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=None, only_inputs=true, allow_unused=false))]
#[allow(clippy::too_many_arguments, reason = "the signature of 0.3")]
fn grad(
    py: Python<'_>,
    outputs: &Bound<'_, PyAny>,
    inputs: &Bound<'_, PyAny>,
    grad_outputs: Option<&Bound<'_, PyAny>>,
    retain_graph: Option<&Bound<'_, PyAny>>,
    create_graph: Option<&Bound<'_, PyAny>>,
    only_inputs: bool,
    allow_unused: bool,
) -> PyResult<Py<PyAny>> {
    let outputs = variables("grad", outputs)?;
    let inputs = variables("grad", inputs)?;
    let given = gradients_of(outputs.len(), grad_outputs)?
        .iter()
        .map(|g| given("grad", g.as_ref()))
        .collect::<PyResult<Vec<_>>>()?;
    if given.len() != outputs.len() {
        return Err(PyRuntimeError::new_err(format!(
            "grad: got {} outputs and {} grad_outputs; give one for each",
            outputs.len(),
            given.len()
        )));
    }
    let options = options(py, &given, retain_graph, create_graph, None)?;
    let mut wanted = Vec::new();
    for (i, input) in inputs.iter().enumerate() {
        match input.get().var.var()?.history {
            Some(history) => wanted.push(history),
            None => {
                return Err(PyRuntimeError::new_err(format!(
                    "grad: input {i} (of size {}) does not require grad; make it with requires_grad=True",
                    sizes_text(input.get().var.tensor().sizes())
                )));
            }
        }
    }
    let roots = roots_of(("grad", "outputs"), &outputs, given, options.create_graph)?;
    let found = pass(py, |pulse| {
        engine::gradients(roots, &wanted, options, only_inputs, pulse)
    })?;
    let mut items = Vec::new();
    for (i, found) in found.into_iter().enumerate() {
        let usable = allow_unused || !only_inputs;
        // A root that nothing leads to got what it was started with.
        let gradient = found.gradient.filter(|_| usable || found.reached);
        items.push(match gradient {
            Some(mut g) => {
                g.volatile |= !options.create_graph;
                if g.volatile {
                    g.history = None;
                }
                PyVariable::fresh(py, g)?
            }
            None if usable => py.None(),
            None => {
                return Err(PyRuntimeError::new_err(format!(
                    "grad: input {i} is unreachable: it has not been used in the graph of the outputs; pass allow_unused=True to get None for it"
                )));
            }
        });
    }
    Ok(PyTuple::new(py, items)?.into_any().unbind())
}

/// Whether this thread records.
#[pyfunction]
fn is_grad_enabled() -> bool {
    switch::is_recording()
}

/// Sets whether this thread records; gives what it was.
#[pyfunction]
fn _set_grad_enabled(on: bool) -> bool {
    switch::set_recording(on)
}

/// How many graph nodes are alive.
#[pyfunction]
fn live_nodes() -> usize {
    crate::graph::live_nodes()
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    stop::look_with(look);
    m.add_function(wrap_pyfunction!(backward, m)?)?;
    m.add_function(wrap_pyfunction!(grad, m)?)?;
    m.add_function(wrap_pyfunction!(is_grad_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(_set_grad_enabled, m)?)?;
    m.add_function(wrap_pyfunction!(live_nodes, m)?)?;
    m.add_function(wrap_pyfunction!(_queue_callback, m)?)?;
    m.add_function(wrap_pyfunction!(super::collect::_collecting, m)?)?;
    m.add_function(wrap_pyfunction!(super::collect::_last_search, m)?)?;
    Ok(())
}
