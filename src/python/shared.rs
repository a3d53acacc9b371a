//! Storages in memory that other processes have too (T-120, T-121). Files, locks and how they travel
//! are the business of `rgrad.multiprocessing.memory`; here memory becomes storages.

use super::callback;
use super::errors::run;
use super::interop::is_exported;
use super::interpreter;
use super::storage::{PyStorage, storage_of};
use super::storages::kind_of;
use crate::error::Result;
use crate::fail;
use crate::lock::fork;
use crate::ops::device;
use crate::tensor::shared::{self, Open};
use crate::tensor::{DType, Device, Tensor};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Moves the storage of `x` to shared memory; on the GPU, and where it is shared already, nothing
/// happens.
///
/// # Errors
/// `RuntimeError` for memory that cannot move, and when the system gives none.
pub fn share(py: Python<'_>, op: &str, x: &Tensor) -> PyResult<()> {
    if x.device() == Device::Gpu || x.is_shared() {
        return Ok(());
    }
    check_moves(op, x)?;
    let object = storage_of(py, x)?;
    let memory = py.import("rgrad.multiprocessing.memory")?;
    callback::call_method(&memory, "share", (op, object))?;
    Ok(())
}

fn check_moves(op: &str, x: &Tensor) -> Result<()> {
    device::check_moves(op, x)?;
    if is_exported(x) {
        fail!(
            Runtime,
            "{op}: the memory of this storage of {} elements cannot move to where other processes see it: a NumPy array looks at it; drop the array, or share or send its clone()",
            x.storage_len()
        );
    }
    Ok(())
}

fn on_memory(
    dtype: DType,
    elements: usize,
    file: Open,
    number: u64,
    keep: Py<PyAny>,
) -> Result<Tensor> {
    match Tensor::shared(dtype, elements, file, number, Box::new(keep)) {
        Ok(made) => Ok(made),
        Err(e) => fail!(
            Runtime,
            "the system does not map shared memory of {elements} elements: {e}"
        ),
    }
}

/// Ends the stillness that it stands for.
struct Still;

impl Drop for Still {
    fn drop(&mut self) {
        fork::go_on();
    }
}

#[pymethods]
impl PyStorage {
    /// The bytes that it has room for.
    fn _room(&self) -> usize {
        let root = self.tensor();
        root.storage_room() * root.dtype().bytes()
    }

    /// Moves to the memory of an open file, which `keep` stands for. Nobody writes elements meanwhile:
    /// what a queue sends, its own thread moves, while others may be computing.
    fn _move_to(
        &self,
        py: Python<'_>,
        op: &str,
        file: Open,
        number: u64,
        keep: Py<PyAny>,
    ) -> PyResult<()> {
        interpreter::hold_still(py);
        let _still = Still;
        let root = self.tensor();
        // Another thread may have been here while the interpreter was somebody else's.
        if root.is_shared() {
            return Ok(());
        }
        check_moves(op, root)?;
        run(|| {
            let fresh = on_memory(root.dtype(), root.storage_room(), file, number, keep)?;
            device::share(op, root, fresh)
        })?;
        Ok(())
    }

    /// The number of its shared memory and what stands for it there; none where it is not shared
    /// that way.
    fn _memory(&self, py: Python<'_>) -> Option<(u64, Py<PyAny>)> {
        let (number, keep) = self.tensor().shared_number()?;
        Some((number, keep.downcast_ref::<Py<PyAny>>()?.clone_ref(py)))
    }

    /// The storage that it is a part of, and where it starts there; none where it is whole.
    fn _part_of(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, usize)>> {
        let root = self.tensor();
        match root.part_start() {
            Some(start) => Ok(Some((storage_of(py, root.whole())?, start))),
            None => Ok(None),
        }
    }
}

/// The storage on the shared memory of this number, if this process has it.
#[pyfunction]
fn _known_storage(py: Python<'_>, number: u64) -> PyResult<Option<Py<PyAny>>> {
    shared::known(number)
        .map(|found| storage_of(py, &found))
        .transpose()
}

/// A storage of the class called `name` on the memory of an open file of `room` bytes; the one that there is, where
/// this process has that memory.
#[pyfunction]
fn _storage_on(
    py: Python<'_>,
    name: &Bound<'_, PyString>,
    elements: usize,
    file: Open,
    room: u64,
    number: u64,
    keep: Py<PyAny>,
) -> PyResult<Py<PyAny>> {
    let (dtype, _) = kind_of(name.as_any())?;
    let made = run(|| {
        if (room / dtype.bytes() as u64) < elements as u64 {
            fail!(
                Runtime,
                "shared memory of {room} bytes is too small for {elements} elements of {name}"
            );
        }
        Ok(on_memory(dtype, elements, file, number, keep)?.announce())
    })?;
    storage_of(py, &made)
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_known_storage, m)?)?;
    m.add_function(wrap_pyfunction!(_storage_on, m)?)
}
