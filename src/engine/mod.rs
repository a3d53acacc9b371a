//! Running back: nodes in falling order of their keys, gradients added up on the way.
//!
//! A consumer is always newer than what it consumed, so when the newest waiting node runs, all its
//! gradients have arrived. One thread walks, in an order that depends on the graph alone.
#![forbid(unsafe_code)]

pub mod accumulate;
pub mod anomaly;
pub mod explain;
mod waiting;

use crate::error::{Error, Result};
use crate::fail;
use crate::graph::arena::{self, Handle, Taken, Visit, site_of};
use crate::graph::profile;
use crate::graph::rule::ACCUMULATE;
use crate::graph::{Edge, Edges, NodeId, Payload, Step, Var, Variable, with_recording};
use crate::tensor::{Tensor, sizes_text};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};
use waiting::{Incoming, Waiting};

/// Gradients of a node's inputs.
type Outgoing = SmallVec<[Option<Var>; 2]>;

/// How to run back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Nodes keep what they saved.
    pub retain_graph: bool,
    /// The gradients' own computation is recorded.
    pub create_graph: bool,
}

/// Called between nodes now and then; an error stops the run (Ctrl-C).
pub type Pulse<'a> = &'a dyn Fn() -> Result<()>;

/// Nodes between two pulses.
const PULSE: u32 = 1024;

/// What to compute gradients of, and with what they start.
pub struct Root {
    pub node: Handle,
    pub nr: u32,
    pub gradient: Var,
}

/// Runs back from `roots` and adds into the leaves' `.grad`.
///
/// # Errors
/// The first that a rule or hook reports; leaves reached before keep what they got.
pub fn backward(roots: Vec<Root>, options: Options, pulse: Pulse) -> Result<()> {
    Run::new(options, None).walk(roots, pulse).map(|_| ())
}

/// The gradients of `roots` with respect to `inputs` (node and output each); nothing is added into
/// leaves.
pub fn gradients(
    roots: Vec<Root>,
    inputs: &[(Handle, u32)],
    options: Options,
    pulse: Pulse,
) -> Result<Vec<Option<Var>>> {
    let needed = ancestors_between(&roots, inputs);
    let mut captured = HashMap::new();
    for (node, nr) in inputs {
        captured.insert((node.id(), *nr), None);
    }
    let mut found = Run::new(options, Some(Wanted { needed, captured })).walk(roots, pulse)?;
    Ok(inputs
        .iter()
        .map(|(node, nr)| found.get_mut(&(node.id(), *nr)).and_then(|g| g.clone()))
        .collect())
}

struct Wanted {
    needed: HashSet<NodeId>,
    captured: HashMap<(NodeId, u32), Option<Var>>,
}

struct Run {
    options: Options,
    wanted: Option<Wanted>,
    waiting: Waiting,
}

impl Run {
    fn new(options: Options, wanted: Option<Wanted>) -> Run {
        Run {
            options,
            wanted,
            waiting: Waiting::new(),
        }
    }

    fn walk(
        mut self,
        roots: Vec<Root>,
        pulse: Pulse,
    ) -> Result<HashMap<(NodeId, u32), Option<Var>>> {
        // Handles of the roots keep the graph alive while it runs.
        let mut held = Vec::with_capacity(roots.len());
        let mut visit = Visit::default();
        for Root { node, nr, gradient } in roots {
            self.waiting.add(
                &mut visit,
                node.edge(nr),
                gradient,
                self.options.create_graph,
            )?;
            visit.end();
            held.push(node);
        }
        let mut turns = 0u32;
        while let Some((node, incoming)) = self.waiting.pop() {
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(PULSE) {
                visit.end();
                pulse()?;
            }
            let span = profile::is_on().then(|| {
                visit.end();
                profile::node(arena::rule_of(node))
            });
            let turn = self.turn(&mut visit, node, incoming);
            drop(span);
            let (edges, mut outgoing) = turn.map_err(|error| {
                visit.end();
                error.from_node(node.pack(), site_of(node))
            })?;
            if anomaly::is_on() {
                visit.end();
                let checked = anomaly::check(arena::rule_of(node), &outgoing);
                checked.map_err(|error| error.from_node(node.pack(), site_of(node)))?;
            }
            // The arena may stay locked from here into the next turn: nothing is dropped between.
            for (&edge, gradient) in edges.iter().zip(&mut outgoing) {
                if let Some(gradient) = gradient.take() {
                    self.waiting
                        .add(&mut visit, edge, gradient, self.options.create_graph)?;
                }
            }
        }
        visit.end();
        drop(held);
        Ok(self.wanted.map(|w| w.captured).unwrap_or_default())
    }

    /// Runs one node; gives its edges and their gradients. The arena is unlocked then.
    #[inline]
    fn turn(
        &mut self,
        visit: &mut Visit,
        node: NodeId,
        incoming: Incoming,
    ) -> Result<(Edges, Outgoing)> {
        if let Some(wanted) = &mut self.wanted {
            visit.end();
            for (nr, gradient) in incoming.iter().enumerate() {
                if let Some(place) = wanted.captured.get_mut(&(node, nr as u32)) {
                    place.clone_from(gradient);
                }
            }
            if !wanted.needed.contains(&node) {
                return Ok((Edges::new(), Outgoing::new()));
            }
        }
        let mut step = Step {
            rule: &ACCUMULATE,
            payload: Payload::default(),
            incoming: &incoming,
            outgoing: SmallVec::new(),
            history: None,
            given: None,
        };
        let Taken {
            rule,
            edges,
            leaf,
            freed,
        } = visit.take(node, self.options.retain_graph, &mut step.payload);
        visit.end();
        step.rule = rule;
        if rule.is_accumulator() {
            if self.wanted.is_none()
                && let Some(leaf) = leaf
                && let Some(gradient) = incoming.into_iter().next().flatten()
            {
                accumulate::into_leaf(&leaf, gradient, self.options.create_graph)?;
            }
            return Ok((Edges::new(), Outgoing::new()));
        }
        if freed {
            fail!(
                Runtime,
                "{}: Trying to backward through the graph a second time, but the buffers have already been freed; specify retain_graph=True when calling backward the first time",
                rule.node
            );
        }
        if let Some(retained) = step
            .payload
            .extra
            .as_ref()
            .and_then(|e| e.retained.as_ref())
        {
            accumulate::into_retained(retained, &incoming, self.options.create_graph)?;
        }
        let Some(back) = rule.back else {
            fail!(Runtime, "{}: the derivative is not implemented", rule.node);
        };
        let held = match self.options.create_graph {
            true => Handle::to(node),
            false => None,
        };
        step.history = held.as_ref().map(|node| (node, &edges));
        if step.has_gradient() {
            with_recording(self.options.create_graph, || back(&mut step))?;
        }
        let mut outgoing = std::mem::take(&mut step.outgoing);
        drop(step);
        for (i, gradient) in outgoing.iter_mut().enumerate() {
            if gradient.is_some() && edges.get(i).is_none_or(|edge| edge.is_none()) {
                *gradient = None;
            }
        }
        Ok((edges, outgoing))
    }
}

/// The nodes on a path from a root to one of `inputs`, the inputs' own nodes left out unless
/// another input lies beyond them.
fn ancestors_between(roots: &[Root], inputs: &[(Handle, u32)]) -> HashSet<NodeId> {
    let targets: HashSet<NodeId> = inputs.iter().map(|(node, _)| node.id()).collect();
    // Everything reachable, newest first; then a sweep from the oldest marks what leads to a target.
    let mut seen: HashMap<NodeId, (u64, Vec<NodeId>)> = HashMap::new();
    let mut queue: Vec<Handle> = roots.iter().map(|r| r.node.clone()).collect();
    while let Some(node) = queue.pop() {
        if seen.contains_key(&node.id()) {
            continue;
        }
        let mut next = Vec::new();
        for edge in node.edges() {
            if let Some(handle) = Handle::of_edge(edge) {
                next.push(handle.id());
                queue.push(handle);
            }
        }
        seen.insert(node.id(), (node.key(), next));
    }
    let mut order: Vec<(u64, NodeId)> = seen.iter().map(|(id, (key, _))| (*key, *id)).collect();
    order.sort_unstable_by_key(|(key, _)| *key);
    let mut leads = HashSet::new();
    for (_, id) in order {
        if seen[&id]
            .1
            .iter()
            .any(|next| targets.contains(next) || leads.contains(next))
        {
            leads.insert(id);
        }
    }
    leads
}

/// The gradient a root of one element starts with when none is given.
pub fn ones_for(root: &Variable) -> Result<Tensor> {
    let tensor = root.tensor();
    if tensor.numel() != 1 {
        return Err(Error::Runtime(format!(
            "backward: grad can be implicitly created only for scalar outputs; this one has size {} ({} elements): pass a gradient of that size, or reduce it with .sum()",
            sizes_text(tensor.sizes()),
            tensor.numel()
        )));
    }
    let ones =
        crate::ops::device::empty("backward", tensor.dtype(), tensor.device(), tensor.sizes())?;
    crate::ops::copy::fill_with(&ones, crate::tensor::Scalar::Int(1))?;
    Ok(ones)
}

/// Fails unless `gradient` fits the value it is a gradient of.
pub fn check_gradient(of: &Tensor, gradient: &Tensor) -> Result<()> {
    let kind = |t: &Tensor| crate::tensor::class_name(t.dtype(), t.device());
    if of.sizes() != gradient.sizes()
        || of.dtype() != gradient.dtype()
        || of.device() != gradient.device()
    {
        fail!(
            Runtime,
            "backward: the gradient must be a {} of size {}, as the output is; got a {} of size {}",
            kind(of),
            sizes_text(of.sizes()),
            kind(gradient),
            sizes_text(gradient.sizes())
        );
    }
    Ok(())
}

/// The edges that lead out of a node, as handles with output numbers; none for inputs that need no
/// gradient.
pub fn next_functions(node: &Handle) -> Vec<Option<(Handle, u32)>> {
    node.edges()
        .iter()
        .map(|&edge: &Edge| Handle::of_edge(edge).map(|handle| (handle, edge.nr)))
        .collect()
}
