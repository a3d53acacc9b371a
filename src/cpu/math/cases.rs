//! What functions are compared with, for the tests and for `make ulp`: errors in units in the last place,
//! against doubles for `f32` and against std and `libm` for `f64`.

use super::pool;
use super::*;

/// The bound that all functions keep.
pub const BOUND: f64 = 4.0;

/// A function of one number.
pub struct Case {
    pub name: &'static str,
    pub ours: fn(&[f32], &mut [f32]),
    pub double: fn(&[f64], &mut [f64]),
    pub reference: fn(f64) -> f64,
}

/// A function of two numbers.
pub struct Pair {
    pub name: &'static str,
    pub ours: fn(f32, f32) -> f32,
    pub double: fn(f64, f64) -> f64,
    pub reference: fn(f64, f64) -> f64,
}

/// The functions of two numbers.
pub const PAIRS: [Pair; 2] = [
    Pair {
        name: "pow",
        ours: pow,
        double: pow,
        reference: f64::powf,
    },
    Pair {
        name: "atan2",
        ours: Math::atan2,
        double: Math::atan2,
        reference: f64::atan2,
    },
];

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
        case!(stringify!($name), $name, $reference)
    };
    ($called:expr, $name:ident, $reference:expr) => {
        Case {
            name: $called,
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
pub fn any_sin<T: Math>(x: T) -> T {
    if x.is_far() { x.far_sin() } else { sin(x) }
}

#[inline(always)]
pub fn any_cos<T: Math>(x: T) -> T {
    if x.is_far() { x.far_cos() } else { cos(x) }
}

#[inline(always)]
pub fn any_tan<T: Math>(x: T) -> T {
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

/// The functions of one number.
pub const CASES: [Case; 21] = [
    case!(exp, f64::exp),
    case!(expm1, f64::exp_m1),
    case!(ln, f64::ln),
    case!(log1p, f64::ln_1p),
    case!(tanh, f64::tanh),
    case!(sigmoid, sigmoid_reference),
    case!(softplus, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
    case!("sin", any_sin, f64::sin),
    case!("cos", any_cos, f64::cos),
    case!("tan", any_tan, f64::tan),
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
    case!(lgamma, libm::lgamma),
];

/// The error of `got` in units of the last place of a float near `wanted`.
pub fn error_f32(got: f32, wanted: f64) -> f64 {
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

pub fn error_f64(got: f64, wanted: f64) -> f64 {
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
pub fn worst(case: &Case, step: usize, quick: bool) -> (f64, f32) {
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

/// The worst error of doubles over `n` of all magnitudes and `n` around 0, and where.
pub fn worst_double(case: &Case, n: usize) -> (f64, f64) {
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

/// The worst errors of a function of two numbers over `n` pairs of all magnitudes and `n` small ones,
/// and where: of floats against doubles, of doubles against the reference.
pub fn worst_pair(case: &Pair, n: usize) -> [(f64, f64, f64); 2] {
    let none = [(0.0, 0.0, 0.0); 2];
    let larger = |a: [(f64, f64, f64); 2], b: [(f64, f64, f64); 2]| {
        [0, 1].map(|k| if b[k].0 > a[k].0 { b[k] } else { a[k] })
    };
    let parts = pool::map_chunks(n, 1 << 14, |range| {
        let bits = |i: usize, salt: u64| (i as u64).wrapping_mul(salt);
        let mut most = none;
        for i in range {
            let (a, b) = (
                bits(i, 0x9e37_79b9_7f4a_7c15),
                bits(i, 0xd1b5_4a32_d192_ed03),
            );
            let near = |v: u64, wide: f64| v as f64 / 2f64.powi(64) * 2.0 * wide - wide;
            let all = (
                f32::from_bits((a >> 32) as u32),
                f32::from_bits((b >> 32) as u32),
            );
            let some = (near(a, 8.0).abs() as f32, near(b, 40.0) as f32);
            let doubles = [
                (f64::from_bits(a), f64::from_bits(b)),
                (near(a, 8.0).abs(), near(b, 300.0)),
            ];
            for ((x, y), (u, v)) in [all, some].into_iter().zip(doubles) {
                let wanted = (case.reference)(f64::from(x), f64::from(y));
                let error = error_f32((case.ours)(x, y), wanted);
                let far = error_f64((case.double)(u, v), (case.reference)(u, v));
                most = larger(most, [(error, f64::from(x), f64::from(y)), (far, u, v)]);
            }
        }
        most
    });
    parts.into_iter().fold(none, larger)
}
