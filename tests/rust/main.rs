//! Everything that needs no Python.

mod chain;
mod layers;
mod table;
