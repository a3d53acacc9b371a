//! What a node holds: edges, saved tensors, values. Packed, so that most nodes are their slot only.

use super::foreign::Foreign;
use super::rule::Rule;
use super::variable::Variable;
use crate::tensor::{Dims, Tensor, Value};
use smallvec::SmallVec;
use std::sync::Arc;

/// Which output of which node made an input; `slot` is `NONE` for inputs that need no gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub(super) slot: u32,
    /// The output's number.
    pub nr: u32,
}

impl Edge {
    /// The edge of an input that needs no gradient.
    pub const NONE: Edge = Edge {
        slot: u32::MAX,
        nr: 0,
    };

    /// The place of the node it leads to.
    pub(crate) fn slot(self) -> u32 {
        self.slot
    }

    /// Whether it leads nowhere.
    pub fn is_none(self) -> bool {
        self.slot == u32::MAX
    }
}

/// The edges of a node, one for each differentiable input.
pub type Edges = SmallVec<[Edge; 2]>;

/// A tensor kept for a formula, and the version it must still have then.
#[derive(Debug, Clone)]
pub struct Saved {
    pub tensor: Tensor,
    pub version: u32,
}

impl Saved {
    /// The tensor as it is now.
    #[inline(always)]
    pub fn now(tensor: Tensor) -> Saved {
        let version = tensor.version();
        Saved { tensor, version }
    }
}

/// What a node keeps until its gradient is computed.
#[derive(Debug, Clone, Default)]
pub struct Payload {
    /// Bit `i`: input `i` needs a gradient.
    pub needs: u64,
    pub saved: SmallVec<[Saved; 2]>,
    /// Arguments and what else the formula reads.
    pub values: SmallVec<[Value; 1]>,
    pub extra: Option<Box<Extra>>,
}

impl Payload {
    /// Whether index tensors are among the values; they are given back with what was saved.
    fn has_indices(&self) -> bool {
        self.values.iter().any(|v| matches!(v, Value::Tensor(_)))
    }
}

/// What few nodes have.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// For an accumulator: the leaf it adds into.
    pub leaf: Option<Variable>,
    /// For a write through a view: the rule of the op that wrote, and what it kept.
    pub inner: Option<(&'static Rule, Payload)>,
    /// How many outputs the node has; 0 stands for 1.
    pub outputs: u32,
    /// Hooks, and the function of a node that no row of the table made.
    pub foreign: Option<Arc<dyn Foreign>>,
}

/// What a slot keeps in place: a saved tensor, or a value. Flat, and so sixteen bytes and not more.
#[derive(Debug, Clone, Default)]
enum Kept {
    #[default]
    Nothing,
    Saved {
        version: u32,
        tensor: Tensor,
    },
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Dims(Box<Dims>),
    Tensor(Tensor),
}

impl From<Value> for Kept {
    #[inline]
    fn from(value: Value) -> Kept {
        match value {
            Value::None => Kept::None,
            Value::Bool(v) => Kept::Bool(v),
            Value::Int(v) => Kept::Int(v),
            Value::Float(v) => Kept::Float(v),
            Value::Dims(v) => Kept::Dims(v),
            Value::Tensor(v) => Kept::Tensor(v),
        }
    }
}

impl Kept {
    /// The value, where it is one.
    #[inline]
    fn value(&self) -> Option<Value> {
        Some(match self {
            Kept::Nothing | Kept::Saved { .. } => return None,
            Kept::None => Value::None,
            Kept::Bool(v) => Value::Bool(*v),
            Kept::Int(v) => Value::Int(*v),
            Kept::Float(v) => Value::Float(*v),
            Kept::Dims(v) => Value::Dims(v.clone()),
            Kept::Tensor(v) => Value::Tensor(v.clone()),
        })
    }
}

/// A node that does not fit its slot: many inputs or values, several outputs, an accumulator.
#[derive(Default)]
pub(super) struct Large {
    pub(super) edges: Edges,
    pub(super) payload: Payload,
}

impl Large {
    pub(super) fn each_edge(&self, mut each: impl FnMut(u32)) {
        let slots = self.edges.iter().filter(|e| !e.is_none());
        slots.for_each(|e| each(e.slot));
    }

    fn unpack(&mut self, keep: bool, payload: &mut Payload) {
        if keep {
            *payload = self.payload.clone();
            return;
        }
        let saved = std::mem::take(&mut self.payload.saved);
        *payload = Payload {
            saved,
            ..self.payload.clone()
        };
        if payload.has_indices() {
            self.payload.values.clear();
        }
    }
}

/// A node's edges and payload, packed.
#[derive(Default)]
pub(super) struct Body {
    /// Slots and output numbers of the edges.
    pub(super) to: [u32; 2],
    nr: [u16; 2],
    pub(super) edges: u8,
    /// How many of `kept` are tensors; they come first.
    saved: u8,
    needs: u8,
    pub(super) freed: bool,
    kept: [Kept; 2],
    /// When there is one, all the above but `freed` is in it.
    pub(super) large: Option<Box<Large>>,
}

/// Calls `each` for every slot that a packed edge leads to.
#[inline(always)]
pub(super) fn each_slot(to: [u32; 2], edges: u8, mut each: impl FnMut(u32)) {
    for &slot in &to[..usize::from(edges).min(2)] {
        if slot != Edge::NONE.slot {
            each(slot);
        }
    }
}

/// Puts what a node keeps into its slot in place: saved tensors first, then values.
pub struct Filling<'a> {
    body: &'a mut Body,
    at: usize,
}

impl Filling<'_> {
    /// Whether a node of so many edges, which keeps so many things, can be filled in place.
    #[inline(always)]
    pub const fn fits(edges: usize, things: usize) -> bool {
        edges <= 2 && things <= 2
    }

    /// Keeps a tensor for the formula.
    #[inline(always)]
    pub fn save(&mut self, Saved { tensor, version }: Saved) {
        self.body.saved += 1;
        self.put(Kept::Saved { version, tensor });
    }

    /// Keeps an argument, or what else the formula reads.
    #[inline(always)]
    pub fn value(&mut self, value: Value) {
        self.put(value.into());
    }

    #[inline(always)]
    fn put(&mut self, kept: Kept) {
        // The place is empty: nothing to drop.
        std::mem::forget(std::mem::replace(&mut self.body.kept[self.at & 1], kept));
        self.at += 1;
    }
}

impl Body {
    /// An empty body, about to be filled.
    #[inline(always)]
    pub(super) fn filling(&mut self, needs: u64) -> Filling<'_> {
        self.needs = needs as u8;
        Filling { body: self, at: 0 }
    }

    /// Packs a payload; the edges follow when the arena is locked.
    #[inline(always)]
    pub(super) fn pack(payload: Payload, edges: usize) -> Body {
        let mut body = Body::default();
        let fits = edges <= 2
            && payload.saved.len() + payload.values.len() <= 2
            && payload.needs < 256
            && payload.extra.is_none();
        if !fits {
            body.large = Some(Box::new(Large {
                edges: Edges::new(),
                payload,
            }));
            return body;
        }
        let Payload {
            needs,
            mut saved,
            mut values,
            ..
        } = payload;
        body.needs = needs as u8;
        body.saved = saved.len() as u8;
        let mut at = saved.len() + values.len();
        while let Some(value) = values.pop() {
            at -= 1;
            std::mem::forget(std::mem::replace(&mut body.kept[at & 1], value.into()));
        }
        while let Some(Saved { tensor, version }) = saved.pop() {
            at -= 1;
            let kept = Kept::Saved { version, tensor };
            std::mem::forget(std::mem::replace(&mut body.kept[at & 1], kept));
        }
        body
    }

    /// The edges of an empty body.
    #[inline(always)]
    pub(super) fn set_edges<const N: usize>(&mut self, edges: [Edge; N]) {
        if N > 2 || edges.iter().any(|e| e.nr > u32::from(u16::MAX)) {
            edges.into_iter().for_each(|edge| self.push_edge(edge));
            return;
        }
        for (i, edge) in edges.into_iter().enumerate() {
            (self.to[i & 1], self.nr[i & 1]) = (edge.slot, edge.nr as u16);
        }
        self.edges = N as u8;
    }

    #[inline(always)]
    pub(super) fn push_edge(&mut self, edge: Edge) {
        if self.large.is_none() {
            if let Ok(nr) = u16::try_from(edge.nr) {
                let at = usize::from(self.edges) & 1;
                (self.to[at], self.nr[at]) = (edge.slot, nr);
                self.edges += 1;
                return;
            }
            self.enlarge();
        }
        self.enlarge().edges.push(edge);
    }

    /// Moves everything out of the slot.
    #[cold]
    pub(super) fn enlarge(&mut self) -> &mut Large {
        if self.large.is_none() {
            let mut payload = Payload::default();
            self.unpack(false, &mut payload);
            let edges = self.edges();
            self.kept = Default::default();
            self.large = Some(Box::new(Large { edges, payload }));
        }
        self.large.as_mut().expect("it was just made")
    }

    #[inline(always)]
    pub(super) fn edges(&self) -> Edges {
        if let Some(large) = &self.large {
            return large.edges.clone();
        }
        let edge = |i: usize| Edge {
            slot: self.to[i],
            nr: u32::from(self.nr[i]),
        };
        Edges::from_buf_and_len([edge(0), edge(1)], usize::from(self.edges).min(2))
    }

    /// Calls `each` for every slot that an edge leads to, oldest edge first.
    #[inline(always)]
    pub(super) fn each_edge(&self, each: impl FnMut(u32)) {
        if let Some(large) = &self.large {
            return large.each_edge(each);
        }
        each_slot(self.to, self.edges, each);
    }

    /// Whether dropping it does anything.
    #[inline(always)]
    pub(super) fn holds_something(&self) -> bool {
        self.large.is_some() || self.kept.iter().any(|k| !matches!(k, Kept::Nothing))
    }

    /// Makes it as new, where it holds nothing.
    #[inline(always)]
    pub(super) fn forget(&mut self) {
        (self.edges, self.saved, self.freed) = (0, 0, false);
    }

    /// Whether tensors are kept.
    #[inline(always)]
    pub(super) fn keeps_tensors(&self) -> bool {
        match &self.large {
            Some(large) => !large.payload.saved.is_empty() || large.payload.has_indices(),
            None => self.saved > 0 || self.kept.iter().any(|k| matches!(k, Kept::Tensor(_))),
        }
    }

    pub(super) fn needs(&self) -> u64 {
        match &self.large {
            Some(large) => large.payload.needs,
            None => u64::from(self.needs),
        }
    }

    pub(super) fn extra(&self) -> Option<&Extra> {
        self.large.as_ref()?.payload.extra.as_deref()
    }

    /// What running the node needs. Unless `keep`, saved tensors are moved out and not copied; what
    /// costs nothing to keep stays.
    #[inline(always)]
    pub(super) fn unpack(&mut self, keep: bool, payload: &mut Payload) {
        if let Some(large) = &mut self.large {
            return large.unpack(keep, payload);
        }
        payload.needs = u64::from(self.needs);
        for place in &mut self.kept {
            match place {
                Kept::Nothing => {}
                Kept::Saved { version, tensor } if keep => payload.saved.push(Saved {
                    tensor: tensor.clone(),
                    version: *version,
                }),
                Kept::Saved { .. } => {
                    if let Kept::Saved { version, tensor } = std::mem::take(place) {
                        payload.saved.push(Saved { tensor, version });
                    }
                }
                value => payload.values.extend(value.value()),
            }
        }
    }

    /// Calls `each` for every tensor kept for the way back.
    pub(super) fn each_saved(&self, mut each: impl FnMut(&Tensor)) {
        for place in &self.kept {
            if let Kept::Saved { tensor, .. } | Kept::Tensor(tensor) = place {
                each(tensor);
            }
        }
        let outer = self.large.as_ref().map(|large| &large.payload);
        let inner = outer.and_then(|p| Some(&p.extra.as_ref()?.inner.as_ref()?.1));
        for payload in outer.into_iter().chain(inner) {
            payload.saved.iter().for_each(|s| each(&s.tensor));
            for value in &payload.values {
                if let Value::Tensor(tensor) = value {
                    each(tensor);
                }
            }
        }
    }

    pub(super) fn saved(&self, place: usize) -> Option<&Tensor> {
        if let Some(large) = &self.large {
            return large.payload.saved.get(place).map(|s| &s.tensor);
        }
        match self.kept.get(place) {
            Some(Kept::Saved { tensor, .. }) => Some(tensor),
            _ => None,
        }
    }
}
