//! Calling a row from Python: which overload, and what comes back.

mod fallback;
mod fit;
mod info;
mod order;
mod plain;
mod run;
mod words;

pub use fallback::{fall_back, fall_back_in_place, for_copy, register};
pub use order::Side;
pub use plain::plain;
pub use run::{apply_op, implemented, raw_in_place, single_op, turn};
pub use words::kind_name;

use crate::ops::apply::Values;
use crate::ops::{self, Op};
use crate::python::number::number;
use crate::python::tensor::PyTensor;
use crate::python::variable::PyVariable;
use crate::tensor::{DType, Device, Tensor};
use fit::{Given, fit};
use order::{Overload, overloads};
use plain::Plain;
use pyo3::prelude::*;
use smallvec::SmallVec;
use std::sync::OnceLock;
use words::refused;

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
    tensors: OnceLock<Vec<Overload>>,
    variables: OnceLock<Vec<Overload>>,
    plain: OnceLock<Plain>,
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
                tensors: OnceLock::new(),
                variables: OnceLock::new(),
                plain: OnceLock::new(),
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

    /// Whether some row with the form moves elements of every type, and computes nothing.
    pub fn moves_only(&self, form: Form) -> bool {
        let any = |op: &&&Op| op.class == crate::ops::Class::Any;
        self.rows.iter().filter(any).any(|op| has(op, form))
    }

    /// The text of Python's help: of a method on one side, or of a function, which has both.
    pub fn doc(&self, form: Form, side: Side) -> String {
        let sides = match form {
            Form::Function => &[Side::Tensors, Side::Variables][..],
            _ => &[side],
        };
        let all = sides.iter().flat_map(|side| self.overloads(*side));
        let mut parts: Vec<String> = Vec::new();
        for o in all.filter(|o| has(o.op, form) && o.shown) {
            let signature = words::help(o, form);
            if !parts
                .iter()
                .any(|p| p.starts_with(&format!("{signature}\n")))
            {
                parts.push(format!("{signature}\n\n{}", o.op.doc.trim()));
            }
        }
        parts.join("\n\n")
    }

    fn overloads(&self, side: Side) -> &[Overload] {
        let made = match side {
            Side::Tensors => &self.tensors,
            Side::Variables => &self.variables,
        };
        made.get_or_init(|| overloads(&self.rows, side))
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

    fn kind(&self) -> (DType, Device) {
        match self {
            Operand::Raw(t) => t.kind(),
            Operand::Var(v) => v.var.tensor().kind(),
        }
    }

    fn side(&self) -> Side {
        match self {
            Operand::Raw(_) => Side::Tensors,
            Operand::Var(_) => Side::Variables,
        }
    }
}

/// One overload with its arguments in place.
struct Matched<'py> {
    op: &'static Op,
    inputs: SmallVec<[Operand<'py>; 3]>,
    values: Values,
    /// A dimension to reduce was given, and nothing said of keeping it (T-55).
    keepdim_left_out: bool,
    beside: Flags,
}

/// The flags of Variables that are arguments but no operands: what has no derivative by them.
#[derive(Debug, Default, Clone, Copy)]
struct Flags {
    volatile: bool,
    requires_grad: bool,
}

/// Calls the overload of `group` that fits.
pub fn call<'py>(
    py: Python<'py>,
    group: &Group,
    form: Form,
    own: Option<&Bound<'py, PyAny>>,
    rest: &[Bound<'py, PyAny>],
    keywords: &[(Bound<'py, PyAny>, Bound<'py, PyAny>)],
) -> PyResult<Py<PyAny>> {
    let mut named = Named::new();
    let (mut out, mut status) = (None, None);
    for (name, value) in keywords {
        let name = name.extract::<String>()?;
        if name == "out" && form != Form::InPlace {
            out = (!value.is_none()).then(|| value.clone());
        } else if name == "info" && group.name == "btrifact" {
            status = (!value.is_none()).then(|| value.clone());
        } else {
            named.push((name, value.clone()));
        }
    }
    let tensors = own.into_iter().chain(rest);
    let mut tensors = tensors.chain(named.iter().map(|(_, v)| v));
    let first = tensors.find_map(Operand::of);
    let side = first.as_ref().map_or(Side::Tensors, Operand::side);
    let scaled: SmallVec<[Bound<'py, PyAny>; 2]>;
    let mut rest = rest;
    if side == Side::Variables
        && matches!(group.name, "add" | "sub")
        && let Some(product) = scaled_number(rest, &mut named)?
    {
        scaled = product;
        rest = &scaled;
    }
    let bounds: Vec<Bound<'py, PyAny>>;
    if side == Side::Variables && group.name == "clamp" {
        bounds = bounds_by_name(rest, &mut named, usize::from(own.is_none()))?;
        rest = &bounds;
    }
    let mut given = Given {
        side,
        form,
        own,
        rest,
        named: &named,
    };
    let Some(matched) = choose(group, &given)? else {
        let without = not_none(&given);
        if without.is_some() {
            given.rest = without.as_ref().map_or(rest, |(rest, _)| rest);
            given.named = without.as_ref().map_or(&named, |(_, named)| named);
            if let Some(matched) = choose(group, &given)? {
                return run::matched(py, form, matched, own, out);
            }
        }
        (given.rest, given.named) = (rest, &named);
        return Err(refused(group, &given));
    };
    if let Some(status) = status {
        return info::call(py, matched, &status, out.as_ref());
    }
    run::matched(py, form, matched, own, out)
}

/// `v.add(3, alpha=2)`: a scaled number is a number. Gives the arguments by place with it, or puts
/// it under its name.
fn scaled_number<'py>(
    rest: &[Bound<'py, PyAny>],
    named: &mut Named<'py>,
) -> PyResult<Option<SmallVec<[Bound<'py, PyAny>; 2]>>> {
    let Some(alpha) = named.iter().position(|(name, _)| name == "alpha") else {
        return Ok(None);
    };
    let is_number = |v: &Bound<'py, PyAny>| matches!(number("add", v), Ok(Some(_)));
    let other = named.iter().position(|(name, _)| name == "other");
    let (before, value) = match (rest, other) {
        (rest, Some(at)) => (rest, &named[at].1),
        ([before @ .., value], None) => (before, value),
        ([], None) => return Ok(None),
    };
    if !is_number(value) || !is_number(&named[alpha].1) {
        return Ok(None);
    }
    let product = value.mul(&named[alpha].1)?;
    let mut made: SmallVec<_> = before.iter().cloned().collect();
    match other {
        Some(at) => named[at].1 = product,
        None => made.push(product),
    }
    named.retain(|(name, _)| name != "alpha");
    Ok(Some(made))
}

/// `v.clamp(None, 2)`: puts the second bound under its name, since the first is left out. Gives the
/// arguments by place that stay.
///
/// # Errors
/// `ValueError` when there is no bound at all.
fn bounds_by_name<'py>(
    rest: &[Bound<'py, PyAny>],
    named: &mut Named<'py>,
    first: usize,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut placed = rest.to_vec();
    let own_is_named = named.iter().any(|(n, _)| n == "input" || n == "self");
    let first = first - usize::from(own_is_named && first > 0);
    let none = |list: &[Bound<'py, PyAny>]| list.iter().all(|a| a.is_none());
    let bounds = placed.get(first..).unwrap_or_default();
    let mut rest_named = named.iter().filter(|(n, _)| n == "min" || n == "max");
    if none(bounds) && rest_named.all(|(_, a)| a.is_none()) {
        return Err(pyo3::exceptions::PyValueError::new_err(
            "clamp: needs at least one of min and max; both are missing or None",
        ));
    }
    if bounds.len() == 2 && bounds[0].is_none() {
        named.extend(placed.pop().map(|max| ("max".to_owned(), max)));
        placed.truncate(first);
    }
    Ok(placed)
}

/// The overload that fits, with its arguments in place.
fn choose<'py>(group: &Group, given: &Given<'_, 'py>) -> PyResult<Option<Matched<'py>>> {
    for overload in group.overloads(given.side) {
        if has(overload.op, given.form)
            && let Some(matched) = fit(overload, given)?
        {
            return Ok(Some(matched));
        }
    }
    Ok(None)
}

/// Arguments with their names.
type Named<'py> = SmallVec<[(String, Bound<'py, PyAny>); 2]>;
/// Arguments by place, and those with names.
type Arguments<'py> = (Vec<Bound<'py, PyAny>>, Vec<(String, Bound<'py, PyAny>)>);

/// The arguments of a call on Variables without those that are None, which there stand for what
/// was left out: `v.std(dim=None)`.
fn not_none<'py>(given: &Given<'_, 'py>) -> Option<Arguments<'py>> {
    let none = given.rest.iter().filter(|a| a.is_none()).count()
        + given.named.iter().filter(|(_, a)| a.is_none()).count();
    if given.side == Side::Tensors || none == 0 {
        return None;
    }
    // Only at the end: what follows by position would change its meaning.
    let last = given.rest.iter().rposition(|a| !a.is_none());
    let rest = given.rest[..last.map_or(0, |i| i + 1)].to_vec();
    let named = given.named.iter().filter(|(_, a)| !a.is_none());
    Some((rest, named.cloned().collect()))
}

/// The error for operands that no overload of the op called `name` takes.
pub fn unfit<'py>(name: &str, own: &Bound<'py, PyAny>, other: &Bound<'py, PyAny>) -> PyErr {
    let groups = groups();
    let Some(group) = groups.iter().find(|g| g.name == name) else {
        let own = kind_name(own);
        return pyo3::exceptions::PyTypeError::new_err(format!(
            "{name}: a {own} takes another {own} or an int beside it; got {}",
            kind_name(other)
        ));
    };
    let given = Given {
        side: Operand::of(own).map_or(Side::Tensors, |o| o.side()),
        form: Form::Method,
        own: Some(own),
        rest: std::slice::from_ref(other),
        named: &[],
    };
    refused(group, &given)
}
