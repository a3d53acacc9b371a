//! Matrix products of tensors.
use crate::tensor::{Element, Tensor};

/// y = alpha a b + beta y.
pub fn matrix<T: Element>(a: &Tensor, b: &Tensor, y: &Tensor, alpha: T, beta: T) {
    let (n, k, m) = (a.sizes()[0], a.sizes()[1], b.sizes()[1]);
    for i in 0..n {
        for j in 0..m {
            let mut sum = T::default();
            for l in 0..k {
                let p = a.read::<T>(i * a.strides()[0] + l * a.strides()[1]);
                let q = b.read::<T>(l * b.strides()[0] + j * b.strides()[1]);
                sum = sum.plus(p.times(q));
            }
            let at = i * y.strides()[0] + j * y.strides()[1];
            let old = if beta == T::default() {
                beta
            } else {
                beta.times(y.read(at))
            };
            y.write(at, alpha.times(sum).plus(old));
        }
    }
}
