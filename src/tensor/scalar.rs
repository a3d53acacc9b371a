//! A number that comes with a call: a Python int or float.

use super::dtype::{DType, Element};
use crate::error::Result;
use crate::fail;

/// An int or a float, as Python gave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    Int(i64),
    Float(f64),
}

impl Scalar {
    /// As an element of type `T`: floats truncate in integer types, ints wrap.
    #[inline(always)]
    pub fn to<T: Element>(self) -> T {
        match self {
            Scalar::Int(v) => T::from_i64(v),
            Scalar::Float(v) => T::from_f64(v),
        }
    }

    /// As a double.
    #[inline(always)]
    pub fn f64(self) -> f64 {
        match self {
            Scalar::Int(v) => v as f64,
            Scalar::Float(v) => v,
        }
    }

    /// Fails for a float beside an integer class, which 0.3 tensors refuse (T-6, E-80).
    pub fn check(self, op: &str, dtype: DType) -> Result<()> {
        if let Scalar::Float(v) = self
            && !dtype.is_float()
        {
            fail!(
                Type,
                "{op}: a torch.{}Tensor takes int numbers only; got the float {v}; convert the tensor with .float() first",
                dtype.name()
            );
        }
        Ok(())
    }
}

impl From<f64> for Scalar {
    fn from(v: f64) -> Scalar {
        Scalar::Float(v)
    }
}

impl From<i64> for Scalar {
    fn from(v: i64) -> Scalar {
        Scalar::Int(v)
    }
}
