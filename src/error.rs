//! What can go wrong, in the four kinds of exception that Python sees.

use std::any::Any;
use std::sync::Arc;
use thiserror::Error;

/// A failed call: one sentence with the op, both sides and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// Wrong kinds of arguments: `TypeError`.
    #[error("{0}")]
    Type(String),
    /// A right type with a value that cannot be: `ValueError`.
    #[error("{0}")]
    Value(String),
    /// A position outside: `IndexError`.
    #[error("{0}")]
    Index(String),
    /// Everything else 0.3 reports while running: `RuntimeError`.
    #[error("{0}")]
    Runtime(String),
    /// What 0.3 asserts of a raw tensor and reports of a Variable: an `AssertionError` that is a
    /// `RuntimeError` as well.
    #[error("{0}")]
    Assertion(String),
    /// Integer division by zero: `ZeroDivisionError`.
    #[error("{0}")]
    ZeroDivision(String),
    /// No room: `MemoryError`.
    #[error("{0}")]
    Memory(String),
    /// Any of these, with what is known of where it comes from.
    #[error("{}", .0.error)]
    At(Box<Blame>),
    /// An exception of a hook or a user's function, on its way through the core.
    #[error("a hook or function raised")]
    Raised(Raised),
}

/// What an error is about, in the graph's own numbers; an edge makes names and lines of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    pub error: Error,
    /// The graph node that failed, packed.
    pub node: Option<u64>,
    /// Where in the program that was recorded.
    pub site: u32,
    /// What the error says of a tensor, and the family that counts its versions.
    pub tensor: Option<(&'static str, usize)>,
    /// Where in the program that was changed in place.
    pub changed: u32,
}

impl Error {
    /// The same error as `op` says it, which used the operation `part`.
    pub fn said_by(self, op: &str, part: &str) -> Error {
        let text = |text: String| match text.strip_prefix(part) {
            Some(rest) if rest.starts_with(':') => format!("{op}{rest}"),
            _ => text,
        };
        match self {
            Error::Type(t) => Error::Type(text(t)),
            Error::Index(t) => Error::Index(text(t)),
            Error::Runtime(t) => Error::Runtime(text(t)),
            other => other,
        }
    }

    /// The same error about a tensor of `family`, `what` to the operation; `changed` at that place.
    pub fn about(self, what: &'static str, family: usize, changed: u32) -> Error {
        Error::At(Box::new(Blame {
            error: self,
            node: None,
            site: 0,
            tensor: Some((what, family)),
            changed,
        }))
    }

    /// The same error from `node`, recorded at `site`, unless a node is known.
    pub fn from_node(self, node: u64, site: u32) -> Error {
        let mut blame = match self {
            Error::At(blame) => blame,
            error => Box::new(Blame {
                error,
                node: None,
                site: 0,
                tensor: None,
                changed: 0,
            }),
        };
        if blame.node.is_none() {
            (blame.node, blame.site) = (Some(node), site);
        }
        Error::At(blame)
    }
}

/// Somebody else's exception; equal only to itself.
#[derive(Clone)]
pub struct Raised(pub Arc<dyn Any + Send + Sync>);

impl std::fmt::Debug for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raised")
    }
}

impl PartialEq for Raised {
    fn eq(&self, other: &Raised) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Raised {}

/// The result of every call that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Returns early with an [`Error`] of a kind: `fail!(Index, "narrow: {i} is outside")`.
#[macro_export]
macro_rules! fail {
    ($kind:ident, $($text:tt)*) => {
        return Err($crate::error::Error::$kind(format!($($text)*)))
    };
}
