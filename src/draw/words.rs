//! The words of a drawing that are not the picture's own.

use super::{Kind, Picture};

/// Every kind, in the order of the legend.
pub(super) const KINDS: [Kind; 6] = [
    Kind::Leaf,
    Kind::Constant,
    Kind::Value,
    Kind::Function,
    Kind::Root,
    Kind::Fold,
];

/// What the legend says of a kind.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Leaf => "requires grad",
        Kind::Constant => "no grad",
        Kind::Value => "computed",
        Kind::Function => "function",
        Kind::Root => "result",
        Kind::Fold => "folded",
    }
}

/// The kinds that occur, in the order of the legend.
pub(super) fn kinds(picture: &Picture) -> Vec<Kind> {
    KINDS
        .into_iter()
        .filter(|&kind| picture.nodes.iter().any(|node| node.kind == kind))
        .collect()
}

/// A number with commas: `9,998`.
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 box`, `2 boxes`.
pub(super) fn count(n: usize, one: &str, more: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { more })
}
