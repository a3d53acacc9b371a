//! Adding gradients up: on the way, and into `.grad`.

use super::anomaly::{self, Maker};
use crate::error::{Error, Result};
use crate::fail;
use crate::graph::rule::misfit;
use crate::graph::site;
use crate::graph::variable::GradSlot;
use crate::graph::{Incoming, Input, Var, Variable, with_recording};
use crate::ops::in_place::{refuse_repeats, run_into};
use crate::ops::{arith, copy};
use crate::tensor::Tensor;

/// `old + new`: in place when nobody else can see `old` and no history is kept.
///
/// # Errors
/// `RuntimeError` for two sizes, which no two gradients of one result have.
pub fn sum(old: Var, new: Var, recorded: bool) -> Result<Var> {
    if old.tensor.sizes() != new.tensor.sizes() {
        return Err(misfit("backward", old.sizes(), new.sizes()));
    }
    if !recorded && old.tensor.is_unique() {
        let Var { tensor, .. } = old;
        let tensor = add_into(tensor, new.tensor)?;
        return Ok(Var { tensor, ..old });
    }
    with_recording(recorded, || arith::add(&old, &new))
}

/// `gradient` for somebody who may change it in place: a copy where others see it too, so that the
/// change is not theirs. The caller's must be the only handle beside theirs.
///
/// # Errors
/// `MemoryError` when there is no room for the copy.
pub fn lent(gradient: &Var) -> Result<Var> {
    if gradient.tensor.is_alone() {
        return Ok(gradient.clone());
    }
    Ok(Var {
        tensor: copy::contiguous_copy(&gradient.tensor)?,
        ..gradient.clone()
    })
}

/// Adds `gradient` into the leaf's `.grad`.
///
/// # Errors
/// `RuntimeError` when the leaf was changed in place or is no leaf any more.
pub fn into_leaf(leaf: &Variable, mut gradient: Var, create_graph: bool) -> Result<()> {
    let sink = leaf.sink();
    if !sink.is_leaf {
        return Err(blame(
            "AccumulateGrad: a leaf Variable has been moved into the graph interior by an in-place operation; change its .data instead".into(),
            &sink.tensor,
        ));
    }
    let tensor = sink.tensor;
    if sink.is_unsettled {
        let text = format!(
            "AccumulateGrad: a leaf variable was used in an inplace operation ({} of them); change its .data instead",
            tensor.version()
        );
        return Err(blame(text, &tensor));
    }
    if !sink.requires_grad {
        return Ok(());
    }
    if let Some(hooks) = sink.hooks {
        let mut incoming = Incoming::from_iter([Some(gradient)]);
        hooks.before(&mut incoming, create_graph)?;
        if anomaly::is_on() {
            anomaly::made(NODE, Maker::Hook, &incoming)?;
        }
        match incoming.drain(..).next().flatten() {
            Some(total) => gradient = total,
            None => return Ok(()),
        }
    }
    if !gradient.tensor.is_like(&tensor) {
        let text = format!(
            "AccumulateGrad: the gradient is a {}, but the leaf a {}; leave the class and size of .data alone until backward ran",
            gradient.tensor.described(),
            tensor.described()
        );
        return Err(Error::Runtime(text).about("leaf", tensor.family(), 0));
    }
    let slot = leaf.grad_slot();
    // Held over the addition, so that several threads' gradients all count.
    let mut place = slot.lock();
    let total = match &*place {
        None => first(gradient, create_graph)?,
        Some(old) => {
            let into = old.sink();
            fits(&into.tensor, &gradient.tensor, &tensor)?;
            if into.volatile && refuse_repeats("add", &into.tensor).is_ok() {
                let total = add_into(into.tensor, gradient.tensor)?;
                return summed(&Var::from(total));
            }
            if into.volatile {
                // Elements that share memory cannot take a gradient each.
                let own = copy::contiguous_copy(&into.tensor)?;
                let own = add_into(own, gradient.tensor)?;
                let old = place.replace(Variable::leaf(own, false, true));
                drop(place);
                drop(old);
                return Ok(());
            }
            let mut fresh = gradient;
            if !create_graph {
                fresh.history = None;
            }
            let total = with_recording(true, || arith::add(&old.var()?, &fresh))?;
            summed(&total)?;
            Variable::new(total)
        }
    };
    if !total.is_leaf() {
        crate::graph::cycles::suspect();
    }
    let before = place.replace(total);
    drop(place);
    drop(before);
    Ok(())
}

/// The class of the nodes that add into `.grad`.
const NODE: &str = "AccumulateGrad";

/// In anomaly mode, fails when `.grad` is not finite after a gradient was added.
fn summed(total: &Var) -> Result<()> {
    if anomaly::is_on() {
        anomaly::made(NODE, Maker::Sum, &[Some(total.clone())])?;
    }
    Ok(())
}

/// An error about a leaf that was changed in place.
fn blame(text: String, leaf: &Tensor) -> Error {
    Error::Runtime(text).about("leaf", leaf.family(), site::last_change(leaf))
}

/// Fails unless the leaf's `.grad` is like the gradient that is to be added to it.
fn fits(old: &Tensor, gradient: &Tensor, leaf: &Tensor) -> Result<()> {
    if old.is_like(gradient) {
        return Ok(());
    }
    let text = format!(
        "AccumulateGrad: the gradient is a {}, but the leaf's .grad holds a {} from before; set .grad to None, or to zeros of the new size, when .data changes its size",
        gradient.described(),
        old.described()
    );
    Err(Error::Runtime(text).about("leaf", leaf.family(), 0))
}

/// into += gradient, both of one size and class; gives `into` back.
fn add_into(into: Tensor, gradient: Tensor) -> Result<Tensor> {
    let inputs = [into, gradient].map(Input::plain);
    run_into(&arith::add::OP, &inputs, &[], &inputs[0].tensor)?;
    let [into, _] = inputs;
    Ok(into.tensor)
}

/// The first gradient: a copy, so that `.grad` is nobody else's memory.
fn first(gradient: Var, create_graph: bool) -> Result<Variable> {
    if create_graph {
        return Ok(Variable::new(with_recording(true, || {
            copy::identity(&gradient)
        })?));
    }
    let own = gradient.tensor.is_unique() && gradient.tensor.is_contiguous();
    let tensor = if own {
        gradient.tensor
    } else {
        copy::contiguous_copy(&gradient.tensor)?
    };
    Ok(Variable::leaf(tensor, false, true))
}

/// Keeps the gradient of a Variable that is no leaf in its `.grad`: first a copy, then sums out of
/// place.
///
/// # Errors
/// What copying or adding reports; `.grad` is as it was then.
pub fn retain(slot: &GradSlot, gradient: &Var, create_graph: bool) -> Result<()> {
    let mut place = slot.lock();
    let old = place.clone();
    if let Some(old) = old.as_ref().map(Variable::tensor)
        && !old.is_like(&gradient.tensor)
    {
        fail!(
            Runtime,
            "retain_grad: the gradient is a {}, but .grad holds a {} from before; set .grad to None first",
            gradient.tensor.described(),
            old.described()
        );
    }
    let total = match old {
        None if create_graph => Variable::new(with_recording(true, || copy::clone(gradient))?),
        None => Variable::leaf(copy::contiguous_copy(&gradient.tensor)?, false, true),
        Some(old) => {
            let mut sum = with_recording(create_graph, || arith::add(&old.var()?, gradient))?;
            sum.volatile = !create_graph;
            Variable::new(sum)
        }
    };
    let before = place.replace(total);
    drop(place);
    drop(before);
    Ok(())
}
