//! Methods and functions made from the op table, the identity of wrapper objects, and objects of
//! Python that PyO3 would not make without a panic when memory is short.

use super::call::{self, Form, Group, Side};
use super::errors::guard;
use super::tensor::PyTensor;
use super::variable::PyVariable;
use crate::tensor::{DType, Device};
use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple, PyType};
use smallvec::SmallVec;
use std::ffi::{CString, c_char};
use std::sync::OnceLock;

static GROUPS: OnceLock<Vec<Group>> = OnceLock::new();

/// The most op names that can have methods.
const ROOM: usize = 256;

type Entry = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// What Python calls for group `I` in form `F`; one function each, because a method descriptor
/// carries no data.
unsafe extern "C" fn entry<const I: usize, const F: u8>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the arguments are Python's, passed on as they came.
    unsafe { enter(I, Form::from(F), slf, args, count, names) }
}

/// The body of every [`entry`], compiled once.
///
/// # Safety
/// As Python calls a method with the vectorcall convention.
unsafe fn enter(
    group: usize,
    form: Form,
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls with the interpreter attached.
    let py = unsafe { Python::assume_attached() };
    let result = guard(|| {
        let groups = GROUPS.get().map(Vec::as_slice).unwrap_or_default();
        let group = &groups[group];
        // SAFETY: the vectorcall convention: `count` positional arguments, then one for each name.
        // All outlive the call.
        let argument = |i: usize| unsafe { Bound::from_borrowed_ptr(py, *args.add(i)) };
        // SAFETY: a method's first argument is its object.
        let object = || unsafe { Bound::from_borrowed_ptr(py, slf) };
        let own = (form != Form::Function).then(object);
        let count = count as usize;
        if names.is_null() && form != Form::InPlace && count + usize::from(own.is_some()) <= 3 {
            let operands: SmallVec<[Bound<'_, PyAny>; 3]> = own
                .iter()
                .cloned()
                .chain((0..count).map(argument))
                .collect();
            if let Some(made) = call::plain(py, group, form, &operands)? {
                return Ok(made);
            }
        }
        // SAFETY: Python's, as above.
        let names = unsafe { Bound::from_borrowed_ptr_or_opt(py, names) };
        let names = match &names {
            Some(names) => names.cast::<PyTuple>()?.iter().collect(),
            None => Vec::new(),
        };
        let positional: SmallVec<[Bound<'_, PyAny>; 4]> = (0..count).map(argument).collect();
        let named = names.into_iter().enumerate();
        let keywords: Vec<_> = named.map(|(i, n)| (n, argument(count + i))).collect();
        call::call(py, group, form, own.as_ref(), &positional, &keywords)
    });
    match result {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

macro_rules! entries {
    ($form:literal; $($i:literal)*) => { [$(entry::<$i, $form>),*] };
}

macro_rules! in_each_form {
    ($($i:literal)*) => {
        [entries!(0; $($i)*), entries!(1; $($i)*), entries!(2; $($i)*)]
    };
}

#[rustfmt::skip]
static ENTRIES: [[Entry; ROOM]; 3] = in_each_form!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95
    96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127
    128 129 130 131 132 133 134 135 136 137 138 139 140 141 142 143 144 145 146 147 148 149 150 151 152 153 154 155 156 157 158 159
    160 161 162 163 164 165 166 167 168 169 170 171 172 173 174 175 176 177 178 179 180 181 182 183 184 185 186 187 188 189 190 191
    192 193 194 195 196 197 198 199 200 201 202 203 204 205 206 207 208 209 210 211 212 213 214 215 216 217 218 219 220 221 222 223
    224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255
);

/// Gives the classes their methods and the module its functions.
pub fn install(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let groups = GROUPS.get_or_init(call::groups);
    let (tensors, variables) = (py.get_type::<PyTensor>(), py.get_type::<PyVariable>());
    let halves = [Device::Cpu, Device::Gpu].map(|p| super::classes::class_of(py, DType::F16, p));
    for (i, group) in groups.iter().enumerate() {
        for (form, entries) in ENTRIES.iter().enumerate() {
            let form = Form::from(form as u8);
            if !group.has(form) {
                continue;
            }
            let name = if form == Form::InPlace {
                format!("{}_", group.name)
            } else {
                group.name.into()
            };
            let Some(entry) = entries.get(i) else {
                return Err(pyo3::exceptions::PyImportError::new_err(
                    "the op table outgrew its entries",
                ));
            };
            let def = definition(&name, *entry, &group.doc(form, Side::Tensors));
            if form == Form::Function {
                // SAFETY: `def` lives as long as the process.
                let function = unsafe {
                    Bound::from_owned_ptr_or_err(
                        py,
                        ffi::PyCFunction_NewEx(def, std::ptr::null_mut(), std::ptr::null_mut()),
                    )?
                };
                m.add(&*name, function)?;
                continue;
            }
            let narrow = group.only_for(form);
            if narrow.is_none() && !group.moves_only(form) {
                let missing = Py::new(py, super::classes::Missing(name.clone()))?;
                for class in &halves {
                    class.setattr(&*name, &missing)?;
                }
            }
            let holders: Vec<Bound<'_, PyType>> = match narrow {
                None => vec![tensors.clone(), variables.clone()],
                Some(dtypes) => {
                    let places = [Device::Cpu, Device::Gpu];
                    let each = dtypes
                        .iter()
                        .flat_map(|d| places.map(|p| super::classes::class_of(py, *d, p)));
                    each.chain([variables.clone()]).collect()
                }
            };
            let of_variables = definition(&name, *entry, &group.doc(form, Side::Variables));
            for class in &holders {
                let def = if class.is(&variables) {
                    of_variables
                } else {
                    def
                };
                // SAFETY: as above, and `class` is a live type object.
                let method = unsafe {
                    Bound::from_owned_ptr_or_err(
                        py,
                        ffi::PyDescr_NewMethod(class.as_type_ptr(), def),
                    )?
                };
                class.setattr(&*name, method)?;
            }
        }
    }
    Ok(())
}

/// A method definition that lives as long as the process, as Python requires.
fn definition(name: &str, entry: Entry, doc: &str) -> *mut ffi::PyMethodDef {
    let text = |s: &str| -> *const c_char {
        CString::new(s.replace('\0', ""))
            .unwrap_or_default()
            .into_raw()
    };
    Box::into_raw(Box::new(ffi::PyMethodDef {
        ml_name: text(name),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: entry,
        },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: text(doc),
    }))
}

/// The object that wraps the Variable whose note this is, if it lives.
///
/// The note is written by [`PyVariable`] when it is made and cleared when it is dropped.
pub fn noted<'py>(py: Python<'py>, note: usize) -> Option<Bound<'py, PyAny>> {
    let object = note as *mut ffi::PyObject;
    if object.is_null() {
        return None;
    }
    // SAFETY: the note is cleared before the object's memory is given back; an object on its way
    // out has no references left and is not handed out again.
    unsafe { (ffi::Py_REFCNT(object) > 0).then(|| Bound::from_borrowed_ptr(py, object)) }
}

/// Whether `object` is exactly of `class`, or of a class made from it.
#[inline(always)]
pub fn is_exact(object: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> bool {
    // SAFETY: both are live objects.
    unsafe { std::ptr::eq(ffi::Py_TYPE(object.as_ptr()), class.as_type_ptr()) }
}

/// A list of `size` items, made one by one.
///
/// # Errors
/// `MemoryError` when there is no room, where PyO3's own would panic; what `item` fails with.
pub fn list<'py>(
    py: Python<'py>,
    size: usize,
    mut item: impl FnMut(usize) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let Ok(length) = isize::try_from(size) else {
        return Err(PyMemoryError::new_err("there are no lists of that length"));
    };
    // SAFETY: a new list or null with an exception set.
    let list = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_New(length))? };
    for i in 0..length {
        let item = item(i as usize)?.into_ptr();
        // SAFETY: nobody else has seen the list, the place is inside it and empty, and the item
        // is given away.
        unsafe { ffi::PyList_SetItem(list.as_ptr(), i, item) };
    }
    Ok(list.cast_into::<PyList>()?)
}

/// A Python float, or `MemoryError`.
#[inline]
pub fn float(py: Python<'_>, value: f64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: a new float or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyFloat_FromDouble(value)) }
}

/// A Python int, or `MemoryError`.
#[inline]
pub fn int(py: Python<'_>, value: i64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: a new int or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyLong_FromLongLong(value)) }
}
