//! The CPU machine: loops over strided elements, SIMD chosen at run time, threads. Knows no ops.

pub mod bytes;
#[cfg(feature = "linalg")]
pub mod factor;
pub mod fold;
pub mod gemm;
pub mod index;
pub mod map;
pub mod math;
pub mod plan;
pub mod pool;
pub mod product;
pub mod random;
pub mod rows;
