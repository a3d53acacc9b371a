//! The product of vectors in space.

use super::Op;
use crate::cpu::map::{map2, map3};
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::tensor::dims::wrap_dim;
use crate::tensor::{Element, Tensor, sizes_text};

ops! {
    /// Cross product of the vectors of three elements along `dim`.
    ///
    /// dim -1 is the first dimension of size 3.
    host method function out: fn cross(x, other; dim: i64 = -1i64) -> (y): Number named "cross" as "CrossBackward" {
        let d: i64 = space(x, other, dim)? as i64;
        forward(out, inputs, values) = {
            let kind = same_kind("cross", inputs)?;
            let y = out.make("cross", kind, x.sizes())?;
            dispatch!(kind.0, T => product::<T>(x, other, d, &y)?);
            y
        };
        grad x = |g, other| cross(other, g, d)?, "other cross g";
        grad other = |g, x| cross(g, x, d)?, "g cross x";
        try [
            (sample(&[3]), sample_in(-1.3, 1.7, &[3]); -1i64),
            (sample(&[2, 3, 3]), sample_in(-1.3, 1.7, &[2, 3, 3]); -1i64),
            (sample(&[3, 2, 3]), sample_in(-1.3, 1.7, &[3, 2, 3]); 2i64),
            (sample(&[2, 3, 2]), sample_in(-1.3, 1.7, &[2, 3, 2]); -2i64)
        ];
    }
}

/// The dimension to work along, for operands that fit.
fn space(x: &Tensor, other: &Tensor, dim: i64) -> Result<usize> {
    if x.sizes() != other.sizes() {
        fail!(
            Runtime,
            "cross: both operands must have the same size; got {} and {}",
            sizes_text(x.sizes()),
            sizes_text(other.sizes())
        );
    }
    if dim == -1 {
        return match x.sizes().iter().position(|&size| size == 3) {
            Some(d) => Ok(d),
            None => fail!(
                Runtime,
                "cross: no dimension has size 3; got {}",
                sizes_text(x.sizes())
            ),
        };
    }
    let d = wrap_dim("cross", dim, x.ndim())?;
    if x.sizes()[d] != 3 {
        fail!(
            Runtime,
            "cross: dimension {dim} must have size 3; got {}",
            sizes_text(x.sizes())
        );
    }
    Ok(d)
}

fn product<T: Element>(a: &Tensor, b: &Tensor, d: i64, y: &Tensor) -> Result<()> {
    for i in 0..3 {
        let (j, k) = ((i + 1) % 3, (i + 2) % 3);
        let to = y.narrow(d, i, 1)?;
        map2::<T, T, T>(&a.narrow(d, j, 1)?, &b.narrow(d, k, 1)?, &to, |a, b| {
            a.times(b)
        });
        map3::<T, T, T, T>(
            &to,
            &a.narrow(d, k, 1)?,
            &b.narrow(d, j, 1)?,
            &to,
            |y, a, b| y.minus(a.times(b)),
        );
    }
    Ok(())
}
