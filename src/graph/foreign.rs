//! What a node may have that this crate knows nothing of: hooks, and functions written elsewhere.
//!
//! A node without them pays one test. All of these run with the arena unlocked.

use super::rule::Step;
use super::var::Var;
use crate::error::{Error, Result};
use smallvec::SmallVec;
use std::any::Any;

/// Gradients of a node's outputs, as they arrived; missing ones may be left out at the end.
pub type Incoming = SmallVec<[Option<Var>; 1]>;
/// Gradients of a node's inputs.
pub type Outgoing = SmallVec<[Option<Var>; 2]>;

/// The error for a way back through an operation without a derivative.
#[cold]
pub fn no_derivative(node: &str) -> Error {
    Error::Runtime(format!(
        "{node}: the derivative is not implemented; detach() the result where no gradient should flow, or write a torch.autograd.Function whose backward computes it"
    ))
}

/// Hooks of a node or a leaf, and the way back through a function that is no row of the table.
pub trait Foreign: Any + Send + Sync {
    /// Runs before the node, on the total gradients; may replace them.
    fn before(&self, _incoming: &mut Incoming, _create_graph: bool) -> Result<()> {
        Ok(())
    }

    /// The gradients of the inputs, for a node whose rule is [`super::rule::by_foreign`].
    fn back(&self, step: &mut Step) -> Result<()> {
        Err(no_derivative(step.rule.node))
    }

    /// Runs after the node; may replace the gradients of its inputs. `edges` is how many it has.
    fn after(
        &self,
        _incoming: &Incoming,
        _outgoing: &mut Outgoing,
        _edges: usize,
        _create_graph: bool,
    ) -> Result<()> {
        Ok(())
    }

    /// Drops what is kept for the way back.
    fn free(&self) {}
}

impl std::fmt::Debug for dyn Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Foreign")
    }
}
