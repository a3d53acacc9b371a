//! Tensors, a dynamic computation graph and reverse traversal, with the Variable API of PyTorch 0.3.
//!
//! Reading goes forward: `tensor`, `cpu` and `gpu`, `graph`, `ops`, `engine`, `draw`, `python`.

pub mod draw;
pub mod error;
pub mod gpu;
pub mod lock;
pub mod tensor;

pub mod cpu;

pub mod graph;

pub mod ops;

pub mod engine;

#[cfg(feature = "python")]
pub mod python;
