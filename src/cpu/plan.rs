//! How a loop walks several tensors of one size: dimensions merged, rows handed to threads.

use super::pool;
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Work smaller than this stays on one thread.
pub const GRAIN: usize = 32 * 1024;

/// Runs `body` over `0..count` in ranges of `grain`, on threads.
pub fn spread(count: usize, grain: usize, body: &(dyn Fn(std::ops::Range<usize>) + Sync)) {
    pool::run(count.div_ceil(grain), |i| {
        body(i * grain..count.min((i + 1) * grain))
    });
}

/// A walk over `N` operands: few merged dimensions, outermost first.
pub struct Plan<const N: usize> {
    sizes: SmallVec<[usize; 4]>,
    strides: SmallVec<[[isize; N]; 4]>,
}

/// A run of elements along the innermost dimension: the offset of each operand's first element.
#[derive(Clone, Copy)]
pub struct Row<const N: usize> {
    pub offsets: [isize; N],
    pub steps: [isize; N],
    pub len: usize,
}

impl<const N: usize> Plan<N> {
    /// A walk over tensors of equal sizes, in row-major order.
    pub fn new(tensors: [&Tensor; N]) -> Plan<N> {
        Plan::over(tensors[0].sizes(), tensors.map(Tensor::strides))
    }

    /// A walk over `sizes` with these strides.
    pub fn over(sizes: &[i64], strides: [&[i64]; N]) -> Plan<N> {
        let mut plan = Plan {
            sizes: SmallVec::new(),
            strides: SmallVec::new(),
        };
        for d in 0..sizes.len() {
            let size = sizes[d] as usize;
            let steps: [isize; N] = std::array::from_fn(|k| strides[k][d] as isize);
            match (plan.sizes.last_mut(), plan.strides.last_mut()) {
                _ if size == 1 => {}
                // The outer dimension steps over exactly one inner one: they are one dimension.
                (Some(outer), Some(wide))
                    if (0..N).all(|k| wide[k] == steps[k] * size as isize) =>
                {
                    *outer *= size;
                    *wide = steps;
                }
                _ => {
                    plan.sizes.push(size);
                    plan.strides.push(steps);
                }
            }
        }
        if plan.sizes.is_empty() {
            plan.sizes.push(if sizes.is_empty() { 0 } else { 1 });
            plan.strides.push([1; N]);
        }
        plan
    }

    /// Sizes and strides of the merged dimensions, outermost first.
    pub fn parts(&self) -> (&[usize], &[[isize; N]]) {
        (&self.sizes, &self.strides)
    }

    /// The number of elements.
    pub fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Calls `each` once for every row, spread over threads when there is enough work. Rows may
    /// arrive in any order and the innermost dimension may come in pieces.
    pub fn for_rows(&self, each: &(dyn Fn(Row<N>) + Sync)) {
        self.for_rows_of(1, each);
    }

    /// As [`Plan::for_rows`], where each element stands for `work` of them.
    pub fn for_rows_of(&self, work: usize, each: &(dyn Fn(Row<N>) + Sync)) {
        let grain = (GRAIN / work.max(1)).max(1);
        let last = self.sizes.len() - 1;
        let (inner, steps) = (self.sizes[last], self.strides[last]);
        let outer: usize = self.sizes[..last].iter().product();
        if inner == 0 || outer == 0 {
            return;
        }
        if outer == 1 {
            let run = |from: usize, len| {
                each(Row {
                    offsets: std::array::from_fn(|k| from as isize * steps[k]),
                    steps,
                    len,
                })
            };
            if inner < 2 * grain {
                return run(0, inner);
            }
            return spread(inner, grain, &|range| run(range.start, range.len()));
        }
        let rows = |range: std::ops::Range<usize>| {
            let mut at: SmallVec<[usize; 4]> = SmallVec::from_elem(0, last);
            let mut rest = range.start;
            for d in (0..last).rev() {
                at[d] = rest % self.sizes[d];
                rest /= self.sizes[d];
            }
            let mut offsets: [isize; N] = std::array::from_fn(|k| {
                (0..last).map(|d| at[d] as isize * self.strides[d][k]).sum()
            });
            for _ in range {
                each(Row {
                    offsets,
                    steps,
                    len: inner,
                });
                for d in (0..last).rev() {
                    at[d] += 1;
                    for (offset, step) in offsets.iter_mut().zip(self.strides[d]) {
                        *offset += step;
                    }
                    if at[d] < self.sizes[d] {
                        break;
                    }
                    at[d] = 0;
                    for (offset, step) in offsets.iter_mut().zip(self.strides[d]) {
                        *offset -= step * self.sizes[d] as isize;
                    }
                }
            }
        };
        if inner * outer < 2 * grain {
            return rows(0..outer);
        }
        spread(outer, (grain / inner).max(1), &rows);
    }
}
