//! The edge to Python.

pub mod construct;
pub mod dlpack;
pub mod interop;
pub mod numpy;
mod raise;
