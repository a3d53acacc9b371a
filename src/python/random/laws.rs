//! What random numbers can be drawn from, and tensors filled with them, in row-major order whatever
//! the strides (T-109).

use super::generator::Shared;
use crate::cpu::random::Generator;
use crate::dispatch;
use crate::error::Result;
use crate::fail;
use crate::ops::copy::{as_contiguous, copy_into};
use crate::ops::device;
use crate::ops::in_place::refuse_repeats;
use crate::tensor::{Device, Element, Tensor, sizes_text};

/// A distribution with its parameters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Law {
    Uniform(f64, f64),
    Normal(f64, f64),
    LogNormal(f64, f64),
    Cauchy(f64, f64),
    Exponential(f64),
    Geometric(f64),
    Bernoulli(f64),
    /// Ints over the whole range of the class.
    Ints,
    /// Ints from the first up to but not the second.
    Between(i64, i64),
}

impl Law {
    /// Fails for parameters that no draw can have.
    fn check(self, op: &str) -> Result<()> {
        match self {
            Law::Normal(_, std) | Law::LogNormal(_, std) if std <= 0.0 || std.is_nan() => {
                fail!(
                    Runtime,
                    "{op}: the standard deviation must be positive; got {std}"
                )
            }
            Law::Geometric(p) if !(p > 0.0 && p < 1.0) => fail!(
                Runtime,
                "{op}: the probability must be above 0 and below 1; got {p}"
            ),
            Law::Bernoulli(p) => probability(op, p),
            Law::Between(from, to) if to <= from => fail!(
                Runtime,
                "{op}: the range must not be empty; got from {from} up to {to}"
            ),
            _ => Ok(()),
        }
    }

    /// The next number, as an element.
    #[inline(always)]
    fn draw<T: Element>(self, g: &mut Generator) -> T {
        match self {
            Law::Uniform(a, b) if T::DTYPE == crate::tensor::DType::F64 => {
                T::from_f64(g.uniform_f64(a, b))
            }
            Law::Uniform(a, b) => T::from_f64(f64::from(g.uniform_f32(a as f32, b as f32))),
            Law::Normal(mean, std) => T::from_f64(g.normal(mean, std)),
            Law::LogNormal(mean, std) => T::from_f64(g.log_normal(mean, std)),
            Law::Cauchy(median, sigma) => T::from_f64(g.cauchy(median, sigma)),
            Law::Exponential(lambda) => T::from_f64(g.exponential(lambda)),
            Law::Geometric(p) => T::from_i64(g.geometric(p)),
            Law::Bernoulli(p) => T::from_i64(i64::from(g.bernoulli(p))),
            Law::Ints => T::from_i64(g.random(T::DTYPE)),
            Law::Between(from, to) => T::from_i64(g.random_between(T::DTYPE, from, to)),
        }
    }
}

fn probability(op: &str, p: f64) -> Result<()> {
    if !(0.0..=1.0).contains(&p) {
        fail!(
            Runtime,
            "{op}: a probability must be within 0 and 1; got {p}"
        );
    }
    Ok(())
}

/// Fills `t` with the next numbers.
///
/// # Errors
/// Parameters that cannot be, or a target that is expanded; nothing has been drawn then.
pub(super) fn fill(op: &str, t: &Tensor, shared: &Shared, law: Law) -> Result<()> {
    law.check(op)?;
    each(op, t, |host| {
        let mut g = shared.lock();
        dispatch!(host.dtype(), T => {
            for i in 0..host.numel() as i64 {
                host.write::<T>(i, law.draw(&mut g));
            }
        });
    })
}

/// Has `write` fill a row-major tensor on the host, and puts that into `t`.
fn each(op: &str, t: &Tensor, write: impl FnOnce(&Tensor)) -> Result<()> {
    crate::tensor::dtype::computed(op, t.dtype())?;
    refuse_repeats(op, t)?;
    if t.device() == Device::Cpu && t.is_contiguous() {
        write(t);
        return Ok(());
    }
    let host = Tensor::empty(op, t.dtype(), t.sizes())?;
    write(&host);
    copy_into(t, &host)
}

/// Ones and zeros, with a probability of its own for each element.
///
/// # Errors
/// Another number of probabilities than elements, or one that is none; nothing has been drawn.
pub(super) fn bernoulli_each(op: &str, t: &Tensor, p: &Tensor, shared: &Shared) -> Result<()> {
    let p = device::to_cpu(p)?;
    if !p.dtype().is_float() {
        return Err(crate::tensor::dtype::not_float(op, p.dtype()));
    }
    if p.numel() != t.numel() {
        fail!(
            Runtime,
            "{op}: needs one probability for each element; got {} for {}",
            sizes_text(p.sizes()),
            sizes_text(t.sizes())
        );
    }
    let p = as_contiguous(&p)?;
    let count = p.numel() as i64;
    dispatch!(p.dtype(), P => {
        for i in 0..count {
            probability(op, p.read::<P>(i).to_f64())?;
        }
    });
    each(op, t, |host| {
        let mut g = shared.lock();
        dispatch!(p.dtype(), P => dispatch!(host.dtype(), T => {
            for i in 0..count {
                let one = g.bernoulli(p.read::<P>(i).to_f64());
                host.write::<T>(i, T::from_i64(i64::from(one)));
            }
        }));
    })
}

/// A LongTensor with `wanted` indices of each row of `weights`.
///
/// # Errors
/// What `Generator::multinomial` refuses, and weights of no or of more than two dimensions; the
/// generator is where it was then.
pub(super) fn multinomial(
    weights: &Tensor,
    wanted: i64,
    replacement: bool,
    shared: &Shared,
) -> Result<Tensor> {
    let t = as_contiguous(&device::to_cpu(weights)?)?;
    if t.ndim() == 0 || t.ndim() > 2 {
        fail!(
            Runtime,
            "multinomial: needs one or two dimensions of weights; got {}",
            sizes_text(t.sizes())
        );
    }
    if wanted < 1 {
        fail!(
            Runtime,
            "multinomial: cannot sample n_sample <= 0 samples; got {wanted}"
        );
    }
    let columns = t.sizes()[t.ndim() - 1];
    let rows = if columns == 0 {
        0
    } else {
        t.numel() as i64 / columns
    };
    let Some(total) = rows.checked_mul(wanted) else {
        fail!(
            Memory,
            "multinomial: {rows} rows of {wanted} samples are more than memory can hold"
        );
    };
    let mut drawn = zeroed("multinomial", total as usize)?;
    let mut shared = shared.lock();
    let mut g = shared.clone();
    for (r, part) in drawn.chunks_mut(wanted as usize).enumerate() {
        let at = r as i64 * columns;
        let row: Vec<f64> = dispatch!(t.dtype(), T => {
            (at..at + columns).map(|i| t.read::<T>(i).to_f64()).collect()
        });
        g.multinomial(&row, replacement, part)?;
    }
    *shared = g;
    let flat = Tensor::from_slice(&drawn)?;
    if t.ndim() == 2 {
        flat.view(&[rows, wanted])
    } else {
        Ok(flat)
    }
}

/// Room for `n` ints.
pub(super) fn zeroed(op: &str, n: usize) -> Result<Vec<i64>> {
    let mut out = Vec::new();
    match out.try_reserve_exact(n) {
        Ok(()) => {
            out.extend(std::iter::repeat_n(0, n));
            Ok(out)
        }
        Err(_) => fail!(Memory, "{op}: no memory for {n} results"),
    }
}
