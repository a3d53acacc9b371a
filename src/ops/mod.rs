//! The table: one op, one row. A row gives the kernel, the derivative, what Python sees and the
//! inputs it is tried with; everything else is made from that.
#![forbid(unsafe_code)]

#[macro_use]
mod macros;

pub mod apply;
pub mod arith;
pub mod bits;
pub mod compare;
pub mod copy;
pub mod cross;
pub mod device;
pub mod diagonal;
pub mod factor;
pub mod fused;
pub mod histogram;
pub mod in_place;
pub mod index;
pub mod join;
pub mod mask;
pub mod matmul;
pub mod norm;
pub mod operators;
pub mod order;
pub mod orthogonal;
pub mod overlap;
pub mod pick;
pub mod pointwise;
pub mod power;
pub mod product;
pub mod products;
pub mod reduce;
pub mod rounding;
pub mod sample;
pub mod scan;
pub mod shape;
pub mod softmax;
pub mod special;
pub mod trigonometry;
pub mod variance;
pub mod window;

use crate::cpu::stop;
use crate::error::Result;
use crate::graph::profile;
use crate::graph::{Input, Rule, Var};
use crate::tensor::{DType, Device, Tensor, Value};
use smallvec::SmallVec;

pub use apply::apply;
pub use in_place::{apply_in_place, run_into};
pub use sample::Sample;

/// An operation.
pub struct Op {
    /// The name in Python; several rows may share one (overloads).
    pub name: &'static str,
    /// The first line is a sentence for the reader of Python's help.
    pub doc: &'static str,
    /// Names of the differentiable operands.
    pub inputs: &'static [&'static str],
    /// The other arguments.
    pub params: &'static [Param],
    /// Names of the results.
    pub results: &'static [&'static str],
    pub class: Class,
    pub forms: Forms,
    pub rule: Rule,
    /// What the graph of a Variable is made of where 0.3 composes the op: recorded results are those
    /// of the parts, and the kernel is for values alone.
    pub parts: Option<Parts>,
    /// The derivatives in words.
    pub formulas: &'static [Formula],
    pub run: fn(&[Input], &[Value], &Out) -> Result<Made>,
    /// Inputs and arguments that the table test tries.
    pub tries: fn() -> Vec<Sample>,
}

/// Composes the result of an op of one operand from other ops.
pub type Parts = fn(&Input, &[Value]) -> Result<Var>;
/// How the gradient of an operand is computed, for the reader of an explanation.
#[derive(Debug)]
pub struct Formula {
    /// The operand.
    pub of: &'static str,
    /// What `text` calls the incoming gradient.
    pub incoming: &'static str,
    /// Mathematics over the names of operands, results and arguments; or the formula as the row has
    /// it.
    pub text: &'static str,
}

impl Formula {
    /// The text without what only Rust needs.
    pub fn plain(&self) -> String {
        let mut text = self.text.replace(".clone()", "").replace(".detach()", "");
        text.retain(|c| !matches!(c, '?' | '&'));
        text
    }
}

/// An argument that is not differentiated.
#[derive(Debug)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Option<fn() -> Value>,
}

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    /// A number of the tensor's element type.
    Number,
    /// A number that may be a fraction.
    Float,
    /// Ints, or one list or tuple of them.
    Dims,
    /// A LongTensor of indices or a ByteTensor mask.
    Tensor,
    /// A number or None.
    OptionalNumber,
    /// A tensor or None.
    OptionalTensor,
}

/// Which element types an op takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The seven that are computed with.
    Number,
    /// All but the two of one byte.
    Signed,
    /// `f32` and `f64`.
    Float,
    /// The five integer types.
    Whole,
    /// All, and only moved, never computed with.
    Any,
}

impl Class {
    /// Whether `dtype` is in the class.
    pub fn has(self, dtype: DType) -> bool {
        match self {
            Class::Any => true,
            Class::Number => dtype != DType::F16,
            Class::Signed => !matches!(dtype, DType::U8 | DType::I8 | DType::F16),
            Class::Float => matches!(dtype, DType::F32 | DType::F64),
            Class::Whole => !dtype.is_float(),
        }
    }
}

/// In which forms Python has an op.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forms {
    pub method: bool,
    pub function: bool,
    /// `name_`.
    pub in_place: bool,
    /// `out=`.
    pub out: bool,
    /// The result is a view of the first operand.
    pub view: bool,
    /// Operands of other sizes are expanded first.
    pub broadcasts: bool,
    /// The kernel can write over its first operand or into a given result.
    pub direct: bool,
    /// Any number of operands, given as one sequence.
    pub list: bool,
    /// The first operand expands to the size of the product of the other two.
    pub expands_first: bool,
    /// The result is a ByteTensor of 0 and 1.
    pub compares: bool,
    /// On raw tensors the result is a Python number.
    pub number: bool,
    /// There is no kernel for the GPU: operands there are fetched, and results sent back.
    pub host: bool,
    /// In place, the kernel changes its first operand where it lies.
    pub updates: bool,
    /// The results are places of elements, not values: leaves without flags (O-18).
    pub places: bool,
}

/// From this many elements of an operand on, a kernel may take so long that a signal stops it.
const LARGE: usize = 1 << 14;
/// The same of a factorization, which cannot be left in the middle.
const WHOLE: usize = 1 << 16;

impl Op {
    /// Runs the row's kernel, or lets the host do it for a GPU that has none.
    #[inline(always)]
    pub fn call(&self, inputs: &[Input], values: &[Value], out: &Out) -> Result<Made> {
        let care = |i: &Input| i.tensor.dtype() == DType::F16 || i.tensor.numel() >= LARGE;
        if inputs.iter().any(care) || self.forms.host || profile::is_on() {
            return self.call_with_care(inputs, values, out);
        }
        (self.run)(inputs, values, out)
    }

    #[cold]
    fn call_with_care(&self, inputs: &[Input], values: &[Value], out: &Out) -> Result<Made> {
        self.refuse_half(inputs)?;
        let _span = profile::op(self.name);
        if self.on_host(inputs, values) {
            return device::through_host(self, inputs, values);
        }
        let most = inputs.iter().map(|i| i.tensor.numel()).max();
        if !matches!(out, Out::Fresh) || most < Some(LARGE) {
            return (self.run)(inputs, values, out);
        }
        if self.is_factorization() && most >= Some(WHOLE) {
            let plain = |i: &Input| Input::plain(i.tensor.clone());
            let inputs: Vec<Input<'static>> = inputs.iter().map(plain).collect();
            let (run, values) = (self.run, values.to_vec());
            return stop::waiting(move || run(&inputs, &values, &Out::Fresh));
        }
        stop::allowed(|| (self.run)(inputs, values, out))
    }

    /// Fails for halves, unless it only moves elements (T-9).
    #[inline]
    pub fn refuse_half(&self, inputs: &[Input]) -> Result<()> {
        let half = |i: &Input| i.tensor.dtype() == DType::F16;
        if self.class != Class::Any && inputs.first().is_some_and(half) {
            return Err(crate::tensor::dtype::no_half(self.name));
        }
        Ok(())
    }

    fn is_in(&self, rooms: &[&[&Op]]) -> bool {
        let mut rows = rooms.iter().copied().flatten();
        rows.any(|row| std::ptr::eq(*row, self))
    }

    fn is_factorization(&self) -> bool {
        self.is_in(&[factor::ROWS, orthogonal::ROWS])
    }

    /// Whether it takes longer than the size of its operands tells.
    pub fn is_product(&self) -> bool {
        self.is_factorization() || self.is_in(&[matmul::ROWS, products::ROWS])
    }

    /// Whether something on the GPU, an operand or an argument, has to be fetched for it.
    #[inline]
    pub fn on_host(&self, inputs: &[Input], values: &[Value]) -> bool {
        let is_there = |v: &Value| matches!(v, Value::Tensor(t) if t.device() == Device::Gpu);
        self.forms.host
            && (inputs.iter().any(|i| i.tensor.device() == Device::Gpu)
                || values.iter().any(is_there))
    }
}

/// Where a kernel writes.
pub enum Out<'a> {
    /// Into a tensor it makes.
    Fresh,
    /// Into this one, which has the right sizes and element type.
    Into(&'a Tensor),
}

impl Out<'_> {
    /// The tensor to write into.
    ///
    /// # Errors
    /// Sizes that cannot be, no memory, or a given tensor that does not fit.
    #[inline]
    pub fn make(
        &self,
        op: &str,
        (dtype, device): (DType, Device),
        sizes: &[i64],
    ) -> Result<Tensor> {
        match self {
            Out::Fresh => device::empty(op, dtype, device, sizes),
            Out::Into(out) => {
                if out.kind() != (dtype, device) || out.sizes() != sizes {
                    crate::fail!(
                        Runtime,
                        "{op}: the result is a {} of {}, which does not fit the {} of {} it should go into",
                        crate::tensor::class_name(dtype, device),
                        crate::tensor::sizes_text(sizes),
                        crate::tensor::class_name(out.dtype(), out.device()),
                        crate::tensor::sizes_text(out.sizes())
                    );
                }
                Ok((*out).clone())
            }
        }
    }
}

/// What a kernel made, and what else the formula will read.
#[derive(Default)]
pub struct Made {
    pub outputs: SmallVec<[Tensor; 1]>,
    pub lets: SmallVec<[Value; 1]>,
}

/// Every op, room by room.
pub static ROOMS: &[&[&Op]] = &[
    arith::ROWS,
    power::ROWS,
    pointwise::ROWS,
    rounding::ROWS,
    trigonometry::ROWS,
    special::ROWS,
    fused::ROWS,
    bits::ROWS,
    cross::ROWS,
    compare::ROWS,
    reduce::ROWS,
    product::ROWS,
    variance::ROWS,
    norm::ROWS,
    order::ROWS,
    scan::ROWS,
    histogram::ROWS,
    softmax::ROWS,
    matmul::ROWS,
    products::ROWS,
    factor::ROWS,
    orthogonal::ROWS,
    shape::ROWS,
    index::ROWS,
    mask::ROWS,
    pick::ROWS,
    diagonal::ROWS,
    window::ROWS,
    join::ROWS,
    copy::ROWS,
];

/// Every op.
pub fn all() -> impl Iterator<Item = &'static Op> {
    ROOMS
        .iter()
        .flat_map(|rows| rows.iter().copied())
        .chain([&join::CAT, &join::SPLIT])
}
