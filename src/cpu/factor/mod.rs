//! Matrix factorizations of `f32` and `f64`, on column-major slices that are overwritten.
//!
//! Conventions are LAPACK's: packed factors, pivots counted from 1, signs of reflections. Only matrix
//! products use threads, and their bits do not depend on how many.

pub mod cholesky;
pub mod lu;
pub mod reflect;
pub mod spectral;

use super::gemm::Product;
use crate::error::{Error, Result};
use crate::tensor::{Element, Tensor};
use faer::dyn_stack::{MemBuffer, StackReq};
use faer::traits::RealField;
use faer::{MatMut, MatRef};

/// An element type with factorizations.
pub trait Real: Element + Product + RealField {
    /// The distance from 1 to the next number.
    const EPSILON: f64;
    /// The smallest number of full precision.
    const LEAST: f64;
}

impl Real for f32 {
    const EPSILON: f64 = f32::EPSILON as f64;
    const LEAST: f64 = f32::MIN_POSITIVE as f64;
}

impl Real for f64 {
    const EPSILON: f64 = f64::EPSILON;
    const LEAST: f64 = f64::MIN_POSITIVE;
}

/// The elements of a fresh, row-major tensor, which nobody else reads or writes yet.
///
/// # Panics
/// When the tensor is none of that: its elements would not be one slice of its own.
pub fn elements<T: Element>(t: &mut Tensor) -> &mut [T] {
    assert!(
        t.is_contiguous() && t.is_unique() && t.dtype() == T::DTYPE,
        "factors are written to memory of their own"
    );
    // SAFETY: contiguous elements of type `T`, and no other handle on them exists.
    unsafe { std::slice::from_raw_parts_mut(t.ptr().cast::<T>(), t.numel()) }
}

/// The elements of a row-major tensor.
///
/// # Panics
/// When it is not row-major or of another element type.
pub fn read<T: Element>(t: &Tensor) -> &[T] {
    assert!(
        t.is_contiguous() && t.dtype() == T::DTYPE,
        "a kernel was given another layout or element type"
    );
    // SAFETY: contiguous elements of type `T`, alive as long as the tensor.
    unsafe { std::slice::from_raw_parts(t.ptr().cast::<T>().cast_const(), t.numel()) }
}

/// `rows x columns` of a column-major slice, as faer sees them.
fn matrix<T>(a: &[T], rows: usize, columns: usize) -> MatRef<'_, T> {
    MatRef::from_column_major_slice(a, rows, columns)
}

fn matrix_mut<T>(a: &mut [T], rows: usize, columns: usize) -> MatMut<'_, T> {
    MatMut::from_column_major_slice_mut(a, rows, columns)
}

/// Working memory.
///
/// # Errors
/// `MemoryError` when there is none.
fn scratch(op: &str, need: StackReq) -> Result<MemBuffer> {
    MemBuffer::try_new(need).map_err(|_| {
        Error::Memory(format!(
            "{op}: no memory for the {} bytes that it works in",
            need.size_bytes()
        ))
    })
}

/// `count` elements to work in.
///
/// # Errors
/// `MemoryError` when there is no room.
fn room<T: Element>(op: &str, count: usize) -> Result<Vec<T>> {
    let mut v = Vec::new();
    if v.try_reserve_exact(count).is_err() {
        return Err(Error::Memory(format!(
            "{op}: no memory for the {count} elements that it works in"
        )));
    }
    v.resize(count, T::default());
    Ok(v)
}
