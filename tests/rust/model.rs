//! Schedules of several threads on one graph, explored by shuttle: every lock of the arena, of
//! Variables and of `.grad` is a point where another thread may go on. The code is the real one,
//! built with the feature `model`.

use rgrad::engine::{self, Options, Root};
use rgrad::graph::arena;
use rgrad::graph::variable::GradSlot;
use rgrad::graph::{Handle, Var, Variable, live_nodes};
use rgrad::ops::{arith, device, reduce};
use rgrad::tensor::{Scalar, Tensor};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Schedules of each kind that a test tries.
const SCHEDULES: usize = 2000;

/// Tests take turns: the arena is the process's, and they count its nodes.
static TURN: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

/// Runs `body` under many schedules; each must leave as many live nodes as it found.
fn explore(body: fn()) {
    let _turn = TURN.lock();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let before = RUNS.load(Ordering::Relaxed);
    let once = move || {
        let nodes = live_nodes();
        body();
        assert_eq!(live_nodes(), nodes, "nodes were leaked or freed twice");
        RUNS.fetch_add(1, Ordering::Relaxed);
    };
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    Runner::new(RandomScheduler::new(SCHEDULES), config.clone()).run(once);
    Runner::new(PctScheduler::new(3, SCHEDULES), config).run(once);
    assert_eq!(RUNS.load(Ordering::Relaxed) - before, 2 * SCHEDULES);
}

struct Leaf {
    variable: Variable,
    grad: Arc<GradSlot>,
}

impl Leaf {
    fn new(value: f64) -> Leaf {
        let tensor = Tensor::from_slice(&[value]).unwrap();
        let variable = Variable::leaf(tensor, true, false);
        let grad = variable.grad_slot();
        Leaf { variable, grad }
    }

    fn var(&self) -> Var {
        self.variable.var().unwrap()
    }

    /// The number in `.grad`.
    fn gradient(&self) -> f64 {
        let place = self.grad.lock().clone().expect("a gradient arrived");
        device::read_scalar(&place.tensor()).unwrap().f64()
    }
}

/// `y = 3 x + x`, a small diamond.
fn diamond(x: &Leaf) -> Var {
    let x = x.var();
    let three = arith::mul_number(&x, Scalar::Float(3.0)).unwrap();
    reduce::sum(&arith::add(&three, &x).unwrap()).unwrap()
}

fn node(y: &Var) -> (Handle, u32) {
    y.history.clone().expect("the leaf requires a gradient")
}

fn backward(root: (Handle, u32), retain_graph: bool) {
    let gradient = Var::from(Tensor::from_slice(&[1f64]).unwrap());
    let (node, nr) = root;
    let options = Options {
        retain_graph,
        ..Options::default()
    };
    engine::backward(vec![Root { node, nr, gradient }], options, &|| Ok(())).unwrap();
}

#[test]
fn gradients_of_two_graphs_add_up_in_a_shared_leaf() {
    explore(|| {
        let x = Leaf::new(2.0);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let root = node(&diamond(&x));
                thread::spawn(move || backward(root, false))
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(x.gradient(), 8.0);
    });
}

#[test]
fn one_graph_run_by_three_threads_counts_three_times() {
    explore(|| {
        let x = Leaf::new(2.0);
        let root = node(&diamond(&x));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let root = root.clone();
                thread::spawn(move || backward(root, true))
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(x.gradient(), 12.0);
    });
}

#[test]
fn the_last_reference_may_be_dropped_anywhere() {
    explore(|| {
        let x = Leaf::new(2.0);
        let y = diamond(&x);
        let inner = node(&arith::mul(&y, &y).unwrap());
        let threads = [
            thread::spawn(move || drop(y)),
            thread::spawn({
                let inner = inner.clone();
                move || drop(inner)
            }),
            thread::spawn(move || drop((inner.clone(), inner))),
        ];
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}

#[test]
fn a_graph_may_lose_its_owner_while_it_runs() {
    explore(|| {
        let x = Leaf::new(2.0);
        let y = diamond(&x);
        let root = node(&y);
        let running = thread::spawn(move || backward(root, false));
        let losing = thread::spawn(move || drop(y));
        running.join().unwrap();
        losing.join().unwrap();
        assert_eq!(x.gradient(), 4.0);
    });
}

#[test]
fn threads_that_record_share_one_accumulator() {
    explore(|| {
        let x = Leaf::new(2.0);
        let record = |x: Variable| {
            thread::spawn(move || {
                let y = arith::mul_number(&x.var().unwrap(), Scalar::Float(2.0)).unwrap();
                let (node, _) = y.history.unwrap();
                engine::next_functions(&node)[0]
                    .clone()
                    .expect("the leaf's")
                    .0
            })
        };
        let (a, b) = (record(x.variable.clone()), record(x.variable.clone()));
        let (a, b) = (a.join().unwrap(), b.join().unwrap());
        assert_eq!(a.id(), b.id());
    });
}

#[test]
fn an_accumulator_may_die_while_another_thread_records() {
    explore(|| {
        let x = Leaf::new(2.0);
        let accumulator = arena::accumulator(&x.variable).unwrap();
        let dropping = thread::spawn(move || drop(accumulator));
        let recording = thread::spawn({
            let x = x.variable.clone();
            move || {
                backward(
                    node(&arith::mul_number(&x.var().unwrap(), Scalar::Float(2.0)).unwrap()),
                    false,
                )
            }
        });
        dropping.join().unwrap();
        recording.join().unwrap();
        assert_eq!(x.gradient(), 2.0);
    });
}
