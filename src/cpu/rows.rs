//! Kernels that need a whole line at once: softmax and its gradient.

use super::fold::Lines;
use super::map::Start;
use super::math::{Math, wide};
use crate::tensor::Tensor;

/// y = softmax of x along `dim`, or its logarithm. Sums are in double.
pub fn softmax<T: Math>(x: &Tensor, dim: usize, log: bool, y: &Tensor) {
    let (from, to) = (Start::<T>::of(x), Start::<T>::of(y));
    let lines = Lines::new(x, dim, y.strides());
    let step = y.strides()[dim] as isize;
    lines.for_each(&|_, offset, out| {
        wide(
            #[inline(always)]
            || {
                // SAFETY: `k < len` along a line of each geometry.
                let at = |k: usize| unsafe {
                    from.ptr().offset(offset + k as isize * lines.step).read()
                };
                // SAFETY: as above.
                let put =
                    |k: usize, v: T| unsafe { to.ptr().offset(out + k as isize * step).write(v) };
                let mut top = at(0);
                for k in 1..lines.len {
                    let v = at(k);
                    top = if v > top { v } else { top };
                }
                let mut sum = 0.0f64;
                for k in 0..lines.len {
                    let e = Math::exp(at(k).minus(top));
                    sum += e.to_f64();
                    if !log {
                        put(k, e);
                    }
                }
                if log {
                    let shift = sum.ln();
                    for k in 0..lines.len {
                        put(k, T::from_f64(at(k).to_f64() - top.to_f64() - shift));
                    }
                } else {
                    let scale = 1.0 / sum;
                    for k in 0..lines.len {
                        // SAFETY: written in the loop above.
                        let e = unsafe { to.ptr().offset(out + k as isize * step).read() };
                        put(k, T::from_f64(e.to_f64() * scale));
                    }
                }
            },
        );
    });
}

/// The gradient of [`softmax`] at its result `y`: y (g - sum g y), or g - exp(y) sum g for the
/// logarithm.
pub fn softmax_grad<T: Math>(g: &Tensor, y: &Tensor, dim: usize, log: bool, out: &Tensor) {
    let (gs, ys, to) = (Start::<T>::of(g), Start::<T>::of(y), Start::<T>::of(out));
    let lines = Lines::new(g, dim, y.strides());
    let outs = Lines::new(g, dim, out.strides());
    let (ystep, ostep) = (y.strides()[dim] as isize, out.strides()[dim] as isize);
    lines.for_each(&|line, goff, yoff| {
        let ooff = outs.place(line);
        wide(
            #[inline(always)]
            || {
                // SAFETY: `k < len` along a line of each geometry.
                let (g, y) = unsafe {
                    (
                        |k: usize| gs.ptr().offset(goff + k as isize * lines.step).read(),
                        |k: usize| ys.ptr().offset(yoff + k as isize * ystep).read(),
                    )
                };
                let mut sum = 0.0f64;
                for k in 0..lines.len {
                    sum += if log {
                        g(k).to_f64()
                    } else {
                        g(k).to_f64() * y(k).to_f64()
                    };
                }
                for k in 0..lines.len {
                    let v = if log {
                        T::from_f64(g(k).to_f64() - Math::exp(y(k)).to_f64() * sum)
                    } else {
                        T::from_f64(y(k).to_f64() * (g(k).to_f64() - sum))
                    };
                    // SAFETY: as above.
                    unsafe { to.ptr().offset(ooff + k as isize * ostep).write(v) };
                }
            },
        );
    });
}
