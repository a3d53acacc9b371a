//! Against sums in doubles, over shapes at the edges of kernels and all kinds of strides.

use super::*;

fn values<T: Element>(n: usize, seed: u64) -> Vec<T> {
    let mut state = seed | 1;
    (0..n)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            T::from_f64(((state >> 40) as f64 / (1u64 << 22) as f64 - 2.0) * 20.0)
        })
        .collect()
}

/// Strides of a matrix: row-major, column-major, with gaps, the same row everywhere.
fn layouts(rows: usize, columns: usize) -> [[usize; 2]; 4] {
    [[columns, 1], [1, rows], [2 * columns + 3, 2], [0, 1]]
}

/// Enough for each of [`layouts`], and some more.
fn room(rows: usize, columns: usize) -> usize {
    (rows + 1) * (2 * columns + 4)
}

fn check<T: Product>(m: usize, n: usize, k: usize, tolerance: f64) {
    for (ai, sa) in layouts(m, k).into_iter().enumerate() {
        for (bi, sb) in layouts(k, n).into_iter().enumerate() {
            let sc = layouts(m, n)[(ai + bi) % 3];
            let (alpha, beta) = [(1, 0), (2, 1), (1, 1), (3, 2)][(ai + 3 * bi) % 4];
            let a: Vec<T> = values(room(m, k), 1);
            let b: Vec<T> = values(room(k, n), 2);
            let mut c: Vec<T> = values(room(m, n), 3);
            let before = c.clone();
            let done = gemm(
                T::from_i64(alpha),
                View::new(&a, [m, k], sa).unwrap(),
                View::new(&b, [k, n], sb).unwrap(),
                T::from_i64(beta),
                ViewMut::new(&mut c, [m, n], sc).unwrap(),
            );
            assert!(done);
            let mut written = vec![false; c.len()];
            for i in 0..m {
                for j in 0..n {
                    let mut sum = 0.0;
                    let mut size = 0.0;
                    for p in 0..k {
                        let x =
                            a[i * sa[0] + p * sa[1]].to_f64() * b[p * sb[0] + j * sb[1]].to_f64();
                        sum += x;
                        size += x.abs();
                    }
                    let at = i * sc[0] + j * sc[1];
                    written[at] = true;
                    let wanted = alpha as f64 * sum + beta as f64 * before[at].to_f64();
                    let got = c[at].to_f64();
                    if T::DTYPE.is_float() {
                        let size = alpha as f64 * size + beta as f64 * before[at].to_f64().abs();
                        let error = (got - wanted).abs() / size.max(1e-30);
                        assert!(
                            error <= tolerance,
                            "{m} {n} {k} at {i} {j}: {got} not {wanted}"
                        );
                    } else {
                        assert_eq!(got, T::from_f64(wanted).to_f64(), "{m} {n} {k} at {i} {j}");
                    }
                }
            }
            for (at, is_written) in written.into_iter().enumerate() {
                assert!(is_written || c[at] == before[at], "wrote outside at {at}");
            }
        }
    }
}

const SIZES: [usize; 9] = [0, 1, 2, 3, 7, 8, 17, 33, 70];

#[test]
fn floats_of_all_shapes_and_strides() {
    for m in SIZES {
        for n in SIZES {
            for k in SIZES {
                // Half a unit for each product of a sum.
                check::<f32>(m, n, k, 6e-8 * (k + 2) as f64);
                check::<f64>(m, n, k, 1.2e-16 * (k + 2) as f64);
            }
        }
    }
    check::<f32>(130, 200, 90, 6e-8 * 92.0);
    check::<f32>(3, 40, 1100, 6e-8 * 1100.0);
}

#[test]
fn integers_wrap() {
    for (m, n, k) in [(1, 1, 1), (3, 4, 5), (8, 9, 10), (2, 3, 0), (0, 2, 2)] {
        check::<i64>(m, n, k, 0.0);
        check::<i32>(m, n, k, 0.0);
        check::<i16>(m, n, k, 0.0);
        check::<i8>(m, n, k, 0.0);
        check::<u8>(m, n, k, 0.0);
    }
}

#[test]
fn an_empty_sum_is_zero_and_beta_zero_forgets_nan() {
    for n in [1, 3, 40] {
        let mut c = vec![f32::NAN; n * n];
        let view = |data| View::new(data, [n, 0], [1, 1]).unwrap();
        let other = View::new(&[][..], [0, n], [1, 1]).unwrap();
        assert!(gemm(
            1.0,
            view(&[]),
            other,
            0.0,
            ViewMut::new(&mut c, [n, n], [n, 1]).unwrap()
        ));
        assert!(c.iter().all(|x| *x == 0.0));
        let ones = vec![1.0f32; n * n];
        let ones = View::new(&ones, [n, n], [n, 1]).unwrap();
        c.fill(f32::NAN);
        assert!(gemm(
            1.0,
            ones,
            ones,
            0.0,
            ViewMut::new(&mut c, [n, n], [n, 1]).unwrap()
        ));
        assert!(c.iter().all(|x| *x == n as f32));
    }
}

#[test]
fn views_stay_inside_and_apart() {
    let mut data = [0.0f32; 12];
    assert!(View::new(&data, [3, 4], [4, 1]).is_some());
    assert!(View::new(&data, [3, 4], [4, 2]).is_none());
    assert!(View::new(&data, [2, 2], [usize::MAX, 1]).is_none());
    assert!(View::new(&data, [100, 4], [0, 1]).is_some());
    assert!(View::new(&data, [0, 400], [400, 1]).is_some());
    assert!(ViewMut::new(&mut data, [3, 4], [4, 1]).is_some());
    assert!(ViewMut::new(&mut data, [3, 4], [1, 3]).is_some());
    assert!(ViewMut::new(&mut data, [3, 4], [0, 1]).is_none());
    assert!(ViewMut::new(&mut data, [3, 4], [3, 1]).is_none());
    assert!(ViewMut::new(&mut data, [1, 4], [0, 1]).is_some());
    let a = View::new(&[1.0f32; 6][..], [2, 3], [3, 1]).unwrap();
    assert!(!gemm(
        1.0,
        a,
        a,
        0.0,
        ViewMut::new(&mut data, [2, 3], [3, 1]).unwrap()
    ));
}

#[test]
fn results_have_the_same_bits_for_every_number_of_threads() {
    for (m, n, k) in [
        (161, 175, 130),
        (64, 256, 784),
        (300, 90, 700),
        (512, 100, 64),
        (1000, 81, 20),
    ] {
        for (ta, tb, tc) in [
            (false, false, false),
            (true, false, true),
            (false, true, false),
        ] {
            let (a, b): (Vec<f32>, Vec<f32>) = (values(m * k, 5), values(k * n, 6));
            let strides = |t: bool, r: usize, c: usize| if t { [1, r] } else { [c, 1] };
            let results: Vec<Vec<f32>> = [1, 2, 3, 7]
                .into_iter()
                .map(|threads| {
                    let mut c = vec![0.0; m * n];
                    pool::tests::with_threads(threads, || {
                        let a = View::new(&a, [m, k], strides(ta, m, k)).unwrap();
                        let b = View::new(&b, [k, n], strides(tb, k, n)).unwrap();
                        let c = ViewMut::new(&mut c, [m, n], strides(tc, m, n)).unwrap();
                        assert!(gemm(1.0, a, b, 0.0, c));
                    });
                    c
                })
                .collect();
            assert!(
                results.iter().all(|r| *r == results[0]),
                "{m} {n} {k} {ta} {tb} {tc}"
            );
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let shapes = [
        (2, 2, 2),
        (4, 4, 4),
        (6, 6, 6),
        (8, 8, 8),
        (16, 16, 16),
        (32, 32, 32),
        (64, 64, 64),
        (128, 128, 128),
        (256, 256, 256),
        (512, 512, 512),
        (1024, 1024, 1024),
        (2048, 2048, 2048),
        (64, 256, 784),
        (64, 10, 256),
        (1024, 256, 784),
        (1024, 10, 256),
        (1, 256, 784),
    ];
    for (m, n, k) in shapes {
        for (name, ta, tb) in [
            ("nn", false, false),
            ("nt", false, true),
            ("tn", true, false),
        ] {
            let (a, b): (Vec<f32>, Vec<f32>) = (values(m * k, 5), values(k * n, 6));
            let mut c = vec![0.0f32; m * n];
            let strides = |t: bool, r: usize, c: usize| if t { [1, r] } else { [c, 1] };
            let work = 2.0 * (m * n * k) as f64;
            let repeats = ((4e8 / work) as usize).clamp(1, 20_000);
            let mut times: Vec<f64> = (0..15)
                .map(|_| {
                    let start = std::time::Instant::now();
                    for _ in 0..repeats {
                        let a = View::new(&a, [m, k], strides(ta, m, k)).unwrap();
                        let b = View::new(&b, [k, n], strides(tb, k, n)).unwrap();
                        let c = ViewMut::new(&mut c, [m, n], [n, 1]).unwrap();
                        assert!(gemm(1.0, a, b, 0.0, c));
                    }
                    start.elapsed().as_secs_f64() / repeats as f64
                })
                .collect();
            times.sort_by(f64::total_cmp);
            println!(
                "{m:4} x {k:4} x {n:4} {name} {:9.2} us {:6.1} GFLOP/s",
                times[7] * 1e6,
                work / times[7] / 1e9
            );
        }
    }
}
