//! fold, fold_arg, softmax and softmax_grad.

use super::*;

fn reduced(reduce: Reduce, row: &[f64]) -> f64 {
    let mut it = row.iter().copied();
    match reduce {
        Reduce::Sum => it.sum(),
        Reduce::Prod => it.product(),
        Reduce::Max => {
            let first = it.next().unwrap();
            it.fold(first, |p, q| {
                if p.is_nan() || q.is_nan() {
                    f64::NAN
                } else {
                    p.max(q)
                }
            })
        }
        Reduce::Min => {
            let first = it.next().unwrap();
            it.fold(first, |p, q| {
                if p.is_nan() || q.is_nan() {
                    f64::NAN
                } else {
                    p.min(q)
                }
            })
        }
    }
}

/// The rows of `values` along `dim`, in row-major order of the other dimensions.
fn rows(values: &[f64], sizes: &[i64], dim: usize) -> Vec<Vec<f64>> {
    let inner: usize = sizes[dim + 1..].iter().product::<i64>() as usize;
    let length = sizes[dim] as usize;
    let outer = values.len() / inner / length;
    let mut out = Vec::new();
    for o in 0..outer {
        for i in 0..inner {
            out.push(
                (0..length)
                    .map(|k| values[(o * length + k) * inner + i])
                    .collect(),
            );
        }
    }
    out
}

const KINDS: [Reduce; 4] = [Reduce::Sum, Reduce::Prod, Reduce::Max, Reduce::Min];

#[test]
fn fold_over_each_dimension() {
    let Some(_turn) = turn() else { return };
    for sizes in [&[5i64, 7][..], &[1, 1], &[300, 3], &[3, 300], &[4, 3, 40]] {
        let n = sizes.iter().product::<i64>() as usize;
        let p: Vec<f64> = numbers(n, 11).iter().map(|v| 1.0 + v / 200.0).collect();
        for layout in LAYOUTS {
            let x = T::new(DType::F32, sizes, layout, &p);
            for reduce in KINDS {
                for dim in 0..sizes.len() {
                    let mut left = Dims::from_slice(sizes);
                    left[dim] = 1;
                    let y = T::zeros(DType::F32, &left, layout);
                    fold("fold", reduce, &x.view(), Some(dim), &y.view()).unwrap();
                    let wanted: Vec<f64> = rows(&p, sizes, dim)
                        .iter()
                        .map(|r| reduced(reduce, r))
                        .collect();
                    close(
                        &y.values(),
                        &wanted,
                        3e-6,
                        &format!("{sizes:?} {dim} {layout:?} {reduce:?}"),
                    );
                }
                let y = T::zeros(DType::F32, &[1], Layout::Offset);
                fold("fold", reduce, &x.view(), None, &y.view()).unwrap();
                close(&y.values(), &[reduced(reduce, &p)], 2e-5, "whole");
            }
        }
    }
}

#[test]
fn long_folds_take_several_passes() {
    let Some(_turn) = turn() else { return };
    let n = 300_000;
    let p = numbers(n, 12);
    let x = T::new(DType::F32, &[n as i64], Layout::Plain, &p);
    let y = T::zeros(DType::F32, &[1], Layout::Plain);
    for reduce in [Reduce::Sum, Reduce::Max, Reduce::Min] {
        fold("fold", reduce, &x.view(), None, &y.view()).unwrap();
        close(&y.values(), &[reduced(reduce, &p)], 1e-4, "long");
    }
    let across = T::new(DType::F32, &[3000, 100], Layout::Plain, &p);
    let y = T::zeros(DType::F32, &[100], Layout::Plain);
    fold("sum", Reduce::Sum, &across.view(), Some(0), &y.view()).unwrap();
    let wanted: Vec<f64> = rows(&p, &[3000, 100], 0)
        .iter()
        .map(|r| r.iter().sum())
        .collect();
    // Rounding grows with the sum of the sizes, here 3000, of which little is left over.
    close(&y.values(), &wanted, 1e-4, "across");
}

#[test]
fn integers_fold_in_64_bits() {
    let Some(_turn) = turn() else { return };
    let p: Vec<f64> = (0..1000).map(|i| 2e9 - f64::from(i)).collect();
    let x = T::new(DType::I32, &[1000], Layout::Plain, &p);
    let y = T::zeros(DType::I64, &[1], Layout::Plain);
    fold("sum", Reduce::Sum, &x.view(), None, &y.view()).unwrap();
    assert_eq!(y.values(), [p.iter().sum::<f64>()]);
    fold("min", Reduce::Min, &x.view(), None, &y.view()).unwrap();
    assert_eq!(y.values(), [2e9 - 999.0]);
    let x = T::new(DType::I64, &[3], Layout::Stepped, &[-3.0, 1e6, 1e9]);
    fold("prod", Reduce::Prod, &x.view(), None, &y.view()).unwrap();
    assert_eq!(y.values(), [-3e15]);
    let mask = T::new(
        DType::U8,
        &[7],
        Layout::Offset,
        &[1., 0., 1., 1., 0., 255., 1.],
    );
    fold("sum", Reduce::Sum, &mask.view(), None, &y.view()).unwrap();
    assert_eq!(y.values(), [259.0]);
    let small = T::zeros(DType::U8, &[1], Layout::Offset);
    fold("sum", Reduce::Sum, &mask.view(), None, &small.view()).unwrap();
    assert_eq!(small.values(), [3.0]);
}

#[test]
fn extremes_keep_nan_and_infinity() {
    let Some(_turn) = turn() else { return };
    let inf = f64::INFINITY;
    let p = [1.0, -inf, inf, f64::NAN, 3.0, -inf, -inf, -inf, -inf];
    let x = T::new(DType::F32, &[3, 3], Layout::Plain, &p);
    let (v, i) = (
        T::zeros(DType::F32, &[3], Layout::Plain),
        T::zeros(DType::I64, &[3], Layout::Plain),
    );
    fold("max", Reduce::Max, &x.view(), Some(1), &v.view()).unwrap();
    close(&v.values(), &[inf, f64::NAN, -inf], 0.0, "max");
    fold_arg("min", Pick::Min, &x.view(), 1, &v.view(), &i.view()).unwrap();
    close(&v.values(), &[-inf, f64::NAN, -inf], 0.0, "min");
    assert_eq!(i.values(), [1.0, 0.0, 0.0]);
    fold(
        "min",
        Reduce::Min,
        &x.view(),
        None,
        &Operand {
            sizes: &[1],
            ..v.view()
        },
    )
    .unwrap();
    assert!(v.values()[0].is_nan());
}

#[test]
fn extremes_name_the_first_place() {
    let Some(_turn) = turn() else { return };
    for dtype in [DType::F32, DType::I32, DType::U8, DType::I64] {
        for sizes in [&[5i64, 7][..], &[2, 1000], &[1000, 2], &[70, 40], &[1, 1]] {
            let n = sizes.iter().product::<i64>() as usize;
            let p = integers(n, 9, 13);
            for layout in LAYOUTS {
                let x = T::new(dtype, sizes, layout, &p);
                for (dim, pick) in [(0, Pick::Max), (1, Pick::Min), (1, Pick::Max)] {
                    let mut left = Dims::from_slice(sizes);
                    left[dim] = 1;
                    let v = T::zeros(dtype, &left, layout);
                    let i = T::zeros(DType::I64, &left, Layout::Plain);
                    fold_arg("max", pick, &x.view(), dim, &v.view(), &i.view()).unwrap();
                    let mut wanted = (Vec::new(), Vec::new());
                    for row in rows(&p, sizes, dim) {
                        let mut at = 0;
                        for (k, q) in row.iter().enumerate() {
                            if (pick == Pick::Max && *q > row[at])
                                || (pick == Pick::Min && *q < row[at])
                            {
                                at = k;
                            }
                        }
                        wanted.0.push(row[at]);
                        wanted.1.push(at as f64);
                    }
                    assert_eq!(
                        (v.values(), i.values()),
                        wanted,
                        "{dtype:?} {sizes:?} {layout:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn softmax_and_its_gradient() {
    let Some(_turn) = turn() else { return };
    for sizes in [
        &[5i64, 7][..],
        &[3, 300],
        &[300, 3],
        &[2, 5, 3],
        &[1, 1],
        &[70],
    ] {
        let n = sizes.iter().product::<i64>() as usize;
        let p: Vec<f64> = numbers(n, 14).iter().map(|v| v * 20.0).collect();
        let q = numbers(n, 15);
        for layout in LAYOUTS {
            let (x, g) = (
                T::new(DType::F32, sizes, layout, &p),
                T::new(DType::F32, sizes, layout, &q),
            );
            for dim in 0..sizes.len() {
                for log in [false, true] {
                    let y = T::zeros(DType::F32, sizes, layout);
                    let gx = T::zeros(DType::F32, sizes, Layout::Plain);
                    softmax("softmax", &x.view(), dim, log, &y.view()).unwrap();
                    softmax_grad("softmax", &g.view(), &y.view(), dim, log, &gx.view()).unwrap();
                    let (mut ys, mut gs) = (Vec::new(), Vec::new());
                    for (row, up) in rows(&p, sizes, dim).iter().zip(rows(&q, sizes, dim)) {
                        let top = row.iter().copied().fold(f64::MIN, f64::max);
                        let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
                        let soft: Vec<f64> = row.iter().map(|v| (v - top).exp() / sum).collect();
                        let total: f64 = if log {
                            up.iter().sum()
                        } else {
                            up.iter().zip(&soft).map(|(a, b)| a * b).sum()
                        };
                        ys.push(
                            row.iter()
                                .zip(&soft)
                                .map(|(v, s)| if log { v - top - sum.ln() } else { *s })
                                .collect::<Vec<_>>(),
                        );
                        gs.push(
                            up.iter()
                                .zip(&soft)
                                .map(|(u, s)| if log { u - s * total } else { s * (u - total) })
                                .collect::<Vec<_>>(),
                        );
                    }
                    let what = format!("{sizes:?} {dim} {log} {layout:?}");
                    for (got, wanted) in [(&y, ys), (&gx, gs)] {
                        let got = rows(&got.values(), sizes, dim).concat();
                        close(&got, &wanted.concat(), 1e-5, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn folds_refuse_what_makes_no_sense() {
    let Some(_turn) = turn() else { return };
    let x = T::zeros(DType::F32, &[2, 3], Layout::Plain);
    let y = T::zeros(DType::F32, &[2], Layout::Plain);
    let e = fold("sum", Reduce::Sum, &x.view(), Some(0), &y.view()).unwrap_err();
    assert_eq!(
        e.to_string(),
        "sum: 2 x 3 over dimension 0 does not give a result of 2"
    );
    let none = Operand {
        sizes: &[],
        strides: &[],
        ..x.view()
    };
    let one = Operand {
        sizes: &[1],
        ..y.view()
    };
    assert!(fold("max", Reduce::Max, &none, None, &one).is_err());
    fill("fill", &y.view(), 5.0).unwrap();
    fold("sum", Reduce::Sum, &none, None, &one).unwrap();
    assert_eq!(y.values(), [0.0, 5.0]);
    let wide = Operand {
        dtype: DType::F64,
        ..x.view()
    };
    let e = fold("sum", Reduce::Sum, &wide, None, &one).unwrap_err();
    assert!(matches!(e, crate::error::Error::Type(_)), "{e}");
}
