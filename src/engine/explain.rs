//! A way back that is only looked at: nothing is added into `.grad`, nothing freed or recorded, no
//! hook runs.

use super::Root;
use super::accumulate::sum;
use crate::error::Result;
use crate::fail;
use crate::graph::arena::{Handle, Visit};
use crate::graph::foreign::no_derivative;
use crate::graph::{Edge, Edges, NodeId, Payload, Rule, Step, Var, Variable, with_recording};
use crate::ops::{self, Op};
use crate::tensor::{Scalar, Tensor, Value};
use std::collections::{HashMap, VecDeque};

/// One node on the way back.
pub struct Turn {
    pub node: Handle,
    pub rule: &'static Rule,
    /// The row of the table, where there is one.
    pub op: Option<&'static Op>,
    pub edges: Edges,
    /// For an accumulator: its leaf.
    pub leaf: Option<Variable>,
    /// By index of input, then of result.
    pub saved: Vec<(u32, Tensor)>,
    /// Arguments, and what else the formula reads.
    pub values: Vec<Value>,
    /// Gradients of the outputs, each with how many came together in it.
    pub incoming: Vec<Option<(Var, u32)>>,
    /// Gradients that go to the inputs.
    pub outgoing: Vec<Option<Var>>,
    /// d output / d input element by element, where the operation works so.
    pub local: Vec<Option<Var>>,
}

/// Gradients that arrived at a node's outputs, and how many each is the sum of.
type Arrived = Vec<Option<(Var, u32)>>;

/// Walks back from `root` and shows each node to `each`, in the order in which they run; `pulse` can
/// stop it.
///
/// # Errors
/// What a rule or `each` reports.
pub fn explain(
    root: Root,
    pulse: &dyn Fn() -> Result<()>,
    each: &mut dyn FnMut(Turn) -> Result<()>,
) -> Result<()> {
    let mut waiting = counted(&root.node, pulse)?;
    let mut ready = VecDeque::new();
    let mut first = vec![None; root.nr as usize];
    first.push(Some((root.gradient, 1)));
    ready.push_back((root.node, first));
    while let Some((node, incoming)) = ready.pop_front() {
        pulse()?;
        if incoming.is_empty() {
            for &edge in node.edges().iter() {
                deliver(&mut waiting, &mut ready, edge, None)?;
            }
            continue;
        }
        let turn = turn(node, incoming)?;
        for (i, &edge) in turn.edges.iter().enumerate() {
            let gradient = turn.outgoing.get(i).cloned().flatten();
            deliver(&mut waiting, &mut ready, edge, gradient)?;
        }
        each(turn)?;
    }
    Ok(())
}

/// A node that waits: how many are still to deliver, and what arrived.
#[derive(Default)]
struct Place {
    left: usize,
    arrived: Arrived,
}

/// How many edges lead to each node below `root`.
fn counted(root: &Handle, pulse: &dyn Fn() -> Result<()>) -> Result<HashMap<NodeId, Place>> {
    let mut waiting: HashMap<NodeId, Place> = HashMap::new();
    let mut stack = vec![root.clone()];
    while let Some(node) = stack.pop() {
        pulse()?;
        for next in node
            .edges()
            .iter()
            .filter_map(|&edge| Handle::of_edge(edge))
        {
            let place = waiting.entry(next.id()).or_default();
            place.left += 1;
            if place.left == 1 {
                stack.push(next);
            }
        }
    }
    Ok(waiting)
}

/// As the engine delivers.
fn deliver(
    waiting: &mut HashMap<NodeId, Place>,
    ready: &mut VecDeque<(Handle, Arrived)>,
    edge: Edge,
    gradient: Option<Var>,
) -> Result<()> {
    let Some(next) = Handle::of_edge(edge) else {
        return Ok(());
    };
    let place = waiting.entry(next.id()).or_default();
    if let Some(gradient) = gradient {
        let nr = edge.nr as usize;
        let arrived = &mut place.arrived;
        if arrived.len() <= nr {
            arrived.resize(nr + 1, None);
        }
        arrived[nr] = Some(match arrived[nr].take() {
            None => (gradient, 1),
            Some((old, ways)) => (sum(old, gradient, false)?, ways + 1),
        });
    }
    place.left = place.left.saturating_sub(1);
    if place.left == 0 {
        ready.push_back((next, std::mem::take(&mut place.arrived)));
    }
    Ok(())
}

fn turn(node: Handle, incoming: Arrived) -> Result<Turn> {
    let mut payload = Payload::default();
    let mut visit = Visit::default();
    let leaf = visit.accumulator(node.id()).flatten();
    let taken = visit.take(node.id(), true, &mut payload);
    visit.end();
    let rule = taken.rule;
    if taken.freed {
        fail!(
            Runtime,
            "explain: {}: Trying to backward through the graph a second time, but the buffers have already been freed; explain before backward(), or specify retain_graph=True there",
            rule.node
        );
    }
    let op = ops::all().find(|op| std::ptr::eq(&op.rule, rule));
    let mut seen = Turn {
        node,
        rule,
        op,
        edges: taken.edges,
        leaf,
        saved: saved(rule, &payload),
        values: payload.values.to_vec(),
        incoming,
        outgoing: Vec::new(),
        local: Vec::new(),
    };
    if rule.is_accumulator() {
        return Ok(seen);
    }
    let gradients: Vec<Option<Var>> = seen
        .incoming
        .iter()
        .map(|g| g.as_ref().map(|(g, _)| g.clone()))
        .collect();
    seen.outgoing = run(rule, payload.clone(), &gradients)?;
    let single = |g: &Option<Var>| g.as_ref().is_none_or(|g| g.tensor.numel() == 1);
    let one_by_one =
        op.is_some_and(|op| op.forms.direct) || gradients.iter().chain(&seen.outgoing).all(single);
    // A user's function runs once only: it may count its calls, or not take ones.
    let is_ours = op.is_some() || payload.extra.as_ref().is_none_or(|e| e.foreign.is_none());
    if one_by_one
        && is_ours
        && let [Some(incoming)] = gradients.as_slice()
    {
        let like = &incoming.tensor;
        let ones = ops::device::empty("explain", like.dtype(), like.device(), like.sizes())?;
        ops::copy::fill_with(&ones, Scalar::Int(1))?;
        seen.local = run(rule, payload, &[Some(Var::from(ones))])?;
    }
    Ok(seen)
}

/// What a node kept, by index of input, then of result.
fn saved(rule: &Rule, payload: &Payload) -> Vec<(u32, Tensor)> {
    let kept = (rule.saves)(payload.needs);
    let indices = (0..64).filter(|i| kept >> i & 1 == 1);
    let tensors = payload.saved.iter().map(|s| s.tensor.clone());
    indices.zip(tensors).collect()
}

fn run(
    rule: &'static Rule,
    payload: Payload,
    incoming: &[Option<Var>],
) -> Result<Vec<Option<Var>>> {
    let Some(back) = rule.back else {
        return Err(no_derivative(rule.node));
    };
    let mut step = Step::new(rule, payload, incoming);
    if step.has_gradient() {
        with_recording(false, || back(&mut step))?;
    }
    Ok(step.outgoing.into_iter().collect())
}
