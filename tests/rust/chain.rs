//! Depth and counts: long chains record, run back and drop without recursion, and nothing stays.

use rgrad::engine::{Options, Root, backward};
use rgrad::error::Error;
use rgrad::graph::{Var, Variable, live_nodes};
use rgrad::ops::arith;
use rgrad::tensor::{Scalar, Tensor};
use std::sync::Mutex;

/// Counters are the process's, so tests that read them take turns.
static TURN: Mutex<()> = Mutex::new(());

fn one(v: f64) -> Tensor {
    Tensor::from_slice(&[v]).unwrap()
}

fn run(y: Var) {
    let (node, nr) = y.history.unwrap();
    let root = Root {
        node,
        nr,
        gradient: Var::from(one(1.0)),
    };
    backward(vec![root], Options::default(), &|| Ok(())).unwrap();
}

fn on_a_small_stack(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(body)
        .unwrap()
        .join()
        .unwrap();
}

fn chain(n: usize) {
    let before = live_nodes();
    let x = Variable::leaf(one(1.0), true, false);
    let grad = x.grad_slot();
    let mut y = x.var().unwrap();
    for _ in 0..n {
        y = arith::add_number(&y, Scalar::Float(0.5)).unwrap();
    }
    assert!(live_nodes() - before > n);
    run(y);
    assert_eq!(grad.lock().as_ref().unwrap().tensor().read::<f64>(0), 1.0);
    assert_eq!(live_nodes(), before, "everything is given back");
}

#[test]
fn a_chain_of_a_million_nodes_runs_on_a_small_stack() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    on_a_small_stack(|| chain(1_000_000));
}

#[test]
fn a_chain_of_ten_million_nodes_runs_on_a_small_stack() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    on_a_small_stack(|| chain(10_000_000));
}

#[test]
fn a_graph_that_is_never_run_is_given_back() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let before = live_nodes();
    on_a_small_stack(|| {
        let x = Variable::leaf(one(1.0), true, false);
        let mut y = x.var().unwrap();
        for _ in 0..300_000 {
            y = arith::mul(&y, &y).unwrap();
        }
    });
    assert_eq!(live_nodes(), before);
}

#[test]
fn a_wide_graph_is_given_back() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let before = live_nodes();
    {
        let x = Variable::leaf(one(1.0), true, false).var().unwrap();
        let parts: Vec<Var> = (0..100_000)
            .map(|i| arith::mul_number(&x, Scalar::Int(i)).unwrap())
            .collect();
        assert_eq!(parts.len() + 1, live_nodes() - before);
    }
    assert_eq!(live_nodes(), before);
}

#[test]
fn the_same_leaf_used_many_times_adds_up() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let x = Variable::leaf(one(2.0), true, false);
    let slot = x.grad_slot();
    let v = x.var().unwrap();
    let mut y = v.clone();
    for _ in 0..9 {
        y = y * &v;
    }
    run(y);
    assert_eq!(
        slot.lock().as_ref().unwrap().tensor().read::<f64>(0),
        10.0 * 512.0
    );
}

#[test]
fn a_signal_is_answered_before_the_first_node_runs() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let x = Variable::leaf(one(1.0), true, false);
    let mut y = x.var().unwrap() * x.var().unwrap();
    let last = y.history.clone().unwrap().0;
    for _ in 0..3000 {
        y = arith::add_number(&y, Scalar::Float(0.5)).unwrap();
    }
    let (node, nr) = y.history.clone().unwrap();
    let roots = || {
        vec![Root {
            node: node.clone(),
            nr,
            gradient: Var::from(one(1.0)),
        }]
    };
    let stop = || Err(Error::Runtime("stop".into()));
    let stopped = backward(roots(), Options::default(), &stop);
    assert_eq!(stopped.unwrap_err().to_string(), "stop");
    assert!(x.grad_slot().lock().is_none());
    // Nothing ran or was freed, and nothing of the first pass disturbs the second.
    assert!(last.saved_input(0).is_some());
    backward(roots(), Options::default(), &|| Ok(())).unwrap();
    let grad = x.grad_slot().lock().clone().unwrap().tensor();
    assert_eq!(grad.read::<f64>(0), 2.0);
}
