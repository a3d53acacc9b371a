//! A value and where it came from: what formulas compute with.

use super::arena::{Handle, NodeId};
use super::variable::Variable;
use crate::tensor::Tensor;

/// A tensor with its history, if it has one. Cheap to make; has no identity, no `.grad`.
#[derive(Debug, Clone)]
pub struct Var {
    pub tensor: Tensor,
    pub history: Option<(Handle, u32)>,
    pub volatile: bool,
}

impl From<Tensor> for Var {
    #[inline(always)]
    fn from(tensor: Tensor) -> Var {
        Var {
            tensor,
            history: None,
            volatile: false,
        }
    }
}

impl Var {
    /// Output `nr` of a node.
    #[inline(always)]
    pub fn made_by(tensor: Tensor, node: Handle, nr: u32) -> Var {
        Var {
            tensor,
            history: Some((node, nr)),
            volatile: false,
        }
    }

    /// Sizes, outermost first.
    pub fn sizes(&self) -> &[i64] {
        self.tensor.sizes()
    }

    /// Whether gradients flow to it.
    pub fn requires_grad(&self) -> bool {
        self.history.is_some()
    }

    /// The same value without history.
    pub fn detach(&self) -> Var {
        Var::from(self.tensor.clone())
    }

    /// What an op needs to know of it.
    #[inline(always)]
    pub fn input(&self) -> Input<'_> {
        let origin = match &self.history {
            Some((handle, nr)) => Origin::Node(handle.id(), *nr),
            None => Origin::None,
        };
        Input {
            tensor: self.tensor.clone(),
            origin,
            volatile: self.volatile,
        }
    }
}

/// Where an input came from, without keeping that alive.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// Nowhere: it needs no gradient.
    None,
    Node(NodeId, u32),
    Leaf(&'a Variable),
}

/// An operand of an op.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    pub tensor: Tensor,
    pub origin: Origin<'a>,
    pub volatile: bool,
}

impl Input<'_> {
    /// An operand without history.
    pub fn plain(tensor: Tensor) -> Input<'static> {
        Input {
            tensor,
            origin: Origin::None,
            volatile: false,
        }
    }

    /// Whether gradients flow to it.
    #[inline(always)]
    pub fn requires_grad(&self) -> bool {
        !matches!(self.origin, Origin::None)
    }
}
