//! Matrix products of tensors: from geometry to the views that `gemm` multiplies.

use super::gemm::{Product, View, ViewMut, gemm, gemm_here};
use super::math::wide;
use super::pool;
use crate::lock::plain::Mutex;
use crate::tensor::{Element, Tensor};

fn geometry(t: &Tensor) -> ([usize; 2], [usize; 2]) {
    let pair = |v: &[i64]| [v[0] as usize, v[1] as usize];
    (pair(t.sizes()), pair(t.strides()))
}

/// The operands as slices.
///
/// # Safety
/// `y` shares no memory with `a` or `b`, and nobody else writes to it meanwhile.
#[allow(
    clippy::mut_from_ref,
    reason = "`y` has memory of its own, as the caller promises"
)]
unsafe fn slices<'a, T: Element>(
    a: &'a Tensor,
    b: &'a Tensor,
    y: &'a Tensor,
) -> (&'a [T], &'a [T], &'a mut [T]) {
    for t in [a, b, y] {
        assert_eq!(
            t.dtype(),
            T::DTYPE,
            "a kernel was given another element type"
        );
    }
    // SAFETY: the geometry of a tensor stays inside its memory, `reach` ends at its last element,
    // and `y`'s memory is none of the others', as the caller says.
    unsafe {
        (
            std::slice::from_raw_parts(a.ptr().cast::<T>().cast_const(), a.reach()),
            std::slice::from_raw_parts(b.ptr().cast::<T>().cast_const(), b.reach()),
            std::slice::from_raw_parts_mut(y.ptr().cast::<T>(), y.reach()),
        )
    }
}

fn assert_apart(a: &Tensor, b: &Tensor, y: &Tensor) {
    assert!(
        !y.shares_memory(a) && !y.shares_memory(b),
        "a product is written to memory of its own"
    );
}

/// y = alpha a b + beta y for matrices whose sizes agree; `y` shares no memory with `a` or `b`.
pub fn matrix<T: Element + Product>(a: &Tensor, b: &Tensor, y: &Tensor, alpha: T, beta: T) {
    assert_apart(a, b, y);
    // SAFETY: checked above.
    let (x, w, out) = unsafe { slices::<T>(a, b, y) };
    let ((size_a, step_a), (size_b, step_b), (size_y, step_y)) =
        (geometry(a), geometry(b), geometry(y));
    let views = View::new(x, size_a, step_a)
        .zip(View::new(w, size_b, step_b))
        .zip(ViewMut::new(out, size_y, step_y));
    let done = views.is_some_and(|((x, w), out)| gemm(alpha, x, w, beta, out));
    assert!(done, "sizes were checked and results are fresh");
}

/// From this many products on, a stack is shared by threads.
const PARALLEL_FROM: usize = 1 << 17;

/// As [`matrix`], for stacks of matrices. `y` is row-major.
pub fn stack<T: Element + Product>(a: &Tensor, b: &Tensor, y: &Tensor, alpha: T, beta: T) {
    assert_apart(a, b, y);
    assert!(y.is_contiguous(), "a stack of products is row-major");
    let count = y.sizes()[0] as usize;
    let products = y.numel().saturating_mul(a.sizes()[2] as usize);
    // Few large matrices are cut inside, many small ones are dealt out whole.
    let each = products / count.max(1);
    let whole = each < 1 << 22 && count >= 2 * pool::threads();
    let tasks = if products >= PARALLEL_FROM && whole && pool::threads() > 1 {
        count.min(8 * pool::threads())
    } else {
        1
    };
    // SAFETY: checked above; tasks write to different matrices of `y`, which do not overlap.
    let (x, w, out) = unsafe { slices::<T>(a, b, y) };
    let inside = |t: &Tensor| {
        (
            [t.sizes()[1], t.sizes()[2]],
            [t.strides()[1], t.strides()[2]],
        )
    };
    let pair = |v: [i64; 2]| v.map(|n| n as usize);
    let ((size_a, step_a), (size_b, step_b), (size_y, step_y)) = (inside(a), inside(b), inside(y));
    let step = |t: &Tensor| t.strides()[0] as usize;
    let (next_a, next_b, size) = (step(a), step(b), (size_y[0] * size_y[1]) as usize);
    let matrices: Vec<Mutex<&mut [T]>> = out
        .chunks_mut((count.div_ceil(tasks) * size).max(1))
        .map(Mutex::new)
        .collect();
    pool::run(matrices.len(), |task| {
        let mut part = matrices[task].lock();
        for (i, to) in part.chunks_mut(size.max(1)).enumerate() {
            let i = task * count.div_ceil(tasks) + i;
            let views = View::new(&x[i * next_a..], pair(size_a), pair(step_a))
                .zip(View::new(&w[i * next_b..], pair(size_b), pair(step_b)))
                .zip(ViewMut::new(to, pair(size_y), pair(step_y)));
            let multiply = if tasks > 1 { gemm_here } else { gemm };
            let done = views.is_some_and(|((x, w), out)| multiply(alpha, x, w, beta, out));
            assert!(done, "sizes were checked and results are fresh");
        }
    });
}

/// Partial sums side by side, which is what lets the compiler use SIMD.
const LANES: usize = 32;
/// Elements of one task of an inner product.
const GRAIN: usize = 1 << 15;

/// Sums `at(i)` over `0..count`, in an order that depends on `count` alone.
#[inline(always)]
fn sum<A: Copy + Send + Sync>(
    count: usize,
    zero: A,
    at: impl Fn(usize) -> A + Sync + Copy,
    plus: impl Fn(A, A) -> A + Sync + Copy,
) -> A {
    let parts = pool::map_chunks(count, GRAIN, |range| {
        wide(
            #[inline(always)]
            || {
                let mut lanes = [zero; LANES];
                let whole = range.len() / LANES * LANES;
                let mut i = range.start;
                while i < range.start + whole {
                    for (j, lane) in lanes.iter_mut().enumerate() {
                        *lane = plus(*lane, at(i + j));
                    }
                    i += LANES;
                }
                let mut width = LANES;
                while width > 1 {
                    width /= 2;
                    for j in 0..width {
                        lanes[j] = plus(lanes[j], lanes[j + width]);
                    }
                }
                let mut total = lanes[0];
                for i in range.start + whole..range.end {
                    total = plus(total, at(i));
                }
                total
            },
        )
    });
    parts.into_iter().fold(zero, plus)
}

/// Calls `sum` with what reads the products of two vectors of one length.
macro_rules! inner_product {
    ($a:ident, $b:ident, $t:ty, $zero:expr, $of:expr, $plus:expr) => {{
        assert_eq!($a.numel(), $b.numel(), "lengths were checked");
        for t in [$a, $b] {
            assert_eq!(
                t.dtype(),
                <$t>::DTYPE,
                "a kernel was given another element type"
            );
        }
        let (n, step, other) = (
            $a.numel(),
            $a.strides()[0] as usize,
            $b.strides()[0] as usize,
        );
        // SAFETY: as `reach` says; both are only read.
        let (x, w) = unsafe {
            (
                std::slice::from_raw_parts($a.ptr().cast::<$t>().cast_const(), $a.reach()),
                std::slice::from_raw_parts($b.ptr().cast::<$t>().cast_const(), $b.reach()),
            )
        };
        let of = $of;
        if step == 1 && other == 1 {
            let (x, w) = (&x[..n], &w[..n]);
            sum(
                n,
                $zero,
                #[inline(always)]
                |i| of(x[i], w[i]),
                $plus,
            )
        } else {
            sum(
                n,
                $zero,
                #[inline(always)]
                |i| of(x[i * step], w[i * other]),
                $plus,
            )
        }
    }};
}

/// The inner product of two vectors of floats, summed in double.
pub fn dot_wide<T: Element>(a: &Tensor, b: &Tensor) -> f64 {
    let of = |x: T, y: T| x.to_f64() * y.to_f64();
    inner_product!(
        a,
        b,
        T,
        0.0,
        of,
        #[inline(always)]
        |x: f64, y: f64| x + y
    )
}

/// The inner product of two vectors of integers in 64 bits; it wraps there.
pub fn dot_integers<T: Element>(a: &Tensor, b: &Tensor) -> i64 {
    let of = |x: T, y: T| x.to_i64().wrapping_mul(y.to_i64());
    inner_product!(
        a,
        b,
        T,
        0,
        of,
        #[inline(always)]
        |x: i64, y: i64| x.wrapping_add(y)
    )
}
