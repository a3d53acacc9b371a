//! Everything that needs no Python.

mod chain;
mod draw;
mod generated;
#[cfg(feature = "gpu")]
mod gpu;
mod layers;
mod misfit;
mod table;
#[cfg(feature = "gpu")]
mod training;
