//! Everything that needs no Python.

mod chain;
mod draw;
mod layers;
mod table;
