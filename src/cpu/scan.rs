//! Scans along a dimension: running sums and products, and linear recurrences. Floats run in
//! double, as 0.3 does; integers wrap.

use super::lines::{Lines, dense_beside};
use super::map::{Start, compiled};
use crate::tensor::{Element, Tensor};

/// Lines that run side by side where another dimension is dense.
const STRIP: usize = 256;
/// Columns computed together.
const LANES: usize = 32;
/// Lines computed in turns.
const TOGETHER: usize = 4;

/// y_k = step(y_{k-1}, x_k) along `dim`, or from the end with y_{k+1}; `done` makes elements.
pub fn scan<T: Element, A: Copy + Send + Sync>(
    x: &Tensor,
    dim: usize,
    from_end: bool,
    y: &Tensor,
    start: A,
    step: impl Fn(A, T) -> A + Copy + Sync,
    done: impl Fn(A) -> T + Copy + Sync,
) {
    let (from, to) = (Start::<T>::of(x), Start::<T>::of(y));
    let place = |k: usize, len: usize| if from_end { len - 1 - k } else { k } as isize;
    let side = dense_beside(x, dim).filter(|&side| y.strides()[side] == 1);
    let Some(side) = side else {
        let lines = Lines::new([x, y], dim);
        return lines.for_ranges(lines.len, &|mut walk| {
            // Additions of one line wait for each other; those of several lines do not.
            loop {
                let group: [Option<[isize; 2]>; TOGETHER] = std::array::from_fn(|_| walk.next());
                let full = group.iter().all(Option::is_some);
                if full {
                    let group = group.map(Option::unwrap_or_default);
                    let mut states = [start; TOGETHER];
                    for k in 0..lines.len {
                        let k = place(k, lines.len);
                        for (state, [x, y]) in states.iter_mut().zip(group) {
                            // SAFETY: element `k` of a line of each geometry.
                            unsafe {
                                let v = from.ptr().offset(x + k * lines.steps[0]).read();
                                *state = step(*state, v);
                                to.ptr().offset(y + k * lines.steps[1]).write(done(*state));
                            }
                        }
                    }
                    continue;
                }
                for [x, y] in group.into_iter().flatten() {
                    let mut state = start;
                    for k in 0..lines.len {
                        let k = place(k, lines.len);
                        // SAFETY: as above.
                        unsafe {
                            let v = from.ptr().offset(x + k * lines.steps[0]).read();
                            state = step(state, v);
                            to.ptr().offset(y + k * lines.steps[1]).write(done(state));
                        }
                    }
                }
                return;
            }
        });
    };
    let rows = Lines::without([x, y], dim, Some(side));
    let inner = x.sizes()[side] as usize;
    let work = rows.len * inner.min(STRIP);
    rows.for_pieces(inner.div_ceil(STRIP), work, &|walk, piece| {
        let (first, width) = (piece * STRIP, STRIP.min(inner - piece * STRIP));
        for [x, y] in walk {
            compiled::<T, _>(
                #[inline(always)]
                || {
                    let mut states = [start; STRIP];
                    for k in 0..rows.len {
                        let k = place(k, rows.len);
                        // SAFETY: columns `first..first + width` of row `k` of each geometry; a
                        // block is read before it is written.
                        unsafe {
                            let x = from.ptr().offset(x + k * rows.steps[0]).add(first);
                            let y = to.ptr().offset(y + k * rows.steps[1]).add(first);
                            let mut c = 0;
                            while c + LANES <= width {
                                let mut block = x.add(c).cast::<[T; LANES]>().read_unaligned();
                                let states: &mut [A; LANES] = (&mut states[c..c + LANES])
                                    .try_into()
                                    .expect("a block of the strip");
                                for j in 0..LANES {
                                    states[j] = step(states[j], block[j]);
                                    block[j] = done(states[j]);
                                }
                                y.add(c).cast::<[T; LANES]>().write_unaligned(block);
                                c += LANES;
                            }
                            for (c, state) in states.iter_mut().enumerate().take(width).skip(c) {
                                *state = step(*state, x.add(c).read());
                                y.add(c).write(done(*state));
                            }
                        }
                    }
                },
            );
        }
    });
}

/// y_k = b_k + a_k y_{k-1} along `dim`, or from the end with y_{k+1}; what is before the first
/// is 0.
pub fn recur<T: Element>(a: &Tensor, b: &Tensor, dim: usize, from_end: bool, y: &Tensor) {
    let (first, second, to) = (Start::<T>::of(a), Start::<T>::of(b), Start::<T>::of(y));
    each_with::<T, f64>(
        [a, b, y],
        dim,
        from_end,
        0.0,
        // A factor at the first element must not matter, even if it is infinite.
        #[inline(always)]
        |state, at| {
            // SAFETY: `each_with` gives places inside all three.
            unsafe {
                *state = second.ptr().offset(at[1]).read().to_f64();
                to.ptr().offset(at[2]).write(T::from_f64(*state));
            }
        },
        #[inline(always)]
        |state, [a, b, y]| {
            // SAFETY: as above.
            unsafe {
                let a = first.ptr().offset(a).read().to_f64();
                *state = second.ptr().offset(b).read().to_f64() + a * *state;
                to.ptr().offset(y).write(T::from_f64(*state));
            }
        },
    );
}

/// Calls `head` for the first element of each line and `body` for the others, in order, with a
/// state for each line.
fn each_with<T: Element, A: Copy + Send + Sync>(
    tensors: [&Tensor; 3],
    dim: usize,
    from_end: bool,
    start: A,
    head: impl Fn(&mut A, [isize; 3]) + Copy + Sync,
    body: impl Fn(&mut A, [isize; 3]) + Copy + Sync,
) {
    let place = |k: usize, len: usize| if from_end { len - 1 - k } else { k } as isize;
    let side = dense_beside(tensors[0], dim)
        .filter(|&side| tensors.iter().all(|t| t.strides()[side] == 1));
    let Some(side) = side else {
        let lines = Lines::new(tensors, dim);
        return lines.for_ranges(lines.len, &|walk| {
            for offsets in walk {
                let mut state = start;
                for k in 0..lines.len {
                    let k_th = place(k, lines.len);
                    let at = std::array::from_fn(|t| offsets[t] + k_th * lines.steps[t]);
                    if k == 0 {
                        head(&mut state, at);
                    } else {
                        body(&mut state, at);
                    }
                }
            }
        });
    };
    let rows = Lines::without(tensors, dim, Some(side));
    let inner = tensors[0].sizes()[side] as usize;
    let work = rows.len * inner.min(STRIP);
    rows.for_pieces(inner.div_ceil(STRIP), work, &|walk, piece| {
        let (first, width) = (piece * STRIP, STRIP.min(inner - piece * STRIP));
        for offsets in walk {
            compiled::<T, _>(
                #[inline(always)]
                || {
                    let mut states = [start; STRIP];
                    for k in 0..rows.len {
                        let k_th = place(k, rows.len);
                        let row: [isize; 3] = std::array::from_fn(|t| {
                            offsets[t] + k_th * rows.steps[t] + first as isize
                        });
                        for (j, state) in states.iter_mut().enumerate().take(width) {
                            let at = row.map(|offset| offset + j as isize);
                            if k == 0 {
                                head(state, at);
                            } else {
                                body(state, at);
                            }
                        }
                    }
                },
            );
        }
    });
}
