//! Storages that grow, and that move to memory which other processes see.

use super::zeros;
use crate::error::Result;
use crate::fail;
use crate::ops::copy::copy_into;
use crate::tensor::{Device, Tensor};
use std::fs::File;

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

/// Moves the storage of `x` to memory that processes forked from this one share (T-120); on the
/// GPU, and where it is shared already, nothing happens.
///
/// # Errors
/// `RuntimeError` when the system gives no such memory, or for a view of another storage.
pub fn share(op: &str, x: &Tensor) -> Result<()> {
    if x.device() == Device::Gpu || x.is_shared() {
        return Ok(());
    }
    let room = x.storage_room();
    let fresh = match unnamed_file(room * x.dtype().bytes())
        .and_then(|file| Tensor::mapped(x.dtype(), &file, room, true))
    {
        Ok(fresh) => fresh,
        Err(e) => fail!(Runtime, "{op}: the system gives no shared memory: {e}"),
    };
    fresh.fix_shared();
    move_into(x, &fresh)
}

/// A file in memory without a name, `bytes` long.
fn unnamed_file(bytes: usize) -> std::io::Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let memory = std::path::Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => memory.to_path_buf(),
        false => std::env::temp_dir(),
    };
    let name = format!(
        "rgrad-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Relaxed)
    );
    let path = folder.join(name);
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    file.set_len(bytes as u64)?;
    Ok(file)
}
