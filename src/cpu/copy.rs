//! Copies between tensors of one element type: as one run, run by run, or turned tile by tile.
//! Elements are moved as bits, so that one loop serves all types of a size.

use super::plan::{GRAIN, Plan, Row, spread};
use super::pool;
use super::transpose::{Tile, Unit, settle, write_out};
use crate::tensor::Tensor;
use smallvec::SmallVec;

/// Targets from this many bytes on are written past the cache: they would not stay in it.
const STREAM: usize = 4 << 20;

/// Bytes of a run that one task copies.
const RUN: usize = 512 << 10;

/// An address for loops that may run on several threads.
#[derive(Clone, Copy)]
struct At<U>(*mut U);

// SAFETY: tasks write disjoint parts of the target; sources are only read.
unsafe impl<U> Send for At<U> {}
// SAFETY: as above.
unsafe impl<U> Sync for At<U> {}

impl<U> At<U> {
    /// The address. A method, so that closures take the whole of it.
    fn ptr(self) -> *mut U {
        self.0
    }
}

/// y = x, where both have the same sizes and element type and do not overlap.
pub fn copy(x: &Tensor, y: &Tensor) {
    assert_eq!(
        (x.dtype(), x.sizes()),
        (y.dtype(), y.sizes()),
        "a copy keeps sizes and element type"
    );
    if y.numel() == 0 {
        return;
    }
    assert!(
        !x.ptr().is_null() && !y.ptr().is_null(),
        "a CPU kernel was given a tensor of another device"
    );
    match x.dtype().bytes() {
        1 => units::<u8>(x, y),
        2 => units::<u16>(x, y),
        4 => units::<u32>(x, y),
        _ => units::<u64>(x, y),
    }
}

fn units<U: Unit>(x: &Tensor, y: &Tensor) {
    assert_eq!(size_of::<U>(), y.dtype().bytes(), "elements of this size");
    let (from, to) = (At(x.ptr().cast::<U>()), At(y.ptr().cast::<U>()));
    // The target's own order of dimensions, whatever they are called: its last steps least.
    let mut order: SmallVec<[usize; 8]> = (0..y.ndim()).collect();
    order.sort_by_key(|&d| std::cmp::Reverse((y.strides()[d], x.strides()[d])));
    let turned =
        |values: &[i64]| -> SmallVec<[i64; 8]> { order.iter().map(|&d| values[d]).collect() };
    let plan = Plan::over(
        &turned(y.sizes()),
        [&turned(y.strides()), &turned(x.strides())],
    );
    let stream = y.numel() * size_of::<U>() >= STREAM;
    let (sizes, strides) = plan.parts();
    let last = sizes.len() - 1;
    if strides[last] == [1, 1] {
        if last == 0 {
            return run(from, to, sizes[0], stream);
        }
        return runs(
            &plan,
            from,
            to,
            stream && sizes[last] * size_of::<U>() >= 256,
        );
    }
    // The dimension along which the source lies in a row, or nearest to it.
    let near = (0..last)
        .filter(|&d| strides[d][1] != 0 && strides[d][1] < strides[last][1])
        .min_by_key(|&d| strides[d][1]);
    match near {
        Some(near) if strides[near][1] == 1 && strides[last][0] == 1 => {
            Turned::new(sizes, strides, near, U::TILE).each(|at, rows, columns| {
                let tile = Tile {
                    // SAFETY: a tile's corner is inside the geometry of both.
                    from: unsafe { from.ptr().offset(at.offsets[1]) },
                    from_step: at.steps[1],
                    // SAFETY: as above.
                    to: unsafe { to.ptr().offset(at.offsets[0]) },
                    to_step: at.steps[0],
                    rows,
                    columns,
                };
                // SAFETY: `rows` and `columns` end inside the dimensions; the caller has no overlap.
                unsafe { tile.turn(stream) };
            });
        }
        Some(near) => Turned::new(sizes, strides, near, U::TILE).each(|at, rows, columns| {
            let (across, along) = (strides[last], strides[near]);
            for c in 0..columns as isize {
                for r in 0..rows as isize {
                    // SAFETY: inside both dimensions of the tile.
                    unsafe {
                        let v = from
                            .ptr()
                            .offset(at.offsets[1] + r * across[1] + c * along[1])
                            .read();
                        to.ptr()
                            .offset(at.offsets[0] + r * across[0] + c * along[0])
                            .write(v);
                    }
                }
            }
        }),
        None => plan.for_rows(&|row| stepped(from, to, row)),
    }
}

/// One run of elements on both sides.
fn run<U: Unit>(from: At<U>, to: At<U>, count: usize, stream: bool) {
    let grain = RUN / size_of::<U>();
    let part = |range: std::ops::Range<usize>| {
        // SAFETY: the parts make up the run.
        unsafe {
            write_out(
                from.ptr().add(range.start),
                to.ptr().add(range.start),
                range.len(),
                stream,
            );
        }
        if stream {
            settle();
        }
    };
    if count <= grain {
        return part(0..count);
    }
    spread(count, grain, &part);
}

/// Runs of elements on both sides.
fn runs<U: Unit>(plan: &Plan<2>, from: At<U>, to: At<U>, stream: bool) {
    plan.for_rows(&|row| {
        // SAFETY: the plan stays inside both geometries.
        unsafe {
            let (to, from) = (
                to.ptr().offset(row.offsets[0]),
                from.ptr().offset(row.offsets[1]),
            );
            if row.len <= 8 {
                for i in 0..row.len {
                    to.add(i).write(from.add(i).read());
                }
            } else {
                write_out(from, to, row.len, stream);
            }
        }
        if stream {
            settle();
        }
    });
}

/// Elements any steps apart; one that is repeated is read once.
fn stepped<U: Unit>(from: At<U>, to: At<U>, row: Row<2>) {
    let [put, get] = row.steps;
    // SAFETY: the plan stays inside both geometries.
    unsafe {
        let (to, from) = (
            to.ptr().offset(row.offsets[0]),
            from.ptr().offset(row.offsets[1]),
        );
        if get == 0 {
            let v = from.read();
            if put == 1 {
                for i in 0..row.len {
                    to.add(i).write(v);
                }
                return;
            }
            for i in 0..row.len as isize {
                to.offset(i * put).write(v);
            }
            return;
        }
        for i in 0..row.len as isize {
            to.offset(i * put).write(from.offset(i * get).read());
        }
    }
}

/// A walk in tiles over two dimensions, the last and `near`, inside all others.
struct Turned<'a> {
    sizes: &'a [usize],
    strides: &'a [[isize; 2]],
    near: usize,
    side: usize,
}

/// A tile's corner: offsets of target and source, and the steps from one row of either to the next.
struct Corner {
    offsets: [isize; 2],
    steps: [isize; 2],
}

/// A task's tiles: fewer than this many elements are not worth a thread's while.
const TASK: usize = 4 * GRAIN;

impl<'a> Turned<'a> {
    fn new(sizes: &'a [usize], strides: &'a [[isize; 2]], near: usize, side: usize) -> Turned<'a> {
        Turned {
            sizes,
            strides,
            near,
            side,
        }
    }

    /// Calls `each` with every tile: its corner, how many elements the target has in a row, and how
    /// many the source has.
    fn each(&self, each: impl Fn(Corner, usize, usize) + Sync) {
        let (last, side) = (self.sizes.len() - 1, self.side);
        let (rows, columns) = (self.sizes[last], self.sizes[self.near]);
        let (high, wide) = (rows.div_ceil(side), columns.div_ceil(side));
        let outer: usize = (0..last)
            .filter(|&d| d != self.near)
            .map(|d| self.sizes[d])
            .product();
        let tiles = outer * high * wide;
        let (across, along) = (self.strides[last], self.strides[self.near]);
        let range = |range: std::ops::Range<usize>| {
            for tile in range {
                // Along the source's rows first: eight streams that the processor reads ahead of.
                let (c, rest) = (tile % wide * side, tile / wide);
                let (r, mut rest) = (rest % high * side, rest / high);
                let mut offsets: [isize; 2] =
                    std::array::from_fn(|k| r as isize * across[k] + c as isize * along[k]);
                for d in (0..last).rev().filter(|&d| d != self.near) {
                    let at = (rest % self.sizes[d]) as isize;
                    rest /= self.sizes[d];
                    for (offset, stride) in offsets.iter_mut().zip(self.strides[d]) {
                        *offset += at * stride;
                    }
                }
                let corner = Corner {
                    offsets,
                    steps: [along[0], across[1]],
                };
                each(corner, side.min(rows - r), side.min(columns - c));
            }
            settle();
        };
        let area = side.min(rows) * side.min(columns);
        if tiles * area < pool::PARALLEL_FROM {
            return range(0..tiles);
        }
        spread(tiles, (TASK / area).max(1), &range);
    }
}
