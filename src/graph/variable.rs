//! A Variable: a tensor with identity, flags, history and `.grad`.

mod data;
mod view;

use data::Made;
pub use view::Remake;
use view::View;

use super::arena::{self, Handle, NodeId};
use super::foreign::Foreign;
use super::site::{self, Site};
use super::var::{Input, Origin, Var};
use crate::error::Result;
use crate::fail;
use crate::lock::{Mutex, MutexGuard};
use crate::tensor::{Held, Tensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A shared handle to a Variable. Clones are the same Variable.
#[derive(Clone)]
pub struct Variable(triomphe::Arc<Record>);

#[derive(Debug)]
struct Record {
    state: Mutex<State>,
    /// The accumulator's name, which does not keep it alive.
    accumulator: AtomicU64,
    /// `.grad`, made when first wanted. One with history leads back here: such a ring is found by
    /// [`super::cycles`] when nothing else holds it.
    grad: Mutex<Option<Arc<GradSlot>>>,
    /// For the Python edge: the one object that wraps this.
    wrapper: AtomicUsize,
}

/// The place of a leaf's `.grad`.
pub type GradSlot = Mutex<Option<Variable>>;

#[derive(Debug)]
struct State {
    held: Held,
    history: Option<(Handle, u32)>,
    requires_grad: bool,
    volatile: bool,
    retains_grad: bool,
    rare: Option<Box<Rare>>,
    /// The version up to which in-place changes of a leaf were meant (`no_grad`).
    settled: u32,
    /// Where in the program the volatility entered.
    entered: Site,
}

/// What few Variables have.
#[derive(Debug, Default)]
struct Rare {
    view: Option<View>,
    /// The family's version for which the history is right, where Variables that are no part of each
    /// other show the same elements.
    met: Option<u32>,
    /// Sizes, class and place with which its node made it, once somebody else can change the data.
    made: Option<Box<Made>>,
    /// The user's hooks; the engine runs those of a leaf itself.
    hooks: Option<Arc<dyn Foreign>>,
}

impl State {
    fn view(&self) -> Option<&View> {
        self.rare.as_ref()?.view.as_ref()
    }
}

/// In place of the version up to which a leaf's changes were meant: the count is another Variable's.
const NOT_COUNTED: u32 = u32::MAX;

const NO_NODE: u64 = u64::MAX;

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variable({:?})", self.tensor())
    }
}

impl Variable {
    // In line, so that nothing is put together on the stack and then moved to its place.
    #[inline(always)]
    fn build(
        held: Held,
        history: Option<(Handle, u32)>,
        requires_grad: bool,
        volatile: bool,
    ) -> Variable {
        let state = State {
            held,
            history,
            requires_grad,
            volatile,
            retains_grad: false,
            rare: None,
            settled: 0,
            entered: 0,
        };
        Variable(triomphe::Arc::new(Record {
            state: Mutex::new(state),
            accumulator: AtomicU64::new(NO_NODE),
            grad: Mutex::new(None),
            wrapper: AtomicUsize::new(0),
        }))
    }

    /// A leaf.
    pub fn leaf(tensor: Tensor, requires_grad: bool, volatile: bool) -> Variable {
        Self::build(Held::from(tensor), None, requires_grad, volatile)
    }

    /// A leaf that shares its place with a raw tensor's owner.
    pub fn around(held: Held, requires_grad: bool, volatile: bool) -> Variable {
        Self::build(held, None, requires_grad, volatile)
    }

    /// The identity of a value.
    #[inline(always)]
    pub fn new(var: Var) -> Variable {
        let requires_grad = var.history.is_some();
        var.tensor.claim();
        let made = Self::build(
            Held::from(var.tensor),
            var.history,
            requires_grad,
            var.volatile,
        );
        if var.volatile {
            let entered = site::entered();
            made.0.state.lock().entered = entered;
        }
        made
    }

    /// Notes that the user makes it volatile here.
    pub fn note_volatile(&self) {
        let here = site::current();
        self.0.state.lock().entered = here;
    }

    /// Where in the program the volatility entered: in the operation that first met a volatile
    /// gradient, or where the user made it volatile.
    pub fn entered(&self) -> Site {
        self.0.state.lock().entered
    }

    /// The data.
    #[inline]
    pub fn tensor(&self) -> Tensor {
        self.0.state.lock().held.get()
    }

    /// Whether gradients are wanted.
    pub fn requires_grad(&self) -> bool {
        self.0.state.lock().requires_grad
    }

    /// Whether results computed from it are not recorded at all.
    pub fn volatile(&self) -> bool {
        self.0.state.lock().volatile
    }

    /// Whether no recorded op made it.
    pub fn is_leaf(&self) -> bool {
        self.0.state.lock().history.is_none()
    }

    /// Sets `requires_grad` of a leaf.
    ///
    /// # Errors
    /// `RuntimeError` for results of ops (E-5).
    pub fn set_requires_grad(&self, on: bool) -> Result<()> {
        let mut state = self.0.state.lock();
        if state.history.is_some() {
            let advice = if on {
                "it already follows from its inputs"
            } else {
                "use detach() for a Variable without history"
            };
            fail!(
                Runtime,
                "requires_grad: you can only change requires_grad flags of leaf variables; {advice}"
            );
        }
        state.requires_grad = on;
        Ok(())
    }

    /// Sets `volatile` of a leaf.
    ///
    /// # Errors
    /// `RuntimeError` for results of ops (E-6).
    pub fn set_volatile(&self, on: bool) -> Result<()> {
        let mut state = self.0.state.lock();
        if state.history.is_some() {
            fail!(
                Runtime,
                "volatile: volatile can only be set on leaf variables; set it on the inputs, or use detach() first"
            );
        }
        state.volatile = on;
        drop(state);
        self.note_volatile();
        Ok(())
    }

    /// What an op needs to know of it. A view whose family changed gets its history anew.
    #[inline(always)]
    pub fn input(&self) -> Result<Input<'_>> {
        let mut state = self.0.state.lock();
        if state.rare.is_some() {
            drop(state);
            state = self.refreshed()?;
        }
        if state.volatile {
            site::saw_volatile(state.entered);
        }
        let tensor = state.held.get();
        let origin = match &state.history {
            Some((node, nr)) if state.requires_grad => Origin::Node(node.id(), *nr),
            Some(_) => Origin::None,
            None if state.requires_grad && !state.volatile => Origin::Leaf(self),
            None => Origin::None,
        };
        Ok(Input {
            tensor,
            origin,
            volatile: state.volatile,
        })
    }

    #[inline(never)]
    fn refreshed(&self) -> Result<MutexGuard<'_, State>> {
        self.refresh()?;
        Ok(self.0.state.lock())
    }

    /// The value with its history, counted.
    pub fn var(&self) -> Result<Var> {
        let history = self.grad_fn()?;
        let (tensor, volatile, wants) = {
            let mut state = self.0.state.lock();
            if state.volatile {
                site::saw_volatile(state.entered);
            }
            (
                state.held.get(),
                state.volatile,
                state.requires_grad && !state.volatile,
            )
        };
        let history = match history {
            None if wants => Some((arena::accumulator(self)?, 0)),
            Some(_) if !wants => None,
            other => other,
        };
        Ok(Var {
            tensor,
            history,
            volatile,
        })
    }

    /// The node that made it, and as which output.
    pub fn grad_fn(&self) -> Result<Option<(Handle, u32)>> {
        self.refresh()?;
        Ok(self.0.state.lock().history.clone())
    }

    /// Which output of its node it is.
    pub fn output_nr(&self) -> u32 {
        self.0.state.lock().history.as_ref().map_or(0, |h| h.1)
    }

    /// Becomes `var`: another geometry of the same elements, with its history.
    pub fn turn(&self, var: Var) {
        let mut state = self.0.state.lock();
        state.requires_grad |= var.history.is_some();
        state.held.set(var.tensor);
        let old = std::mem::replace(&mut state.history, var.history);
        if let Some(rare) = &mut state.rare {
            rare.made = None;
        }
        if state.held.is_shared() {
            state.note_made();
        }
        drop(state);
        drop(old);
    }

    /// Replaces history and flags after an in-place op.
    pub fn rebase(&self, history: Option<(Handle, u32)>, volatile: bool) {
        let entered = if volatile { site::entered() } else { 0 };
        let mut state = self.0.state.lock();
        state.requires_grad = history.is_some();
        if volatile && !state.volatile {
            state.entered = entered;
        }
        state.volatile |= volatile;
        let now = state.held.get();
        if let Some(rare) = &mut state.rare {
            if let Some(view) = &mut rare.view {
                view.seen = now.version();
            }
            if let Some(met) = &mut rare.met {
                *met = now.version();
            }
            rare.made = None;
        }
        let old = std::mem::replace(&mut state.history, history);
        if state.held.is_shared() {
            state.note_made();
        }
        drop(state);
        drop(old);
    }

    /// Keeps the node that made it but wants no gradient.
    pub fn want_no_gradient(&self) {
        self.0.state.lock().requires_grad = false;
    }

    /// The user's hooks.
    pub fn hooks(&self) -> Option<Arc<dyn Foreign>> {
        self.0.state.lock().rare.as_ref()?.hooks.clone()
    }

    /// Sets the user's hooks.
    pub fn set_hooks(&self, hooks: Option<Arc<dyn Foreign>>) {
        let mut state = self.0.state.lock();
        if hooks.is_none() && state.rare.is_none() {
            return;
        }
        let old = std::mem::replace(&mut state.rare.get_or_insert_default().hooks, hooks);
        drop(state);
        drop(old);
        super::cycles::suspect();
    }

    /// A number that no other live Variable has.
    pub fn address(&self) -> usize {
        triomphe::Arc::as_ptr(&self.0) as usize
    }

    /// How many references there are to it.
    pub fn owners(&self) -> usize {
        triomphe::Arc::strong_count(&self.0)
    }

    /// The node that made it as it is noted, without making a view's history anew.
    pub fn noted_node(&self) -> Option<NodeId> {
        self.0.state.lock().history.as_ref().map(|h| h.0.id())
    }

    /// Takes `.grad` away, which opens the rings through it.
    pub fn take_grad(&self) -> Option<Variable> {
        let slot = self.0.grad.lock().clone();
        slot?.lock().take()
    }

    /// What a gradient on its way to this leaf has to know, seen at one moment.
    pub fn sink(&self) -> Sink {
        let mut state = self.0.state.lock();
        let tensor = state.held.get();
        Sink {
            is_leaf: state.history.is_none(),
            is_unsettled: ![tensor.version(), NOT_COUNTED].contains(&state.settled),
            requires_grad: state.requires_grad,
            volatile: state.volatile,
            hooks: state.rare.as_ref().and_then(|rare| rare.hooks.clone()),
            tensor,
        }
    }

    /// Accepts the in-place change after `version`, which was made without recording, unless changes
    /// before it were not.
    pub fn settle(&self, version: u32) {
        let mut state = self.0.state.lock();
        if state.settled == version {
            state.settled = state.held.get().version();
        }
    }

    /// `.grad`.
    pub fn grad(&self) -> Option<Variable> {
        let slot = self.0.grad.lock().clone();
        slot?.lock().clone()
    }

    /// The place of `.grad`, made when there is none.
    pub fn grad_slot(&self) -> Arc<GradSlot> {
        let mut place = self.0.grad.lock();
        place
            .get_or_insert_with(|| Arc::new(GradSlot::new(None)))
            .clone()
    }

    /// Whether `.grad` of a non-leaf is to be kept.
    pub fn retains_grad(&self) -> bool {
        self.0.state.lock().retains_grad
    }

    /// Asks for `.grad` of a non-leaf.
    pub fn set_retains_grad(&self) {
        self.0.state.lock().retains_grad = true;
    }

    pub(super) fn accumulator(&self) -> Option<NodeId> {
        NodeId::unpack(self.0.accumulator.load(Relaxed))
    }

    pub(super) fn set_accumulator(&self, id: NodeId) {
        self.0.accumulator.store(id.pack(), Relaxed);
    }

    /// The Python edge's note of its wrapper object.
    pub fn wrapper(&self) -> &AtomicUsize {
        &self.0.wrapper
    }

    /// Whether both are the same Variable.
    pub fn is(&self, other: &Variable) -> bool {
        triomphe::Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What [`Variable::sink`] gives.
pub struct Sink {
    pub tensor: Tensor,
    pub is_leaf: bool,
    pub requires_grad: bool,
    pub volatile: bool,
    /// The user's hooks.
    pub hooks: Option<Arc<dyn Foreign>>,
    /// Changed in place while operations were recorded.
    pub is_unsettled: bool,
}
