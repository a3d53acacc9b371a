//! Inputs that rows are tried with: fixed numbers away from kinks and ties.

use crate::tensor::{Dims, Scalar, Tensor, Value};

/// Operands in double and arguments for one try of an op.
pub struct Sample {
    pub inputs: Vec<Tensor>,
    pub values: Vec<Value>,
}

impl Sample {
    /// One try.
    pub fn new(inputs: Vec<Tensor>, values: Vec<Value>) -> Sample {
        Sample { inputs, values }
    }
}

/// A value as a row writes it.
pub trait IntoValue {
    fn value(self) -> Value;
}

impl IntoValue for bool {
    fn value(self) -> Value {
        Value::Bool(self)
    }
}
impl IntoValue for i64 {
    fn value(self) -> Value {
        Value::Int(self)
    }
}
impl IntoValue for f64 {
    fn value(self) -> Value {
        Value::Float(self)
    }
}
impl IntoValue for &[i64] {
    fn value(self) -> Value {
        Value::Dims(Box::new(Dims::from_slice(self)))
    }
}
impl<const N: usize> IntoValue for [i64; N] {
    fn value(self) -> Value {
        self.as_slice().value()
    }
}
impl IntoValue for Tensor {
    fn value(self) -> Value {
        Value::Tensor(self)
    }
}
impl IntoValue for Scalar {
    fn value(self) -> Value {
        crate::tensor::FromValue::into_value(self)
    }
}
impl IntoValue for Option<f64> {
    fn value(self) -> Value {
        self.map_or(Value::None, Value::Float)
    }
}

/// Distinct numbers in (-2, 2), none near zero or an integer, in a fixed shuffled order.
pub fn sample(sizes: &[i64]) -> Tensor {
    sample_in(-2.0, 2.0, sizes)
}

/// As [`sample`], from 0.4 to 2.4.
pub fn positive(sizes: &[i64]) -> Tensor {
    sample_in(0.4, 2.4, sizes)
}

/// Distinct numbers between `low` and `high`.
pub fn sample_in(low: f64, high: f64, sizes: &[i64]) -> Tensor {
    let n = sizes.iter().product::<i64>() as usize;
    // Multiples of the golden ratio never meet; sizes move the start so that operands differ.
    let start = sizes.iter().fold(1.0, |a, &s| a * 1.37 + s as f64);
    let values: Vec<f64> = (0..n)
        .map(|i| {
            let u = ((i as f64 + start) * 0.618_033_988_749_895).fract();
            let v = low + (high - low) * u;
            let near = (v - v.round()).abs() < 0.05;
            if near { v + 0.11 } else { v }
        })
        .collect();
    shaped(Tensor::from_slice(&values), sizes)
}

/// Small integers, with ties.
pub fn grid(sizes: &[i64]) -> Tensor {
    let n = sizes.iter().product::<i64>();
    let values: Vec<f64> = (0..n).map(|i| ((i * 7) % 5) as f64 - 1.0).collect();
    shaped(Tensor::from_slice(&values), sizes)
}

/// A LongTensor of these indices.
pub fn longs(values: &[i64], sizes: &[i64]) -> Tensor {
    shaped(Tensor::from_slice(values), sizes)
}

/// A ByteTensor mask.
pub fn bytes(values: &[u8], sizes: &[i64]) -> Tensor {
    shaped(Tensor::from_slice(values), sizes)
}

fn shaped(tensor: crate::error::Result<Tensor>, sizes: &[i64]) -> Tensor {
    tensor
        .and_then(|t| if t.numel() == 0 { Ok(t) } else { t.view(sizes) })
        .expect("samples are small and fit their sizes")
}
