//! Orthogonal factors: QR and least squares, singular values, eigenvalues.
//!
//! Packed forms and signs are LAPACK's, results lie column by column. None has a derivative.
#![allow(non_snake_case, reason = "arguments have the names of 0.3")]
#![cfg_attr(
    not(feature = "linalg"),
    allow(unused, unreachable_code, clippy::diverging_sub_expression)
)]

use super::Op;
use super::factor::{columns, definite, kernel, regular, square};
#[cfg(feature = "linalg")]
use crate::cpu::factor::{cholesky, elements, read, reflect, spectral};
use crate::error::Result;
use crate::fail;
use crate::tensor::{Tensor, sizes_text};

ops! {
    /// Least squares: minimises |A X - B| where A has at least as many rows as columns, or else
    /// gives the smallest X with A X = B. The matrix it is called on is B; A has full rank.
    ///
    /// X is the first n rows of the first result, which has max(m, n); the second one is the packed
    /// QR factors of A (LQ where A is wide).
    method function out host: fn gels(x, A) -> (solution, r): Float named "gels" as "GelsBackward" {
        forward(out) = least_squares(x, A)?;
        try [(sample(&[4, 2]), sample(&[4, 2])), (sample(&[2, 1]), sample(&[2, 3])), (sample(&[4]), sample(&[4, 2]))];
    }
    /// QR factors packed as LAPACK does: R, reflections below it, and their factors tau.
    method function out host: fn geqrf(x) -> (a, tau): Float named "geqrf" as "GeqrfBackward" {
        forward(out) = packed("geqrf", x)?;
        try [(sample(&[4, 3])), (sample(&[2, 3])), (regular(3))];
    }
    /// Q of the packed factors of `geqrf`; `input2` is tau.
    method function out host: fn orgqr(x, input2) -> (q): Float named "orgqr" as "OrgqrBackward" {
        forward(out) = {
            let (m, n) = packed_sizes("orgqr", x, input2)?;
            if n > m {
                fail!(Runtime, "orgqr: needs at least as many rows as columns; got {}", sizes_text(x.sizes()));
            }
            expanded("orgqr", &columns("orgqr", x)?, input2, n)?
        };
        try [(sample(&[4, 3]), positive(&[3])), (sample(&[3, 3]), positive(&[2]))];
    }
    /// Q C, where Q is that of the packed factors of `geqrf` and `input2` is tau; C Q unless `left`,
    /// with the transpose of Q on request.
    method function out host: fn ormqr(x, input2, input3; left: bool = true, transpose: bool = false)
        -> (c): Float named "ormqr" as "OrmqrBackward"
    {
        forward(out) = rotated(x, input2, input3, left, transpose)?;
        try [(sample(&[4, 3]), positive(&[3]), sample(&[4, 2]); true, false),
             (sample(&[4, 3]), positive(&[3]), sample(&[2, 4]); false, true)];
    }
    /// Q with orthonormal columns and upper triangular R, with the matrix Q R: m x min(m, n) and
    /// min(m, n) x n.
    method function out host: fn qr(x) -> (q, r): Float named "qr" as "QrBackward" {
        forward(out) = {
            let (a, tau) = packed("qr", x)?;
            let k = tau.sizes()[0];
            let r = device_zeros("qr", x, &[k, x.sizes()[1]])?;
            for i in 0..k {
                let rest = x.sizes()[1] - i;
                let (to, from) = (r.select(0, i)?, a.select(0, i)?);
                crate::ops::copy::copy_into(&to.narrow(0, i, rest)?, &from.narrow(0, i, rest)?)?;
            }
            (expanded("qr", &columns("qr", &a)?, &tau, k as usize)?, r)
        };
        try [(sample(&[4, 3])), (sample(&[2, 3])), (regular(3))];
    }
    /// U, S and V with the matrix U diag(S) Vᵀ and S descending; all columns of U and V unless `some`.
    method function out host: fn svd(x; some: bool = true) -> (u, s, v): Float named "svd" as "SvdBackward" {
        forward(out) = singular(x, some)?;
        try [(sample(&[4, 3]); true), (sample(&[2, 3]); true), (regular(3); false), (sample(&[4, 3]); false)];
    }
    /// Eigenvalues of a symmetric matrix, ascending, and its eigenvectors as columns where wanted;
    /// only one triangle is read.
    method function out host: fn symeig(x; eigenvectors: bool = false, upper: bool = true) -> (e, v): Float named "symeig" as "SymeigBackward" {
        forward(out) = symmetric(x, eigenvectors, upper)?;
        try [(definite(3); true, true), (regular(3); false, false), (definite(1); true, false)];
    }
    /// Eigenvalues of a square matrix as n x 2, real and imaginary parts, and its eigenvectors as
    /// columns where wanted: a complex pair has real and imaginary parts in two columns.
    method function out host: fn eig(x; eigenvectors: bool = false) -> (e, v): Float named "eig" as "EigBackward" {
        forward(out) = general(x, eigenvectors)?;
        try [(regular(3); true), (regular(2); false), (definite(1); true)];
    }
}

fn device_zeros(op: &str, like: &Tensor, sizes: &[i64]) -> Result<Tensor> {
    Tensor::zeros(op, like.dtype(), sizes)
}

/// Rows and columns of a matrix of floats.
fn matrix_sizes(op: &str, x: &Tensor) -> Result<(usize, usize)> {
    if !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float(op, x.dtype()));
    }
    if x.ndim() != 2 {
        fail!(
            Runtime,
            "{op}: needs a matrix; got {}",
            sizes_text(x.sizes())
        );
    }
    Ok((x.sizes()[0] as usize, x.sizes()[1] as usize))
}

/// The packed factors of `x` and tau.
fn packed(op: &str, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (m, n) = matrix_sizes(op, x)?;
    let mut a = columns(op, x)?;
    let mut tau = device_zeros(op, x, &[m.min(n) as i64])?;
    kernel!(op, x.dtype(), T => reflect::factor::<T>(op, elements(&mut a), m, n, elements(&mut tau))?);
    Ok((a.t()?, tau))
}

/// Rows and columns of packed factors that have `tau`.
fn packed_sizes(op: &str, a: &Tensor, tau: &Tensor) -> Result<(usize, usize)> {
    crate::tensor::dtype::same(op, a.kind(), tau.kind())?;
    let (m, n) = matrix_sizes(op, a)?;
    if tau.ndim() != 1 || tau.numel() > m.min(n) {
        fail!(
            Runtime,
            "{op}: tau must be a vector of at most {} numbers beside factors of {}; got {}",
            m.min(n),
            sizes_text(a.sizes()),
            sizes_text(tau.sizes())
        );
    }
    Ok((m, n))
}

/// The first columns of Q, from factors that lie column by column.
fn expanded(op: &str, a: &Tensor, tau: &Tensor, n: usize) -> Result<Tensor> {
    let m = a.sizes()[1];
    let tau = crate::ops::copy::as_contiguous(tau)?;
    let mut q = device_zeros(op, a, &[n as i64, m])?;
    kernel!(op, a.dtype(), T => reflect::expand::<T>(op, (read(a), m as usize), read(&tau), elements(&mut q), n)?);
    q.t()
}

fn rotated(a: &Tensor, tau: &Tensor, c: &Tensor, left: bool, transpose: bool) -> Result<Tensor> {
    let (m, _) = packed_sizes("ormqr", a, tau)?;
    crate::tensor::dtype::same("ormqr", a.kind(), c.kind())?;
    let (rows, width) = matrix_sizes("ormqr", c)?;
    if m != if left { rows } else { width } {
        fail!(
            Runtime,
            "ormqr: Q is {m} x {m} and cannot be multiplied from the {} with {}",
            if left { "left" } else { "right" },
            sizes_text(c.sizes())
        );
    }
    let (a, tau, mut y) = (
        columns("ormqr", a)?,
        crate::ops::copy::as_contiguous(tau)?,
        columns("ormqr", c)?,
    );
    kernel!("ormqr", a.dtype(), T => {
        // C Q is the transpose of Qᵀ Cᵀ.
        let shape = reflect::Shape::columns(rows, width);
        let (shape, transpose) = if left { (shape, transpose) } else { (shape.turned(), !transpose) };
        reflect::apply::<T>("ormqr", (read(&a), m), read(&tau), transpose, elements(&mut y), shape)?;
    });
    y.t()
}

fn least_squares(b: &Tensor, a: &Tensor) -> Result<(Tensor, Tensor)> {
    let op = "gels";
    let (m, n) = matrix_sizes(op, a)?;
    let b = crate::ops::factor::right_side(op, b, a)?;
    let (tall, short) = (m.max(n), m.min(n));
    let k = b.sizes()[1];
    let mut y = device_zeros(op, a, &[k, tall as i64])?;
    crate::ops::copy::copy_into(&y.narrow(1, 0, m as i64)?.t()?, &b)?;
    let is_wide = m < n;
    let mut factors = columns(op, &if is_wide { a.t()? } else { a.clone() })?;
    kernel!(op, a.dtype(), T => {
        let mut tau = vec![<T>::default(); short];
        reflect::factor::<T>(op, elements(&mut factors), tall, short, &mut tau)?;
        let packed = read::<T>(&factors);
        if let Some(i) = (0..short).find(|i| packed[i * tall + i] == 0.0) {
            fail!(
                Runtime,
                "{op}: the matrix of {} has not full rank: pivot {} is zero",
                sizes_text(a.sizes()),
                i + 1
            );
        }
        let r: Vec<T> = packed.chunks_exact(tall).flat_map(|c| &c[..short]).copied().collect();
        let y = elements::<T>(&mut y);
        let shape = reflect::Shape::columns(tall, k as usize);
        if !is_wide {
            reflect::apply::<T>(op, (packed, tall), &tau, true, y, shape)?;
        }
        let mut top: Vec<T> = y.chunks_exact(tall).flat_map(|c| &c[..short]).copied().collect();
        cholesky::solve_triangular::<T>(&r, &mut top, short, true, is_wide, false);
        for (to, from) in y.chunks_exact_mut(tall).zip(top.chunks_exact(short)) {
            to[..short].copy_from_slice(from);
        }
        if is_wide {
            reflect::apply::<T>(op, (packed, tall), &tau, false, y, shape)?;
        }
    });
    let factors = if is_wide { factors } else { factors.t()? };
    Ok((y.t()?, factors))
}

fn singular(x: &Tensor, some: bool) -> Result<(Tensor, Tensor, Tensor)> {
    let (m, n) = matrix_sizes("svd", x)?;
    let k = m.min(n);
    let (p, q) = if some { (k, k) } else { (m, n) };
    let mut a = columns("svd", x)?;
    let mut u = device_zeros("svd", x, &[p as i64, m as i64])?;
    let mut s = device_zeros("svd", x, &[k as i64])?;
    let mut v = device_zeros("svd", x, &[q as i64, n as i64])?;
    kernel!("svd", x.dtype(), T => spectral::singular::<T>(
        "svd", (elements(&mut a), m, n), elements(&mut s), elements(&mut u), elements(&mut v)
    )?);
    Ok((u.t()?, s, v.t()?))
}

/// Room for the vectors of an n x n matrix, or the empty tensor.
fn room_for_vectors(op: &str, x: &Tensor, wanted: bool) -> Result<Tensor> {
    device_zeros(op, x, if wanted { x.sizes() } else { &[] })
}

fn symmetric(x: &Tensor, wanted: bool, upper: bool) -> Result<(Tensor, Tensor)> {
    let n = square("symeig", x)?;
    let mut a = columns("symeig", x)?;
    let mut e = device_zeros("symeig", x, &[n as i64])?;
    let mut v = room_for_vectors("symeig", x, wanted)?;
    kernel!("symeig", x.dtype(), T => {
        let vectors = wanted.then(|| elements(&mut v));
        spectral::symmetric::<T>("symeig", (elements(&mut a), n), upper, elements(&mut e), vectors)?;
    });
    Ok((e, if wanted { v.t()? } else { v }))
}

fn general(x: &Tensor, wanted: bool) -> Result<(Tensor, Tensor)> {
    let n = square("eig", x)?;
    let mut a = columns("eig", x)?;
    let mut e = device_zeros("eig", x, &[2, n as i64])?;
    let mut v = room_for_vectors("eig", x, wanted)?;
    kernel!("eig", x.dtype(), T => {
        let (real, imaginary) = elements(&mut e).split_at_mut(n);
        let vectors = wanted.then(|| elements(&mut v));
        spectral::general::<T>("eig", (elements(&mut a), n), real, imaginary, vectors)?;
    });
    Ok((e.t()?, if wanted { v.t()? } else { v }))
}
