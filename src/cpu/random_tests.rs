//! Against streams of the original generator.

use super::*;
use serde_json::Value;

const GOLDEN: &str = include_str!("../../tests/golden/rng_golden.json");

fn golden() -> Value {
    serde_json::from_str(GOLDEN).unwrap()
}

/// The numbers of a list, read by std: `serde_json` alone may be off by the last bit.
fn numbers<T: std::str::FromStr<Err: std::fmt::Debug>>(seed: &str, list: &str) -> Vec<T> {
    let (_, of_seed) = GOLDEN.split_once(&format!("\"{seed}\": {{")).unwrap();
    let (_, of_list) = of_seed.split_once(&format!("\"{list}\": [")).unwrap();
    let (inside, _) = of_list.split_once(']').unwrap();
    inside
        .split(',')
        .map(|number| number.trim().parse().unwrap())
        .collect()
}

fn seeds() -> Vec<String> {
    golden()["seeds"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

/// Runs `draw` from a fresh seed for every value of the list, in every seed.
fn check(list: &str, mut draw: impl FnMut(&mut Generator, usize) -> f64) {
    for seed in seeds() {
        let mut g = Generator::new(seed.parse().unwrap());
        for (i, wanted) in numbers::<f64>(&seed, list).into_iter().enumerate() {
            assert_eq!(draw(&mut g, i), wanted, "{list} of seed {seed}, value {i}");
        }
    }
}

fn check_row(list: &str, draw: impl Fn(&mut Generator, &mut [i64])) {
    for seed in seeds() {
        let mut g = Generator::new(seed.parse().unwrap());
        let wanted = numbers::<i64>(&seed, list);
        let mut got = vec![0; wanted.len()];
        draw(&mut g, &mut got);
        assert_eq!(got, wanted, "{list} of seed {seed}");
    }
}

#[test]
fn streams_are_those_of_the_era() {
    check("raw32_first5", |g, _| f64::from(g.raw32()));
    check("float_rand5", |g, _| f64::from(g.unit_f32()));
    check("double_rand5", |g, _| g.unit_f64());
    check("float_randn20", |g, _| f64::from(g.normal(0.0, 1.0) as f32));
    check("double_randn5", |g, _| g.normal(0.0, 1.0));
    check("randn3_then_rand2", |g, i| {
        if i < 3 {
            f64::from(g.normal(0.0, 1.0) as f32)
        } else {
            f64::from(g.unit_f32())
        }
    });
    check("long_random_0_10_x8", |g, _| {
        g.random_between(DType::I64, 0, 10) as f64
    });
    check("float_uniform_-1_1_x4", |g, _| {
        f64::from(g.uniform_f32(-1.0, 1.0))
    });
    check("bernoulli_half_x10", |g, _| {
        f64::from(u8::from(g.bernoulli(0.5)))
    });
    check("double_exponential_1_x3", |g, _| g.exponential(1.0));
    check_row("randperm10", |g, out| g.permutation(out));
    let weights = [1.0, 2.0, 3.0, 4.0];
    check_row("multinomial_1234_rep_x8", |g, o| {
        g.multinomial(&weights, true, o).unwrap()
    });
    check_row("multinomial_1234_norep_x4", |g, o| {
        g.multinomial(&weights, false, o).unwrap()
    });
}

#[test]
fn every_list_of_the_file_is_checked() {
    let golden = golden();
    let source = include_str!("random_tests.rs");
    for name in golden["seeds"]["0"].as_object().unwrap().keys() {
        assert!(
            source.contains(&format!("\"{name}\"")),
            "{name} is not checked"
        );
    }
}

#[test]
fn the_low_half_of_a_seed_counts_and_the_whole_is_kept() {
    let (mut a, mut b) = (Generator::new(7), Generator::new(7 + (5 << 32)));
    assert_eq!(a.raw64(), b.raw64());
    assert_eq!(b.initial_seed(), 7 + (5 << 32));
    assert_ne!(a.seed(), a.seed());
}

#[test]
fn a_state_continues_the_stream_with_its_waiting_normal() {
    for draws in [0, 1, 3, 623, 624, 625, 1000] {
        let mut g = Generator::new(3);
        for _ in 0..draws {
            g.raw32();
        }
        g.normal(0.0, 1.0);
        let state = g.get_state();
        assert_eq!(state.len(), STATE_BYTES);
        let mut other = Generator::new(99);
        other.set_state(&state).unwrap();
        assert_eq!(other, g);
        for _ in 0..2000 {
            assert_eq!(other.normal(1.0, 2.0), g.normal(1.0, 2.0));
        }
    }
}

#[test]
fn a_state_of_later_versions_continues_the_stream() {
    let mut g = Generator::new(3);
    g.normal(0.0, 1.0);
    let waiting = g.clone().normal(0.0, 1.0);
    let mut later = g.get_state();
    // There x and rho are zero, y is the waiting value, and eight bytes of a float follow.
    later[5016..5024].fill(0);
    later[5024..5032].copy_from_slice(&waiting.to_le_bytes());
    later[5032..5040].fill(0);
    later.extend([0; 8]);
    let mut other = Generator::new(99);
    other.set_state(&later).unwrap();
    assert_eq!(other.normal(0.0, 1.0), waiting);
    g.normal(0.0, 1.0);
    assert_eq!(other.raw64(), g.raw64());
}

#[test]
fn a_bad_state_is_refused_and_changes_nothing() {
    let mut g = Generator::new(3);
    let before = g.clone();
    let good = g.get_state();
    let mut bad: Vec<Vec<u8>> = vec![vec![], good[1..].to_vec()];
    for (at, value) in [(8, 0), (8, 255), (12, 0), (19, 1), (24 + 4, 1)] {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes[at + 1] |= if value == 255 { 255 } else { 0 };
        bad.push(bytes);
    }
    for bytes in bad {
        g.set_state(&bytes).unwrap_err();
        assert_eq!(g, before);
    }
}

#[test]
fn ranges_and_types_of_random() {
    let mut g = Generator::new(1);
    let limits = [
        (DType::U8, 1 << 8),
        (DType::I8, 1 << 7),
        (DType::I16, 1 << 15),
        (DType::I32, 1 << 31),
        (DType::I64, i64::MAX),
        (DType::F32, (1 << 24) + 1),
        (DType::F64, (1 << 53) + 1),
    ];
    for (dtype, limit) in limits {
        let values: Vec<i64> = (0..2000).map(|_| g.random(dtype)).collect();
        assert!(values.iter().all(|v| (0..limit).contains(v)));
        assert!(values.iter().any(|v| *v > limit / 2), "{dtype:?}");
    }
    for (a, b) in [
        (-5, 5),
        (0, 1 << 40),
        (i64::MIN, i64::MAX),
        (i64::MAX - 1, i64::MAX),
    ] {
        for _ in 0..200 {
            assert!((a..b).contains(&g.random_between(DType::I64, a, b)));
        }
    }
}

#[test]
fn moments_of_the_samplers() {
    let mut g = Generator::new(5);
    let n = 200_000;
    let mut mean = |f: &mut dyn FnMut(&mut Generator) -> f64| {
        (0..n).map(|_| f(&mut g)).sum::<f64>() / f64::from(n)
    };
    // Five standard errors of the mean of 200,000.
    assert!((mean(&mut |g| g.normal(2.0, 3.0)) - 2.0).abs() < 0.034);
    assert!((mean(&mut |g| g.exponential(2.0)) - 0.5).abs() < 0.006);
    assert!((mean(&mut |g| f64::from(u8::from(g.bernoulli(0.3)))) - 0.3).abs() < 0.006);
    assert!((mean(&mut |g| g.log_normal(0.0, 0.5)) - 0.125f64.exp()).abs() < 0.007);
    assert!((mean(&mut |g| f64::from(u8::from(g.cauchy(1.0, 2.0) < 1.0))) - 0.5).abs() < 0.006);
    // 0.3 counts failures with probability p: the mean is 1 / (1 - p).
    assert!((mean(&mut |g| g.geometric(0.4) as f64) - 1.0 / 0.6).abs() < 0.02);
}

#[test]
fn multinomial_refuses_what_it_cannot_draw() {
    let mut g = Generator::new(0);
    let mut try_it = |w: &[f64], replacement, n| {
        let mut out = vec![0; n];
        g.multinomial(w, replacement, &mut out).map(|()| out)
    };
    for (w, replacement, n) in [
        (&[1.0, 2.0][..], true, 0),
        (&[1.0, 2.0], false, 3),
        (&[0.0, 0.0], true, 1),
        (&[1.0, 0.0], false, 2),
        (&[1.0, -1.0], true, 1),
        (&[1.0, f64::NAN], true, 1),
        (&[], true, 1),
    ] {
        assert!(
            try_it(w, replacement, n).is_err(),
            "{w:?} {replacement} {n}"
        );
    }
    for _ in 0..200 {
        let got = try_it(&[0.0, 1e-30, 0.0, 3.0, 0.0], true, 4).unwrap();
        assert!(got.iter().all(|i| [1, 3].contains(i)));
        let mut all = try_it(&[0.5, 0.0, 1.0, 2.0], false, 3).unwrap();
        all.sort_unstable();
        assert_eq!(all, [0, 2, 3]);
    }
}
