//! The CPU machine: loops, SIMD and threads. Knows nothing of ops.

pub mod gemm;
pub mod math;
pub mod pool;
pub mod random;
