//! Which argument of a call is what.

use super::fallback::keepdim_matters;
use super::order::{Overload, Place, Side, Slot};
use super::{Flags, Form, Matched, Operand};
use crate::ops::Kind;
use crate::ops::apply::Values;
use crate::python::number::{int_of, number};
use crate::python::variable::PyVariable;
use crate::tensor::{Dims, Scalar, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList, PyTuple};
use smallvec::SmallVec;

/// Ops whose tensors differ in class by nature.
const MIXED: [&str; 1] = ["btrisolve"];

/// What a call brings, besides `out=`.
pub(super) struct Given<'a, 'py> {
    pub side: Side,
    pub form: Form,
    /// The object of a method.
    pub own: Option<&'a Bound<'py, PyAny>>,
    pub rest: &'a [Bound<'py, PyAny>],
    pub named: &'a [(String, Bound<'py, PyAny>)],
}

impl<'py> Given<'_, 'py> {
    /// `argument` as an operand of the right side.
    fn operand(&self, argument: &Bound<'py, PyAny>) -> Option<Operand<'py>> {
        Operand::of(argument).filter(|o| o.side() == self.side)
    }

    /// Whether `argument` is of the kind that `slot` takes.
    pub(super) fn suits(
        &self,
        overload: &Overload,
        slot: &Slot,
        argument: &Bound<'py, PyAny>,
    ) -> bool {
        match slot.place {
            Place::Operand(_) => self.operand(argument).is_some(),
            Place::Param(p) => {
                let (op, kind) = (overload.op.name, overload.op.params[p].kind);
                let whole = kind == Kind::Dims && self.starts_sizes(op, argument).unwrap_or(true);
                whole || matches!(self.value(op, kind, argument), Ok(Some(_)) | Err(_))
            }
        }
    }

    /// A list or tuple of ints; none when an item is something else.
    fn sizes(&self, op: &str, argument: &Bound<'py, PyAny>) -> PyResult<Option<Dims>> {
        if argument.cast::<PyTuple>().is_err() && argument.cast::<PyList>().is_err() {
            return Ok(None);
        }
        argument
            .try_iter()?
            .map(|item| int_of(self.side, op, &item?))
            .collect()
    }

    /// Whether `argument` is an int where sizes may stand one by one.
    fn starts_sizes(&self, op: &str, argument: &Bound<'py, PyAny>) -> PyResult<bool> {
        Ok(int_of(self.side, op, argument)?.is_some())
    }

    /// `argument` as a value of `kind`; none when it is of another kind.
    fn value(&self, op: &str, kind: Kind, argument: &Bound<'py, PyAny>) -> PyResult<Option<Value>> {
        Ok(match kind {
            Kind::Bool => argument
                .cast::<PyBool>()
                .ok()
                .map(|b| Value::Bool(b.is_true())),
            Kind::Int => int_of(self.side, op, argument)?.map(Value::Int),
            Kind::Number | Kind::Float => number(argument)?.map(|n| match n {
                Scalar::Int(i) => Value::Int(i),
                Scalar::Float(f) => Value::Float(f),
            }),
            Kind::OptionalNumber if argument.is_none() => Some(Value::None),
            Kind::OptionalNumber => return self.value(op, Kind::Number, argument),
            Kind::Dims => self.sizes(op, argument)?.map(|d| Value::Dims(Box::new(d))),
            Kind::Tensor => self.operand(argument).map(|o| Value::Tensor(o.tensor())),
            Kind::OptionalTensor if argument.is_none() => Some(Value::None),
            Kind::OptionalTensor => return self.value(op, Kind::Tensor, argument),
        })
    }
}

/// Arguments in their places, as far as they are found.
struct Filled<'py> {
    operands: SmallVec<[Option<Operand<'py>>; 3]>,
    values: SmallVec<[Option<Value>; 4]>,
    beside: Flags,
}

impl<'py> Filled<'py> {
    fn has(&self, place: Place) -> bool {
        match place {
            Place::Operand(i) => self.operands[i].is_some(),
            Place::Param(i) => self.values[i].is_some(),
        }
    }

    /// Puts `argument` where it belongs; false when it is of another kind.
    fn put(
        &mut self,
        given: &Given<'_, 'py>,
        overload: &Overload,
        place: Place,
        argument: &Bound<'py, PyAny>,
    ) -> PyResult<bool> {
        match place {
            Place::Operand(i) => {
                self.operands[i] = given.operand(argument);
                Ok(self.operands[i].is_some())
            }
            Place::Param(i) => {
                self.note_flags(argument);
                self.values[i] =
                    given.value(overload.op.name, overload.op.params[i].kind, argument)?;
                Ok(self.values[i].is_some())
            }
        }
    }
}

impl Filled<'_> {
    /// A factor has flags as an operand has, an index or a mask has none.
    fn note_flags(&mut self, argument: &Bound<'_, PyAny>) {
        if let Ok(v) = argument.cast::<PyVariable>() {
            let var = &v.get().var;
            if var.tensor().dtype().is_float() {
                self.beside.volatile |= var.volatile();
                self.beside.requires_grad |= var.requires_grad();
            }
        }
    }
}

/// Puts arguments in their places, by kind (O-8); none when they do not fit.
pub(super) fn fit<'py>(
    overload: &Overload,
    given: &Given<'_, 'py>,
) -> PyResult<Option<Matched<'py>>> {
    let op = overload.op;
    let mut filled = Filled {
        operands: SmallVec::new(),
        values: SmallVec::from_elem(None, op.params.len()),
        beside: Flags::default(),
    };
    filled.operands.resize_with(op.inputs.len(), || None);
    if let Some(own) = given.own {
        filled.operands[0] = given.operand(own);
    }
    let mut at = 0;
    for slot in &overload.slots {
        if slot.named || filled.has(slot.place) {
            continue;
        }
        let Some(argument) = given.rest.get(at) else {
            break;
        };
        if let Place::Param(p) = slot.place
            && op.params[p].kind == Kind::Dims
            && given.starts_sizes(op.name, argument)?
        {
            let mut sizes = Dims::new();
            while let Some(next) = given.rest.get(at)
                && let Some(v) = int_of(given.side, op.name, next)?
            {
                sizes.push(v);
                at += 1;
            }
            filled.values[p] = Some(Value::Dims(Box::new(sizes)));
        } else if filled.put(given, overload, slot.place, argument)? {
            at += 1;
        } else if !slot.skips {
            return Ok(None);
        }
    }
    if at < given.rest.len() {
        return Ok(None);
    }
    for (name, argument) in given.named {
        let Some(slot) = overload.slots.iter().find(|s| s.is_called(name)) else {
            return Ok(None);
        };
        if filled.has(slot.place) || !filled.put(given, overload, slot.place, argument)? {
            return Ok(None);
        }
    }
    let mut keepdim_left_out = false;
    for slot in &overload.slots {
        if let (Place::Param(p), Some(default)) = (slot.place, slot.default)
            && filled.values[p].is_none()
        {
            keepdim_left_out |= keepdim_matters() && slot.name == "keepdim";
            filled.values[p] = Some(default());
        }
    }
    let Some(inputs) = filled
        .operands
        .into_iter()
        .collect::<Option<SmallVec<[Operand<'py>; 3]>>>()
    else {
        return Ok(None);
    };
    let Some(mut values) = filled.values.into_iter().collect::<Option<Values>>() else {
        return Ok(None);
    };
    let kind = inputs[0].kind();
    if inputs[1..].iter().any(|i| i.kind() != kind) && !MIXED.contains(&op.name) {
        return Ok(None);
    }
    if given.side == Side::Variables && !kind.0.is_float() {
        // A fraction beside an integer Variable is cut; tensors refuse it.
        for (value, param) in values.iter_mut().zip(op.params) {
            if let (Value::Float(f), Kind::Number | Kind::OptionalNumber) = (&*value, param.kind) {
                *value = Value::Int(*f as i64);
            }
        }
    }
    Ok(Some(Matched {
        op,
        inputs,
        values,
        keepdim_left_out,
        beside: filled.beside,
    }))
}

impl Slot {
    /// Whether an argument of this name is meant for it (O-1).
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name
            || self.place == Place::Operand(0) && name == "self"
            || self.name == "sliceIndex" && name == "index"
    }
}
