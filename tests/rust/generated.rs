//! Forty configurations of every differentiable row, drawn from its tries: other numbers, layouts,
//! and choices of the operands that require a gradient. No row is left out.

use crate::table::{
    close, differences, differentiable, dot, every_row, gradients, is_constant, layouts, numbers,
    takes_other_class, weighted, weights,
};
use rgrad::graph::{Var, Variable};
use rgrad::ops::Op;
use rgrad::ops::sample::Sample;
use rgrad::tensor::Tensor;
use std::cell::RefCell;
use std::collections::HashMap;

/// Configurations of a row, however many tries it has.
const EACH: usize = 40;
/// Every so many of them are checked at second order, too.
const SECOND: usize = 4;

/// SplitMix64 (Steele, Lea and Flood 2014): equal seeds draw equal programs everywhere.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Numbers within 5 % of those of `t`: in the domain and off the kinks where those are.
    fn near(&mut self, t: &Tensor) -> Tensor {
        let moved: Vec<f64> = numbers(t)
            .iter()
            .map(|v| v * (0.95 + 0.1 * self.unit()))
            .collect();
        Tensor::from_slice(&moved).unwrap().view(t.sizes()).unwrap()
    }
}

/// The operands of one configuration.
struct Case {
    /// Row-major, for differences.
    plain: Vec<Tensor>,
    /// The same numbers in a drawn layout, as leaves where they require a gradient.
    operands: Vec<Result<Variable, Tensor>>,
}

impl Case {
    fn draw(op: &Op, sample: &Sample, draw: &mut Draw) -> Case {
        let plain: Vec<Tensor> = sample.inputs.iter().map(|t| draw.near(t)).collect();
        let sure = loop {
            let i = draw.below(plain.len());
            if !is_constant(op, i) {
                break i;
            }
        };
        let operands = plain.iter().enumerate().map(|(i, t)| {
            let mut all = layouts(t);
            // Some rows are defined by the layout itself.
            let fixed = op.name == "as_strided" || op.rule.node == "ViewBackward";
            let at = if fixed { 0 } else { draw.below(all.len()) };
            let (_, laid) = all.swap_remove(at);
            if i == sure || (!is_constant(op, i) && draw.below(2) == 0) {
                Ok(Variable::leaf(laid, true, false))
            } else {
                Err(laid)
            }
        });
        let operands = operands.collect();
        Case { plain, operands }
    }

    fn vars(&self) -> Vec<Var> {
        let var = |o: &Result<Variable, Tensor>| match o {
            Ok(leaf) => leaf.var().unwrap(),
            Err(t) => Var::from(t.clone()),
        };
        self.operands.iter().map(var).collect()
    }

    /// The leaves with their places among the operands.
    fn leaves(&self) -> (Vec<usize>, Vec<Variable>) {
        let found = self.operands.iter().enumerate();
        found
            .filter_map(|(i, o)| Some((i, o.as_ref().ok()?.clone())))
            .unzip()
    }
}

fn check(op: &'static Op, sample: &Sample, seed: u64, second: bool) {
    let mut draw = Draw(seed);
    let case = Case::draw(op, sample, &mut draw);
    let (places, leaves) = case.leaves();
    let data: Vec<Var> = case.plain.iter().cloned().map(Var::from).collect();
    let sizes = {
        let given: Vec<_> = data.iter().map(Var::input).collect();
        let made = rgrad::ops::apply(op, &given, crate::table::values(sample)).unwrap();
        made[0].sizes().to_vec()
    };
    let w = weights(&sizes, draw.unit() * 100.0);
    let first = |vars: &[Var], leaves: &[Variable]| {
        gradients(&weighted(op, vars, sample, &w), leaves, true)
    };
    let found = first(&case.vars(), &leaves);
    for (k, &i) in places.iter().enumerate() {
        let value = || numbers(&weighted(op, &data, sample, &w).tensor)[0];
        let numeric = differences(&case.plain[i], value);
        match &found[k] {
            Some(g) => close(
                &numbers(&g.tensor),
                &numeric,
                &format!("seed {seed}, operand {i}"),
            ),
            None => assert!(
                numeric.iter().all(|n| n.abs() < 1e-5),
                "seed {seed}: no gradient of {i}"
            ),
        }
    }
    if !second {
        return;
    }
    // One number made of all first gradients, so that every mixed derivative is in its gradient.
    let sum = |found: &[Option<Var>]| {
        let terms = found.iter().flatten().enumerate();
        let dots = terms.map(|(k, g)| dot(g, &weights(g.sizes(), k as f64 + 0.4)));
        dots.reduce(|a, b| rgrad::ops::arith::add(&a, &b).unwrap())
    };
    let Some(total) = sum(&found) else { return };
    let found = gradients(&total, &leaves, true);
    for (k, &i) in places.iter().enumerate() {
        let numeric = differences(&case.plain[i], || {
            let again: Vec<Result<Variable, Tensor>> = case
                .plain
                .iter()
                .zip(&case.operands)
                .map(|(t, o)| match o {
                    Ok(_) => Ok(Variable::leaf(t.clone(), true, false)),
                    Err(_) => Err(t.clone()),
                })
                .collect();
            let again = Case {
                plain: Vec::new(),
                operands: again,
            };
            let (_, leaves) = again.leaves();
            let value = sum(&first(&again.vars(), &leaves)).map(|v| numbers(&v.tensor)[0]);
            value.unwrap_or(0.0)
        });
        match &found[k] {
            Some(g) => close(
                &numbers(&g.tensor),
                &numeric,
                &format!("seed {seed}, second order, operand {i}"),
            ),
            None => assert!(
                numeric.iter().all(|n| n.abs() < 1e-5),
                "seed {seed}: no second gradient of {i}"
            ),
        }
    }
}

#[test]
fn forty_configurations_of_every_differentiable_row() {
    let count: RefCell<HashMap<*const Op, usize>> = RefCell::default();
    every_row(|op, sample| {
        if !differentiable(op) || takes_other_class(sample) {
            return;
        }
        let tries = (op.tries)()
            .iter()
            .filter(|s| !takes_other_class(s))
            .count();
        let done = *count.borrow().get(&std::ptr::from_ref(op)).unwrap_or(&0);
        let rounds = EACH.div_ceil(tries);
        for i in 0..rounds {
            check(op, sample, (done * 1000 + i) as u64, i % SECOND == 0);
        }
        *count.borrow_mut().entry(op).or_default() += rounds;
    });
    let count = count.into_inner();
    let expected = rgrad::ops::all().filter(|op| differentiable(op));
    eprintln!(
        "{} configurations of {} rows",
        count.values().sum::<usize>(),
        count.len()
    );
    assert!(count.values().all(|&n| n >= EACH));
    assert!(
        count.len() + 12 > expected.count(),
        "rows without a try in doubles"
    );
}
