//! Rows as formulas of WGSL, and the list of all of them for the tests of the shaders.

use super::view;
use crate::error::Result;
use crate::fail;
use crate::gpu::{self, Formula, Operand};
use crate::ops::macros::prelude::not_signed;
use crate::ops::{
    Class, arith, bits, compare, fused, index, pointwise, power, rounding, trigonometry,
};
use crate::tensor::{DType, Device, Scalar, Tensor, class_name};
use smallvec::SmallVec;

/// A function of single elements as the GPU computes it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What the list of shaders calls it.
    pub name: &'static str,
    pub class: Class,
    /// How many operands (`a`, `b`, `c`) and numbers (`p0` to `p3`) it has.
    pub operands: usize,
    pub params: usize,
    /// The expression for floats, and for integers.
    pub float: &'static str,
    pub whole: &'static str,
    /// The second operand is a mask, whatever the first one is.
    pub masked: bool,
    /// Whether the result is a ByteTensor of 0 and 1.
    pub is_test: bool,
}

impl Row {
    /// A row over operands of one class, with a result of that class.
    pub const fn new(
        name: &'static str,
        class: Class,
        operands: usize,
        params: usize,
        float: &'static str,
        whole: &'static str,
    ) -> Row {
        Row {
            name,
            class,
            operands,
            params,
            float,
            whole,
            masked: false,
            is_test: false,
        }
    }

    /// The same, giving a ByteTensor.
    pub const fn test(self) -> Row {
        Row {
            is_test: true,
            ..self
        }
    }

    /// The same, with a mask as second operand.
    pub const fn masked(self) -> Row {
        Row {
            masked: true,
            ..self
        }
    }

    fn text(&self, dtype: DType) -> &'static str {
        if dtype.is_float() {
            self.float
        } else {
            self.whole
        }
    }

    /// The element types it is sent for.
    fn dtypes(&self) -> impl Iterator<Item = DType> {
        let row = *self;
        [DType::F32, DType::I32, DType::U8, DType::I64]
            .into_iter()
            .filter(move |&d| row.class.has(d) && (d != DType::I64 || row.is_test || row.masked))
    }
}

/// A number as the formulas of a class of operands take it.
pub(super) fn number(op: &str, dtype: DType, value: Scalar) -> Result<gpu::Scalar> {
    Ok(match dtype {
        DType::F32 => gpu::Scalar::F32(value.to()),
        DType::U8 => gpu::Scalar::I32(value.to::<u8>().into()),
        DType::I64 => match i32::try_from(value.to::<i64>()) {
            Ok(v) => gpu::Scalar::I32(v),
            Err(_) => fail!(
                Runtime,
                "{op}: {} does not fit 32 bits, with which the GPU looks at a torch.cuda.LongTensor; move it with .cpu() first",
                value.to::<i64>()
            ),
        },
        _ => gpu::Scalar::I32(value.to()),
    })
}

/// y = f(inputs), element by element.
///
/// # Errors
/// `TypeError` for a class that the row does not compute with.
pub fn map(op: &str, row: &Row, inputs: &[&Tensor], params: &[Scalar], y: &Tensor) -> Result<()> {
    let dtype = inputs[0].dtype();
    if !row.class.has(dtype) {
        return Err(match row.class {
            Class::Float => crate::tensor::dtype::not_float(op, dtype),
            Class::Whole => crate::tensor::dtype::not_whole(op, dtype),
            _ => not_signed(op, dtype),
        });
    }
    if dtype == DType::I64 && !row.is_test {
        fail!(
            Type,
            "{op}: a {} is not computed with on the GPU (it has 32 bits to compute with); convert with .int() or .float(), or move it with .cpu()",
            class_name(dtype, Device::Gpu)
        );
    }
    choose(op, row, inputs, params, y)
}

/// As [`map`], for rows whose results are operands or numbers as they were: these move longs, too.
pub fn choose(
    op: &str,
    row: &Row,
    inputs: &[&Tensor],
    params: &[Scalar],
    y: &Tensor,
) -> Result<()> {
    let dtype = inputs[0].dtype();
    let mut numbers: SmallVec<[gpu::Scalar; 4]> = SmallVec::new();
    for &p in params {
        numbers.push(number(op, dtype, p)?);
    }
    send(op, row.text(dtype), inputs, &numbers, y)
}

/// y = the expression `text` of inputs and numbers.
pub(super) fn send(
    op: &str,
    text: &str,
    inputs: &[&Tensor],
    numbers: &[gpu::Scalar],
    y: &Tensor,
) -> Result<()> {
    let mut operands: SmallVec<[Operand; 3]> = SmallVec::new();
    for x in inputs {
        operands.push(view(op, x)?);
    }
    let given: SmallVec<[&Operand; 3]> = operands.iter().collect();
    gpu::map(&Formula::new(op, text), &given, numbers, &view(op, y)?)
}

/// Divides a sum by its count.
pub(super) fn mean(y: &Tensor, count: i64) -> Result<()> {
    map("mean", &arith::DIVIDE, &[y], &[Scalar::Int(count)], y)
}

/// Three times the same, to take slices of.
const SAME: [[DType; 3]; 4] = [
    [DType::F32; 3],
    [DType::I32; 3],
    [DType::U8; 3],
    [DType::I64; 3],
];
const MASKED: [[DType; 2]; 4] = [
    [DType::F32, DType::U8],
    [DType::I32, DType::U8],
    [DType::U8, DType::U8],
    [DType::I64, DType::U8],
];

/// Every formula of the table for every class that it is sent for.
pub fn samples() -> Vec<gpu::Sample<'static>> {
    let rooms = [
        arith::FORMULAS,
        power::FORMULAS,
        pointwise::FORMULAS,
        rounding::FORMULAS,
        trigonometry::FORMULAS,
        fused::FORMULAS,
        bits::FORMULAS,
        compare::FORMULAS,
        index::FORMULAS,
    ];
    let mut out: Vec<_> = super::loss::samples();
    for row in rooms.into_iter().flatten() {
        for dtype in row.dtypes() {
            let at = SAME
                .iter()
                .position(|same| same[0] == dtype)
                .unwrap_or_default();
            out.push(gpu::Sample {
                formula: Formula::new(row.name, row.text(dtype)),
                inputs: if row.masked {
                    &MASKED[at]
                } else {
                    &SAME[at][..row.operands]
                },
                floats: if dtype.is_float() {
                    &[true; 4][..row.params]
                } else {
                    &[false; 4][..row.params]
                },
                out: if row.is_test { DType::U8 } else { dtype },
            });
        }
    }
    out
}

/// The list of every shader that is sent, as JSON: see [`gpu::manifest`].
pub fn manifest() -> String {
    gpu::manifest(&samples())
}
