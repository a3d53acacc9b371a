//! Matrix products, and `matmul`, which chooses one by the dimensions of its operands.

use super::Op;
use super::device;
use super::shape::{expand, reshape, squeeze_dim, t, transpose, unsqueeze};
use crate::cpu::product::{dot_integers, dot_wide};
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::Var;
use crate::tensor::{Device, Dims, Element, Scalar, Tensor, dims, sizes_text};

ops! {
    /// Product of two matrices: n x k by k x m gives n x m.
    ///
    /// Raises RuntimeError when dimensions or inner sizes disagree.
    method function out: fn mm(x, mat2) -> (y): Number named "mm" as "MmBackward" {
        let turned: i64 = turned(x, mat2);
        forward(out) = product("mm", x, mat2, 2, out)?;
        grad x = |g, mat2| left_gradient(g, mat2, turned)?, "g @ mat2.t()";
        grad mat2 = |g, x| right_gradient(g, x, turned)?, "x.t() @ g";
        try [(sample(&[2, 3]), sample(&[3, 4])), (sample(&[1, 1]), sample(&[1, 1])),
             (turned_sample(&[3, 2]), turned_sample(&[4, 3]))];
    }
    /// Matrix times vector: n x k by k gives n.
    method function out: fn mv(x, vec) -> (y): Number named "mv" as "MvBackward" {
        forward(out) = {
            let sizes = product_of_vector("mv", x, vec)?;
            let column = device::empty("mv", x.dtype(), x.device(), &[sizes[0], 1])?;
            multiply("mv", x, &vec.unsqueeze(1)?, &column, Scalar::Int(1), Scalar::Int(0))?;
            column.view(&sizes)?
        };
        grad x = |g, vec| ger(g, vec)?, "g outer vec";
        grad vec = |g, x| mv(&t(x)?, g)?, "x.t() @ g";
        try [(sample(&[2, 3]), sample(&[3])), (sample(&[1, 4]), sample(&[4])), (sample(&[4, 1]), sample(&[1]))];
    }
    /// Inner product of two vectors of equal length; sums of floats are in double.
    number method function: fn dot(x, tensor) -> (y): Number named "dot" as "DotBackward" {
        sized [1i64];
        forward(out) = match x.device() {
            Device::Gpu => dot_there(x, tensor)?,
            Device::Cpu => {
                let sum = dot_total(x, tensor)?;
                let y = device::empty("dot", x.dtype(), x.device(), &[1])?;
                crate::ops::copy::fill_with(&y, sum)?;
                y
            }
        };
        grad x = |g, tensor| expand(g, Dims::from_slice(tensor.sizes()))? * tensor, "g * tensor";
        grad tensor = |g, x| expand(g, Dims::from_slice(x.sizes()))? * x, "g * x";
        try [(sample(&[3]), sample(&[3])), (sample(&[1]), sample(&[1])), (sample(&[37]), sample(&[37]))];
    }
    /// Outer product of two vectors: n by m gives n x m.
    method function out: fn ger(x, vec2) -> (y): Number named "ger" as "GerBackward" {
        forward(out) = {
            let sizes = outer_sizes("ger", x, vec2)?;
            let y = out.make("ger", x.kind(), &sizes)?;
            multiply("ger", &x.unsqueeze(1)?, &vec2.unsqueeze(0)?, &y, Scalar::Int(1), Scalar::Int(0))?;
            y
        };
        grad x = |g, vec2| mv(g, vec2)?, "g @ vec2";
        grad vec2 = |g, x| mv(&t(g)?, x)?, "g.t() @ x";
        try [(sample(&[2]), sample(&[3])), (sample(&[3]), sample(&[1]))];
    }
    /// Products of two stacks of matrices: b x n x k by b x k x m gives b x n x m.
    method function out: fn bmm(x, mat2) -> (y): Number named "bmm" as "BmmBackward" {
        forward(out) = product("bmm", x, mat2, 3, out)?;
        grad x = |g, mat2| bmm(g, &transpose(mat2, 1, 2)?)?, "g @ mat2.t() in each batch";
        grad mat2 = |g, x| bmm(&transpose(x, 1, 2)?, g)?, "x.t() @ g in each batch";
        try [(sample(&[2, 2, 3]), sample(&[2, 3, 2])), (sample(&[3, 1, 2]), sample(&[3, 2, 1]))];
    }
}

fn turned_sample(sizes: &[i64]) -> Tensor {
    let t = super::sample::sample(sizes).t();
    t.expect("a sample of two dimensions")
}

/// Which of two matrices lie column by column: 1 for the first, 2 for the second.
pub fn turned(a: &Tensor, b: &Tensor) -> i64 {
    let is = |t: &Tensor| t.ndim() == 2 && t.strides()[0] == 1 && t.strides()[1] == t.sizes()[0];
    i64::from(is(a)) | i64::from(is(b)) << 1
}

/// The gradient of the first matrix of a product, laid out like that matrix.
pub fn left_gradient(g: &Var, mat2: &Var, turned: i64) -> Result<Var> {
    if turned & 1 == 1 {
        t(&mm(mat2, &t(g)?)?)
    } else {
        mm(g, &t(mat2)?)
    }
}

/// The gradient of the second matrix of a product, laid out like that matrix.
pub fn right_gradient(g: &Var, mat1: &Var, turned: i64) -> Result<Var> {
    if turned & 2 == 2 {
        t(&mm(&t(g)?, mat1)?)
    } else {
        mm(&t(mat1)?, g)
    }
}

/// The error for operands of other dimensions or sizes than `op` needs.
pub fn mismatch(op: &str, needs: &str, a: &Tensor, b: &Tensor) -> crate::error::Error {
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

/// The size of a matrix times a vector.
pub fn product_of_vector(op: &str, a: &Tensor, v: &Tensor) -> Result<Dims> {
    crate::tensor::dtype::same(op, a.kind(), v.kind())?;
    if a.ndim() != 2 || v.ndim() != 1 || a.sizes()[1] != v.sizes()[0] {
        return Err(mismatch(op, "a matrix, n x k, and a vector of k", a, v));
    }
    Ok(Dims::from_slice(&[a.sizes()[0]]))
}

/// The size of an outer product.
pub fn outer_sizes(op: &str, a: &Tensor, b: &Tensor) -> Result<Dims> {
    crate::tensor::dtype::same(op, a.kind(), b.kind())?;
    if a.ndim() != 1 || b.ndim() != 1 {
        return Err(mismatch(op, "two vectors", a, b));
    }
    Ok(Dims::from_slice(&[a.sizes()[0], b.sizes()[0]]))
}

fn product(op: &str, a: &Tensor, b: &Tensor, ndim: usize, out: &super::Out) -> Result<Tensor> {
    crate::tensor::dtype::same(op, a.kind(), b.kind())?;
    let sizes = product_sizes(op, a, b, ndim)?;
    let y = out.make(op, a.kind(), &sizes)?;
    multiply(op, a, b, &y, Scalar::Int(1), Scalar::Int(0))?;
    Ok(y)
}

/// y = alpha a b + beta y, for matrices or stacks of them whose sizes agree.
pub fn multiply(
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
        dispatch!(y.dtype(), T => crate::cpu::product::stack::<T>(a, b, y, alpha.to(), beta.to()));
    } else {
        dispatch!(y.dtype(), T => crate::cpu::product::matrix::<T>(a, b, y, alpha.to(), beta.to()));
    }
    Ok(())
}

/// The inner product as a number: floats sum in double, integers in 64 bits (T-8).
///
/// # Errors
/// Operands that are no vectors of one length and class.
pub fn dot_total(a: &Tensor, b: &Tensor) -> Result<Scalar> {
    if a.device() == Device::Gpu {
        return device::read_scalar(&dot_there(a, b)?);
    }
    dot_fits(a, b)?;
    Ok(dispatch!(a.dtype(), T => if T::DTYPE.is_float() {
        Scalar::Float(dot_wide::<T>(a, b))
    } else {
        Scalar::Int(dot_integers::<T>(a, b))
    }))
}

/// The inner product of vectors on the GPU, left there.
fn dot_there(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    dot_fits(a, b)?;
    let y = device::empty("dot", a.dtype(), a.device(), &[1, 1])?;
    let (row, column) = (a.unsqueeze(0)?, b.unsqueeze(1)?);
    device::matmul("dot", &row, &column, &y, Scalar::Int(1), Scalar::Int(0))?;
    y.view(&[1])
}

fn dot_fits(a: &Tensor, b: &Tensor) -> Result<()> {
    crate::tensor::dtype::same("dot", a.kind(), b.kind())?;
    if a.ndim() != 1 || b.ndim() != 1 || a.sizes() != b.sizes() {
        return Err(mismatch("dot", "two vectors of equal length", a, b));
    }
    Ok(())
}

/// Product of tensors by their dimensions: dot, mv, mm or bmm, with leading dimensions expanded.
///
/// # Errors
/// `RuntimeError` for an operand without dimensions and for sizes that do not fit.
pub fn matmul(a: &Var, b: &Var) -> Result<Var> {
    let (n, m) = (a.sizes().len(), b.sizes().len());
    match (n, m) {
        (0, _) | (_, 0) => fail!(
            Runtime,
            "matmul: both operands need at least one dimension; got {} and {}",
            sizes_text(a.sizes()),
            sizes_text(b.sizes())
        ),
        (1, 1) => dot(a, b),
        (2, 1) => mv(a, b),
        (1, 2) => squeeze_dim(&mm(&unsqueeze(a, 0)?, b)?, 0),
        (2, 2) => mm(a, b),
        (_, 1 | 2) => folded(a, b),
        _ => batched(a, b),
    }
}

/// A stack times one matrix or vector: all rows of the stack make one large matrix.
fn folded(a: &Var, b: &Var) -> Result<Var> {
    let (lead, inner) = a.sizes().split_at(a.sizes().len() - 1);
    let mut sizes = Dims::from_slice(lead);
    let rows = lead.iter().product();
    let flat = reshape(a, &Dims::from_slice(&[rows, inner[0]]))?;
    let made = if b.sizes().len() == 1 {
        mv(&flat, b)?
    } else {
        sizes.push(b.sizes()[1]);
        mm(&flat, b)?
    };
    reshape(&made, &sizes)
}

fn batched(a: &Var, b: &Var) -> Result<Var> {
    let left = if a.sizes().len() == 1 {
        unsqueeze(a, 0)?
    } else {
        a.clone()
    };
    let lead = |v: &Var| Dims::from_slice(&v.sizes()[..v.sizes().len() - 2]);
    let (la, lb) = (lead(&left), lead(b));
    let common = if la.is_empty() {
        lb
    } else {
        dims::broadcast("matmul", &la, &lb)?
    };
    let count: i64 = common.iter().product();
    let stack = |v: &Var| -> Result<Var> {
        let tail = &v.sizes()[v.sizes().len() - 2..];
        let mut wide = common.clone();
        wide.extend_from_slice(tail);
        let expanded = if v.sizes() == wide.as_slice() {
            v.clone()
        } else {
            expand(v, wide)?
        };
        reshape(&expanded, &Dims::from_slice(&[count, tail[0], tail[1]]))
    };
    let out = bmm(&stack(&left)?, &stack(b)?)?;
    let mut sizes = common;
    if a.sizes().len() > 1 {
        sizes.push(out.sizes()[1]);
    }
    sizes.push(out.sizes()[2]);
    reshape(&out, &sizes)
}
