//! Rings through the graph, made visible to Python's garbage collector.
//!
//! Nodes and Variables of the core hold Python objects (hooks, contexts of Functions), and Python
//! objects hold them. The collector must be told each reference once, and each object from which
//! another can be reached; nodes are no objects, so before a full collection we look at the whole
//! graph and give every object links, real references, to the objects it reaches through the core, or
//! to tuples of them that several share.
//! What a node or Variable holds in turn counts as a ring of its own unless something that is no
//! object holds that node too. After the collection the links go. Where anything new got into the
//! graph meanwhile, nothing is said, and nothing collected.

use super::hooks;
use super::node::{self, PyNode};
use super::reach::Sets;
use super::variable::PyVariable;
use crate::graph::{NodeId, Variable, cycles};
use crate::lock::plain::Mutex;
use crate::python::callback;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether links are there.
static LOOKING: AtomicBool = AtomicBool::new(false);
/// Whether they are old: Python got another reference into the graph.
static OUTDATED: AtomicBool = AtomicBool::new(false);
/// Whether the collector took apart a node in a ring.
static STRIPPED: AtomicBool = AtomicBool::new(false);
/// All links that are there.
static LINKS: Mutex<Vec<Arc<Mutex<Held>>>> = Mutex::new(Vec::new());

/// References from one of our objects to others that it holds through the graph; there only while
/// the collector looks.
pub struct Links {
    held: Mutex<Option<Arc<Mutex<Held>>>>,
    /// Python gives out an object's memory as zeros, and may collect before we fill it.
    is_filled: AtomicBool,
}

impl Default for Links {
    fn default() -> Links {
        Links {
            held: Mutex::new(None),
            is_filled: AtomicBool::new(true),
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // An object can die while the collector looks, or after the last search.
        if LOOKING.load(Relaxed) {
            self.clear();
        }
    }
}

#[derive(Default)]
struct Held {
    to: Vec<Py<PyAny>>,
    /// The object itself, where all that holds it in the core was found.
    me: Option<Py<PyAny>>,
}

impl Links {
    /// Whether the object that these belong to is made; until then nothing else of it may be looked
    /// at.
    fn are_filled(&self) -> bool {
        self.is_filled.load(Relaxed)
    }

    /// Shows the references to the collector.
    pub fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !LOOKING.load(Relaxed) {
            return Ok(());
        }
        let Some(held) = self.held.try_lock().and_then(|held| held.clone()) else {
            return Ok(());
        };
        let Some(held) = held.try_lock() else {
            return Ok(());
        };
        for to in &held.to {
            visit.call(to)?;
        }
        if let Some(me) = &held.me {
            visit.call(me)?;
            if !OUTDATED.load(Relaxed) {
                // The reference of the node or Variable that keeps this object.
                visit.call(me)?;
            }
        }
        Ok(())
    }

    /// Drops them.
    pub fn clear(&self) {
        let held = self.held.lock().take();
        if let Some(held) = held {
            let held = std::mem::take(&mut *held.lock());
            drop(held);
        }
    }

    fn set(&self, held: Held) {
        let held = Arc::new(Mutex::new(held));
        LINKS.lock().push(held.clone());
        let old = self.held.lock().replace(held);
        drop(old);
    }
}

/// Python gets another reference into the graph.
#[inline(always)]
pub fn something_new() {
    if LOOKING.load(Relaxed) {
        OUTDATED.store(true, Relaxed);
    }
}

/// The collector took apart a node in a ring.
pub fn something_stripped() {
    STRIPPED.store(true, Relaxed);
}

/// What Python's collector calls before and after it runs.
#[pyfunction]
pub fn _collecting(py: Python<'_>, phase: &str, info: &Bound<'_, PyDict>) -> PyResult<()> {
    if phase == "stop" {
        end();
        if STRIPPED.swap(false, Relaxed) {
            // What is left of those rings holds no object any more.
            begin(py)?;
            end();
        }
        if is_full(info)? {
            cycles::searched();
        }
        return Ok(());
    }
    if !cycles::suspected() {
        return Ok(());
    }
    if is_full(info)? {
        begin(py)?;
    }
    Ok(())
}

/// What is called when the program ends: sets the links a last time and leaves them, since the
/// interpreter's last collection calls nobody. Without them a ring through the graph would keep all
/// globals of the program, and files that it left open would lose what waits to be written.
#[pyfunction]
pub fn _last_search(py: Python<'_>) -> PyResult<()> {
    match cycles::suspected() {
        true => begin(py),
        false => Ok(()),
    }
}

fn is_full(info: &Bound<'_, PyDict>) -> PyResult<bool> {
    let generation = info.get_item("generation")?;
    Ok(generation.is_some_and(|g| g.extract::<u32>().is_ok_and(|g| g == 2)))
}

/// Has Python collect when rings may hold much of the graph, unless the user switched that off.
pub fn when_due(py: Python<'_>) -> PyResult<()> {
    if cycles::due() {
        let gc = py.import("gc")?;
        if callback::call_method(&gc, "isenabled", ())?.is_truthy()? {
            callback::call_method(&gc, "collect", ())?;
        }
    }
    Ok(())
}

fn end() {
    if !LOOKING.swap(false, Relaxed) {
        return;
    }
    let links = std::mem::take(&mut *LINKS.lock());
    for held in links {
        let held = std::mem::take(&mut *held.lock());
        drop(held);
    }
}

/// One of our objects that holds parts of the graph.
enum Holder<'py> {
    Variable(Bound<'py, PyVariable>),
    Node(Bound<'py, PyNode>),
    Table(Bound<'py, hooks::PyTable>),
}

impl Holder<'_> {
    fn links(&self) -> &Links {
        match self {
            Holder::Variable(v) => &v.get().links,
            Holder::Node(n) => &n.get().links,
            Holder::Table(t) => &t.get().links,
        }
    }
}

/// A node or Variable of the core.
struct Item {
    to: Vec<usize>,
    /// References to it that were found.
    known: usize,
    /// References to it in all.
    all: usize,
    /// The Python object that it keeps.
    keeps: Option<Py<PyAny>>,
    variable: Option<Variable>,
}

#[derive(Default)]
struct Graph {
    items: Vec<Item>,
    nodes: HashMap<NodeId, usize>,
    variables: HashMap<usize, usize>,
    /// Variables whose parts were not looked at yet.
    fresh: Vec<usize>,
}

impl Graph {
    fn variable(&mut self, variable: Variable) -> usize {
        let address = variable.address();
        if let Some(&at) = self.variables.get(&address) {
            return at;
        }
        let at = self.items.len();
        self.items.push(Item {
            to: Vec::new(),
            known: 0,
            all: 0,
            keeps: None,
            variable: Some(variable),
        });
        self.variables.insert(address, at);
        self.fresh.push(at);
        at
    }

    /// A reference from one item to another.
    fn edge(&mut self, from: usize, to: usize) {
        self.items[from].to.push(to);
        self.items[to].known += 1;
    }

    /// Looks at what the Variables found so far lead to.
    fn open(&mut self, py: Python<'_>) {
        while let Some(at) = self.fresh.pop() {
            let Some(variable) = self.items[at].variable.clone() else {
                continue;
            };
            let node = variable.noted_node();
            if let Some(&to) = node.and_then(|id| self.nodes.get(&id)) {
                self.edge(at, to);
            }
            for part in [variable.noted_base(), variable.grad()]
                .into_iter()
                .flatten()
            {
                let to = self.variable(part);
                self.edge(at, to);
            }
            let table = hooks::owner_of(&variable, |owner| owner.0.clone_ref(py).into_any());
            self.items[at].keeps = table;
        }
    }

    /// Everything that can be reached from `start`.
    fn reach(&self, start: impl Iterator<Item = usize>) -> Vec<bool> {
        let mut reached = vec![false; self.items.len()];
        let mut queue: Vec<usize> = start.collect();
        while let Some(at) = queue.pop() {
            if !std::mem::replace(&mut reached[at], true) {
                queue.extend(&self.items[at].to);
            }
        }
        reached
    }

    /// What leads to an item that keeps an object.
    fn leads(&self) -> Vec<bool> {
        let mut from = vec![Vec::new(); self.items.len()];
        for (at, item) in self.items.iter().enumerate() {
            item.to.iter().for_each(|&to| from[to].push(at));
        }
        let mut leads = vec![false; self.items.len()];
        let keeps = |(at, item): (usize, &Item)| item.keeps.as_ref().map(|_| at);
        let mut queue: Vec<usize> = self.items.iter().enumerate().filter_map(keeps).collect();
        while let Some(at) = queue.pop() {
            if !std::mem::replace(&mut leads[at], true) {
                queue.extend(&from[at]);
            }
        }
        leads
    }
}

/// Sets the links.
fn begin(py: Python<'_>) -> PyResult<()> {
    end();
    let mut graph = Graph::default();
    let seen = cycles::live();
    for (at, node) in seen.iter().enumerate() {
        graph.nodes.insert(node.id, at);
        graph.items.push(Item {
            to: Vec::new(),
            known: 0,
            all: node.count as usize,
            keeps: None,
            variable: None,
        });
    }
    for (at, node) in seen.into_iter().enumerate() {
        for id in &node.edges {
            if let Some(&to) = graph.nodes.get(id) {
                graph.edge(at, to);
            }
        }
        if let Some(leaf) = node.leaf {
            let to = graph.variable(leaf);
            graph.edge(at, to);
        }
        if node.is_foreign
            && let Some(handle) = crate::graph::Handle::to(node.id)
        {
            graph.items[at].keeps =
                node::owner_of(&handle, |owner| owner.0.clone_ref(py).into_any());
        }
    }
    graph.open(py);
    let (holders, starts) = holders(py, &mut graph)?;
    for item in &mut graph.items {
        if let Some(variable) = &item.variable {
            // One reference is ours.
            item.all = variable.owners() - 1;
        }
    }
    let strangers = (0..graph.items.len()).filter(|&i| graph.items[i].all > graph.items[i].known);
    let outside = graph.reach(strangers);
    let rings = open_rings(&graph, &starts, &outside);
    link(py, &graph, &holders, &starts, &outside)?;
    let quiet = graph.items.iter().all(|item| {
        let history = item.variable.as_ref().and_then(Variable::grad);
        item.keeps.is_none() && history.is_none_or(|g| g.is_leaf())
    });
    if quiet {
        cycles::trust();
    }
    drop(graph);
    drop(rings);
    Ok(())
}

/// Our Python objects, and the items that each holds.
fn holders<'py>(
    py: Python<'py>,
    graph: &mut Graph,
) -> PyResult<(Vec<Holder<'py>>, Vec<Vec<usize>>)> {
    let gc = py.import("gc")?;
    let objects = callback::call_method(&gc, "get_objects", ())?;
    let (mut holders, mut starts) = (Vec::new(), Vec::new());
    for object in objects.cast_into::<PyList>()?.iter() {
        let mut start = Vec::new();
        if let Ok(variable) = object.cast::<PyVariable>() {
            if !variable.get().links.are_filled() {
                continue;
            }
            start.push(graph.variable(variable.get().var.clone()));
            let accumulator = variable.get().held_accumulator();
            start.extend(accumulator.and_then(|h| graph.nodes.get(&h.id()).copied()));
            holders.push(Holder::Variable(variable.clone()));
        } else if let Ok(node) = object.cast::<PyNode>() {
            if !node.get().links.are_filled() {
                continue;
            }
            let held = node.get().held();
            start.extend(
                held.iter()
                    .filter_map(|h| graph.nodes.get(&h.id()).copied()),
            );
            start.extend(node.get().kept_leaf().map(|leaf| graph.variable(leaf)));
            holders.push(Holder::Node(node.clone()));
        } else if let Ok(table) = object.cast::<hooks::PyTable>() {
            if !table.get().links.are_filled() {
                continue;
            }
            holders.push(Holder::Table(table.clone()));
        } else {
            continue;
        }
        start.iter().for_each(|&at| graph.items[at].known += 1);
        starts.push(start);
    }
    graph.open(py);
    Ok((holders, starts))
}

/// Takes `.grad` from Variables that only a ring without Python objects keeps; gives it to be
/// dropped.
fn open_rings(graph: &Graph, starts: &[Vec<usize>], outside: &[bool]) -> Vec<Variable> {
    let held = graph.reach(starts.iter().flatten().copied());
    let lost = |at: usize| !held[at] && !outside[at];
    let items = graph.items.iter().enumerate().filter(|(at, _)| lost(*at));
    items
        .filter_map(|(_, item)| item.variable.as_ref()?.take_grad())
        .collect()
}

fn link(
    py: Python<'_>,
    graph: &Graph,
    holders: &[Holder<'_>],
    starts: &[Vec<usize>],
    outside: &[bool],
) -> PyResult<()> {
    let leads = graph.leads();
    // A table is the object of its Variable and stands for what that leads to.
    let mut of_table = HashMap::new();
    for (at, item) in graph.items.iter().enumerate() {
        if let (Some(keeps), Some(_)) = (&item.keeps, &item.variable) {
            of_table.insert(keeps.as_ptr() as usize, at);
        }
    }
    let mut me = HashMap::new();
    for (at, item) in graph.items.iter().enumerate() {
        if let Some(keeps) = &item.keeps
            && !outside[at]
        {
            me.insert(keeps.as_ptr() as usize, keeps.clone_ref(py));
        }
    }
    // Only what leads to an object counts, and the object of a node holds what the node leads to.
    let mut edges: Vec<&[usize]> = Vec::with_capacity(graph.items.len());
    let mut keeps = Vec::with_capacity(graph.items.len());
    for (at, item) in graph.items.iter().enumerate() {
        let goes_on = leads[at] && (item.keeps.is_none() || item.variable.is_some());
        edges.push(if goes_on { &item.to } else { &[] });
        keeps.push(item.keeps.as_ref());
    }
    let sets = Sets::new(py, &edges, &keeps)?;
    OUTDATED.store(false, Relaxed);
    LOOKING.store(true, Relaxed);
    for (holder, start) in holders.iter().zip(starts) {
        let address = match holder {
            Holder::Variable(v) => v.as_ptr() as usize,
            Holder::Node(n) => n.as_ptr() as usize,
            Holder::Table(t) => t.as_ptr() as usize,
        };
        let table = of_table
            .get(&address)
            .map(|&at| graph.items[at].to.as_slice());
        let all = start.iter().chain(table.unwrap_or_default());
        let mut held = Held::default();
        held.to.extend(
            all.filter_map(|&at| sets.of(at))
                .map(|set| set.clone_ref(py)),
        );
        held.me = me.remove(&address);
        if held.me.is_some() || !held.to.is_empty() {
            holder.links().set(held);
        }
    }
    Ok(())
}
