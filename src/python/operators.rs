//! `a + b` and its kin, for Variables and raw tensors.

use super::call::{self, Operand};
use super::classes;
use super::errors::run;
use super::number::number;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::graph::{Input, Variable};
use crate::ops::apply::{Values, apply_in_place};
use crate::ops::{Op, arith, bits, compare, pointwise, power};
use crate::tensor::{FromValue, Scalar};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;

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

static AND: Pair = Pair {
    both: &bits::and::OP,
    number: &bits::and_number::OP,
};
static OR: Pair = Pair {
    both: &bits::or::OP,
    number: &bits::or_number::OP,
};
static XOR: Pair = Pair {
    both: &bits::xor::OP,
    number: &bits::xor_number::OP,
};
static LEFT: Pair = Pair {
    both: &bits::left::OP,
    number: &bits::left_number::OP,
};
static RIGHT: Pair = Pair {
    both: &bits::right::OP,
    number: &bits::right_number::OP,
};

fn own_kind(own: &Bound<'_, PyAny>) -> String {
    call::kind_name(own)
}

/// What Python's operators are called with a foreign object.
fn foreign(op: &Op, own: &str, other: &Bound<'_, PyAny>) -> PyErr {
    let mixed = Operand::of(other)
        .is_some_and(|o| matches!(o, Operand::Var(_)) != own.starts_with("Variable"));
    let advice = if mixed {
        "; a Variable and a tensor do not mix: wrap the tensor in Variable(...) or take .data"
    } else {
        ""
    };
    let kind = call::kind_name(other) + advice;
    PyTypeError::new_err(format!(
        "{} received an invalid combination of arguments: expected (number value) or ({own} other); got {kind}",
        op.name
    ))
}

/// A number beside a Variable; fractions are cut for integer classes.
fn beside(var: &Variable, value: Scalar) -> Scalar {
    match value {
        Scalar::Float(f) if !var.tensor().dtype().is_float() => Scalar::Int(f as i64),
        other => other,
    }
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
        let made = call::single_op(py, pair.both, inputs, Values::new());
        return PyVariable::fresh(py, made.map_err(|e| refusal(py, pair.both, me, e))?);
    }
    match number(other)? {
        Some(value) => var_number(py, me, pair.number, value),
        None => Err(foreign(pair.both, &own_kind(slf.as_any()), other)),
    }
}

fn var_number(
    py: Python<'_>,
    me: &Variable,
    op: &'static Op,
    value: Scalar,
) -> PyResult<Py<PyAny>> {
    let made = call::single_op(py, op, [me.input()?], one(beside(me, value)));
    PyVariable::fresh(py, made.map_err(|e| refusal(py, op, me, e))?)
}

/// A Variable of a class that the op does not take is another error than a tensor of it (E-81).
#[cold]
fn refusal(py: Python<'_>, op: &Op, me: &Variable, error: PyErr) -> PyErr {
    match call::implemented(op, me) {
        Err(e) if error.is_instance_of::<PyTypeError>(py) => e,
        _ => error,
    }
}

fn var_in_place(
    slf: &Bound<'_, PyVariable>,
    other: &Bound<'_, PyAny>,
    pair: &Pair,
) -> PyResult<()> {
    let me = &slf.get().var;
    if let Ok(other) = other.cast::<PyVariable>() {
        let input = other.get().var.input()?;
        return run(|| apply_in_place(pair.both, me, &[input], Values::new()));
    }
    match number(other)? {
        Some(value) => run(|| apply_in_place(pair.number, me, &[], one(beside(me, value)))),
        None => Err(foreign(pair.both, &own_kind(slf.as_any()), other)),
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
        return classes::wrap(
            py,
            call::single_op(py, pair.both, inputs, Values::new())?.tensor,
        );
    }
    match number(other)? {
        Some(value) => classes::wrap(
            py,
            call::single_op(py, pair.number, [me], one(value))?.tensor,
        ),
        None => Err(foreign(pair.both, &own_kind(slf.as_any()), other)),
    }
}

fn raw_in_place(slf: &Bound<'_, PyTensor>, other: &Bound<'_, PyAny>, pair: &Pair) -> PyResult<()> {
    let me = Input::plain(slf.get().tensor());
    if let Ok(other) = other.cast::<PyTensor>() {
        let mut inputs = [me, Input::plain(other.get().tensor())];
        call::fall_back(pair.both, &mut inputs)?;
        return call::raw_in_place(pair.both, &mut inputs, &[]);
    }
    match number(other)? {
        Some(value) => call::raw_in_place(pair.number, &mut [me], &one(value)),
        None => Err(foreign(pair.both, &own_kind(slf.as_any()), other)),
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

fn needs_number(op: &Op, other: &Bound<'_, PyAny>, own: &str) -> PyResult<Scalar> {
    number(other)?.ok_or_else(|| foreign(op, own, other))
}

macro_rules! operators {
    ($class:ident, $own:literal, $binary:ident, $in_place:ident) => {
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
                let value = needs_number(&arith::sub::OP, other, $own)?;
                let negative = slf.get().negative(slf.py())?;
                $binary(
                    negative.bind(slf.py()).cast::<$class>()?,
                    &number_of(slf.py(), value)?,
                    &ADD,
                )
            }
            /// `number / x`: a reciprocal and a product.
            fn __rtruediv__(
                slf: &Bound<'_, Self>,
                other: &Bound<'_, PyAny>,
            ) -> PyResult<Py<PyAny>> {
                let value = needs_number(&arith::div::OP, other, $own)?;
                let inverse = slf.get().unary(slf.py(), &pointwise::reciprocal::OP)?;
                $binary(
                    inverse.bind(slf.py()).cast::<$class>()?,
                    &number_of(slf.py(), value)?,
                    &MUL,
                )
            }
            fn __rpow__(
                slf: &Bound<'_, Self>,
                other: &Bound<'_, PyAny>,
                _modulo: &Bound<'_, PyAny>,
            ) -> PyResult<Py<PyAny>> {
                let value = needs_number(&power::pow::OP, other, $own)?;
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
            fn __and__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &AND)
            }
            fn __or__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &OR)
            }
            fn __xor__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &XOR)
            }
            fn __lshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &LEFT)
            }
            fn __rshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                $binary(slf, other, &RIGHT)
            }
            fn __iand__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &AND)
            }
            fn __ior__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &OR)
            }
            fn __ixor__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &XOR)
            }
            fn __ilshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &LEFT)
            }
            fn __irshift__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<()> {
                $in_place(slf, other, &RIGHT)
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

operators!(PyVariable, "Variable", var_binary, var_in_place);
operators!(PyTensor, "Tensor", raw_binary, raw_in_place);

fn number_of(py: Python<'_>, value: Scalar) -> PyResult<Bound<'_, PyAny>> {
    Ok(super::number::number_object(py, value)?.into_bound(py))
}

impl PyVariable {
    fn negative(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.unary(py, &arith::neg::OP)
    }

    fn unary(&self, py: Python<'_>, op: &'static Op) -> PyResult<Py<PyAny>> {
        PyVariable::fresh(
            py,
            call::single_op(py, op, [self.var.input()?], Values::new())?,
        )
    }

    fn with_number(&self, py: Python<'_>, op: &'static Op, value: Scalar) -> PyResult<Py<PyAny>> {
        var_number(py, &self.var, op, value)
    }
}

impl PyTensor {
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

/// `~` of a ByteTensor: 1 - x.
#[pymethods]
impl PyTensor {
    fn __invert__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let t = self.tensor();
        if t.dtype() != crate::tensor::DType::U8 {
            return Err(pyo3::exceptions::PyRuntimeError::new_err(format!(
                "~ is for torch.ByteTensor only (1 - x); got {}",
                crate::tensor::class_name(t.dtype(), t.device())
            )));
        }
        self.with_number(py, &compare::eq_number::OP, Scalar::Int(0))
    }
}
