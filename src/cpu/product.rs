//! Matrix products of tensors: from geometry to the views that `gemm` multiplies.

use super::gemm::{Product, View, ViewMut, gemm};
use crate::tensor::{Element, Tensor};

/// The elements of a tensor from its first to its last.
fn reach(t: &Tensor) -> usize {
    let span: i64 = t
        .sizes()
        .iter()
        .zip(t.strides())
        .map(|(&size, &stride)| (size - 1) * stride)
        .sum();
    if t.numel() == 0 { 0 } else { span as usize + 1 }
}

fn geometry(t: &Tensor) -> ([usize; 2], [usize; 2]) {
    let pair = |v: &[i64]| [v[0] as usize, v[1] as usize];
    (pair(t.sizes()), pair(t.strides()))
}

/// y = alpha a b + beta y for matrices whose sizes agree; `y` shares no memory with `a` or `b`.
pub fn matrix<T: Element + Product>(a: &Tensor, b: &Tensor, y: &Tensor, alpha: T, beta: T) {
    assert!(
        !y.shares_memory(a) && !y.shares_memory(b),
        "a product is written to memory of its own"
    );
    for t in [a, b, y] {
        assert_eq!(
            t.dtype(),
            T::DTYPE,
            "a kernel was given another element type"
        );
    }
    // SAFETY: the geometry of a tensor stays inside its memory, `reach` ends at its last element,
    // and `y`'s memory is none of the others'.
    let (x, w, out) = unsafe {
        (
            std::slice::from_raw_parts(a.ptr().cast::<T>().cast_const(), reach(a)),
            std::slice::from_raw_parts(b.ptr().cast::<T>().cast_const(), reach(b)),
            std::slice::from_raw_parts_mut(y.ptr().cast::<T>(), reach(y)),
        )
    };
    let ((size_a, step_a), (size_b, step_b), (size_y, step_y)) =
        (geometry(a), geometry(b), geometry(y));
    let views = View::new(x, size_a, step_a)
        .zip(View::new(w, size_b, step_b))
        .zip(ViewMut::new(out, size_y, step_y));
    let done = views.is_some_and(|((x, w), out)| gemm(alpha, x, w, beta, out));
    assert!(done, "sizes were checked and results are fresh");
}
