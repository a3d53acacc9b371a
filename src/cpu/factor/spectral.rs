//! Singular values and eigenvalues. Inputs must be finite: iterations on others may not end.
//!
//! Vectors are known up to their sign. Here the largest component of each is positive (in an SVD that
//! of the left vector), so that neither the element type nor the machine's SIMD decides.

use super::{Real, matrix, matrix_mut, scratch};
use crate::error::{Error, Result};
use crate::fail;
use faer::Par;
use faer::diag::DiagMut;
use faer::dyn_stack::MemStack;
use faer::linalg::evd::{
    ComputeEigenvectors, evd_real, evd_scratch, self_adjoint_evd, self_adjoint_evd_scratch,
};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};

/// Fails for elements that are not finite.
///
/// # Errors
/// `RuntimeError` when there are some.
fn finite<T: Real>(op: &str, a: &[T]) -> Result<()> {
    if a.iter().all(|v| v.to_f64().is_finite()) {
        return Ok(());
    }
    fail!(
        Runtime,
        "{op}: the matrix has elements that are NaN or infinite, for which it does not converge"
    )
}

fn diverged(op: &str) -> Error {
    Error::Runtime(format!(
        "{op}: the iteration did not converge; scale the matrix or use another element type"
    ))
}

/// Brings a matrix whose largest element is so small or so large that squares of elements would
/// underflow or overflow near 1, by a power of two, as LAPACK's drivers do; gives the power that
/// leads back, 0 for matrices that stay.
fn into_range<T: Real>(a: &mut [T]) -> i32 {
    let largest = a.iter().fold(0.0f64, |m, v| m.max(v.to_f64().abs()));
    let least = (T::LEAST.sqrt()) / T::EPSILON;
    if largest == 0.0 || (least..=1.0 / least).contains(&largest) {
        return 0;
    }
    let power = largest.log2().floor() as i32;
    times_power(a, -power);
    power
}

/// Multiplies by a power of two, in halves that are numbers themselves; rounds once, where results
/// underflow.
fn times_power<T: Real>(a: &mut [T], power: i32) {
    if power == 0 {
        return;
    }
    let (first, second) = (power / 2, power - power / 2);
    let (first, second) = (2.0f64.powi(first), 2.0f64.powi(second));
    for v in a {
        *v = T::from_f64(v.to_f64() * first * second);
    }
}

/// Singular values of `a`, m x n, descending, with the vectors that `u`, m x p, and `v`, n x q, have
/// room for: all of them or the first min(m, n).
///
/// # Errors
/// No memory, elements that are not finite, no convergence.
pub fn singular<T: Real>(
    op: &str,
    (a, m, n): (&mut [T], usize, usize),
    values: &mut [T],
    u: &mut [T],
    v: &mut [T],
) -> Result<()> {
    finite(op, a)?;
    let power = into_range(a);
    let (p, q) = (u.len() / m.max(1), v.len() / n.max(1));
    let kind = |have: usize, all: usize| {
        if have == all {
            ComputeSvdVectors::Full
        } else {
            ComputeSvdVectors::Thin
        }
    };
    let (of_u, of_v) = (kind(p, m), kind(q, n));
    let need = svd_scratch::<T>(m, n, of_u, of_v, Par::Seq, Default::default());
    let mut memory = scratch(op, need)?;
    svd(
        matrix(a, m, n),
        DiagMut::from_slice_mut(values),
        Some(matrix_mut(u, m, p)),
        Some(matrix_mut(v, n, q)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| diverged(op))?;
    times_power(values, power);
    for (left, right) in u.chunks_exact_mut(m).zip(v.chunks_exact_mut(n)) {
        if is_negative(left) {
            negate(left);
            negate(right);
        }
    }
    Ok(())
}

/// Whether the largest component, the first of equals, is negative.
fn is_negative<T: Real>(v: &[T]) -> bool {
    let mut best = T::default();
    for x in v {
        if x.magnitude() > best.magnitude() {
            best = *x;
        }
    }
    best < T::default()
}

fn negate<T: Real>(v: &mut [T]) {
    for x in v {
        *x = T::default().minus(*x);
    }
}

/// Eigenvalues, ascending, of a symmetric matrix given by one triangle, and its vectors if there is
/// room for them.
///
/// # Errors
/// No memory, elements that are not finite, no convergence.
pub fn symmetric<T: Real>(
    op: &str,
    (a, n): (&mut [T], usize),
    upper: bool,
    values: &mut [T],
    mut vectors: Option<&mut [T]>,
) -> Result<()> {
    // The other triangle does not count.
    for j in 0..n {
        for i in 0..j {
            if upper {
                a[i * n + j] = a[j * n + i];
            } else {
                a[j * n + i] = a[i * n + j];
            }
        }
    }
    finite(op, a)?;
    let power = into_range(a);
    let wanted = match vectors {
        Some(_) => ComputeEigenvectors::Yes,
        None => ComputeEigenvectors::No,
    };
    let need = self_adjoint_evd_scratch::<T>(n, wanted, Par::Seq, Default::default());
    let mut memory = scratch(op, need)?;
    self_adjoint_evd(
        matrix(a, n, n),
        DiagMut::from_slice_mut(values),
        vectors.as_deref_mut().map(|v| matrix_mut(v, n, n)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| diverged(op))?;
    times_power(values, power);
    for vector in vectors.into_iter().flat_map(|v| v.chunks_exact_mut(n)) {
        if is_negative(vector) {
            negate(vector);
        }
    }
    Ok(())
}

/// Eigenvalues of a matrix, real and imaginary parts, and its right vectors if there is room: of
/// length 1; a complex pair has the real part in its first column, the imaginary one in its second,
/// and its largest component is real and positive.
///
/// # Errors
/// No memory, elements that are not finite, no convergence.
pub fn general<T: Real>(
    op: &str,
    (a, n): (&mut [T], usize),
    real: &mut [T],
    imaginary: &mut [T],
    mut vectors: Option<&mut [T]>,
) -> Result<()> {
    finite(op, a)?;
    let power = into_range(a);
    let wanted = match vectors {
        Some(_) => ComputeEigenvectors::Yes,
        None => ComputeEigenvectors::No,
    };
    let no = ComputeEigenvectors::No;
    let need = evd_scratch::<T>(n, no, wanted, Par::Seq, Default::default());
    let mut memory = scratch(op, need)?;
    evd_real(
        matrix(a, n, n),
        DiagMut::from_slice_mut(real),
        DiagMut::from_slice_mut(imaginary),
        None,
        vectors.as_deref_mut().map(|v| matrix_mut(v, n, n)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| diverged(op))?;
    // An underflow must not make a pair of two real numbers: where the vectors are split is said here.
    let pairs: Vec<bool> = imaginary.iter().map(|v| *v != T::default()).collect();
    times_power(real, power);
    times_power(imaginary, power);
    let Some(vectors) = vectors else {
        return Ok(());
    };
    let mut j = 0;
    while j < n {
        if !pairs[j] || j + 1 == n {
            let vector = &mut vectors[j * n..][..n];
            scale(vector);
            if is_negative(vector) {
                negate(vector);
            }
            j += 1;
        } else {
            turn(&mut vectors[j * n..][..2 * n], n);
            j += 2;
        }
    }
    Ok(())
}

/// Makes the vector's length 1.
fn scale<T: Real>(v: &mut [T]) {
    let largest = v.iter().fold(0.0f64, |a, x| a.max(x.to_f64().abs()));
    let sum: f64 = v.iter().map(|x| (x.to_f64() / largest).powi(2)).sum();
    let length = largest * sum.sqrt();
    if length > 0.0 {
        v.iter_mut()
            .for_each(|x| *x = T::from_f64(x.to_f64() / length));
    }
}

/// The same for a complex vector, real parts before imaginary ones, turned so that its largest
/// component is real and positive.
fn turn<T: Real>(v: &mut [T], n: usize) {
    scale(v);
    let (re, im) = v.split_at_mut(n);
    let size = |i: usize| re[i].to_f64().hypot(im[i].to_f64());
    let best = (0..n).fold(0, |b, i| if size(i) > size(b) { i } else { b });
    let length = size(best);
    if length == 0.0 {
        return;
    }
    let (c, s) = (re[best].to_f64() / length, im[best].to_f64() / length);
    for (x, y) in re.iter_mut().zip(im.iter_mut()) {
        let (a, b) = (x.to_f64(), y.to_f64());
        *x = T::from_f64(c * a + s * b);
        *y = T::from_f64(c * b - s * a);
    }
    im[best] = T::default();
}
