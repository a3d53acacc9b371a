//! map, copy and fill.

use super::*;
use crate::dispatch;
use crate::tensor::Element;

#[test]
fn map_in_every_layout() {
    let Some(_turn) = turn() else { return };
    for sizes in [&[5i64, 7][..], &[1, 1], &[64], &[3, 1, 5], &[2, 3, 4, 5]] {
        let n = sizes.iter().product::<i64>() as usize;
        let (p, q) = (numbers(n, 1), numbers(n, 2));
        let wanted: Vec<f64> = p
            .iter()
            .zip(&q)
            .map(|(a, b)| (*a as f32 * *b as f32 + 0.5) as f64)
            .collect();
        for la in LAYOUTS {
            for ly in LAYOUTS {
                let a = T::new(DType::F32, sizes, la, &p);
                let b = T::new(DType::F32, sizes, Layout::Plain, &q);
                let y = T::zeros(DType::F32, sizes, ly);
                let f = Formula::new("test", "a * b + p0");
                map(&f, &[&a.view(), &b.view()], &[Scalar::F32(0.5)], &y.view()).unwrap();
                close(
                    &y.values(),
                    &wanted,
                    1e-6,
                    &format!("{sizes:?} {la:?} {ly:?}"),
                );
            }
        }
    }
}

#[test]
fn expanded_operands_and_three_names() {
    let Some(_turn) = turn() else { return };
    let (p, q) = (numbers(12, 3), numbers(4, 4));
    let a = T::new(DType::F32, &[3, 4], Layout::Plain, &p);
    let b = T::new(DType::F32, &[4], Layout::Plain, &q);
    let m = T::new(
        DType::U8,
        &[3, 4],
        Layout::Offset,
        &[1., 0., 2., 0., 0., 1., 1., 0., 0., 0., 0., 9.],
    );
    let rows = Operand {
        sizes: &[3, 4],
        strides: &[0, 1],
        ..b.view()
    };
    let y = T::zeros(DType::F32, &[3, 4], Layout::Plain);
    let f = Formula {
        op: "where",
        names: &["mask", "x", "other"],
        params: &[],
        expr: "select(other, x, mask != 0)",
    };
    map(&f, &[&m.view(), &a.view(), &rows], &[], &y.view()).unwrap();
    let mask = m.values();
    let wanted: Vec<f64> = (0..12)
        .map(|i| if mask[i] != 0.0 { p[i] } else { q[i % 4] })
        .collect();
    assert_eq!(y.values(), wanted);
    // One element for all, from a place that no group of four starts at.
    let one = Operand {
        sizes: &[3, 4],
        strides: &[0, 0],
        offset: 3,
        ..b.view()
    };
    map(
        &Formula::new("add", "a + b"),
        &[&a.view(), &one],
        &[],
        &y.view(),
    )
    .unwrap();
    let wanted: Vec<f64> = p
        .iter()
        .map(|v| f64::from(*v as f32 + q[3] as f32))
        .collect();
    assert_eq!(y.values(), wanted);
}

#[test]
fn in_place_shares_memory_safely() {
    let Some(_turn) = turn() else { return };
    let p = numbers(35, 5);
    let doubled: Vec<f64> = p.iter().map(|v| v * 2.0).collect();
    for layout in LAYOUTS {
        let x = T::new(DType::F32, &[5, 7], layout, &p);
        map(
            &Formula::new("mul", "a + b"),
            &[&x.view(), &x.view()],
            &[],
            &x.view(),
        )
        .unwrap();
        assert_eq!(x.values(), doubled, "{layout:?}");
    }
    // Shifted by one within one buffer: each element must see what was there before.
    let x = T::new(DType::F32, &[64], Layout::Plain, &numbers(64, 6));
    let before = x.values();
    let from = Operand {
        sizes: &[63],
        ..x.view()
    };
    let to = Operand {
        sizes: &[63],
        offset: 1,
        ..x.view()
    };
    map(&Formula::new("shift", "a"), &[&from], &[], &to).unwrap();
    assert_eq!(x.values()[1..], before[..63]);
    // Two halves that have nothing in common.
    let (low, high) = (
        Operand {
            sizes: &[32],
            ..x.view()
        },
        Operand {
            sizes: &[32],
            offset: 32,
            ..x.view()
        },
    );
    let before = x.values();
    map(&Formula::new("halves", "a * 2.0"), &[&low], &[], &high).unwrap();
    assert_eq!(
        x.values()[32..],
        before[..32].iter().map(|v| v * 2.0).collect::<Vec<_>>()
    );
}

#[test]
fn comparisons_write_whole_bytes_and_nothing_else() {
    let Some(_turn) = turn() else { return };
    for n in [1, 2, 3, 4, 5, 7, 63, 1025] {
        for layout in LAYOUTS {
            let (p, q) = (numbers(n, 7), numbers(n, 8));
            let a = T::new(DType::F32, &[n as i64], Layout::Plain, &p);
            let b = T::new(DType::F32, &[n as i64], Layout::Stepped, &q);
            let y = T::zeros(DType::U8, &[n as i64], layout);
            map(
                &Formula::new("gt", "a > b"),
                &[&a.view(), &b.view()],
                &[],
                &y.view(),
            )
            .unwrap();
            let wanted: Vec<f64> = p.iter().zip(&q).map(|(a, b)| f64::from(a > b)).collect();
            assert_eq!(y.values(), wanted, "{n} {layout:?}");
        }
    }
}

fn as_type(v: f64, from: DType, to: DType) -> f64 {
    dispatch!(from, S => dispatch!(to, D => {
        let v = S::from_f64(v);
        let out = if from.is_float() { D::from_f64(v.to_f64()) } else { D::from_i64(v.to_i64()) };
        out.to_f64()
    }))
}

#[test]
fn copy_converts_as_the_cpu_does() {
    let Some(_turn) = turn() else { return };
    let kinds = [DType::U8, DType::I32, DType::I64, DType::F32];
    let values = [
        0.0,
        1.0,
        -1.0,
        2.7,
        -2.7,
        255.0,
        256.0,
        -129.0,
        65537.5,
        16777217.0,
        2147483648.0,
        -2147483649.0,
        4294967296.0,
        1e10,
        -1e10,
        9007199254740993.0,
        4611686293305294848.0,
        -9.3e18,
        1e19,
        0.49999997,
        33554435.0,
    ];
    for from in kinds {
        for to in kinds {
            let stored: Vec<f64> = values
                .iter()
                .map(|&v| as_type(v, DType::F64, from))
                .collect();
            let n = stored.len() as i64;
            for lx in LAYOUTS {
                for ly in [Layout::Plain, Layout::Stepped] {
                    let x = T::new(from, &[n], lx, &stored);
                    let y = T::zeros(to, &[n], ly);
                    copy("copy", &x.view(), &y.view()).unwrap();
                    let wanted: Vec<f64> = stored.iter().map(|&v| as_type(v, from, to)).collect();
                    assert_eq!(y.values(), wanted, "{from:?} to {to:?} {lx:?} {ly:?}");
                }
            }
        }
    }
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let x = T::new(DType::F32, &[3], Layout::Plain, &odd);
    for to in [DType::U8, DType::I32, DType::I64] {
        let y = T::zeros(to, &[3], Layout::Plain);
        copy("copy", &x.view(), &y.view()).unwrap();
        let wanted: Vec<f64> = odd.iter().map(|&v| as_type(v, DType::F32, to)).collect();
        assert_eq!(y.values(), wanted, "{to:?}");
    }
}

#[test]
fn copy_keeps_bits() {
    let Some(_turn) = turn() else { return };
    let bits: Vec<u8> = [
        0x7fc1_2345u32,
        0xff80_0001,
        1,
        0x8000_0000,
        0x7f80_0000,
        0x007f_ffff,
    ]
    .iter()
    .flat_map(|w| w.to_le_bytes())
    .collect();
    let (a, b) = (alloc(24).unwrap(), alloc(24).unwrap());
    upload(&a, 0, &bits).unwrap();
    let view = |buffer| Operand {
        buffer,
        dtype: DType::F32,
        sizes: &[2, 3],
        strides: &[3, 1],
        offset: 0,
    };
    copy("copy", &view(&a), &view(&b)).unwrap();
    let mut back = vec![0; 24];
    download(&b, 0, &mut back).unwrap();
    assert_eq!(back, bits);
}

#[test]
fn fill_every_type() {
    let Some(_turn) = turn() else { return };
    for dtype in [DType::U8, DType::I32, DType::I64, DType::F32] {
        for layout in LAYOUTS {
            let y = T::zeros(dtype, &[3, 5], layout);
            fill("fill", &y.view(), 200.0).unwrap();
            assert_eq!(y.values(), vec![200.0; 15], "{dtype:?} {layout:?}");
        }
    }
    let y = T::zeros(DType::I64, &[2], Layout::Plain);
    fill("fill", &y.view(), -5e9).unwrap();
    assert_eq!(y.values(), [-5e9, -5e9]);
}

#[test]
fn nothing_to_do_and_many_dimensions() {
    let Some(_turn) = turn() else { return };
    let buffer = alloc(0).unwrap();
    let none = Operand {
        buffer: &buffer,
        dtype: DType::F32,
        sizes: &[],
        strides: &[],
        offset: 0,
    };
    map(&Formula::new("exp", "exp_(a)"), &[&none], &[], &none).unwrap();
    let sizes = [2i64; 11];
    let p = numbers(2048, 9);
    let x = T::new(DType::F32, &sizes, Layout::Plain, &p);
    let y = T::zeros(DType::F32, &sizes, Layout::Plain);
    // Every second dimension turned round, so that none merge.
    let mut strides = x.strides.clone();
    let mut turned = sizes.to_vec();
    for d in (0..10).step_by(2) {
        strides.swap(d, d + 1);
        turned.swap(d, d + 1);
    }
    let from = Operand {
        strides: &strides,
        ..x.view()
    };
    copy("copy", &from, &y.view()).unwrap();
    let wanted: Vec<f64> = (0..2048).map(|i| p[place(i, &turned, &strides)]).collect();
    assert_eq!(y.values(), wanted);
}

#[test]
fn more_workgroups_than_one_axis_has() {
    let Some(_turn) = turn() else { return };
    // 70000 x 256 elements of a stepped byte view: one invocation for each.
    let n = 70_000i64 * 256;
    let buffer = alloc(n as usize * 2).unwrap();
    let all = Operand {
        buffer: &buffer,
        dtype: DType::U8,
        sizes: &[n * 2],
        strides: &[1],
        offset: 0,
    };
    fill("fill", &all, 7.0).unwrap();
    let even = Operand {
        buffer: &buffer,
        dtype: DType::U8,
        sizes: &[n],
        strides: &[2],
        offset: 0,
    };
    fill("fill", &even, 9.0).unwrap();
    let mut bytes = vec![0; n as usize * 2];
    download(&buffer, 0, &mut bytes).unwrap();
    assert!(bytes.chunks(2).all(|c| c == [9, 7]));
}
