//! Views: other geometries on the same memory. Nothing here copies an element.

use super::dims::{self, Dims, sizes_text, wrap_dim};
use super::dtype::class_name;
use super::storage::{Layout, Tensor};
use crate::error::Result;
use crate::fail;

impl Tensor {
    /// Names the memory: views of one root share it.
    pub fn memory_id(&self) -> usize {
        self.memory_root().family()
    }

    /// Names the family: where its in-place changes are counted.
    pub fn family(&self) -> usize {
        std::ptr::from_ref(self.counter()).addr()
    }

    /// How many elements of memory lie from its first element to its last; 0 when it has none.
    pub fn reach(&self) -> usize {
        let steps = self.sizes().iter().zip(self.strides());
        let last: i64 = steps.map(|(size, stride)| (size - 1) * stride).sum();
        if self.numel() == 0 {
            0
        } else {
            last as usize + 1
        }
    }

    /// Whether this has no gaps and every element of `part`, of which there are some, is one of its.
    pub fn covers(&self, part: &Tensor) -> bool {
        let ends = |t: &Tensor| (t.offset(), t.offset() + t.reach());
        let ((from, until), (first, end)) = (ends(self), ends(part));
        self.memory_id() == part.memory_id()
            && self.kind() == part.kind()
            && part.numel() > 0
            && self.reach() == self.numel()
            && (from <= first && end <= until)
    }

    /// Whether `other` has its class, place and sizes.
    pub fn is_like(&self, other: &Tensor) -> bool {
        self.kind() == other.kind() && self.sizes() == other.sizes()
    }

    /// Class and sizes for a sentence: `torch.FloatTensor of size 2 x 3`.
    pub fn described(&self) -> String {
        let class = class_name(self.dtype(), self.device());
        format!("{class} of size {}", sizes_text(self.sizes()))
    }

    fn layout(&self) -> Layout {
        Layout {
            sizes: Dims::from_slice(self.sizes()),
            strides: Dims::from_slice(self.strides()),
            offset: self.offset(),
        }
    }

    /// The same tensor as a new object.
    pub fn alias(&self) -> Tensor {
        self.with_layout(self.layout())
            .expect("the geometry was checked before")
    }

    /// Any geometry on the same memory, counted in elements from the start of the storage.
    ///
    /// # Errors
    /// `RuntimeError` when it reaches outside, or strides are negative or of another count.
    pub fn as_strided(&self, sizes: &[i64], strides: &[i64], offset: i64) -> Result<Tensor> {
        dims::count("as_strided", sizes)?;
        if sizes.len() != strides.len() || strides.iter().any(|&s| s < 0) || offset < 0 {
            fail!(
                Runtime,
                "as_strided: needs one non-negative stride for each size and a non-negative offset; got {sizes:?}, {strides:?} and {offset}"
            );
        }
        let layout = Layout {
            sizes: Dims::from_slice(sizes),
            strides: Dims::from_slice(strides),
            offset: offset as usize,
        };
        self.with_layout(layout)
    }

    /// Swaps two dimensions.
    pub fn transpose(&self, a: i64, b: i64) -> Result<Tensor> {
        let (a, b) = (
            wrap_dim("transpose", a, self.ndim())?,
            wrap_dim("transpose", b, self.ndim())?,
        );
        let mut layout = self.layout();
        layout.sizes.swap(a, b);
        layout.strides.swap(a, b);
        self.with_layout(layout)
    }

    /// Swaps the dimensions of a matrix.
    pub fn t(&self) -> Result<Tensor> {
        if self.ndim() != 2 {
            fail!(
                Runtime,
                "t: needs a matrix (2 dimensions); got {} ({} dimensions); use transpose(dim0, dim1)",
                sizes_text(self.sizes()),
                self.ndim()
            );
        }
        self.transpose(0, 1)
    }

    /// Reorders dimensions.
    pub fn permute(&self, order: &[i64]) -> Result<Tensor> {
        let n = self.ndim() as i64;
        let invalid = |what: String| {
            crate::error::Error::Assertion(format!(
                "permute: Invalid permutation: {what}; got {order:?} for {}",
                sizes_text(self.sizes())
            ))
        };
        if order.len() != self.ndim() {
            return Err(invalid(format!("each of the {n} dimensions is named once")));
        }
        let mut layout = self.layout();
        let mut seen = vec![false; self.ndim()];
        for (i, &d) in order.iter().enumerate() {
            if d < -n || d >= n {
                return Err(invalid(format!("there is no dimension {d}")));
            }
            let d = (if d < 0 { d + n } else { d }) as usize;
            if std::mem::replace(&mut seen[d], true) {
                return Err(invalid(format!("dimension {d} is named twice")));
            }
            layout.sizes[i] = self.sizes()[d];
            layout.strides[i] = self.strides()[d];
        }
        self.with_layout(layout)
    }

    /// `length` slices of dimension `dim` from `start`.
    ///
    /// # Errors
    /// `RuntimeError` outside the dimension or when nothing would remain.
    pub fn narrow(&self, dim: i64, start: i64, length: i64) -> Result<Tensor> {
        let d = wrap_dim("narrow", dim, self.ndim())?;
        let size = self.sizes()[d];
        if length < 1 || start < 0 || start > size || length > size - start {
            fail!(
                Runtime,
                "narrow: {length} elements from {start} do not fit dimension {d} of size {size} (of {})",
                sizes_text(self.sizes())
            );
        }
        let mut layout = self.layout();
        layout.sizes[d] = length;
        layout.offset += (start * self.strides()[d]) as usize;
        self.with_layout(layout)
    }

    /// Every `step`-th slice of dimension `dim` from `start`, `length` of them.
    pub fn stepped(&self, dim: usize, start: i64, length: i64, step: i64) -> Result<Tensor> {
        let mut layout = self.layout();
        let size = layout.sizes[dim];
        if length < 0
            || step < 1
            || start < 0
            || (length > 0 && start + (length - 1) * step >= size)
        {
            fail!(
                Runtime,
                "slice: {length} elements from {start} by {step} do not fit a dimension of size {size}"
            );
        }
        layout.sizes[dim] = length;
        layout.offset += (start * layout.strides[dim]) as usize;
        layout.strides[dim] *= step;
        self.with_layout(layout)
    }

    /// The slice `index` of dimension `dim`, without that dimension; one-dimensional tensors keep
    /// size one.
    ///
    /// # Errors
    /// `RuntimeError` when `index` is outside.
    pub fn select(&self, dim: i64, index: i64) -> Result<Tensor> {
        let d = wrap_dim("select", dim, self.ndim())?;
        let size = self.sizes()[d];
        if index < -size || index >= size {
            fail!(
                Runtime,
                "select: index {index} is out of range for dimension {d} of size {size} (of {})",
                sizes_text(self.sizes())
            );
        }
        let index = if index < 0 { index + size } else { index };
        let mut layout = self.layout();
        layout.offset += (index * self.strides()[d]) as usize;
        if self.ndim() == 1 {
            layout.sizes[0] = 1;
        } else {
            layout.sizes.remove(d);
            layout.strides.remove(d);
        }
        self.with_layout(layout)
    }

    /// Inserts a dimension of size one.
    pub fn unsqueeze(&self, dim: i64) -> Result<Tensor> {
        if self.ndim() == 0 {
            fail!(
                Runtime,
                "unsqueeze: an empty tensor has no dimensions to put one beside"
            );
        }
        if self.ndim() == super::MAX_DIMS {
            fail!(
                Runtime,
                "unsqueeze: a tensor of {} dimensions cannot have one more",
                self.ndim()
            );
        }
        let n = self.ndim() as i64;
        if dim < -(n + 1) || dim > n {
            fail!(
                Runtime,
                "unsqueeze: dimension out of range (expected to be in [{}, {n}], but got {dim})",
                -(n + 1)
            );
        }
        let d = (if dim < 0 { dim + n + 1 } else { dim }) as usize;
        let mut layout = self.layout();
        let stride = if d < self.ndim() {
            self.sizes()[d] * self.strides()[d]
        } else {
            1
        };
        layout.sizes.insert(d, 1);
        layout.strides.insert(d, stride);
        self.with_layout(layout)
    }

    /// Drops dimension `dim` if its size is one; never the last that is left.
    pub fn squeeze_dim(&self, dim: i64) -> Result<Tensor> {
        let d = wrap_dim("squeeze", dim, self.ndim())?;
        let mut layout = self.layout();
        if self.sizes()[d] == 1 && self.ndim() > 1 {
            layout.sizes.remove(d);
            layout.strides.remove(d);
        }
        self.with_layout(layout)
    }

    /// Drops all dimensions of size one, keeping at least one.
    pub fn squeeze(&self) -> Result<Tensor> {
        let mut layout = self.layout();
        let kept: Vec<usize> = (0..self.ndim()).filter(|&d| self.sizes()[d] != 1).collect();
        layout.sizes = kept.iter().map(|&d| self.sizes()[d]).collect();
        layout.strides = kept.iter().map(|&d| self.strides()[d]).collect();
        if kept.is_empty() && self.ndim() > 0 {
            layout.sizes.push(1);
            layout.strides.push(1);
        }
        self.with_layout(layout)
    }

    /// Repeats dimensions of size one without copying; `-1` keeps a size (T-40).
    ///
    /// # Errors
    /// `RuntimeError` where a size other than one would change.
    pub fn expand(&self, to: &[i64]) -> Result<Tensor> {
        let (have, n) = (self.sizes(), self.ndim());
        if n == 0 {
            fail!(
                Runtime,
                "expand: can't expand an empty tensor; wanted {}",
                sizes_text(to)
            );
        }
        if to.len() < n {
            fail!(
                Runtime,
                "expand: {} has more dimensions than the {} asked for ({})",
                sizes_text(have),
                to.len(),
                sizes_text(to)
            );
        }
        let lead = to.len() - n;
        let mut layout = Layout {
            sizes: Dims::new(),
            strides: Dims::new(),
            offset: self.offset(),
        };
        for (i, &want) in to.iter().enumerate() {
            let (size, stride) = if i < lead {
                (1, 0)
            } else {
                (have[i - lead], self.strides()[i - lead])
            };
            let (new_size, new_stride) = match want {
                -1 if i >= lead => (size, stride),
                w if w == size => (size, stride),
                w if size == 1 && w > 0 => (w, 0),
                w => fail!(
                    Runtime,
                    "expand: a dimension of size {size} cannot become {w} (only size 1 repeats); got {}, wanted {}",
                    sizes_text(have),
                    sizes_text(to)
                ),
            };
            layout.sizes.push(new_size);
            layout.strides.push(new_stride);
        }
        dims::count("expand", &layout.sizes)?;
        self.with_layout(layout)
    }

    /// The same elements in other sizes; one of them may be `-1` (T-38).
    ///
    /// # Errors
    /// `RuntimeError` for non-contiguous tensors, other element counts and two unknown sizes.
    pub fn view(&self, sizes: &[i64]) -> Result<Tensor> {
        let sizes = infer(self.numel(), sizes)?;
        if !self.is_contiguous() {
            fail!(
                Runtime,
                "view: {} is not contiguous (strides {:?}); call contiguous() first",
                sizes_text(self.sizes()),
                self.strides()
            );
        }
        self.with_layout(Layout {
            offset: self.offset(),
            ..Layout::row_major(&sizes)
        })
    }
}

/// `sizes` with its `-1` worked out from `count` elements.
pub fn infer(count: usize, sizes: &[i64]) -> Result<Dims> {
    let mut out = Dims::from_slice(sizes);
    let unknown: Vec<usize> = (0..sizes.len()).filter(|&i| sizes[i] == -1).collect();
    if unknown.len() > 1 {
        fail!(
            Runtime,
            "view: only one size can be inferred; got -1 {} times in {sizes:?}",
            unknown.len()
        );
    }
    if let Some(&i) = unknown.first() {
        out[i] = 1;
        let rest = dims::count("view", &out)?;
        if rest == 0 || !count.is_multiple_of(rest) {
            fail!(Runtime, "view: size {sizes:?} cannot hold {count} elements");
        }
        out[i] = (count / rest) as i64;
    }
    if dims::count("view", &out)? != count {
        fail!(
            Runtime,
            "view: size {} does not hold exactly {count} elements",
            sizes_text(sizes)
        );
    }
    Ok(out)
}
