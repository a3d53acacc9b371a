//! The GPU machine: adapters, buffers, one command stream, and kernels over strided operands.
//!
//! Knows nothing of ops or graphs. No name of wgpu leaves this folder. Nothing happens on import: the
//! first call that needs an adapter looks for one. Built without the feature `gpu`, the same functions
//! exist and say so.

mod operand;

#[cfg(feature = "gpu")]
mod adapter;
#[cfg(feature = "gpu")]
mod buffer;
#[cfg(feature = "gpu")]
mod device;
#[cfg(feature = "gpu")]
mod fold;
#[cfg(feature = "gpu")]
mod groups;
#[cfg(feature = "gpu")]
mod index;
#[cfg(feature = "gpu")]
mod listing;
#[cfg(feature = "gpu")]
mod map;
#[cfg(feature = "gpu")]
mod matmul;
#[cfg(feature = "gpu")]
mod shader;
#[cfg(feature = "gpu")]
mod softmax;
#[cfg(feature = "gpu")]
mod stream;
#[cfg(all(test, feature = "gpu"))]
mod tests;
#[cfg(feature = "gpu")]
mod transfer;

#[cfg(not(feature = "gpu"))]
mod off;
#[cfg(not(feature = "gpu"))]
pub use off::*;

pub use operand::{AdapterInfo, Counters, Formula, Operand, Pick, Reduce, Sample, Scalar};

#[cfg(feature = "gpu")]
pub use {
    adapter::adapters,
    buffer::{Buffer, alloc, empty_cache},
    device::{device_count, device_name, is_available, why_not},
    fold::{fold, fold_arg},
    index::{gather, index_add, index_select, scatter, scatter_add},
    listing::manifest,
    map::{copy, fill, fill_bits, map},
    matmul::matmul,
    shader::sent,
    softmax::{softmax, softmax_grad},
    stream::{counters, flush, synchronize},
    transfer::{download, upload},
};
