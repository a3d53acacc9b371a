//! The machine against plain loops on the CPU, on whatever adapter `RGRAD_GPU` names.
//!
//! Without an adapter these tests fail with the reason; with `RGRAD_GPU=off` they pass without work,
//! and say so.

mod elements;
mod folds;
mod indexes;
mod life;
mod products;
mod texts;

use super::*;
use crate::tensor::dims::row_major;
use crate::tensor::{DType, Dims};
use parking_lot::{Mutex, MutexGuard};

/// One test at a time: counters and error words are the process's.
static TURN: Mutex<()> = Mutex::new(());

/// Takes the turn; `None` where the GPU is switched off.
fn turn() -> Option<MutexGuard<'static, ()>> {
    if std::env::var("RGRAD_GPU").is_ok_and(|v| v.eq_ignore_ascii_case("off")) {
        eprintln!("not run: RGRAD_GPU=off");
        return None;
    }
    let guard = TURN.lock();
    if let Some(why) = why_not() {
        panic!("{why}; set RGRAD_GPU=software, or RGRAD_GPU=off to leave these tests out");
    }
    Some(guard)
}

/// A tensor of the tests: its elements as `f64` in storage order, and a view.
struct T {
    buffer: Buffer,
    dtype: DType,
    sizes: Dims,
    strides: Dims,
    offset: usize,
}

fn bytes_of(dtype: DType, values: &[f64]) -> Vec<u8> {
    let mut out = Vec::new();
    for &v in values {
        match dtype {
            DType::U8 => out.push(v as u8),
            DType::I32 => out.extend((v as i32).to_le_bytes()),
            DType::I64 => out.extend((v as i64).to_le_bytes()),
            _ => out.extend((v as f32).to_le_bytes()),
        }
    }
    out
}

fn values_of(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    let n = dtype.bytes();
    let one = |b: &[u8]| match dtype {
        DType::U8 => b[0].into(),
        DType::I32 => i32::from_le_bytes(b.try_into().unwrap()).into(),
        DType::I64 => i64::from_le_bytes(b.try_into().unwrap()) as f64,
        _ => f32::from_le_bytes(b.try_into().unwrap()).into(),
    };
    bytes.chunks(n).map(one).collect()
}

/// The layouts that every kernel must read and write.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Layout {
    Plain,
    Offset,
    Transposed,
    Stepped,
}

const LAYOUTS: [Layout; 4] = [
    Layout::Plain,
    Layout::Offset,
    Layout::Transposed,
    Layout::Stepped,
];

impl T {
    /// A tensor of `sizes` with `values` in row-major order, laid out as asked; gaps hold 77.
    fn new(dtype: DType, sizes: &[i64], layout: Layout, values: &[f64]) -> T {
        let n = sizes.len();
        let (mut strides, mut offset) = (row_major(sizes), 0);
        match layout {
            Layout::Plain => {}
            Layout::Offset => offset = 3,
            Layout::Transposed => {
                let turned: Dims = sizes.iter().rev().copied().collect();
                strides = row_major(&turned).iter().rev().copied().collect();
            }
            Layout::Stepped => {
                strides = strides.iter().map(|s| s * 3).collect();
                offset = 1;
            }
        }
        let reach: i64 = (0..n).map(|d| (sizes[d] - 1).max(0) * strides[d]).sum();
        let mut storage = vec![77.0; offset + reach as usize + 3];
        for (i, &v) in values.iter().enumerate() {
            storage[place(i, sizes, &strides) + offset] = v;
        }
        let bytes = bytes_of(dtype, &storage);
        let buffer = alloc(bytes.len()).unwrap();
        upload(&buffer, 0, &bytes).unwrap();
        T {
            buffer,
            dtype,
            sizes: Dims::from_slice(sizes),
            strides,
            offset,
        }
    }

    fn zeros(dtype: DType, sizes: &[i64], layout: Layout) -> T {
        let n = sizes.iter().product::<i64>() as usize;
        T::new(dtype, sizes, layout, &vec![0.0; n])
    }

    fn view(&self) -> Operand<'_> {
        Operand {
            buffer: &self.buffer,
            dtype: self.dtype,
            sizes: &self.sizes,
            strides: &self.strides,
            offset: self.offset,
        }
    }

    /// The elements in row-major order; fails if anything between them was written.
    fn values(&self) -> Vec<f64> {
        let mut bytes = vec![0; self.buffer.bytes()];
        download(&self.buffer, 0, &mut bytes).unwrap();
        let storage = values_of(self.dtype, &bytes);
        let count = self.sizes.iter().product::<i64>() as usize;
        let mut used = vec![false; storage.len()];
        let mut out = Vec::new();
        for i in 0..count {
            let at = place(i, &self.sizes, &self.strides) + self.offset;
            used[at] = true;
            out.push(storage[at]);
        }
        for (i, v) in storage.iter().enumerate() {
            assert!(
                used[i] || *v == 77.0,
                "element {i} between the tensor's own was written: {v}"
            );
        }
        out
    }
}

/// Where element `i` in row-major order is.
fn place(mut i: usize, sizes: &[i64], strides: &[i64]) -> usize {
    let mut at = 0;
    for d in (0..sizes.len()).rev() {
        let size = sizes[d] as usize;
        at += i % size * strides[d] as usize;
        i /= size;
    }
    at
}

/// Numbers between -2 and 2, the same in every run.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    (0..count)
        .map(|_| f64::from((next() * 4.0 - 2.0) as f32))
        .collect()
}

/// Small integers from 0 to `top - 1`.
fn integers(count: usize, top: i64, seed: u64) -> Vec<f64> {
    numbers(count, seed)
        .iter()
        .map(|v| ((v + 2.0) / 4.0 * top as f64).floor())
        .collect()
}

fn close(got: &[f64], wanted: &[f64], bound: f64, what: &str) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan());
        assert!(
            same || (g - w).abs() <= bound * w.abs().max(1.0),
            "{what}: element {i} is {g}, not {w}"
        );
    }
}
