//! The lines of a tensor along one dimension, walked without a division for each of them.

use super::plan::{GRAIN, spread};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// The lines of `N` tensors along one dimension; in every other dimension their sizes are equal.
pub struct Lines<const N: usize> {
    sizes: SmallVec<[usize; 4]>,
    strides: SmallVec<[[isize; N]; 4]>,
    /// Elements in a line of the first tensor.
    pub len: usize,
    /// The step from one element of a line to the next, for each tensor.
    pub steps: [isize; N],
    /// The number of lines.
    pub outer: usize,
}

impl<const N: usize> Lines<N> {
    /// The lines along `dim`.
    pub fn new(tensors: [&Tensor; N], dim: usize) -> Lines<N> {
        Lines::without(tensors, dim, None)
    }

    /// The lines along `dim`, only those with index 0 in dimension `skip`.
    pub fn without(tensors: [&Tensor; N], dim: usize, skip: Option<usize>) -> Lines<N> {
        let x = tensors[0];
        let mut lines = Lines {
            sizes: SmallVec::new(),
            strides: SmallVec::new(),
            len: x.sizes()[dim] as usize,
            steps: tensors.map(|t| t.strides()[dim] as isize),
            outer: 1,
        };
        for d in (0..x.ndim()).filter(|&d| d != dim && Some(d) != skip) {
            let size = x.sizes()[d] as usize;
            let steps = tensors.map(|t| t.strides()[d] as isize);
            lines.outer *= size;
            if size == 1 {
                continue;
            }
            match (lines.sizes.last_mut(), lines.strides.last_mut()) {
                // The outer dimension steps over exactly one inner one: they are one dimension.
                (Some(outer), Some(wide))
                    if (0..N).all(|k| wide[k] == steps[k] * size as isize) =>
                {
                    *outer *= size;
                    *wide = steps;
                }
                _ => {
                    lines.sizes.push(size);
                    lines.strides.push(steps);
                }
            }
        }
        lines
    }

    /// Hands ranges of lines to threads when there is work; `work` is the cost of one in elements.
    pub fn for_ranges(&self, work: usize, body: &(dyn Fn(Walk<'_, N>) + Sync)) {
        self.for_pieces(1, work, &|walk, _| body(walk));
    }

    /// As [`Lines::for_ranges`], but each line comes in `pieces` of that cost, in any order.
    pub fn for_pieces(
        &self,
        pieces: usize,
        work: usize,
        body: &(dyn Fn(Walk<'_, N>, usize) + Sync),
    ) {
        let work = work.max(1);
        if pieces > 1 {
            let each = |range: std::ops::Range<usize>| {
                for i in range {
                    let line = i / pieces;
                    body(self.walk(line..line + 1), i % pieces);
                }
            };
            let count = self.outer * pieces;
            return match count * work < 2 * GRAIN {
                true => each(0..count),
                false => spread(count, (GRAIN / work).max(1), &each),
            };
        }
        if self.outer * work < 2 * GRAIN {
            return body(self.walk(0..self.outer), 0);
        }
        spread(self.outer, (GRAIN / work).max(1), &|range| {
            body(self.walk(range), 0);
        });
    }

    /// Walks the lines of `range`.
    pub fn walk(&self, range: std::ops::Range<usize>) -> Walk<'_, N> {
        let mut at: SmallVec<[usize; 4]> = SmallVec::from_elem(0, self.sizes.len());
        let mut offsets = [0; N];
        let mut rest = range.start;
        for d in (0..self.sizes.len()).rev() {
            at[d] = rest % self.sizes[d];
            rest /= self.sizes[d];
            for (offset, step) in offsets.iter_mut().zip(self.strides[d]) {
                *offset += at[d] as isize * step;
            }
        }
        Walk {
            lines: self,
            at,
            offsets,
            next: range.start,
            end: range.end,
        }
    }
}

/// An iterator over lines: where each begins in each tensor.
pub struct Walk<'a, const N: usize> {
    lines: &'a Lines<N>,
    at: SmallVec<[usize; 4]>,
    offsets: [isize; N],
    next: usize,
    end: usize,
}

impl<const N: usize> Walk<'_, N> {
    /// The number of the line that comes next.
    pub fn index(&self) -> usize {
        self.next
    }
}

impl<const N: usize> Iterator for Walk<'_, N> {
    type Item = [isize; N];

    #[inline(always)]
    fn next(&mut self) -> Option<[isize; N]> {
        if self.next >= self.end {
            return None;
        }
        self.next += 1;
        let here = self.offsets;
        for d in (0..self.at.len()).rev() {
            self.at[d] += 1;
            let steps = &self.lines.strides[d];
            if self.at[d] < self.lines.sizes[d] {
                for (offset, step) in self.offsets.iter_mut().zip(steps) {
                    *offset += step;
                }
                break;
            }
            self.at[d] = 0;
            let back = self.lines.sizes[d] as isize - 1;
            for (offset, step) in self.offsets.iter_mut().zip(steps) {
                *offset -= step * back;
            }
        }
        Some(here)
    }
}

/// A dimension other than `dim` along which `x` is dense, when `dim` itself is not: there,
/// neighbours in memory are worked on side by side.
pub fn dense_beside(x: &Tensor, dim: usize) -> Option<usize> {
    if x.strides()[dim] == 1 || x.sizes()[dim] == 1 {
        return None;
    }
    (0..x.ndim()).find(|&d| d != dim && x.strides()[d] == 1 && x.sizes()[d] > 1)
}
