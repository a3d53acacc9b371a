//! Places in the user's program by number: file, line, columns and function.
//!
//! A code object is watched, not kept: when it dies its instructions are forgotten, before another
//! can come to lie where it was. Places themselves stay, one for each spot of a source text.

use super::frames;
use crate::graph::site::Site;
use crate::lock::plain::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyWeakrefReference};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The place of a frame that is none of the user's program.
pub const SKIPPED: Site = Site::MAX;
/// Places kept at most; later ones are unknown.
const MOST: usize = 1 << 20;

/// A spot of a source text: columns count bytes, 0-based; `end` is behind the last.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub file: Arc<str>,
    pub function: Arc<str>,
    pub line: u32,
    pub end_line: u32,
    pub columns: Option<(u32, u32)>,
}

#[derive(Default)]
struct Table {
    places: Vec<Arc<Place>>,
    numbers: HashMap<Arc<Place>, Site>,
    /// By address of an instruction.
    known: HashMap<usize, Site>,
    /// By address of a living code object.
    codes: HashMap<usize, Watched>,
    /// The code object that a weak reference watches, by addresses.
    watchers: HashMap<usize, usize>,
}

struct Watched {
    #[allow(dead_code, reason = "calls back when the code dies")]
    watcher: Py<PyWeakrefReference>,
    instructions: Vec<usize>,
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);
/// Where the package's own files are.
static OWN: OnceLock<String> = OnceLock::new();
static FORGET: OnceLock<Py<PyCFunction>> = OnceLock::new();

fn with<R>(body: impl FnOnce(&mut Table) -> R) -> R {
    body(TABLE.lock().get_or_insert_default())
}

/// Says where the package's own files are, whose frames are skipped.
pub fn set_own(folder: String) {
    let _ = OWN.set(folder);
}

/// The place numbered `site`.
pub fn get(site: Site) -> Option<Arc<Place>> {
    let at = (site as usize).checked_sub(1)?;
    with(|t| t.places.get(at).cloned())
}

/// The number of the place at `offset` of `code`; `key` is the instruction's address.
pub fn place(code: &Bound<'_, PyAny>, offset: usize, key: usize) -> Site {
    if let Some(site) = with(|t| t.known.get(&key).copied()) {
        return site;
    }
    // An operation must not fail, nor lose an error under way, because its place is unknown.
    let error = PyErr::take(code.py());
    let site = made(code, offset, key).unwrap_or(0);
    if let Some(error) = error {
        error.restore(code.py());
    }
    site
}

fn made(code: &Bound<'_, PyAny>, offset: usize, key: usize) -> PyResult<Site> {
    let file: String = code.getattr("co_filename")?.extract()?;
    let own = OWN
        .get()
        .is_some_and(|folder| file.starts_with(folder.as_str()));
    let site = if own || file.starts_with("<frozen ") {
        SKIPPED
    } else {
        let first: u32 = code.getattr("co_firstlineno")?.extract()?;
        let lines = code.getattr("co_linetable")?;
        let function: String = code.getattr("co_qualname")?.extract()?;
        let spot = spot(lines.cast::<PyBytes>()?.as_bytes(), first, offset / 2);
        let (line, end_line, columns) = spot.unwrap_or((first, first, None));
        number(Place {
            file: file.into(),
            function: function.into(),
            line,
            end_line,
            columns,
        })
    };
    watch(code, key, site)?;
    Ok(site)
}

/// The number of a place, the same for equal ones.
fn number(place: Place) -> Site {
    with(|t| {
        if let Some(&site) = t.numbers.get(&place) {
            return site;
        }
        if t.places.len() >= MOST {
            return 0;
        }
        let place = Arc::new(place);
        t.places.push(place.clone());
        let site = t.places.len() as Site;
        t.numbers.insert(place, site);
        site
    })
}

/// Remembers the instruction as long as its code lives.
fn watch(code: &Bound<'_, PyAny>, key: usize, site: Site) -> PyResult<()> {
    let py = code.py();
    let address = code.as_ptr() as usize;
    let add = |t: &mut Table| match t.codes.get_mut(&address) {
        Some(watched) => {
            watched.instructions.push(key);
            t.known.insert(key, site);
            true
        }
        None => false,
    };
    if with(add) {
        return Ok(());
    }
    let forget = match FORGET.get() {
        Some(forget) => forget,
        None => {
            let made = wrap_pyfunction!(_forget_code, py)?.unbind();
            FORGET.get_or_init(|| made)
        }
    };
    let watcher = PyWeakrefReference::new_with(code, forget.bind(py))?;
    let old = with(|t| {
        t.watchers.insert(watcher.as_ptr() as usize, address);
        let instructions = vec![key];
        t.known.insert(key, site);
        t.codes.insert(
            address,
            Watched {
                watcher: watcher.unbind(),
                instructions,
            },
        )
    });
    drop(old);
    Ok(())
}

/// Called by the weak reference to a code object that dies.
#[pyfunction]
fn _forget_code(watcher: &Bound<'_, PyAny>) {
    let dead = with(|t| {
        let code = t.watchers.remove(&(watcher.as_ptr() as usize))?;
        let watched = t.codes.remove(&code)?;
        for key in &watched.instructions {
            t.known.remove(key);
        }
        Some(watched)
    });
    frames::forget();
    drop(dead);
}

/// First and last line, and the columns of the expression.
type Spot = (u32, u32, Option<(u32, u32)>);

/// Where instruction `wanted` stands, from a code object's table of locations: entries of a byte
/// with a kind and a count of instructions, and numbers of six bits a byte.
fn spot(table: &[u8], first: u32, wanted: usize) -> Option<Spot> {
    let mut bytes = table.iter().copied().peekable();
    let (mut at, mut line) = (0usize, i64::from(first));
    while let Some(head) = bytes.next() {
        let (kind, count) = (head >> 3 & 15, usize::from(head & 7) + 1);
        let mut rest = Vec::with_capacity(8);
        while let Some(byte) = bytes.next_if(|b| b & 0x80 == 0) {
            rest.push(byte);
        }
        let mut rest = rest.into_iter();
        let mut end_line = 0;
        let columns = match kind {
            0..=9 => {
                let second = rest.next()?;
                let start = u32::from(kind) << 3 | u32::from(second >> 4 & 7);
                Some((start, start + u32::from(second & 15)))
            }
            10..=12 => {
                line += i64::from(kind) - 10;
                Some((u32::from(rest.next()?), u32::from(rest.next()?)))
            }
            13 => {
                line += signed(&mut rest)?;
                None
            }
            14 => {
                line += signed(&mut rest)?;
                end_line = i64::from(unsigned(&mut rest)?);
                let (start, end) = (unsigned(&mut rest)?, unsigned(&mut rest)?);
                start.checked_sub(1).zip(end.checked_sub(1))
            }
            _ => None,
        };
        at += count;
        if wanted < at {
            let last = u32::try_from(line + end_line).ok()?;
            return (kind != 15).then_some((u32::try_from(line).ok()?, last, columns));
        }
    }
    None
}

fn unsigned(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let (mut value, mut shift) = (0u32, 0);
    loop {
        let byte = bytes.next()?;
        value |= u32::from(byte & 63).checked_shl(shift)?;
        if byte & 64 == 0 {
            return Some(value);
        }
        shift += 6;
    }
}

fn signed(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let value = i64::from(unsigned(bytes)?);
    Some(if value & 1 == 1 {
        -(value >> 1)
    } else {
        value >> 1
    })
}
