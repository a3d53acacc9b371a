//! Call sites: where in the user's program a node was recorded, and the source text there.

mod frames;
mod table;
pub mod teach;

pub use table::Place;

use super::node::PyNode;
use super::variable::PyVariable;
use crate::graph::site::{self, Site};
use crate::python::callback;
use crate::python::interpreter::released;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether asking for the place is cheap enough to be on unasked.
static QUICK: AtomicBool = AtomicBool::new(false);

/// The place numbered `site`.
pub fn place(site: Site) -> Option<std::sync::Arc<Place>> {
    table::get(site)
}

/// `train.py:12`, and the expression there as it was written, where its text can be had.
pub fn described(py: Python<'_>, site: Site) -> Option<(String, Option<String>)> {
    let place = place(site)?;
    Some((
        format!("{}:{}", short(&place.file), place.line),
        text(py, &place),
    ))
}

/// Runs `body` with the interpreter released; nodes it records belong to the place of the call.
pub fn detached<R: Send>(py: Python<'_>, body: impl FnOnce() -> R + Send) -> R {
    let here = site::current();
    released(py, || site::within(here, body))
}

/// A path as seen from the working directory, if it lies below.
fn short(file: &str) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|h| {
        std::path::Path::new(file)
            .strip_prefix(h)
            .ok()
            .map(|p| p.display().to_string())
    });
    below.unwrap_or_else(|| file.into())
}

/// Characters of source text shown at most.
const WIDTH: usize = 60;

/// The source text of a place, on one line.
pub fn text(py: Python<'_>, place: &Place) -> Option<String> {
    let getline = py.import("linecache").ok()?.getattr("getline").ok()?;
    let mut whole = String::new();
    for line in place.line..=place.end_line.clamp(place.line, place.line + 9) {
        let got: String = callback::call(&getline, (&*place.file, line))
            .ok()?
            .extract()
            .ok()?;
        let (from, to) = match place.columns {
            Some((start, end)) => (
                if line == place.line {
                    start as usize
                } else {
                    0
                },
                if line == place.end_line {
                    end as usize
                } else {
                    got.len()
                },
            ),
            None => (0, got.len()),
        };
        let part = got.get(from..to.min(got.len()))?;
        whole.push_str(part);
    }
    let words: Vec<&str> = whole.split_whitespace().collect();
    let text = words.join(" ");
    if text.is_empty() {
        return None;
    }
    match text.char_indices().nth(WIDTH) {
        None => Some(text),
        Some((end, _)) => Some(format!("{}…", &text[..end])),
    }
}

/// Checks how Python's frames lie, for a package in `folder`; tells whether places are recorded now.
/// To be called from the innermost of three nested Python functions.
#[pyfunction]
fn _start_source_lines(py: Python<'_>, folder: String, on: bool) -> PyResult<bool> {
    table::set_own(folder);
    if let Some((hook, quick)) = frames::choose(py)? {
        QUICK.store(quick, Relaxed);
        site::install(hook);
        site::turn(on && quick);
    }
    Ok(site::is_on())
}

/// Sets whether places are recorded; gives what it was.
#[pyfunction]
fn _set_source_lines(on: bool) -> bool {
    site::turn(on)
}

/// Whether places are recorded by reading frames where they lie.
#[pyfunction]
fn _source_lines_are_quick() -> bool {
    QUICK.load(Relaxed)
}

/// A place as (file, line, function, source text).
pub type Source = (String, u32, String, Option<String>);

/// The place numbered `site`, for Python.
pub fn source(py: Python<'_>, site: Site) -> Option<Source> {
    let place = place(site)?;
    let text = text(py, &place);
    Some((
        place.file.to_string(),
        place.line,
        place.function.to_string(),
        text,
    ))
}

/// Where the operation that made a Variable, or that a graph node stands for, is in the program:
/// (file, line, function, source text), or None where it is not known.
#[pyfunction]
fn source_of(py: Python<'_>, of: &Bound<'_, PyAny>) -> PyResult<Option<Source>> {
    let site = if let Ok(v) = of.cast::<PyVariable>() {
        match v.get().var.grad_fn()? {
            Some((node, _)) => node.site(),
            None => v.get().var.entered(),
        }
    } else if let Ok(node) = of.cast::<PyNode>() {
        node.get().handle().map_or(0, |node| node.site())
    } else {
        return Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "source_of: needs a Variable or its grad_fn; got {}",
            of.get_type().name()?
        )));
    };
    Ok(source(py, site))
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_start_source_lines, m)?)?;
    m.add_function(wrap_pyfunction!(_set_source_lines, m)?)?;
    m.add_function(wrap_pyfunction!(_source_lines_are_quick, m)?)?;
    m.add_function(wrap_pyfunction!(source_of, m)?)
}
