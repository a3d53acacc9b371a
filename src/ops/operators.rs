//! `a * b` for formulas, where sizes agree by construction; elsewhere call the rows, which fail
//! with a `Result`.

use super::arith;
use crate::graph::Var;
use crate::tensor::Scalar;
use std::ops::{Add, Div, Mul, Neg, Sub};

macro_rules! operator {
    ($trait:ident $method:ident $row:ident) => {
        impl $trait<&Var> for &Var {
            type Output = Var;
            fn $method(self, other: &Var) -> Var {
                arith::$row(self, other).unwrap_or_else(|e| std::panic::panic_any(e))
            }
        }
        impl $trait<Var> for &Var {
            type Output = Var;
            fn $method(self, other: Var) -> Var {
                $trait::$method(self, &other)
            }
        }
        impl $trait<&Var> for Var {
            type Output = Var;
            fn $method(self, other: &Var) -> Var {
                $trait::$method(&self, other)
            }
        }
        impl $trait<Var> for Var {
            type Output = Var;
            fn $method(self, other: Var) -> Var {
                $trait::$method(&self, &other)
            }
        }
    };
}

operator!(Add add add);
operator!(Sub sub sub);
operator!(Mul mul mul);
operator!(Div div div);

impl Neg for &Var {
    type Output = Var;
    fn neg(self) -> Var {
        arith::neg(self).unwrap_or_else(|e| std::panic::panic_any(e))
    }
}

impl Neg for Var {
    type Output = Var;
    fn neg(self) -> Var {
        -&self
    }
}

macro_rules! number {
    ($($t:ty)*) => {$(
        impl Mul<$t> for &Var {
            type Output = Var;
            fn mul(self, value: $t) -> Var {
                arith::mul_number(self, Scalar::from(value)).unwrap_or_else(|e| std::panic::panic_any(e))
            }
        }
        impl Mul<$t> for Var {
            type Output = Var;
            fn mul(self, value: $t) -> Var {
                &self * value
            }
        }
    )*};
}

number!(f64 Scalar);
