//! The loss and a whole training step on the GPU: what is ignored, what is noticed late, and that
//! nothing is read back on the way.

use crate::gpu::{near, turn, up};
use crate::table::{as_dtype, plain, weights};
use rgrad::engine::{self, Options, Root};
use rgrad::error::{Error, Result};
use rgrad::gpu;
use rgrad::graph::variable::GradSlot;
use rgrad::graph::{Var, Variable};
use rgrad::ops::apply::Values;
use rgrad::ops::in_place::run_into;
use rgrad::ops::{arith, device, pointwise, products, shape, softmax};
use rgrad::tensor::{DType, Device, Scalar, Tensor, Value};
use std::sync::Arc;

#[test]
fn a_class_out_of_range_is_raised_at_the_next_wait() {
    let Some(_turn) = turn() else { return };
    let x = Var::from(up(&as_dtype(&weights(&[3, 4], 0.1), DType::F32)));
    let target = up(&Tensor::from_slice(&[1i64, 9, -100]).unwrap());
    let loss = softmax::nll_loss(&x, target, None, true, -100).unwrap();
    match device::read_scalar(&loss.tensor) {
        Err(Error::Runtime(text)) => {
            assert!(text.contains("nll_loss") && text.contains('9'), "{text}")
        }
        other => panic!("{other:?}"),
    }
    // Raised once.
    gpu::synchronize().unwrap();
}

#[test]
fn ignored_rows_count_nothing() {
    let Some(_turn) = turn() else { return };
    let x = as_dtype(&weights(&[4, 3], 0.1), DType::F32);
    let weight = Tensor::from_slice(&[0.5f32, 2.0, 0.25]).unwrap();
    for targets in [[0i64, -7, 2, 1], [-7, -7, -7, -7], [2, 2, 1, 0]] {
        for (weight, average) in [(None, true), (Some(&weight), true), (Some(&weight), false)] {
            let target = Tensor::from_slice(&targets).unwrap();
            let one = |place: fn(&Tensor) -> Tensor| {
                let leaf = Variable::leaf(place(&x), true, false);
                let x = leaf.var().unwrap();
                let y =
                    softmax::nll_loss(&x, place(&target), weight.map(place), average, -7).unwrap();
                let (node, nr) = y.history.clone().unwrap();
                let gradient = Var::from(place(&Tensor::from_slice(&[1.5f32]).unwrap()));
                let root = Root { node, nr, gradient };
                let g = engine::gradients(
                    vec![root],
                    &[x.history.clone().unwrap()],
                    Options::default(),
                    true,
                    &|| Ok(()),
                )
                .unwrap();
                (y.tensor, g[0].gradient.as_ref().unwrap().tensor.clone())
            };
            let (got, wanted) = (one(up), one(Tensor::clone));
            near(&got.0, &wanted.0, "loss");
            near(&got.1, &wanted.1, "gradient");
        }
    }
}

/// A network of two layers, as the classes of `nn` will call it.
struct Net {
    weights: Vec<Variable>,
    grads: Vec<Arc<GradSlot>>,
}

impl Net {
    fn new() -> Net {
        let sizes: [&[i64]; 4] = [&[32, 20], &[32], &[5, 32], &[5]];
        let leaf = |(i, s): (usize, &&[i64])| {
            let w =
                arith::add_number(&Var::from(weights(s, i as f64)), Scalar::Float(-1.0)).unwrap();
            Variable::leaf(up(&as_dtype(&w.tensor, DType::F32)), true, false)
        };
        let weights: Vec<Variable> = sizes.iter().enumerate().map(leaf).collect();
        let grads = weights.iter().map(Variable::grad_slot).collect();
        Net { weights, grads }
    }

    fn layer(&self, x: &Var, i: usize) -> Result<Var> {
        let (w, b) = (self.weights[2 * i].var()?, self.weights[2 * i + 1].var()?);
        let out = [x.sizes()[0], w.sizes()[0]];
        let bias = shape::expand(&b, rgrad::tensor::Dims::from_slice(&out))?;
        products::addmm(&bias, x, &shape::t(&w)?, Scalar::Int(1), Scalar::Int(1))
    }

    fn step(&self, x: &Var, target: &Tensor) -> Result<Var> {
        let hidden = pointwise::threshold(&self.layer(x, 0)?, Scalar::Int(0), Scalar::Int(0))?;
        let scores = softmax::log_softmax(&self.layer(&hidden, 1)?, 1)?;
        let loss = softmax::nll_loss(&scores, target.clone(), None, true, -100)?;
        let (node, nr) = loss.history.clone().expect("the weights require gradients");
        let gradient = Var::from(device::zeros("ones", DType::F32, Device::Gpu, &[1])?);
        device::fill(&gradient.tensor, Scalar::Int(1))?;
        engine::backward(
            vec![Root { node, nr, gradient }],
            Options::default(),
            &|| Ok(()),
        )?;
        for (w, slot) in self.weights.iter().zip(&self.grads) {
            let grad = slot.lock().take().expect("backward filled it").tensor();
            // As `w.data.add_(-0.1, w.grad.data)`: the version of `data` is its own.
            let data = w.tensor().with_own_version();
            let by = Values::from_iter([Value::Float(-0.1)]);
            run_into(
                &arith::add_scaled::OP,
                &plain(&[data.clone(), grad]),
                &by,
                &data,
            )?;
        }
        Ok(loss.detach())
    }
}

#[test]
fn a_training_step_waits_for_nothing() {
    let Some(_turn) = turn() else { return };
    let net = Net::new();
    let x = Var::from(up(&as_dtype(&weights(&[16, 20], 0.7), DType::F32)));
    let targets: Vec<i64> = (0..16).map(|i| i % 5).collect();
    let target = up(&Tensor::from_slice(&targets).unwrap());
    let mut losses = Vec::new();
    for _ in 0..3 {
        losses.push(net.step(&x, &target).unwrap());
    }
    let before = gpu::counters();
    for _ in 0..20 {
        losses.push(net.step(&x, &target).unwrap());
    }
    let after = gpu::counters();
    assert_eq!(after.waits, before.waits, "nothing is read back");
    assert_eq!(after.pipelines, before.pipelines);
    assert_eq!(
        after.live_buffers - before.live_buffers,
        20,
        "only the losses stay"
    );
    eprintln!(
        "{} dispatches a step",
        (after.dispatches - before.dispatches) / 20
    );
    let read = |v: &Var| device::read_scalar(&v.tensor).unwrap().f64();
    let losses: Vec<f64> = losses.iter().map(read).collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
}
