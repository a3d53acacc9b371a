//! A Variable: a tensor with identity, flags, history and `.grad`.

use super::arena::Payload;
use super::arena::{self, Handle, NodeId};
use super::foreign::Foreign;
use super::rule::{Rule, Step};
use super::site::{self, Site};
use super::switch::with_recording;
use super::var::{Input, Origin, Var};
use crate::error::{Error, Result};
use crate::fail;
use crate::lock::Mutex;
use crate::tensor::{DType, Device, Dims, Held, Tensor, Value, class_name, sizes_text};
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
    /// Sizes, class and place with which its node made it, once somebody else can change the data.
    made: Option<Box<(Dims, Kind)>>,
    /// The user's hooks; the engine runs those of a leaf itself.
    hooks: Option<Arc<dyn Foreign>>,
}

impl State {
    fn view(&self) -> Option<&View> {
        self.rare.as_ref()?.view.as_ref()
    }

    /// Notes the present sizes as those that the node gave.
    fn note_made(&mut self) {
        if self.history.is_none() || self.rare.as_ref().is_some_and(|rare| rare.made.is_some()) {
            return;
        }
        let tensor = self.held.get();
        let made = (Dims::from_slice(tensor.sizes()), tensor.kind());
        self.rare.get_or_insert_default().made = Some(Box::new(made));
    }

    /// Whether the data is no longer as its node made it.
    fn is_another(&self, tensor: &Tensor) -> bool {
        let made = self.rare.as_ref().and_then(|rare| rare.made.as_ref());
        made.is_some_and(|made| made.0.as_slice() != tensor.sizes() || made.1 != tensor.kind())
    }
}

/// Stands between a Variable whose data was replaced and what made it: gradients of the one do not
/// fit the other.
static REPLACED: Rule = Rule {
    node: "ReplacedDataBackward",
    saves: |_| 0,
    inputs: 1,
    back: Some(replaced_back),
};

fn replaced_back(step: &mut Step) -> Result<()> {
    let sizes = [step.value::<Dims>(0), step.value::<Dims>(1)];
    let kinds = [2, 3, 4, 5].map(|i| step.value::<i64>(i) as usize);
    let class = |i: usize| {
        let device = if kinds[i + 1] == Device::Cpu as usize {
            Device::Cpu
        } else {
            Device::Gpu
        };
        class_name(DType::EVERY[kinds[i]], device)
    };
    fail!(
        Runtime,
        "backward: .data of a result was replaced by a {} of size {}, where the operation had made a {} of size {}, which no gradient fits; leave the class and size of .data alone until backward ran, or go on with a new Variable(data)",
        class(2),
        sizes_text(&sizes[1]),
        class(0),
        sizes_text(&sizes[0])
    )
}

/// What a view knows of the Variable it shows a part of.
#[derive(Debug)]
struct View {
    base: Variable,
    /// The family's version for which `history` is right.
    seen: u32,
    /// None for the result of a user's function, whose way back cannot be made anew.
    remake: Option<Remake>,
    /// Made without recording from a base that had a gradient: it wants none, whatever the base does.
    apart: bool,
}

type Kind = (DType, Device);

/// Reads a base's value with its history through the geometry of a view.
pub type Remake = fn(&Var, &Tensor) -> Result<Var>;

const NO_NODE: u64 = u64::MAX;

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variable({:?})", self.tensor())
    }
}

impl Variable {
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
    #[inline]
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

    /// A view of `base` (or of what `base` is a view of); `remake` gives it a new history when the
    /// base got one.
    pub fn view_of(var: Var, base: &Variable, remake: Remake) -> Variable {
        Variable::new(var).with_base(base, Some(remake))
    }

    /// A result of a user's function that shares memory with `base`, its argument or another result:
    /// its history stays its own.
    pub fn sharing(self, base: &Variable) -> Variable {
        self.with_base(base, None)
    }

    fn with_base(self, base: &Variable, remake: Option<Remake>) -> Variable {
        let view = self;
        let root = base.base().unwrap_or_else(|| base.clone());
        let seen = view.tensor().version();
        let apart = !view.requires_grad() && !view.volatile() && root.requires_grad();
        view.0.state.lock().rare.get_or_insert_default().view = Some(View {
            base: root,
            seen,
            remake,
            apart,
        });
        view
    }

    /// The data.
    #[inline]
    pub fn tensor(&self) -> Tensor {
        self.0.state.lock().held.get()
    }

    /// A second owner of the data's place, for `.data`.
    pub fn share_data(&self) -> Held {
        let mut state = self.0.state.lock();
        state.note_made();
        state.held.share()
    }

    /// Puts other data in place (`v.data = t`): no history, no version bump. A view of other memory
    /// than its base's is none any more.
    ///
    /// # Errors
    /// What making a view's history anew reports, which is the last chance for that.
    pub fn set_data(&self, held: Held) -> Result<()> {
        if self.requires_grad() {
            self.refresh()?;
        }
        let base = self.noted_base().map(|base| base.tensor());
        let mut state = self.0.state.lock();
        state.note_made();
        let old = std::mem::replace(&mut state.held, held);
        let now = state.held.get();
        let mut view = None;
        if base.is_some_and(|base| !base.shares_memory(&now))
            && let Some(rare) = &mut state.rare
        {
            view = rare.view.take();
        }
        drop(state);
        drop((old, view));
        Ok(())
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
    #[inline]
    pub fn input(&self) -> Result<Input<'_>> {
        let mut state = self.0.state.lock();
        if state.rare.is_some() {
            drop(state);
            self.refresh()?;
            state = self.0.state.lock();
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

    /// Leads the history through a node that says so where the data has another size or class than
    /// the node gave it: `.data` may be set and resized at any time.
    #[cold]
    fn guard(&self) -> Result<()> {
        let mut state = self.0.state.lock();
        let now = state.held.get();
        if state.history.is_none() || !state.is_another(&now) {
            return Ok(());
        }
        let Some((node, nr)) = state.history.clone() else {
            return Ok(());
        };
        let new = (Dims::from_slice(now.sizes()), now.kind());
        let Some(made) = state.rare.as_mut().and_then(|rare| rare.made.as_mut()) else {
            return Ok(());
        };
        let old = std::mem::replace(&mut **made, new.clone());
        drop(state);
        let mut payload = Payload {
            needs: 1,
            ..Payload::default()
        };
        payload.values.push(Value::Dims(Box::new(old.0)));
        payload.values.push(Value::Dims(Box::new(new.0)));
        for (dtype, device) in [old.1, new.1] {
            payload.values.push(Value::Int(dtype as i64));
            payload.values.push(Value::Int(device as i64));
        }
        let origin = [Origin::Node(node.id(), nr)];
        let guard = arena::record(&REPLACED, origin.into_iter(), payload)?;
        let mut state = self.0.state.lock();
        let old = state.history.replace((guard, 0));
        drop(state);
        drop(old);
        Ok(())
    }

    /// Which output of its node it is.
    pub fn output_nr(&self) -> u32 {
        self.0.state.lock().history.as_ref().map_or(0, |h| h.1)
    }

    /// Becomes `var`: another geometry of the same elements, with its history.
    pub fn turn(&self, var: Var) {
        let mut state = self.0.state.lock();
        state.requires_grad |= var.history.is_some();
        if let Some(rare) = &mut state.rare
            && rare.made.is_some()
        {
            let made = (Dims::from_slice(var.tensor.sizes()), var.tensor.kind());
            rare.made = Some(Box::new(made));
        }
        state.held.set(var.tensor);
        let old = std::mem::replace(&mut state.history, var.history);
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
            is_unsettled: tensor.version() != state.settled,
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

    /// Marks the history of a view as one to be made anew from its base, which requires grad now.
    pub fn outdate(&self) {
        self.0.state.lock().requires_grad = true;
    }

    /// The Variable this is a view of, while that has the same memory.
    pub fn base(&self) -> Option<Variable> {
        let base = self.noted_base()?;
        let same = base.tensor().shares_memory(&self.tensor());
        same.then_some(base)
    }

    /// The Variable this was made as a view of, and keeps.
    pub fn noted_base(&self) -> Option<Variable> {
        self.0.state.lock().view().map(|v| v.base.clone())
    }

    /// Whether it is a view whose history no read of the base could stand for.
    pub fn has_own_history(&self) -> bool {
        let state = self.0.state.lock();
        state.view().is_some_and(|view| view.remake.is_none())
    }

    /// Makes a view's history right again after an in-place op in its family.
    #[inline]
    fn refresh(&self) -> Result<()> {
        let (base, tensor, remake, apart) = {
            let mut state = self.0.state.lock();
            let Some(rare) = &state.rare else {
                return Ok(());
            };
            if rare.made.is_some() {
                drop(state);
                self.guard()?;
                state = self.0.state.lock();
            }
            if state.view().is_none() {
                return Ok(());
            }
            let tensor = state.held.get();
            let Some(view) = state.view() else {
                return Ok(());
            };
            if tensor.version() == view.seen || (state.volatile && !state.requires_grad) {
                return Ok(());
            }
            let Some(remake) = view.remake else {
                if !state.requires_grad {
                    return Ok(());
                }
                fail!(
                    Runtime,
                    "the result of a Function shares memory with an argument or another result that was changed in place since, and its backward knows nothing of the change; give the Function, or change, a clone()"
                );
            };
            (view.base.clone(), tensor, remake, view.apart)
        };
        let wants = self.requires_grad();
        if apart && !wants {
            return Ok(());
        }
        let from = base.var()?;
        if !base.tensor().shares_memory(&tensor) {
            if !wants && from.history.is_none() {
                return Ok(());
            }
            return Err(self.stale(
                "a view was made before the Variable that it shows was changed in place, and .data of that was replaced since",
                &base,
            ));
        }
        if from.history.is_none() && !from.volatile {
            return Ok(());
        }
        if !wants {
            let how = match from.volatile {
                true => {
                    "a view was made before its base was changed in place and became volatile, which the view is not"
                }
                false => {
                    "a view was made before its base was changed in place by something that requires grad"
                }
            };
            return Err(self.stale(how, &base));
        }
        // Recorded also where nobody records: this history belongs to what was recorded before.
        let var = with_recording(true, || remake(&from, &tensor))?;
        self.rebase(var.history, from.volatile);
        Ok(())
    }

    /// The error for a view whose history cannot be made anew.
    #[cold]
    fn stale(&self, how: &str, base: &Variable) -> Error {
        let base = base.tensor();
        Error::Runtime(format!("{how}; make the view again after the change")).about(
            "base",
            base.family(),
            site::last_change(&base),
        )
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
