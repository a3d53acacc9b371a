//! What calls look like in words: signatures for help, and the error when none fits.

use super::fit::Given;
use super::order::{Overload, Place, Side, Slot};
use super::{Form, Group, Operand, has};
use crate::ops::{Kind, Op};
use crate::python::number::number;
use crate::tensor::{Scalar, Value, class_name};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// `name(int dim, bool keepdim=False)`, in the words of help: tensors are `Tensor`.
pub(super) fn help(overload: &Overload, form: Form) -> String {
    let words = |slot: &Slot| match slot.place {
        Place::Operand(_) => "Tensor",
        Place::Param(p) => match overload.op.params[p].kind {
            Kind::Tensor | Kind::OptionalTensor => match slot.name {
                "A" | "LU_data" => "Tensor",
                "LU_pivots" => "IntTensor",
                _ => "LongTensor or ByteTensor",
            },
            kind => plain(kind),
        },
    };
    called(overload.op, form) + &signature(overload, form, words)
}

/// `(kind name=default, *, …)`, where `kind` says what each argument is; a method leaves its object out.
fn signature<'a>(overload: &Overload, form: Form, kind: impl Fn(&Slot) -> &'a str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for slot in &overload.slots {
        if slot.place == Place::Operand(0) && form != Form::Function {
            continue;
        }
        if slot.named && !parts.iter().any(|p| p == "*") {
            parts.push("*".into());
        }
        parts.push(format!("{} {}{}", kind(slot), slot.name, default(slot)));
    }
    format!("({})", parts.join(", "))
}

fn called(op: &Op, form: Form) -> String {
    format!(
        "{}{}",
        op.name,
        if form == Form::InPlace { "_" } else { "" }
    )
}

fn plain(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int => "int",
        Kind::Number | Kind::OptionalNumber | Kind::Float => "number",
        Kind::Dims => "sizes",
        Kind::Tensor | Kind::OptionalTensor => "tensor",
    }
}

fn default(slot: &Slot) -> String {
    slot.default.map_or(String::new(), |d| match d() {
        Value::Bool(b) => format!("={}", if b { "True" } else { "False" }),
        Value::Int(i) => format!("={i}"),
        Value::Float(f) => format!("={f}"),
        _ => "=None".into(),
    })
}

/// `(number value=1, torch.FloatTensor other)`, in the words of an error: `own` is the class of
/// tensors, or `Variable`.
fn accepted(overload: &Overload, form: Form, side: Side, own: &str) -> String {
    signature(overload, form, |slot| match slot.place {
        Place::Operand(_) => own,
        Place::Param(p) => match overload.op.params[p].kind {
            Kind::Tensor | Kind::OptionalTensor if side == Side::Variables => "Variable",
            Kind::Tensor | Kind::OptionalTensor => match slot.name {
                "mask" => "torch.ByteTensor",
                "A" | "LU_data" => own,
                "LU_pivots" => "torch.IntTensor",
                _ => "torch.LongTensor",
            },
            Kind::Number if own.starts_with("torch.") && !is_float(own) => "int",
            kind => plain(kind),
        },
    })
}

fn is_float(class: &str) -> bool {
    class.ends_with("FloatTensor") || class.ends_with("DoubleTensor")
}

/// What an argument is, in the words of an error.
pub fn kind_name(argument: &Bound<'_, PyAny>) -> String {
    match Operand::of(argument) {
        Some(Operand::Raw(t)) => class_name(t.dtype(), t.device()),
        Some(Operand::Var(v)) => {
            let t = v.var.tensor();
            format!("Variable[{}]", class_name(t.dtype(), t.device()))
        }
        None => argument
            .get_type()
            .name()
            .map_or_else(|_| "?".into(), |n| n.to_string()),
    }
}

/// The given types beside one overload, those that do not match between exclamation marks; none
/// when there are too many, or one has a name that it does not know.
fn marked(overload: &Overload, given: &Given<'_, '_>) -> Option<String> {
    let first = given
        .own
        .or_else(|| given.rest.iter().find(|a| Operand::of(a).is_some()));
    let class = first.and_then(Operand::of).map(|o| o.kind());
    let text = |slot: &Slot, argument: &Bound<'_, PyAny>| {
        let of_class = match (slot.place, Operand::of(argument)) {
            (Place::Operand(_), Some(o)) => Some(o.kind()) == class,
            _ => true,
        };
        let name = kind_name(argument);
        let cut = class.is_some_and(|(dtype, _)| !dtype.is_float())
            && given.side == Side::Tensors
            && matches!(slot.place, Place::Param(p) if overload.op.params[p].kind == Kind::Number)
            && matches!(number("", argument), Ok(Some(Scalar::Float(_))));
        if given.suits(overload, slot, argument) && of_class && !cut {
            name
        } else {
            format!("!{name}!")
        }
    };
    let mut slots = overload
        .slots
        .iter()
        .filter(|s| !s.named && (given.own.is_none() || s.place != Place::Operand(0)))
        .peekable();
    let mut parts = Vec::new();
    for argument in given.rest {
        let many = |s: &&Slot| matches!(s.place, Place::Param(p) if overload.op.params[p].kind == Kind::Dims);
        while slots
            .peek()
            .is_some_and(|s| s.skips && !given.suits(overload, s, argument))
        {
            slots.next();
        }
        let slot = if slots.peek().is_some_and(many) {
            slots.peek().copied()?
        } else {
            slots.next()?
        };
        parts.push(text(slot, argument));
    }
    for (name, argument) in given.named {
        let slot = overload.slots.iter().find(|s| s.is_called(name))?;
        parts.push(format!("{name}={}", text(slot, argument)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The error when no overload fits (E-60, E-13, E-14).
pub(super) fn refused(group: &Group, given: &Given<'_, '_>) -> PyErr {
    let mut parts: Vec<String> = given.rest.iter().map(kind_name).collect();
    let named = given.named.iter();
    parts.extend(named.map(|(name, value)| format!("{name}={}", kind_name(value))));
    let operands = given.own.into_iter().chain(given.rest);
    let operands = operands.chain(given.named.iter().map(|(_, v)| v));
    let tensors: Vec<Operand<'_>> = operands.filter_map(Operand::of).collect();
    let own = match tensors.first() {
        _ if given.side == Side::Variables => "Variable".into(),
        Some(o) => class_name(o.kind().0, o.kind().1),
        None => "torch.Tensor".into(),
    };
    let fitting = group
        .overloads(given.side)
        .iter()
        .filter(|o| o.shown && has(o.op, given.form));
    let mut lines = String::new();
    for overload in fitting {
        lines += "\n * ";
        lines += &accepted(overload, given.form, given.side, &own);
        if let Some(types) = marked(overload, given) {
            lines += &format!(" does not take ({types})");
        }
    }
    let on = given
        .own
        .map_or(String::new(), |o| format!(" on a {}", kind_name(o)));
    let sides: Vec<Side> = tensors.iter().map(Operand::side).collect();
    let classes: Vec<_> = tensors.iter().map(Operand::kind).collect();
    let advice = if sides.contains(&Side::Tensors) && sides.contains(&Side::Variables) {
        "\na Variable and a tensor do not mix: wrap the tensor in Variable(...) or take .data"
    } else if classes.windows(2).any(|w| w[0] != w[1]) {
        "\ntensors of different classes do not mix: convert one with .type_as(...)"
    } else {
        ""
    };
    let suffix = if given.form == Form::InPlace { "_" } else { "" };
    PyTypeError::new_err(format!(
        "{}{suffix} received an invalid combination of arguments - got ({}){on}, but expected one of:{lines}{advice}",
        group.name,
        parts.join(", "),
    ))
}
