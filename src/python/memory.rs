//! What tensors do with their memory: size, storage, sharing between processes, copies that keep
//! sharing among tensors (T-41 to T-44, T-120).

use super::call::Side;
use super::construct;
use super::errors::run;
use super::number::int_of;
use super::storage::{copied, storage as storage_in, storage_of};
use super::tensor::{PyTensor, raw};
use super::{classes, query, shared};
use crate::ops::device;
use crate::ops::in_place::refuse_repeats;
use crate::tensor::{Dims, Layout, Tensor, class_name, dims, sizes_text};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

impl PyTensor {
    /// Becomes a tensor of `sizes`, keeping elements in storage order (T-41).
    pub fn resize(&self, sizes: &[i64]) -> PyResult<()> {
        let tensor = self.tensor();
        // Its own sizes change nothing, not even the strides of a view.
        if tensor.sizes() == sizes {
            return Ok(());
        }
        let resized = run(|| {
            let count = dims::count("resize_", sizes)?;
            if count == tensor.numel() && tensor.is_contiguous() {
                return tensor.view(sizes);
            }
            device::grow("resize_", &tensor, tensor.offset() + count)?;
            tensor.with_layout(Layout {
                offset: tensor.offset(),
                ..Layout::row_major(sizes)
            })
        })?;
        self.set(resized);
        Ok(())
    }

    /// Fails where it cannot take the size and elements of a result.
    pub fn check_takes(&self, op: &str, result: &Tensor) -> PyResult<()> {
        let have = self.tensor();
        if have.sizes() == result.sizes() {
            return Ok(refuse_repeats(op, &have)?);
        }
        if !have.is_resizable() && have.offset() + result.numel() > have.storage_len() {
            return Err(PyRuntimeError::new_err(format!(
                "{op}: out= has size {}, the result {}, and its storage is not resizable; give a tensor of the result's size",
                sizes_text(have.sizes()),
                sizes_text(result.sizes())
            )));
        }
        Ok(())
    }

    /// Takes the size and elements of a result (`out=`).
    pub fn take_result(&self, op: &str, result: &Tensor) -> PyResult<()> {
        self.check_takes(op, result)?;
        if self.tensor().sizes() != result.sizes() {
            self.resize(result.sizes())?;
        }
        run(|| crate::ops::copy::copy_into(&self.tensor(), result))
    }
}

/// A storage as one dimension, or as an empty tensor.
pub fn view_of_storage(root: &Tensor) -> crate::error::Result<Tensor> {
    match root.storage_len() {
        0 => root.memory_root().with_layout(Layout::row_major(&[])),
        _ => root.flat(),
    }
}

/// Sizes with strides on a storage, inside what it shows.
fn place(
    root: &Tensor,
    offset: i64,
    sizes: &[i64],
    strides: &[i64],
) -> crate::error::Result<Tensor> {
    let end = match sizes.is_empty() || sizes.contains(&0) {
        true => Some(offset),
        false => (sizes.iter().zip(strides))
            .try_fold(offset.saturating_add(1), |end, (n, step)| {
                end.checked_add(n.saturating_sub(1).checked_mul(*step)?)
            }),
    };
    let is_place = sizes.len() == strides.len() && offset >= 0;
    if is_place && end.is_none_or(|end| end > root.storage_len() as i64) {
        crate::fail!(
            Runtime,
            "set_: {} with strides {strides:?} from element {offset} reaches outside a storage of {} elements; resize_() the storage first",
            sizes_text(sizes),
            root.storage_len()
        );
    }
    let root = root.memory_root();
    root.as_strided(sizes, strides, offset)
        .map_err(|e| e.said_by("set_", "as_strided"))
}

/// `t`, or a copy on its own storage when its storage was cut shorter than `t` reaches.
fn whole(t: Tensor) -> PyResult<Tensor> {
    let reach = t
        .sizes()
        .iter()
        .zip(t.strides())
        .map(|(n, step)| (n - 1) * step);
    let end = t.offset() as i64 + reach.sum::<i64>() + 1;
    if t.numel() == 0 || end <= t.storage_len() as i64 {
        return Ok(t);
    }
    run(|| crate::ops::copy::contiguous_copy(&t))
}

/// Ints in one argument: a size or strides.
pub fn dims_of(side: Side, op: &str, what: &str, obj: &Bound<'_, PyAny>) -> PyResult<Dims> {
    match construct::sequence(obj)? {
        Some(items) => construct::ints_from_args(side, op, &items),
        None => match int_of(side, op, obj)? {
            Some(one) => Ok(Dims::from_slice(&[one])),
            None => Err(PyTypeError::new_err(format!(
                "{op}: {what} is a tuple of ints; got {}",
                construct::type_name(obj)
            ))),
        },
    }
}

#[pymethods]
impl PyTensor {
    #[pyo3(signature = (*sizes, size=None))]
    fn resize_<'py>(
        slf: &Bound<'py, Self>,
        sizes: &Bound<'py, PyTuple>,
        size: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let sizes = match size {
            Some(_) if !sizes.is_empty() => {
                return Err(PyTypeError::new_err(
                    "resize_: got sizes by place and size= as well; give one of them",
                ));
            }
            Some(size) => construct::sizes_from_args(
                Side::Tensors,
                "resize_",
                &PyTuple::new(slf.py(), [size])?,
            )?,
            None => construct::sizes_from_args(Side::Tensors, "resize_", sizes)?,
        };
        slf.get().resize(&sizes)?;
        Ok(slf.clone())
    }

    fn resize_as_<'py>(
        slf: &Bound<'py, Self>,
        the_template: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let like = raw("resize_as_", the_template)?;
        let me = slf.get().tensor();
        if me.kind() != like.kind() {
            return Err(PyTypeError::new_err(format!(
                "resize_as_: a {} takes the size of one of its own class; got a {}; use resize_(other.size())",
                class_name(me.dtype(), me.device()),
                class_name(like.dtype(), like.device())
            )));
        }
        slf.get().resize(like.sizes())?;
        Ok(slf.clone())
    }

    /// Takes other memory: nothing, that of a tensor, a storage, or a part of one.
    #[pyo3(signature = (source=None, storage_offset=None, size=None, stride=None, *, storage=None, sourceStorage=None))]
    #[allow(
        non_snake_case,
        clippy::too_many_arguments,
        reason = "the names that 0.3 has for the first argument"
    )]
    pub fn set_<'py>(
        slf: &Bound<'py, Self>,
        source: Option<&Bound<'py, PyAny>>,
        storage_offset: Option<&Bound<'py, PyAny>>,
        size: Option<&Bound<'py, PyAny>>,
        stride: Option<&Bound<'py, PyAny>>,
        storage: Option<&Bound<'py, PyAny>>,
        sourceStorage: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let me = slf.get().tensor();
        let part = storage_offset.is_some() || size.is_some() || stride.is_some();
        let refused = |got: &str| {
            let class = class_name(me.dtype(), me.device());
            let own = super::storage::storage_name(me.dtype(), me.device());
            PyTypeError::new_err(format!(
                "set_: got {got}; a {class} takes () or ({class} source) or ({own} source) or ({own} source, int storage_offset, sizes size, strides stride=None)"
            ))
        };
        let mut sources = [source, storage, sourceStorage].into_iter().flatten();
        let first = sources.next();
        if sources.next().is_some() {
            return Err(refused("several sources"));
        }
        let made = match first {
            None if part => return Err(refused("a place in no storage")),
            None => run(|| device::empty("set_", me.dtype(), me.device(), &[]))?,
            Some(object) => match (storage_in(object), object.cast::<PyTensor>()) {
                (Some(root), _) if root.kind() == me.kind() => match (storage_offset, size) {
                    (None, None) if stride.is_none() => run(|| view_of_storage(&root))?,
                    (Some(offset), Some(size)) => {
                        let Some(offset) = int_of(Side::Tensors, "set_", offset)? else {
                            return Err(refused("an offset that is no int"));
                        };
                        let sizes = construct::cut_at_zero(dims_of(
                            Side::Tensors,
                            "set_",
                            "the size",
                            size,
                        )?);
                        let strides = match stride.filter(|s| !s.is_none()) {
                            Some(stride) => dims_of(Side::Tensors, "set_", "the stride", stride)?,
                            None => dims::row_major(&sizes),
                        };
                        run(|| place(&root, offset, &sizes, &strides))?
                    }
                    _ => return Err(refused("only some of offset, size and stride")),
                },
                (None, Ok(other)) if !part && other.get().tensor().kind() == me.kind() => {
                    other.get().tensor().alias()
                }
                _ => return Err(refused(&super::call::kind_name(object))),
            },
        };
        slf.get().set(made);
        Ok(slf.clone())
    }

    fn is_shared(&self) -> bool {
        let t = self.tensor();
        t.device() == crate::tensor::Device::Gpu || t.is_shared()
    }

    /// Moves the elements to memory that other processes can have too. They keep their size, and must
    /// be nobody else's: of a NumPy array's or a file's, share the clone().
    fn share_memory_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        shared::share(slf.py(), "share_memory_", &slf.get().tensor())?;
        Ok(slf.clone())
    }

    fn pin_memory(&self) -> PyResult<()> {
        Err(query::no_pinned_memory())
    }

    /// A number for the tensor object's state, its own as long as it lives.
    #[getter]
    fn _cdata(&self) -> usize {
        self.tensor().address()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let t = whole(slf.get().tensor())?;
        let rebuild = py.import("rgrad._utils")?.getattr("_rebuild_tensor")?;
        let args = (
            storage_of(py, &t)?,
            t.offset(),
            PyTuple::new(py, t.sizes())?,
            PyTuple::new(py, t.strides())?,
        );
        (rebuild, args).into_pyobject(py)
    }

    fn __deepcopy__(slf: &Bound<'_, Self>, memo: &Bound<'_, PyDict>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let key = slf.as_ptr() as usize;
        if let Some(done) = memo.get_item(key)? {
            return Ok(done.unbind());
        }
        let t = whole(slf.get().tensor())?;
        let copy = copied(py, &t, memo)?;
        let root = storage_in(copy.bind(py)).unwrap_or_else(|| t.clone());
        let made = classes::wrap(
            py,
            root.with_layout(Layout {
                sizes: Dims::from_slice(t.sizes()),
                strides: Dims::from_slice(t.strides()),
                offset: t.offset(),
            })?,
        )?;
        memo.set_item(key, &made)?;
        Ok(made)
    }
}
