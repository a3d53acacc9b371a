//! The CPU machine: loops over strided elements, SIMD chosen at run time, threads. Knows no ops.

pub mod bytes;
pub mod copy;
pub mod fold;
pub mod gemm;
pub mod index;
pub mod map;
pub mod mask;
pub mod math;
pub mod plan;
pub mod pool;
pub mod product;
pub mod random;
pub mod rows;
pub mod slices;
mod transpose;
