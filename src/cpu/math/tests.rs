//! Functions keep their bounds, in samples; `make ulp` walks all floats.

use super::cases::*;
use super::*;
use std::hint::black_box;

#[test]
fn floats_keep_the_bound_in_a_sample() {
    for case in &CASES {
        let (error, at) = worst(case, 20_011, false);
        assert!(error <= BOUND, "{}({at:e}) is off by {error:.2}", case.name);
    }
}

/// Values where formulas break, of both signs.
fn special() -> Vec<f64> {
    let f = |v: f32| f64::from(v);
    let mut all = vec![
        0.0,
        f64::INFINITY,
        f64::NAN,
        1.0,
        0.5,
        2.0,
        1e-3,
        10.0,
        22.0,
        30.0,
        37.0,
        f(f32::MIN_POSITIVE),
        f(f32::from_bits(1)),
        f(f32::MAX),
        5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        1e-300,
        1e300,
        88.72283,
        88.7229,
        103.97,
        104.1,
        709.78,
        709.79,
        745.1,
        745.2,
        0.346_573_59,
        std::f64::consts::FRAC_1_SQRT_2,
        std::f64::consts::SQRT_2,
        1.0 - f64::EPSILON,
        1.0 + f64::EPSILON,
        f(1.0 - f32::EPSILON),
        f(1.0 + f32::EPSILON),
        std::f64::consts::FRAC_PI_2,
        std::f64::consts::PI,
        1e5,
        16777217.0,
        1e22,
    ];
    all.extend((1..200).map(|i| f64::from(i) * 0.0537));
    all.extend(all.clone().iter().map(|x| -x));
    all
}

#[test]
fn special_values() {
    let doubles = special();
    let singles: Vec<f32> = doubles.iter().map(|x| *x as f32).collect();
    for case in &CASES {
        let mut y = vec![0.0; doubles.len()];
        (case.double)(&doubles, &mut y);
        for (x, y) in doubles.iter().zip(&y) {
            let error = error_f64(*y, (case.reference)(*x));
            assert!(
                error <= BOUND + 1.0,
                "f64 {}({x:e}) = {y:e} is off by {error}",
                case.name
            );
        }
        let mut y = vec![0.0; singles.len()];
        (case.ours)(&singles, &mut y);
        for (x, y) in singles.iter().zip(&y) {
            let error = error_f32(*y, (case.reference)(f64::from(*x)));
            assert!(
                error <= BOUND,
                "f32 {}({x:e}) = {y:e} is off by {error}",
                case.name
            );
        }
    }
}

/// Doubles spread over all magnitudes.
fn spread(n: usize) -> impl Iterator<Item = f64> {
    (0..n as u64).map(|i| f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn check_doubles(n: usize) {
    for case in &CASES {
        let (error, at) = worst_double(case, n);
        println!("f64 {:10} {error} at {at:e}", case.name);
        // One more for the reference itself.
        assert!(
            error <= BOUND + 1.0,
            "{}({at:e}) is off by {error}",
            case.name
        );
    }
}

#[test]
fn doubles_keep_the_bound_in_a_sample() {
    check_doubles(300_000);
}

#[test]
fn powers() {
    let values = special();
    for &x in &values {
        for &y in &values {
            let (x, y) = (x as f32, y as f32);
            let wanted = f64::from(x).powf(f64::from(y));
            let error = error_f32(pow(x, y), wanted);
            assert!(
                error <= 1.0,
                "pow({x:e}, {y:e}) = {:e}, not {wanted:e}",
                pow(x, y)
            );
        }
    }
    for (x, y) in spread(300_000).zip(spread(300_007).skip(7)) {
        let (x, y) = (
            f32::from_bits(x.to_bits() as u32),
            f32::from_bits((y.to_bits() >> 32) as u32),
        );
        let error = error_f32(pow(x, y), f64::from(x).powf(f64::from(y)));
        assert!(error <= 1.0, "pow({x:e}, {y:e}) is off by {error}");
    }
}

#[test]
fn wide_loops_give_the_bits_of_plain_ones() {
    let x: Vec<f32> = (0..100_000u32)
        .map(|i| f32::from_bits(i.wrapping_mul(0x9e37_79b9)))
        .collect();
    let plain: [fn(f32) -> f32; 16] = [
        exp, expm1, ln, log1p, tanh, sigmoid, softplus, any_sin, any_cos, any_tan, erf, asin, acos,
        atan, sinh, cosh,
    ];
    for (case, plain) in CASES.iter().zip(plain) {
        let mut y = vec![0.0; x.len()];
        (case.ours)(&x, &mut y);
        for (x, y) in x.iter().zip(y) {
            let one = plain(black_box(*x));
            assert!(
                one.to_bits() == y.to_bits() || one.is_nan() && y.is_nan(),
                "{}({x:e})",
                case.name
            );
        }
    }
}

#[test]
fn pairs_keep_the_bound_in_a_sample() {
    for pair in &PAIRS {
        for (error, x, y) in worst_pair(pair, 200_000) {
            assert!(
                error <= BOUND,
                "{}({x:e}, {y:e}) is off by {error:.2}",
                pair.name
            );
        }
    }
}

#[test]
fn exp_below_has_the_bits_of_exp() {
    for x in special().into_iter().filter(|x| *x <= 0.0) {
        assert_eq!(exp_below(x).to_bits(), exp(x).to_bits(), "{x:e}");
        let x = x as f32;
        assert_eq!(exp_below(x).to_bits(), exp(x).to_bits(), "{x:e}");
    }
    for i in (0..1u32 << 31).step_by(4099) {
        let x = -f32::from_bits(i);
        if !x.is_nan() {
            assert_eq!(exp_below(x).to_bits(), exp(x).to_bits(), "{x:e}");
        }
        let x = -f64::from_bits(u64::from(i) << 33);
        if !x.is_nan() {
            assert_eq!(exp_below(x).to_bits(), exp(x).to_bits(), "{x:e}");
        }
    }
}
