//! Matrix products.

use super::Op;
use super::arith::mul_number;
use super::device;
use super::shape::{expand, t, transpose, unsqueeze};
use crate::dispatch;
use crate::error::Result;
use crate::tensor::{Device, Dims, Scalar, Tensor, sizes_text};

ops! {
    /// Product of two matrices: n x k by k x m gives n x m.
    ///
    /// Raises RuntimeError when dimensions or inner sizes disagree.
    method function out: fn mm(a, b) -> (y): Number named "mm" as "MmBackward" {
        forward(out) = product("mm", a, b, 2, out)?;
        grad a = |g, b| mm(g, &t(b)?)?;
        grad b = |g, a| mm(&t(a)?, g)?;
        try [(sample(&[2, 3]), sample(&[3, 4])), (sample(&[1, 1]), sample(&[1, 1]))];
    }
    /// Matrix times vector: n x k by k gives n.
    method function out: fn mv(a, v) -> (y): Number named "mv" as "MvBackward" {
        forward(out) = {
            if a.ndim() != 2 || v.ndim() != 1 || a.sizes()[1] != v.sizes()[0] {
                return Err(mismatch("mv", "a matrix and a vector", a, v));
            }
            let column = device::empty("mv", a.dtype(), a.device(), &[a.sizes()[0], 1])?;
            multiply("mv", a, &v.unsqueeze(1)?, &column, Scalar::Int(1), Scalar::Int(0))?;
            column.view(&[a.sizes()[0]])?
        };
        grad a = |g, v| mm(&unsqueeze(g, 1)?, &unsqueeze(v, 0)?)?;
        grad v = |g, a| mv(&t(a)?, g)?;
        try [(sample(&[2, 3]), sample(&[3]))];
    }
    /// Inner product of two vectors of equal length.
    number method function: fn dot(a, b) -> (y): Number named "dot" as "DotBackward" {
        forward(out) = {
            if a.ndim() != 1 || b.ndim() != 1 || a.sizes() != b.sizes() {
                return Err(mismatch("dot", "two vectors of equal length", a, b));
            }
            let y = device::empty("dot", a.dtype(), a.device(), &[1, 1])?;
            multiply("dot", &a.unsqueeze(0)?, &b.unsqueeze(1)?, &y, Scalar::Int(1), Scalar::Int(0))?;
            y.view(&[1])?
        };
        grad a = |g, b| expand(g, Dims::from_slice(b.sizes()))? * b;
        grad b = |g, a| expand(g, Dims::from_slice(a.sizes()))? * a;
        try [(sample(&[3]), sample(&[3]))];
    }
    /// Products of two stacks of matrices: b x n x k by b x k x m gives b x n x m.
    method function out: fn bmm(a, b) -> (y): Number named "bmm" as "BmmBackward" {
        forward(out) = product("bmm", a, b, 3, out)?;
        grad a = |g, b| bmm(g, &transpose(b, 1, 2)?)?;
        grad b = |g, a| bmm(&transpose(a, 1, 2)?, g)?;
        try [(sample(&[2, 2, 3]), sample(&[2, 3, 2]))];
    }
    /// beta x + alpha a b for matrices a and b; x expands to the product's size.
    method function in_place out expands_first: fn addmm(x, mat1, mat2; beta: Scalar = Scalar::Int(1), alpha: Scalar = Scalar::Int(1))
        -> (y): Number named "addmm" as "AddmmBackward"
    {
        forward(out, inputs, values) = {
            beta.check("addmm", x.dtype())?;
            alpha.check("addmm", x.dtype())?;
            same_kind("addmm", inputs)?;
            let sizes = product_sizes("addmm", mat1, mat2, 2)?;
            if x.sizes() != sizes.as_slice() {
                crate::fail!(
                    Runtime,
                    "addmm: the first operand of size {} does not expand to the product's {} (of {} by {})",
                    sizes_text(x.sizes()),
                    sizes_text(&sizes),
                    sizes_text(mat1.sizes()),
                    sizes_text(mat2.sizes())
                );
            }
            let y = crate::ops::copy::contiguous_copy(x)?;
            multiply("addmm", mat1, mat2, &y, alpha, beta)?;
            y
        };
        grad x = |g| scaled(g, beta)?;
        grad mat1 = |g, mat2| scaled(&mm(g, &t(mat2)?)?, alpha)?;
        grad mat2 = |g, mat1| scaled(&mm(&t(mat1)?, g)?, alpha)?;
        try [(sample(&[2, 4]), sample(&[2, 3]), sample(&[3, 4]); 1i64, 1i64),
             (sample(&[2, 4]), sample(&[2, 3]), sample(&[3, 4]); 0.5, -1.5)];
    }
}

fn scaled(g: &crate::graph::Var, by: Scalar) -> Result<crate::graph::Var> {
    if by.f64() == 1.0 {
        Ok(g.clone())
    } else {
        mul_number(g, by)
    }
}

fn mismatch(op: &str, needs: &str, a: &Tensor, b: &Tensor) -> crate::error::Error {
    crate::error::Error::Runtime(format!(
        "{op}: needs {needs}; got {} and {}",
        sizes_text(a.sizes()),
        sizes_text(b.sizes())
    ))
}

/// The size of a product of matrices (2 dimensions) or of stacks of them (3).
pub fn product_sizes(op: &str, a: &Tensor, b: &Tensor, ndim: usize) -> Result<Dims> {
    let needs = if ndim == 2 {
        "two matrices, n x k and k x m"
    } else {
        "two stacks of matrices, b x n x k and b x k x m"
    };
    if a.ndim() != ndim || b.ndim() != ndim {
        return Err(mismatch(op, needs, a, b));
    }
    let lead = ndim - 2;
    if a.sizes()[ndim - 1] != b.sizes()[lead] || a.sizes()[..lead] != b.sizes()[..lead] {
        return Err(mismatch(op, needs, a, b));
    }
    let mut sizes = Dims::from_slice(a.sizes());
    sizes[ndim - 1] = b.sizes()[ndim - 1];
    Ok(sizes)
}

fn product(op: &str, a: &Tensor, b: &Tensor, ndim: usize, out: &super::Out) -> Result<Tensor> {
    crate::tensor::dtype::same(op, a.kind(), b.kind())?;
    let sizes = product_sizes(op, a, b, ndim)?;
    let y = out.make(op, a.kind(), &sizes)?;
    multiply(op, a, b, &y, Scalar::Int(1), Scalar::Int(0))?;
    Ok(y)
}

/// y = alpha a b + beta y, for matrices or stacks of them whose sizes agree.
fn multiply(
    op: &str,
    a: &Tensor,
    b: &Tensor,
    y: &Tensor,
    alpha: Scalar,
    beta: Scalar,
) -> Result<()> {
    crate::tensor::dtype::same(op, a.kind(), b.kind())?;
    if y.device() == Device::Gpu {
        return device::matmul(op, a, b, y, alpha, beta);
    }
    if y.ndim() == 3 {
        for i in 0..y.sizes()[0] {
            multiply(
                op,
                &a.select(0, i)?,
                &b.select(0, i)?,
                &y.select(0, i)?,
                alpha,
                beta,
            )?;
        }
        return Ok(());
    }
    dispatch!(y.dtype(), T => crate::cpu::product::matrix::<T>(a, b, y, alpha.to(), beta.to()));
    Ok(())
}
