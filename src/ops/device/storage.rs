//! Storages that grow, and that move to memory which other processes see.

use super::zeros;
use crate::error::Result;
use crate::fail;
use crate::ops::copy::copy_into;
use crate::tensor::Tensor;

/// Storages beyond this many bytes grow by half at least, so that growing step by step stays cheap.
const STEADY: usize = 4096;

/// Makes the storage of `x` show at least `elements`, keeping what it holds (T-41). Views and
/// storages on the same memory see it grow.
///
/// # Errors
/// `RuntimeError` when the memory belongs to somebody else too, `MemoryError` without room.
pub fn grow(op: &str, x: &Tensor, elements: usize) -> Result<()> {
    if elements <= x.storage_len() {
        return Ok(());
    }
    resize_storage(op, x, elements)
}

/// Makes the storage of `x` show exactly `elements`.
///
/// # Errors
/// As [`grow`].
pub fn resize_storage(op: &str, x: &Tensor, elements: usize) -> Result<()> {
    if !x.is_resizable() {
        fail!(
            Runtime,
            "{op}: the storage of {} elements is not resizable: NumPy or another process has its memory too, or it is a view; clone() it first",
            x.storage_len()
        );
    }
    if elements > x.storage_room() || !x.has_length() {
        let width = x.dtype().bytes();
        let steady = match x.storage_room() {
            have if have * width > STEADY => have + have / 2,
            // Smaller ones would lie in the tensor's own block, whose length is fixed.
            have => have.max(128 / width),
        };
        let fresh = zeros(op, x.dtype(), x.device(), &[elements.max(steady) as i64])?;
        move_into(x, &fresh)?;
    }
    x.show(elements);
    Ok(())
}

fn move_into(x: &Tensor, fresh: &Tensor) -> Result<()> {
    let old = x.memory_root().storage_len();
    if old > 0 {
        copy_into(&fresh.narrow(0, 0, old as i64)?, &x.flat()?)?;
    }
    x.move_to(fresh)?;
    x.show(old);
    Ok(())
}

/// Fails where the storage of `x` cannot move to memory that other processes see.
///
/// # Errors
/// `RuntimeError` for a view of another storage, and where somebody has the address of the memory.
pub fn check_moves(op: &str, x: &Tensor) -> Result<()> {
    if x.part_start().is_some() {
        fail!(
            Runtime,
            "{op}: a storage that is a view of another cannot move by itself; use the whole storage, or clone() it"
        );
    }
    if x.is_pinned() {
        fail!(
            Runtime,
            "{op}: the memory of this storage of {} elements cannot move to where other processes see it: NumPy, a file or another library has it too; share or send its clone()",
            x.storage_len()
        );
    }
    Ok(())
}

/// Moves the storage of `x` to `fresh`, which other processes see (T-120), and lets it be found by
/// the number of that memory. Nobody may be reading the elements meanwhile.
///
/// # Errors
/// As [`check_moves`].
pub fn share(op: &str, x: &Tensor, fresh: Tensor) -> Result<()> {
    check_moves(op, x)?;
    move_into(x, &fresh)?;
    drop(fresh);
    x.give_left_pages();
    x.announce();
    Ok(())
}
