//! Which argument of a call is what, and the words when none fits.

use super::{Form, Group, Matched, Operand, has};
use crate::ops::apply::Values;
use crate::ops::{Kind, Op};
use crate::python::number::{number, sizes_of};
use crate::tensor::{DType, Dims, Scalar, Value, class_name};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyTuple};
use smallvec::SmallVec;

/// Names under which 0.3 also takes the second operand or the number (T-83).
const ALIASES: [&str; 9] = [
    "other", "value", "tensor", "mat2", "vec", "tensor2", "exponent", "source", "src",
];

/// `name(int dim, bool keepdim=False)`.
pub fn signature(op: &Op, form: Form) -> String {
    let (mut parts, mut last): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    if form == Form::Function {
        parts.push("Tensor input".into());
    }
    for p in op.params {
        let kind = match p.kind {
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Number | Kind::OptionalNumber | Kind::Float => "number",
            Kind::Dims => "sizes",
            Kind::Tensor | Kind::OptionalTensor => "LongTensor or ByteTensor",
        };
        let default = p.default.map_or(String::new(), |d| match d() {
            Value::Bool(b) => format!("={}", if b { "True" } else { "False" }),
            Value::Int(i) => format!("={i}"),
            Value::Float(f) => format!("={f}"),
            _ => "=None".into(),
        });
        let text = format!("{kind} {}{default}", p.name);
        // Numbers stand before the operand that they scale; a switch stands at the end.
        if p.kind == Kind::Bool {
            last.push(text);
        } else {
            parts.push(text);
        }
    }
    parts.extend(
        op.inputs
            .iter()
            .skip(1)
            // Formulas are written in a and b; 0.3 calls the second operand `other`.
            .map(|&name| format!("Tensor {}", if name == "b" { "other" } else { name })),
    );
    parts.extend(last);
    let suffix = if form == Form::InPlace { "_" } else { "" };
    format!("{}{suffix}({})", op.name, parts.join(", "))
}

/// Puts arguments in their places, by kind (O-8); none when they do not fit.
pub(super) fn fit<'py>(
    op: &'static Op,
    own: Operand<'py>,
    rest: &[Bound<'py, PyAny>],
    named: &[(String, Bound<'py, PyAny>)],
) -> PyResult<Option<Matched<'py>>> {
    let params = op.params;
    let mut values: SmallVec<[Option<Value>; 4]> = SmallVec::from_elem(None, params.len());
    let mut operands: SmallVec<[Option<Operand<'py>>; 3]> = SmallVec::new();
    operands.resize_with(op.inputs.len(), || None);
    let dtype = own.tensor().dtype();
    let lenient = matches!(own, Operand::Var(_));
    operands[0] = Some(own);
    let mut i = 0;
    while i < rest.len() {
        let argument = &rest[i];
        let operand = Operand::of(argument);
        let next = values.iter().position(Option::is_none);
        if let Some(operand) = operand {
            // A tensor is the next index argument, or else the next operand.
            let wanted =
                next.filter(|&p| matches!(params[p].kind, Kind::Tensor | Kind::OptionalTensor));
            if let Some(p) = wanted {
                values[p] = Some(Value::Tensor(operand.tensor()));
            } else if let Some(slot) = operands.iter_mut().find(|o| o.is_none()) {
                *slot = Some(operand);
            } else {
                return Ok(None);
            }
            i += 1;
            continue;
        }
        let Some(p) = next else { return Ok(None) };
        if params[p].kind == Kind::Dims && argument.cast::<PyInt>().is_ok() {
            let mut sizes = Dims::new();
            while let Some(v) = rest.get(i).and_then(|a| integer(a)) {
                sizes.push(v);
                i += 1;
            }
            values[p] = Some(Value::Dims(Box::new(sizes)));
            continue;
        }
        let Some(value) = value_of(params[p].kind, argument, dtype, lenient)? else {
            return Ok(None);
        };
        values[p] = Some(value);
        i += 1;
    }
    for (name, argument) in named {
        let param = params.iter().position(|p| p.name == name);
        let input = op.inputs.iter().position(|x| x == name);
        let alias = ALIASES.contains(&name.as_str());
        let number = params.iter().position(|p| p.kind == Kind::Number);
        let param = param.or(
            if alias && Operand::of(argument).is_none() || name == "alpha" || name == "value" {
                number
            } else {
                None
            },
        );
        if let Some(p) = param
            && values[p].is_none()
        {
            let Some(value) = value_of(params[p].kind, argument, dtype, lenient)? else {
                return Ok(None);
            };
            values[p] = Some(value);
            continue;
        }
        let Some(operand) = Operand::of(argument) else {
            return Ok(None);
        };
        let place = input.or(if alias && op.inputs.len() == 2 {
            Some(1)
        } else {
            None
        });
        match place {
            Some(x) if operands[x].is_none() => operands[x] = Some(operand),
            _ => return Ok(None),
        }
    }
    let Some(inputs) = operands.into_iter().collect::<Option<SmallVec<_>>>() else {
        return Ok(None);
    };
    let mut full = Values::new();
    for (value, param) in values.into_iter().zip(params) {
        match value.or_else(|| param.default.map(|d| d())) {
            Some(value) => full.push(value),
            None => return Ok(None),
        }
    }
    Ok(Some(Matched {
        op,
        inputs,
        values: full,
    }))
}

fn integer(argument: &Bound<'_, PyAny>) -> Option<i64> {
    if argument.cast::<PyFloat>().is_ok() {
        return None;
    }
    argument.extract::<i64>().ok()
}

/// `argument` as a value of `kind`; none when it is of another kind.
fn value_of(
    kind: Kind,
    argument: &Bound<'_, PyAny>,
    dtype: DType,
    lenient: bool,
) -> PyResult<Option<Value>> {
    Ok(match kind {
        Kind::Bool => match argument.cast::<PyBool>() {
            Ok(b) => Some(Value::Bool(b.is_true())),
            Err(_) => integer(argument)
                .filter(|v| matches!(v, 0 | 1))
                .map(|v| Value::Bool(v == 1)),
        },
        Kind::Int => integer(argument).map(Value::Int),
        Kind::Number | Kind::Float => number(argument)?.map(|n| match n {
            // A fraction beside an integer Variable is cut; tensors refuse it.
            Scalar::Float(f) if lenient && !dtype.is_float() => Value::Int(f as i64),
            Scalar::Int(i) => Value::Int(i),
            Scalar::Float(f) => Value::Float(f),
        }),
        Kind::OptionalNumber if argument.is_none() => Some(Value::None),
        Kind::OptionalNumber => return value_of(Kind::Number, argument, dtype, lenient),
        Kind::Dims => {
            let sequence = argument.cast::<PyTuple>().is_ok() || argument.cast::<PyList>().is_ok();
            if sequence {
                sizes_of(argument)?.map(|d| Value::Dims(Box::new(d)))
            } else {
                None
            }
        }
        Kind::Tensor => Operand::of(argument).map(|o| Value::Tensor(o.tensor())),
        Kind::OptionalTensor if argument.is_none() => Some(Value::None),
        Kind::OptionalTensor => Operand::of(argument).map(|o| Value::Tensor(o.tensor())),
    })
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

/// The error when no overload fits (E-60, E-13).
pub(super) fn refused<'py>(
    group: &Group,
    form: Form,
    given: &[Bound<'py, PyAny>],
    keywords: &[(Bound<'py, PyAny>, Bound<'py, PyAny>)],
    own: Option<&Bound<'py, PyAny>>,
) -> PyErr {
    let mut parts: Vec<String> = given.iter().map(kind_name).collect();
    parts.extend(
        keywords
            .iter()
            .map(|(name, value)| format!("{name}={}", kind_name(value))),
    );
    let rows = group.rows.iter().filter(|op| has(op, form));
    let accepted: Vec<String> = rows.map(|op| signature(op, form)).collect();
    let on = own
        .filter(|_| form != Form::Function)
        .map_or(String::new(), |o| format!(" on a {}", kind_name(o)));
    let mixed = own
        .into_iter()
        .chain(given)
        .filter_map(Operand::of)
        .map(|o| matches!(o, Operand::Var(_)));
    let kinds: Vec<bool> = mixed.collect();
    let advice = if kinds.contains(&true) && kinds.contains(&false) {
        "; a Variable and a tensor do not mix: wrap the tensor in Variable(...) or take .data"
    } else {
        ""
    };
    let name = group.name;
    PyTypeError::new_err(format!(
        "{name} received an invalid combination of arguments - got ({}){on}, but expected one of: {}{advice}",
        parts.join(", "),
        accepted.join(" or ")
    ))
}
