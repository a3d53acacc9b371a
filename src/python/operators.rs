//! `a + b` and its kin, for Variables and raw tensors.

use super::call;
use super::classes;
use super::errors::run;
use super::interpreter::attached;
use super::number::number;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::error::Error;
use crate::graph::{Input, Variable};
use crate::ops::apply::Values;
use crate::ops::in_place::apply_in_place;
use crate::ops::{self, Op, arith, compare, copy, device, pointwise, power};
use crate::python::interpreter::released;
use crate::tensor::{DType, FromValue, Scalar, Tensor, class_name};
use pyo3::exceptions::{PyNotImplementedError, PyRuntimeError, PyZeroDivisionError};
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use std::sync::LazyLock;

/// The row for two tensors and the one for a tensor and a number.
struct Pair {
    both: &'static Op,
    number: &'static Op,
}

static ADD: Pair = Pair {
    both: &arith::add::OP,
    number: &arith::add_number::OP,
};
static SUB: Pair = Pair {
    both: &arith::sub::OP,
    number: &arith::sub_number::OP,
};
static MUL: Pair = Pair {
    both: &arith::mul::OP,
    number: &arith::mul_number::OP,
};
static DIV: Pair = Pair {
    both: &arith::div::OP,
    number: &arith::div_number::OP,
};
static POW: Pair = Pair {
    both: &power::pow::OP,
    number: &power::pow_number::OP,
};
static MOD: Pair = Pair {
    both: &arith::remainder::OP,
    number: &arith::remainder_number::OP,
};

/// A number beside a Variable; fractions are cut for integer classes.
fn beside(var: &Variable, value: Scalar) -> Scalar {
    match value {
        Scalar::Float(f) if !var.tensor().dtype().is_float() => Scalar::Int(f as i64),
        other => other,
    }
}

/// Whether a tensor takes `value` beside it: integer classes take no fractions (E-60).
fn takes(t: &Tensor, value: Scalar) -> bool {
    t.dtype().is_float() || matches!(value, Scalar::Int(_))
}

fn one(value: Scalar) -> Values {
    let mut values = Values::new();
    values.push(FromValue::into_value(value));
    values
}

#[inline]
fn var_binary(
    slf: &Bound<'_, PyVariable>,
    other: &Bound<'_, PyAny>,
    pair: &Pair,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let me = &slf.get().var;
    if let Ok(other) = other.cast::<PyVariable>() {
        let inputs = [me.input()?, other.get().var.input()?];
        return match call::single_op(py, pair.both, inputs, Values::new()) {
            Ok(made) => PyVariable::fresh(py, made),
            Err(error) => Err(clash(pair.both, slf.as_any(), other.as_any(), error)),
        };
    }
    match number(pair.both.name, other)? {
        Some(value) => var_number(py, me, pair.number, value),
        None => Err(call::unfit(pair.both.name, slf.as_any(), other)),
    }
}

fn var_number(
    py: Python<'_>,
    me: &Variable,
    op: &'static Op,
    value: Scalar,
) -> PyResult<Py<PyAny>> {
    match call::single_op(py, op, [me.input()?], one(beside(me, value))) {
        Ok(made) => PyVariable::fresh(py, made),
        Err(error) => Err(on_variable(op, me, cut(value, error))),
    }
}

/// A division by a fraction that is cut to 0 beside integers says so.
#[cold]
fn cut(value: Scalar, error: PyErr) -> PyErr {
    let Scalar::Float(fraction) = value else {
        return error;
    };
    attached(|py| match error.is_instance_of::<PyZeroDivisionError>(py) {
        true => Error::ZeroDivision(format!(
            "{}; the {fraction} here was cut to it, as floats beside integers are",
            error.value(py)
        ))
        .into(),
        false => error,
    })
}

fn var_in_place(
    slf: &Bound<'_, PyVariable>,
    other: &Bound<'_, PyAny>,
    pair: &Pair,
) -> PyResult<()> {
    let me = &slf.get().var;
    if let Ok(other) = other.cast::<PyVariable>() {
        let input = other.get().var.input()?;
        return run(|| apply_in_place(pair.both, me, &[input], Values::new()))
            .map_err(|error| clash(pair.both, slf.as_any(), other.as_any(), error));
    }
    match number(pair.both.name, other)? {
        Some(value) => run(|| apply_in_place(pair.number, me, &[], one(beside(me, value))))
            .map_err(|error| cut(value, error)),
        None => Err(call::unfit(pair.both.name, slf.as_any(), other)),
    }
}

fn raw_binary(
    slf: &Bound<'_, PyTensor>,
    other: &Bound<'_, PyAny>,
    pair: &Pair,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let me = Input::plain(slf.get().tensor());
    if let Ok(other) = other.cast::<PyTensor>() {
        let mut inputs = [me, Input::plain(other.get().tensor())];
        call::fall_back(pair.both, &mut inputs)?;
        return match call::single_op(py, pair.both, inputs, Values::new()) {
            Ok(made) => classes::wrap(py, made.tensor),
            Err(error) => Err(clash(pair.both, slf.as_any(), other.as_any(), error)),
        };
    }
    match number(pair.both.name, other)? {
        Some(value) if takes(&me.tensor, value) => classes::wrap(
            py,
            call::single_op(py, pair.number, [me], one(value))?.tensor,
        ),
        _ => Err(call::unfit(pair.both.name, slf.as_any(), other)),
    }
}

fn raw_in_place(slf: &Bound<'_, PyTensor>, other: &Bound<'_, PyAny>, pair: &Pair) -> PyResult<()> {
    let me = Input::plain(slf.get().tensor());
    if let Ok(other) = other.cast::<PyTensor>() {
        let mut inputs = [me, Input::plain(other.get().tensor())];
        call::fall_back_in_place(pair.both, &mut inputs)?;
        return call::raw_in_place(pair.both, &mut inputs, &[])
            .map_err(|error| clash(pair.both, slf.as_any(), other.as_any(), error));
    }
    match number(pair.both.name, other)? {
        Some(value) if takes(&me.tensor, value) => {
            call::raw_in_place(pair.number, &mut [me], &one(value))
        }
        _ => Err(call::unfit(pair.both.name, slf.as_any(), other)),
    }
}

/// The pair of a comparison.
fn comparison(op: CompareOp) -> Pair {
    match op {
        CompareOp::Eq => Pair {
            both: &compare::eq::OP,
            number: &compare::eq_number::OP,
        },
        CompareOp::Ne => Pair {
            both: &compare::ne::OP,
            number: &compare::ne_number::OP,
        },
        CompareOp::Lt => Pair {
            both: &compare::lt::OP,
            number: &compare::lt_number::OP,
        },
        CompareOp::Le => Pair {
            both: &compare::le::OP,
            number: &compare::le_number::OP,
        },
        CompareOp::Gt => Pair {
            both: &compare::gt::OP,
            number: &compare::gt_number::OP,
        },
        CompareOp::Ge => Pair {
            both: &compare::ge::OP,
            number: &compare::ge_number::OP,
        },
    }
}

/// The bit operators' rows, by the name of Python's method.
fn bits(name: &'static str) -> PyResult<Pair> {
    static ROWS: LazyLock<Vec<&'static Op>> = LazyLock::new(|| {
        let dunder = |op: &&Op| op.name.starts_with("__");
        ops::all().filter(dunder).collect()
    });
    let find = |inputs: usize| {
        let mut rows = ROWS.iter().copied();
        rows.find(|op| op.name == name && op.inputs.len() == inputs)
    };
    match (find(2), find(1)) {
        (Some(both), Some(number)) => Ok(Pair { both, number }),
        _ => Err(PyNotImplementedError::new_err(format!(
            "{name} is not part of rgrad yet"
        ))),
    }
}

/// Results of bit operators are not volatile.
fn forget_volatile(made: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if let Ok(variable) = made.cast::<PyVariable>()
        && variable.get().var.volatile()
    {
        variable.get().var.set_volatile(false)?;
    }
    Ok(made.unbind())
}

fn needs_number(op: &Op, own: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> PyResult<Scalar> {
    number(op.name, other)?.ok_or_else(|| call::unfit(op.name, own, other))
}

/// Operands of different classes are told all that would fit (E-14).
#[cold]
fn clash(op: &Op, own: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    match (call::Operand::of(own), call::Operand::of(other)) {
        (Some(a), Some(b)) if a.tensor().kind() != b.tensor().kind() => {
            call::unfit(op.name, own, other)
        }
        (Some(call::Operand::Var(v)), _) => on_variable(op, &v.var, error),
        _ => error,
    }
}

/// A float-only op on an integer Variable is a RuntimeError, not the TypeError of tensors (E-81).
#[cold]
fn on_variable(op: &Op, me: &Variable, error: PyErr) -> PyErr {
    match call::implemented(op, me) {
        Err(other) => other,
        Ok(()) => error,
    }
}

/// Whether some element of a ByteTensor is not zero.
fn some(py: Python<'_>, found: &Py<PyAny>) -> PyResult<bool> {
    let t = match call::Operand::of(found.bind(py)) {
        Some(o) => o.tensor(),
        None => return Ok(false),
    };
    Ok(super::tensor::bytes_of("in", &t)?.iter().any(|&b| b != 0))
}

macro_rules! operators {
    ($class:ident, $binary:ident, $in_place:ident) => {
        #[pymethods]
        impl $class {
            fn __add__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &ADD)
            }
            fn __radd__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &ADD)
            }
            fn __sub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &SUB)
            }
            fn __mul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &MUL)
            }
            fn __rmul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &MUL)
            }
            fn __truediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &DIV)
            }
            fn __div__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &DIV)
            }
            fn __mod__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &MOD)
            }
            fn __pow__(
                slf: &Bound<'_, Self>,
                other: &Bound<'_, PyAny>,
                _modulo: &Bound<'_, PyAny>,
            ) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &POW)
            }
            /// `number - x`: there is no node for it, so it is a negative and a sum.
            fn __rsub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                let value = needs_number(&arith::sub::OP, slf.as_any(), other)?;
                let negative = slf.get().negative(slf.py())?;
                $binary(
                    negative.bind(slf.py()).cast::<$class>()?,
                    &number_of(slf.py(), value)?,
                    &ADD,
                )
            }
            fn __rtruediv__(
                slf: &Bound<'_, Self>,
                other: &Bound<'_, PyAny>,
            ) -> PyResult<Py<PyAny>> {
                let value = needs_number(&arith::div::OP, slf.as_any(), other)?;
                slf.get().under(slf.py(), value)
            }
            fn __rdiv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                Self::__rtruediv__(slf, other)
            }
            fn __rpow__(
                slf: &Bound<'_, Self>,
                other: &Bound<'_, PyAny>,
                _modulo: &Bound<'_, PyAny>,
            ) -> PyResult<Py<PyAny>> {
                let value = needs_number(&power::pow::OP, slf.as_any(), other)?;
                slf.get().with_number(slf.py(), &power::pow_base::OP, value)
            }
            fn __neg__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                self.unary(py, &arith::neg::OP)
            }
            fn __iadd__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &ADD)
            }
            fn __isub__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &SUB)
            }
            fn __imul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &MUL)
            }
            fn __itruediv__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &DIV)
            }
            fn __idiv__<'py>(
                slf: &Bound<'py, Self>,
                other: &Bound<'py, PyAny>,
            ) -> PyResult<Bound<'py, Self>> {
                $in_place(slf, other, &DIV)?;
                Ok(slf.clone())
            }
            fn __and__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                forget_volatile($binary(slf, other, &bits("__and__")?)?.into_bound(slf.py()))
            }
            fn __or__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                forget_volatile($binary(slf, other, &bits("__or__")?)?.into_bound(slf.py()))
            }
            fn __xor__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                forget_volatile($binary(slf, other, &bits("__xor__")?)?.into_bound(slf.py()))
            }
            fn __lshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                forget_volatile($binary(slf, other, &bits("__lshift__")?)?.into_bound(slf.py()))
            }
            fn __rshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                forget_volatile($binary(slf, other, &bits("__rshift__")?)?.into_bound(slf.py()))
            }
            fn __iand__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &bits("__and__")?)
            }
            fn __ior__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &bits("__or__")?)
            }
            fn __ixor__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &bits("__xor__")?)
            }
            fn __ilshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &bits("__lshift__")?)
            }
            fn __irshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &bits("__rshift__")?)
            }
            /// Whether some element is equal to `item`.
            fn __contains__(slf: &Bound<'_, Self>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
                let found = $binary(slf, item, &comparison(CompareOp::Eq))?;
                some(slf.py(), &found)
            }
            fn __matmul__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                super::functional::matmul(slf.as_any(), other)
            }
            fn matmul(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                super::functional::matmul(slf.as_any(), other)
            }
            fn __richcmp__(
                slf: &Bound<'_, Self>,
                other: &Bound<'_, PyAny>,
                op: CompareOp,
            ) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &comparison(op))
            }
        }
    };
}

operators!(PyVariable, var_binary, var_in_place);
operators!(PyTensor, raw_binary, raw_in_place);

fn number_of(py: Python<'_>, value: Scalar) -> PyResult<Bound<'_, PyAny>> {
    Ok(super::number::number_object(py, value)?.into_bound(py))
}

impl PyVariable {
    /// `value / x`: there is no node for it, so it is a reciprocal and a product.
    fn under(&self, py: Python<'_>, value: Scalar) -> PyResult<Py<PyAny>> {
        let inverse = self.unary(py, &pointwise::reciprocal::OP)?;
        let inverse = inverse.bind(py).cast::<PyVariable>()?;
        var_number(py, &inverse.get().var, &arith::mul_number::OP, value)
    }

    /// `-x`, in the classes of one byte too, which have no neg but wrap.
    fn negative(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if arith::neg::OP.class.has(self.var.tensor().dtype()) {
            return self.unary(py, &arith::neg::OP);
        }
        self.with_number(py, &arith::mul_number::OP, Scalar::Int(-1))
    }

    fn unary(&self, py: Python<'_>, op: &'static Op) -> PyResult<Py<PyAny>> {
        match call::single_op(py, op, [self.var.input()?], Values::new()) {
            Ok(made) => PyVariable::fresh(py, made),
            Err(error) => Err(on_variable(op, &self.var, error)),
        }
    }

    fn with_number(&self, py: Python<'_>, op: &'static Op, value: Scalar) -> PyResult<Py<PyAny>> {
        var_number(py, &self.var, op, value)
    }
}

impl PyTensor {
    /// `value / x`, in integer classes too.
    fn under(&self, py: Python<'_>, value: Scalar) -> PyResult<Py<PyAny>> {
        let me = self.tensor();
        let made = released(py, || {
            run(|| {
                value.check("div", me.dtype())?;
                let y = device::empty("div", me.dtype(), me.device(), me.sizes())?;
                copy::fill_with(&y, value)?;
                let inputs = [Input::plain(y), Input::plain(me)];
                ops::apply::single(&arith::div::OP, inputs, Values::new())
            })
        })?;
        classes::wrap(py, made.tensor)
    }

    /// `-x`, in the classes of one byte too, which have no neg but wrap.
    fn negative(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.with_number(py, &arith::mul_number::OP, Scalar::Int(-1))
    }

    fn unary(&self, py: Python<'_>, op: &'static Op) -> PyResult<Py<PyAny>> {
        let me = Input::plain(self.tensor());
        classes::wrap(py, call::single_op(py, op, [me], Values::new())?.tensor)
    }

    fn with_number(&self, py: Python<'_>, op: &'static Op, value: Scalar) -> PyResult<Py<PyAny>> {
        classes::wrap(
            py,
            call::single_op(py, op, [Input::plain(self.tensor())], one(value))?.tensor,
        )
    }
}

#[pymethods]
impl PyTensor {
    /// `~` of a ByteTensor: 1 - x.
    fn __invert__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let t = self.tensor();
        if t.dtype() != DType::U8 {
            return Err(PyRuntimeError::new_err(format!(
                "~ is for torch.ByteTensor only (1 - x); got {}",
                class_name(t.dtype(), t.device())
            )));
        }
        self.negative_plus_one(py)
    }

    fn __imod__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        raw_in_place(slf, other, &MOD)
    }

    fn __ipow__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        _modulo: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        raw_in_place(slf, other, &POW)
    }
}

impl PyTensor {
    /// 1 - x, which wraps for bytes other than 0 and 1.
    fn negative_plus_one(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let negative = self.negative(py)?;
        let negative = negative.bind(py).cast::<PyTensor>()?;
        negative
            .get()
            .with_number(py, &arith::add_number::OP, Scalar::Int(1))
    }
}
