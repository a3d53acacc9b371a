//! The graph's part of an op: its name there and how gradients flow back through it.

use super::arena::{Edges, Handle, Payload, Saved};
use super::site;
use super::var::Var;
use crate::error::{Error, Result};
use crate::fail;
use crate::tensor::{FromValue, Value, sizes_text};
use smallvec::SmallVec;

/// How a recorded op is named and run backward.
pub struct Rule {
    /// What a user sees as the type of `grad_fn`.
    pub node: &'static str,
    /// Which names (inputs, then results) to keep when the inputs in the mask need gradients.
    pub saves: fn(needs: u64) -> u64,
    /// How many inputs the op has; results are named after them.
    pub inputs: u32,
    /// Adds the gradients of the inputs to the step; none for an op without derivative.
    pub back: Option<fn(&mut Step) -> Result<()>>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.node)
    }
}

impl Rule {
    /// The error for a gradient of another size than the result has that it belongs to.
    #[cold]
    pub fn misfit(&self, sizes: &[i64], gradient: &[i64]) -> Error {
        misfit(self.node, sizes, gradient)
    }

    /// Whether this is the rule of accumulators.
    pub fn is_accumulator(&self) -> bool {
        std::ptr::eq(self, &ACCUMULATE)
    }
}

/// The error of `op` for a gradient of another size than the result has that it belongs to.
#[cold]
pub fn misfit(op: &str, sizes: &[i64], gradient: &[i64]) -> Error {
    Error::Runtime(format!(
        "{op}: the gradient has size {}, but the result it belongs to was made with size {}; give one of that size, and leave the size of .data alone until backward ran",
        sizes_text(gradient),
        sizes_text(sizes)
    ))
}

/// The rule of nodes that add into a leaf's `.grad`; the engine runs them itself.
pub static ACCUMULATE: Rule = Rule {
    node: "AccumulateGrad",
    saves: |_| 0,
    inputs: 1,
    back: None,
};

/// The way back of nodes that no row of the table made.
///
/// # Errors
/// What their function reports.
pub fn by_foreign(step: &mut Step) -> Result<()> {
    let foreign = step.payload.extra.as_ref().and_then(|e| e.foreign.clone());
    match foreign {
        Some(foreign) => foreign.back(step),
        None => fail!(Runtime, "{}: its function is gone", step.rule.node),
    }
}

/// One node on its way back: what came in, what it kept, and what goes to its inputs.
pub struct Step<'a> {
    pub rule: &'static Rule,
    pub payload: Payload,
    /// Gradients of the outputs; a missing one stands for zeros.
    pub incoming: &'a [Option<Var>],
    /// Gradients of the inputs.
    pub outgoing: SmallVec<[Option<Var>; 2]>,
    /// Where saved inputs came from, when their history is wanted (`create_graph`).
    pub history: Option<(&'a Handle, &'a Edges)>,
    /// Histories of operands and results by index, for a rule that runs inside another's.
    pub given: Option<&'a [Option<Var>]>,
}

impl<'a> Step<'a> {
    /// A step without histories: its gradients are not recorded.
    #[inline(always)]
    pub fn new(rule: &'static Rule, payload: Payload, incoming: &'a [Option<Var>]) -> Step<'a> {
        Step {
            rule,
            payload,
            incoming,
            outgoing: SmallVec::new(),
            history: None,
            given: None,
        }
    }

    /// Whether input `i` needs a gradient.
    #[inline(always)]
    pub fn needs(&self, i: u32) -> bool {
        self.payload.needs >> i.min(63) & 1 == 1
    }

    /// Whether there is a gradient of some output to run with.
    #[inline(always)]
    pub fn has_gradient(&self) -> bool {
        self.incoming.iter().any(Option::is_some)
    }

    /// The gradient of the first output.
    ///
    /// # Panics
    /// When it is missing: the engine runs nodes of one output only with a gradient.
    #[inline(always)]
    pub fn gradient(&self) -> &'a Var {
        self.incoming[0]
            .as_ref()
            .expect("a node runs when its output has a gradient")
    }

    /// What was kept under name `index` (inputs first, then results).
    ///
    /// # Errors
    /// `RuntimeError` when it was changed in place since.
    pub fn saved(&self, index: u32) -> Result<Var> {
        let kept = (self.rule.saves)(self.payload.needs);
        let place = (kept & ((1 << index) - 1)).count_ones() as usize;
        let Some(saved) = self.payload.saved.get(place) else {
            fail!(
                Runtime,
                "{}: Trying to backward through the graph a second time, but the buffers have already been freed; specify retain_graph=True when calling backward the first time",
                self.rule.node
            );
        };
        if saved.tensor.version() != saved.version {
            return Err(changed(self.rule, index, saved));
        }
        let tensor = saved.tensor.clone();
        if let Some(given) = self.given {
            let history = given.get(index as usize).and_then(Option::as_ref);
            let history = history.and_then(|v| v.history.clone());
            return Ok(Var {
                tensor,
                history,
                volatile: false,
            });
        }
        let Some((node, edges)) = self.history else {
            return Ok(Var::from(tensor));
        };
        if index >= self.rule.inputs {
            return Ok(Var::made_by(tensor, node.clone(), index - self.rule.inputs));
        }
        let edge = edges[index as usize];
        Ok(match Handle::of_edge(edge) {
            Some(handle) => Var::made_by(tensor, handle, edge.nr),
            None => Var::from(tensor),
        })
    }

    /// The `i`-th argument or kept value.
    #[inline(always)]
    pub fn value<T: FromValue>(&self, i: usize) -> T {
        T::from_value(self.payload.values.get(i).unwrap_or(&Value::None))
    }

    /// Fails when an index or mask among the first `count` values was changed since: their versions
    /// are the values that follow.
    ///
    /// # Errors
    /// `RuntimeError`.
    pub fn unchanged(&self, count: usize) -> Result<()> {
        let (values, versions) = self
            .payload
            .values
            .split_at(count.min(self.payload.values.len()));
        let tensors = values.iter().filter_map(|v| match v {
            Value::Tensor(t) => Some(t),
            _ => None,
        });
        for (tensor, version) in tensors.zip(versions) {
            let (now, then) = (tensor.version(), i64::from_value(version) as u32);
            if now != then {
                fail!(
                    Runtime,
                    "{}: one of the variables needed for gradient computation has been modified by an inplace operation: its index or mask had version {then} when it was saved and has {now} now; clone() it before changing it",
                    self.rule.node
                );
            }
        }
        Ok(())
    }

    /// Gives input `i` its gradient.
    #[inline(always)]
    pub fn give(&mut self, i: u32, gradient: Var) {
        let i = i as usize;
        while self.outgoing.len() < i {
            self.outgoing.push(None);
        }
        if self.outgoing.len() == i {
            self.outgoing.push(Some(gradient));
        } else {
            self.outgoing[i] = Some(gradient);
        }
    }
}

fn changed(rule: &Rule, index: u32, saved: &Saved) -> Error {
    let (what, role) = if index < rule.inputs {
        (format!("operand {}", index + 1), "operand")
    } else {
        ("result".into(), "result")
    };
    let (node, then, now) = (rule.node, saved.version, saved.tensor.version());
    let error = Error::Runtime(format!(
        "{node}: one of the variables needed for gradient computation has been modified by an inplace operation: its {what} had version {then} when it was saved and has {now} now; clone() it before changing it"
    ));
    error.about(
        role,
        saved.tensor.family(),
        site::last_change(&saved.tensor),
    )
}
