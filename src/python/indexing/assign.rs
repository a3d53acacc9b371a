//! `x[index] = value`. Everything is checked before the first element changes.

use super::parse::type_name;
use super::read::arguments;
use super::{Index, OP, Places};
use crate::error::{Error, Result};
use crate::fail;
use crate::graph::{Origin, Var, Variable, is_recording};
use crate::ops::apply::{Values, expanded};
use crate::ops::copy::{self, contiguous_copy, copy_into, fill_with};
use crate::ops::in_place::apply_in_place;
use crate::ops::{device, index, mask, pick, shape};
use crate::python::ending::guard_this;
use crate::tensor::{Dims, FromValue, Scalar, Tensor, Value, class_name, sizes_text};
use pyo3::exceptions::{PyOverflowError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

/// What an assignment brings.
#[derive(Debug, Clone)]
pub enum Given {
    Number(Scalar),
    Tensor(Tensor),
    Variable(Variable),
    /// An object of another type, by its name.
    Other(String),
}

/// Reads a value that is neither a raw tensor nor a Variable.
///
/// # Errors
/// `RuntimeError` for an int beyond 64 bits; what the object's own conversion to a number raises.
pub fn given(value: &Bound<'_, PyAny>) -> PyResult<Given> {
    guard_this();
    let mut whole = value.is_instance_of::<PyInt>();
    let plain = match whole || value.is_instance_of::<PyFloat>() {
        true => None,
        false => crate::python::numpy::scalar(value)?,
    };
    let value = plain.as_ref().unwrap_or(value);
    whole |= value.is_instance_of::<PyInt>();
    if whole || (!value.is_instance_of::<PyFloat>() && value.hasattr("__index__")?) {
        match value.extract::<i64>() {
            Ok(i) => return Ok(Given::Number(Scalar::Int(i))),
            Err(e) if e.is_instance_of::<PyOverflowError>(value.py()) => {
                return Err(PyRuntimeError::new_err(format!(
                    "{OP}: the int {value} does not fit 64 bits; use a float"
                )));
            }
            // Arrays have an index that fails.
            Err(_) => {}
        }
    }
    // Arrays have a conversion too, and a length.
    if value.hasattr("__float__")? && !value.hasattr("__len__")? {
        return Ok(Given::Number(Scalar::Float(value.extract()?)));
    }
    Ok(Given::Other(type_name(value)))
}

/// Writes `value` where `index` leads in a raw tensor; no version is counted.
///
/// # Errors
/// `RuntimeError` for a value of the wrong type or size (T-69), `TypeError` for a Variable (T-70).
pub fn set(x: &Tensor, index: &Index, value: Given) -> Result<()> {
    let value = match value {
        Given::Variable(_) => fail!(
            Type,
            "{OP}: a tensor takes numbers and tensors; got a Variable; use its .data"
        ),
        Given::Other(name) => fail!(
            Runtime,
            "{OP}: a {} takes numbers and tensors; got {name}",
            class_name(x.dtype(), x.device())
        ),
        Given::Number(Scalar::Float(v)) if !x.dtype().is_float() => fail!(
            Runtime,
            "{OP}: a {} takes int numbers only; got the float {v}",
            class_name(x.dtype(), x.device())
        ),
        Given::Tensor(t) if index.is_number() => fail!(
            Runtime,
            "{OP}: one element takes a number; got a tensor of size {}",
            sizes_text(t.sizes())
        ),
        Given::Tensor(t) => Ok(t),
        Given::Number(n) => Err(n),
    };
    if let (Ok(t), false) = (&value, matches!(index, Index::Basic { .. }))
        && t.kind() != x.kind()
    {
        fail!(
            Runtime,
            "{OP}: an assignment by mask or index takes a tensor of the same class; got a {} for a {}",
            class_name(t.dtype(), t.device()),
            class_name(x.dtype(), x.device())
        );
    }
    match (index, value) {
        (Index::Nothing(sizes), value) => value.map_or(Ok(()), |t| fits_nothing(&t, sizes)),
        (Index::Basic { steps, .. }, Err(n)) => fill_with(&shape::walk(x, steps)?, n),
        (Index::Basic { steps, .. }, Ok(t)) => {
            let to = shape::walk(x, steps)?;
            copy_into(&to, &fitted(&t, to.sizes())?)
        }
        (Index::Mask(mask), Err(n)) => mask::fill_masked(x, mask, n),
        (Index::Mask(mask), Ok(t)) => {
            mask::scatter_masked(x, &apart(mask, x)?, &apart(&t, x)?).map(drop)
        }
        (Index::Rows { steps, .. } | Index::Places { steps, .. }, value) => {
            let to = shape::walk(x, steps)?;
            let places = places(index, &to);
            let sizes = places.sizes(&to)?;
            let part = match value {
                Ok(t) => fitted(&t, &sizes)?,
                Err(n) => repeated(x, n, &sizes)?,
            };
            let p = &places;
            pick::put_raw(&to, &part, &p.order, &p.span, &p.index, &p.shape)
                .map_err(|e| e.said_by(OP, "scatter"))
        }
    }
}

/// Writes `value` where `index` leads in a Variable, with history: what was there gets no
/// gradient, the value gets it. A float truncates in an integer class.
///
/// # Errors
/// `RuntimeError` for a leaf that requires grad and sizes that do not expand, `TypeError`
/// for raw tensors and other objects.
pub fn set_var(x: &Variable, index: &Index, value: Given) -> Result<()> {
    let tensor = x.tensor();
    let value = match value {
        Given::Variable(v) => Ok(as_kind(v.var()?, &tensor)?),
        Given::Number(Scalar::Float(v)) if !tensor.dtype().is_float() => Err(Scalar::Int(v as i64)),
        Given::Number(n) => Err(n),
        Given::Tensor(t) => fail!(
            Type,
            "{OP}: a Variable takes numbers and Variables; got a {}; wrap it with Variable(...)",
            class_name(t.dtype(), t.device())
        ),
        Given::Other(name) => fail!(
            Type,
            "{OP}: a Variable takes numbers and Variables; got {name}"
        ),
    };
    refuse_leaf(x)?;
    match index {
        Index::Nothing(sizes) => return value.map_or(Ok(()), |v| fits_nothing(&v.tensor, sizes)),
        Index::Basic { steps, .. } => {
            let slot = slot(x, steps)?;
            match value {
                Ok(v) => {
                    let v = fitted_var(v, slot.tensor().sizes())?;
                    apply_in_place(&copy::copy::OP, &slot, &[v.input()], Values::new())?;
                }
                Err(n) => {
                    let values = Values::from_iter([n.into_value()]);
                    apply_in_place(&copy::fill::OP, &slot, &[], values)?;
                }
            }
        }
        Index::Mask(mask) => write_masked(x, contiguous_copy(mask)?, value)?,
        Index::Rows { steps, .. } | Index::Places { steps, .. } => {
            let slot = slot(x, steps)?;
            let to = slot.tensor();
            let places = places(index, &to);
            let sizes = places.sizes(&to)?;
            let part = match value {
                Ok(v) => fitted_var(v, &sizes)?,
                Err(n) => Var::from(repeated(&to, n, &sizes)?),
            };
            let (places, part) = last_of_each(places, part)?;
            apply_in_place(&pick::put::OP, &slot, &[part.input()], arguments(&places))?;
        }
    }
    renew(x)
}

/// A view that had no gradient gets the history that its base has since the write.
fn renew(x: &Variable) -> Result<()> {
    if let Some(base) = x.base()
        && !x.requires_grad()
    {
        let var = shape::remake_view(&base.var()?, &x.tensor())?;
        x.rebase(var.history, var.volatile);
    }
    Ok(())
}

fn refuse_leaf(x: &Variable) -> Result<()> {
    let base = x.base();
    let whole = base.as_ref().unwrap_or(x);
    if is_recording() && matches!(whole.input()?.origin, Origin::Leaf(_)) {
        let text = format!(
            "{OP}: a leaf Variable that requires grad has been used in an in-place operation; assign to its .data instead"
        );
        return Err(Error::Runtime(text).about("leaf", whole.tensor().family(), 0));
    }
    Ok(())
}

/// The part of `x` to write to. A write through a view never follows the view's own history, only
/// asks whether there is one: that of `x` serves, and no node is made for the view.
fn slot(x: &Variable, steps: &Dims) -> Result<Variable> {
    if steps.is_empty() {
        return Ok(x.clone());
    }
    let view = Var {
        tensor: shape::walk(&x.tensor(), steps)?,
        history: x.grad_fn()?,
        volatile: x.volatile(),
    };
    Ok(Variable::view_of(view, x, shape::remake_view))
}

fn write_masked(x: &Variable, mask: Tensor, value: std::result::Result<Var, Scalar>) -> Result<()> {
    match value {
        Err(n) => {
            let values = Values::from_iter([Value::Tensor(mask), n.into_value()]);
            apply_in_place(&mask::masked_fill::OP, x, &[], values)
        }
        Ok(v) => {
            // One element goes everywhere.
            let v = if v.tensor.numel() == 1 && mask.ndim() > 0 {
                expanded(&v.input(), &Dims::from_slice(&[mask.numel() as i64]))?
            } else {
                v
            };
            let values = Values::from_iter([Value::Tensor(mask)]);
            apply_in_place(&mask::masked_scatter::OP, x, &[v.input()], values)
        }
    }
}

/// Rows and places as the arguments of `put`.
fn places(index: &Index, x: &Tensor) -> Places {
    match index {
        Index::Places { places, .. } => places.clone(),
        Index::Rows { dim, index, .. } => Places {
            order: (0..x.ndim() as i64).collect(),
            span: Dims::from_slice(&[*dim as i64, 1]),
            shape: Dims::from_slice(index.sizes()),
            index: index.clone(),
        },
        other => unreachable!("{other:?} names no places"),
    }
}

impl Places {
    /// Sizes of what they name in `x`.
    fn sizes(&self, x: &Tensor) -> Result<Dims> {
        pick::picked_sizes(x.sizes(), &self.order, &self.span, &self.index, &self.shape)
    }
}

/// Where a place is named more than once, the last value stays; only that one is written and gets
/// the gradient.
fn last_of_each(places: Places, part: Var) -> Result<(Places, Var)> {
    let named = super::place::Longs::of(&places.index)?.values;
    let mut last = std::collections::HashMap::with_capacity(named.len());
    for (i, &place) in named.iter().enumerate() {
        last.insert(place, i as i64);
    }
    if last.len() == named.len() {
        return Ok((places, part));
    }
    let mut kept: Vec<i64> = last.into_values().collect();
    kept.sort_unstable();
    let distinct: Vec<i64> = kept.iter().map(|&i| named[i as usize]).collect();
    let like = |values: &[i64]| -> Result<Tensor> {
        let host = Tensor::from_slice(values)?;
        let there = device::empty(OP, host.dtype(), places.index.device(), host.sizes())?;
        copy_into(&there, &host)?;
        Ok(there)
    };
    let at = places.span[0] as usize;
    let mut line = Dims::from_slice(&part.sizes()[..at]);
    line.push(named.len() as i64);
    line.extend_from_slice(&part.sizes()[at + places.shape.len()..]);
    let rows = shape::reshape(&part, &line)?;
    let part = index::index_select(&rows, at as i64, like(&kept)?)?;
    let places = Places {
        index: like(&distinct)?,
        shape: Dims::from_slice(&[distinct.len() as i64]),
        ..places
    };
    Ok((places, part))
}

/// `n` in sizes `sizes`, one element in memory.
fn repeated(like: &Tensor, n: Scalar, sizes: &[i64]) -> Result<Tensor> {
    let one = device::empty(OP, like.dtype(), like.device(), &[1])?;
    fill_with(&one, n)?;
    one.expand(sizes)
}

/// `t`, or a copy of it when it lies in the memory of `x`.
fn apart(t: &Tensor, x: &Tensor) -> Result<Tensor> {
    if t.shares_memory(x) {
        contiguous_copy(t)
    } else {
        Ok(t.clone())
    }
}

/// `sizes` without the ones in front.
fn without_lead(sizes: &[i64]) -> &[i64] {
    let ones = sizes.iter().take_while(|&&s| s == 1).count();
    &sizes[ones.min(sizes.len().saturating_sub(1))..]
}

/// `t` in sizes `to`: expanded, or element by element where only the counts agree (T-52).
fn fitted(t: &Tensor, to: &[i64]) -> Result<Tensor> {
    if let Ok(wide) = t.expand(to) {
        return Ok(wide);
    }
    let slim = t.view_or_copy(without_lead(t.sizes()))?;
    if let Ok(wide) = slim.expand(to) {
        return Ok(wide);
    }
    if t.numel() == to.iter().product::<i64>() as usize {
        return t.view_or_copy(to);
    }
    does_not_fit(t.sizes(), to)
}

/// `v` in sizes `to`; ones in front do not count.
fn fitted_var(v: Var, to: &[i64]) -> Result<Var> {
    if v.sizes() == to {
        return Ok(v);
    }
    let slim = Dims::from_slice(without_lead(v.sizes()));
    let v = if v.sizes().len() > to.len() {
        shape::reshape(&v, &slim)?
    } else {
        v
    };
    if v.tensor.expand(to).is_err() {
        return does_not_fit(v.sizes(), to);
    }
    if v.sizes() == to {
        return Ok(v);
    }
    expanded(&v.input(), &Dims::from_slice(to))
}

fn does_not_fit<T>(have: &[i64], to: &[i64]) -> Result<T> {
    fail!(
        Runtime,
        "{OP}: a value of size {} does not expand to the {} it is assigned to",
        sizes_text(have),
        sizes_text(to)
    )
}

/// Whether a value could have gone to no place at all.
fn fits_nothing(t: &Tensor, to: &[i64]) -> Result<()> {
    let mut sizes = without_lead(t.sizes()).iter().rev().zip(to.iter().rev());
    let fits = t.numel() == 0
        || (without_lead(t.sizes()).len() <= to.len() && sizes.all(|(&s, &d)| s == d || s == 1));
    if fits {
        Ok(())
    } else {
        does_not_fit(t.sizes(), to)
    }
}

/// `v` in the class and place of `like`, recorded.
fn as_kind(v: Var, like: &Tensor) -> Result<Var> {
    let typed = if v.tensor.dtype() == like.dtype() {
        v
    } else {
        copy::convert(&v, like.dtype() as i64)?
    };
    if typed.tensor.device() == like.device() {
        Ok(typed)
    } else {
        copy::transfer(&typed, like.device() as i64)
    }
}
