//! From a Python object to items. Which objects are taken is decided here (T-60 to T-68).

use super::place::{self, Item, Longs, Slice};
use super::{Index, OP, Rules};
use crate::error::Error;
use crate::python::callback;
use crate::python::ending::guard_this;
use crate::tensor::{DType, Dims, MAX_DIMS, Tensor, class_name, sizes_text};
use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PyList, PyRange, PySlice, PyTuple};

/// Lists from this length on are never read as tuples, as NumPy had it.
const LONG_LIST: usize = 32;

/// Finds the tensor in what may be an index: a raw tensor, for a Variable also a Variable.
type TensorOf<'a> = &'a dyn Fn(&Bound<'_, PyAny>) -> Option<Tensor>;

/// Reads `index` for `x`. `tensor_of` gives the tensor of those that may be an index.
///
/// # Errors
/// As T-60 to T-68 for raw tensors and NumPy's for Variables; what `__index__` of an object raises.
pub fn parse(
    index: &Bound<'_, PyAny>,
    x: &Tensor,
    rules: Rules,
    tensor_of: TensorOf<'_>,
) -> PyResult<Index> {
    let reader = Reader { rules, tensor_of };
    if index.cast_exact::<PyInt>().is_ok() {
        return Ok(place::place([reader.int(index)?].into(), x, rules)?);
    }
    if let Some(tensor) = tensor_of(index) {
        if rules == Rules::Raw {
            return Ok(place::raw_tensor(tensor, x)?);
        }
        return Ok(place::place([reader.tensor(tensor)?].into(), x, rules)?);
    }
    let mut items = Vec::new();
    if let Ok(tuple) = index.cast::<PyTuple>() {
        for part in tuple.iter() {
            items.push(reader.item(&part)?);
        }
    } else if let Some(list) = reader.tuple_like(index) {
        for part in list.iter() {
            items.push(reader.item(&part)?);
        }
    } else {
        items.push(reader.item(index)?);
    }
    Ok(place::place(items, x, rules)?)
}

struct Reader<'a> {
    rules: Rules,
    tensor_of: TensorOf<'a>,
}

impl Reader<'_> {
    /// A short list that holds more than numbers stands for a tuple.
    fn tuple_like<'a, 'py>(&self, index: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyList>> {
        let list = index.cast::<PyList>().ok()?;
        let more = |part: Bound<'_, PyAny>| {
            part.is_none()
                || part.is_instance_of::<PySlice>()
                || part.is_instance_of::<PyEllipsis>()
                || is_sequence(&part)
                || (self.tensor_of)(&part).is_some()
        };
        (list.len() < LONG_LIST && list.iter().any(more)).then_some(list)
    }

    fn item(&self, part: &Bound<'_, PyAny>) -> PyResult<Item> {
        if part.cast_exact::<PyInt>().is_ok() {
            return self.int(part);
        }
        if let Ok(slice) = part.cast::<PySlice>() {
            return self.slice(slice);
        }
        if part.is_none() {
            return Ok(Item::New);
        }
        if part.is_instance_of::<PyEllipsis>() {
            return Ok(Item::Ellipsis);
        }
        if let Some(tensor) = (self.tensor_of)(part) {
            return self.tensor(tensor);
        }
        if is_sequence(part) {
            return self.sequence(part);
        }
        if let Ok(flag) = part.extract::<bool>() {
            return match self.rules {
                Rules::Variable => Ok(Item::Flag(flag)),
                Rules::Raw => Err(self.refuse(part)),
            };
        }
        guard_this();
        if part.hasattr("__index__")? {
            return self.int(part);
        }
        Err(self.refuse(part))
    }

    fn refuse(&self, part: &Bound<'_, PyAny>) -> PyErr {
        let name = type_name(part);
        match self.rules {
            Rules::Raw => Error::Type(format!(
                "{OP}: a tensor takes ints, slices, None, Ellipsis, sequences of ints, LongTensors and ByteTensors; got {name}"
            )),
            Rules::Variable => Error::Index(format!(
                "{OP}: a Variable takes ints, slices, None, Ellipsis, bools, sequences of them, LongTensors and ByteTensors; got {name}"
            )),
        }
        .into()
    }

    fn int(&self, part: &Bound<'_, PyAny>) -> PyResult<Item> {
        match part.extract::<i64>() {
            Ok(i) => Ok(Item::Int(i)),
            Err(e) if e.is_instance_of::<PyOverflowError>(part.py()) => Err(PyIndexError::new_err(
                format!("{OP}: {part} is out of range for a dimension of any size"),
            )),
            Err(e) => Err(e),
        }
    }

    fn slice(&self, slice: &Bound<'_, PySlice>) -> PyResult<Item> {
        Ok(Item::Slice(Slice {
            start: self.bound(slice, "start")?,
            stop: self.bound(slice, "stop")?,
            step: self.bound(slice, "step")?.unwrap_or(1),
        }))
    }

    /// A number of a slice; those beyond 64 bits stop at the last that fits.
    fn bound(&self, slice: &Bound<'_, PySlice>, name: &str) -> PyResult<Option<i64>> {
        let value = slice.getattr(name)?;
        if value.is_none() {
            return Ok(None);
        }
        guard_this();
        if (self.tensor_of)(&value).is_some() || !value.hasattr("__index__")? {
            return Err(Error::Type(format!(
                "{OP}: a slice takes ints and None; its {name} is {}",
                type_name(&value)
            ))
            .into());
        }
        match value.extract::<i64>() {
            Ok(i) => Ok(Some(i)),
            Err(e) if e.is_instance_of::<PyOverflowError>(value.py()) => {
                let beyond = if value.lt(0)? { i64::MIN } else { i64::MAX };
                Ok(Some(beyond))
            }
            Err(e) => Err(e),
        }
    }

    /// A tensor among other items, or on its own for a Variable.
    fn tensor(&self, tensor: Tensor) -> PyResult<Item> {
        match (tensor.dtype(), self.rules) {
            (DType::I64, _) => Ok(Item::Longs(Longs::of(&tensor)?)),
            (DType::U8, Rules::Variable) => Ok(Item::Mask(tensor)),
            (dtype, rules) => Err(wrong_class(dtype, &tensor, rules).into()),
        }
    }

    /// A sequence of ints, nested to any depth as long as it is a box; for Variables also of bools.
    fn sequence(&self, part: &Bound<'_, PyAny>) -> PyResult<Item> {
        let mut found = Found::default();
        let sizes = self.gather(part, &mut found, 0)?;
        if found.flags > 0 && found.flags == found.values.len() {
            let ones: Vec<u8> = found.values.iter().map(|&v| v as u8).collect();
            return Ok(Item::Mask(Tensor::from_slice(&ones)?.view_or_copy(&sizes)?));
        }
        if found.flags > 0 {
            return Err(Error::Index(format!(
                "{OP}: a sequence holds ints or bools, not both; it has {} bools among {} values",
                found.flags,
                found.values.len()
            ))
            .into());
        }
        Ok(Item::Longs(Longs {
            values: found.values,
            sizes,
        }))
    }

    /// Adds the numbers in `part` to `found` and gives its sizes.
    fn gather(&self, part: &Bound<'_, PyAny>, found: &mut Found, depth: usize) -> PyResult<Dims> {
        if depth >= MAX_DIMS {
            return Err(Error::Index(format!(
                "{OP}: a sequence may be nested {MAX_DIMS} levels deep; this one goes on"
            ))
            .into());
        }
        let list = if part.hasattr("tolist")? {
            callback::call_method(part, "tolist", ())?
        } else {
            part.clone()
        };
        let mut inner: Option<Dims> = None;
        let mut count = 0;
        for value in callback::items(&list)? {
            let sizes = if is_sequence(&value) {
                self.gather(&value, found, depth + 1)?
            } else {
                found.push(self, &value)?;
                Dims::new()
            };
            match &inner {
                Some(first) if *first != sizes => {
                    return Err(Error::Index(format!(
                        "{OP}: the parts of a sequence must have one size; got {} and {}",
                        sizes_text(first),
                        sizes_text(&sizes)
                    ))
                    .into());
                }
                _ => inner = Some(sizes),
            }
            count += 1;
        }
        let mut sizes = Dims::from_slice(&[count]);
        sizes.extend(inner.unwrap_or_default());
        Ok(sizes)
    }
}

/// The numbers of a sequence.
#[derive(Default)]
struct Found {
    values: Vec<i64>,
    flags: usize,
}

impl Found {
    fn push(&mut self, reader: &Reader<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let flag = value.is_instance_of::<PyBool>();
        if flag && reader.rules == Rules::Variable {
            self.flags += 1;
        }
        let number = value.hasattr("__index__")? && (reader.tensor_of)(value).is_none();
        if (flag && reader.rules == Rules::Raw) || !number {
            return Err(Error::Index(format!(
                "{OP}: a sequence of ints does not convert to a LongTensor; it holds {}",
                type_name(value)
            ))
            .into());
        }
        let Item::Int(i) = reader.int(value)? else {
            unreachable!("an int is read as an int")
        };
        self.values.push(i);
        Ok(())
    }
}

/// Lists, tuples, ranges and NumPy arrays; the scalars of NumPy are numbers.
fn is_sequence(part: &Bound<'_, PyAny>) -> bool {
    part.is_instance_of::<PyList>()
        || part.is_instance_of::<PyTuple>()
        || part.is_instance_of::<PyRange>()
        || is_array(part)
}

fn is_array(part: &Bound<'_, PyAny>) -> bool {
    let dims = part
        .getattr("ndim")
        .and_then(|n| n.extract::<usize>())
        .unwrap_or(0);
    dims > 0 && part.hasattr("tolist").unwrap_or(false)
}

/// Why a tensor of this class is no index.
pub(super) fn wrong_class(dtype: DType, tensor: &Tensor, rules: Rules) -> Error {
    let got = class_name(dtype, tensor.device());
    match rules {
        Rules::Raw if dtype == DType::U8 => Error::Type(format!(
            "{OP}: a mask ({got}) stands alone and not among other indices of a tensor"
        )),
        Rules::Raw => Error::Type(format!(
            "{OP}: index tensors are LongTensors or ByteTensors; got a {got}; convert it with .long()"
        )),
        Rules::Variable => Error::Index(format!(
            "{OP}: index tensors are LongTensors or ByteTensors; got a {got}; convert it with .long()"
        )),
    }
}

pub(super) fn type_name(part: &Bound<'_, PyAny>) -> String {
    part.get_type()
        .name()
        .map_or_else(|_| "another object".into(), |name| name.to_string())
}
