//! The matrix product: tiles for matrices, lanes for thin shapes, and stretches of the inner dimension
//! where the result alone is too small to keep the device busy.

use super::buffer::alloc;
use super::device::gpu;
use super::map::{apart, map};
use super::operand::{Formula, Operand, Reduce, Scalar};
use super::shader::{File, Kind, Wanted};
use super::stream::{Job, MOST_GROUPS, Walk, grid_of, push};
use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, Dims, sizes_text};

/// Rows, columns and depth of a workgroup's tile, and of an invocation's.
pub(super) type Tile = [u32; 5];
/// From large to small; a tile is taken when it gives enough workgroups.
pub(super) const TILES: [Tile; 3] = [[128, 128, 8, 8, 8], [64, 64, 16, 4, 4], [32, 32, 16, 2, 2]];
/// Workgroups that keep a device busy.
const BUSY: u64 = 128;
/// The most inner elements of a stretch: longer loops would pass the cap of software adapters.
const LONGEST: u64 = 4096;
/// The fewest, so that writing and adding parts stays cheap.
const SHORTEST: u64 = 256;

/// `c = alpha * a b + beta * c`, for matrices or batches of them, with any strides: transposes are
/// free. With `beta` zero, what `c` held does not count.
///
/// # Errors
/// Sizes that do not fit, elements other than floats or 32-bit integers, or of two classes.
pub fn matmul(
    op: &str,
    a: &Operand,
    b: &Operand,
    c: &Operand,
    alpha: impl Into<Scalar>,
    beta: impl Into<Scalar>,
) -> Result<()> {
    let scale = (alpha.into(), beta.into());
    for (x, name) in [
        (a, "the first matrix"),
        (b, "the second matrix"),
        (c, "the result"),
    ] {
        x.check(op, name)?;
        if x.dtype != c.dtype || !matches!(x.dtype, DType::F32 | DType::I32) {
            fail!(
                Type,
                "{op}: torch.cuda.{}Tensor does not implement it; convert with .float() first",
                x.dtype.name()
            );
        }
        if x.sizes.len() != c.sizes.len() || !matches!(x.sizes.len(), 2 | 3) {
            fail!(
                Runtime,
                "{op}: matrices, or batches of them, are needed; {name} is {}",
                sizes_text(x.sizes)
            );
        }
    }
    let n = c.sizes.len();
    let (m, k, p) = (a.sizes[n - 2], a.sizes[n - 1], b.sizes[n - 1]);
    let batches = if n == 3 { c.sizes[0] } else { 1 };
    let fits = b.sizes[n - 2] == k
        && c.sizes[n - 2..] == [m, p]
        && (n == 2 || (a.sizes[0] == batches && b.sizes[0] == batches));
    if !fits {
        fail!(
            Runtime,
            "{op}: size mismatch, {} times {} does not give {}",
            sizes_text(a.sizes),
            sizes_text(b.sizes),
            sizes_text(c.sizes)
        );
    }
    if c.count() == 0 {
        return Ok(());
    }
    apart(op, a, &[c], |a| {
        apart(op, b, &[c], |b| run(op, a, b, c, scale))
    })
}

fn run(op: &str, a: &Operand, b: &Operand, c: &Operand, scale: (Scalar, Scalar)) -> Result<()> {
    let plan = Plan::new(a, b, c);
    if plan.stretches == 1 {
        return pass(op, &plan, c, scale, 0);
    }
    let zero = match c.dtype {
        DType::F32 => Scalar::F32(0.0),
        _ => Scalar::I32(0),
    };
    // Each stretch writes its own result; they are added afterwards, in order.
    let one = c.count();
    let sizes: Dims = [plan.stretches as i64]
        .into_iter()
        .chain(c.sizes.iter().copied())
        .collect();
    let strides = crate::tensor::dims::row_major(&sizes);
    let buffer = alloc(one * plan.stretches as usize * 4)?;
    let parts = Operand {
        buffer: &buffer,
        dtype: c.dtype,
        sizes: &sizes,
        strides: &strides,
        offset: 0,
    };
    let first = Operand {
        sizes: c.sizes,
        strides: &strides[1..],
        ..parts
    };
    pass(
        op,
        &plan.with_result(&first),
        &first,
        (scale.0, zero),
        one as u32,
    )?;
    if scale.1.is_zero() {
        return super::fold::fold(op, Reduce::Sum, &parts, Some(0), c);
    }
    let total = alloc(one * 4)?;
    let sum = Operand {
        buffer: &total,
        ..first
    };
    super::fold::fold(op, Reduce::Sum, &parts, Some(0), &sum)?;
    map(&Formula::new(op, "a + p0 * b"), &[&sum, c], &[scale.1], c)
}

/// How a product is carried out.
struct Plan<'a> {
    /// The operands, swapped and transposed if the result is one row.
    a: Operand<'a>,
    b: Operand<'a>,
    /// Rows, columns, inner, batches.
    sizes: [u32; 4],
    /// Of rows, columns and batches in a, b, c.
    strides: [[u32; 4]; 3],
    swapped: bool,
    tile: Option<Tile>,
    stretch: u32,
    stretches: u32,
}

/// Strides of rows, columns and batches.
fn strides_of(x: &Operand) -> [u32; 3] {
    let n = x.sizes.len();
    let batch = if n == 3 { x.strides[0] } else { 0 };
    [
        x.strides[n - 2] as u32,
        x.strides[n - 1] as u32,
        batch as u32,
    ]
}

impl<'a> Plan<'a> {
    fn new(a: &Operand<'a>, b: &Operand<'a>, c: &Operand) -> Self {
        let n = c.sizes.len();
        let batches = if n == 3 { c.sizes[0] } else { 1 } as u32;
        let (m, k, p) = (
            a.sizes[n - 2] as u32,
            a.sizes[n - 1] as u32,
            b.sizes[n - 1] as u32,
        );
        // One row times a matrix is the transposed matrix times one column.
        let swapped = m == 1 && p > 1;
        let thin = m == 1 || p == 1;
        let (rows, columns) = if swapped { (p, m) } else { (m, p) };
        let (x, y) = if swapped { (b, a) } else { (a, b) };
        let mut plan = Plan {
            a: *x,
            b: *y,
            sizes: [rows, columns, k, batches],
            strides: [[0; 4]; 3],
            swapped,
            tile: None,
            stretch: 1,
            stretches: 1,
        };
        for (slot, operand) in [(0, x), (1, y)] {
            let s = strides_of(operand);
            let s = if swapped { [s[1], s[0], s[2]] } else { s };
            for (row, v) in plan.strides.iter_mut().zip(s) {
                row[slot] = v;
            }
        }
        let mut plan = plan.with_result(c);
        let groups = if thin {
            u64::from(rows).div_ceil(if plan.along(0) { 4 } else { 32 })
        } else {
            let count =
                |t: &Tile| u64::from(rows.div_ceil(t[0])) * u64::from(columns.div_ceil(t[1]));
            let enough = |t: &&Tile| count(t) * u64::from(batches) >= BUSY;
            let tile = TILES.iter().find(enough).unwrap_or(&TILES[2]);
            plan.tile = Some(*tile);
            count(tile)
        };
        let k = u64::from(k).max(1);
        let wanted = BUSY
            .div_ceil(groups * u64::from(batches))
            .min(k / SHORTEST)
            .max(1);
        let stretch = k.div_ceil(wanted).min(LONGEST);
        plan.stretch = stretch as u32;
        plan.stretches = k.div_ceil(stretch) as u32;
        plan
    }

    fn with_result(&self, c: &Operand) -> Self {
        let s = strides_of(c);
        let s = if self.swapped { [s[1], s[0], s[2]] } else { s };
        let mut strides = self.strides;
        for (row, v) in strides.iter_mut().zip(s) {
            row[3] = v;
        }
        Plan {
            a: self.a,
            b: self.b,
            strides,
            ..*self
        }
    }

    /// Whether the operand lies in memory so that loads should run along its rows.
    fn along(&self, slot: usize) -> bool {
        self.strides[1][slot] <= self.strides[0][slot]
    }
}

fn pass(op: &str, plan: &Plan, c: &Operand, scale: (Scalar, Scalar), apart: u32) -> Result<()> {
    let [rows, columns, _, batches] = plan.sizes;
    let layers = u64::from(batches) * u64::from(plan.stretches);
    let grid = match plan.tile {
        Some(t) => [columns.div_ceil(t[1]), rows.div_ceil(t[0]), 1],
        None => grid_of(u64::from(rows).div_ceil(if plan.along(0) { 4 } else { 32 })),
    };
    if grid[0] > MOST_GROUPS || grid[1] > MOST_GROUPS {
        fail!(
            Runtime,
            "{op}: a product of {rows} x {columns} is more than one call can make"
        );
    }
    let mut walk = Walk {
        count: c.count() as u32,
        ..Walk::default()
    };
    walk.params = [scale.0.bits(), scale.1.bits(), 0, 0];
    walk.extra = [plan.stretch, plan.stretches, apart, 0];
    walk.sizes[..4].copy_from_slice(&plan.sizes);
    walk.strides[..3].copy_from_slice(&plan.strides);
    let (along_a, along_b) = (plan.along(0), plan.along(1));
    let file = if plan.tile.is_some() {
        File::Matmul
    } else {
        File::Gemv
    };
    let size = plan.tile.map_or(0, |t| t[0] as u8);
    let kind = Kind::of(c.dtype);
    let key = [
        file as u8,
        kind as u8,
        size,
        u8::from(along_a),
        u8::from(along_b && plan.tile.is_some()),
    ];
    let wanted = Wanted {
        file,
        key: &key,
        reads: 2,
        writes: 1,
    };
    let gpu = gpu()?;
    let pipeline = gpu.shaders.get(gpu, op, &wanted, || match plan.tile {
        Some(tile) => tile_definitions(kind, tile, along_a, along_b),
        None => lane_definitions(kind, along_a),
    })?;
    let buffers = [plan.a.buffer, plan.b.buffer, c.buffer];
    // Batches beyond what one grid holds go in further calls; stretches of a batch stay together.
    let most = (MOST_GROUPS / plan.stretches).max(1);
    let mut first = 0;
    while u64::from(first) * u64::from(plan.stretches) < layers {
        let n = most.min(batches - first);
        let at = |offset: usize, slot: usize| offset as u32 + first * plan.strides[2][slot];
        walk.offsets = [
            at(plan.a.offset, 0),
            at(plan.b.offset, 1),
            0,
            at(c.offset, 3),
        ];
        let grid = [grid[0], grid[1], n * plan.stretches];
        push(
            gpu,
            Job {
                op,
                pipeline: &pipeline,
                buffers: &buffers,
                walk,
                grid,
            },
        );
        first += n;
    }
    Ok(())
}

/// What an element is, and how one product is added.
fn element(kind: Kind) -> String {
    let sum = match kind {
        Kind::F32 => "fma(p, q, sum)",
        _ => "p * q + sum",
    };
    format!(
        "alias Elem = {};\nfn add_product(p: Elem, q: Elem, sum: Elem) -> Elem {{ return {sum}; }}\n",
        kind.text()
    )
}

/// The definitions of a tile; `along` says whether loads run along rows.
pub(super) fn tile_definitions(kind: Kind, tile: Tile, along_a: bool, along_b: bool) -> String {
    let [bm, bn, bk, tm, tn] = tile;
    element(kind)
        + &format!(
            "const FLAT: bool = false;\nconst BM: u32 = {bm}u;\nconst BN: u32 = {bn}u;\nconst BK: u32 = {bk}u;\nconst TM: u32 = {tm}u;\nconst TN: u32 = {tn}u;\nconst A_ALONG: bool = {along_a};\nconst B_ALONG: bool = {along_b};\n"
        )
}

/// The definitions of the thin product.
pub(super) fn lane_definitions(kind: Kind, along: bool) -> String {
    let lanes = if along { 64 } else { 8 };
    element(kind)
        + &format!(
            "const FLAT: bool = false;\nconst WG: u32 = 256u;\nconst LANES: u32 = {lanes}u;\nconst A_ALONG: bool = {along};\n"
        )
}
