//! Looking for gradients that are no numbers, node by node: for searching errors, not for training.

use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::graph::Var;
use crate::ops::{copy, device};
use crate::tensor::{Element, Tensor};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static ON: AtomicBool = AtomicBool::new(false);

/// Whether gradients are looked at.
#[inline(always)]
pub fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Sets whether gradients are looked at; gives what it was.
pub fn turn(on: bool) -> bool {
    ON.swap(on, Relaxed)
}

/// Where the first element lies that is NaN or infinite, and which it is.
fn first_odd(t: &Tensor) -> Result<Option<(usize, f64)>> {
    if !t.dtype().is_float() {
        return Ok(None);
    }
    let t = copy::as_contiguous(&device::to_cpu(t)?)?;
    Ok(dispatch!(float t.dtype(), "anomaly", T => {
        (0..t.numel()).find_map(|i| {
            let value = t.read::<T>(i as i64).to_f64();
            (!value.is_finite()).then_some((i, value))
        })
    }))
}

/// What is wrong with the first of several gradients that is not finite: which it is, what it has
/// and where.
fn odd(gradients: &[Option<Var>]) -> Result<Option<(usize, String, usize)>> {
    for (i, gradient) in gradients.iter().enumerate() {
        let Some(gradient) = gradient else { continue };
        if let Some((at, value)) = first_odd(&gradient.tensor)? {
            let value = match value.is_nan() {
                true => "nan".into(),
                false => value.to_string(),
            };
            return Ok(Some((i, value, at)));
        }
    }
    Ok(None)
}

/// Fails when a gradient that leaves a node is not finite.
///
/// # Errors
/// `RuntimeError` that names the node and the operand.
pub fn check(node: &str, outgoing: &[Option<Var>]) -> Result<()> {
    if let Some((i, value, at)) = odd(outgoing)? {
        fail!(
            Runtime,
            "{node}: returned {value} values in its {i}th output: the gradient of operand {} is {value} at element {at}; look at what comes in there",
            i + 1
        );
    }
    Ok(())
}

/// Who made a gradient that no node made.
#[derive(Debug, Clone, Copy)]
pub enum Maker {
    /// The caller, or the sum of what several nodes made.
    Caller,
    /// Hooks on the gradient of an output.
    Hook,
    /// Hooks of the node, for an input.
    NodeHook,
    /// The sum with the `.grad` that was there.
    Sum,
}

/// Fails when a gradient at a node is not finite, and it was not a node that made it.
///
/// # Errors
/// `RuntimeError` that names the node and says who made the gradient.
pub fn made(node: &str, by: Maker, gradients: &[Option<Var>]) -> Result<()> {
    let Some((i, value, at)) = odd(gradients)? else {
        return Ok(());
    };
    let n = i + 1;
    let (whose, why) = match by {
        Maker::Caller => (
            format!("the gradient that arrives at output {n} is"),
            ": it was given to backward so, or is a sum of finite ones that is too large",
        ),
        Maker::Hook => (
            format!("a hook made the gradient of output {n}"),
            "; it was finite before",
        ),
        Maker::NodeHook => (
            format!("a hook of the node made the gradient of operand {n}"),
            "; it was finite before",
        ),
        Maker::Sum => (
            ".grad is".into(),
            " after a finite gradient was added; look at what .grad was before",
        ),
    };
    fail!(Runtime, "{node}: {whose} {value} at element {at}{why}");
}
