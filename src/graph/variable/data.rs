//! The data of a Variable, which others may replace or resize: gradients of what it is then do not
//! fit what made it.

use super::{NOT_COUNTED, State, Variable};
use crate::error::{Error, Result};
use crate::graph::arena::{self, Handle, Payload};
use crate::graph::rule::{Rule, Step};
use crate::graph::var::Origin;
use crate::tensor::{DType, Device, Dims, Held, Tensor, Value, class_name, sizes_text};

/// How a node made a result.
#[derive(Debug, Clone)]
pub(super) struct Made {
    sizes: Dims,
    kind: (DType, Device),
    /// The memory, the first element in it and the steps: `t_()` of `.data` changes these alone.
    memory: usize,
    offset: usize,
    strides: Dims,
}

impl Made {
    fn of(tensor: &Tensor) -> Made {
        Made {
            sizes: Dims::from_slice(tensor.sizes()),
            kind: tensor.kind(),
            memory: tensor.memory_id(),
            offset: tensor.offset(),
            strides: Dims::from_slice(tensor.strides()),
        }
    }

    /// Whether gradients of `tensor` have the size and class of those of what was made.
    fn is_like(&self, tensor: &Tensor) -> bool {
        self.sizes.as_slice() == tensor.sizes() && self.kind == tensor.kind()
    }

    /// Whether `tensor` has the same elements in another order, or others of the same memory.
    fn is_turned(&self, tensor: &Tensor) -> bool {
        let steps = self.strides.iter().zip(tensor.strides());
        let mut steps = steps.zip(tensor.sizes());
        self.memory == tensor.memory_id()
            && tensor.numel() > 0
            && (self.offset != tensor.offset()
                || steps.any(|((was, now), &size)| size > 1 && was != now))
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
    let class = |at: usize| {
        let device = Device::of_code(step.value(at + 1));
        class_name(DType::of_code(step.value(at)), device)
    };
    let text = match sizes[0] == sizes[1] && class(2) == class(4) {
        true => format!(
            "backward: .data of a result of size {} was given another geometry in place, as t_() and as_strided_() do, which its gradient does not follow; call the method on the Variable, or on .data.clone()",
            sizes_text(&sizes[0])
        ),
        false => format!(
            "backward: .data of a result was replaced by a {} of size {}, where the operation had made a {} of size {}, which no gradient fits; leave the class and size of .data alone until backward ran, change a .clone() of it, or go on with a new Variable(data)",
            class(4),
            sizes_text(&sizes[1]),
            class(2),
            sizes_text(&sizes[0])
        ),
    };
    let family: i64 = step.value(6);
    Err(Error::Runtime(text).about("result", family as usize, 0))
}

impl State {
    /// Notes the present sizes as those that the node gave.
    pub(super) fn note_made(&mut self) {
        if self.history.is_none() || self.rare.as_ref().is_some_and(|rare| rare.made.is_some()) {
            return;
        }
        let made = Made::of(&self.held.get());
        self.rare.get_or_insert_default().made = Some(Box::new(made));
    }

    /// Whether the data is no longer as its node made it.
    fn is_another(&self, tensor: &Tensor) -> bool {
        let made = self.rare.as_ref().and_then(|rare| rare.made.as_ref());
        made.is_some_and(|made| !made.is_like(tensor) || made.is_turned(tensor))
    }
}

impl Variable {
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
        let was = state.held.get().family();
        let old = std::mem::replace(&mut state.held, held);
        let now = state.held.get();
        // In-place changes are another Variable's where that counts them, and what was changed before
        // came with the data.
        if now.family() != was {
            state.settled = match now.claim() {
                true => now.version(),
                false => NOT_COUNTED,
            };
        }
        // Other elements of the same sizes take the place of what was made, in whatever order they lie.
        if let Some(made) = state.rare.as_mut().and_then(|rare| rare.made.as_mut())
            && made.is_like(&now)
        {
            **made = Made::of(&now);
        }
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

    /// Leads the history through a node that says so where the data has another size or class than
    /// the node gave it: `.data` may be set and resized at any time.
    #[cold]
    pub(super) fn guard(&self) -> Result<()> {
        let mut state = self.0.state.lock();
        let now = state.held.get();
        if !state.is_another(&now) {
            return Ok(());
        }
        let Some((node, nr)) = state.history.clone() else {
            return Ok(());
        };
        let noted = state.rare.as_ref().and_then(|rare| rare.made.as_deref());
        let Some(old) = noted.cloned() else {
            return Ok(());
        };
        drop(state);
        let new = Made::of(&now);
        let mut payload = Payload {
            needs: 1,
            ..Payload::default()
        };
        payload.values.push(Value::Dims(Box::new(old.sizes)));
        payload
            .values
            .push(Value::Dims(Box::new(new.sizes.clone())));
        for (dtype, device) in [old.kind, new.kind] {
            payload.values.push(Value::Int(dtype as i64));
            payload.values.push(Value::Int(device as i64));
        }
        payload.values.push(Value::Int(now.family() as i64));
        let origin = [Origin::Node(node.id(), nr)];
        let mut guard = Some((arena::record(&REPLACED, origin.into_iter(), payload)?, 0));
        let mut state = self.0.state.lock();
        // Another thread may have seen to it meanwhile.
        let then = state.history.as_ref();
        if then.is_some_and(|(then, at)| then.id() == node.id() && *at == nr) {
            std::mem::swap(&mut state.history, &mut guard);
            if let Some(rare) = &mut state.rare {
                rare.made = Some(Box::new(new));
            }
        }
        drop(state);
        drop(guard);
        Ok(())
    }

    /// The node that made it, as a user may see it: without the one that only guards replaced data.
    ///
    /// # Errors
    /// As [`Variable::grad_fn`].
    pub fn shown_grad_fn(&self) -> Result<Option<Handle>> {
        let mut node = self.grad_fn()?.map(|(node, _)| node);
        while let Some(guard) = node.take_if(|node| std::ptr::eq(node.rule(), &REPLACED)) {
            node = guard
                .edges()
                .first()
                .and_then(|&edge| Handle::of_edge(edge));
        }
        Ok(node)
    }
}
