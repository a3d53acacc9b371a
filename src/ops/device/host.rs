//! Rows without a kernel for the GPU.

use super::{to_cpu, to_gpu};
use crate::error::Result;
use crate::fail;
use crate::graph::Input;
use crate::ops::{Made, Op, Out};
use crate::tensor::{Device, Value, class_name};
use smallvec::SmallVec;

/// Fetches the operands of `op` from the GPU, runs it on the CPU, and sends the results back.
///
/// # Errors
/// `TypeError` when an operand is on the CPU already, and what the op refuses.
pub fn through_host(op: &Op, inputs: &[Input], values: &[Value]) -> Result<Made> {
    let elsewhere = inputs.iter().map(|i| &i.tensor).chain(tensors(values));
    if let Some(t) = elsewhere.into_iter().find(|t| t.device() != Device::Gpu) {
        fail!(
            Type,
            "{}: all operands must be on the GPU; got a {}; move it with .cuda()",
            op.name,
            class_name(t.dtype(), t.device())
        );
    }
    let mut fetched: SmallVec<[Input; 3]> = SmallVec::new();
    for input in inputs {
        fetched.push(Input::plain(to_cpu(&input.tensor)?));
    }
    let mut arguments: SmallVec<[Value; 4]> = SmallVec::new();
    for value in values {
        arguments.push(match value {
            Value::Tensor(t) => Value::Tensor(to_cpu(t)?),
            other => other.clone(),
        });
    }
    let mut made = (op.run)(&fetched, &arguments, &Out::Fresh)?;
    for output in &mut made.outputs {
        *output = to_gpu(output)?;
    }
    for kept in &mut made.lets {
        if let Value::Tensor(t) = kept {
            *t = to_gpu(t)?;
        }
    }
    Ok(made)
}

fn tensors(values: &[Value]) -> impl Iterator<Item = &crate::tensor::Tensor> {
    values.iter().filter_map(|v| match v {
        Value::Tensor(t) => Some(t),
        _ => None,
    })
}
