//! matmul.

use super::*;

fn product(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize)) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for l in 0..k {
            for j in 0..n {
                c[i * n + j] += a[i * k + l] * b[l * n + j];
            }
        }
    }
    c
}

#[test]
fn products_of_odd_sizes_in_every_layout() {
    let Some(_turn) = turn() else { return };
    let shapes = [
        (1, 1, 1),
        (5, 7, 3),
        (33, 17, 65),
        (1, 40, 9),
        (9, 40, 1),
        (64, 64, 64),
        (3, 1, 4),
        (40, 9, 2),
    ];
    for (m, k, n) in shapes {
        let (p, q, r) = (numbers(m * k, 21), numbers(k * n, 22), numbers(m * n, 23));
        let wanted = product(&p, &q, (m, k, n));
        for la in LAYOUTS {
            for lb in LAYOUTS {
                let a = T::new(DType::F32, &[m as i64, k as i64], la, &p);
                let b = T::new(DType::F32, &[k as i64, n as i64], lb, &q);
                for (lc, alpha, beta) in [(Layout::Plain, 1.0f32, 0.0f32), (la, 0.5, 2.0)] {
                    let c = T::new(DType::F32, &[m as i64, n as i64], lc, &r);
                    matmul("mm", &a.view(), &b.view(), &c.view(), alpha, beta).unwrap();
                    let wanted: Vec<f64> = wanted
                        .iter()
                        .zip(&r)
                        .map(|(w, r)| f64::from(alpha) * w + f64::from(beta) * r)
                        .collect();
                    close(
                        &c.values(),
                        &wanted,
                        1e-5,
                        &format!("{m} {k} {n} {la:?} {lb:?} {lc:?}"),
                    );
                }
            }
        }
    }
}

#[test]
fn batches_and_long_inner_dimensions() {
    let Some(_turn) = turn() else { return };
    let (p, q) = (numbers(3 * 5 * 7, 24), numbers(3 * 7 * 4, 25));
    let a = T::new(DType::F32, &[3, 5, 7], Layout::Transposed, &p);
    let b = T::new(DType::F32, &[3, 7, 4], Layout::Stepped, &q);
    let c = T::zeros(DType::F32, &[3, 5, 4], Layout::Offset);
    matmul("bmm", &a.view(), &b.view(), &c.view(), 1.0, 0.0).unwrap();
    let wanted: Vec<f64> = (0..3)
        .flat_map(|i| product(&p[i * 35..], &q[i * 28..], (5, 7, 4)))
        .collect();
    close(&c.values(), &wanted, 1e-5, "bmm");
    for (m, k, n) in [(3, 9001, 5), (1, 70001, 1), (2, 2000, 1)] {
        let (p, q, r) = (numbers(m * k, 26), numbers(k * n, 27), numbers(m * n, 28));
        let a = T::new(DType::F32, &[m as i64, k as i64], Layout::Plain, &p);
        let b = T::new(DType::F32, &[k as i64, n as i64], Layout::Plain, &q);
        let c = T::new(DType::F32, &[m as i64, n as i64], Layout::Stepped, &r);
        matmul("mm", &a.view(), &b.view(), &c.view(), 1.0, -1.0).unwrap();
        let wanted: Vec<f64> = product(&p, &q, (m, k, n))
            .iter()
            .zip(&r)
            .map(|(w, r)| w - r)
            .collect();
        close(&c.values(), &wanted, 1e-4, "long");
        matmul("mm", &a.view(), &b.view(), &c.view(), 1.0, 0.0).unwrap();
        close(&c.values(), &product(&p, &q, (m, k, n)), 1e-4, "long");
    }
}

#[test]
fn large_tiles() {
    let Some(_turn) = turn() else { return };
    // Enough workgroups for the tiles of 64 and of 128.
    for (m, n) in [(720, 700), (1300, 1500)] {
        let k = 9;
        let (p, q) = (numbers(m * k, 29), numbers(k * n, 30));
        let a = T::new(DType::F32, &[m as i64, k as i64], Layout::Transposed, &p);
        let b = T::new(DType::F32, &[k as i64, n as i64], Layout::Plain, &q);
        let c = T::zeros(DType::F32, &[m as i64, n as i64], Layout::Plain);
        matmul("mm", &a.view(), &b.view(), &c.view(), 1.0, 0.0).unwrap();
        close(&c.values(), &product(&p, &q, (m, k, n)), 1e-5, "large");
    }
}

#[test]
fn products_may_overwrite_what_they_read() {
    let Some(_turn) = turn() else { return };
    let p = numbers(36, 31);
    let a = T::new(DType::F32, &[6, 6], Layout::Plain, &p);
    matmul("mm", &a.view(), &a.view(), &a.view(), 1.0, 1.0).unwrap();
    let wanted: Vec<f64> = product(&p, &p, (6, 6, 6))
        .iter()
        .zip(&p)
        .map(|(w, r)| w + r)
        .collect();
    close(&a.values(), &wanted, 1e-5, "in place");
    let b = T::zeros(DType::F32, &[5, 6], Layout::Plain);
    let e = matmul("mm", &a.view(), &b.view(), &a.view(), 1.0, 0.0).unwrap_err();
    assert_eq!(
        e.to_string(),
        "mm: size mismatch, 6 x 6 times 5 x 6 does not give 6 x 6"
    );
}
