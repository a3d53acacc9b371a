//! Extrema against one comparison after another: ties, NaN, both zeros, lengths around the blocks.

use super::*;
use crate::cpu::pool::tests::with_threads;

/// Few different numbers, so that there are ties.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let bits = |i: usize| (i as u64 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
    (0..n).map(|i| (bits(i) % 1009) as f32 - 500.0).collect()
}

fn found<T: Element, const LARGEST: bool>(values: &[T]) -> (T, usize) {
    let (mut best, mut index) = (values[0], 0);
    for (k, &v) in values.iter().enumerate().skip(1) {
        let more = if LARGEST { v > best } else { v < best };
        if !best.is_nan() && (v.is_nan() || more) {
            (best, index) = (v, k);
        }
    }
    (best, index)
}

fn along<T: Element, const LARGEST: bool>(x: &Tensor) -> (T, usize) {
    let values = Tensor::empty("max", T::DTYPE, &[1]).unwrap();
    let indices = Tensor::empty("max", crate::tensor::DType::I64, &[1]).unwrap();
    arg::<T, LARGEST>(x, 0, &values, &indices);
    (values.read::<T>(0), indices.read::<i64>(0) as usize)
}

/// Whether two elements are the same, NaN being NaN.
fn same<T: Element>(a: T, b: T) -> bool {
    a == b || a.is_nan() && b.is_nan()
}

fn all_agree<T: Element>(of: impl Fn(f32) -> T, odd: &[f32]) {
    for len in [1, 5, 31, 127, 128, 129, 255, 256, 300, 1000, 70_000] {
        for seed in 0..3 {
            for odd in [&[][..], odd] {
                let mut values = numbers(len, seed);
                for (k, v) in odd.iter().enumerate() {
                    let at = (seed as usize * 41 + k * 97) % len;
                    values[at] = *v;
                }
                let values: Vec<T> = values.into_iter().map(&of).collect();
                let x = Tensor::from_slice(&values).unwrap();
                let (most, least) = (found::<T, true>(&values), found::<T, false>(&values));
                let (a, b) = (along::<T, true>(&x), along::<T, false>(&x));
                assert!(
                    same(a.0, most.0) && a.1 == most.1,
                    "{len} {seed} {a:?} {most:?}"
                );
                assert!(
                    same(b.0, least.0) && b.1 == least.1,
                    "{len} {seed} {b:?} {least:?}"
                );
                assert!(same(all::<T, true>(&x), most.0), "{len} {seed}");
                assert!(same(all::<T, false>(&x), least.0), "{len} {seed}");
            }
        }
    }
}

#[test]
fn the_first_best_or_the_first_nan_is_found() {
    all_agree(|v| v, &[f32::NAN]);
    all_agree(|v| v, &[f32::NAN, f32::NAN, f32::INFINITY]);
    all_agree(|v| v, &[f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY]);
    all_agree(f64::from, &[f32::NAN, f32::INFINITY]);
    all_agree(|v| v as i32, &[1e9, -1e9]);
    all_agree(|v| v as i64, &[1e9, -1e9]);
    all_agree(|v| v.abs() as u8, &[255.0]);
}

#[test]
fn of_both_zeros_the_first_counts() {
    for len in [9, 300] {
        for (first, second) in [(0.0f32, -0.0), (-0.0, 0.0)] {
            let mut values = vec![-1.0f32; len];
            (values[3], values[7]) = (first, second);
            let (v, at) = along::<f32, true>(&Tensor::from_slice(&values).unwrap());
            assert_eq!((v.to_bits(), at), (first.to_bits(), 3));
        }
    }
}

#[test]
fn results_have_the_same_bits_for_every_number_of_threads() {
    let values = numbers(400 * 1000, 5);
    let x = Tensor::from_slice(&values).unwrap();
    for sizes in [[400, 1000], [4, 100_000], [100_000, 4]] {
        let x = x.view(&sizes).unwrap();
        for dim in [0, 1] {
            let at = |threads: usize| -> Vec<(u32, i64)> {
                let mut kept = sizes;
                kept[dim] = 1;
                let values = Tensor::empty("max", x.dtype(), &kept).unwrap();
                let indices = Tensor::empty("max", crate::tensor::DType::I64, &kept).unwrap();
                with_threads(threads, || arg::<f32, true>(&x, dim, &values, &indices));
                let places = 0..values.numel() as i64;
                let pair = |i| (values.read::<f32>(i).to_bits(), indices.read::<i64>(i));
                places.map(pair).collect()
            };
            let one = at(1);
            for threads in [2, 3, 8] {
                assert!(at(threads) == one, "{threads} threads, {sizes:?} {dim}");
            }
        }
    }
}
