//! Variables in other places of memory: another geometry on their elements, or other elements.

use super::PyVariable;
use crate::graph::{Var, Variable};
use crate::ops::apply::Values;
use crate::ops::shape;
use crate::python::call::{self, Side};
use crate::python::construct::cut_at_zero;
use crate::python::errors::run;
use crate::python::memory::dims_of;
use crate::python::shared;
use crate::python::tensor::PyTensor;
use crate::tensor::{Device, Dims, FromValue, Tensor, sizes_text};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Sizes, strides, and where in the storage the first element is.
struct Geometry {
    sizes: Dims,
    strides: Dims,
    start: i64,
}

/// One behind the last element of a geometry, counted in its storage.
fn end(sizes: &[i64], strides: &[i64], start: i64) -> i64 {
    let reach = sizes.iter().zip(strides).map(|(n, step)| (n - 1) * step);
    match sizes.is_empty() || sizes.contains(&0) {
        true => start,
        false => start + reach.sum::<i64>() + 1,
    }
}

impl Geometry {
    fn read(
        own: &Tensor,
        size: &Bound<'_, PyAny>,
        stride: &Bound<'_, PyAny>,
        storage_offset: i64,
    ) -> PyResult<Geometry> {
        let sizes = cut_at_zero(dims_of(Side::Variables, "as_strided", "the size", size)?);
        let strides = dims_of(Side::Variables, "as_strided", "the stride", stride)?;
        if sizes.len() != strides.len() || strides.iter().any(|&s| s < 0) || storage_offset < -1 {
            return Err(PyRuntimeError::new_err(format!(
                "as_strided: needs one non-negative stride for each size and a non-negative offset, or -1 for the Variable's own; got {sizes:?}, {strides:?} and {storage_offset}"
            )));
        }
        let start = match storage_offset {
            -1 => own.offset() as i64,
            at => at,
        };
        let made = Geometry {
            sizes,
            strides,
            start,
        };
        if made.end() > own.storage_len() as i64 {
            return Err(PyRuntimeError::new_err(format!(
                "as_strided: {} with strides {:?} from element {start} reaches outside a storage of {} elements",
                sizes_text(&made.sizes),
                made.strides,
                own.storage_len()
            )));
        }
        Ok(made)
    }

    fn end(&self) -> i64 {
        end(&self.sizes, &self.strides, self.start)
    }

    /// Whether all of it lies between the first and the last element of `t`.
    fn inside(&self, t: &Tensor) -> bool {
        let first = t.offset() as i64;
        self.start >= first && self.end() <= end(t.sizes(), t.strides(), first)
    }

    /// The arguments of the row, which counts from the first element of `t`.
    fn values(&self, t: &Tensor) -> Values {
        Values::from_iter([
            FromValue::into_value(self.sizes.clone()),
            FromValue::into_value(self.strides.clone()),
            FromValue::into_value(self.start - t.offset() as i64),
        ])
    }

    /// The Variable whose elements these are: `v`, or what it is a view of. Gradients flow to no
    /// others.
    fn owner(&self, v: &Variable) -> PyResult<Variable> {
        if !v.requires_grad() || self.inside(&v.tensor()) {
            return Ok(v.clone());
        }
        let base = v.base().filter(|base| self.inside(&base.tensor()));
        base.ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "as_strided: {} with strides {:?} from element {} reaches outside the Variable's elements, where gradients cannot flow; use it on .data",
                sizes_text(&self.sizes),
                self.strides,
                self.start
            ))
        })
    }
}

#[pymethods]
impl PyVariable {
    /// A view of any geometry; `storage_offset` counts in the storage, and -1 is the own place.
    #[pyo3(signature = (size, stride, storage_offset=-1))]
    fn as_strided(
        &self,
        py: Python<'_>,
        size: &Bound<'_, PyAny>,
        stride: &Bound<'_, PyAny>,
        storage_offset: i64,
    ) -> PyResult<Py<PyAny>> {
        let place = Geometry::read(&self.var.tensor(), size, stride, storage_offset)?;
        let owner = place.owner(&self.var)?;
        let var: Var = run(|| {
            let from = owner.var()?;
            let start = place.start - from.tensor.offset() as i64;
            shape::as_strided(&from, place.sizes, place.strides, start)
        })?;
        Ok(PyVariable::wrap(py, Variable::view_of(var, &owner, shape::remake_view))?.into_any())
    }

    /// Takes another geometry on its own elements.
    #[pyo3(signature = (size, stride, storage_offset=-1))]
    fn as_strided_<'py>(
        slf: &Bound<'py, Self>,
        size: &Bound<'py, PyAny>,
        stride: &Bound<'py, PyAny>,
        storage_offset: i64,
    ) -> PyResult<Bound<'py, Self>> {
        let var = &slf.get().var;
        let own = var.tensor();
        let place = Geometry::read(&own, size, stride, storage_offset)?;
        place.owner(var)?;
        run(|| call::turn(&shape::as_strided::OP, var, place.values(&own)))?;
        Ok(slf.clone())
    }

    fn is_shared(&self) -> bool {
        let t = self.var.tensor();
        t.device() == Device::Gpu || t.is_shared()
    }

    /// Moves the elements to memory that other processes can have too, for all who share them; not
    /// the gradient.
    fn share_memory_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        shared::share(slf.py(), "share_memory_", &slf.get().var.tensor())?;
        Ok(slf.clone())
    }

    /// Takes other memory: nothing, that of a Variable, a storage, or a part of one.
    #[pyo3(signature = (source=None, storage_offset=None, size=None, stride=None, *, storage=None, sourceStorage=None))]
    #[allow(
        non_snake_case,
        clippy::too_many_arguments,
        reason = "the names that 0.3 has for the first argument"
    )]
    fn set_<'py>(
        slf: &Bound<'py, Self>,
        source: Option<&Bound<'py, PyAny>>,
        storage_offset: Option<&Bound<'py, PyAny>>,
        size: Option<&Bound<'py, PyAny>>,
        stride: Option<&Bound<'py, PyAny>>,
        storage: Option<&Bound<'py, PyAny>>,
        sourceStorage: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let var = &slf.get().var;
        if !var.is_leaf() || var.requires_grad() || var.base().is_some() {
            return Err(PyRuntimeError::new_err(
                "set_: only leaves that do not require grad, and are no views, take other memory; set .data, or detach() first",
            ));
        }
        let data = PyVariable::data(slf)?;
        let data = data.bind(slf.py()).cast::<PyTensor>()?;
        let taken = match source.map(|s| s.cast::<PyVariable>()) {
            Some(Ok(other)) => Some(PyVariable::data(other)?),
            _ => source.map(|s| s.clone().unbind()),
        };
        let taken = taken.as_ref().map(|t| t.bind(slf.py()));
        PyTensor::set_(
            data,
            taken,
            storage_offset,
            size,
            stride,
            storage,
            sourceStorage,
        )?;
        Ok(slf.clone())
    }
}
