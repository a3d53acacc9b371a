//! Equal element counts where sizes do not broadcast: what 0.1 did, and 0.3 still does on raw
//! tensors (T-52), and the two warnings that porting to 0.2 had (`torch.utils.backcompat`).

use crate::graph::Input;
use crate::ops::Op;
use crate::ops::apply::Values;
use crate::python::interpreter::attached;
use crate::tensor::{Dims, Tensor, Value, dims, sizes_text};
use pyo3::exceptions::{PyRuntimeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static BROADCAST: AtomicBool = AtomicBool::new(false);
static KEEPDIM: AtomicBool = AtomicBool::new(false);

/// Operands that cannot broadcast but have as many elements take the first one's sizes.
#[inline]
pub fn fall_back(op: &Op, inputs: &mut [Input]) -> PyResult<()> {
    let Some((first, others)) = inputs.split_first_mut() else {
        return Ok(());
    };
    let sizes = first.tensor.sizes();
    if !op.forms.broadcasts || others.iter().all(|o| o.tensor.sizes() == sizes) {
        return Ok(());
    }
    differ(op, first, others, false)
}

/// The same where the first operand keeps its sizes and the others expand to them.
#[inline]
pub fn fall_back_in_place(op: &Op, inputs: &mut [Input]) -> PyResult<()> {
    let Some((first, others)) = inputs.split_first_mut() else {
        return Ok(());
    };
    let sizes = first.tensor.sizes();
    if !op.forms.broadcasts || others.iter().all(|o| o.tensor.sizes() == sizes) {
        return Ok(());
    }
    differ(op, first, others, true)
}

#[cold]
fn differ(op: &Op, first: &Input, others: &mut [Input], in_place: bool) -> PyResult<()> {
    let count = first.tensor.numel();
    if others.iter().any(|o| o.tensor.numel() != count) {
        return Ok(());
    }
    let sizes = Dims::from_slice(first.tensor.sizes());
    let fits = if in_place {
        others.iter().all(|o| o.tensor.expand(&sizes).is_ok())
    } else {
        let common = others.iter().try_fold(sizes.clone(), |all, o| {
            dims::broadcast(op.name, &all, o.tensor.sizes())
        });
        common.is_ok()
    };
    tell(op.name, &sizes, others.iter().map(|o| &o.tensor), fits)?;
    if !fits {
        for other in others {
            other.tensor = other.tensor.view_or_copy(&sizes)?;
        }
    }
    Ok(())
}

/// The same for a mask, which is no operand (`masked_fill_`, `masked_scatter_`, `masked_select`).
pub(super) fn masks_fall_back(op: &Op, inputs: &[Input], values: &mut Values) -> PyResult<()> {
    if !op.name.starts_with("masked_") {
        return Ok(());
    }
    let own = &inputs[0].tensor;
    for (value, _) in values
        .iter_mut()
        .zip(op.params)
        .filter(|(_, p)| p.name == "mask")
    {
        let Value::Tensor(mask) = value else { continue };
        if mask.sizes() != own.sizes() && mask.numel() == own.numel() {
            let fits = match op.name {
                "masked_select" => dims::broadcast(op.name, own.sizes(), mask.sizes()).is_ok(),
                _ => mask.expand(own.sizes()).is_ok(),
            };
            tell(op.name, own.sizes(), [&*mask].into_iter(), fits)?;
            if !fits {
                *mask = mask.view_or_copy(own.sizes())?;
            }
        }
    }
    Ok(())
}

/// `source` in the sizes of `to`, for `copy_` between tensors of as many elements; without
/// `broadcast` their number is all that counts.
pub fn for_copy(to: &Tensor, source: &Tensor, broadcast: bool) -> PyResult<Tensor> {
    if to.sizes() == source.sizes() {
        return Ok(source.clone());
    }
    if to.numel() != source.numel() {
        if broadcast {
            return Ok(source.clone());
        }
        return Err(PyRuntimeError::new_err(format!(
            "copy_: without broadcast both tensors need as many elements; got {} and {}",
            sizes_text(to.sizes()),
            sizes_text(source.sizes())
        )));
    }
    let fits = broadcast && source.expand(to.sizes()).is_ok();
    if broadcast {
        tell("copy_", to.sizes(), [source].into_iter(), fits)?;
    }
    let viewed = if fits {
        Ok(source.clone())
    } else {
        source.view_or_copy(to.sizes())
    };
    Ok(viewed?)
}

/// Warns of operands with as many elements but other sizes, if the user wants to know.
fn tell<'a>(
    op: &str,
    sizes: &[i64],
    others: impl Iterator<Item = &'a Tensor>,
    fits: bool,
) -> PyResult<()> {
    if !BROADCAST.load(Relaxed) {
        return Ok(());
    }
    let others: Vec<String> = others.map(|o| sizes_text(o.sizes())).collect();
    let (sizes, others) = (sizes_text(sizes), others.join(" and "));
    let text = if fits {
        format!(
            "{op}: sizes {sizes} and {others} have as many elements and are broadcastable, so they broadcast; before 0.2 they went element by element"
        )
    } else {
        format!(
            "{op}: sizes {sizes} and {others} are not broadcastable but have as many elements: falling back to pointwise order, which is deprecated; make the sizes equal with view()"
        )
    };
    warn(text)
}

fn warn(text: String) -> PyResult<()> {
    attached(|py| {
        let text = CString::new(text).map_err(|_| PyValueError::new_err("a text with a zero"))?;
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)
    })
}

/// Whether reductions should say that dimensions are no longer kept by themselves.
#[inline]
pub(super) fn keepdim_matters() -> bool {
    KEEPDIM.load(Relaxed)
}

/// Says that the default of keepdim has changed (T-55).
pub(super) fn keepdim_hint(op: &Op) -> PyResult<()> {
    warn(format!(
        "{}: the dimension is dropped, as keepdim=False is the default since 0.2; give keepdim to say which is meant",
        op.name
    ))
}

/// Turns a warning on or off, and says how it was; without `on` nothing changes.
#[pyfunction]
#[pyo3(signature = (name, on=None))]
fn _backcompat_warning(name: &str, on: Option<bool>) -> PyResult<bool> {
    let switch = match name {
        "broadcast" => &BROADCAST,
        "keepdim" => &KEEPDIM,
        _ => {
            return Err(PyValueError::new_err(format!(
                "no warning is called '{name}'"
            )));
        }
    };
    Ok(match on {
        Some(on) => switch.swap(on, Relaxed),
        None => switch.load(Relaxed),
    })
}

/// Adds the switch to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(_backcompat_warning, m)?)
}
