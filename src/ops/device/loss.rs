//! The negative log likelihood on the GPU, of kernels that are there anyway: nothing is read back, so
//! a training step never waits. A class out of range is noticed by `gather` and raised at the next wait.

use super::Reduction;
use super::formula::send;
use super::{fold, gpu_empty, view, zeros};
use crate::error::Result;
use crate::gpu::{self, Formula, Sample, Scalar};
use crate::tensor::{DType, Device, Tensor};

const OP: &str = "nll_loss";
/// One where a target counts.
const COUNTS: &str = "a != p0";
/// The class of a target, one that exists for targets that do not count.
const CLASS_OF: &str = "select(a, 0, a == p0)";
/// The weight of a class, nothing for targets that do not count.
const WEIGHT: &str = "select(a, 0.0, b == p0)";
/// A factor's share; without any, nothing is shared.
const SHARE: &str = "select(a / b, 0.0, a == 0.0)";
/// As [`CLASS_OF`], by the factor.
const CLASS: &str = "select(a, 0, b == 0.0)";
/// What a row adds to the loss; rows that do not count may hold anything.
const TERM: &str = "select(-a * b, 0.0, b == 0.0)";

/// What each row counts, in single precision: see the CPU's.
pub fn nll_factors(
    target: &Tensor,
    weight: Option<&Tensor>,
    average: bool,
    ignore: i64,
) -> Result<Tensor> {
    let sizes = target.sizes();
    let factors = gpu_empty(OP, DType::F32, sizes)?;
    // A target that is no 32-bit number is out of range, so it is not missed when it is clamped.
    let ignore = Scalar::I32(ignore.clamp(i32::MIN.into(), i32::MAX.into()) as i32);
    match weight {
        None => send(OP, COUNTS, &[target], &[ignore], &factors)?,
        Some(weight) => {
            let class = gpu_empty(OP, DType::I64, sizes)?;
            send(OP, CLASS_OF, &[target], &[ignore], &class)?;
            gpu::gather(
                OP,
                &view(OP, weight)?,
                0,
                &view(OP, &class)?,
                &view(OP, &factors)?,
            )?;
            send(OP, WEIGHT, &[&factors, target], &[ignore], &factors)?;
        }
    }
    if average {
        let sum = gpu_empty(OP, DType::F32, &[1])?;
        fold(Reduction::Sum, &factors, None, &sum)?;
        send(OP, SHARE, &[&factors, &sum.expand(sizes)?], &[], &factors)?;
    }
    Ok(factors)
}

/// The class of each row that counts, as a column.
fn classes(target: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let class = gpu_empty(OP, DType::I64, target.sizes())?;
    send(OP, CLASS, &[target, factors], &[], &class)?;
    class.unsqueeze(1)
}

/// -sum factor x[i, target], over the rows that count.
pub fn nll_sum(x: &Tensor, target: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let class = classes(target, factors)?;
    let picked = gpu_empty(OP, DType::F32, class.sizes())?;
    gpu::gather(
        OP,
        &view(OP, x)?,
        1,
        &view(OP, &class)?,
        &view(OP, &picked)?,
    )?;
    send(OP, TERM, &[&picked, &factors.unsqueeze(1)?], &[], &picked)?;
    let y = gpu_empty(OP, DType::F32, &[1])?;
    fold(Reduction::Sum, &picked, None, &y)?;
    Ok(y)
}

/// -factor g at each row's class, 0 elsewhere.
pub fn nll_spread(g: &Tensor, target: &Tensor, factors: &Tensor, count: i64) -> Result<Tensor> {
    let class = classes(target, factors)?;
    let terms = gpu_empty(OP, DType::F32, target.sizes())?;
    send(
        OP,
        TERM,
        &[&g.expand(target.sizes())?, factors],
        &[],
        &terms,
    )?;
    let out = zeros(OP, DType::F32, Device::Gpu, &[target.sizes()[0], count])?;
    let terms = terms.unsqueeze(1)?;
    gpu::scatter_add(
        OP,
        1,
        &view(OP, &class)?,
        &view(OP, &terms)?,
        &view(OP, &out)?,
    )?;
    Ok(out)
}

/// The formulas above, for the list of shaders.
pub(super) fn samples() -> Vec<Sample<'static>> {
    use DType::{F32, I64};
    let row = |name, expr, inputs, floats, out| Sample {
        formula: Formula::new(name, expr),
        inputs,
        floats,
        out,
    };
    vec![
        row("nll_counts", COUNTS, &[I64], &[false], F32),
        row("nll_class_of", CLASS_OF, &[I64], &[false], I64),
        row("nll_weight", WEIGHT, &[F32, I64], &[false], F32),
        row("nll_share", SHARE, &[F32, F32], &[], F32),
        row("nll_class", CLASS, &[I64, F32], &[], I64),
        row("nll_term", TERM, &[F32, F32], &[], F32),
    ]
}
