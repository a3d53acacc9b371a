//! Calling a row from Python: which overload, and what comes back.

mod fit;

use fit::{fit, refused};
pub use fit::{kind_name, signature};

use crate::error::{Error, Result};
use crate::fail;
use crate::graph::{Input, Origin, Var, Variable, is_recording};
use crate::ops::apply::{Values, apply, apply_in_place, run_into, single};
use crate::ops::device::Reduction;
use crate::ops::{self, Op, shape};
use crate::python::classes;
use crate::python::errors::run;
use crate::python::tensor::PyTensor;
use crate::python::variable::PyVariable;
use crate::tensor::{DType, Dims, Tensor, Value, class_name, sizes_text};
use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use smallvec::SmallVec;

/// How an op is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Method,
    Function,
    InPlace,
}

impl From<u8> for Form {
    fn from(code: u8) -> Form {
        [Form::Method, Form::Function, Form::InPlace][code as usize]
    }
}

/// The rows that share a Python name: its overloads.
pub struct Group {
    pub name: &'static str,
    pub rows: Vec<&'static Op>,
}

/// The table by Python name.
pub fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for op in ops::all().filter(|op| !op.name.starts_with('_') && !op.forms.list) {
        if !(op.forms.method || op.forms.function || op.forms.in_place) {
            continue;
        }
        match groups.iter_mut().find(|g| g.name == op.name) {
            Some(group) => group.rows.push(op),
            None => groups.push(Group {
                name: op.name,
                rows: vec![op],
            }),
        }
    }
    groups
}

impl Group {
    /// Whether some row has the form.
    pub fn has(&self, form: Form) -> bool {
        self.rows.iter().any(|op| has(op, form))
    }

    /// The element types for which some row with the form exists; none when all do.
    pub fn only_for(&self, form: Form) -> Option<Vec<DType>> {
        let takes = |d: &DType| self.rows.iter().any(|op| has(op, form) && op.class.has(*d));
        let some: Vec<DType> = DType::ALL.into_iter().filter(takes).collect();
        (some.len() < DType::ALL.len()).then_some(some)
    }

    /// The text of Python's help.
    pub fn doc(&self, form: Form) -> String {
        let rows = self.rows.iter().filter(|op| has(op, form));
        let parts: Vec<String> = rows
            .map(|op| format!("{}\n\n{}", signature(op, form), op.doc.trim()))
            .collect();
        parts.join("\n\n")
    }
}

fn has(op: &Op, form: Form) -> bool {
    match form {
        Form::Method => op.forms.method,
        Form::Function => op.forms.function,
        Form::InPlace => op.forms.in_place,
    }
}

/// A tensor in an argument: raw, or a Variable.
pub enum Operand<'py> {
    Raw(Tensor),
    Var(PyRef<'py, PyVariable>),
}

impl<'py> Operand<'py> {
    /// What `object` is, if it is either.
    pub fn of(object: &Bound<'py, PyAny>) -> Option<Operand<'py>> {
        if let Ok(v) = object.cast::<PyVariable>() {
            return Some(Operand::Var(v.borrow()));
        }
        object
            .cast::<PyTensor>()
            .ok()
            .map(|t| Operand::Raw(t.get().tensor()))
    }

    /// Its elements.
    pub fn tensor(&self) -> Tensor {
        match self {
            Operand::Raw(t) => t.clone(),
            Operand::Var(v) => v.var.tensor(),
        }
    }
}

/// One overload with its arguments in place.
struct Matched<'py> {
    op: &'static Op,
    inputs: SmallVec<[Operand<'py>; 3]>,
    values: Values,
}

/// Calls the overload of `group` that fits.
pub fn call<'py>(
    py: Python<'py>,
    group: &Group,
    form: Form,
    own: Option<&Bound<'py, PyAny>>,
    given: &[Bound<'py, PyAny>],
    keywords: &[(Bound<'py, PyAny>, Bound<'py, PyAny>)],
) -> PyResult<Py<PyAny>> {
    let mut rest: SmallVec<[Bound<'py, PyAny>; 4]> = given.iter().cloned().collect();
    let mut named: SmallVec<[(String, Bound<'py, PyAny>); 2]> = SmallVec::new();
    let mut out = None;
    let mut first = own.cloned();
    let mut base_first = false;
    for (name, value) in keywords {
        let name = name.extract::<String>()?;
        match name.as_str() {
            "out" => out = (!value.is_none()).then(|| value.clone()),
            "input" | "self" if first.is_none() => first = Some(value.clone()),
            _ => named.push((name, value.clone())),
        }
    }
    if first.is_none() {
        // Old orders put numbers before the first tensor: torch.addmm(beta, M, alpha, A, B).
        let Some(at) = rest.iter().position(|a| Operand::of(a).is_some()) else {
            return Err(refused(group, form, given, keywords, None));
        };
        base_first = at > 0 && group.name == "pow";
        first = Some(rest.remove(at));
    }
    let Some(own) = first.as_ref().and_then(Operand::of) else {
        return Err(refused(group, form, given, keywords, None));
    };
    let is_var = matches!(own, Operand::Var(_));
    for op in &group.rows {
        let fits = has(op, form) || (base_first && op.rule.node == "PowConstantBackward");
        if !fits || base_first != (op.rule.node == "PowConstantBackward") {
            continue;
        }
        let Some(own) = first.as_ref().and_then(Operand::of) else {
            break;
        };
        let Some(matched) = fit(op, own, &rest, &named)? else {
            continue;
        };
        if matched
            .inputs
            .iter()
            .any(|i| matches!(i, Operand::Var(_)) != is_var)
        {
            break;
        }
        return match (form, out) {
            (Form::InPlace, _) => in_place(py, matched, first.as_ref()),
            (_, Some(out)) => into_out(py, matched, &out),
            (_, None) => fresh(py, matched),
        };
    }
    Err(refused(group, form, given, keywords, first.as_ref()))
}

/// Operands large enough that other Python threads may run meanwhile.
fn is_long(op: &Op, inputs: &[Input]) -> bool {
    let most = inputs.iter().map(|i| i.tensor.numel()).max().unwrap_or(0);
    most >= 1 << 16 || (most >= 1 << 12 && matches!(op.name, "mm" | "addmm" | "bmm"))
}

/// Runs an op of one result on operands it may keep, with the interpreter released when it takes
/// long.
#[inline]
pub fn single_op<const N: usize>(
    py: Python<'_>,
    op: &'static Op,
    inputs: [Input; N],
    values: Values,
) -> PyResult<Var> {
    if is_long(op, &inputs) {
        return py.detach(|| run(|| single(op, inputs, values)));
    }
    single(op, inputs, values).map_err(PyErr::from)
}

/// Runs the op, with the interpreter released when it takes long.
pub fn apply_op(
    py: Python<'_>,
    op: &'static Op,
    inputs: &[Input],
    values: Values,
) -> PyResult<ops::apply::Results> {
    if is_long(op, inputs) {
        return py.detach(|| run(|| apply(op, inputs, values)));
    }
    apply(op, inputs, values).map_err(PyErr::from)
}

fn fresh<'py>(py: Python<'py>, m: Matched<'py>) -> PyResult<Py<PyAny>> {
    let Some(Operand::Var(me)) = m.inputs.first() else {
        return raw(py, m);
    };
    let base = me.var.clone();
    implemented(m.op, &base)?;
    let inputs: SmallVec<[Input; 3]> = inputs_of(&m.inputs)?;
    let results = apply_op(py, m.op, &inputs, m.values)?;
    let mut made = SmallVec::<[Py<PyAny>; 2]>::new();
    for var in results {
        let variable = if m.op.forms.view {
            Variable::view_of(var, &base, shape::remake_view)
        } else {
            Variable::new(var)
        };
        made.push(PyVariable::wrap(py, variable)?.into_any());
    }
    several(py, made)
}

/// Fails for a Variable of a class that the op does not take (E-81).
pub fn implemented(op: &Op, v: &Variable) -> PyResult<()> {
    let t = v.tensor();
    if op.class.has(t.dtype()) {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "{} is not implemented for type {}; convert with .float() first",
        op.name,
        class_name(t.dtype(), t.device())
    )))
}

fn several(py: Python<'_>, mut made: SmallVec<[Py<PyAny>; 2]>) -> PyResult<Py<PyAny>> {
    if made.len() == 1 {
        return Ok(made.remove(0));
    }
    Ok(PyTuple::new(py, made)?.into_any().unbind())
}

/// What the op needs of Variables.
fn inputs_of<'a>(operands: &'a [Operand<'_>]) -> Result<SmallVec<[Input<'a>; 3]>> {
    operands
        .iter()
        .map(|operand| match operand {
            Operand::Var(v) => v.var.input(),
            Operand::Raw(t) => Ok(Input::plain(t.clone())),
        })
        .collect()
}

/// Raw tensors: full reductions give numbers, and equal element counts are enough (T-52).
fn raw<'py>(py: Python<'py>, m: Matched<'py>) -> PyResult<Py<PyAny>> {
    let mut inputs: SmallVec<[Input; 3]> = inputs_of(&m.inputs)?;
    // A vector's element is a number (T-39).
    if m.op.name == "select" && inputs[0].tensor.ndim() == 1 {
        let made = apply_op(py, m.op, &inputs, m.values)?;
        return crate::python::number::number_object(
            py,
            crate::python::number::scalar_at(&made[0].tensor, 0)?,
        );
    }
    if m.op.forms.number {
        return number_of(py, m.op, &inputs);
    }
    fall_back(m.op, &mut inputs)?;
    let values = fitting_masks(m.op, &inputs, m.values)?;
    let results = apply_op(py, m.op, &inputs, values).map_err(|e| refusal(py, m.op, e))?;
    let made: PyResult<SmallVec<[Py<PyAny>; 2]>> = results
        .into_iter()
        .map(|v| classes::wrap(py, v.tensor))
        .collect();
    several(py, made?)
}

fn number_of(py: Python<'_>, op: &'static Op, inputs: &[Input]) -> PyResult<Py<PyAny>> {
    let what = match op.name {
        "sum" => Some(Reduction::Sum),
        "mean" => Some(Reduction::Mean),
        "max" => Some(Reduction::Max),
        "min" => Some(Reduction::Min),
        _ => None,
    };
    let value = match what {
        Some(what) => py.detach(|| run(|| ops::reduce::total(&inputs[0].tensor, what)))?,
        None => {
            let made = apply_op(py, op, inputs, Values::new())?;
            crate::python::number::scalar_at(&made[0].tensor, 0)?
        }
    };
    crate::python::number::number_object(py, value)
}

/// Operands that cannot broadcast but have as many elements take the first one's sizes (T-52).
pub fn fall_back(op: &Op, inputs: &mut [Input]) -> Result<()> {
    if !op.forms.broadcasts {
        return Ok(());
    }
    let Some((first, others)) = inputs.split_first_mut() else {
        return Ok(());
    };
    let sizes = Dims::from_slice(first.tensor.sizes());
    for other in others {
        let refused =
            crate::tensor::dims::broadcast(op.name, &sizes, other.tensor.sizes()).is_err();
        if refused && other.tensor.numel() == first.tensor.numel() {
            other.tensor = other.tensor.view_or_copy(&sizes)?;
        }
    }
    Ok(())
}

/// A mask that does not expand but has as many elements takes the tensor's sizes (T-52).
fn fitting_masks(op: &Op, inputs: &[Input], mut values: Values) -> Result<Values> {
    let sizes = inputs[0].tensor.sizes();
    for (value, param) in values.iter_mut().zip(op.params) {
        if let Value::Tensor(mask) = value
            && param.name == "mask"
            && mask.numel() == inputs[0].tensor.numel()
            && crate::tensor::dims::broadcast(op.name, sizes, mask.sizes()).is_err()
        {
            *mask = mask.view_or_copy(sizes)?;
        }
    }
    Ok(values)
}

/// 0.3 asserts where tensors permute (T-45, E-97).
fn refusal(py: Python<'_>, op: &Op, error: PyErr) -> PyErr {
    if op.name == "permute" && error.is_instance_of::<PyRuntimeError>(py) {
        let text = error.value(py).to_string();
        return PyAssertionError::new_err(format!("Invalid permutation: {text}"));
    }
    error
}

fn in_place<'py>(
    py: Python<'py>,
    m: Matched<'py>,
    own: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let own = own.map(|o| o.clone().unbind()).unwrap_or_else(|| py.None());
    let mut inputs = inputs_of(&m.inputs)?;
    if m.op.forms.view {
        turn_in_place(&m, &inputs, own.bind(py))?;
        return Ok(own);
    }
    if let Some(Operand::Var(me)) = m.inputs.first() {
        implemented(m.op, &me.var)?;
        run(|| apply_in_place(m.op, &me.var, &inputs[1..], m.values))?;
        return Ok(own);
    }
    fall_back(m.op, &mut inputs)?;
    let values = fitting_masks(m.op, &inputs, m.values)?;
    raw_in_place(m.op, &mut inputs, &values)?;
    Ok(own)
}

/// `t_()` and its kin: the object takes another geometry on the same elements.
fn turn_in_place(m: &Matched<'_>, inputs: &[Input], own: &Bound<'_, PyAny>) -> PyResult<()> {
    let Some(Operand::Var(me)) = m.inputs.first() else {
        let result = run(|| apply(m.op, inputs, m.values.clone()))?.swap_remove(0);
        own.cast::<PyTensor>()?.get().set(result.tensor);
        return Ok(());
    };
    run(|| {
        if matches!(inputs[0].origin, Origin::Leaf(_)) && is_recording() {
            fail!(
                Runtime,
                "{}_: a leaf Variable that requires grad has been used in an in-place operation; change its .data instead",
                m.op.name
            );
        }
        if me.var.base().is_some() {
            fail!(
                Runtime,
                "{}_: a view cannot change its geometry in place; use {}() for another view",
                m.op.name,
                m.op.name
            );
        }
        let result = apply(m.op, inputs, m.values.clone())?.swap_remove(0);
        result.tensor.bump();
        me.var.turn(result);
        Ok(())
    })
}

/// Runs on a raw tensor in place; other operands expand to its sizes.
pub fn raw_in_place(op: &'static Op, inputs: &mut [Input], values: &[Value]) -> PyResult<()> {
    run(|| {
        let target = inputs[0].tensor.clone();
        if op.forms.broadcasts {
            for other in &mut inputs[1..] {
                crate::tensor::dtype::same(op.name, target.kind(), other.tensor.kind())?;
                if other.tensor.sizes() != target.sizes() {
                    other.tensor = other.tensor.expand(target.sizes()).map_err(|_| {
                        Error::Runtime(format!(
                            "{}_: an operand of size {} does not expand to the tensor's {}, and in place the tensor's size stays",
                            op.name,
                            sizes_text(other.tensor.sizes()),
                            sizes_text(target.sizes())
                        ))
                    })?;
                }
            }
        }
        run_into(op, inputs, values, &target).map(|_| ())
    })
}

/// `out=`: computed as ever, then written where the caller wants it, which takes its size (O-7).
fn into_out<'py>(py: Python<'py>, m: Matched<'py>, out: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
    if m.inputs.iter().any(|i| matches!(i, Operand::Var(_))) {
        return Err(PyTypeError::new_err(format!(
            "{}: out= takes tensors only, and Variables have no out=",
            m.op.name
        )));
    }
    let mut inputs = inputs_of(&m.inputs)?;
    fall_back(m.op, &mut inputs)?;
    let values = fitting_masks(m.op, &inputs, m.values)?;
    let made = apply_op(py, m.op, &inputs, values)?;
    let targets: Vec<Bound<'py, PyAny>> = match out.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter().collect(),
        Err(_) => vec![out.clone()],
    };
    if targets.len() != made.len() {
        return Err(PyTypeError::new_err(format!(
            "{}: gives {} results, but out= has {}",
            m.op.name,
            made.len(),
            targets.len()
        )));
    }
    let mut places = Vec::new();
    for (target, result) in targets.iter().zip(&made) {
        let Ok(place) = target.cast::<PyTensor>() else {
            return Err(PyTypeError::new_err(format!(
                "{}: out= must be a tensor; got {}",
                m.op.name,
                kind_name(target)
            )));
        };
        let (have, want) = (place.get().tensor().kind(), result.tensor.kind());
        if have != want {
            return Err(PyTypeError::new_err(format!(
                "{}: out= must be a {}, the class of the result; got {}",
                m.op.name,
                class_name(want.0, want.1),
                class_name(have.0, have.1)
            )));
        }
        places.push(place.clone());
    }
    for (place, result) in places.iter().zip(made) {
        place.get().take_result(m.op.name, &result.tensor)?;
    }
    Ok(out.clone().unbind())
}
