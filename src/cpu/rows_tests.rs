//! Softmax against its definition in double, at lengths around the blocks, and the same bits for
//! every number of threads.

use super::*;
use crate::cpu::pool::tests::with_threads;

fn numbers(n: usize) -> Vec<f32> {
    let bits = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (0..n).map(|i| bits(i) as f32 / 8e5 - 10.0).collect()
}

fn table(values: &[f32], rows: usize) -> Tensor {
    let columns = (values.len() / rows) as i64;
    let x = Tensor::from_slice(values).unwrap();
    x.view(&[rows as i64, columns]).unwrap()
}

fn result(x: &Tensor, dim: usize, log: bool) -> Vec<f32> {
    let y = Tensor::empty("softmax", x.dtype(), x.sizes()).unwrap();
    softmax::<f32>(x, dim, log, &y);
    (0..y.numel()).map(|i| y.read::<f32>(i as i64)).collect()
}

#[test]
fn lines_of_every_length_are_as_defined() {
    for len in [1, 2, 10, 31, 32, 33, 64, 255, 256, 257, 300, 1000] {
        let values = numbers(3 * len);
        for log in [false, true] {
            let got = result(&table(&values, 3), 1, log);
            for (line, got) in values.chunks(len).zip(got.chunks(len)) {
                let top = line.iter().fold(f32::MIN, |a, b| a.max(*b));
                let power = |v: &f32| f64::from(v - top).exp();
                let sum: f64 = line.iter().map(power).sum();
                for (x, y) in line.iter().zip(got) {
                    let wanted = match log {
                        true => f64::from(x - top) - sum.ln(),
                        false => power(x) / sum,
                    };
                    // Four roundings of a float, and those of the power.
                    let error = (f64::from(*y) - wanted).abs();
                    assert!(
                        error <= 6e-7 * wanted.abs().max(1e-3),
                        "{len} {x} {y} {wanted}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_line_may_be_its_own_result() {
    for log in [false, true] {
        let values = numbers(2 * 700);
        let wanted = result(&table(&values, 2), 1, log);
        let x = table(&values, 2);
        softmax::<f32>(&x, 1, log, &x);
        let got: Vec<f32> = (0..1400).map(|i| x.read::<f32>(i)).collect();
        assert_eq!(got, wanted);
    }
}

#[test]
fn nan_and_infinity_take_the_line() {
    for (odd, len) in [(f32::NAN, 300), (f32::INFINITY, 300), (f32::NAN, 7)] {
        for place in [0, len / 2, len - 1] {
            let mut values = numbers(2 * len);
            values[place] = odd;
            let got = result(&table(&values, 2), 1, false);
            assert!(got[place].is_nan());
            assert!(odd.is_infinite() || got[..len].iter().all(|v| v.is_nan()));
            assert!(got[len..].iter().all(|v| *v > 0.0));
        }
    }
    let got = result(&table(&[f32::NEG_INFINITY, 1.0, 1.0], 1), 1, false);
    assert_eq!(got, [0.0, 0.5, 0.5]);
}

#[test]
fn results_have_the_same_bits_for_every_number_of_threads() {
    let x = table(&numbers(300 * 777), 300);
    for (dim, log) in [(0, false), (1, false), (0, true), (1, true)] {
        let bits = |threads: usize| -> Vec<u32> {
            let y = with_threads(threads, || result(&x, dim, log));
            y.into_iter().map(f32::to_bits).collect()
        };
        let one = bits(1);
        for threads in [2, 3, 8] {
            assert!(bits(threads) == one, "{threads} threads, {dim} {log}");
        }
    }
}
