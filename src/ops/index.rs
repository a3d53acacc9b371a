//! Moving elements by index or mask.

use super::Op;
use super::copy::{as_contiguous, contiguous_copy, copy_into};
use super::device::{self, Row};
use crate::cpu::index as kernel;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, Device, Dims, Element, Scalar, Tensor, class_name, dims, sizes_text};

ops! {
    /// Slices of dimension `dim` in the order of the LongTensor vector `index`.
    ///
    /// Raises RuntimeError for an index out of range.
    method function out: fn index_select(x; dim: i64, index: Tensor) -> (y): Any named "index_select" as "IndexSelectBackward" {
        let d: i64 = wrap_dim("index_select", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = select_rows(x, d as usize, &index)?;
        grad x = |g| unselect(g, d, index.clone(), sizes.clone())?;
        try [(sample(&[4, 3]); 0i64, longs(&[2, 0, 2], &[3])), (sample(&[2, 3]); -1i64, longs(&[1], &[1]))];
    }
    /// Zeros of `sizes` with the slices of g added where `index` says.
    : fn unselect(g; dim: i64, index: Tensor, sizes: Dims) -> (x): Number named "index_add" as "IndexAddBackward" {
        forward(out) = {
            let x = device::zeros("index_select", g.dtype(), g.device(), &sizes)?;
            add_rows(&x, dim as usize, &index, g)?;
            x
        };
        grad g = |h| index_select(h, dim, index.clone())?;
        try [(sample(&[3, 3]); 0i64, longs(&[2, 0, 2], &[3]), [4, 3])];
    }
    /// Along `dim`, the element that `index` names: y[i][j] = x[index[i][j]][j] for dim 0.
    ///
    /// Raises RuntimeError when sizes disagree or an index is out of range.
    method function out: fn gather(x; dim: i64, index: Tensor) -> (y): Any named "gather" as "GatherBackward" {
        let d: i64 = wrap_dim("gather", dim, x.ndim())? as i64;
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = gathered(x, d as usize, &index)?;
        grad x = |g| put_along(g, d, index.clone(), sizes.clone())?;
        try [(sample(&[3, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2])), (sample(&[2, 3]); 1i64, longs(&[0, 0, 2, 1], &[2, 2]))];
    }
    /// Zeros of `sizes` with the elements of g added where `index` says along `dim`.
    : fn put_along(g; dim: i64, index: Tensor, sizes: Dims) -> (x): Number named "scatter_add" as "ScatterAddBackward" {
        forward(out) = {
            let x = device::zeros("gather", g.dtype(), g.device(), &sizes)?;
            scatter_with(&x, dim as usize, &index, g, true)?;
            x
        };
        grad g = |h| gather(h, dim, index.clone())?;
        try [(sample(&[2, 2]); 0i64, longs(&[2, 0, 2, 1], &[2, 2]), [3, 2])];
    }
    /// `x` with the elements of `src` added where `index` says along `dim`.
    in_place: fn scatter_add(x, src; dim: i64, index: Tensor) -> (y): Number named "scatter_add" as "ScatterAddBackward" {
        let d: i64 = wrap_dim("scatter_add", dim, x.ndim())? as i64;
        forward(out) = {
            let y = contiguous_copy(x)?;
            scatter_with(&y, d as usize, &index, src, true)?;
            y
        };
        grad x = |g| g.clone();
        grad src = |g| gather(g, d, index.clone())?;
        try [(sample(&[3, 2]), sample(&[2, 2]); 0i64, longs(&[2, 0, 2, 1], &[2, 2]))];
    }
    /// `x` with the elements of `src` written where `index` says along `dim`.
    in_place: fn scatter(x, src; dim: i64, index: Tensor) -> (y): Any named "scatter" as "ScatterBackward0" {
        let d: i64 = wrap_dim("scatter", dim, x.ndim())? as i64;
        forward(out) = {
            let y = contiguous_copy(x)?;
            scatter_with(&y, d as usize, &index, src, false)?;
            y
        };
        grad x = |g| scatter_number(g, d, index.clone(), Scalar::Int(0))?;
        grad src = |g| gather(g, d, index.clone())?;
        try [(sample(&[3, 2]), sample(&[2, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2]))];
    }
    /// `x` with `value` written where `index` says along `dim`.
    in_place: fn scatter_number(x; dim: i64, index: Tensor, value: Scalar) -> (y): Any named "scatter" as "ScatterBackward1" {
        let d: i64 = wrap_dim("scatter", dim, x.ndim())? as i64;
        forward(out) = {
            value.check("scatter", x.dtype())?;
            let one = device::empty("scatter", x.dtype(), x.device(), &[1])?;
            crate::ops::copy::fill_with(&one, value)?;
            let y = contiguous_copy(x)?;
            scatter_with(&y, d as usize, &index, &one.expand(index.sizes())?, false)?;
            y
        };
        grad x = |g| scatter_number(g, d, index.clone(), Scalar::Int(0))?;
        try [(sample(&[3, 2]); 0i64, longs(&[2, 0, 1, 1], &[2, 2]), 0.5)];
    }
    /// The elements of `x` where the ByteTensor `mask` is one, as a vector in row-major order.
    method function out: fn masked_select(x; mask: Tensor) -> (y): Any named "masked_select" as "MaskedSelectBackward" {
        let sizes: Dims = Dims::from_slice(x.sizes());
        forward(out) = select_masked(x, &mask)?;
        grad x = |g| crate::ops::shape::sum_to(&unmask(g, mask.clone(), dims::broadcast("masked_select", &sizes, mask.sizes())?)?, &sizes)?;
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3])), (sample(&[2, 3]); bytes(&[1, 0, 1], &[3]))];
    }
    /// Zeros of `sizes` with the elements of the vector g where `mask` is one.
    : fn unmask(g; mask: Tensor, sizes: Dims) -> (x): Any named "masked_select" as "MaskedSelectBackwardBackward" {
        forward(out) = {
            let x = device::zeros("masked_select", g.dtype(), g.device(), &sizes)?;
            scatter_masked(&x, &mask, g)?;
            x
        };
        grad g = |h| masked_select(h, mask.clone())?;
        try [(sample(&[3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]), [2, 3])];
    }
    /// `x` with `value` where the ByteTensor `mask` is one.
    in_place: fn masked_fill(x; mask: Tensor, value: Scalar) -> (y): Number named "masked_fill" as "MaskedFillBackward" {
        forward(out) = {
            value.check("masked_fill", x.dtype())?;
            chosen("masked_fill", x, &mask, value, true, out)?
        };
        grad x = |g| masked_fill(g, mask.clone(), Scalar::Int(0))?;
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]), 0.5)];
    }
    /// `x` with the next elements of `source` where `mask` is one.
    in_place: fn masked_scatter(x, source; mask: Tensor) -> (y): Any named "masked_scatter" as "MaskedScatterBackward" {
        let count: i64 = source.numel() as i64;
        let sizes: Dims = Dims::from_slice(source.sizes());
        forward(out) = {
            let y = contiguous_copy(x)?;
            scatter_masked(&y, &mask, source)?;
            y
        };
        grad x = |g| masked_fill(g, mask.clone(), Scalar::Int(0))?;
        grad source = |g| {
            let part = masked_select(g, mask.clone())?;
            let rest = count - part.tensor.numel() as i64;
            let whole = if rest == 0 { part } else { crate::ops::shape::cat(&[part, crate::ops::shape::zeros_like(g, &[rest])?], 0)? };
            crate::ops::shape::reshape(&whole, &sizes)?
        };
        try [(sample(&[2, 3]), sample(&[4]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]))];
    }
    /// What index tensors name: the `span[1]` dimensions from `span[0]` on of `x` in `order` give way to `shape`.
    /// `index` holds, row by row, places in those dimensions together.
    : fn pick(x; order: Dims, span: Dims, index: Tensor, shape: Dims) -> (y): Any named "__getitem__" as "IndexBackward" {
        let back: Dims = Dims::from_slice(x.sizes());
        forward(out) = Places::new(&order, &span, &index, &shape).read(x)?;
        grad x = |g| unpick(g, back.clone(), order.clone(), span.clone(), index.clone(), shape.clone())?;
        try [
            (sample(&[4, 3]); [0, 1], [0, 2], longs(&[11, 0, 4, 0], &[4]), [2, 2]),
            (sample(&[2, 3, 2]); [0, 1, 2], [1, 1], longs(&[2, 0, 2], &[3]), [3]),
            (sample(&[2, 3, 2]); [0, 2, 1], [0, 2], longs(&[3, 0], &[2]), [2, 1]),
        ];
    }
    /// Zeros of `sizes` with the elements of g added where `pick` took them.
    : fn unpick(g; sizes: Dims, order: Dims, span: Dims, index: Tensor, shape: Dims) -> (x): Number named "__getitem__" as "IndexBackwardBackward" {
        forward(out) = {
            let x = device::zeros("index", g.dtype(), g.device(), &sizes)?;
            Places::new(&order, &span, &index, &shape).write(&x, g, true)?;
            x
        };
        grad g = |h| pick(h, order.clone(), span.clone(), index.clone(), shape.clone())?;
        try [
            (sample(&[2, 2]); [4, 3], [0, 1], [0, 2], longs(&[11, 0, 4, 0], &[4]), [2, 2]),
            (sample(&[2, 3]); [2, 3, 2], [0, 2, 1], [0, 2], longs(&[3, 3], &[2]), [2]),
        ];
    }
    /// `x` with `part` written where `pick` takes elements from.
    : fn put(x, part; order: Dims, span: Dims, index: Tensor, shape: Dims) -> (y): Any named "__setitem__" as "IndexPutBackward" {
        forward(out) = {
            let y = contiguous_copy(x)?;
            Places::new(&order, &span, &index, &shape).write(&y, part, false)?;
            y
        };
        grad x = |g| {
            let sizes = Places::new(&order, &span, &index, &shape).sizes(g.sizes())?;
            let blank = crate::ops::shape::zeros_like(g, &[1])?.tensor.expand(&sizes)?;
            put(g, &blank.into(), order.clone(), span.clone(), index.clone(), shape.clone())?
        };
        grad part = |g| pick(g, order.clone(), span.clone(), index.clone(), shape.clone())?;
        try [
            (sample(&[4, 3]), sample(&[2, 2]); [0, 1], [0, 2], longs(&[11, 0, 4, 1], &[4]), [2, 2]),
            (sample(&[2, 3, 2]), sample(&[2, 2, 2]); [0, 1, 2], [1, 1], longs(&[2, 0], &[2]), [2]),
        ];
    }
    /// g where the mask is one, else 0.
    : fn keep(g; mask: Tensor) -> (out): Number named "_keep" as "MaskedFillBackward" {
        forward(to) = chosen("keep", g, &mask, Scalar::Int(0), false, to)?;
        grad g = |h| keep(h, mask.clone())?;
        try [(sample(&[2, 3]); bytes(&[1, 0, 1, 1, 0, 0], &[2, 3]))];
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

/// Writes `value` into `y` where `mask` is one, without recording.
pub fn fill_masked(y: &Tensor, mask: &Tensor, value: Scalar) -> Result<()> {
    value.check("index", y.dtype())?;
    let mask = if mask.shares_memory(y) {
        contiguous_copy(mask)?
    } else {
        mask.clone()
    };
    chosen("index", y, &mask, value, true, &super::Out::Into(y)).map(drop)
}

/// A number where the mask is not one, and where it is.
pub static FORMULAS: &[Row] = &[
    row_formula!(keep Number [g mask] [value] "select(p0, a, b != 0)").masked(),
    row_formula!(masked_fill Number [x mask] [value] "select(a, p0, b != 0)").masked(),
];

/// `value` where the mask is (or, unless `inside`, is not) one, else x.
fn chosen(
    op: &str,
    x: &Tensor,
    mask: &Tensor,
    value: Scalar,
    inside: bool,
    out: &super::Out,
) -> Result<Tensor> {
    let mask = fitting_mask(op, mask, x)?;
    let y = out.make(op, x.kind(), x.sizes())?;
    if x.device() == Device::Gpu {
        let row = &FORMULAS[usize::from(inside)];
        device::choose(op, row, &[x, &mask], &[value], &y)?;
        return Ok(y);
    }
    kernel::count_ones(op, &mask)?;
    dispatch!(any x.dtype(), T => {
        let value = value.to::<T>();
        if inside {
            crate::cpu::map::map2::<T, u8, T>(x, &mask, &y, |v, m| if m != 0 { value } else { v });
        } else {
            crate::cpu::map::map2::<T, u8, T>(x, &mask, &y, |v, m| if m != 0 { v } else { value });
        }
    });
    Ok(y)
}

/// `mask` expanded to the sizes of `x`.
///
/// # Errors
/// `TypeError` for anything but a ByteTensor of the same place, `RuntimeError` for other sizes.
fn fitting_mask(op: &str, mask: &Tensor, x: &Tensor) -> Result<Tensor> {
    if mask.kind() != (DType::U8, x.device()) {
        fail!(
            Type,
            "{op}: the mask must be a {}; got {}",
            class_name(DType::U8, x.device()),
            class_name(mask.dtype(), mask.device())
        );
    }
    if mask.sizes() == x.sizes() {
        return Ok(mask.clone());
    }
    match mask.expand(x.sizes()) {
        Ok(wide) => Ok(wide),
        Err(_) => fail!(
            Runtime,
            "{op}: a mask of size {} does not expand to the tensor's {}",
            sizes_text(mask.sizes()),
            sizes_text(x.sizes())
        ),
    }
}

fn long(op: &str, index: &Tensor, x: &Tensor) -> Result<()> {
    if index.kind() != (DType::I64, x.device()) {
        fail!(
            Type,
            "{op}: the index must be a {}; got {}",
            class_name(DType::I64, x.device()),
            class_name(index.dtype(), index.device())
        );
    }
    Ok(())
}

fn select_rows(x: &Tensor, dim: usize, index: &Tensor) -> Result<Tensor> {
    const OP: &str = "index_select";
    long(OP, index, x)?;
    if index.ndim() != 1 {
        fail!(
            Runtime,
            "{OP}: the index must be a vector; got size {}",
            sizes_text(index.sizes())
        );
    }
    let mut sizes = Dims::from_slice(x.sizes());
    sizes[dim] = index.sizes()[0];
    let y = device::empty(OP, x.dtype(), x.device(), &sizes)?;
    if x.device() == Device::Gpu {
        device::index_select(x, dim, index, &y)?;
        return Ok(y);
    }
    kernel::check(OP, index, x.sizes()[dim])?;
    dispatch!(any x.dtype(), T => kernel::select::<T>(x, dim, index, &y))?;
    Ok(y)
}

fn add_rows(y: &Tensor, dim: usize, index: &Tensor, x: &Tensor) -> Result<()> {
    const OP: &str = "index_add";
    long(OP, index, y)?;
    if x.sizes().get(dim) != index.sizes().first() {
        fail!(
            Runtime,
            "{OP}: {} indices for slices of {}",
            index.numel(),
            sizes_text(x.sizes())
        );
    }
    if y.device() == Device::Gpu {
        return device::index_add(y, dim, index, x);
    }
    kernel::check(OP, index, y.sizes()[dim])?;
    dispatch!(y.dtype(), T => kernel::add_rows::<T>(y, dim, index, x))
}

/// Fails unless `index` has x's dimensions and, but for `dim`, sizes of at most x's.
fn along(op: &str, x: &Tensor, dim: usize, index: &Tensor) -> Result<()> {
    long(op, index, x)?;
    let fits = index.ndim() == x.ndim()
        && (0..x.ndim()).all(|d| d == dim || index.sizes()[d] <= x.sizes()[d]);
    if !fits {
        fail!(
            Runtime,
            "{op}: the index of size {} does not fit the tensor of size {} along dimension {dim}",
            sizes_text(index.sizes()),
            sizes_text(x.sizes())
        );
    }
    Ok(())
}

fn gathered(x: &Tensor, dim: usize, index: &Tensor) -> Result<Tensor> {
    along("gather", x, dim, index)?;
    let y = device::empty("gather", x.dtype(), x.device(), index.sizes())?;
    if x.device() == Device::Gpu {
        device::gather(x, dim, index, &y)?;
        return Ok(y);
    }
    kernel::check("gather", index, x.sizes()[dim])?;
    dispatch!(any x.dtype(), T => kernel::gather::<T>(x, dim, index, &y));
    Ok(y)
}

fn scatter_with(y: &Tensor, dim: usize, index: &Tensor, src: &Tensor, add: bool) -> Result<()> {
    let op = if add { "scatter_add" } else { "scatter" };
    along(op, y, dim, index)?;
    crate::tensor::dtype::same(op, y.kind(), src.kind())?;
    let fits =
        src.ndim() == index.ndim() && index.sizes().iter().zip(src.sizes()).all(|(i, s)| i <= s);
    if !fits {
        fail!(
            Runtime,
            "{op}: the source of size {} does not cover the index of size {}",
            sizes_text(src.sizes()),
            sizes_text(index.sizes())
        );
    }
    if y.device() == Device::Gpu {
        return device::scatter(y, dim, index, src, add);
    }
    kernel::check(op, index, y.sizes()[dim])?;
    dispatch!(any y.dtype(), T => if add {
        kernel::scatter::<T>(y, dim, index, src, T::plus);
    } else {
        kernel::scatter::<T>(y, dim, index, src, |_, v| v);
    });
    Ok(())
}

/// Both operands expanded to their common size.
fn pair(op: &str, x: &Tensor, mask: &Tensor) -> Result<(Tensor, Tensor)> {
    if mask.kind() != (DType::U8, x.device()) {
        fitting_mask(op, mask, x)?;
    }
    let sizes = dims::broadcast(op, x.sizes(), mask.sizes())?;
    Ok((x.expand(&sizes)?, mask.expand(&sizes)?))
}

fn select_masked(x: &Tensor, mask: &Tensor) -> Result<Tensor> {
    const OP: &str = "masked_select";
    if mask.kind() != (DType::U8, x.device()) {
        fitting_mask(OP, mask, x)?;
    }
    let (x, mask) = if x.ndim() == 0 && mask.ndim() == 0 {
        (x.clone(), mask.clone())
    } else {
        pair(OP, x, mask)?
    };
    if x.device() == Device::Gpu {
        // How many there are decides the size, so the mask has to come to the CPU in any case.
        let y = select_masked(&device::to_cpu(&x)?, &device::to_cpu(&mask)?)?;
        return device::to_gpu(&y);
    }
    let ones = kernel::count_ones(OP, &mask)?;
    let sizes = if ones == 0 {
        Dims::new()
    } else {
        Dims::from_slice(&[ones as i64])
    };
    let y = Tensor::empty(OP, x.dtype(), &sizes)?;
    dispatch!(any x.dtype(), T => kernel::masked_select::<T>(&x, &mask, &y));
    Ok(y)
}

/// Writes the next elements of `source` into `y` where `mask` is one, without recording.
///
/// # Errors
/// Another class, sizes that do not expand, or too few elements; nothing is written then.
pub fn scatter_masked(y: &Tensor, mask: &Tensor, source: &Tensor) -> Result<()> {
    const OP: &str = "masked_scatter";
    let mask = fitting_mask(OP, mask, y)?;
    crate::tensor::dtype::same(OP, y.kind(), source.kind())?;
    if y.device() == Device::Gpu {
        let on_cpu = device::to_cpu(y)?;
        scatter_masked(&on_cpu, &device::to_cpu(&mask)?, &device::to_cpu(source)?)?;
        return copy_into(y, &on_cpu);
    }
    let ones = kernel::count_ones(OP, &mask)?;
    if source.numel() < ones {
        fail!(
            Runtime,
            "{OP}: the mask has {ones} ones, but the source only {} elements",
            source.numel()
        );
    }
    let source = as_contiguous(source)?;
    dispatch!(any y.dtype(), T => kernel::masked_scatter::<T>(y, &mask, &source));
    Ok(())
}
