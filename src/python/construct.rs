//! Python numbers, sizes and nested lists, and tensors made of them (T-15 to T-29).
//!
//! Items are judged by type, never converted by asking them (only sizes of a Variable may have an
//! `__index__`, O-8), and lists and tuples are walked without a call into the user's code. Sequences
//! of other types are asked for their items, once at each visit, and may give others the next time:
//! sizes are compared at every step.
#![forbid(unsafe_code)]

use super::call::{Operand, Side};
use super::number::int_of;
use super::{callback, interop, numpy, table};
use crate::dispatch;
use crate::ops::device;
use crate::python::once::Once;
use crate::tensor::{DType, Device, Dims, Element, MAX_DIMS, Scalar, Tensor, class_name, dims};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBytes, PyFloat, PyInt, PyList, PyMapping, PyRange, PySequence, PyString, PyTuple,
};

/// The type of `obj` as a reader knows it: `float`, `numpy.int64`, `torch.FloatTensor`.
pub fn type_name(obj: &Bound<'_, PyAny>) -> String {
    match obj.get_type().fully_qualified_name() {
        Ok(name) => name.to_string(),
        Err(_) => "object".into(),
    }
}

enum Number {
    Scalar(Scalar),
    TooBig,
    None,
}

#[inline]
fn number(obj: &Bound<'_, PyAny>) -> Number {
    if let Ok(v) = obj.cast::<PyFloat>() {
        return Number::Scalar(Scalar::Float(v.value()));
    }
    if obj.cast::<PyInt>().is_err() {
        return match numpy::scalar(obj) {
            Ok(Some(plain)) => number(&plain),
            _ => Number::None,
        };
    }
    match obj.extract::<i64>() {
        Ok(v) => Number::Scalar(Scalar::Int(v)),
        Err(_) => Number::TooBig,
    }
}

/// A tensor of the numbers in nested lists and tuples. `op` is what the errors call the caller.
///
/// # Errors
/// `RuntimeError` for rows of different lengths, an empty row, items that are no numbers of the
/// class, and lists nested beyond [`MAX_DIMS`]; `TypeError` when `data` is no list or tuple.
pub fn from_sequence(op: &str, data: &Bound<'_, PyAny>, dtype: DType) -> PyResult<Tensor> {
    let Some(outer) = items_of(data) else {
        return Err(PyTypeError::new_err(format!(
            "{op}: needs a list or tuple of numbers; got {}",
            type_name(data)
        )));
    };
    if outer.is_empty() {
        return Ok(Tensor::empty(op, dtype, &[])?);
    }
    let sizes = sizes_of(op, &outer)?;
    let mut tensor = Tensor::empty(op, dtype, &sizes)?;
    dispatch!(any dtype, T => fill::<T>(op, outer, &mut tensor)?);
    Ok(tensor)
}

/// The items of a list, a tuple or another sequence of Python's: a range, a deque, an array, an object
/// with `__len__` and `__getitem__`. Numbers, text, mappings, tensors and Variables are none.
#[inline]
pub fn sequence<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    if obj.cast::<PyFloat>().is_ok() || obj.cast::<PyInt>().is_ok() {
        return Ok(None);
    }
    match items_of(obj) {
        None if is_sequence(obj)? => counted(obj),
        found => Ok(found),
    }
}

fn is_sequence(obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    let is_text = obj.is_instance_of::<PyString>() || obj.is_instance_of::<PyBytes>();
    let is_ours = Operand::of(obj).is_some() || super::storage::storage(obj).is_some();
    if is_text || is_ours {
        return Ok(false);
    }
    if obj.cast::<PySequence>().is_ok() {
        return Ok(true);
    }
    let has_items = obj.hasattr("__len__")? && obj.hasattr("__getitem__")?;
    Ok(has_items && obj.cast::<PyMapping>().is_err())
}

/// As many items as `obj` says it has, since not every sequence ends by itself; none where it has no
/// length after all, as a class or an array without dimensions.
fn counted<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    static SLICE: Once = Once::new();
    let length = match callback::call_method(obj, "__len__", ()) {
        Err(e) if e.is_instance_of::<PyTypeError>(obj.py()) => return Ok(None),
        length => length?,
    };
    let slice = SLICE.import(obj.py(), "itertools", "islice")?;
    let items = callback::items(&callback::call(slice, (obj, length))?)?;
    Ok(Some(items.to_tuple()))
}

/// The items of a list or tuple as they are at this moment: what happens to the list later, in
/// another thread, is not seen.
#[inline]
fn items_of<'py>(obj: &Bound<'py, PyAny>) -> Option<Bound<'py, PyTuple>> {
    if let Ok(list) = obj.cast::<PyList>() {
        return Some(list.to_tuple());
    }
    if let Ok(range) = obj.cast::<PyRange>() {
        return range.cast::<PySequence>().ok()?.to_tuple().ok();
    }
    obj.cast::<PyTuple>().ok().cloned()
}

/// Sizes, read along the first items.
fn sizes_of(op: &str, outer: &Bound<'_, PyTuple>) -> PyResult<Dims> {
    let mut sizes = Dims::from_slice(&[outer.len() as i64]);
    let mut first = outer.get_item(0)?;
    while let Some(items) = sequence(&first)? {
        if items.is_empty() {
            return Err(PyRuntimeError::new_err(format!(
                "{op}: the sequence at {} is empty; only the outermost may be",
                "[0]".repeat(sizes.len())
            )));
        }
        if sizes.len() == MAX_DIMS {
            return Err(PyRuntimeError::new_err(format!(
                "{op}: sequences are nested deeper than {MAX_DIMS} levels; does one contain itself?"
            )));
        }
        sizes.push(items.len() as i64);
        first = items.get_item(0)?;
    }
    Ok(sizes)
}

/// One sequence on the way from the outermost to the numbers, and how many items are behind.
struct Level<'py> {
    items: Bound<'py, PyTuple>,
    done: usize,
}

fn fill<T: Element>(op: &str, outer: Bound<'_, PyTuple>, tensor: &mut Tensor) -> PyResult<()> {
    let sizes = Dims::from_slice(tensor.sizes());
    let mut slots = interop::fresh_elements::<T>(tensor).iter_mut();
    let mut levels = vec![Level {
        items: outer,
        done: 0,
    }];
    while let Some(level) = levels.last_mut() {
        let (items, at) = (level.items.clone(), level.done);
        if at == items.len() {
            levels.pop();
            continue;
        }
        let depth = levels.len();
        if depth == sizes.len() {
            // The row has the right length, so each item has its slot.
            for (i, (item, slot)) in items.iter_borrowed().zip(&mut slots).enumerate() {
                let Some(value) = element::<T>(&item) else {
                    levels[depth - 1].done = i;
                    return Err(refuse(op, T::DTYPE, &item, &levels));
                };
                slot.write(value);
            }
            levels.pop();
            continue;
        }
        let item = items.get_item(at)?;
        match sequence(&item)? {
            Some(items) if items.len() as i64 == sizes[depth] => {
                levels[depth - 1].done += 1;
                levels.push(Level { items, done: 0 });
            }
            other => {
                let found = match other {
                    Some(items) => format!("has length {}", items.len()),
                    None => format!("has type {}", type_name(&item)),
                };
                return Err(PyRuntimeError::new_err(format!(
                    "{op}: rows must have one length; the item at {} {found}, the first beside it has length {}",
                    path(&levels),
                    sizes[depth]
                )));
            }
        }
    }
    Ok(())
}

/// The number as an element; `None` for what the class does not take.
#[inline(always)]
fn element<T: Element>(item: &Bound<'_, PyAny>) -> Option<T> {
    match number(item) {
        Number::Scalar(Scalar::Float(v)) if T::DTYPE.is_float() => Some(T::from_f64(v)),
        Number::Scalar(Scalar::Int(v)) => Some(T::from_i64(v)),
        _ => None,
    }
}

/// Where the walk stands: `[1][0]`.
fn path(levels: &[Level<'_>]) -> String {
    let last = levels.len() - 1;
    let at = |(i, level): (usize, &Level<'_>)| {
        // The levels above the last have counted the item that the walk is inside of.
        format!("[{}]", level.done - usize::from(i < last))
    };
    levels.iter().enumerate().map(at).collect()
}

fn refuse(op: &str, dtype: DType, item: &Bound<'_, PyAny>, levels: &[Level<'_>]) -> PyErr {
    let place = path(levels);
    let made = match op.starts_with("torch.") {
        true => op.into(),
        false => class_name(dtype, Device::Cpu),
    };
    PyRuntimeError::new_err(match number(item) {
        Number::TooBig => format!("{op}: the int at {place} does not fit 64 bits"),
        _ if matches!(sequence(item), Ok(Some(_))) => format!(
            "{op}: rows must have one length; the item at {place} has type {}, the first beside it is a number",
            type_name(item)
        ),
        _ => format!(
            "{op}: the item at {place} has type {}; a {made} is made of {} only",
            type_name(item),
            if dtype.is_float() {
                "int and float numbers"
            } else {
                "int numbers"
            }
        ),
    })
}

/// Sizes as they are given to a constructor: ints, or one list or tuple of them; cut at a zero.
///
/// # Errors
/// `TypeError` for what is no int, `RuntimeError` for negative sizes and too many elements.
pub fn sizes_from_args(side: Side, op: &str, args: &Bound<'_, PyTuple>) -> PyResult<Dims> {
    let sizes = ints_from_args(side, op, args)?;
    dims::count(op, &sizes)?;
    Ok(cut_at_zero(sizes))
}

/// Ints, or one list or tuple of ints, of any sign.
pub fn ints_from_args(side: Side, op: &str, args: &Bound<'_, PyTuple>) -> PyResult<Dims> {
    if args.len() == 1
        && let Some(items) = items_of(&args.get_item(0)?)
    {
        return ints(side, op, &items);
    }
    ints(side, op, args)
}

fn ints(side: Side, op: &str, items: &Bound<'_, PyTuple>) -> PyResult<Dims> {
    let one = |(i, item): (usize, Borrowed<'_, '_, PyAny>)| match int_of(side, op, &item)? {
        Some(v) => Ok(v),
        None => Err(PyTypeError::new_err(format!(
            "{op}: sizes are int numbers; number {} has type {}",
            i + 1,
            type_name(&item)
        ))),
    };
    items.iter_borrowed().enumerate().map(one).collect()
}

/// A size with a zero in it ends before the zero: no dimension of 0.3 has size zero (T-4).
pub fn cut_at_zero(mut sizes: Dims) -> Dims {
    if let Some(zero) = sizes.iter().position(|&size| size == 0) {
        sizes.truncate(zero);
    }
    sizes
}

/// The elements as nested lists of Python numbers.
///
/// # Errors
/// `MemoryError` when there is no room for them.
pub fn to_list<'py>(py: Python<'py>, tensor: &Tensor) -> PyResult<Bound<'py, PyList>> {
    let tensor = device::to_cpu(tensor)?;
    if tensor.ndim() == 0 {
        return Ok(PyList::empty(py));
    }
    dispatch!(any tensor.dtype(), T => rows::<T>(py, &tensor, 0, 0))
}

/// Nested as deep as the tensor has dimensions, so at most [`MAX_DIMS`] calls.
fn rows<'py, T: Element>(
    py: Python<'py>,
    tensor: &Tensor,
    dim: usize,
    start: i64,
) -> PyResult<Bound<'py, PyList>> {
    let (size, stride) = (tensor.sizes()[dim] as usize, tensor.strides()[dim]);
    let at = |i: usize| start + i as i64 * stride;
    if dim + 1 == tensor.ndim() {
        return table::list(py, size, |i| {
            let value = tensor.read::<T>(at(i));
            match T::DTYPE.is_float() {
                true => table::float(py, value.to_f64()),
                false => table::int(py, value.to_i64()),
            }
        });
    }
    table::list(py, size, |i| {
        Ok(rows::<T>(py, tensor, dim + 1, at(i))?.into_any())
    })
}
