//! Errors of the functions of floats in units in the last place: `make ulp`, `make ulp ONLY="sin pow"`.
//!
//! `f32`: every float, against our doubles; those: 1e8, against std and `libm`, whose own error of a
//! unit is not taken off. Functions of two numbers: 1e8 pairs of either type. `EVERY=43` takes every
//! 43rd float instead, which are 1e8 of them.

use rgrad::cpu::math::*;
use rgrad::cpu::pool;

#[path = "../../src/cpu/math/cases.rs"]
mod cases;

use cases::{BOUND, CASES, PAIRS, worst, worst_double, worst_pair};

/// Half of the doubles, and of the pairs, that are tried.
const HALF: usize = 50_000_000;

fn main() {
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let every = std::env::var("EVERY").map_or(1, |n| n.parse().expect("EVERY is a number"));
    let known: Vec<&str> = CASES
        .iter()
        .map(|c| c.name)
        .chain(PAIRS.iter().map(|p| p.name))
        .collect();
    if let Some(unknown) = only.iter().find(|o| !known.contains(&o.as_str())) {
        eprintln!(
            "nothing is called {unknown}; there are {}",
            known.join(", ")
        );
        std::process::exit(2);
    }
    let chosen = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    let mut broken = 0;
    let mut verdict = |name: &str, kind: &str, error: f64, at: String, bound: f64| {
        let mark = if error <= bound {
            ""
        } else {
            "  over its bound"
        };
        broken += u32::from(error > bound);
        println!("{name:10} {kind}  {error:6.3} at {at}{mark}");
    };
    for case in CASES.iter().filter(|c| chosen(c.name)) {
        let (error, at) = worst(case, every, true);
        verdict(case.name, "f32", error, format!("{at:e}"), BOUND);
        let (error, at) = worst_double(case, HALF);
        verdict(case.name, "f64", error, format!("{at:e}"), BOUND + 1.0);
    }
    for case in PAIRS.iter().filter(|c| chosen(c.name)) {
        let [single, double] = worst_pair(case, HALF);
        for (kind, (error, x, y)) in [("f32", single), ("f64", double)] {
            verdict(case.name, kind, error, format!("{x:e}, {y:e}"), BOUND);
        }
    }
    if broken > 0 {
        println!("{broken} over their bounds");
        std::process::exit(1);
    }
}
