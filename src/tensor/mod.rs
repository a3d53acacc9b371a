//! Data: element types, geometry and memory. Knows nothing of gradients.

pub mod alloc;
pub mod dims;
pub mod dtype;
pub mod print;

pub use dims::{Dims, MAX_DIMS, sizes_text};
pub use dtype::{DType, Device, Element};
