//! Counting elements: histograms, and which values there are.

use super::Op;
use super::copy::contiguous_copy;
use crate::cpu::sort;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::tensor::{DType, Element, Scalar, Tensor};

ops! {
    /// Counts of elements in `bins` equal steps from `min` to `max`; others are not counted.
    ///
    /// Equal bounds stand for the smallest and the largest element.
    method function out host: fn histc(x; bins: i64 = 100i64, min: Scalar = 0i64, max: Scalar = 0i64) -> (y): Float named "histc" as "HistcBackward" {
        forward(out) = counts(x, bins, min.f64(), max.f64())?;
        try [(sample(&[2, 3]); 4i64, -2i64, 2i64), (sample(&[5]); 3i64, 0i64, 0i64)];
    }
    /// The different elements of a tensor, from the smallest to the largest.
    method function host: fn unique(x) -> (y): Number named "unique" {
        forward(out) = different(x)?;
        try [(sample(&[2, 3])), (longs(&[3, 1, 3, 1], &[4]))];
    }
}

fn counts(x: &Tensor, bins: i64, low: f64, high: f64) -> Result<Tensor> {
    if bins <= 0 {
        fail!(Runtime, "histc: bins must be positive; got {bins}");
    }
    if !x.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float("histc", x.dtype()));
    }
    let (mut low, mut high) = (low, high);
    if low == high && x.numel() > 0 {
        let bound = |what| super::reduce::total(x, what).map(Scalar::f64);
        low = bound(super::device::Reduction::Min)?;
        high = bound(super::device::Reduction::Max)?;
    }
    if !low.is_finite() || !high.is_finite() || low > high {
        fail!(
            Runtime,
            "histc: min and max must be finite, and min not above max; got min {low} and max {high}"
        );
    }
    // Of a range larger than the largest number, halves are computed with.
    let part = if (high - low).is_finite() { 1.0 } else { 0.5 };
    let range = high * part - low * part;
    let mut found = Vec::new();
    if found.try_reserve_exact(bins as usize).is_err() {
        fail!(Memory, "histc: no memory for {bins} bins");
    }
    found.resize(bins as usize, 0u64);
    let flat = super::copy::as_contiguous(x)?;
    dispatch!(float x.dtype(), "histc", T => {
        for i in 0..flat.numel() as i64 {
            let v = flat.read::<T>(i).to_f64();
            if v >= low && v <= high {
                // Equal elements count in the middle.
                let place = if range == 0.0 {
                    0.5
                } else {
                    (v * part - low * part) / range
                };
                let bin = (place * bins as f64) as i64;
                found[bin.min(bins - 1) as usize] += 1;
            }
        }
        let counts: Vec<T> = found.iter().map(|&n| T::from_i64(n as i64)).collect();
        Tensor::from_slice(&counts)
    })
}

fn different(x: &Tensor) -> Result<Tensor> {
    if x.numel() == 0 {
        return Tensor::empty("unique", x.dtype(), &[]);
    }
    let n = x.numel() as i64;
    let flat = contiguous_copy(x)?.view(&[n])?;
    let sorted = Tensor::empty("unique", x.dtype(), &[n])?;
    let places = Tensor::empty("unique", DType::I64, &[n])?;
    dispatch!(x.dtype(), T => {
        sort::sort::<T>("unique", [&flat, &sorted, &places], 0, false)?;
        let mut last = sorted.read::<T>(0);
        let mut count = 1;
        for i in 1..n {
            let v = sorted.read::<T>(i);
            // All NaN count as one.
            if v != last && !(v.is_nan() && last.is_nan()) {
                sorted.write(count, v);
                last = v;
                count += 1;
            }
        }
        contiguous_copy(&sorted.narrow(0, 0, count)?)
    })
}
