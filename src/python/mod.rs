//! The edge to Python.

pub mod construct;
pub mod interop;
mod raise;
