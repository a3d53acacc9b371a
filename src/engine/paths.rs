//! Which nodes a run for some inputs has to visit.

use super::{Pulse, Root, WORK, look};
use crate::error::Result;
use crate::graph::Handle;
use crate::graph::arena::Visit;

/// Slots whose marks lie together.
const PAGE: usize = 1024;
/// The search came here.
const SEEN: u8 = 1;
/// An edge leads here.
const REACHED: u8 = 2;
/// On a path from a root to an input; an input's own node only if another input lies beyond it.
const NEEDED: u8 = 4;
/// An input's node.
const TARGET: u8 = 8;

/// Marks of nodes by their slots, which are theirs while the run holds its roots.
pub struct Paths {
    pages: Vec<Option<Box<[u8; PAGE]>>>,
}

impl Paths {
    /// Searches from `roots` for the nodes of `inputs`.
    ///
    /// # Errors
    /// What `pulse` reports.
    pub fn between(roots: &[Root], inputs: &[(Handle, u32)], pulse: Pulse) -> Result<Paths> {
        let mut paths = Paths { pages: Vec::new() };
        for (node, _) in inputs {
            *paths.marks(node.id().slot()) |= TARGET;
        }
        // Each node twice: on the way down, and when all that it leads to is done. Edges lead to
        // older nodes only, so nothing waits for itself.
        let mut stack: Vec<(u32, bool)> = Vec::new();
        stack.extend(roots.iter().map(|root| (root.node.id().slot(), false)));
        let mut visit = Visit::default();
        let (mut work, mut last) = (0, None);
        while let Some((at, is_done)) = stack.pop() {
            work += 1;
            if work >= WORK {
                visit.end();
                work = 0;
                look(&mut last, pulse)?;
            }
            if is_done {
                let mut leads = false;
                visit.each_edge(at, |to| leads |= paths.of(to) & (NEEDED | TARGET) != 0);
                if leads {
                    *paths.marks(at) |= NEEDED;
                }
            } else if paths.of(at) & SEEN == 0 {
                *paths.marks(at) |= SEEN;
                stack.push((at, true));
                visit.each_edge(at, |to| {
                    let marks = paths.marks(to);
                    *marks |= REACHED;
                    if *marks & SEEN == 0 {
                        stack.push((to, false));
                    }
                });
            }
        }
        Ok(paths)
    }

    fn marks(&mut self, slot: u32) -> &mut u8 {
        let slot = slot as usize;
        if self.pages.len() <= slot / PAGE {
            self.pages.resize_with(slot / PAGE + 1, || None);
        }
        let page = self.pages[slot / PAGE].get_or_insert_with(|| Box::new([0; PAGE]));
        &mut page[slot % PAGE]
    }

    fn of(&self, slot: u32) -> u8 {
        let slot = slot as usize;
        let page = self.pages.get(slot / PAGE).and_then(Option::as_ref);
        page.map_or(0, |page| page[slot % PAGE])
    }

    /// Whether the node in the slot is on a path to an input.
    pub fn needs(&self, slot: u32) -> bool {
        self.of(slot) & NEEDED != 0
    }

    /// Whether an edge leads to the node in the slot.
    pub fn reaches(&self, slot: u32) -> bool {
        self.of(slot) & REACHED != 0
    }

    /// Whether the node in the slot is that of an input.
    pub fn aims_at(&self, slot: u32) -> bool {
        self.of(slot) & TARGET != 0
    }
}
