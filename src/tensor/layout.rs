//! The geometry of a tensor, apart from whose memory it is of.

use super::dims::{self, Dims, MAX_DIMS};
use crate::error::Result;
use crate::fail;

/// The geometry of a tensor to build.
pub struct Layout {
    pub sizes: Dims,
    pub strides: Dims,
    pub offset: usize,
}

impl Layout {
    /// Fails for more dimensions than a tensor can have.
    pub(super) fn check(&self) -> Result<()> {
        if self.sizes.len() > MAX_DIMS {
            fail!(
                Runtime,
                "a view with {} dimensions was asked for, {MAX_DIMS} is the most",
                self.sizes.len()
            );
        }
        Ok(())
    }

    /// Row-major from the start of memory.
    pub fn row_major(sizes: &[i64]) -> Layout {
        Layout {
            sizes: Dims::from_slice(sizes),
            strides: dims::row_major(sizes),
            offset: 0,
        }
    }

    /// The last element that can be reached, plus one.
    pub(super) fn end(&self) -> Option<usize> {
        let mut end = self.offset;
        for (&size, &stride) in self.sizes.iter().zip(&self.strides) {
            if size == 0 {
                return Some(self.offset);
            }
            let reach = usize::try_from((size - 1).checked_mul(stride)?).ok()?;
            end = end.checked_add(reach)?;
        }
        end.checked_add(if self.sizes.is_empty() { 0 } else { 1 })
    }
}

/// Sizes, strides, then `rest` words: the first is `last`, the others are zero.
pub(super) struct Words<'a> {
    pub sizes: &'a [i64],
    pub strides: &'a [i64],
    pub last: i64,
    pub rest: usize,
    pub at: usize,
}

impl Words<'_> {
    #[inline(always)]
    fn words(&self) -> usize {
        self.sizes.len() + self.strides.len() + self.rest
    }
}

impl Iterator for Words<'_> {
    type Item = i64;

    #[inline(always)]
    fn next(&mut self) -> Option<i64> {
        let (at, n) = (self.at, self.sizes.len());
        let geometry = n + self.strides.len();
        self.at += 1;
        let value = match at {
            _ if at < n => self.sizes[at],
            _ if at < geometry => self.strides[at - n],
            _ if at == geometry => self.last,
            _ => 0,
        };
        (at < self.words()).then_some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.words() - self.at;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Words<'_> {}
