//! Making tensors: constructors of the classes, `zeros` and its kin, text form, devices.

use super::call::Side;
use super::classes;
use super::construct::{self, cut_at_zero, sizes_from_args};
use super::ending::guard_this;
use super::errors::run;
use super::number::{self, int_readers, number};
use super::numpy;
use super::tensor::{self, PyTensor};
use super::variable::PyVariable;
use super::{memory, storage};
use crate::lock::plain::Mutex;
use crate::ops::Class;
use crate::ops::copy::fill_with;
use crate::ops::device;
use crate::tensor::print::{self, Number, Options};
use crate::tensor::{DType, Device, Held, Scalar, Tensor, class_name};
use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyTuple};

/// The class of `zeros` and `randn` (`set_default_tensor_type`).
static DEFAULT: Mutex<(DType, Device)> = Mutex::new((DType::F32, Device::Cpu));
static PRINT: Mutex<Option<Options>> = Mutex::new(None);

/// The default class.
pub fn default_kind() -> (DType, Device) {
    *DEFAULT.lock()
}

/// `FloatTensor(...)` and its kin (T-15…T-26).
pub fn construct(
    dtype: DType,
    device: Device,
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Held> {
    let name = class_name(dtype, device);
    super::storages::keywords(&name, device, kwargs)?;
    check_gpu(&name, device)?;
    let place = |t: Tensor| -> PyResult<Held> {
        Ok(Held::from(if device == Device::Gpu {
            run(|| device::to_gpu(&t))?
        } else {
            t
        }))
    };
    if args.is_empty() {
        return place(run(|| Tensor::empty(&name, dtype, &[]))?);
    }
    let first = args.get_item(0)?;
    if args.len() == 1 {
        if let Some(root) = storage::storage(&first)
            && root.kind() == (dtype, device)
        {
            return Ok(Held::from(run(|| memory::view_of_storage(&root))?));
        }
        if let Ok(other) = first.cast::<PyTensor>() {
            if other.get().tensor().kind() == (dtype, device) {
                return Ok(Held::from(other.get().tensor().alias()));
            }
        } else if first.cast::<PyVariable>().is_err() && numpy::is_ndarray(&first)? {
            return place(numpy::share_or_convert(&name, &first, dtype)?);
        } else if !tensor::is_size(&first)
            && let Some(items) = construct::sequence(&first)?
        {
            return place(construct::from_sequence(&name, items.as_any(), dtype)?);
        }
    }
    if tensor::is_size(&first) || first.cast::<PyInt>().is_ok() || number::is_index(&first) {
        let sizes = cut_at_zero(sizes_from_args(Side::Tensors, &name, args)?);
        return Ok(Held::from(run(|| {
            device::zeros(&name, dtype, device, &sizes)
        })?));
    }
    let got: Vec<String> = args
        .iter()
        .map(|a| {
            a.get_type()
                .name()
                .map_or_else(|_| "?".into(), |n| n.to_string())
        })
        .collect();
    Err(PyTypeError::new_err(format!(
        "{name} received an invalid combination of arguments - got ({}), but expected one of: no arguments or (int ...) or (torch.Size sizes) or ({name} viewed_tensor) or ({} data) or (sequence data) or (ndarray data)",
        got.join(", "),
        storage::storage_name(dtype, device)
    )))
}

/// Fails where a tensor on the GPU is asked for and there is none (E-140).
pub fn check_gpu(what: &str, device: Device) -> PyResult<()> {
    if device == Device::Cpu {
        return Ok(());
    }
    match crate::gpu::why_not() {
        None => Ok(()),
        Some(why) => Err(PyRuntimeError::new_err(format!("{what}: {why}"))),
    }
}

/// Fails unless `device` is None or the one GPU there is.
pub fn check_device(device: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let Some(device) = device.filter(|d| !d.is_none()) else {
        return Ok(());
    };
    match device.extract::<i64>() {
        Ok(0) | Ok(-1) => Ok(()),
        Ok(i) => Err(PyRuntimeError::new_err(format!(
            "cuda: there is no device {i}; only device 0 is used"
        ))),
        Err(_) => Err(PyTypeError::new_err(format!(
            "cuda: the device is an int; got {}",
            device.get_type().name()?
        ))),
    }
}

/// The text form (spec section 8).
pub fn text_of(t: &Tensor) -> PyResult<String> {
    let on_cpu = run(|| device::to_cpu(t))?;
    let options = PRINT.lock().unwrap_or_default();
    let at = |index: &[i64]| -> Number {
        let place: i64 = index.iter().zip(on_cpu.strides()).map(|(i, s)| i * s).sum();
        crate::dispatch!(any on_cpu.dtype(), T => {
            let v = on_cpu.read::<T>(place);
            if on_cpu.dtype().is_float() {
                Number::Float(crate::tensor::Element::to_f64(v))
            } else {
                Number::Int(crate::tensor::Element::to_i64(v))
            }
        })
    };
    let gpu = (t.device() == Device::Gpu).then_some(0);
    Ok(print::text(
        t.sizes(),
        &class_name(t.dtype(), t.device()),
        gpu,
        &at,
        &options,
    ))
}

/// More digits than any double has.
const MAX_PRECISION: i64 = 1100;
/// So many items at either edge that nothing is left out.
const MAX_EDGE: usize = 1 << 60;

fn out_of_range(name: &str, got: &Bound<'_, PyAny>, last: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!(
        "set_printoptions: {name} is a number from 0 to {last}; got {got}"
    ))
}

/// The value of a print option, an int from 0 to `last`.
fn print_option(name: &str, given: &Bound<'_, PyAny>, last: i64) -> PyResult<usize> {
    guard_this();
    match given.extract::<i64>() {
        Ok(n) if (0..=last).contains(&n) => Ok(n as usize),
        Err(e) if !e.is_instance_of::<PyOverflowError>(given.py()) => {
            Err(PyTypeError::new_err(format!(
                "set_printoptions: {name} is an int from 0 to {last}; got {}",
                construct::type_name(given)
            )))
        }
        _ => Err(out_of_range(name, given, last)),
    }
}

/// Items of text for printing tensors: digits, threshold, items at the edges, line width.
#[pyfunction]
#[pyo3(signature = (precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None))]
fn set_printoptions(
    precision: Option<&Bound<'_, PyAny>>,
    threshold: Option<&Bound<'_, PyAny>>,
    edgeitems: Option<&Bound<'_, PyAny>>,
    linewidth: Option<&Bound<'_, PyAny>>,
    profile: Option<&str>,
) -> PyResult<()> {
    let mut options = PRINT.lock().unwrap_or_default();
    if let Some(name) = profile {
        options = Options::profile(name).ok_or_else(|| {
            PyValueError::new_err(format!(
                "set_printoptions: no profile '{name}'; there are default, short and full"
            ))
        })?;
    }
    if let Some(digits) = precision {
        options.precision = print_option("precision", digits, MAX_PRECISION)?;
    }
    if let Some(items) = edgeitems {
        options.edgeitems = print_option("edgeitems", items, i64::MAX)?.min(MAX_EDGE);
    }
    if let Some(width) = linewidth {
        options.linewidth = print_option("linewidth", width, i64::MAX)?;
    }
    if let Some(count) = threshold {
        options.threshold = match count.extract::<f64>()? {
            // No tensor has that many elements.
            n if n >= 1e18 => usize::MAX,
            n if n >= 0.0 => n as usize,
            _ => return Err(out_of_range("threshold", count, "infinity")),
        };
    }
    *PRINT.lock() = Some(options);
    Ok(())
}

/// A tensor of `sizes` in the default class, or given `out`, filled by `fill`.
pub fn filled<'py>(
    py: Python<'py>,
    op: &str,
    sizes: &Bound<'py, PyTuple>,
    out: Option<&Bound<'py, PyAny>>,
    fill: impl FnOnce(&Tensor) -> PyResult<()>,
) -> PyResult<Py<PyAny>> {
    let sizes = cut_at_zero(sizes_from_args(Side::Tensors, op, sizes)?);
    if let Some(out) = out.filter(|o| !o.is_none()) {
        let Ok(place) = out.cast::<PyTensor>() else {
            return Err(PyTypeError::new_err(format!(
                "{op}: out= must be a tensor; got {}",
                out.get_type().name()?
            )));
        };
        place.get().resize(&sizes)?;
        fill(&place.get().tensor())?;
        return Ok(out.clone().unbind());
    }
    let (dtype, place) = default_kind();
    check_gpu(op, place)?;
    let t = run(|| device::empty(op, dtype, place, &sizes))?;
    fill(&t)?;
    classes::wrap(py, t)
}

/// The sizes of a new tensor, one by one, together, or as `size=`.
pub fn sizes_or<'py>(
    op: &str,
    sizes: &Bound<'py, PyTuple>,
    size: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyTuple>> {
    match size {
        None => Ok(sizes.clone()),
        Some(size) if sizes.is_empty() => PyTuple::new(sizes.py(), [size]),
        Some(_) => Err(PyTypeError::new_err(format!(
            "{op}: the sizes are given twice, by place and as size=; give them once: {op}(2, 3), {op}((2, 3)) or {op}(size=(2, 3))"
        ))),
    }
}

/// A tensor of zeros in the default class.
#[pyfunction]
#[pyo3(signature = (*sizes, size=None, out=None))]
fn zeros<'py>(
    py: Python<'py>,
    sizes: &Bound<'py, PyTuple>,
    size: Option<&Bound<'py, PyAny>>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    filled(py, "zeros", &sizes_or("zeros", sizes, size)?, out, |t| {
        run(|| fill_with(t, Scalar::Int(0)))
    })
}

/// A tensor of ones in the default class.
#[pyfunction]
#[pyo3(signature = (*sizes, size=None, out=None))]
fn ones<'py>(
    py: Python<'py>,
    sizes: &Bound<'py, PyTuple>,
    size: Option<&Bound<'py, PyAny>>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    filled(py, "ones", &sizes_or("ones", sizes, size)?, out, |t| {
        run(|| fill_with(t, Scalar::Int(1)))
    })
}

/// A vector or matrix of doubles that are computed by place, in the default class or `out`.
pub(super) fn computed<'py>(
    py: Python<'py>,
    op: &str,
    sizes: &[i64],
    out: Option<&Bound<'py, PyAny>>,
    value: impl Fn(i64) -> f64,
) -> PyResult<Py<PyAny>> {
    let flat = run(|| {
        let flat = Tensor::empty(op, DType::F64, sizes)?;
        for i in 0..flat.numel() as i64 {
            flat.write(i, value(i));
        }
        Ok(flat)
    })?;
    filled(
        py,
        op,
        &PyTuple::new(py, [PyTuple::new(py, sizes)?])?,
        out,
        |t| {
            run(|| {
                crate::ops::in_place::refuse_repeats(op, t)?;
                crate::ops::copy::copy_into(t, &flat)
            })
        },
    )
}

/// Fails unless the class of the result, that of `out` or the default one, has fractions.
pub(super) fn floats_only(op: &str, out: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let place = out.and_then(|o| o.cast::<PyTensor>().ok());
    let dtype = place.map_or(default_kind().0, |p| p.get().tensor().dtype());
    if Class::Float.has(dtype) {
        return Ok(());
    }
    Err(crate::tensor::dtype::not_float(op, dtype).into())
}

fn real(op: &str, v: &Bound<'_, PyAny>) -> PyResult<f64> {
    match number(op, v)? {
        Some(n) => Ok(n.f64()),
        None => Err(PyTypeError::new_err(format!(
            "{op}: needs numbers; got {}",
            v.get_type().name()?
        ))),
    }
}

fn steps(op: &str, start: f64, end: f64, step: f64, closed: bool) -> PyResult<i64> {
    if step == 0.0 {
        return Err(PyRuntimeError::new_err(format!(
            "{op}: the step must not be zero; got {step}"
        )));
    }
    if !step.is_finite() {
        return Err(PyRuntimeError::new_err(format!(
            "{op}: the step must be finite; got {step}"
        )));
    }
    if !start.is_finite() || !end.is_finite() {
        return Err(PyRuntimeError::new_err(format!(
            "{op}: start and end must be finite; got {start} and {end}"
        )));
    }
    if (end - start) * step < 0.0 {
        return Err(PyRuntimeError::new_err(format!(
            "{op}: steps of {step} do not lead from {start} to {end}; turn the sign of the step"
        )));
    }
    let n = (end - start) / step;
    Ok(if closed {
        n.floor() as i64 + 1
    } else {
        n.ceil() as i64
    })
}

/// The numbers from `start` (or 0) to before `end`, `step` apart.
#[pyfunction]
#[pyo3(signature = (*args, out=None, start=None, end=None, step=None))]
fn arange<'py>(
    py: Python<'py>,
    args: &Bound<'py, PyTuple>,
    out: Option<&Bound<'py, PyAny>>,
    start: Option<&Bound<'py, PyAny>>,
    end: Option<&Bound<'py, PyAny>>,
    step: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let given: PyResult<Vec<f64>> = args.iter().map(|a| real("arange", &a)).collect();
    let given = given?;
    let named = |v: Option<&Bound<'py, PyAny>>| v.map(|v| real("arange", v)).transpose();
    let (start, end, step) = match (given.as_slice(), named(start)?, named(end)?, named(step)?) {
        ([e], s, None, t) => (s.unwrap_or(0.0), *e, t.unwrap_or(1.0)),
        ([s, e], None, None, t) => (*s, *e, t.unwrap_or(1.0)),
        ([s, e, t], None, None, None) => (*s, *e, *t),
        ([], s, Some(e), t) => (s.unwrap_or(0.0), e, t.unwrap_or(1.0)),
        _ => {
            return Err(PyTypeError::new_err(
                "arange: expected (end) or (start, end) or (start, end, step)",
            ));
        }
    };
    let n = steps("arange", start, end, step, false)?;
    let sizes: Vec<i64> = if n == 0 { vec![] } else { vec![n] };
    computed(py, "arange", &sizes, out, |i| start + i as f64 * step)
}

/// The numbers from `start` to `end`, both included, `step` apart (deprecated since 0.2; use arange).
#[pyfunction]
#[pyo3(signature = (start, end, step=1.0, out=None))]
fn range<'py>(
    py: Python<'py>,
    start: f64,
    end: f64,
    step: f64,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    PyErr::warn(
        py,
        &py.get_type::<pyo3::exceptions::PyUserWarning>(),
        c"torch.range is deprecated in favor of torch.arange and will be removed in 0.3; note that arange does not include the end",
        1,
    )?;
    let n = steps("range", start, end, step, true)?;
    computed(py, "range", &[n], out, |i| start + i as f64 * step)
}

int_readers! {
    linspace_steps = Tensors "linspace" "(number start, number end, int steps=100)";
    eye_rows or eye_columns = Tensors "eye" "(int n, int m=n)";
}

/// `steps` numbers from `start` to `end`, evenly spaced, both included.
#[pyfunction]
#[pyo3(signature = (start, end, steps=100, out=None))]
fn linspace<'py>(
    py: Python<'py>,
    start: f64,
    end: f64,
    #[pyo3(from_py_with = linspace_steps)] steps: i64,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    floats_only("linspace", out)?;
    if steps < 1 || (steps == 1 && start != end) {
        return Err(PyRuntimeError::new_err(format!(
            "linspace: {steps} steps cannot hold both {start} and {end}; ask for at least 2"
        )));
    }
    let width = if steps == 1 {
        0.0
    } else {
        (end - start) / (steps - 1) as f64
    };
    computed(py, "linspace", &[steps], out, |i| start + i as f64 * width)
}

/// A matrix with ones on its diagonal, n x n or n x m.
#[pyfunction]
#[pyo3(signature = (n, m=None, out=None))]
fn eye<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = eye_rows)] n: i64,
    #[pyo3(from_py_with = eye_columns)] m: Option<i64>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let m = m.unwrap_or(n);
    if n < 1 || m < 1 {
        return Err(PyRuntimeError::new_err(format!(
            "eye: needs positive sizes; got {n} x {m}"
        )));
    }
    computed(py, "eye", &[n, m], out, |i| f64::from(i / m == i % m))
}

fn like<'py>(
    op: &str,
    input: &Bound<'py, PyAny>,
    value: i64,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let py = input.py();
    if let Some(out) = out.filter(|o| !o.is_none()) {
        let (like, place) = (tensor::raw(op, input)?, tensor::raw(op, out)?);
        crate::tensor::dtype::same(op, like.kind(), place.kind())?;
        let sizes = PyTuple::new(py, [PyTuple::new(py, like.sizes())?])?;
        return filled(py, op, &sizes, Some(out), |t| {
            run(|| fill_with(t, Scalar::Int(value)))
        });
    }
    let make = |t: &Tensor| {
        run(|| {
            let y = device::empty(op, t.dtype(), t.device(), t.sizes())?;
            fill_with(&y, Scalar::Int(value))?;
            Ok(y)
        })
    };
    if let Ok(v) = input.cast::<PyVariable>() {
        return PyVariable::fresh(py, make(&v.get().var.tensor())?.into());
    }
    classes::wrap(py, make(&tensor::raw(op, input)?)?)
}

/// Zeros of the input's size and class.
#[pyfunction]
#[pyo3(signature = (input, out=None))]
fn zeros_like<'py>(
    input: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    like("zeros_like", input, 0, out)
}

/// Ones of the input's size and class.
#[pyfunction]
#[pyo3(signature = (input, out=None))]
fn ones_like<'py>(
    input: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Py<PyAny>> {
    like("ones_like", input, 1, out)
}

/// A tensor on the memory of a NumPy array.
#[pyfunction]
fn from_numpy(array: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    classes::wrap(array.py(), numpy::from_numpy(array)?)
}

/// Sets the class of `zeros`, `randn` and their kin by its name (T-2).
#[pyfunction]
fn _set_default_tensor_type(name: &str) -> PyResult<()> {
    for dtype in DType::EVERY {
        for place in [Device::Cpu, Device::Gpu] {
            if class_name(dtype, place) == name {
                *DEFAULT.lock() = (dtype, place);
                return Ok(());
            }
        }
    }
    Err(PyTypeError::new_err(format!(
        "set_default_tensor_type: needs the name of a tensor class such as 'torch.FloatTensor'; got '{name}'"
    )))
}

/// The number of elements.
#[pyfunction]
fn numel(input: &Bound<'_, PyAny>) -> PyResult<usize> {
    match super::call::Operand::of(input) {
        Some(o) => Ok(o.tensor().numel()),
        None => Err(PyTypeError::new_err(format!(
            "numel: needs a tensor; got {}",
            input.get_type().name()?
        ))),
    }
}

/// Adds the functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(zeros, m)?)?;
    m.add_function(wrap_pyfunction!(ones, m)?)?;
    m.add_function(wrap_pyfunction!(arange, m)?)?;
    m.add_function(wrap_pyfunction!(range, m)?)?;
    m.add_function(wrap_pyfunction!(linspace, m)?)?;
    m.add_function(wrap_pyfunction!(eye, m)?)?;
    m.add_function(wrap_pyfunction!(zeros_like, m)?)?;
    m.add_function(wrap_pyfunction!(ones_like, m)?)?;
    m.add_function(wrap_pyfunction!(from_numpy, m)?)?;
    m.add_function(wrap_pyfunction!(set_printoptions, m)?)?;
    m.add_function(wrap_pyfunction!(_set_default_tensor_type, m)?)?;
    m.add_function(wrap_pyfunction!(numel, m)?)?;
    m.add_function(wrap_pyfunction!(tensor::is_tensor, m)?)?;
    m.add_function(wrap_pyfunction!(super::dlpack::_to_dlpack, m)?)?;
    m.add_function(wrap_pyfunction!(super::dlpack::_from_dlpack, m)?)?;
    m.add_function(wrap_pyfunction!(classes::_tensor_class, m)?)?;
    m.add_function(wrap_pyfunction!(super::storages::_storage_class, m)?)?;
    m.add_function(wrap_pyfunction!(tensor::_set_size_class, m)?)?;
    Ok(())
}
