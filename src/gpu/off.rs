//! The machine's functions in a build without the feature `gpu`: there is no adapter, and they say so.

use super::operand::{AdapterInfo, Counters, Formula, Operand, Pick, Reduce, Sample, Scalar};
use crate::error::{Error, Result};

/// A buffer that cannot be made.
#[derive(Debug, Clone)]
pub struct Buffer(std::convert::Infallible);

impl Buffer {
    /// The bytes asked for.
    pub fn bytes(&self) -> usize {
        match self.0 {}
    }
}

fn absent<T>() -> Result<T> {
    Err(Error::Runtime(
        "gpu: this build of rgrad has no GPU support (it was built without the feature gpu)".into(),
    ))
}

/// Never: there is no adapter in this build.
pub fn is_available() -> bool {
    false
}

/// Always zero.
pub fn device_count() -> usize {
    0
}

/// Always empty.
pub fn adapters() -> Vec<AdapterInfo> {
    Vec::new()
}

/// Always empty.
pub fn counters() -> Counters {
    Counters::default()
}

/// Nothing to give back.
pub fn empty_cache() {}

/// An empty list: this build sends nothing.
pub fn manifest(_: &[Sample]) -> String {
    "{\"prelude\": \"\", \"files\": {}, \"shaders\": []}\n".into()
}

/// Always empty.
pub fn sent() -> Vec<(String, String)> {
    Vec::new()
}

/// The reason why there is no adapter.
pub fn why_not() -> Option<Error> {
    absent::<()>().err()
}

macro_rules! absent {
    ($($name:ident($($arg:ty),*) -> $out:ty;)*) => {$(
        /// Fails: this build has no GPU support.
        pub fn $name($(_: $arg),*) -> Result<$out> { absent() }
    )*};
}

#[rustfmt::skip]
mod table {
    use super::*;
    absent! {
        device_name() -> String;
        alloc(usize) -> Buffer;
        upload(&Buffer, usize, &[u8]) -> ();
        download(&Buffer, usize, &mut [u8]) -> ();
        synchronize() -> ();
        flush() -> ();
        map(&Formula, &[&Operand], &[Scalar], &Operand) -> ();
        copy(&str, &Operand, &Operand) -> ();
        fill(&str, &Operand, f64) -> ();
        fill_bits(&str, &Operand, u64) -> ();
        fold(&str, Reduce, &Operand, Option<usize>, &Operand) -> ();
        fold_arg(&str, Pick, &Operand, usize, &Operand, &Operand) -> ();
        matmul(&str, &Operand, &Operand, &Operand, Scalar, Scalar) -> ();
        softmax(&str, &Operand, usize, bool, &Operand) -> ();
        softmax_grad(&str, &Operand, &Operand, usize, bool, &Operand) -> ();
        gather(&str, &Operand, usize, &Operand, &Operand) -> ();
        scatter(&str, usize, &Operand, &Operand, &Operand) -> ();
        scatter_add(&str, usize, &Operand, &Operand, &Operand) -> ();
        index_select(&str, &Operand, usize, &Operand, &Operand) -> ();
        index_add(&str, usize, &Operand, &Operand, &Operand) -> ();
    }
}
pub use table::*;
