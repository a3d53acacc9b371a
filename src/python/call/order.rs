//! In which order and under which names 0.3 takes the arguments of a row, on tensors and on
//! Variables.
//!
//! Most rows have 0.3's own order: operands, then the other arguments, except that an index tensor
//! and what stands before it come first. What differs from that is listed here.

use crate::ops::{Kind, Op};
use crate::tensor::Value;

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Tensors,
    Variables,
}

/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Operand(usize),
    Param(usize),
}

/// One argument of an overload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub name: &'static str,
    pub place: Place,
    /// Taken by its name only.
    pub named: bool,
    /// May be left out before others that are given by position.
    pub skips: bool,
    pub default: Option<fn() -> Value>,
}

/// One way to call a row.
pub(super) struct Overload {
    pub op: &'static Op,
    pub slots: Vec<Slot>,
    /// Whether errors and help name it; not where another one covers it.
    pub shown: bool,
}

/// Rows whose numbers stand before the operands on tensors, and in old programs on Variables (O-9).
const NUMBERS_FIRST: [&str; 9] = [
    "add", "sub", "addcmul", "addcdiv", "addmm", "addmv", "addr", "addbmm", "baddbmm",
];

/// All ways to call `rows`, which share a name, in the order they are tried.
pub(super) fn overloads(rows: &[&'static Op], side: Side) -> Vec<Overload> {
    let mut all = Vec::new();
    for op in rows {
        let slots = |places: Vec<Place>| -> Vec<Slot> {
            places
                .into_iter()
                .map(|place| slot(op, rows, side, place))
                .collect()
        };
        let mut add = |slots: Vec<Slot>| {
            all.push(Overload {
                op,
                slots,
                shown: true,
            });
        };
        let operands = (1..op.inputs.len()).map(Place::Operand);
        let params = (0..op.params.len()).map(Place::Param);
        if !(NUMBERS_FIRST.contains(&op.name) && op.inputs.len() > 1 && !op.params.is_empty()) {
            add(slots(natural(op, side)));
            continue;
        }
        // `add(value, other)`, but `addmm(beta, self, alpha, mat1, mat2)`.
        let mut old: Vec<Place> = params.clone().chain(operands.clone()).collect();
        old.insert(usize::from(op.params.len() > 1), Place::Operand(0));
        let mut old = slots(old);
        for slot in &mut old {
            slot.skips = matches!(slot.place, Place::Param(_));
            slot.default = slot.default.or(slot.skips.then_some(|| Value::Int(1)));
        }
        if side == Side::Variables {
            let mut first = vec![Place::Operand(0)];
            first.extend(operands.chain(params));
            let mut slots = slots(first);
            for slot in &mut slots {
                slot.named = matches!(slot.place, Place::Param(_));
                slot.default = slot.default.or(slot.named.then_some(|| Value::Int(1)));
            }
            add(slots);
            // Here the first number is what tells the old order from the other.
            if let Some(first) = old.iter_mut().find(|s| s.skips) {
                (first.skips, first.default) = (false, None);
            }
        }
        add(old);
    }
    // The scaled form with its default says the same as the form without a scale.
    let scaled: Vec<usize> = all.iter().filter_map(|o| covered(o, &all)).collect();
    for at in scaled {
        all[at].shown = false;
    }
    all
}

/// Which overload `scaled` covers, if it has a number that may be left out.
fn covered(scaled: &Overload, all: &[Overload]) -> Option<usize> {
    let numbers = scaled.slots.iter().filter(|s| s.skips || s.named).count();
    all.iter().position(|o| {
        numbers == 1
            && o.op.params.is_empty()
            && o.op.inputs.len() == scaled.op.inputs.len()
            && NUMBERS_FIRST.contains(&o.op.name)
    })
}

/// Operands and arguments where nothing special is known of the row.
fn natural(op: &Op, side: Side) -> Vec<Place> {
    let mut params: Vec<usize> = (0..op.params.len()).collect();
    let at = |name: &str| op.params.iter().position(|p| p.name == name);
    if side == Side::Variables
        && matches!(op.name, "std" | "var")
        && let (Some(unbiased), Some(keepdim)) = (at("unbiased"), at("keepdim"))
    {
        // The release takes (dim, keepdim, unbiased) here.
        params.swap(unbiased, keepdim);
    }
    let index = |p: &usize| matches!(op.params[*p].kind, Kind::Tensor | Kind::OptionalTensor);
    let leading = params.iter().rposition(index).map_or(0, |last| last + 1);
    let mut places = Vec::with_capacity(op.inputs.len() + params.len());
    let base_first = op.rule.node == "PowConstantBackward";
    if !base_first {
        places.push(Place::Operand(0));
    }
    places.extend(params[..leading].iter().map(|&p| Place::Param(p)));
    places.extend((1..op.inputs.len()).map(Place::Operand));
    places.extend(params[leading..].iter().map(|&p| Place::Param(p)));
    if base_first {
        places.push(Place::Operand(0));
    }
    places
}

fn slot(op: &'static Op, rows: &[&'static Op], side: Side, place: Place) -> Slot {
    let (name, default, named) = match place {
        Place::Operand(0) => ("input", None, false),
        Place::Operand(i) => (operand_name(op, i), None, false),
        Place::Param(i) => {
            let p = &op.params[i];
            (
                param_name(op, rows, side, p.name),
                p.default,
                by_name_only(op, side, p.name),
            )
        }
    };
    Slot {
        name,
        place,
        named,
        skips: false,
        default,
    }
}

/// Formulas are written in single letters; this is what 0.3 calls the operands.
fn operand_name(op: &'static Op, at: usize) -> &'static str {
    match (op.name, op.inputs[at]) {
        ("mm" | "bmm", "b") => "mat2",
        ("mv", "v") => "vec",
        ("ger", "b" | "v") => "vec2",
        ("dot", "b") => "tensor",
        (_, "a" | "b" | "o") => "other",
        (_, name) => name,
    }
}

fn param_name(
    op: &'static Op,
    rows: &[&'static Op],
    side: Side,
    name: &'static str,
) -> &'static str {
    match (op.name, name) {
        // The number is called as the operand in its place would be (T-83).
        (_, "value")
            if side == Side::Variables
                && op.inputs.len() == 1
                && rows
                    .iter()
                    .any(|r| r.inputs.len() == 2 && r.forms.broadcasts) =>
        {
            "other"
        }
        ("add" | "sub", "alpha") if side == Side::Tensors => "value",
        ("expand" | "view" | "as_strided", "sizes") => "size",
        ("as_strided", "strides") => "stride",
        ("as_strided", "offset") => "storage_offset",
        ("select", "index") if side == Side::Variables => "sliceIndex",
        _ => name,
    }
}

/// What stands behind `*` in 0.3's signatures.
fn by_name_only(op: &Op, side: Side, name: &str) -> bool {
    let has_dim = op.params.iter().any(|p| p.name == "dim");
    match op.name {
        "clamp" => side == Side::Tensors && op.params.len() == 1,
        "sort" => side == Side::Tensors && !has_dim,
        "topk" => side == Side::Tensors && !has_dim && name != "k",
        "btrifact" => true,
        _ => false,
    }
}
