//! Walks the table on the GPU, against the CPU: results and gradients, layouts, in place, edges.
//!
//! Without an adapter these tests fail and say why; with `RGRAD_GPU=off` they pass without work, and
//! say so.

use crate::table::{
    as_dtype, bits, differentiable, every_row, layouts, numbers, plain, tracked, values, weights,
};
use parking_lot::{Mutex, MutexGuard};
use rgrad::engine::{self, Options, Root};
use rgrad::error::{Error, Result};
use rgrad::gpu;
use rgrad::graph::{Input, Var, Variable};
use rgrad::ops::apply::apply;
use rgrad::ops::in_place::run_into;
use rgrad::ops::{self, Kind, Op, Sample, arith, device};
use rgrad::tensor::{DType, Device, Scalar, Tensor, Value};
use std::mem::discriminant;

/// One test at a time: counters and error words are the process's.
static TURN: Mutex<()> = Mutex::new(());

/// Takes the turn; `None` where the GPU is switched off.
pub fn turn() -> Option<MutexGuard<'static, ()>> {
    if std::env::var("RGRAD_GPU").is_ok_and(|v| v.eq_ignore_ascii_case("off")) {
        eprintln!("not run: RGRAD_GPU=off");
        return None;
    }
    let guard = TURN.lock();
    if let Some(why) = gpu::why_not() {
        panic!("{why}; set RGRAD_GPU=software, or RGRAD_GPU=off to leave these tests out");
    }
    Some(guard)
}

pub fn up(t: &Tensor) -> Tensor {
    device::to_gpu(t).unwrap()
}

fn down(t: &Tensor) -> Tensor {
    device::to_cpu(t).unwrap()
}

/// A try with its operands in another class; integers get ten times the numbers.
fn in_class(op: &Op, sample: &Sample, dtype: DType) -> Sample {
    let scale = if dtype.is_float() { 1 } else { 10 };
    let inputs = sample.inputs.iter().map(|t| {
        let wide = arith::mul_number(&Var::from(t.clone()), Scalar::Int(scale)).unwrap();
        as_dtype(&wide.tensor, dtype)
    });
    let number = |v: &Value, kind| match v {
        Value::Float(f) if !dtype.is_float() && kind == Kind::Number => {
            Value::Int((f * scale as f64) as i64)
        }
        // A loss's targets and a system's matrix are of the input's class.
        Value::Tensor(t) if t.dtype() == DType::F64 && !op.name.starts_with("nll_loss") => {
            Value::Tensor(as_dtype(t, dtype))
        }
        other => other.clone(),
    };
    let arguments = sample.values.iter().zip(op.params);
    Sample::new(
        inputs.collect(),
        arguments.map(|(v, p)| number(v, p.kind)).collect(),
    )
}

/// The same try on the GPU.
fn there(op: &Op, sample: &Sample) -> Sample {
    let argument = |v: &Value| match v {
        Value::Tensor(t) if t.dtype() == DType::F64 => Value::Tensor(up(&as_dtype(t, DType::F32))),
        Value::Tensor(t) => Value::Tensor(up(t)),
        // There are no doubles to convert to.
        Value::Int(6) if op.name == "type" => Value::Int(DType::I32 as i64),
        other => other.clone(),
    };
    Sample::new(
        sample.inputs.iter().map(up).collect(),
        sample.values.iter().map(argument).collect(),
    )
}

/// Floats, or integers for a row that takes no others.
fn first_class(op: &Op) -> DType {
    match op.class.has(DType::F32) {
        true => DType::F32,
        false => DType::I32,
    }
}

fn run(op: &'static Op, sample: &Sample) -> Result<Vec<Tensor>> {
    let results = apply(op, &plain(&sample.inputs), values(sample))?;
    Ok(results.into_iter().map(|v| v.tensor).collect())
}

/// 1e-5: sums are taken in another order and in single precision, functions are off by some ulp.
pub fn near(got: &Tensor, wanted: &Tensor, what: &str) {
    assert_eq!(got.sizes(), wanted.sizes(), "{what}");
    let (got, wanted) = (numbers(&down(got)), numbers(&down(wanted)));
    for (g, w) in got.iter().zip(&wanted) {
        let close = (g - w).abs() <= 1e-5 * w.abs().max(1.0);
        let fits = close || g == w || g.is_nan() && w.is_nan();
        assert!(fits, "{what}: {got:?}, but on the CPU {wanted:?}");
    }
}

/// Fails if a text was sent that the list does not have.
fn all_sent_is_listed() {
    let list: serde_json::Value = serde_json::from_str(&device::manifest()).unwrap();
    let shaders = list["shaders"].as_array().unwrap();
    for (file, defs) in gpu::sent() {
        let listed = shaders
            .iter()
            .any(|s| s["file"] == *file && s["defs"] == *defs);
        assert!(listed, "{file} with\n{defs}");
    }
}

#[test]
fn results_are_those_of_the_cpu() {
    let Some(_turn) = turn() else { return };
    for dtype in [DType::F32, DType::I32] {
        every_row(|op, sample| {
            let here = in_class(op, sample, dtype);
            let far = there(op, &here);
            if !op.class.has(dtype) {
                assert!(matches!(run(op, &far), Err(Error::Type(_))), "{dtype:?}");
                return;
            }
            let here = if op.name == "type" {
                Sample::new(here.inputs, far.values.clone())
            } else {
                here
            };
            match (run(op, &far), run(op, &here)) {
                (Ok(got), Ok(wanted)) => {
                    for (g, w) in got.iter().zip(&wanted) {
                        assert_eq!(g.dtype(), w.dtype());
                        let moved = op.rule.node == "CudaTransferBackward";
                        assert_eq!(g.device() == Device::Gpu, !moved);
                        near(g, w, &format!("{dtype:?}"));
                    }
                }
                (Err(g), Err(w)) => assert_eq!(discriminant(&g), discriminant(&w), "{g} or {w}"),
                (got, wanted) => panic!("{dtype:?}: {got:?}, but on the CPU {wanted:?}"),
            }
        });
    }
    all_sent_is_listed();
}

/// The gradients of a weighted sum of the first result.
fn gradients(op: &'static Op, sample: &Sample) -> Vec<Option<Tensor>> {
    let leaves: Vec<Variable> = sample
        .inputs
        .iter()
        .map(|t| Variable::leaf(t.clone(), true, false))
        .collect();
    let vars = tracked(op, &leaves);
    let given: Vec<Input> = vars.iter().map(Var::input).collect();
    let y = apply(op, &given, values(sample)).unwrap().swap_remove(0);
    let Some((node, nr)) = y.history.clone() else {
        return vec![None; leaves.len()];
    };
    let w = as_dtype(&weights(y.sizes(), 0.3), DType::F32);
    let root = Root {
        node,
        nr,
        gradient: Var::from(match y.tensor.device() {
            Device::Cpu => w,
            Device::Gpu => up(&w),
        }),
    };
    let inputs: Vec<_> = leaves
        .iter()
        .map(|l| l.var().unwrap().history.unwrap())
        .collect();
    let found = engine::gradients(vec![root], &inputs, Options::default(), true, &|| Ok(()));
    let found = found.unwrap().into_iter();
    found.map(|f| f.gradient.map(|g| g.tensor)).collect()
}

#[test]
fn gradients_are_those_of_the_cpu() {
    let Some(_turn) = turn() else { return };
    every_row(|op, sample| {
        if !differentiable(op) || op.name == "type" {
            return; // Steps have none, and the GPU has one class of floats only.
        }
        let here = in_class(op, sample, DType::F32);
        let far = there(op, &here);
        let (got, wanted) = (gradients(op, &far), gradients(op, &here));
        for (i, (g, w)) in got.iter().zip(&wanted).enumerate() {
            match (g, w) {
                (Some(g), Some(w)) => {
                    assert_eq!(g.kind(), (DType::F32, Device::Gpu));
                    near(g, w, &format!("operand {i}"));
                }
                (None, None) => {}
                other => panic!("operand {i}: {other:?}"),
            }
        }
        let again = gradients(op, &far);
        for (a, b) in got.iter().flatten().zip(again.iter().flatten()) {
            assert_eq!(bits(&down(a)), bits(&down(b)), "run twice");
        }
    });
    all_sent_is_listed();
}

#[test]
fn every_layout_gives_the_same_result() {
    let Some(_turn) = turn() else { return };
    every_row(|op, sample| {
        if op.name == "as_strided" || op.rule.node == "ViewBackward" {
            return; // Defined by the layout itself.
        }
        let far = there(op, &in_class(op, sample, first_class(op)));
        let wanted = run(op, &far).unwrap();
        for k in 0..far.inputs.len() {
            for (name, other) in layouts(&far.inputs[k]) {
                let mut inputs = far.inputs.clone();
                inputs[k] = other;
                let got = run(op, &Sample::new(inputs, far.values.clone())).unwrap();
                for (g, w) in got.iter().zip(&wanted) {
                    near(g, w, &format!("operand {k} {name}"));
                }
            }
        }
    });
    all_sent_is_listed();
}

#[test]
fn writing_into_a_given_tensor_gives_what_a_fresh_one_gets() {
    let Some(_turn) = turn() else { return };
    for dtype in [DType::F32, DType::I32] {
        every_row(|op, sample| {
            if !op.class.has(dtype) {
                return;
            }
            let far = there(op, &in_class(op, sample, dtype));
            let Ok(made) = run(op, &far) else { return };
            let fresh = &made[0];
            if op.forms.view || fresh.ndim() == 0 || fresh.device() == Device::Cpu {
                return;
            }
            for (name, out) in layouts(fresh) {
                run_into(op, &plain(&far.inputs), &far.values, &out).unwrap();
                assert_eq!(bits(&down(&out)), bits(&down(fresh)), "out= {name}");
            }
            if op.forms.in_place && far.inputs[0].sizes() == fresh.sizes() {
                let wanted = as_dtype(&down(fresh), dtype);
                for (name, me) in layouts(&far.inputs[0]) {
                    let mut inputs = far.inputs.clone();
                    inputs[0] = me.clone();
                    run_into(op, &plain(&inputs), &far.values, &me).unwrap();
                    near(&me, &wanted, &format!("in place {name}"));
                }
            }
        });
    }
    all_sent_is_listed();
}

#[test]
fn element_wise_rows_take_empty_and_single_elements() {
    let Some(_turn) = turn() else { return };
    every_row(|op, sample| {
        // Products are strict in their dimensions.
        if !op.forms.direct || matches!(op.name, "mm" | "bmm") {
            return;
        }
        let far = there(op, &in_class(op, sample, first_class(op)));
        let nothing = up(&Tensor::zeros("test", first_class(op), &[]).unwrap());
        let empty = Sample::new(vec![nothing; far.inputs.len()], far.values.clone());
        assert_eq!(run(op, &empty).unwrap()[0].numel(), 0);
        let one = |t: &Tensor| {
            let line = t.view_or_copy(&[t.numel() as i64]).unwrap();
            line.narrow(0, 1, 1).unwrap()
        };
        let single = Sample::new(
            far.inputs
                .iter()
                .map(|t| if t.numel() > 1 { one(t) } else { t.clone() })
                .collect(),
            far.values.clone(),
        );
        let whole = bits(&down(&run(op, &far).unwrap()[0]));
        let at = usize::from(whole.len() > 1);
        assert_eq!(bits(&down(&run(op, &single).unwrap()[0]))[0], whole[at]);
    });
}

#[test]
fn special_numbers_are_those_of_the_cpu() {
    let Some(_turn) = turn() else { return };
    let special: Vec<f32> = [
        0.0,
        -0.0,
        1.0,
        -2.5,
        3e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ]
    .into();
    let n = special.len();
    let first: Vec<f32> = special.iter().flat_map(|&v| vec![v; n]).collect();
    let second: Vec<f32> = special.iter().cycle().take(n * n).copied().collect();
    let pair = [
        Tensor::from_slice(&first).unwrap(),
        Tensor::from_slice(&second).unwrap(),
    ];
    every_row(|op, sample| {
        let simple = op.forms.direct && !matches!(op.name, "mm" | "bmm") || op.forms.compares;
        // Integers have no special numbers.
        if !simple || !op.class.has(DType::F32) {
            return;
        }
        let inputs: Vec<Tensor> = (0..sample.inputs.len())
            .map(|i| pair[i % 2].clone())
            .collect();
        let here = Sample::new(inputs, sample.values.clone());
        near(
            &run(op, &there(op, &here)).unwrap()[0],
            &run(op, &here).unwrap()[0],
            "special",
        );
    });
}

#[test]
fn integers_wrap_and_divide_as_on_the_cpu() {
    let Some(_turn) = turn() else { return };
    let edge = [i32::MIN, i32::MIN + 1, -7, -1, 1, 2, 7, i32::MAX];
    let first: Vec<i32> = edge.iter().flat_map(|&v| vec![v; edge.len()]).collect();
    let second: Vec<i32> = edge.iter().cycle().take(first.len()).copied().collect();
    let pair = [
        Tensor::from_slice(&first).unwrap(),
        Tensor::from_slice(&second).unwrap(),
    ];
    for (dtype, a, b) in [
        (DType::I32, pair[0].clone(), pair[1].clone()),
        (
            DType::U8,
            as_dtype(&pair[0], DType::U8),
            as_dtype(&pair[1], DType::U8),
        ),
    ] {
        every_row(|op, sample| {
            let simple = op.forms.direct && !matches!(op.name, "mm" | "bmm") || op.forms.compares;
            if !simple || !op.class.has(dtype) {
                return;
            }
            let inputs = [a.clone(), b.clone()]
                .into_iter()
                .cycle()
                .take(sample.inputs.len());
            let whole = in_class(op, sample, DType::I32).values;
            let here = Sample::new(inputs.collect(), whole);
            match (run(op, &there(op, &here)), run(op, &here)) {
                (Ok(g), Ok(w)) => near(&g[0], &w[0], &format!("{dtype:?}")),
                (g, w) => assert_eq!(g.is_err(), w.is_err(), "{g:?} or {w:?}"),
            }
        });
    }
    all_sent_is_listed();
}

#[test]
fn classes_that_the_gpu_does_not_have_are_refused() {
    let Some(_turn) = turn() else { return };
    for dtype in [DType::F64, DType::I8, DType::I16] {
        let t = Tensor::zeros("test", dtype, &[2]).unwrap();
        let name = format!("torch.cuda.{}Tensor", dtype.name());
        match device::to_gpu(&t) {
            Err(Error::Type(text)) => assert!(text.contains(&name), "{text}"),
            other => panic!("{dtype:?}: {other:?}"),
        }
        let far = Var::from(up(&Tensor::zeros("test", DType::F32, &[2]).unwrap()));
        let converted = ops::copy::convert(&far, dtype as i64);
        assert!(matches!(converted, Err(Error::Type(_))), "{dtype:?}");
    }
    let long = Var::from(up(&Tensor::from_slice(&[1i64, 2]).unwrap()));
    assert!(matches!(arith::add(&long, &long), Err(Error::Type(_))));
}

#[test]
fn devices_do_not_mix() {
    let Some(_turn) = turn() else { return };
    every_row(|op, sample| {
        if op.name == "copy" {
            return; // That is what it is for.
        }
        let here = in_class(op, sample, DType::F32);
        let far = there(op, &here);
        for k in 0..here.inputs.len() {
            if here.inputs.len() > 1 && op.name != "as_strided" {
                let mut mixed = far.inputs.clone();
                mixed[k] = here.inputs[k].clone();
                let result = run(op, &Sample::new(mixed, far.values.clone()));
                assert!(
                    matches!(result, Err(Error::Type(_))),
                    "operand {k}: {result:?}"
                );
            }
        }
        for (i, v) in here.values.iter().enumerate() {
            if !matches!(v, Value::Tensor(_)) {
                continue;
            }
            let mut arguments = far.values.clone();
            arguments[i] = v.clone();
            let result = run(op, &Sample::new(far.inputs.clone(), arguments));
            assert!(
                matches!(result, Err(Error::Type(_))),
                "{}: {result:?}",
                op.params[i].name
            );
            let mut arguments = here.values.clone();
            arguments[i] = far.values[i].clone();
            let result = run(op, &Sample::new(here.inputs.clone(), arguments));
            assert!(
                matches!(result, Err(Error::Type(_))),
                "{}: {result:?}",
                op.params[i].name
            );
        }
    });
}

#[test]
fn elements_travel_in_every_class_and_layout() {
    let Some(_turn) = turn() else { return };
    let x = rgrad::ops::sample::sample_in(-40.0, 90.0, &[3, 5]);
    for from in DType::ALL {
        for to in [DType::U8, DType::I32, DType::I64, DType::F32] {
            let source = as_dtype(&as_dtype(&x, DType::I8), from);
            let wanted = as_dtype(&source, to);
            for (name, here) in layouts(&source) {
                for (other, far) in layouts(&up(&Tensor::zeros("test", to, &[3, 5]).unwrap())) {
                    ops::copy::copy_into(&far, &here).unwrap();
                    assert_eq!(
                        bits(&down(&far)),
                        bits(&wanted),
                        "{from:?} {name} to {to:?} {other}"
                    );
                    let (_, back) =
                        layouts(&Tensor::zeros("test", from, &[3, 5]).unwrap()).swap_remove(1);
                    ops::copy::copy_into(&back, &far).unwrap();
                    assert_eq!(
                        bits(&back),
                        bits(&as_dtype(&wanted, from)),
                        "{to:?} {other} to {from:?}"
                    );
                }
            }
        }
    }
    let wide = Tensor::from_slice(&[i64::MAX, i64::MIN, (1 << 53) + 1]).unwrap();
    assert_eq!(down(&up(&wide)).read::<i64>(2), (1 << 53) + 1);
    let y = up(&wide);
    device::fill(&y, Scalar::Int(i64::MAX - 1)).unwrap();
    assert_eq!(
        device::read_element(&y, 1).unwrap(),
        Scalar::Int(i64::MAX - 1)
    );
}

#[test]
fn sums_of_bytes_and_ints_are_in_64_bits() {
    let Some(_turn) = turn() else { return };
    let ones = up(&as_dtype(&weights(&[1000], 0.5), DType::U8));
    device::fill(&ones, Scalar::Int(1)).unwrap();
    let sum = |t: &Tensor| ops::reduce::total(t, device::Reduction::Sum).unwrap();
    assert_eq!(sum(&ones), Scalar::Int(1000));
    assert_eq!(
        sum(&up(&Tensor::from_slice(&[i32::MAX, i32::MAX]).unwrap())),
        Scalar::Int(2 * i64::from(i32::MAX))
    );
}

#[test]
fn the_list_of_shaders_has_every_row() {
    let text = device::manifest();
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    let shaders = list["shaders"].as_array().unwrap();
    for row in device::samples() {
        assert!(
            shaders.iter().any(|s| s["op"] == *row.formula.op),
            "{}",
            row.formula.op
        );
    }
    // Where a file is asked for, it is written, for tests/python/test_shaders.py without the extension.
    if let Some(path) = std::env::var_os("RGRAD_MANIFEST") {
        std::fs::write(path, text).unwrap();
    }
}
