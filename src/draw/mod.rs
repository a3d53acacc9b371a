//! The graph explained: a plain description of boxes and arrows becomes an SVG or a drawing of characters.
//!
//! Everything is computed here, by our own layered layout: `fold` makes a huge graph small, `rank` gives
//! each box a layer, `order` its place among the others, `place` its coordinates; `svg` and `text` draw.
//! The same picture gives the same bytes on every machine, and no depth of graph needs a deep stack.

mod canvas;
mod fold;
mod lanes;
mod layout;
mod metrics;
mod order;
mod place;
mod pull;
mod rank;
mod route;
mod simplex;
mod svg;
mod text;
mod tracks;
mod words;

use crate::error::Result;
use crate::fail;

pub use svg::svg;
pub use text::text;

/// More boxes than this and a picture is folded, unless it says otherwise.
pub const FOLD_ABOVE: usize = 2_000;

/// Which way the arrows of a picture point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From the top to the bottom.
    #[default]
    Down,
    /// From the left to the right; drawings of characters go down all the same.
    Right,
}

/// What a box stands for; each kind has its own colour and its own shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A Variable of the user's that requires a gradient.
    Leaf,
    /// A Variable that requires none.
    Constant,
    /// A Variable between, made by an operation.
    Value,
    /// A Function of the graph.
    Function,
    /// The result that the picture is about.
    Root,
    /// Boxes folded into one.
    Fold,
}

/// A box: its lines (the first stands out), its kind, and what a pointer resting on it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub lines: Vec<String>,
    pub kind: Kind,
    pub note: String,
}

/// An arrow between two boxes, by their places in [`Picture::nodes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    pub label: String,
}

/// A graph to be drawn. Arrows may be parallel, lead back, or lead from a box to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub title: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub direction: Direction,
    /// Pictures of more boxes than this are folded.
    pub fold_above: usize,
}

impl Picture {
    /// An empty picture.
    pub fn new(title: impl Into<String>, direction: Direction) -> Picture {
        let (nodes, edges) = (Vec::new(), Vec::new());
        Picture {
            title: title.into(),
            nodes,
            edges,
            direction,
            fold_above: FOLD_ABOVE,
        }
    }

    /// Adds a box and gives its place, for [`Picture::edge`].
    pub fn node(&mut self, kind: Kind, lines: &[&str], note: &str) -> usize {
        let lines = lines.iter().map(|line| line.to_string()).collect();
        self.nodes.push(Node {
            lines,
            kind,
            note: note.to_string(),
        });
        self.nodes.len() - 1
    }

    /// Adds an arrow with no label.
    pub fn edge(&mut self, from: usize, to: usize) {
        self.edges.push(Edge {
            from,
            to,
            label: String::new(),
        });
    }

    /// Refuses an arrow to a box that is not there.
    fn check(&self) -> Result<()> {
        let count = self.nodes.len();
        for (at, edge) in self.edges.iter().enumerate() {
            let end = edge.from.max(edge.to);
            if end >= count {
                fail!(
                    Index,
                    "draw: edge {at} names box {end}, but the picture has {count} boxes"
                );
            }
        }
        // Boxes and arrows are numbered in 32 bits while they are laid out.
        if count >= u32::MAX as usize / 4 || self.edges.len() >= u32::MAX as usize / 4 {
            fail!(
                Value,
                "draw: a picture of {count} boxes is too big; at most {} fit",
                u32::MAX / 4 - 1
            );
        }
        Ok(())
    }
}
