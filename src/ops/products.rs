//! Products added to a tensor: `beta x + alpha a b`, for matrices, vectors and stacks of matrices.
//!
//! Out of place `x` expands to the size of the product; in place it must have that size.

use super::Op;
use super::arith::mul_number;
use super::matmul::{
    bmm, ger, left_gradient, multiply, mv, outer_sizes, product_of_vector, product_sizes,
    right_gradient, turned,
};
use super::shape::{expand, t, transpose};
use crate::error::Result;
use crate::fail;
use crate::graph::Var;
use crate::tensor::{Dims, Scalar, Tensor, sizes_text};

ops! {
    /// beta x + alpha mat1 mat2 for two matrices; x expands to the product's size.
    method function in_place out expands_first: fn addmm(x, mat1, mat2; beta: Scalar = Scalar::Int(1), alpha: Scalar = Scalar::Int(1))
        -> (y): Number named "addmm" as "AddmmBackward"
    {
        let turned: i64 = turned(mat1, mat2);
        forward(out, inputs, values) = {
            same_kind("addmm", inputs)?;
            let y = start("addmm", [x, mat1, mat2], beta, alpha)?;
            multiply("addmm", mat1, mat2, &y, alpha, beta)?;
            y
        };
        grad x = |g| scaled(g, beta)?, "beta * g";
        grad mat1 = |g, mat2| scaled(&left_gradient(g, mat2, turned)?, alpha)?, "alpha * (g @ mat2.t())";
        grad mat2 = |g, mat1| scaled(&right_gradient(g, mat1, turned)?, alpha)?, "alpha * (mat1.t() @ g)";
        try [(sample(&[2, 4]), sample(&[2, 3]), sample(&[3, 4]); 1i64, 1i64),
             (sample(&[2, 4]), sample(&[2, 3]), sample(&[3, 4]); 0.5, -1.5),
             (sample(&[1, 1]), sample(&[1, 2]), sample(&[2, 1]); 2i64, 3i64)];
    }
    /// beta x + alpha mat vec for a matrix and a vector; x expands to the product's size.
    method function in_place out expands_first: fn addmv(x, mat, vec; beta: Scalar = Scalar::Int(1), alpha: Scalar = Scalar::Int(1))
        -> (y): Number named "addmv" as "AddmvBackward"
    {
        forward(out, inputs, values) = {
            same_kind("addmv", inputs)?;
            let y = start("addmv", [x, mat, vec], beta, alpha)?;
            multiply("addmv", mat, &vec.unsqueeze(1)?, &y.unsqueeze(1)?, alpha, beta)?;
            y
        };
        grad x = |g| scaled(g, beta)?, "beta * g";
        grad mat = |g, vec| scaled(&ger(g, vec)?, alpha)?, "alpha * (g outer vec)";
        grad vec = |g, mat| scaled(&mv(&t(mat)?, g)?, alpha)?, "alpha * (mat.t() @ g)";
        try [(sample(&[2]), sample(&[2, 3]), sample(&[3]); 1i64, 1i64),
             (sample(&[2]), sample(&[2, 3]), sample(&[3]); 0.5, -1.5)];
    }
    /// beta x + alpha times the outer product of vec1 and vec2; x expands to the product's size.
    method function in_place out expands_first: fn addr(x, vec1, vec2; beta: Scalar = Scalar::Int(1), alpha: Scalar = Scalar::Int(1))
        -> (y): Number named "addr" as "AddrBackward"
    {
        forward(out, inputs, values) = {
            same_kind("addr", inputs)?;
            let y = start("addr", [x, vec1, vec2], beta, alpha)?;
            multiply("addr", &vec1.unsqueeze(1)?, &vec2.unsqueeze(0)?, &y, alpha, beta)?;
            y
        };
        grad x = |g| scaled(g, beta)?, "beta * g";
        grad vec1 = |g, vec2| scaled(&mv(g, vec2)?, alpha)?, "alpha * (g @ vec2)";
        grad vec2 = |g, vec1| scaled(&mv(&t(g)?, vec1)?, alpha)?, "alpha * (g.t() @ vec1)";
        try [(sample(&[2, 3]), sample(&[2]), sample(&[3]); 1i64, 1i64),
             (sample(&[2, 3]), sample(&[2]), sample(&[3]); 0.5, -1.5)];
    }
    /// beta x + alpha times the sum of the products of two stacks of matrices; x expands to the
    /// size of one product.
    method function in_place out expands_first: fn addbmm(x, batch1, batch2; beta: Scalar = Scalar::Int(1), alpha: Scalar = Scalar::Int(1))
        -> (y): Number named "addbmm" as "AddbmmBackward"
    {
        let count: i64 = batch1.sizes().first().copied().unwrap_or(0);
        let whole: Dims = Dims::from_slice(x.sizes());
        sized whole;
        forward(out, inputs, values) = {
            same_kind("addbmm", inputs)?;
            let y = start("addbmm", [x, batch1, batch2], beta, alpha)?;
            for i in 0..count {
                let beta = if i == 0 { beta } else { Scalar::Int(1) };
                multiply("addbmm", &batch1.select(0, i)?, &batch2.select(0, i)?, &y, alpha, beta)?;
            }
            y
        };
        grad x = |g| scaled(g, beta)?, "beta * g";
        grad batch1 = |g, batch2| scaled(&bmm(&repeated(g, count)?, &transpose(batch2, 1, 2)?)?, alpha)?, "alpha * (g @ batch2.t()) in each batch";
        grad batch2 = |g, batch1| scaled(&bmm(&transpose(batch1, 1, 2)?, &repeated(g, count)?)?, alpha)?, "alpha * (batch1.t() @ g) in each batch";
        try [(sample(&[2, 4]), sample(&[3, 2, 3]), sample(&[3, 3, 4]); 1i64, 1i64),
             (sample(&[2, 2]), sample(&[2, 2, 1]), sample(&[2, 1, 2]); 0.5, -1.5)];
    }
    /// beta x + alpha times the products of two stacks of matrices; x expands to their size.
    method function in_place out expands_first: fn baddbmm(x, batch1, batch2; beta: Scalar = Scalar::Int(1), alpha: Scalar = Scalar::Int(1))
        -> (y): Number named "baddbmm" as "BaddbmmBackward"
    {
        forward(out, inputs, values) = {
            same_kind("baddbmm", inputs)?;
            let y = start("baddbmm", [x, batch1, batch2], beta, alpha)?;
            multiply("baddbmm", batch1, batch2, &y, alpha, beta)?;
            y
        };
        grad x = |g| scaled(g, beta)?, "beta * g";
        grad batch1 = |g, batch2| scaled(&bmm(g, &transpose(batch2, 1, 2)?)?, alpha)?, "alpha * (g @ batch2.t()) in each batch";
        grad batch2 = |g, batch1| scaled(&bmm(&transpose(batch1, 1, 2)?, g)?, alpha)?, "alpha * (batch1.t() @ g) in each batch";
        try [(sample(&[2, 2, 2]), sample(&[2, 2, 3]), sample(&[2, 3, 2]); 1i64, 1i64),
             (sample(&[2, 1, 2]), sample(&[2, 1, 3]), sample(&[2, 3, 2]); 0.5, -1.5)];
    }
}

/// The size of what `op` adds to its first operand.
///
/// # Errors
/// `RuntimeError` for operands that have no product.
pub fn added_sizes(op: &str, a: &Tensor, b: &Tensor) -> Result<Dims> {
    match op {
        "addmv" => product_of_vector(op, a, b),
        "addr" => outer_sizes(op, a, b),
        "addbmm" => product_sizes(op, a, b, 3).map(|s| Dims::from_slice(&s[1..])),
        "baddbmm" => product_sizes(op, a, b, 3),
        _ => product_sizes(op, a, b, 2),
    }
}

/// A copy of `x` to add the product to, when sizes and numbers fit.
fn start(op: &str, [x, a, b]: [&Tensor; 3], beta: Scalar, alpha: Scalar) -> Result<Tensor> {
    beta.check(op, x.dtype())?;
    alpha.check(op, x.dtype())?;
    let sizes = added_sizes(op, a, b)?;
    if x.sizes() != sizes.as_slice() {
        fail!(
            Runtime,
            "{op}: the first operand of size {} does not expand to the product's {} (of {} by {})",
            sizes_text(x.sizes()),
            sizes_text(&sizes),
            sizes_text(a.sizes()),
            sizes_text(b.sizes())
        );
    }
    super::copy::contiguous_copy(x)
}

fn scaled(g: &Var, by: Scalar) -> Result<Var> {
    if by.f64() == 1.0 {
        Ok(g.clone())
    } else {
        mul_number(g, by)
    }
}

/// A matrix as a stack of `count` equal ones.
fn repeated(g: &Var, count: i64) -> Result<Var> {
    expand(g, Dims::from_slice(&[count, g.sizes()[0], g.sizes()[1]]))
}
