//! Kernels that need a whole line at once: softmax and its gradient. Sums are in double.

use super::lines::{Lines, dense_beside};
use super::map::Start;
use super::math::{Math, wide};
use super::slices::ask_for;
use crate::tensor::Tensor;

/// Elements computed together: two AVX-512 registers of f32.
const LANES: usize = 32;
/// Elements of which powers are taken in one loop: with fewer, its constants are loaded too often, and
/// what compilers make of a block that they unroll first is half as fast.
const CHUNK: usize = 256;
/// Columns that go through all passes together where another dimension is dense.
const STRIP: usize = 64;

/// y = softmax of x along `dim`, or its logarithm.
pub fn softmax<T: Math>(x: &Tensor, dim: usize, log: bool, y: &Tensor) {
    let (from, to) = (Start::<T>::of(x), Start::<T>::of(y));
    if let Some(side) = beside([x, y], dim) {
        let rows = Lines::without([x, y], dim, Some(side));
        let inner = x.sizes()[side] as usize;
        let work = rows.len * inner.min(STRIP);
        return rows.for_pieces(inner.div_ceil(STRIP), work, &|walk, piece| {
            for [offset, out] in walk {
                let (first, width) = (piece * STRIP, STRIP.min(inner - piece * STRIP));
                wide(
                    #[inline(always)]
                    // SAFETY: columns of the geometry of both.
                    || unsafe {
                        let (x, y) = (from.ptr().offset(offset), to.ptr().offset(out));
                        let (x, y) = (x.add(first), y.add(first));
                        strip::<T, STRIP>(x, y, rows.steps, rows.len, width, log);
                    },
                );
            }
        });
    }
    let lines = Lines::new([x, y], dim);
    lines.for_ranges(lines.len, &|walk| {
        wide(
            #[inline(always)]
            || {
                for [offset, out] in walk {
                    // SAFETY: a line of each geometry.
                    unsafe {
                        let (x, y) = (from.ptr().offset(offset), to.ptr().offset(out));
                        if lines.steps == [1, 1] {
                            dense(x, y, lines.len, log);
                        } else {
                            strip::<T, 1>(x, y, lines.steps, lines.len, 1, log);
                        }
                    }
                }
            },
        );
    });
}

/// A dimension other than `dim` in which all are dense.
fn beside<const N: usize>(tensors: [&Tensor; N], dim: usize) -> Option<usize> {
    let side = dense_beside(tensors[0], dim)?;
    let dense = tensors.iter().all(|t| t.strides()[side] == 1);
    (dense && tensors[0].sizes()[side] as usize >= LANES / 2).then_some(side)
}

/// Reads a block.
///
/// # Safety
/// `LANES` elements are there.
#[inline(always)]
unsafe fn load<T: Math>(from: *const T) -> [T; LANES] {
    // SAFETY: the caller's.
    unsafe { from.cast::<[T; LANES]>().read_unaligned() }
}

/// Reads the first `len` elements of a block; the rest is -inf, whose power is 0.
///
/// # Safety
/// `len` elements are there.
#[inline(always)]
unsafe fn load_part<T: Math>(from: *const T, len: usize) -> [T; LANES] {
    let mut block = [T::from_f64(f64::NEG_INFINITY); LANES];
    for (j, v) in block.iter_mut().enumerate().take(len) {
        // SAFETY: the caller's.
        *v = unsafe { from.add(j).read() };
    }
    block
}

/// Joins the lanes in halves, which keeps the chain of operations short.
#[inline(always)]
fn joined<A: Copy>(mut lanes: [A; LANES], join: impl Fn(A, A) -> A) -> A {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for j in 0..width {
            lanes[j] = join(lanes[j], lanes[j + width]);
        }
    }
    lanes[0]
}

/// The powers of e of a block, once `top` is off, which are also added to the sums of the lanes.
#[inline(always)]
fn powers<T: Math, const N: usize>(mut block: [T; N], top: T, sums: &mut [f64; LANES]) -> [T; N] {
    for v in &mut block {
        *v = Math::exp_below(*v - top);
    }
    for k in (0..N).step_by(LANES) {
        for j in 0..LANES {
            sums[j] += block[k + j].to_f64();
        }
    }
    block
}

/// Softmax of one dense line. The line behind it is asked for meanwhile.
///
/// # Safety
/// Both have `len` elements; `x` may be `y`.
#[inline(always)]
unsafe fn dense<T: Math>(x: *const T, y: *mut T, len: usize, log: bool) {
    let whole = len / LANES * LANES;
    // SAFETY: blocks end at `whole`, parts of one at `len`.
    unsafe {
        let mut tops = [x.read(); LANES];
        for k in (0..whole).step_by(LANES) {
            let block = load(x.add(k));
            for j in 0..LANES {
                tops[j] = larger(block[j], tops[j]);
            }
        }
        if whole < len {
            let block = load_part(x.add(whole), len - whole);
            for j in 0..LANES {
                tops[j] = larger(block[j], tops[j]);
            }
        }
        let top = joined(tops, larger);
        let mut sums = [0.0f64; LANES];
        let mut k = 0;
        while k + CHUNK <= len {
            for at in (0..CHUNK).step_by(LANES) {
                ask_for(x.wrapping_add(len + k + at), LANES);
            }
            let block = powers(
                x.add(k).cast::<[T; CHUNK]>().read_unaligned(),
                top,
                &mut sums,
            );
            if !log {
                y.add(k).cast::<[T; CHUNK]>().write_unaligned(block);
            }
            k += CHUNK;
        }
        while k < whole {
            let block = powers(load(x.add(k)), top, &mut sums);
            if !log {
                y.add(k).cast::<[T; LANES]>().write_unaligned(block);
            }
            k += LANES;
        }
        if k < len {
            let block = powers(load_part(x.add(k), len - k), top, &mut sums);
            if !log {
                for (j, v) in block.iter().enumerate().take(len - k) {
                    y.add(k + j).write(*v);
                }
            }
        }
        let sum = joined(sums, |a, b| a + b);
        // Plain loops over elements: in blocks the compiler would gather, at twice the time.
        if !log {
            let scale = T::from_f64(1.0 / sum);
            for k in 0..len {
                y.add(k).write(y.add(k).read() * scale);
            }
            return;
        }
        let shift = T::from_f64(sum.ln());
        if std::ptr::eq(x, y) {
            for k in 0..len {
                y.add(k).write(y.add(k).read() - top - shift);
            }
        } else {
            for k in 0..len {
                y.add(k).write(x.add(k).read() - top - shift);
            }
        }
    }
}

#[inline(always)]
fn larger<T: Math>(v: T, top: T) -> T {
    if v > top { v } else { top }
}

/// Softmax of `width` lines that lie side by side.
///
/// # Safety
/// Both have `len` rows of `width` elements; `x` may be `y`; `width` is at most `STRIP`.
#[inline(always)]
unsafe fn strip<T: Math, const STRIP: usize>(
    x: *const T,
    y: *mut T,
    steps: [isize; 2],
    len: usize,
    width: usize,
    log: bool,
) {
    let width = width.min(STRIP);
    // SAFETY: row `k < len`, column `j < width`.
    unsafe {
        let row = |k: usize| x.offset(k as isize * steps[0]);
        let out = |k: usize| y.offset(k as isize * steps[1]);
        let mut tops = [T::default(); STRIP];
        let mut sums = [0.0f64; STRIP];
        let mut scales = [T::default(); STRIP];
        let whole = width == STRIP;
        for (j, top) in tops.iter_mut().enumerate().take(width) {
            *top = row(0).add(j).read();
        }
        for k in 1..len {
            let some = read::<T, STRIP>(row(k), width, whole);
            for j in 0..STRIP {
                tops[j] = larger(some[j], tops[j]);
            }
        }
        for k in 0..len {
            let mut some = read::<T, STRIP>(row(k), width, whole);
            for j in 0..STRIP {
                some[j] = Math::exp_below(some[j] - tops[j]);
                sums[j] += some[j].to_f64();
            }
            if !log {
                write(out(k), &some, width, whole);
            }
        }
        for j in 0..width {
            scales[j] = T::from_f64(if log { sums[j].ln() } else { 1.0 / sums[j] });
        }
        for k in 0..len {
            let from = if log { row(k) } else { out(k).cast_const() };
            let mut some = read::<T, STRIP>(from, width, whole);
            for j in 0..STRIP {
                some[j] = if log {
                    some[j] - tops[j] - scales[j]
                } else {
                    some[j] * scales[j]
                };
            }
            write(out(k), &some, width, whole);
        }
    }
}

/// The first `width` elements of a row; all of them when it is `whole`.
///
/// # Safety
/// They are there.
#[inline(always)]
unsafe fn read<T: Math, const STRIP: usize>(
    from: *const T,
    width: usize,
    whole: bool,
) -> [T; STRIP] {
    // SAFETY: the caller's.
    unsafe {
        if whole {
            return from.cast::<[T; STRIP]>().read_unaligned();
        }
        let mut some = [T::default(); STRIP];
        for (j, v) in some.iter_mut().enumerate().take(width) {
            *v = from.add(j).read();
        }
        some
    }
}

/// Writes what [`read`] reads.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn write<T: Math, const STRIP: usize>(
    to: *mut T,
    some: &[T; STRIP],
    width: usize,
    whole: bool,
) {
    // SAFETY: the caller's.
    unsafe {
        if whole {
            return to.cast::<[T; STRIP]>().write_unaligned(*some);
        }
        for (j, v) in some.iter().enumerate().take(width) {
            to.add(j).write(*v);
        }
    }
}

/// The gradient of [`softmax`] at its result `y`: y (g - sum g y), or g - exp(y) sum g for the
/// logarithm.
pub fn softmax_grad<T: Math>(g: &Tensor, y: &Tensor, dim: usize, log: bool, out: &Tensor) {
    let (gs, ys, to) = (Start::<T>::of(g), Start::<T>::of(y), Start::<T>::of(out));
    if let Some(side) = beside([g, y, out], dim) {
        let rows = Lines::without([g, y, out], dim, Some(side));
        let inner = g.sizes()[side] as usize;
        let work = rows.len * inner.min(STRIP);
        return rows.for_pieces(inner.div_ceil(STRIP), work, &|walk, piece| {
            for [goff, yoff, ooff] in walk {
                let (first, width) = (piece * STRIP, STRIP.min(inner - piece * STRIP));
                wide(
                    #[inline(always)]
                    // SAFETY: columns of the geometry of all three.
                    || unsafe {
                        let g = gs.ptr().offset(goff).add(first);
                        let y = ys.ptr().offset(yoff).add(first);
                        let to = to.ptr().offset(ooff).add(first);
                        strip_grad::<T, STRIP>(g, y, to, rows.steps, rows.len, width, log);
                    },
                );
            }
        });
    }
    let lines = Lines::new([g, y, out], dim);
    lines.for_ranges(lines.len, &|walk| {
        wide(
            #[inline(always)]
            || {
                for [goff, yoff, ooff] in walk {
                    // SAFETY: a line of each geometry.
                    unsafe {
                        let g = gs.ptr().offset(goff);
                        let (y, to) = (ys.ptr().offset(yoff), to.ptr().offset(ooff));
                        if lines.steps == [1, 1, 1] {
                            dense_grad(g, y, to, lines.len, log);
                        } else {
                            strip_grad::<T, 1>(g, y, to, lines.steps, lines.len, 1, log);
                        }
                    }
                }
            },
        );
    });
}

/// What an element adds to the sum, and the gradient of an element, given the sum.
#[inline(always)]
fn term<T: Math>(g: T, y: T, log: bool) -> f64 {
    if log {
        g.to_f64()
    } else {
        g.to_f64() * y.to_f64()
    }
}

#[inline(always)]
fn slope<T: Math>(g: T, y: T, sum: f64, log: bool) -> T {
    if log {
        T::from_f64(g.to_f64() - Math::exp(y).to_f64() * sum)
    } else {
        T::from_f64(y.to_f64() * (g.to_f64() - sum))
    }
}

/// The gradient of one dense line.
///
/// # Safety
/// All have `len` elements.
#[inline(always)]
unsafe fn dense_grad<T: Math>(g: *const T, y: *const T, to: *mut T, len: usize, log: bool) {
    let whole = len / LANES * LANES;
    // SAFETY: blocks end at `whole`, single elements at `len`.
    unsafe {
        let mut sums = [0.0f64; LANES];
        let mut sum = 0.0;
        for k in (0..whole).step_by(LANES) {
            let (a, b) = (load(g.add(k)), load(y.add(k)));
            for j in 0..LANES {
                sums[j] += term(a[j], b[j], log);
            }
        }
        for k in whole..len {
            sum += term(g.add(k).read(), y.add(k).read(), log);
        }
        for v in sums {
            sum += v;
        }
        for k in (0..whole).step_by(LANES) {
            let (mut a, b) = (load(g.add(k)), load(y.add(k)));
            for j in 0..LANES {
                a[j] = slope(a[j], b[j], sum, log);
            }
            to.add(k).cast::<[T; LANES]>().write_unaligned(a);
        }
        for k in whole..len {
            to.add(k)
                .write(slope(g.add(k).read(), y.add(k).read(), sum, log));
        }
    }
}

/// The gradient of `width` lines that lie side by side.
///
/// # Safety
/// All have `len` rows of `width` elements.
#[inline(always)]
unsafe fn strip_grad<T: Math, const STRIP: usize>(
    g: *const T,
    y: *const T,
    to: *mut T,
    steps: [isize; 3],
    len: usize,
    width: usize,
    log: bool,
) {
    let width = width.min(STRIP);
    // SAFETY: row `k < len`, column `j < width`.
    unsafe {
        let mut sums = [0.0f64; STRIP];
        for k in 0..len as isize {
            let (g, y) = (g.offset(k * steps[0]), y.offset(k * steps[1]));
            for (j, sum) in sums.iter_mut().enumerate().take(width) {
                *sum += term(g.add(j).read(), y.add(j).read(), log);
            }
        }
        for k in 0..len as isize {
            let (g, y) = (g.offset(k * steps[0]), y.offset(k * steps[1]));
            let to = to.offset(k * steps[2]);
            for (j, &sum) in sums.iter().enumerate().take(width) {
                to.add(j)
                    .write(slope(g.add(j).read(), y.add(j).read(), sum, log));
            }
        }
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
