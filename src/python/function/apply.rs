//! Forward of a user's Function: Variables are unwrapped, the call runs, results are wrapped and
//! the node is recorded. Nothing is recorded before everything has been checked.

use super::results::{marked, outputs_of, saves_of, wrap_output};
use super::twice::{self, Made, origins};
use super::{Input, Kind, PyFunction};
use crate::graph::arena::{self, Extra, Handle, Payload};
use crate::graph::{Rule, Var, Variable, is_recording, profile, rule};
use crate::lock::plain::Mutex;
use crate::python::callback;
use crate::python::node::PyNode;
use crate::python::variable::PyVariable;
use crate::tensor::Tensor;
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};

/// The arguments of a call.
pub(super) struct Call<'py> {
    /// The Variables among them, with their places.
    pub(super) variables: Vec<(usize, Bound<'py, PyVariable>)>,
    /// What forward gets: the Variables' data, and the rest as it came.
    given: Vec<Bound<'py, PyAny>>,
    by_object: Places,
    /// Filled when forward has run, which may move an argument to other memory.
    by_memory: Places,
}

/// Where keys are first found; filled when first asked for.
#[derive(Default)]
pub(super) struct Places(OnceCell<HashMap<usize, usize>>);

impl Places {
    /// Few are looked through, which costs less than a table.
    const FEW: usize = 8;

    /// The first place whose key is `key`, of `count`.
    pub(super) fn find(
        &self,
        key: usize,
        count: usize,
        key_of: impl Fn(usize) -> usize,
    ) -> Option<usize> {
        if count <= Places::FEW {
            return (0..count).find(|&i| key_of(i) == key);
        }
        let table = self.0.get_or_init(|| {
            let mut table = HashMap::with_capacity(count);
            for i in 0..count {
                table.entry(key_of(i)).or_insert(i);
            }
            table
        });
        table.get(&key).copied()
    }
}

impl<'py> Call<'py> {
    fn of(args: &Bound<'py, PyTuple>) -> PyResult<Call<'py>> {
        let mut call = Call {
            variables: Vec::new(),
            given: Vec::new(),
            by_object: Places::default(),
            by_memory: Places::default(),
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
    pub(super) fn input(&self, object: &Bound<'_, PyAny>) -> Option<usize> {
        let key = object.as_ptr() as usize;
        self.by_object.find(key, self.variables.len(), |i| {
            self.given[self.variables[i].0].as_ptr() as usize
        })
    }

    pub(super) fn variable(&self, i: usize) -> &Variable {
        &self.variables[i].1.get().var
    }

    /// The Variable whose memory `tensor` shares.
    pub(super) fn owner_of(&self, tensor: &Tensor) -> Option<&Variable> {
        let (root, count) = (tensor.memory_id(), self.variables.len());
        let found = self
            .by_memory
            .find(root, count, |i| self.variable(i).tensor().memory_id());
        found.map(|i| self.variable(i))
    }

    /// `tensor` so that its in-place changes count for the argument whose memory it shares, and the
    /// argument's for it.
    pub(super) fn counted(&self, tensor: Tensor) -> PyResult<Tensor> {
        let Some(owner) = self.owner_of(&tensor) else {
            return Ok(tensor);
        };
        let owner = owner.tensor();
        if owner.family() == tensor.family() || owner.dtype() != tensor.dtype() {
            return Ok(tensor);
        }
        Ok(owner.as_strided(tensor.sizes(), tensor.strides(), tensor.offset() as i64)?)
    }

    /// Makes what changes with each other in place know of it.
    fn tie(&self, results: &[Bound<'_, PyVariable>]) {
        let loose: Vec<&Variable> = (results.iter().map(|v| &v.get().var))
            .filter(|v| v.base().is_none() && v.noted_base().is_none())
            .collect();
        let owned = |v: &&Variable| self.owner_of(&v.tensor()).is_some();
        let arguments: Vec<Variable> = match loose.iter().any(owned) {
            true => (self.variables.iter())
                .map(|(_, v)| v.get().var.base().unwrap_or_else(|| v.get().var.clone()))
                .collect(),
            false => Vec::new(),
        };
        if loose.len() + arguments.len() > 1 {
            twice::tie(&loose, &arguments);
        }
    }

    /// Whether some Variable requires grad.
    pub(super) fn wants_history(&self) -> bool {
        self.variables
            .iter()
            .any(|(_, v)| v.get().var.requires_grad())
    }
}

pub(super) fn refused(name: &str, text: String) -> PyErr {
    PyRuntimeError::new_err(format!("{name}: {text}"))
}

pub(super) fn kind_name(object: &Bound<'_, PyAny>) -> String {
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
    let context = callback::call(&context, ())?.cast_into::<PyFunction>()?;
    let class = cls.name()?.to_string();
    let forward = forward_of(cls.as_any(), &class)?;
    let name = context.get_type().name()?.to_string();
    run(&context, args, (&class, &name), |given| {
        let py = context.py();
        let mut all = vec![context.as_any().clone()];
        all.extend(given);
        callback::call(&forward, PyTuple::new(py, all)?)
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
    let made = run(slf, args, (&class, &name), |given| {
        callback::call(&forward, PyTuple::new(slf.py(), given)?)
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

fn run<'py>(
    context: &Bound<'py, PyFunction>,
    args: &Bound<'py, PyTuple>,
    (class, name): (&str, &str),
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
        let old = state.needs_input_grad.replace(needs.unbind());
        state.arguments = arguments;
        drop(state);
        drop(old);
    }
    let span = profile::is_on().then(|| profile::range(class.to_owned().into()));
    let result = forward(call.given.clone());
    drop(span);
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
        let version = inputs[i].tensor.version();
        inputs[i].tensor.bump();
        // A leaf whose change nothing recorded stays a leaf that can get a gradient.
        let failed = checked.is_err() && variable.requires_grad();
        if failed || !is_recording() {
            variable.settle(version);
        }
    }
    // Everything is checked; from here on the call takes place, unless memory runs out.
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
        let old = std::mem::replace(&mut state.saved, to_save);
        drop(state);
        // What was saved may call the program when it goes.
        drop(old);
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
    if recorded {
        call.tie(&made);
    }
    if several {
        return Ok(PyTuple::new(py, made)?.into_any().unbind());
    }
    made.pop()
        .map(|made| made.into_any().unbind())
        .ok_or_else(|| refused(name, "forward gave no result; return a tensor".into()))
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
