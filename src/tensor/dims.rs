//! Sizes and strides: checked arithmetic on them, broadcasting and their text.

use crate::error::Result;
use crate::fail;
use smallvec::SmallVec;

/// The most dimensions a tensor can have.
pub const MAX_DIMS: usize = 64;

/// Sizes or strides: up to four without an allocation.
pub type Dims = SmallVec<[i64; 4]>;

/// `2 x 3`, or `no dimension` when empty.
pub fn sizes_text(sizes: &[i64]) -> String {
    if sizes.is_empty() {
        return "no dimension".into();
    }
    let parts: Vec<String> = sizes.iter().map(i64::to_string).collect();
    parts.join(" x ")
}

/// The number of elements of `sizes`; an empty list has none (0.3 has no zero-dim tensors).
///
/// # Errors
/// A negative size, too many dimensions, or a product beyond 63 bits.
pub fn count(op: &str, sizes: &[i64]) -> Result<usize> {
    if sizes.is_empty() {
        return Ok(0);
    }
    if sizes.len() > MAX_DIMS {
        fail!(
            Runtime,
            "{op}: {} dimensions were asked for, {MAX_DIMS} is the most",
            sizes.len()
        );
    }
    let mut product: i64 = 1;
    for &size in sizes {
        if size < 0 {
            fail!(
                Runtime,
                "{op}: a size cannot be negative; got {}",
                sizes_text(sizes)
            );
        }
        product = match product.checked_mul(size) {
            Some(p) if p <= isize::MAX as i64 / 8 => p,
            _ => fail!(
                Runtime,
                "{op}: {} has more elements than memory can hold",
                sizes_text(sizes)
            ),
        };
    }
    Ok(product as usize)
}

/// Row-major strides for `sizes`.
#[inline]
pub fn row_major(sizes: &[i64]) -> Dims {
    if sizes.len() == 1 {
        return Dims::from_slice(&[1]);
    }
    let mut strides: Dims = SmallVec::from_elem(1, sizes.len());
    for i in (1..sizes.len()).rev() {
        strides[i - 1] = strides[i] * sizes[i].max(1);
    }
    strides
}

/// Whether `strides` walk `sizes` in row-major order without gaps; size-1 dimensions never matter.
pub fn is_contiguous(sizes: &[i64], strides: &[i64]) -> bool {
    let mut expected = 1;
    for (&size, &stride) in sizes.iter().zip(strides).rev() {
        if size != 1 {
            if stride != expected {
                return false;
            }
            expected *= size;
        }
    }
    true
}

/// The common size that `a` and `b` expand to (trailing dimensions aligned).
///
/// # Errors
/// A dimension where both sizes differ and neither is one, or an empty tensor beside a full one.
pub fn broadcast(op: &str, a: &[i64], b: &[i64]) -> Result<Dims> {
    if a == b {
        return Ok(Dims::from_slice(a));
    }
    if a.is_empty() || b.is_empty() {
        fail!(
            Runtime,
            "{op}: an empty tensor cannot expand; got sizes {} and {}",
            sizes_text(a),
            sizes_text(b)
        );
    }
    let ndim = a.len().max(b.len());
    let mut out: Dims = SmallVec::from_elem(1, ndim);
    for i in 0..ndim {
        let at = |s: &[i64]| {
            if i < ndim - s.len() {
                1
            } else {
                s[i - (ndim - s.len())]
            }
        };
        let (p, q) = (at(a), at(b));
        out[i] = match (p, q) {
            _ if p == q => p,
            (1, q) => q,
            (p, 1) => p,
            _ => fail!(
                Runtime,
                "{op}: sizes do not match at dimension {i}: {p} and {q} (of {} and {}); sizes must be equal, or one of them 1",
                sizes_text(a),
                sizes_text(b)
            ),
        };
    }
    Ok(out)
}

/// `dim` counted from the front; negative ones count from the back.
///
/// # Errors
/// `RuntimeError` that states the valid range (E-61).
pub fn wrap_dim(op: &str, dim: i64, ndim: usize) -> Result<usize> {
    let n = ndim as i64;
    if ndim == 0 {
        fail!(
            Runtime,
            "{op}: dimension {dim} was asked of an empty tensor, which has no dimensions"
        );
    }
    if dim < -n || dim >= n {
        fail!(
            Runtime,
            "{op}: dimension out of range (expected to be in [{}, {}], but got {dim})",
            -n,
            n - 1
        );
    }
    Ok(if dim < 0 { dim + n } else { dim } as usize)
}
