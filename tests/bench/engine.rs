//! What a graph node costs, without Python: instructions for callgrind, nanoseconds and bytes.
//!
//! `engine record|traverse|release N` is work to be counted from outside (tests/bench/engine.sh): a
//! chain of N nodes that keep one tensor each and run no kernel. `engine time N` prints nanoseconds
//! and bytes for each node of that chain and of chains of ops on Variables of one element, each
//! chain in a process of its own so that peaks of memory do not mix. `retained` is the way back with
//! the graph kept, `back` without.

use rgrad::engine::{Options, Root, backward};
use rgrad::error::Result;
use rgrad::graph::arena::record;
use rgrad::graph::{Handle, Input, Origin, Payload, Rule, Saved, Step, Var, Variable, live_nodes};
use rgrad::ops::{Op, apply, arith, pointwise};
use rgrad::tensor::Tensor;
use smallvec::SmallVec;
use std::process::{Command, exit};
use std::time::Instant;

const USAGE: &str =
    "engine record|traverse|release|time N, or one of engine, mul, weight, add, tanh and N";
/// `weight` is `mul` whose other factor wants a gradient too.
const CHAINS: [&str; 5] = ["engine", "mul", "weight", "add", "tanh"];

/// One input whose value is kept; the gradient goes through unchanged, as no kernel is to run.
static LINK: Rule = Rule {
    node: "Link",
    saves: |_| 1,
    inputs: 1,
    back: Some(pass),
};

fn pass(step: &mut Step) -> Result<()> {
    let gradient = step.gradient().clone();
    step.give(0, gradient);
    Ok(())
}

fn one(value: f32) -> Tensor {
    Tensor::from_slice(&[value]).expect("room for four bytes")
}

fn link(kept: &Tensor, from: Origin) -> Handle {
    let mut payload = Payload {
        needs: 1,
        ..Payload::default()
    };
    payload.saved.push(Saved {
        tensor: kept.clone(),
        version: 0,
    });
    record(&LINK, std::iter::once(from), payload).expect("room for a node")
}

/// The last of `n` nodes.
fn links(n: usize) -> Handle {
    let kept = one(1.0);
    let mut node = link(&kept, Origin::None);
    for _ in 1..n {
        node = link(&kept, Origin::Node(node.id(), 0));
    }
    node
}

fn run_back(node: Handle, retain_graph: bool) {
    let root = Root {
        node,
        nr: 0,
        gradient: Var::from(one(1.0)),
    };
    let options = Options {
        retain_graph,
        create_graph: false,
    };
    backward(vec![root], options, &|| Ok(())).expect("a chain runs back");
}

/// An op on Variables as the Python edge calls it: no argument, one result.
fn call(op: &'static Op, inputs: &[Input]) -> Variable {
    let mut made = apply(op, inputs, SmallVec::new()).expect("one element fits one element");
    Variable::new(made.swap_remove(0))
}

fn input(variable: &Variable) -> Input<'_> {
    variable.input().expect("no view is in the chain")
}

/// `y = op(y)` or `y = op(y, w)`, `n` times.
fn ops(op: &'static Op, n: usize, learn: bool) -> Variable {
    let x = Variable::leaf(one(0.5), true, false);
    let w = Variable::leaf(one(1.0), learn, false);
    let mut y = x;
    for _ in 0..n {
        y = match op.inputs.len() {
            1 => call(op, &[input(&y)]),
            _ => call(op, &[input(&y), input(&w)]),
        };
    }
    y
}

/// Kilobytes of `/proc/self/status`; 0 where there is no such file.
fn memory(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn nanoseconds(n: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e9 / n as f64
}

/// A chain by name: the Variable at its end, where there is one, and its last node.
fn chain(name: &str, n: usize) -> (Option<Variable>, Handle) {
    let y = match name {
        "engine" => return (None, links(n)),
        "mul" => ops(&arith::mul::OP, n, false),
        "weight" => ops(&arith::mul::OP, n, true),
        "add" => ops(&arith::add::OP, n, false),
        _ => ops(&pointwise::tanh::OP, n, false),
    };
    let history = y.grad_fn().expect("no view is in the chain");
    let (node, _) = history.expect("the chain is recorded");
    (Some(y), node)
}

/// A chain recorded, run back over and dropped: twice, as the first time touches fresh memory.
fn time(name: &str, n: usize) {
    let before = memory("VmRSS");
    for turn in ["first", "again"] {
        let mut made = None;
        let record = nanoseconds(n, || made = Some(chain(name, n)));
        let (y, node) = made.expect("it was just made");
        let retained = match turn {
            "first" => 0.0,
            _ => nanoseconds(n, || run_back(node.clone(), true)),
        };
        let back = nanoseconds(n, || run_back(node.clone(), false));
        let peak = memory("VmHWM");
        let release = nanoseconds(n, || drop((y, node)));
        assert_eq!(live_nodes(), 0, "everything is given back");
        println!(
            "{name:>8} {turn:>6} {record:>8.1} {back:>9.1} {retained:>9.1} {release:>8.1} {:>8.1} {:>8}",
            record + back + release,
            peak.saturating_sub(before) * 1024 / n
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (work, n) = match words[..] {
        [work, n] => (work, n.parse().unwrap_or(0)),
        _ => ("time", 1_000_000),
    };
    match work {
        // These end without giving back: what that costs is counted by `release` alone.
        "record" if n > 0 => {
            std::mem::forget(links(n));
            exit(0)
        }
        "traverse" if n > 0 => {
            let node = links(n);
            run_back(node.clone(), true);
            std::mem::forget(node);
            exit(0)
        }
        "release" if n > 0 => drop(links(n)),
        "time" if n > 0 => {
            println!(
                "nanoseconds per node of a chain of {n}; bytes at the peak\n\
                    chain   turn   record      back  retained  release    total    bytes"
            );
            let me = std::env::current_exe().expect("the program knows its path");
            for name in CHAINS {
                let n = n.to_string();
                let ended = Command::new(&me).args([name, &n]).status();
                if !ended.is_ok_and(|status| status.success()) {
                    exit(1);
                }
            }
        }
        name if n > 0 && CHAINS.contains(&name) => time(name, n),
        _ => {
            eprintln!("{USAGE}");
            exit(2)
        }
    }
}
