//! What several index tensors name together: the rows of `x[a, b]` and `x[a, b] = value`.

use super::Op;
use super::copy::{contiguous_copy, copy_into};
use super::device;
use super::index::{gathered, long, scatter_with, select_rows};
use crate::error::Result;
use crate::fail;
use crate::tensor::{Dims, Tensor, sizes_text};

ops! {
    /// What index tensors name: the `span[1]` dimensions from `span[0]` on of `x` in `order` give way to `shape`.
    /// `index` holds, row by row, places in those dimensions together.
    : fn pick(x; order: Dims, span: Dims, index: Tensor, shape: Dims) -> (y): Any named "__getitem__" as "IndexBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        forward(out) = Places::new(&order, &span, &index, &shape).read(x)?;
        grad x = |g| unpick(g, back.clone(), order.clone(), span.clone(), index.clone(), shape.clone())?, "g added up where the index took it from";
        try [
            (sample(&[4, 3]); [0, 1], [0, 2], longs(&[11, 0, 4, 0], &[4]), [2, 2]),
            (sample(&[2, 3, 2]); [0, 1, 2], [1, 1], longs(&[2, 0, 2], &[3]), [3]),
            (sample(&[2, 3, 2]); [0, 2, 1], [0, 2], longs(&[3, 0], &[2]), [2, 1]),
        ];
    }
    /// Zeros of `sizes` with the elements of g added where `pick` took them.
    : fn unpick(g; sizes: Dims, order: Dims, span: Dims, index: Tensor, shape: Dims) -> (x): Number named "__getitem__" as "IndexBackwardBackward" {
        sized sizes;
        forward(out) = {
            let x = device::zeros("index", g.dtype(), g.device(), &sizes)?;
            Places::new(&order, &span, &index, &shape).write(&x, g, true)?;
            x
        };
        grad g = |h| pick(h, order.clone(), span.clone(), index.clone(), shape.clone())?, "h at the index";
        try [
            (sample(&[2, 2]); [4, 3], [0, 1], [0, 2], longs(&[11, 0, 4, 0], &[4]), [2, 2]),
            (sample(&[2, 3]); [2, 3, 2], [0, 2, 1], [0, 2], longs(&[3, 3], &[2]), [2]),
        ];
    }
    /// `x` with `part` written where `pick` takes elements from.
    : fn put(x, part; order: Dims, span: Dims, index: Tensor, shape: Dims) -> (y): Any named "__setitem__" as "IndexPutBackward" {
        let own: Dims = Dims::from_slice(x.sizes());
        sized own;
        forward(out) = {
            let y = contiguous_copy(x)?;
            Places::new(&order, &span, &index, &shape).write(&y, part, false)?;
            y
        };
        grad x = |g| {
            let sizes = Places::new(&order, &span, &index, &shape).sizes(g.sizes())?;
            let blank = crate::ops::shape::zeros_like(g, &[1])?.tensor.expand(&sizes)?;
            put(g, &blank.into(), order.clone(), span.clone(), index.clone(), shape.clone())?
        }, "g, 0 at the index";
        grad part = |g| pick(g, order.clone(), span.clone(), index.clone(), shape.clone())?, "g at the index";
        try [
            (sample(&[4, 3]), sample(&[2, 2]); [0, 1], [0, 2], longs(&[11, 0, 4, 1], &[4]), [2, 2]),
            (sample(&[2, 3, 2]), sample(&[2, 2, 2]); [0, 1, 2], [1, 1], longs(&[2, 0], &[2]), [2]),
        ];
    }
}

/// Where index tensors lead in a tensor whose dimensions stand in `order`: `index`, a vector, counts
/// places in the `span[1]` dimensions from `span[0]` on as if they were one; those give way to `shape`.
struct Places<'a> {
    order: &'a [i64],
    at: usize,
    count: usize,
    index: &'a Tensor,
    shape: &'a [i64],
}

/// From so many elements in a row on, copying whole rows is faster than walking single elements.
const LONG_ROW: i64 = 16;

impl<'a> Places<'a> {
    fn new(order: &'a [i64], span: &'a [i64], index: &'a Tensor, shape: &'a [i64]) -> Places<'a> {
        Places {
            order,
            at: span[0] as usize,
            count: span[1] as usize,
            index,
            shape,
        }
    }

    /// Sizes of what they name in a tensor of `sizes`.
    fn sizes(&self, sizes: &[i64]) -> Result<Dims> {
        if self.order.len() != sizes.len() || self.at + self.count > sizes.len() {
            fail!(
                Runtime,
                "index: places in {} dimensions were asked of a tensor of size {}",
                self.order.len(),
                sizes_text(sizes)
            );
        }
        let turned = self.order.iter().map(|&d| sizes[d as usize]);
        let mut out: Dims = turned.clone().take(self.at).collect();
        out.extend_from_slice(self.shape);
        out.extend(turned.skip(self.at + self.count));
        Ok(out)
    }

    /// Sizes of `turned`, a tensor in order, as three: before, in and behind the span.
    fn folded(&self, turned: &Tensor) -> [i64; 3] {
        let (before, rest) = turned.sizes().split_at(self.at);
        let (inside, behind) = rest.split_at(self.count);
        [before, inside, behind].map(|sizes| sizes.iter().product())
    }

    /// The index, repeated over what lies before and behind the span.
    fn wide(&self, [before, _, behind]: [i64; 3]) -> Result<Tensor> {
        let n = self.index.numel() as i64;
        self.index
            .view_or_copy(&[1, n, 1])?
            .expand(&[before, n, behind])
    }

    fn read(&self, x: &Tensor) -> Result<Tensor> {
        let sizes = self.sizes(x.sizes())?;
        let turned = x.permute(self.order)?;
        let folded = self.folded(&turned);
        let flat = turned.view_or_copy(&folded)?;
        let y = if folded[2] >= LONG_ROW {
            select_rows(&flat, 1, self.index)?
        } else {
            gathered(&flat, 1, &self.wide(folded)?)?
        };
        y.view(&sizes)
    }

    fn write(&self, y: &Tensor, part: &Tensor, add: bool) -> Result<()> {
        let sizes = self.sizes(y.sizes())?;
        let turned = y.permute(self.order)?;
        let folded = self.folded(&turned);
        let wide = self.wide(folded)?;
        if part.sizes() != sizes.as_slice() {
            fail!(
                Runtime,
                "index: a part of size {} does not fit the places of size {}",
                sizes_text(part.sizes()),
                sizes_text(&sizes)
            );
        }
        let part = part.view_or_copy(wide.sizes())?;
        let part = if part.shares_memory(y) {
            contiguous_copy(&part)?
        } else {
            part
        };
        if turned.is_contiguous() {
            return scatter_with(&turned.view(&folded)?, 1, &wide, &part, add);
        }
        let copy = contiguous_copy(&turned)?;
        scatter_with(&copy.view(&folded)?, 1, &wide, &part, add)?;
        copy_into(&turned, &copy)
    }
}

/// Sizes of what [`pick`] gives for a tensor of `sizes`.
pub fn picked_sizes(
    sizes: &[i64],
    order: &[i64],
    span: &[i64],
    index: &Tensor,
    shape: &[i64],
) -> Result<Dims> {
    Places::new(order, span, index, shape).sizes(sizes)
}

/// Writes `part` into `y` where [`pick`] takes elements from, without recording.
pub fn put_raw(
    y: &Tensor,
    part: &Tensor,
    order: &[i64],
    span: &[i64],
    index: &Tensor,
    shape: &[i64],
) -> Result<()> {
    long("index", index, y)?;
    Places::new(order, span, index, shape).write(y, part, false)
}
