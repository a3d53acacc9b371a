//! An argument of an op that is not differentiated, and what an op keeps for its formula.

use super::dims::Dims;
use super::scalar::Scalar;
use super::storage::Tensor;

/// A number, a flag, sizes, or a tensor of indices. Sixteen bytes, so that most nodes need no box.
#[derive(Debug, Clone)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Dims(Box<Dims>),
    Tensor(Tensor),
}

/// A Rust type that an op's parameter can have.
pub trait FromValue: Sized {
    /// The value as this type; the argument parser has made sure that it is one.
    fn from_value(value: &Value) -> Self;
    /// Back into a value.
    fn into_value(self) -> Value;
}

macro_rules! from_value {
    ($($t:ty, $pattern:pat => $out:expr, $v:ident => $into:expr;)*) => {$(
        impl FromValue for $t {
            #[inline]
            fn from_value(value: &Value) -> Self {
                match value {
                    $pattern => $out,
                    other => unreachable!("an argument was parsed as {other:?}, not {}", stringify!($t)),
                }
            }
            #[inline]
            fn into_value(self) -> Value {
                let $v = self;
                $into
            }
        }
    )*};
}

from_value! {
    bool, Value::Bool(b) => *b, v => Value::Bool(v);
    i64, Value::Int(i) => *i, v => Value::Int(v);
    Dims, Value::Dims(d) => d.as_ref().clone(), v => Value::Dims(Box::new(v));
    Tensor, Value::Tensor(t) => t.clone(), v => Value::Tensor(v);
}

impl FromValue for f64 {
    #[inline]
    fn from_value(value: &Value) -> f64 {
        Scalar::from_value(value).f64()
    }
    #[inline]
    fn into_value(self) -> Value {
        Value::Float(self)
    }
}

impl FromValue for usize {
    #[inline]
    fn from_value(value: &Value) -> usize {
        i64::from_value(value) as usize
    }
    #[inline]
    fn into_value(self) -> Value {
        Value::Int(self as i64)
    }
}

impl FromValue for Scalar {
    #[inline]
    fn from_value(value: &Value) -> Scalar {
        match value {
            Value::Int(i) => Scalar::Int(*i),
            Value::Bool(b) => Scalar::Int(*b as i64),
            Value::Float(f) => Scalar::Float(*f),
            other => unreachable!("an argument was parsed as {other:?}, not a number"),
        }
    }
    #[inline]
    fn into_value(self) -> Value {
        match self {
            Scalar::Int(i) => Value::Int(i),
            Scalar::Float(f) => Value::Float(f),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    #[inline]
    fn from_value(value: &Value) -> Option<T> {
        match value {
            Value::None => None,
            other => Some(T::from_value(other)),
        }
    }
    #[inline]
    fn into_value(self) -> Value {
        self.map_or(Value::None, T::into_value)
    }
}
