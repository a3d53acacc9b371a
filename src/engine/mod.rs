//! Running back: each node when all its consumers have delivered, gradients added up on the way.
//!
//! Before the first node runs, the deliveries to each are counted. What is ready runs first in, first
//! out, and delivers to its inputs from left to right, as in 0.3: one thread walks, in an
//! order that depends on the graph alone.
#![forbid(unsafe_code)]

pub mod accumulate;
pub mod anomaly;
pub mod explain;
mod nested;
mod paths;
mod ready;

use crate::error::{Error, Result};
use crate::fail;
use crate::graph::arena::{self, Handle, Taken, Visit, site_of};
use crate::graph::foreign::{Foreign, no_derivative};
use crate::graph::profile;
use crate::graph::rule::ACCUMULATE;
use crate::graph::{
    Edge, Incoming, NodeId, Outgoing, Payload, Rule, Step, Var, Variable, with_recording,
};
use crate::tensor::{Tensor, sizes_text};
use anomaly::Maker;
pub use nested::is_stopped;
use paths::Paths;
use ready::Ready;
pub use ready::alone as after_fork;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How to run back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Nodes keep what they saved.
    pub retain_graph: bool,
    /// The gradients' own computation is recorded.
    pub create_graph: bool,
}

/// Called between nodes now and then; an error stops the run (Ctrl-C).
pub type Pulse<'a> = &'a (dyn Fn() -> Result<()> + Sync);

/// Work between two looks at the clock: one for a node, and one for each 64 elements of its
/// gradient.
const WORK: usize = 1024;
/// Time between two pulses.
const PULSE: Duration = Duration::from_millis(20);

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
    nested::deeper(pulse, |pulse| {
        Run::new(options, None).walk(roots, pulse).map(|_| ())
    })
}

/// What became of an input that [`gradients`] was asked for.
pub struct Found {
    pub gradient: Option<Var>,
    /// Whether a way leads from an output back to it.
    pub reached: bool,
}

/// The gradients of `roots` with respect to `inputs` (node and output each). Nodes that lead to no
/// input do not run; unless `only_inputs`, they do, and other leaves accumulate.
///
/// # Errors
/// As [`backward`].
pub fn gradients(
    roots: Vec<Root>,
    inputs: &[(Handle, u32)],
    options: Options,
    only_inputs: bool,
    pulse: Pulse,
) -> Result<Vec<Found>> {
    nested::deeper(pulse, |pulse| {
        let paths = Paths::between(&roots, inputs, pulse)?;
        let mut captured = HashMap::new();
        for (node, nr) in inputs {
            captured.insert((node.id(), *nr), None);
        }
        let wanted = Wanted {
            paths: &paths,
            only_inputs,
            captured,
        };
        let mut found = Run::new(options, Some(wanted)).walk(roots, pulse)?;
        let of = |(node, nr): &(Handle, u32)| Found {
            gradient: found.get_mut(&(node.id(), *nr)).and_then(|g| g.clone()),
            reached: paths.reaches(node.id().slot()),
        };
        Ok(inputs.iter().map(of).collect())
    })
}

struct Wanted<'a> {
    paths: &'a Paths,
    /// Whether only nodes on the paths run.
    only_inputs: bool,
    captured: HashMap<(NodeId, u32), Option<Var>>,
}

impl Wanted<'_> {
    /// Keeps the gradients that were asked for.
    fn capture(&mut self, node: NodeId, incoming: &Incoming) -> bool {
        let mut any = false;
        if !self.paths.aims_at(node.slot()) {
            return any;
        }
        for (nr, gradient) in incoming.iter().enumerate() {
            if let Some(place) = self.captured.get_mut(&(node, nr as u32)) {
                place.clone_from(gradient);
                any = true;
            }
        }
        any
    }

    /// Whether a gradient of the node's first `outputs` outputs was asked for.
    fn asks_for(&self, node: NodeId, outputs: usize) -> bool {
        let mut numbers = 0..outputs as u32;
        self.paths.aims_at(node.slot()) && numbers.any(|nr| self.captured.contains_key(&(node, nr)))
    }

    fn runs(&self, slot: u32) -> bool {
        !self.only_inputs || self.paths.needs(slot)
    }
}

struct Run<'a> {
    options: Options,
    wanted: Option<Wanted<'a>>,
    ready: Ready,
}

impl<'a> Run<'a> {
    fn new(options: Options, wanted: Option<Wanted<'a>>) -> Run<'a> {
        Run {
            options,
            wanted,
            ready: Ready::new(),
        }
    }

    fn walk(
        mut self,
        roots: Vec<Root>,
        pulse: Pulse,
    ) -> Result<HashMap<(NodeId, u32), Option<Var>>> {
        let recorded = self.options.create_graph;
        // Handles of the roots keep the graph alive while it runs.
        let mut held = Vec::with_capacity(roots.len());
        let mut gradients = Vec::with_capacity(roots.len());
        for Root { node, nr, gradient } in roots {
            let edge = node.edge(nr);
            held.push((node, edge));
            gradients.push(gradient);
        }
        let mut visit = Visit::default();
        match &self.wanted {
            None => self.ready.count(&mut visit, &held, |_| true, pulse)?,
            Some(wanted) => {
                let runs = |slot| wanted.runs(slot);
                self.ready.count(&mut visit, &held, runs, pulse)?;
            }
        }
        for ((_, edge), gradient) in held.iter().zip(gradients) {
            self.ready
                .deliver(&mut visit, *edge, Some(gradient), recorded)?;
        }
        let mut work = 0;
        let mut last = None;
        while let Some((node, incoming)) = self.ready.pop() {
            work += 1 + incoming.first().map_or(0, size) / 64;
            if work >= WORK {
                visit.end();
                work = 0;
                look(&mut last, pulse)?;
            }
            if let Err(error) = self.turn(&mut visit, node, incoming) {
                visit.end();
                return Err(error.from_node(node.pack(), site_of(node)));
            }
        }
        visit.end();
        drop(held);
        Ok(self.wanted.map(|w| w.captured).unwrap_or_default())
    }

    /// Runs one node and delivers what it gives. The arena may be locked before and after.
    #[inline(always)]
    fn turn(&mut self, visit: &mut Visit, node: NodeId, mut incoming: Incoming) -> Result<()> {
        let create_graph = self.options.create_graph;
        if incoming.is_empty() {
            return self.pass_over(visit, node);
        }
        if let Some(wanted) = &self.wanted
            && !wanted.runs(node.slot())
            && !wanted.asks_for(node, incoming.len())
        {
            visit.end();
            return Ok(());
        }
        let span = profile::is_on().then(|| {
            visit.end();
            profile::node(arena::rule_of(node))
        });
        let looks = anomaly::is_on();
        if looks {
            visit.end();
            anomaly::made(arena::rule_of(node), Maker::Caller, &incoming)?;
        }
        let foreign = visit.foreign(node);
        if let Some(foreign) = &foreign {
            visit.end();
            foreign.before(&mut incoming, create_graph)?;
            if looks {
                anomaly::made(arena::rule_of(node), Maker::Hook, &incoming)?;
            }
        }
        let mut captured = false;
        if let Some(wanted) = &mut self.wanted {
            visit.end();
            captured = wanted.capture(node, &incoming);
            if !wanted.runs(node.slot()) {
                return Ok(());
            }
        }
        if let Some(leaf) = visit.accumulator(node) {
            visit.end();
            let leaf = leaf.filter(|_| !captured);
            return accumulate_in(leaf, incoming, foreign, create_graph);
        }
        let mut step = Step::new(&ACCUMULATE, Payload::default(), &incoming);
        let Taken { rule, edges, freed } =
            visit.take(node, self.options.retain_graph, &mut step.payload);
        visit.end();
        step.rule = rule;
        if freed {
            return Err(freed_error(rule));
        }
        let Some(back) = rule.back else {
            return Err(no_derivative(rule.node));
        };
        let held = match create_graph {
            true => Handle::to(node),
            false => None,
        };
        step.history = held.as_ref().map(|node| (node, &edges));
        if step.has_gradient() {
            with_recording(create_graph, || back(&mut step))?;
        }
        let mut outgoing = std::mem::take(&mut step.outgoing);
        drop(step);
        if looks {
            anomaly::check(rule.node, &outgoing)?;
        }
        if let Some(foreign) = &foreign {
            if !self.options.retain_graph {
                foreign.free();
            }
            // A hook is given one for each output.
            let outputs = visit.outputs(node);
            visit.end();
            incoming.resize(outputs.max(incoming.len()), None);
            foreign.after(&incoming, &mut outgoing, edges.len(), create_graph)?;
            if looks {
                anomaly::made(rule.node, Maker::NodeHook, &outgoing)?;
            }
        }
        // From here on the arena may stay locked into the next turn: nothing of a user's is dropped.
        drop(span);
        drop(held);
        drop(foreign);
        drop(incoming);
        if outgoing.len() > edges.len() {
            outgoing.truncate(edges.len());
        }
        for (i, &edge) in edges.iter().enumerate() {
            let gradient = outgoing.get_mut(i).and_then(Option::take);
            if !edge.is_none() {
                self.ready.deliver(visit, edge, gradient, create_graph)?;
            } else if gradient.is_some() {
                visit.end();
            }
        }
        Ok(())
    }

    /// A node that nothing arrived at does not run; its inputs learn that nothing comes.
    #[cold]
    fn pass_over(&mut self, visit: &mut Visit, node: NodeId) -> Result<()> {
        if self.wanted.as_ref().is_none_or(|w| w.runs(node.slot())) {
            let edges = visit.edges(node.slot());
            for &edge in edges.iter().filter(|e| !e.is_none()) {
                self.ready.deliver(visit, edge, None, false)?;
            }
        }
        Ok(())
    }
}

/// Adds what arrived at an accumulator into its leaf, if that is still there.
fn accumulate_in(
    leaf: Option<Variable>,
    incoming: Incoming,
    foreign: Option<Arc<dyn Foreign>>,
    create_graph: bool,
) -> Result<()> {
    let Some(leaf) = leaf else { return Ok(()) };
    let seen = foreign.as_ref().map(|_| incoming.clone());
    if let Some(gradient) = incoming.into_iter().next().flatten() {
        accumulate::into_leaf(&leaf, gradient, create_graph)?;
    }
    if let Some((foreign, seen)) = foreign.zip(seen) {
        foreign.after(&seen, &mut Outgoing::new(), 0, create_graph)?;
    }
    Ok(())
}

fn size(gradient: &Option<Var>) -> usize {
    gradient.as_ref().map_or(0, |g| g.tensor.numel())
}

/// Lets a signal in, if the last look was long ago.
#[cold]
fn look(last: &mut Option<Instant>, pulse: Pulse) -> Result<()> {
    let now = Instant::now();
    if last.is_none_or(|last| now - last >= PULSE) {
        *last = Some(now);
        pulse()?;
    }
    Ok(())
}

/// What a node says that runs again without what it saved.
pub fn freed_error(rule: &Rule) -> Error {
    Error::Runtime(format!(
        "{}: Trying to backward through the graph a second time, but the buffers have already been freed; specify retain_graph=True when calling backward the first time",
        rule.node
    ))
}

/// The gradients that one node gives its inputs for `incoming`, recorded where that is switched on.
/// Nothing that it keeps is freed; an accumulator adds into its leaf.
///
/// # Errors
/// What the node's rule reports.
pub fn run_node(handle: &Handle, mut incoming: Incoming, create_graph: bool) -> Result<Outgoing> {
    let mut visit = Visit::default();
    let mut payload = Payload::default();
    let leaf = visit.accumulator(handle.id()).flatten();
    let taken = visit.take(handle.id(), true, &mut payload);
    visit.end();
    if let Some(leaf) = leaf {
        if let Some(gradient) = incoming.drain(..).next().flatten() {
            accumulate::into_leaf(&leaf, gradient, create_graph)?;
        }
        return Ok(Outgoing::new());
    }
    if taken.freed {
        return Err(freed_error(taken.rule));
    }
    let Some(back) = taken.rule.back else {
        return Err(no_derivative(taken.rule.node));
    };
    let mut step = Step::new(taken.rule, payload, &incoming);
    step.history = create_graph.then_some((handle, &taken.edges));
    if step.has_gradient() {
        // A gradient of any size can be given here, and a node does not know its outputs' sizes:
        // what its formula then fails with is the caller's mistake, not ours.
        let back = || with_recording(create_graph, || back(&mut step));
        match catch_unwind(AssertUnwindSafe(back)) {
            Ok(Err(error @ (Error::Raised(_) | Error::At(_) | Error::Memory(_)))) => {
                return Err(error);
            }
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(misfit(taken.rule, &incoming, &error.to_string())),
            Err(panic) => {
                let inner = panic.downcast_ref::<Error>().map(Error::to_string);
                return Err(misfit(taken.rule, &incoming, &inner.unwrap_or_default()));
            }
        }
    }
    let mut outgoing = std::mem::take(&mut step.outgoing);
    outgoing.resize(taken.edges.len(), None);
    Ok(outgoing)
}

/// What a node says of gradients that its formula cannot take.
fn misfit(rule: &Rule, incoming: &Incoming, reason: &str) -> Error {
    let sizes: Vec<String> = incoming
        .iter()
        .map(|g| {
            g.as_ref()
                .map_or("None".into(), |g| sizes_text(g.tensor.sizes()))
        })
        .collect();
    let reason = match reason {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    Error::Runtime(format!(
        "{}: cannot take a gradient of size {}{reason}; give one of the size of the node's output",
        rule.node,
        sizes.join(", ")
    ))
}

/// The gradient a root of one element starts with when none is given.
pub fn ones_for(op: &str, root: &Variable) -> Result<Tensor> {
    let tensor = root.tensor();
    if tensor.numel() != 1 {
        return Err(Error::Runtime(format!(
            "{op}: grad can be implicitly created only for scalar outputs; this one has size {} ({} elements): pass a gradient of that size, or reduce it with .sum()",
            sizes_text(tensor.sizes()),
            tensor.numel()
        )));
    }
    let ones = crate::ops::device::empty(op, tensor.dtype(), tensor.device(), tensor.sizes())?;
    crate::ops::copy::fill_with(&ones, crate::tensor::Scalar::Int(1))?;
    Ok(ones)
}

/// Fails unless `gradient` fits the value it is a gradient of.
pub fn check_gradient(op: &str, of: &Tensor, gradient: &Tensor) -> Result<()> {
    if !gradient.is_like(of) {
        fail!(
            Runtime,
            "{op}: the gradient must be a {}, as the output is; got a {}",
            of.described(),
            gradient.described()
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
