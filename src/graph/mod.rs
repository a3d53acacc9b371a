//! Recording: nodes in an arena, values that know where they came from, Variables.
//!
//! Edges go from newer to older nodes, so nothing here needs recursion, and counts rather than
//! nesting own the nodes, so a million of them drop like one.
#![forbid(unsafe_code)]

pub mod arena;
mod body;
pub mod cycles;
pub mod foreign;
pub mod profile;
mod queue;
pub mod rule;
pub mod site;
pub mod switch;
pub mod var;
pub mod variable;

pub use arena::{Edge, Edges, Handle, NodeId, Payload, Saved, live_nodes};
pub use foreign::{Foreign, Incoming, Outgoing};
pub use rule::{Rule, Step};
pub use switch::{is_recording, with_recording};
pub use var::{Input, Origin, Var};
pub use variable::Variable;
