//! What the machine works on: strided operands, their checks, and how dimensions are collapsed.

use super::Buffer;
use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, sizes_text};
use smallvec::SmallVec;

/// A strided view of a buffer, counted in elements.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    pub buffer: &'a Buffer,
    pub dtype: DType,
    pub sizes: &'a [i64],
    pub strides: &'a [i64],
    pub offset: usize,
}

/// A formula of WGSL for one element, with the names it uses.
#[derive(Clone, Copy)]
pub struct Formula<'a> {
    /// The op, for messages.
    pub op: &'a str,
    /// What the operands are called in `expr`, in order.
    pub names: &'a [&'a str],
    /// What the numbers are called in `expr`, in order.
    pub params: &'a [&'a str],
    /// An expression; comparisons may be bare, they become 0 and 1.
    pub expr: &'a str,
}

impl<'a> Formula<'a> {
    /// A formula over `a`, `b`, `c` and `p0` to `p3`.
    pub const fn new(op: &'a str, expr: &'a str) -> Self {
        Formula {
            op,
            names: &["a", "b", "c"],
            params: &["p0", "p1", "p2", "p3"],
            expr,
        }
    }
}

/// A number given to a formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    F32(f32),
    I32(i32),
}

impl From<f32> for Scalar {
    fn from(v: f32) -> Scalar {
        Scalar::F32(v)
    }
}

impl Scalar {
    /// The bits that a kernel gets.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels ask"))]
    pub(super) fn bits(self) -> u32 {
        match self {
            Scalar::F32(v) => v.to_bits(),
            Scalar::I32(v) => v as u32,
        }
    }

    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels ask"))]
    pub(super) fn is_zero(self) -> bool {
        matches!(self, Scalar::F32(0.0) | Scalar::I32(0))
    }
}

/// A row of the op table, as the list of shaders wants it.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    pub formula: Formula<'a>,
    pub inputs: &'a [DType],
    /// Of each number, whether it is a float.
    pub floats: &'a [bool],
    pub out: DType,
}

/// How a fold joins two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reduce {
    Sum,
    Prod,
    Max,
    Min,
}

/// Which extreme a fold with places looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Pick {
    Max,
    Min,
}

/// What is known of an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    pub driver: String,
    /// Whether it is a program on the CPU; such adapters count only with `RGRAD_GPU=software`.
    pub is_software: bool,
}

/// Live objects and work so far, for tests and reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Buffers in use by tensors.
    pub live_buffers: usize,
    /// Bytes of the buffers in use.
    pub live_bytes: u64,
    /// Buffers waiting in the pool.
    pub free_buffers: usize,
    /// Bytes waiting in the pool.
    pub free_bytes: u64,
    /// Bind groups in the cache.
    pub bind_groups: usize,
    /// Compiled pipelines.
    pub pipelines: usize,
    /// Dispatches so far.
    pub dispatches: u64,
    /// Submits so far.
    pub submits: u64,
    /// How often the host has waited, to read something or for all work.
    pub waits: u64,
}

impl Operand<'_> {
    /// The number of elements.
    pub fn count(&self) -> usize {
        if self.sizes.is_empty() {
            return 0;
        }
        self.sizes.iter().product::<i64>() as usize
    }

    /// First and last byte that the elements touch, widened to words.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels ask"))]
    pub(super) fn span(&self) -> (u64, u64) {
        let reach: i64 = self
            .sizes
            .iter()
            .zip(self.strides)
            .map(|(&n, &s)| (n - 1).max(0) * s)
            .sum();
        let bytes = self.dtype.bytes() as u64;
        let first = self.offset as u64 * bytes;
        let last = (self.offset as u64 + reach as u64 + 1) * bytes;
        (first & !3, (last + 3) & !3)
    }

    /// Whether both name the same elements in the same order.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels ask"))]
    pub(super) fn is_same(&self, other: &Operand) -> bool {
        self.offset == other.offset
            && self.dtype == other.dtype
            && self.sizes == other.sizes
            && (0..self.sizes.len())
                .all(|d| self.sizes[d] == 1 || self.strides[d] == other.strides[d])
    }

    /// Fails unless every element lies inside the buffer: kernels run without checks of their own.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels ask"))]
    pub(super) fn check(&self, op: &str, name: &str) -> Result<()> {
        if !matches!(self.dtype, DType::U8 | DType::I32 | DType::I64 | DType::F32) {
            fail!(
                Type,
                "{op}: torch.cuda.{}Tensor has no kernel on the GPU (Byte, Int, Long and Float have); convert {name} first or move it with .cpu()",
                self.dtype.name()
            );
        }
        if self.sizes.len() != self.strides.len() {
            fail!(
                Runtime,
                "{op}: {name} has {} sizes but {} strides",
                self.sizes.len(),
                self.strides.len()
            );
        }
        let mut reach: i64 = 0;
        for (&size, &stride) in self.sizes.iter().zip(self.strides) {
            let step = (size - 1).max(0).checked_mul(stride);
            match step.and_then(|s| reach.checked_add(s)) {
                Some(r) if size >= 0 && stride >= 0 => reach = r,
                _ => fail!(
                    Runtime,
                    "{op}: {name} of {} has a size or stride that cannot be",
                    sizes_text(self.sizes)
                ),
            }
        }
        let end = (reach as u64)
            .saturating_add(self.offset as u64)
            .saturating_add(1);
        if self.count() > 0
            && end.saturating_mul(self.dtype.bytes() as u64) > self.buffer.bytes() as u64
        {
            fail!(
                Runtime,
                "{op}: {name} of {} reaches element {end}, but its buffer holds {}",
                sizes_text(self.sizes),
                self.buffer.bytes() / self.dtype.bytes()
            );
        }
        Ok(())
    }
}

/// Dimensions that a kernel walks, innermost first; the strides are of up to four operands.
#[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels ask"))]
pub(super) type Loops = SmallVec<[(i64, [i64; 4]); 8]>;

/// The dimensions of `sizes` with size one left out and neighbours merged.
///
/// `strides` gives each operand's strides (`None` walks nowhere). With `order` dimensions are first
/// sorted so that the last operand moves through memory in order; the numbering of elements changes
/// with that.
#[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only kernels ask"))]
pub(super) fn collapse(sizes: &[i64], strides: [Option<&[i64]>; 4], order: bool) -> Loops {
    let at = |d: usize| {
        let mut row = [0; 4];
        for (slot, s) in row.iter_mut().zip(&strides) {
            *slot = s.map_or(0, |s| s[d]);
        }
        row
    };
    let mut loops: Loops = (0..sizes.len())
        .rev()
        .filter(|&d| sizes[d] != 1)
        .map(|d| (sizes[d], at(d)))
        .collect();
    if order && loops.len() > 1 && !loops.is_sorted_by_key(|l| l.1[3]) {
        loops.sort_by_key(|l| l.1[3]);
    }
    loops.dedup_by(|outer, inner| {
        let merges = (0..4).all(|o| outer.1[o] == inner.1[o] * inner.0);
        if merges {
            inner.0 *= outer.0;
        }
        merges
    });
    loops
}
