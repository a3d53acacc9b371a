//! The CPU machine: loops, SIMD and threads. Knows nothing of ops.

pub mod math;
pub mod pool;
pub mod random;
