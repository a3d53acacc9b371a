//! `x[index]` and `x[index] = value`, for raw tensors and for Variables.
//!
//! Three steps: `parse` reads the Python object into items, `place` holds the items against the
//! sizes and makes an [`Index`], `read` and `assign` follow it. Whatever is refused is refused in
//! the first two, before an element is touched.

mod assign;
mod object;
mod parse;
mod place;
mod read;

pub use assign::{Given, given, set, set_var};
pub use object::{raw_get, raw_set, together, var_get, var_set};
pub use parse::parse;
pub use read::{get, get_var};

use crate::tensor::{Dims, Tensor};

/// The op's name in messages.
const OP: &str = "index";

/// Whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Tensors of the release (T-60 to T-68): numbers from vectors, no empty slices.
    Raw,
    /// NumPy's, which later Variables took over: every index beside every other.
    Variable,
}

/// An index that fits a tensor of certain sizes.
#[derive(Debug, Clone)]
pub enum Index {
    /// A walk for [`crate::ops::shape::walk`]; `number` when Python gets an element and no tensor.
    Basic { steps: Dims, number: bool },
    /// No element at all; sizes as NumPy counts them, with a zero.
    Nothing(Dims),
    /// Where a ByteTensor is one.
    Mask(Tensor),
    /// After a walk, slices along `dim` in the order of the LongTensor vector `index`.
    Rows {
        steps: Dims,
        dim: usize,
        index: Tensor,
    },
    /// After a walk, the places that several index tensors name together.
    Places { steps: Dims, places: Places },
}

/// The arguments of [`crate::ops::index::pick`].
#[derive(Debug, Clone)]
pub struct Places {
    pub order: Dims,
    pub span: Dims,
    pub index: Tensor,
    pub shape: Dims,
}

impl Index {
    /// Whether Python gets the one element as a number (T-39, T-60).
    pub fn is_number(&self) -> bool {
        matches!(self, Index::Basic { number: true, .. })
    }
}
