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

/// Fails when a gradient that leaves a node is not finite.
///
/// # Errors
/// `RuntimeError` that names the node and the operand.
pub fn check(node: &str, outgoing: &[Option<Var>]) -> Result<()> {
    for (i, gradient) in outgoing.iter().enumerate() {
        let Some(gradient) = gradient else { continue };
        if let Some((at, value)) = first_odd(&gradient.tensor)? {
            let value = if value.is_nan() {
                "nan".into()
            } else {
                value.to_string()
            };
            fail!(
                Runtime,
                "{}: returned {value} values in its {i}th output: the gradient of operand {} is {value} at element {at}; look at what comes in there",
                node,
                i + 1
            );
        }
    }
    Ok(())
}
