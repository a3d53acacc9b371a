//! The CPU machine: loops over strided elements, SIMD chosen at run time, threads. Knows no ops.

pub mod bytes;
pub mod copy;
pub mod extreme;
#[cfg(feature = "linalg")]
pub mod factor;
pub mod fold;
pub mod gemm;
pub mod index;
pub mod lines;
pub mod map;
pub mod mask;
pub mod math;
pub mod plan;
pub mod pool;
pub mod product;
pub mod random;
pub mod rows;
pub mod scan;
pub mod slices;
pub mod sort;
pub mod stop;
mod transpose;
mod word;
