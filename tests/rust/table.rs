//! Walks the table: every row, every try, against finite differences and its own other forms.

use rgrad::graph::{Input, Var, Variable};
use rgrad::ops::apply::{Values, apply};
use rgrad::ops::in_place::run_into;
use rgrad::ops::{self, Class, Op, Sample};
use rgrad::tensor::{DType, Dims, Tensor, Value};
use rgrad::{dispatch, engine};
use std::panic::{AssertUnwindSafe, catch_unwind};

const STEP: f64 = 1e-6;
const ABSOLUTE: f64 = 1e-5;
const RELATIVE: f64 = 1e-3;

/// Runs `check` for every try of every row and reports all that fail.
pub fn every_row(check: impl Fn(&'static Op, &Sample)) {
    let mut failed = Vec::new();
    for op in ops::all().filter(|op| is_built(op)) {
        for (i, sample) in (op.tries)().iter().enumerate() {
            let ran = catch_unwind(AssertUnwindSafe(|| check(op, &taken(op, sample))));
            if let Err(panic) = ran {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                    .unwrap_or_else(|| "?".into());
                failed.push(format!("{} {} try {i}: {text}", op.name, op.rule.node));
            }
        }
        assert!(!(op.tries)().is_empty(), "{} has nothing to try", op.name);
    }
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// Whether this build has the row's kernel: without the feature `linalg` factorizations only say
/// how to get them, as `factorizations_of_a_build_without_them_say_how_to_get_them` tests.
fn is_built(op: &Op) -> bool {
    let rooms = [ops::factor::ROWS, ops::orthogonal::ROWS];
    cfg!(feature = "linalg")
        || !rooms
            .iter()
            .any(|rows| rows.iter().any(|row| std::ptr::eq(*row, op)))
}

#[test]
#[cfg(not(feature = "linalg"))]
fn factorizations_of_a_build_without_them_say_how_to_get_them() {
    let mut seen = 0;
    for op in ops::all().filter(|op| !is_built(op)) {
        for sample in (op.tries)() {
            let text = match apply(op, &plain(&sample.inputs), values(&sample)) {
                Err(rgrad::error::Error::Runtime(text)) => text,
                other => panic!("{}: {:?}", op.name, other.map(|r| r.len())),
            };
            assert!(text.contains("feature `linalg`"), "{}: {text}", op.name);
            seen += 1;
        }
    }
    assert!(seen > 20);
}

/// A try in a class that the op takes: doubles, or longs where it takes only integers.
fn taken(op: &Op, sample: &Sample) -> Sample {
    let fits = |t: &Tensor| op.class.has(t.dtype());
    let whole = |t: &Tensor| {
        if fits(t) {
            t.clone()
        } else {
            as_dtype(t, DType::I64)
        }
    };
    Sample::new(
        sample.inputs.iter().map(whole).collect(),
        sample.values.clone(),
    )
}

pub fn values(sample: &Sample) -> Values {
    sample.values.iter().cloned().collect()
}

/// Elements in row-major order, in double.
pub fn numbers(t: &Tensor) -> Vec<f64> {
    let flat = ops::copy::as_contiguous(t).unwrap();
    (0..flat.numel() as i64)
        .map(|i| dispatch!(flat.dtype(), T => rgrad::tensor::Element::to_f64(flat.read::<T>(i))))
        .collect()
}

pub fn bits(t: &Tensor) -> Vec<u64> {
    numbers(t).iter().map(|v| v.to_bits()).collect()
}

pub fn plain(tensors: &[Tensor]) -> Vec<Input<'static>> {
    tensors.iter().cloned().map(Input::plain).collect()
}

fn forward(op: &'static Op, tensors: &[Tensor], sample: &Sample) -> Vec<Tensor> {
    let results = apply(op, &plain(tensors), values(sample)).unwrap();
    results.into_iter().map(|v| v.tensor).collect()
}

pub fn as_dtype(t: &Tensor, dtype: DType) -> Tensor {
    let y = Tensor::empty("test", dtype, t.sizes()).unwrap();
    ops::copy::copy_into(&y, t).unwrap();
    y
}

/// Numbers in (0.5, 1.5) to weight outputs with, so that no sum is constant by chance.
pub fn weights(sizes: &[i64], shift: f64) -> Tensor {
    let n = sizes.iter().product::<i64>();
    let v: Vec<f64> = (0..n)
        .map(|i| 0.5 + ((i as f64 + shift) * 0.754_877_666).fract())
        .collect();
    Tensor::from_slice(&v).unwrap().view(sizes).unwrap()
}

/// The first result times `w`, summed, as a function of the inputs.
pub fn weighted(op: &'static Op, inputs: &[Var], sample: &Sample, w: &Tensor) -> Var {
    let given: Vec<Input> = inputs.iter().map(Var::input).collect();
    let y = apply(op, &given, values(sample)).unwrap().swap_remove(0);
    dot(&y, w)
}

/// The sum of `y` times `w`.
pub fn dot(y: &Var, w: &Tensor) -> Var {
    ops::reduce::sum(&ops::arith::mul(y, &Var::from(w.clone())).unwrap()).unwrap()
}

/// What to multiply with so that every row of a Jacobian is seen: each element alone, and all of
/// them with weights of their own.
fn directions(sizes: &[i64]) -> Vec<Tensor> {
    let n = sizes.iter().product::<i64>();
    let one = |k: i64| {
        let v: Vec<f64> = (0..n).map(|i| f64::from(i == k)).collect();
        Tensor::from_slice(&v).unwrap().view(sizes).unwrap()
    };
    (0..n).map(one).chain([weights(sizes, 0.3)]).collect()
}

pub fn leaves(tensors: &[Tensor]) -> Vec<Variable> {
    tensors
        .iter()
        .map(|t| Variable::leaf(ops::copy::contiguous_copy(t).unwrap(), true, false))
        .collect()
}

pub fn gradients(y: &Var, leaves: &[Variable], create_graph: bool) -> Vec<Option<Var>> {
    let Some((node, nr)) = y.history.clone() else {
        return vec![None; leaves.len()];
    };
    let ones = Var::from(Tensor::from_slice(&[1.0f64]).unwrap());
    let inputs: Vec<_> = leaves
        .iter()
        .map(|l| l.var().unwrap().history.unwrap())
        .collect();
    let options = engine::Options {
        retain_graph: create_graph,
        create_graph,
    };
    engine::gradients(
        vec![engine::Root {
            node,
            nr,
            gradient: ones,
        }],
        &inputs,
        options,
        true,
        &|| Ok(()),
    )
    .unwrap()
    .into_iter()
    .map(|found| found.gradient)
    .collect()
}

/// d f / d x by central differences; `f` reads the tensor anew at each call.
pub fn differences(x: &Tensor, f: impl Fn() -> f64) -> Vec<f64> {
    (0..x.numel() as i64)
        .map(|i| {
            let old = x.read::<f64>(i);
            x.write(i, old + STEP);
            let up = f();
            x.write(i, old - STEP);
            let down = f();
            x.write(i, old);
            (up - down) / (2.0 * STEP)
        })
        .collect()
}

pub fn close(analytic: &[f64], numeric: &[f64], what: &str) {
    assert_eq!(
        analytic.len(),
        numeric.len(),
        "{what}: size of the gradient"
    );
    for (a, n) in analytic.iter().zip(numeric) {
        assert!(
            (a - n).abs() <= ABSOLUTE + RELATIVE * n.abs(),
            "{what}: {analytic:?} but differences give {numeric:?}"
        );
    }
}

/// Whether 0.3 has no derivative for operand `i` and refuses one that requires grad, sooner or later.
pub fn is_constant(op: &Op, i: usize) -> bool {
    matches!(op.rule.node, "RemainderBackward1" | "FmodBackward1") && i == 1
}

/// The operands as values that require grad, where they may.
pub fn tracked(op: &Op, leaves: &[Variable]) -> Vec<Var> {
    let value = |(i, l): (usize, &Variable)| {
        if is_constant(op, i) {
            Var::from(l.tensor())
        } else {
            l.var().unwrap()
        }
    };
    leaves.iter().enumerate().map(value).collect()
}

/// Whether the row promises a derivative for floats at all.
pub fn differentiable(op: &Op) -> bool {
    (op.rule.back.is_some() || op.parts.is_some())
        && !op.forms.compares
        && !matches!(op.name, "sign" | "ceil" | "floor" | "round" | "trunc")
}

fn all_zero(g: &Option<Var>) -> bool {
    g.as_ref()
        .is_none_or(|g| numbers(&g.tensor).iter().all(|&v| v == 0.0))
}

#[test]
fn first_gradients_are_those_of_finite_differences() {
    every_row(|op, sample| {
        if !differentiable(op) || takes_other_class(sample) {
            return;
        }
        let leaves = leaves(&sample.inputs);
        let data: Vec<Var> = leaves.iter().map(|l| Var::from(l.tensor())).collect();
        let out = forward(op, &sample.inputs, sample).swap_remove(0);
        for w in directions(out.sizes()) {
            let y = weighted(op, &tracked(op, &leaves), sample, &w);
            let found = gradients(&y, &leaves, true);
            let again = gradients(&y, &leaves, true);
            for (i, leaf) in leaves.iter().enumerate() {
                if is_constant(op, i) {
                    continue;
                }
                let x = leaf.tensor();
                let numeric =
                    differences(&x, || numbers(&weighted(op, &data, sample, &w).tensor)[0]);
                let Some(g) = &found[i] else {
                    let none = numeric.iter().all(|n| n.abs() < ABSOLUTE);
                    assert!(none, "operand {i} got no gradient, but has {numeric:?}");
                    continue;
                };
                assert_eq!(g.sizes(), x.sizes(), "operand {i}");
                close(&numbers(&g.tensor), &numeric, &format!("operand {i}"));
                let twice = again[i].as_ref().unwrap();
                assert_eq!(bits(&g.tensor), bits(&twice.tensor), "run twice");
            }
        }
    });
}

/// Samples that convert to an element type without fractions have no derivative to compare.
pub fn takes_other_class(sample: &Sample) -> bool {
    sample.inputs.iter().any(|t| t.dtype() != DType::F64)
}

#[test]
fn second_gradients_are_those_of_finite_differences() {
    every_row(|op, sample| {
        if !differentiable(op) || takes_other_class(sample) {
            return;
        }
        let leaves = leaves(&sample.inputs);
        let out = forward(op, &sample.inputs, sample).swap_remove(0);
        let w = weights(out.sizes(), 0.3);
        let first = |i: usize| -> Option<Var> {
            let y = weighted(op, &tracked(op, &leaves), sample, &w);
            gradients(&y, &leaves, true).swap_remove(i)
        };
        // Every element of every first gradient, as a function of all operands.
        for k in 0..leaves.len() {
            let Some(g) = first(k) else { continue };
            for direction in directions(g.sizes()) {
                let found = gradients(&dot(&g, &direction), &leaves, true);
                for (i, leaf) in leaves.iter().enumerate() {
                    if is_constant(op, i) {
                        continue;
                    }
                    let x = leaf.tensor();
                    let value = || numbers(&dot(&first(k).unwrap(), &direction).tensor)[0];
                    let numeric = differences(&x, value);
                    let what = format!("gradient {k} by operand {i}");
                    match &found[i] {
                        Some(g) => close(&numbers(&g.tensor), &numeric, &what),
                        None => {
                            let none = numeric.iter().all(|n| n.abs() < ABSOLUTE);
                            assert!(none, "{what}: none, but differences give {numeric:?}");
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn comparisons_and_steps_give_zero_gradients() {
    every_row(|op, sample| {
        if differentiable(op) || op.rule.back.is_none() {
            return;
        }
        let leaves = leaves(&sample.inputs);
        let vars = tracked(op, &leaves);
        let given: Vec<Input> = vars.iter().map(Var::input).collect();
        let y = apply(op, &given, values(sample)).unwrap().swap_remove(0);
        let (node, nr) = y
            .history
            .clone()
            .expect("recorded although the gradient is zero");
        let ones =
            ops::device::zeros("test", y.tensor.dtype(), y.tensor.device(), y.sizes()).unwrap();
        ops::copy::fill_with(&ones, 1i64.into()).unwrap();
        let root = engine::Root {
            node,
            nr,
            gradient: Var::from(ones),
        };
        let inputs: Vec<_> = vars.iter().map(|v| v.history.clone().unwrap()).collect();
        let options = engine::Options::default();
        let found = engine::gradients(vec![root], &inputs, options, true, &|| Ok(())).unwrap();
        for (f, v) in found.iter().zip(&vars) {
            assert!(all_zero(&f.gradient));
            let g = f.gradient.as_ref().unwrap();
            assert_eq!(g.tensor.dtype(), v.tensor.dtype());
        }
    });
}

/// The same elements as `t` in seven layouts.
pub fn layouts(t: &Tensor) -> Vec<(&'static str, Tensor)> {
    let n = t.ndim() as i64;
    let put = |view: Tensor| {
        ops::copy::copy_into(&view, t).unwrap();
        view
    };
    let fresh = |sizes: &[i64]| ops::device::zeros("test", t.dtype(), t.device(), sizes).unwrap();
    let sizes = t.sizes();
    let mut out = vec![("row-major", put(fresh(sizes)))];
    let turned: Dims = sizes.iter().rev().copied().collect();
    let back: Vec<i64> = (0..n).rev().collect();
    out.push(("transposed", put(fresh(&turned).permute(&back).unwrap())));
    let mut wide = Dims::from_slice(sizes);
    wide[n as usize - 1] *= 2;
    out.push((
        "stepped",
        put(fresh(&wide)
            .stepped(n as usize - 1, 0, sizes[n as usize - 1], 2)
            .unwrap()),
    ));
    let mut tall = Dims::from_slice(sizes);
    tall[0] += 2;
    out.push(("offset", put(fresh(&tall).narrow(0, 1, sizes[0]).unwrap())));
    let mut wide = Dims::from_slice(sizes);
    wide[n as usize - 1] += 3;
    out.push((
        "inner part",
        put(fresh(&wide)
            .narrow(n - 1, 2, sizes[n as usize - 1])
            .unwrap()),
    ));
    out.push((
        "size-one dimension",
        put(fresh(sizes).unsqueeze(0).unwrap().select(0, 0).unwrap()),
    ));
    let mut outer = Dims::from_slice(sizes);
    outer[0] *= 3;
    out.push((
        "outer steps",
        put(fresh(&outer).stepped(0, 1, sizes[0], 3).unwrap()),
    ));
    out
}

#[test]
fn every_layout_gives_the_same_result() {
    every_row(|op, sample| {
        if op.name == "as_strided" || op.rule.node == "ViewBackward" {
            return; // Defined by the layout itself.
        }
        let wanted: Vec<_> = forward(op, &sample.inputs, sample)
            .iter()
            .map(numbers)
            .collect();
        for k in 0..sample.inputs.len() {
            for (name, other) in layouts(&sample.inputs[k]) {
                let mut inputs = sample.inputs.clone();
                inputs[k] = other;
                let got: Vec<_> = forward(op, &inputs, sample).iter().map(numbers).collect();
                for (g, w) in got.iter().flatten().zip(wanted.iter().flatten()) {
                    // Sums may be taken in another order.
                    assert!(
                        (g - w).abs() <= 1e-12 * w.abs().max(1.0),
                        "operand {k} {name}: {got:?}, not {wanted:?}"
                    );
                }
            }
        }
    });
}

#[test]
fn every_class_of_the_row_is_taken_and_others_are_refused() {
    every_row(|op, sample| {
        for dtype in DType::ALL {
            let inputs: Vec<Tensor> = sample.inputs.iter().map(|t| as_dtype(t, dtype)).collect();
            let whole = |v: &Value| match v {
                // Targets of a loss and matrices are of the first operand's class.
                Value::Tensor(t)
                    if t.dtype().is_float()
                        && matches!(op.name, "mse_loss" | "trtrs" | "btrisolve") =>
                {
                    Value::Tensor(as_dtype(t, dtype))
                }
                Value::Float(f) if !dtype.is_float() => Value::Int(*f as i64),
                other => other.clone(),
            };
            let arguments: Values = sample.values.iter().map(whole).collect();
            let result = catch_unwind(AssertUnwindSafe(|| apply(op, &plain(&inputs), arguments)));
            let result = result.unwrap_or_else(|_| panic!("{dtype:?} panics"));
            match result {
                Ok(made) if op.class.has(dtype) => {
                    let y = &made[0].tensor;
                    let free = op.forms.compares
                        || matches!(op.name, "type" | "nonzero" | "argmax" | "argmin");
                    assert!(
                        free || y.dtype() == dtype,
                        "{dtype:?} gives {:?}",
                        y.dtype()
                    );
                    if dtype == DType::F32 {
                        let exact = numbers(&forward(op, &sample.inputs, sample)[0]);
                        for (a, b) in numbers(y).iter().zip(&exact) {
                            assert!(
                                (a - b).abs() <= 1e-5 * b.abs().max(1.0),
                                "f32: {a} but in double {b}"
                            );
                        }
                    }
                }
                Ok(_) => panic!("{dtype:?} is taken although the class is {:?}", op.class),
                Err(rgrad::error::Error::Type(_)) if !op.class.has(dtype) => {}
                Err(rgrad::error::Error::ZeroDivision(_)) if !dtype.is_float() => {}
                Err(e) => panic!("{dtype:?} is refused: {e}"),
            }
        }
    });
}

#[test]
fn writing_into_a_given_tensor_gives_what_a_fresh_one_gets() {
    every_row(|op, sample| {
        let made = forward(op, &sample.inputs, sample);
        let fresh = &made[0];
        if op.forms.view || fresh.ndim() == 0 {
            return;
        }
        for (name, out) in layouts(fresh) {
            run_into(op, &plain(&sample.inputs), &sample.values, &out).unwrap();
            assert_eq!(bits(&out), bits(fresh), "out= {name}");
        }
        if op.forms.in_place && sample.inputs[0].sizes() == fresh.sizes() {
            for (name, me) in layouts(&sample.inputs[0]) {
                let mut inputs = sample.inputs.clone();
                inputs[0] = me.clone();
                run_into(op, &plain(&inputs), &sample.values, &me).unwrap();
                let wanted = as_dtype(fresh, DType::F64);
                for (a, b) in numbers(&me).iter().zip(numbers(&wanted)) {
                    assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "in place {name}");
                }
            }
        }
    });
}

#[test]
fn element_wise_rows_take_empty_and_single_elements() {
    for op in ops::all().filter(|op| op.forms.direct && op.class != Class::Any) {
        if matches!(op.name, "mm" | "bmm") {
            continue; // Strict in their dimensions.
        }
        for sample in (op.tries)() {
            let sample = taken(op, &sample);
            let empty: Vec<Tensor> = sample
                .inputs
                .iter()
                .map(|t| Tensor::zeros("test", t.dtype(), &[]).unwrap())
                .collect();
            assert_eq!(forward(op, &empty, &sample)[0].numel(), 0, "{}", op.name);
            let one: Vec<Tensor> = sample
                .inputs
                .iter()
                .map(|t| {
                    t.view_or_copy(&[t.numel() as i64])
                        .unwrap()
                        .narrow(0, 0, 1)
                        .unwrap()
                })
                .collect();
            let whole = forward(op, &sample.inputs, &sample);
            assert_eq!(
                bits(&forward(op, &one, &sample)[0])[0],
                bits(&whole[0])[0],
                "{}",
                op.name
            );
        }
    }
}

#[test]
fn one_operand_used_twice_gets_both_gradients() {
    every_row(|op, sample| {
        let two = sample.inputs.len() == 2 && sample.inputs[0].sizes() == sample.inputs[1].sizes();
        if !two
            || !differentiable(op)
            || op.forms.list
            || matches!(op.name, "pow" | "remainder" | "fmod")
        {
            return;
        }
        let mut sample = Sample::new(sample.inputs.clone(), sample.values.clone());
        sample.inputs[1] = sample.inputs[0].clone();
        let leaf = leaves(&sample.inputs[..1]);
        let x = leaf[0].var().unwrap();
        let w = weights(forward(op, &sample.inputs, &sample)[0].sizes(), 0.3);
        let y = weighted(op, &[x.clone(), x], &sample, &w);
        let found = gradients(&y, &leaf, false);
        let apart = leaves(&sample.inputs);
        let vars: Vec<Var> = apart.iter().map(|l| l.var().unwrap()).collect();
        let each = gradients(&weighted(op, &vars, &sample, &w), &apart, false);
        let sum: Vec<f64> = (0..sample.inputs[0].numel())
            .map(|i| each.iter().flatten().map(|g| numbers(&g.tensor)[i]).sum())
            .collect();
        match &found[0] {
            Some(g) => close(&numbers(&g.tensor), &sum, "used twice"),
            None => assert!(sum.iter().all(|&v| v == 0.0)),
        }
    });
}

#[test]
fn the_table_names_every_argument_and_documents_every_row() {
    for op in ops::all() {
        assert!(op.doc.trim_start().len() > 5, "{} has no doc", op.name);
        for sample in (op.tries)() {
            assert_eq!(
                sample.values.len(),
                op.params.len(),
                "{}: arguments of its tries",
                op.name
            );
        }
        if op.forms.direct && op.forms.broadcasts {
            assert!(op.inputs.len() > 1, "{} broadcasts alone", op.name);
        }
    }
}
