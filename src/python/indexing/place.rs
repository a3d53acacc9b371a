//! Holds items against sizes. What comes out fits: indices are in range and counted from the front.

use super::parse::wrong_class;
use super::{Index, OP, Places, Rules};
use crate::error::{Error, Result};
use crate::fail;
use crate::ops::copy::as_contiguous;
use crate::ops::device;
use crate::ops::shape::{STEP_NEW, STEP_SELECT, STEP_SLICE};
use crate::tensor::{DType, Device, Dims, Tensor, dims, sizes_text};

/// One part of an index.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Int(i64),
    Slice(Slice),
    New,
    Ellipsis,
    Longs(Longs),
    Mask(Tensor),
    Flag(bool),
}

#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub start: Option<i64>,
    pub stop: Option<i64>,
    pub step: i64,
}

/// Indices in the form of a box.
#[derive(Debug, Clone)]
pub(super) struct Longs {
    pub values: Vec<i64>,
    pub sizes: Dims,
}

impl Longs {
    /// What a LongTensor on any device holds.
    pub fn of(tensor: &Tensor) -> Result<Longs> {
        let flat = as_contiguous(&device::to_cpu(tensor)?)?;
        let values = (0..flat.numel() as i64).map(|i| flat.read(i)).collect();
        let sizes = match tensor.sizes() {
            [] => Dims::from_slice(&[0]),
            sizes => Dims::from_slice(sizes),
        };
        Ok(Longs { values, sizes })
    }

    /// Indices counted from the front.
    fn wrap(&mut self, dim: usize, size: i64, rules: Rules) -> Result<()> {
        for v in &mut self.values {
            if *v < -size || *v >= size {
                let text =
                    format!("{OP}: index {v} is out of range for dimension {dim} of size {size}");
                return Err(match rules {
                    Rules::Raw => Error::Index(text),
                    Rules::Variable => Error::Runtime(text),
                });
            }
            if *v < 0 {
                *v += size;
            }
        }
        Ok(())
    }
}

/// A tensor alone as the index of a raw tensor (T-64, T-65): its numbers are checked where they are used.
pub(super) fn raw_tensor(index: Tensor, x: &Tensor) -> Result<Index> {
    match (index.dtype(), index.ndim()) {
        // As masked_select: as many elements are enough.
        (DType::U8, _) if index.sizes() != x.sizes() && index.numel() == x.numel() => {
            Ok(Index::Mask(index.view_or_copy(x.sizes())?))
        }
        (DType::U8, _) => Ok(Index::Mask(index)),
        (DType::I64, _) if x.ndim() == 0 => no_elements(),
        (DType::I64, 0) => {
            let mut sizes = Dims::from_slice(x.sizes());
            sizes[0] = 0;
            Ok(Index::Nothing(sizes))
        }
        (DType::I64, 1) => Ok(Index::Rows {
            steps: Dims::new(),
            dim: 0,
            index,
        }),
        (DType::I64, n) => fail!(
            Index,
            "{OP}: a LongTensor that selects rows has one dimension; got {n} ({}); use view(-1)",
            sizes_text(index.sizes())
        ),
        (dtype, _) => Err(wrong_class(dtype, &index, Rules::Raw)),
    }
}

fn no_elements<T>() -> Result<T> {
    fail!(
        Index,
        "{OP}: an empty tensor has no dimension and no element to index"
    )
}

/// A dimension after slices and new dimensions, before ints drop some.
struct Dim {
    size: i64,
    role: Role,
}

enum Role {
    Kept,
    Int(i64),
    Longs(Longs),
}

/// Makes an index of `items`.
///
/// # Errors
/// As the rules say; `IndexError` for too many items and ints out of range under both.
pub(super) fn place(items: Vec<Item>, x: &Tensor, rules: Rules) -> Result<Index> {
    if rules == Rules::Raw {
        check_raw(&items)?;
    }
    if let [Item::Mask(mask)] = items.as_slice()
        && mask.sizes() == x.sizes()
    {
        return Ok(Index::Mask(on_device_of(x, mask)?));
    }
    let mut placer = Placer::new(&items, x, rules)?;
    for item in items {
        placer.take(item)?;
    }
    placer.pass_over(x.ndim())?;
    placer.finish()
}

/// What raw tensors ask of sequences among other items (T-67).
fn check_raw(items: &[Item]) -> Result<()> {
    let is_longs = |i: &Item| matches!(i, Item::Longs(_));
    let Some(first) = items.iter().position(is_longs) else {
        return Ok(());
    };
    let run = items[first..].iter().take_while(|i| is_longs(i)).count();
    if items[first + run..].iter().any(is_longs) {
        fail!(
            Type,
            "{OP}: sequences and LongTensors must stand side by side in the index of a tensor; put them together with transpose() first"
        );
    }
    let whole = |i: &Item| match i {
        Item::Slice(s) => s.start.is_none_or(|v| v == 0) && s.stop.is_none() && s.step == 1,
        Item::Ellipsis | Item::Longs(_) => true,
        _ => false,
    };
    if !items.iter().all(whole) {
        fail!(
            Type,
            "{OP}: beside sequences and LongTensors a tensor takes only `:` and `...`; index in two steps, x[basic][sequences]"
        );
    }
    Ok(())
}

fn on_device_of(x: &Tensor, t: &Tensor) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => device::to_cpu(t),
        Device::Gpu => device::to_gpu(t),
    }
}

struct Placer<'a> {
    x: &'a Tensor,
    rules: Rules,
    /// How many dimensions an Ellipsis, or the end, stands for.
    rest: usize,
    /// The dimension of `x` that comes next.
    next: usize,
    dims: Vec<Dim>,
    steps: Dims,
    /// A slice that was empty.
    empty: bool,
}

impl<'a> Placer<'a> {
    fn new(items: &[Item], x: &'a Tensor, rules: Rules) -> Result<Placer<'a>> {
        let count = |item: &Item| match item {
            Item::New | Item::Ellipsis | Item::Flag(_) => 0,
            Item::Mask(mask) => mask.ndim(),
            _ => 1,
        };
        let covered: usize = items.iter().map(count).sum();
        let dots = items.iter().filter(|i| matches!(i, Item::Ellipsis)).count();
        if dots > 1 {
            fail!(
                Runtime,
                "{OP}: an index can have one Ellipsis (`...`); got {dots}"
            );
        }
        if x.ndim() == 0 && items.len() > dots {
            return no_elements();
        }
        if covered > x.ndim() {
            fail!(
                Index,
                "{OP}: too many indices: {covered} for a tensor of {} dimensions ({})",
                x.ndim(),
                sizes_text(x.sizes())
            );
        }
        Ok(Placer {
            x,
            rules,
            rest: x.ndim() - covered,
            next: 0,
            dims: Vec::with_capacity(x.ndim()),
            steps: Dims::new(),
            empty: false,
        })
    }

    fn size(&self) -> i64 {
        self.x.sizes()[self.next]
    }

    fn push(&mut self, size: i64, role: Role) {
        self.dims.push(Dim { size, role });
    }

    /// Keeps dimensions up to `end`.
    fn pass_over(&mut self, end: usize) -> Result<()> {
        while self.next < end {
            self.push(self.size(), Role::Kept);
            self.next += 1;
        }
        Ok(())
    }

    fn take(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Int(i) => self.int(i),
            Item::Slice(slice) => self.slice(&slice),
            Item::Ellipsis => self.pass_over(self.next + self.rest),
            Item::New => {
                self.unsqueeze(Role::Kept);
                Ok(())
            }
            Item::Flag(flag) => {
                let longs = Longs {
                    values: if flag { vec![0] } else { Vec::new() },
                    sizes: Dims::from_slice(&[i64::from(flag)]),
                };
                self.unsqueeze(Role::Longs(longs));
                Ok(())
            }
            Item::Longs(mut longs) => {
                let size = self.size();
                longs.wrap(self.next, size, self.rules)?;
                self.push(size, Role::Longs(longs));
                self.next += 1;
                Ok(())
            }
            Item::Mask(mask) => self.mask(&mask),
        }
    }

    fn unsqueeze(&mut self, role: Role) {
        self.steps
            .extend_from_slice(&[STEP_NEW, self.dims.len() as i64, 0, 0, 0]);
        self.push(1, role);
    }

    fn int(&mut self, i: i64) -> Result<()> {
        let size = self.size();
        if i < -size || i >= size {
            fail!(
                Index,
                "{OP}: index {i} is out of range for dimension {} of size {size} (of {})",
                self.next,
                sizes_text(self.x.sizes())
            );
        }
        self.push(size, Role::Int(if i < 0 { i + size } else { i }));
        self.next += 1;
        Ok(())
    }

    fn slice(&mut self, slice: &Slice) -> Result<()> {
        let (size, step) = (self.size(), slice.step);
        if step <= 0 {
            let text = format!("{OP}: the step of a slice must be positive; got {step}");
            return Err(match self.rules {
                Rules::Raw => Error::Value(text),
                Rules::Variable => Error::Index(text),
            });
        }
        let clamp = |v: i64| {
            if v < 0 {
                v.saturating_add(size).max(0)
            } else {
                v.min(size)
            }
        };
        let (start, stop) = (
            clamp(slice.start.unwrap_or(0)),
            clamp(slice.stop.unwrap_or(size)),
        );
        let length = (stop - start).max(0).unsigned_abs().div_ceil(step as u64) as i64;
        if length == 0 {
            if self.rules == Rules::Raw {
                fail!(
                    Value,
                    "{OP}: the slice from {start} to {stop} of dimension {} of size {size} is empty, and a tensor has no dimension of size 0",
                    self.next
                );
            }
            self.empty = true;
        } else if length != size {
            // One slice has no step, and a step beyond the dimension would overflow the stride.
            let step = if length == 1 { 1 } else { step };
            self.steps.extend_from_slice(&[
                STEP_SLICE,
                self.dims.len() as i64,
                start,
                length,
                step,
            ]);
        }
        self.push(length, Role::Kept);
        self.next += 1;
        Ok(())
    }

    /// A mask is the coordinates of its ones.
    fn mask(&mut self, mask: &Tensor) -> Result<()> {
        let n = mask.ndim();
        let covered = &self.x.sizes()[self.next..self.next + n];
        if n == 0 || mask.sizes() != covered {
            fail!(
                Runtime,
                "{OP}: a mask of size {} does not match the dimensions it covers, from {} on of {}",
                sizes_text(mask.sizes()),
                self.next,
                sizes_text(self.x.sizes())
            );
        }
        let flat = as_contiguous(&device::to_cpu(mask)?)?;
        let places: Vec<i64> = (0..flat.numel() as i64)
            .filter(|&i| flat.read::<u8>(i) != 0)
            .collect();
        let sizes = Dims::from_slice(&[places.len() as i64]);
        let strides = dims::row_major(covered);
        for (&size, &stride) in covered.iter().zip(&strides) {
            let values = places.iter().map(|p| p / stride % size).collect();
            let longs = Longs {
                values,
                sizes: sizes.clone(),
            };
            self.push(size, Role::Longs(longs));
        }
        self.next += n;
        Ok(())
    }

    fn finish(mut self) -> Result<Index> {
        let ints = |d: &Dim| matches!(d.role, Role::Int(_));
        let number =
            self.rules == Rules::Raw && self.dims.iter().all(ints) && !self.dims.is_empty();
        // From the back, so that places before stay right; a last dimension keeps size one.
        for at in (0..self.dims.len()).rev() {
            if let Role::Int(i) = self.dims[at].role {
                self.steps
                    .extend_from_slice(&[STEP_SELECT, at as i64, i, 0, 0]);
            }
        }
        self.dims.retain(|d| !ints(d));
        let named: Vec<usize> = (0..self.dims.len())
            .filter(|&d| matches!(self.dims[d].role, Role::Longs(_)))
            .collect();
        if named.is_empty() {
            if self.empty {
                return Ok(Index::Nothing(self.dims.iter().map(|d| d.size).collect()));
            }
            return Ok(Index::Basic {
                steps: self.steps,
                number,
            });
        }
        self.together(&named)
    }

    /// Joins the index tensors in dimensions `named`.
    fn together(self, named: &[usize]) -> Result<Index> {
        let longs = || {
            self.dims.iter().filter_map(|d| match &d.role {
                Role::Longs(longs) => Some((d.size, longs)),
                _ => None,
            })
        };
        let mut shape = longs().next().map_or_else(Dims::new, |l| l.1.sizes.clone());
        for (_, other) in longs() {
            shape = match dims::broadcast(OP, &shape, &other.sizes) {
                Ok(shape) => shape,
                Err(_) => fail!(
                    Index,
                    "{OP}: index tensors of sizes {} and {} do not expand to one size",
                    sizes_text(&shape),
                    sizes_text(&other.sizes)
                ),
            };
        }
        let (count, first) = (named.len(), named[0]);
        let adjacent = named[count - 1] - first + 1 == count;
        let others = (0..self.dims.len()).filter(|d| !named.contains(d));
        let (order, at): (Dims, usize) = if adjacent {
            ((0..self.dims.len() as i64).collect(), first)
        } else {
            (
                named
                    .iter()
                    .copied()
                    .chain(others)
                    .map(|d| d as i64)
                    .collect(),
                0,
            )
        };
        if self.empty || shape.contains(&0) {
            let sizes = |range: &[i64]| -> Vec<i64> {
                range.iter().map(|&d| self.dims[d as usize].size).collect()
            };
            let mut all = Dims::from_vec(sizes(&order[..at]));
            all.extend_from_slice(&shape);
            all.extend(sizes(&order[at + count..]));
            return Ok(Index::Nothing(all));
        }
        let mut line = vec![0; dims::count(OP, &shape)?];
        for (size, part) in longs() {
            add_digit(&mut line, size, part, &shape);
        }
        let index = on_device_of(self.x, &Tensor::from_slice(&line)?)?;
        if count == 1 && shape.len() == 1 {
            return Ok(Index::Rows {
                steps: self.steps,
                dim: first,
                index,
            });
        }
        let span = Dims::from_slice(&[at as i64, count as i64]);
        Ok(Index::Places {
            steps: self.steps,
            places: Places {
                order,
                span,
                index,
                shape,
            },
        })
    }
}

/// `line` = `line` * `size` + `part`, where `part` expands to `shape`.
fn add_digit(line: &mut [i64], size: i64, part: &Longs, shape: &[i64]) {
    let lead = shape.len() - part.sizes.len();
    let own = dims::row_major(&part.sizes);
    let strides = dims::row_major(shape);
    for (i, value) in line.iter_mut().enumerate() {
        let from: i64 = if part.sizes.as_slice() == shape {
            i as i64
        } else {
            (0..part.sizes.len())
                .filter(|&d| part.sizes[d] != 1)
                .map(|d| i as i64 / strides[lead + d] % shape[lead + d] * own[d])
                .sum()
        };
        *value = *value * size + part.values[from as usize];
    }
}
