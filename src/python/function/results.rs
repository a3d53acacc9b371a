//! Results of a user's Function: what was said about them, checked, and the Variables they become.

use super::apply::{Call, Places, kind_name, refused};
use super::{From, Kept, Marks};
use crate::error::Error;
use crate::graph::arena::Handle;
use crate::graph::{Var, Variable, is_recording};
use crate::ops::in_place::written;
use crate::ops::shape;
use crate::python::tensor::PyTensor;
use crate::python::variable::PyVariable;
use crate::tensor::{Held, Tensor};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::collections::BTreeSet;

/// A result of forward.
pub(super) struct Output<'py> {
    pub(super) object: Bound<'py, PyAny>,
    pub(super) tensor: Tensor,
    /// The argument that it is.
    pub(super) input: Option<usize>,
    pub(super) is_dirty: bool,
    /// The argument that it shares memory with.
    pub(super) shares: Option<usize>,
    pub(super) is_differentiable: bool,
}

/// The results with what was said about them.
pub(super) fn outputs_of<'py>(
    py: Python<'py>,
    call: &Call<'py>,
    items: Vec<Bound<'py, PyAny>>,
    marks: &Marks,
    name: &str,
) -> PyResult<Vec<Output<'py>>> {
    let mut dirty = BTreeSet::new();
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
        if is_recording() && variable.base().is_some() && call.wants_history() && items.len() != 1 {
            return Err(refused(
                name,
                format!(
                    "mark_dirty: element {i} is a view of another Variable, which only a function with one result can change, and this one has {}; give the function a clone() of it",
                    items.len()
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
        dirty.insert(input);
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
    let places = Places::default();
    for (i, object) in marked(py, &marks.non_differentiable).iter().enumerate() {
        let Some(nr) = place_of(object, &outputs, &places) else {
            return Err(refused(
                name,
                format!(
                    "mark_non_differentiable takes results of forward only, and element {i}, a {}, is none",
                    kind_name(object)
                ),
            ));
        };
        outputs[nr].is_differentiable = false;
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
        let Some(nr) = place_of(&to, &outputs, &places) else {
            return Err(refused(
                name,
                format!("mark_shared_storage: the second of pair {i} is no result of forward"),
            ));
        };
        if outputs[nr].shares.replace(input).is_some() {
            return Err(refused(
                name,
                format!(
                    "mark_shared_storage: the result in pair {i} is in another pair too; a result shares memory with one argument"
                ),
            ));
        }
    }
    // A mark makes no elements common: what lies elsewhere is a result like others.
    for output in &mut outputs {
        let has_part = |&i: &usize| {
            let owner = call.variable(i);
            let whole = owner.base().unwrap_or_else(|| owner.clone());
            whole.tensor().covers(&output.tensor)
        };
        output.shares = output.shares.filter(has_part);
    }
    Ok(outputs)
}

/// Which of the results `object` is.
fn place_of(object: &Bound<'_, PyAny>, outputs: &[Output<'_>], places: &Places) -> Option<usize> {
    let key = object.as_ptr() as usize;
    places.find(key, outputs.len(), |i| outputs[i].object.as_ptr() as usize)
}

pub(super) fn marked<'py>(py: Python<'py>, tuple: &Option<Py<PyTuple>>) -> Vec<Bound<'py, PyAny>> {
    match tuple {
        Some(tuple) => tuple.bind(py).iter().collect(),
        None => Vec::new(),
    }
}

/// What `save_for_backward` was given.
pub(super) fn saves_of<'py>(
    py: Python<'py>,
    call: &Call<'py>,
    outputs: &[Output<'py>],
    marks: &Marks,
    name: &str,
) -> PyResult<Vec<Option<Kept>>> {
    let mut saved = Vec::new();
    let places = Places::default();
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
        let output = place_of(object, outputs, &places);
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

/// One result as a Variable.
pub(super) fn wrap_output<'py>(
    py: Python<'py>,
    call: &Call<'py>,
    output: Output<'py>,
    handle: Option<&Handle>,
    nr: u32,
    volatile: bool,
) -> PyResult<Bound<'py, PyVariable>> {
    let history = handle.map(|handle| (handle.clone(), nr));
    if output.is_dirty {
        let input = output.input.expect("what is dirty is an argument");
        let object = &call.variables[input].1;
        let variable = &object.get().var;
        let base = variable.base();
        if let Some(base) = &base
            && volatile
        {
            base.rebase(None, true);
        }
        match base.filter(|_| handle.is_some()) {
            Some(base) => {
                let history = history.filter(|_| output.is_differentiable);
                written(variable, &base, &base.input()?, history)?;
            }
            None if handle.is_some() || volatile => variable.rebase(history, volatile),
            None => {}
        }
        if !output.is_differentiable {
            variable.want_no_gradient();
        }
        return Ok(object.clone());
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
            match handle {
                Some(_) => Variable::new(var).sharing(base),
                None => Variable::view_of(var, base, shape::remake_view),
            }
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
            // The argument, or what that is a view of.
            let whole = |owner: &Variable| owner.base().unwrap_or_else(|| owner.clone());
            match call.owner_of(&output.tensor).filter(|_| handle.is_some()) {
                Some(owner) if whole(owner).tensor().covers(&output.tensor) => {
                    variable.sharing(owner)
                }
                _ => variable,
            }
        }
    };
    if !output.is_differentiable {
        variable.want_no_gradient();
    }
    let object = PyVariable::wrap(py, variable)?;
    if output.input.is_none() {
        object.get().set_data_object(output.object.unbind());
    }
    Ok(object.into_bound(py))
}
