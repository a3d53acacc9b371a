//! Errors in units in the last place, against doubles for `f32` and against `libm` for `f64`.

use super::*;
use crate::cpu::pool;
use std::hint::black_box;

/// The bound that all functions of one number keep.
const BOUND: f64 = 4.0;

struct Case {
    name: &'static str,
    ours: fn(&[f32], &mut [f32]),
    double: fn(&[f64], &mut [f64]),
    reference: fn(f64) -> f64,
}

macro_rules! each {
    ($x:ident, $y:ident, $name:ident) => {
        wide(
            #[inline(always)]
            || {
                for (x, y) in $x.iter().zip($y) {
                    *y = $name(*x);
                }
            },
        )
    };
}

macro_rules! case {
    ($name:ident, $reference:expr) => {
        Case {
            name: stringify!($name),
            ours: |x, y| each!(x, y, $name),
            double: |x, y| each!(x, y, $name),
            reference: $reference,
        }
    };
}

fn sigmoid_reference(x: f64) -> f64 {
    if x < 0.0 {
        x.exp() / (1.0 + x.exp())
    } else {
        1.0 / (1.0 + (-x).exp())
    }
}

/// Sine as loops compute it: far angles in another way.
#[inline(always)]
fn any_sin<T: Math>(x: T) -> T {
    if x.is_far() { x.far_sin() } else { sin(x) }
}

#[inline(always)]
fn any_cos<T: Math>(x: T) -> T {
    if x.is_far() { x.far_cos() } else { cos(x) }
}

#[inline(always)]
fn any_tan<T: Math>(x: T) -> T {
    if x.is_far() { x.far_tan() } else { tan(x) }
}

/// Two steps of Newton from a rough start; near 1 with what is left of it, which keeps its digits.
fn erfinv_reference(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() || a > 1.0 {
        return f64::NAN;
    }
    if a == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    if a < 1e-200 {
        return x / std::f64::consts::FRAC_2_SQRT_PI;
    }
    // Winitzki's approximation, good to two digits.
    let l = (-a * a).ln_1p();
    let h = 2.0 / (std::f64::consts::PI * 0.147) + l / 2.0;
    let mut y = ((h * h - l / 0.147).sqrt() - h).sqrt();
    if a < 1e-3 {
        y = a / std::f64::consts::FRAC_2_SQRT_PI;
    }
    for _ in 0..6 {
        let slope = std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp();
        let off = if a < 0.5 {
            libm::erf(y) - a
        } else {
            (1.0 - a) - libm::erfc(y)
        };
        let step = off / slope;
        // Halley's correction.
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

const CASES: [Case; 20] = [
    case!(exp, f64::exp),
    case!(expm1, f64::exp_m1),
    case!(ln, f64::ln),
    case!(log1p, f64::ln_1p),
    case!(tanh, f64::tanh),
    case!(sigmoid, sigmoid_reference),
    case!(softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
    case!(any_sin, f64::sin),
    case!(any_cos, f64::cos),
    case!(any_tan, f64::tan),
    case!(erf, libm::erf),
    case!(asin, f64::asin),
    case!(acos, f64::acos),
    case!(atan, f64::atan),
    case!(sinh, f64::sinh),
    case!(cosh, f64::cosh),
    case!(erfinv, erfinv_reference),
    case!(sqrt, f64::sqrt),
    case!(rsqrt, |x| 1.0 / x.sqrt()),
    case!(recip, |x| 1.0 / x),
];

/// The error of `got` in units of the last place of a float near `wanted`.
fn error_f32(got: f32, wanted: f64) -> f64 {
    let rounded = wanted as f32;
    if got.is_nan() || wanted.is_nan() {
        return if got.is_nan() && wanted.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if got == rounded {
        let same_zero = got != 0.0 || got.is_sign_negative() == wanted.is_sign_negative();
        return if same_zero {
            (f64::from(got) - wanted).abs().min(0.5)
        } else {
            f64::INFINITY
        };
    }
    // Past the largest float, infinity is one step away.
    let clip = |v: f64| v.clamp(-2f64.powi(128), 2f64.powi(128));
    let exponent = (rounded.abs().to_bits() >> 23).clamp(1, 254) as i32;
    (clip(f64::from(got)) - clip(wanted)).abs() / 2f64.powi(exponent - 150)
}

fn error_f64(got: f64, wanted: f64) -> f64 {
    if got.is_nan() || wanted.is_nan() {
        return if got.is_nan() && wanted.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if got == wanted {
        return if got.is_sign_negative() == wanted.is_sign_negative() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if got.is_sign_negative() != wanted.is_sign_negative() {
        return f64::INFINITY;
    }
    got.abs().to_bits().abs_diff(wanted.abs().to_bits()) as f64
}

/// The worst error over every `step`-th float, and where; `quick` compares with our own doubles, which
/// the other tests compare with the reference.
fn worst(case: &Case, step: usize, quick: bool) -> (f64, f32) {
    let count = (1usize << 32).div_ceil(step);
    let parts = pool::map_chunks(count, 1 << 16, |range| {
        let x: Vec<f32> = range.map(|i| f32::from_bits((i * step) as u32)).collect();
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let mut y = vec![0.0; x.len()];
        (case.ours)(&x, &mut y);
        let mut wanted = vec![0.0; x.len()];
        if quick {
            (case.double)(&wide, &mut wanted);
        } else {
            wanted = wide.iter().map(|x| (case.reference)(*x)).collect();
        }
        let errors = x.iter().zip(y.iter().zip(&wanted));
        let errors = errors.map(|(x, (y, wanted))| (error_f32(*y, *wanted), *x));
        errors.fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
    });
    parts
        .into_iter()
        .fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
}

#[test]
fn floats_keep_the_bound_in_a_sample() {
    for case in &CASES {
        let (error, at) = worst(case, 20_011, false);
        assert!(error <= BOUND, "{}({at:e}) is off by {error:.2}", case.name);
    }
}

#[test]
#[ignore = "all floats: minutes"]
fn floats_keep_the_bound_everywhere() {
    for case in &CASES {
        let (error, at) = worst(case, 1, true);
        println!("{:10} {error:.3} at {at:e}", case.name);
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

/// The worst error of doubles over `n` of all magnitudes and `n` around 0, and where.
fn worst_double(case: &Case, n: usize) -> (f64, f64) {
    let parts = pool::map_chunks(n, 1 << 14, |range| {
        let bits = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let near = |i: usize| bits(i) as f64 / 2f64.powi(64) * 40.0 - 20.0;
        let all = range.clone().map(|i| f64::from_bits(bits(i)));
        let x: Vec<f64> = all.chain(range.map(near)).collect();
        let mut y = vec![0.0; x.len()];
        (case.double)(&x, &mut y);
        let errors = x
            .iter()
            .zip(&y)
            .map(|(x, y)| (error_f64(*y, (case.reference)(*x)), *x));
        errors.fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
    });
    parts
        .into_iter()
        .fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
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
#[ignore = "1e8 doubles for each function: minutes"]
fn doubles_keep_the_bound_in_a_large_sample() {
    check_doubles(50_000_000);
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
#[ignore = "a measurement"]
fn speed() {
    let n = 10_000_000;
    let x: Vec<f32> = (0..n).map(|i| (i % 1000) as f32 * 0.02 - 9.9).collect();
    let mut y = vec![0.0f32; n];
    let copy = Case {
        name: "copy",
        ours: |x, y| y.copy_from_slice(x),
        double: |_, _| {},
        reference: |x| x,
    };
    for case in std::iter::once(&copy).chain(&CASES) {
        let mut times: Vec<f64> = (0..9)
            .map(|_| {
                let start = std::time::Instant::now();
                pool::for_slices(&mut y, 1 << 15, |at, part| {
                    (case.ours)(&x[at..at + part.len()], part);
                });
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{:10} {:.2} ms on {} threads",
            case.name,
            times[4],
            pool::threads()
        );
    }
}
