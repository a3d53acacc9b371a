//! Data: element types, geometry and memory. Knows nothing of gradients.

pub mod alloc;
pub mod dims;
pub mod dtype;
pub mod half;
pub mod held;
mod layout;
mod memory;
pub mod print;
pub mod scalar;
pub mod shared;
pub mod storage;
pub mod value;
mod version;
pub mod view;

pub use dims::{Dims, MAX_DIMS, sizes_text};
pub use dtype::{DType, Device, Element, class_name};
pub use half::Half;
pub use held::Held;
pub use scalar::Scalar;
pub use storage::{Layout, Tensor};
pub use value::{FromValue, Value};
