//! Forward of a user's Function: Variables are unwrapped, the call runs, results are wrapped and
//! the node is recorded. Nothing is recorded before everything has been checked.

use super::twice::{Made, origins};
use super::{From, Input, Kept, Kind, Marks, PyFunction};
use crate::error::Error;
use crate::graph::arena::{self, Extra, Handle, Payload};
use crate::graph::{Rule, Var, Variable, is_recording, rule};
use crate::lock::plain::Mutex;
use crate::ops::shape;
use crate::python::node::PyNode;
use crate::python::tensor::PyTensor;
use crate::python::variable::PyVariable;
use crate::tensor::{Held, Tensor};
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use std::collections::{BTreeSet, HashMap};

/// The arguments of a call.
struct Call<'py> {
    /// The Variables among them, with their places.
    variables: Vec<(usize, Bound<'py, PyVariable>)>,
    /// What forward gets: the Variables' data, and the rest as it came.
    given: Vec<Bound<'py, PyAny>>,
}

impl<'py> Call<'py> {
    fn of(args: &Bound<'py, PyTuple>) -> PyResult<Call<'py>> {
        let mut call = Call {
            variables: Vec::new(),
            given: Vec::new(),
        };
        for (i, arg) in args.iter().enumerate() {
            match arg.cast::<PyVariable>() {
                Ok(variable) => {
                    call.given
                        .push(PyVariable::data(variable)?.into_bound(args.py()));
                    call.variables.push((i, variable.clone()));
                }
                Err(_) => call.given.push(arg),
            }
        }
        Ok(call)
    }

    /// Which Variable's data `object` is, counting Variables only.
    fn input(&self, object: &Bound<'_, PyAny>) -> Option<usize> {
        self.variables
            .iter()
            .position(|(i, _)| self.given[*i].is(object))
    }

    fn variable(&self, i: usize) -> &Variable {
        &self.variables[i].1.get().var
    }

    /// The Variable whose memory `tensor` shares.
    fn owner_of(&self, tensor: &Tensor) -> Option<&Variable> {
        let root = tensor.memory_id();
        let mut all = self.variables.iter().map(|(_, v)| &v.get().var);
        all.find(|v| v.tensor().memory_id() == root)
    }

    /// `tensor` so that its in-place changes count for the argument whose memory it shares, and the
    /// argument's for it.
    fn counted(&self, tensor: Tensor) -> PyResult<Tensor> {
        let Some(owner) = self.owner_of(&tensor) else {
            return Ok(tensor);
        };
        let owner = owner.tensor();
        if owner.family() == tensor.family() || owner.dtype() != tensor.dtype() {
            return Ok(tensor);
        }
        Ok(owner.as_strided(tensor.sizes(), tensor.strides(), tensor.offset() as i64)?)
    }

    /// Whether some Variable requires grad.
    fn wants_history(&self) -> bool {
        self.variables
            .iter()
            .any(|(_, v)| v.get().var.requires_grad())
    }
}

fn refused(name: &str, text: String) -> PyErr {
    PyRuntimeError::new_err(format!("{name}: {text}"))
}

fn kind_name(object: &Bound<'_, PyAny>) -> String {
    object
        .get_type()
        .name()
        .map_or_else(|_| "?".into(), |n| n.to_string())
}

/// `Cls.apply(*args)`.
pub fn new_style(cls: &Bound<'_, PyType>, args: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
    let Ok(context) = cls.getattr("_backward_cls") else {
        return Err(refused(
            &cls.name()?.to_string(),
            "apply belongs to classes made from torch.autograd.Function".into(),
        ));
    };
    let context = context.call0()?.cast_into::<PyFunction>()?;
    let forward = forward_of(cls.as_any(), &cls.name()?.to_string())?;
    let name = context.get_type().name()?.to_string();
    run(&context, args, &name, |given| {
        let py = context.py();
        let mut all = vec![context.as_any().clone()];
        all.extend(given);
        forward.call1(PyTuple::new(py, all)?)
    })
}

/// `Cls(...)(*variables)`.
pub fn old_style(slf: &Bound<'_, PyFunction>, args: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
    let class = slf.get_type().name()?.to_string();
    for (i, arg) in args.iter().enumerate() {
        if !arg.is_instance_of::<PyVariable>() {
            return Err(refused(
                &class,
                format!(
                    "expected a Variable argument, but got {} as argument {}; numbers and other settings go to the constructor",
                    kind_name(&arg),
                    i + 1
                ),
            ));
        }
    }
    let forward = forward_of(slf.as_any(), &class)?;
    if std::mem::replace(&mut slf.get().state.lock().used, true) {
        return Err(refused(
            &class,
            "an instance serves for one call only, and this one was called before; make a new instance for each call".into(),
        ));
    }
    let name = format!("{class}LegacyBackward");
    let made = run(slf, args, &name, |given| {
        forward.call1(PyTuple::new(slf.py(), given)?)
    });
    if made.is_err() && slf.as_super().get().next().is_empty() {
        slf.get().state.lock().used = false;
    }
    made
}

fn forward_of<'py>(of: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let forward = of.getattr("forward")?;
    if forward.getattr("_is_missing").is_ok() {
        return Err(PyNotImplementedError::new_err(format!(
            "{name}: a Function must define forward, and this class does not"
        )));
    }
    Ok(forward)
}

/// The rule of nodes with this name; names are few, one for each class.
fn rule_named(name: &str) -> &'static Rule {
    static RULES: Mutex<Option<HashMap<&'static str, &'static Rule>>> = Mutex::new(None);
    let mut rules = RULES.lock();
    let rules = rules.get_or_insert_default();
    if let Some(rule) = rules.get(name) {
        return rule;
    }
    let node: &'static str = String::leak(name.to_owned());
    let rule: &'static Rule = Box::leak(Box::new(Rule {
        node,
        saves: |_| 0,
        inputs: 0,
        back: Some(rule::by_foreign),
    }));
    rules.insert(node, rule);
    rule
}

/// A result of forward.
struct Output<'py> {
    object: Bound<'py, PyAny>,
    tensor: Tensor,
    /// The argument that it is.
    input: Option<usize>,
    is_dirty: bool,
    /// The argument that it shares memory with.
    shares: Option<usize>,
    is_differentiable: bool,
}

fn run<'py>(
    context: &Bound<'py, PyFunction>,
    args: &Bound<'py, PyTuple>,
    name: &str,
    forward: impl FnOnce(Vec<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let py = context.py();
    let call = Call::of(args)?;
    let inputs: Vec<_> = call
        .variables
        .iter()
        .map(|(_, v)| v.get().var.var())
        .collect::<crate::error::Result<Vec<Var>>>()?;
    let volatile = inputs.iter().any(|v| v.volatile);
    let recorded = !volatile && is_recording() && inputs.iter().any(Var::requires_grad);
    {
        let mut arguments: Vec<Option<Input>> = call.given.iter().map(|_| None).collect();
        for ((i, variable), var) in call.variables.iter().zip(&inputs) {
            arguments[*i] = Some(Input {
                kind: Kind::of(&var.tensor),
                requires_grad: variable.get().var.requires_grad(),
            });
        }
        let needs = arguments
            .iter()
            .map(|a| a.as_ref().is_some_and(|a| a.requires_grad));
        let needs = PyTuple::new(py, needs.collect::<Vec<_>>())?;
        let mut state = context.get().state.lock();
        state.needs_input_grad = Some(needs.unbind());
        state.arguments = arguments;
    }
    let result = forward(call.given.clone());
    let marks = std::mem::take(&mut context.get().state.lock().marks);
    let checked = result.and_then(|result| {
        let (items, several) = match result.cast::<PyTuple>() {
            Ok(tuple) => (tuple.iter().collect::<Vec<_>>(), true),
            Err(_) => (vec![result.clone()], false),
        };
        let outputs = outputs_of(py, &call, items, &marks, name)?;
        let to_save = saves_of(py, &call, &outputs, &marks, name)?;
        Ok((outputs, to_save, several))
    });
    // What is marked has changed, also when the call fails.
    let dirty: BTreeSet<usize> = marked(py, &marks.dirty)
        .iter()
        .filter_map(|object| call.input(object))
        .collect();
    for &i in &dirty {
        let variable = call.variable(i);
        let quiet = !variable.sink().is_unsettled;
        inputs[i].tensor.bump();
        // A leaf whose change nothing recorded stays a leaf that can get a gradient.
        let failed = checked.is_err() && variable.requires_grad();
        if quiet && (failed || !is_recording()) {
            variable.settle();
        }
    }
    // Everything is checked; from here on the call takes place.
    let (outputs, to_save, several) = checked?;
    let handle = match recorded {
        true => {
            let made: Vec<Made> = inputs.iter().map(|input| input.history.clone()).collect();
            let handle = record(rule_named(name), &made, outputs.len() as u32)?;
            PyNode::give_to(context.as_super(), &handle);
            Some(handle)
        }
        false => None,
    };
    if recorded {
        let mut state = context.get().state.lock();
        state.outputs = outputs.iter().map(|o| Kind::of(&o.tensor)).collect();
        state.saved = to_save;
    }
    let mut made = Vec::with_capacity(outputs.len());
    for (nr, output) in outputs.into_iter().enumerate() {
        made.push(wrap_output(
            py,
            &call,
            output,
            handle.as_ref(),
            nr as u32,
            volatile,
        )?);
    }
    super::twice::tie(py, &made, recorded)?;
    if several {
        return Ok(PyTuple::new(py, made)?.into_any().unbind());
    }
    made.pop()
        .ok_or_else(|| refused(name, "forward gave no result; return a tensor".into()))
}

/// The results with what was said about them.
fn outputs_of<'py>(
    py: Python<'py>,
    call: &Call<'py>,
    items: Vec<Bound<'py, PyAny>>,
    marks: &Marks,
    name: &str,
) -> PyResult<Vec<Output<'py>>> {
    let mut dirty = Vec::new();
    for (i, object) in marked(py, &marks.dirty).iter().enumerate() {
        if !object.is_instance_of::<PyTensor>() {
            return Err(refused(
                name,
                format!(
                    "mark_dirty takes tensors, but element {i} is a {}",
                    kind_name(object)
                ),
            ));
        }
        let Some(input) = call.input(object) else {
            return Err(refused(
                name,
                format!(
                    "mark_dirty takes arguments of forward only, and element {i} is none; a result needs no mark"
                ),
            ));
        };
        let variable = call.variable(input);
        if is_recording() && variable.base().is_some() && call.wants_history() {
            return Err(refused(
                name,
                format!(
                    "mark_dirty: element {i} is a view of another Variable, whose history would be lost; give the function a clone() of it"
                ),
            ));
        }
        let of_leaf = variable
            .base()
            .is_some_and(|b| b.is_leaf() && b.requires_grad());
        if is_recording()
            && ((variable.is_leaf() && variable.requires_grad() && !variable.volatile()) || of_leaf)
        {
            let text = format!(
                "{name}: a leaf Variable that requires grad has been used in an in-place operation; change its .data instead"
            );
            let error = Error::Runtime(text).about("leaf", variable.tensor().family(), 0);
            return Err(error.into());
        }
        dirty.push(input);
    }
    let mut outputs = Vec::with_capacity(items.len());
    for (nr, object) in items.into_iter().enumerate() {
        let Ok(tensor) = object.cast::<PyTensor>() else {
            let advice = match object.is_instance_of::<PyVariable>() {
                true => "wrap nothing in Variables there",
                false => "return a tensor or a tuple of tensors",
            };
            return Err(refused(
                name,
                format!(
                    "forward must return tensors, but result {nr} is a {}; {advice}",
                    kind_name(&object)
                ),
            ));
        };
        let input = call.input(&object);
        outputs.push(Output {
            tensor: call.counted(tensor.get().tensor())?,
            input,
            is_dirty: input.is_some_and(|i| dirty.contains(&i)),
            shares: None,
            is_differentiable: true,
            object,
        });
    }
    for (i, object) in marked(py, &marks.non_differentiable).iter().enumerate() {
        let Some(output) = outputs.iter_mut().find(|o| o.object.is(object)) else {
            return Err(refused(
                name,
                format!(
                    "mark_non_differentiable takes results of forward only, and element {i}, a {}, is none",
                    kind_name(object)
                ),
            ));
        };
        output.is_differentiable = false;
    }
    for (i, pair) in marked(py, &marks.shared).iter().enumerate() {
        let Some((from, to)) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>().ok() else {
            return Err(refused(
                name,
                format!(
                    "mark_shared_storage takes pairs (argument, result), but element {i} is a {}",
                    kind_name(pair)
                ),
            ));
        };
        if let Some(wrong) = [&from, &to]
            .into_iter()
            .find(|t| !t.is_instance_of::<PyTensor>())
        {
            return Err(refused(
                name,
                format!(
                    "mark_shared_storage takes pairs of tensors, but pair {i} holds a {}",
                    kind_name(wrong)
                ),
            ));
        }
        let Some(input) = call.input(&from) else {
            return Err(refused(
                name,
                format!("mark_shared_storage: the first of pair {i} is no argument of forward"),
            ));
        };
        let Some(output) = outputs.iter_mut().find(|o| o.object.is(&to)) else {
            return Err(refused(
                name,
                format!("mark_shared_storage: the second of pair {i} is no result of forward"),
            ));
        };
        if output.shares.replace(input).is_some() {
            return Err(refused(
                name,
                format!(
                    "mark_shared_storage: the result in pair {i} is in another pair too; a result shares memory with one argument"
                ),
            ));
        }
    }
    Ok(outputs)
}

fn marked<'py>(py: Python<'py>, tuple: &Option<Py<PyTuple>>) -> Vec<Bound<'py, PyAny>> {
    match tuple {
        Some(tuple) => tuple.bind(py).iter().collect(),
        None => Vec::new(),
    }
}

/// What `save_for_backward` was given.
fn saves_of<'py>(
    py: Python<'py>,
    call: &Call<'py>,
    outputs: &[Output<'py>],
    marks: &Marks,
    name: &str,
) -> PyResult<Vec<Option<Kept>>> {
    let mut saved = Vec::new();
    for (i, object) in marked(py, &marks.save).iter().enumerate() {
        if object.is_none() {
            saved.push(None);
            continue;
        }
        let Ok(_) = object.cast::<PyTensor>() else {
            return Err(refused(
                name,
                format!(
                    "save_for_backward can only save tensors, but argument {i} is a {}; keep other things as attributes of ctx",
                    kind_name(object)
                ),
            ));
        };
        let output = outputs.iter().position(|o| o.object.is(object));
        let (from, tensor) = match (output, call.input(object)) {
            (Some(nr), None) => (From::Output(nr), outputs[nr].tensor.clone()),
            (Some(nr), Some(_)) if outputs[nr].is_dirty => {
                (From::Output(nr), outputs[nr].tensor.clone())
            }
            (_, Some(input)) => (From::Input(input), call.variable(input).tensor()),
            (None, None) => {
                return Err(refused(
                    name,
                    format!(
                        "save_for_backward can only save arguments and results of forward, but argument {i} is neither; keep others as attributes of ctx"
                    ),
                ));
            }
        };
        let is_dirty = matches!(from, From::Output(nr) if outputs[nr].is_dirty);
        let tensor = match from {
            From::Output(nr) if is_dirty => {
                let input = outputs[nr].input.expect("what is dirty is an argument");
                call.variable(input).tensor()
            }
            _ => tensor,
        };
        // A changed argument counts one version more as soon as the call takes place.
        let version = tensor.version() + u32::from(is_dirty);
        saved.push(Some(Kept {
            tensor,
            version,
            from,
        }));
    }
    Ok(saved)
}

/// Records a Function's node.
pub fn record(rule: &'static Rule, inputs: &[Made], outputs: u32) -> crate::error::Result<Handle> {
    let mut needs = 0;
    for (i, made) in inputs.iter().enumerate() {
        needs |= u64::from(made.is_some()) << i.min(63);
    }
    let payload = Payload {
        needs,
        extra: Some(Box::new(Extra {
            outputs,
            ..Extra::default()
        })),
        ..Payload::default()
    };
    arena::record(rule, origins(inputs), payload)
}

/// One result as a Variable.
fn wrap_output<'py>(
    py: Python<'py>,
    call: &Call<'py>,
    output: Output<'py>,
    handle: Option<&Handle>,
    nr: u32,
    volatile: bool,
) -> PyResult<Py<PyAny>> {
    let history = handle.map(|handle| (handle.clone(), nr));
    if output.is_dirty {
        let input = output.input.expect("what is dirty is an argument");
        let object = &call.variables[input].1;
        let variable = &object.get().var;
        if handle.is_some() || volatile {
            variable.rebase(history, volatile);
        }
        if !output.is_differentiable {
            variable.want_no_gradient();
        }
        return Ok(object.clone().into_any().unbind());
    }
    let variable = match output.input.or(output.shares) {
        Some(input) => {
            let base = call.variable(input);
            let var = Var {
                tensor: match output.input {
                    Some(_) => base.tensor(),
                    None => output.tensor.clone(),
                },
                history,
                volatile,
            };
            Variable::view_of(var, base, shape::remake_view)
        }
        None => {
            let place = output.object.cast::<PyTensor>()?.get();
            let held = match call.owner_of(&output.tensor) {
                Some(_) => Held::from(output.tensor.clone()),
                // Several results on the same memory, of one call or more, count together.
                None => {
                    place.tensor().claim();
                    place.share()
                }
            };
            let variable = Variable::around(held, false, volatile);
            if history.is_some() {
                variable.rebase(history, volatile);
            }
            variable
        }
    };
    if !output.is_differentiable {
        variable.want_no_gradient();
    }
    let object = PyVariable::wrap(py, variable)?;
    if output.input.is_none() {
        object.get().set_data_object(output.object.unbind());
    }
    Ok(object.into_any())
}
