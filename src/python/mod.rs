//! The edge to Python, and the only place that names PyO3.

pub mod autograd;
pub mod call;
pub mod callback;
pub mod cast;
pub mod classes;
pub mod collect;
pub mod construct;
pub mod creation;
pub mod dlpack;
pub mod elements;
pub mod ending;
pub mod errors;
pub mod explain;
pub mod fork;
pub mod function;
pub mod functional;
pub mod hooks;
pub mod indexing;
pub mod interop;
pub mod interpreter;
pub mod machine;
pub mod memory;
pub mod names;
pub mod node;
pub mod number;
pub mod numpy;
pub mod once;
pub mod operators;
pub mod picture;
pub mod query;
pub mod random;
pub mod ranges;
mod reach;
pub mod shapes;
pub mod shared;
pub mod site;
pub mod storage;
pub mod storages;
pub mod table;
pub mod tensor;
pub mod variable;

use pyo3::prelude::*;

/// The extension module `rgrad._C`.
#[pymodule(name = "_C")]
fn extension(m: &Bound<'_, PyModule>) -> PyResult<()> {
    errors::quiet_panics();
    ending::register();
    errors::register(m)?;
    classes::register(m)?;
    storages::register(m)?;
    m.add_class::<variable::PyVariable>()?;
    m.add_class::<node::PyNode>()?;
    m.add_class::<function::PyFunction>()?;
    m.add_function(wrap_pyfunction!(function::_delayed_error, m)?)?;
    table::install(m)?;
    autograd::register(m)?;
    fork::register(m)?;
    shared::register(m)?;
    call::register(m)?;
    creation::register(m)?;
    machine::register(m)?;
    functional::register(m)?;
    random::register(m)?;
    ranges::register(m)?;
    picture::register(m)?;
    site::register(m)?;
    explain::register(m)?;
    m.add("_version", env!("CARGO_PKG_VERSION"))
}
