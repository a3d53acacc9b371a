//! What can go wrong, in the four kinds of exception that Python sees.

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
}

/// The result of every call that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Returns early with an [`Error`] of a kind: `fail!(Index, "narrow: {i} is outside")`.
#[macro_export]
macro_rules! fail {
    ($kind:ident, $($text:tt)*) => {
        return Err($crate::error::Error::$kind(format!($($text)*)))
    };
}
