//! gather, scatter, scatter_add, index_select and index_add.

use super::*;

/// Row-major position of `i` with coordinate `dim` replaced by `k`, in a tensor of `sizes`.
fn moved(i: usize, from: &[i64], dim: usize, k: usize, sizes: &[i64]) -> usize {
    let mut steps = row_major(sizes);
    let along = steps[dim] as usize;
    steps[dim] = 0;
    place(i, from, &steps) + k * along
}

#[test]
fn gather_and_scatter_in_every_layout() {
    let Some(_turn) = turn() else { return };
    for dtype in [DType::F32, DType::I32, DType::U8, DType::I64] {
        for (outer, inner) in [
            (&[6i64, 5][..], &[6i64, 5][..]),
            (&[6, 5], &[4, 3]),
            (&[9], &[20]),
            (&[3, 4, 2], &[3, 2, 2]),
        ] {
            let n = outer.iter().product::<i64>() as usize;
            let m = inner.iter().product::<i64>() as usize;
            for dim in 0..outer.len() {
                if (0..outer.len()).any(|d| d != dim && inner[d] > outer[d]) {
                    continue;
                }
                for layout in LAYOUTS {
                    let (p, ks) = (integers(n, 200, 31), integers(m, outer[dim], 32));
                    let s = integers(m, 200, 33);
                    let x = T::new(dtype, outer, layout, &p);
                    let index = T::new(DType::I64, inner, layout, &ks);
                    let source = T::new(dtype, inner, layout, &s);
                    let y = T::zeros(dtype, inner, layout);
                    gather("gather", &x.view(), dim, &index.view(), &y.view()).unwrap();
                    let at = |i: usize| moved(i, inner, dim, ks[i] as usize, outer);
                    let what = format!("{dtype:?} {outer:?} {inner:?} {dim} {layout:?}");
                    assert_eq!(
                        y.values(),
                        (0..m).map(|i| p[at(i)]).collect::<Vec<_>>(),
                        "{what}"
                    );
                    if dtype == DType::F32 || dtype == DType::I32 {
                        let z = T::new(dtype, outer, layout, &p);
                        scatter_add("scatter_add", dim, &index.view(), &source.view(), &z.view())
                            .unwrap();
                        let mut wanted = p.clone();
                        (0..m).for_each(|i| wanted[at(i)] += s[i]);
                        assert_eq!(z.values(), wanted, "{what}");
                    }
                    scatter("scatter", dim, &index.view(), &source.view(), &x.view()).unwrap();
                    let mut wanted = p.clone();
                    (0..m).for_each(|i| wanted[at(i)] = s[i]);
                    assert_eq!(x.values(), wanted, "{what}");
                }
            }
        }
    }
}

#[test]
fn slices_by_one_index() {
    let Some(_turn) = turn() else { return };
    let p = numbers(35, 34);
    let x = T::new(DType::F32, &[5, 7], Layout::Transposed, &p);
    let index = T::new(DType::I64, &[3], Layout::Stepped, &[4.0, 0.0, 4.0]);
    let y = T::zeros(DType::F32, &[3, 7], Layout::Plain);
    index_select("index_select", &x.view(), 0, &index.view(), &y.view()).unwrap();
    let wanted: Vec<f64> = [4, 0, 4]
        .iter()
        .flat_map(|r| p[r * 7..r * 7 + 7].to_vec())
        .collect();
    assert_eq!(y.values(), wanted);
    let sum = T::zeros(DType::F32, &[5, 7], Layout::Offset);
    index_add("index_add", 0, &index.view(), &y.view(), &sum.view()).unwrap();
    let wanted: Vec<f64> = (0..35)
        .map(|i| p[i] * [1.0, 0.0, 0.0, 0.0, 2.0][i / 7])
        .collect();
    assert_eq!(sum.values(), wanted);
}

#[test]
fn scatter_add_with_many_lines_and_long_ones() {
    let Some(_turn) = turn() else { return };
    for (rows, columns, width) in [(3i64, 1500i64, 4i64), (20_000, 2, 3)] {
        let n = (rows * columns) as usize;
        let (ks, s) = (integers(n, width, 35), integers(n, 10, 36));
        let index = T::new(DType::I64, &[rows, columns], Layout::Plain, &ks);
        let source = T::new(DType::F32, &[rows, columns], Layout::Plain, &s);
        let y = T::zeros(DType::F32, &[width, columns], Layout::Plain);
        scatter_add("scatter_add", 0, &index.view(), &source.view(), &y.view()).unwrap();
        let mut wanted = vec![0.0; (width * columns) as usize];
        for i in 0..n {
            wanted[ks[i] as usize * columns as usize + i % columns as usize] += s[i];
        }
        assert_eq!(y.values(), wanted);
    }
}

#[test]
fn a_bad_index_is_raised_and_touches_nothing() {
    let Some(_turn) = turn() else { return };
    let p = numbers(6, 37);
    let x = T::new(DType::F32, &[6], Layout::Plain, &p);
    for bad in [6.0, -1.0, 4294967297.0] {
        let index = T::new(DType::I64, &[2], Layout::Plain, &[1.0, bad]);
        let y = T::zeros(DType::F32, &[2], Layout::Plain);
        gather("gather", &x.view(), 0, &index.view(), &y.view()).unwrap();
        let e = synchronize().unwrap_err().to_string();
        assert!(
            e.starts_with("gather: ") && e.contains("out of range"),
            "{e}"
        );
        assert_eq!(
            y.values(),
            [p[1], 0.0],
            "the rest is done, and the error is told once"
        );
        let s = T::new(DType::F32, &[2], Layout::Plain, &[5.0, 5.0]);
        let z = T::zeros(DType::F32, &[6], Layout::Plain);
        type Call = fn(&str, usize, &Operand, &Operand, &Operand) -> crate::error::Result<()>;
        for call in [scatter as Call, scatter_add] {
            call("scatter", 0, &index.view(), &s.view(), &z.view()).unwrap();
            let mut one = [0; 4];
            let e = download(&z.buffer, 0, &mut one).unwrap_err().to_string();
            assert!(e.starts_with("scatter: "), "{e}");
        }
        assert_eq!(z.values(), [0.0, 10.0, 0.0, 0.0, 0.0, 0.0]);
    }
    let index = T::new(DType::I64, &[2], Layout::Plain, &[0.0, 0.0]);
    let e = gather("gather", &x.view(), 0, &index.view(), &x.view())
        .unwrap_err()
        .to_string();
    assert_eq!(e, "gather: the result has the index's sizes; got 6 and 2");
}

#[test]
fn longs_beyond_32_bits_are_no_numbers_for_arithmetic() {
    let Some(_turn) = turn() else { return };
    for n in [1i64, 5, 6, 7, 8] {
        let mut p = vec![3.0; n as usize];
        let x = T::new(DType::I64, &[n], Layout::Plain, &p);
        let y = T::zeros(DType::I64, &[n], Layout::Plain);
        map(&Formula::new("neg", "-a"), &[&x.view()], &[], &y.view()).unwrap();
        assert_eq!(y.values(), vec![-3.0; n as usize]);
        p[n as usize - 1] = 5e9;
        let x = T::new(DType::I64, &[n], Layout::Plain, &p);
        map(&Formula::new("neg", "-a"), &[&x.view()], &[], &y.view()).unwrap();
        assert!(
            synchronize()
                .unwrap_err()
                .to_string()
                .starts_with("neg: 5000000000 is out of range")
        );
    }
}
