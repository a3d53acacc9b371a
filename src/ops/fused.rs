//! Several steps in one pass over memory.

use super::Op;
use super::arith::{div, refuse_zero};
use crate::tensor::{DType, Element, Scalar};

pointwise! {
    /// x + value tensor1 tensor2.
    method function in_place out broadcasts: addcmul(x, tensor1, tensor2; value: Scalar = 1i64) -> y: Number named "addcmul" as "AddcmulBackward" {
        cpu = x.plus(value.times(tensor1).times(tensor2));
        wgsl = "a + p0 * b * c";
        grad x = |g| g.clone();
        grad tensor1 = |g, tensor2| g * tensor2 * value;
        grad tensor2 = |g, tensor1| g * tensor1 * value;
        try [(sample(&[2, 3]), sample_in(-1.3, 1.7, &[2, 3]), positive(&[2, 3]); 0.5)];
    }
    /// x + value tensor1 / tensor2. Integer classes truncate toward zero.
    ///
    /// Raises ZeroDivisionError for an integer class with a 0 in tensor2.
    method function in_place out broadcasts: addcdiv(x, tensor1, tensor2; value: Scalar = 1i64) -> y: Number named "addcdiv" as "AddcdivBackward" {
        check = |inputs, _| refuse_zero("addcdiv", &inputs[2].tensor);
        cpu = x.plus(share(value, tensor1, tensor2));
        wgsl = "a + p0 * b / c";
        grad x = |g| g.clone();
        grad tensor1 = |g, tensor2| div(&(g * value), tensor2)?, "g * value / tensor2";
        grad tensor2 = |g, tensor1, tensor2| -(g * tensor1 * value) / (tensor2 * tensor2), "g * -value * tensor1 / tensor2^2";
        try [(sample(&[2, 3]), sample_in(-1.3, 1.7, &[2, 3]), positive(&[2, 3]); 0.5)];
    }
    /// The point between x and end: x + weight (end - x).
    method function in_place out broadcasts: lerp(x, end; weight: Scalar) -> y: Float named "lerp" as "LerpBackward" {
        cpu = x + weight * (end - x);
        wgsl = "a + p0 * (b - a)";
        grad x = |g| g * (1.0 - weight.f64()), "g * (1 - weight)";
        grad end = |g| g * weight;
        try [(sample(&[2, 3]), sample_in(-1.3, 1.7, &[2, 3]); 0.3)];
    }
}

/// value a / b; integers below 32 bits are multiplied in 32, as in C.
#[inline(always)]
fn share<T: Element>(value: T, a: T, b: T) -> T {
    if const { matches!(T::DTYPE, DType::U8 | DType::I8 | DType::I16) } {
        let product = value.to_i64() * a.to_i64();
        T::from_i64(product.checked_div(b.to_i64()).unwrap_or(0))
    } else {
        value.times(a).over(b)
    }
}
