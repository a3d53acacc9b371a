//! From boxes and arrows to layers and coordinates; `svg` and `text` both draw what this gives.

use super::order::{self, Layers};
use super::place::{self, Widths};
use super::rank::{self, Links};

/// Sizes across and along the layers, in the unit of the drawing.
pub(super) struct Sizes {
    pub boxes: Vec<(f64, f64)>,
    /// For each arrow, the size of its label, if it has one.
    pub labels: Vec<Option<(f64, f64)>>,
    /// The width of a bend without one.
    pub bend: f64,
    pub gap: f64,
    pub thin: f64,
    /// How much shorter a drawing must be to be preferred to a symmetric one: 0.75 is a quarter.
    pub even: f64,
}

/// Where everything is. Items are the boxes, then the bends of long arrows.
pub(super) struct Layout {
    pub layers: Layers,
    pub size: Vec<(f64, f64)>,
    /// The centre of each item across the layers.
    pub x: Vec<f64>,
    /// The items of each arrow from its upper end to its lower; empty for one from a box to itself.
    pub chains: Vec<Vec<u32>>,
    /// Arrows drawn upwards, because they close a cycle.
    pub back: Vec<bool>,
    /// For each arrow, the bend that carries its label.
    pub label_at: Vec<Option<u32>>,
}

/// The layers of a graph before order and coordinates.
pub(super) struct Ranked {
    pub rank: Vec<i64>,
    pub back: Vec<bool>,
    /// How many bends the long arrows need.
    pub bends: usize,
}

/// Gives each box a layer.
pub(super) fn ranked(
    count: usize,
    ends: &[(u32, u32)],
    labelled: impl Fn(usize) -> bool,
) -> Ranked {
    let back = rank::backward(count, ends);
    let mut links = Links {
        count,
        ends: Vec::new(),
        gaps: Vec::new(),
    };
    for (e, &(from, to)) in ends.iter().enumerate() {
        if from != to {
            links
                .ends
                .push(if back[e] { (to, from) } else { (from, to) });
            links.gaps.push(if labelled(e) { 2 } else { 1 });
        }
    }
    let rank = rank::ranks(&links);
    let span = |&(a, b): &(u32, u32)| (rank[b as usize] - rank[a as usize]) as usize;
    let bends = links.ends.iter().map(|end| span(end) - 1).sum();
    Ranked { rank, back, bends }
}

/// Lays a graph out.
pub(super) fn lay_out(ends: &[(u32, u32)], ranked: Ranked, sizes: &Sizes) -> Layout {
    let Ranked { rank, back, .. } = ranked;
    let count = sizes.boxes.len();
    let height = rank.iter().max().map_or(0, |&most| most as usize + 1);
    let mut layers = Layers {
        rows: vec![Vec::new(); height],
        row_of: Vec::new(),
        segments: Vec::new(),
    };
    let mut size = sizes.boxes.clone();
    for (v, &r) in rank.iter().enumerate() {
        layers.rows[r as usize].push(v as u32);
        layers.row_of.push(r as u32);
    }
    let mut chains = Vec::with_capacity(ends.len());
    let mut label_at = vec![None; ends.len()];
    for (e, &(from, to)) in ends.iter().enumerate() {
        if from == to {
            chains.push(Vec::new());
            continue;
        }
        let (upper, lower) = if back[e] { (to, from) } else { (from, to) };
        let (top, bottom) = (layers.row_of[upper as usize], layers.row_of[lower as usize]);
        let mut chain = vec![upper];
        for r in top + 1..bottom {
            let bend = layers.row_of.len() as u32;
            let label = sizes.labels[e].filter(|_| r == (top + bottom) / 2);
            label_at[e] = label_at[e].or(label.map(|_| bend));
            layers.row_of.push(r);
            layers.rows[r as usize].push(bend);
            size.push(label.unwrap_or((sizes.bend, 0.0)));
            chain.push(bend);
        }
        chain.push(lower);
        layers
            .segments
            .extend(chain.windows(2).map(|two| (two[0], two[1])));
        chains.push(chain);
    }
    let bend = (0..size.len()).map(|v| v >= count).collect();
    let of = size.iter().map(|s| s.0).collect();
    let widths = Widths {
        of,
        bend,
        gap: sizes.gap,
        thin: sizes.thin,
        even: sizes.even,
    };
    let mut best: Option<(f64, Vec<Vec<u32>>, Vec<f64>)> = None;
    for mut rows in order::arrange(&layers) {
        let mut unlike = out_of_order(&rows, count as u32);
        if unlike > 0.5 {
            rows.iter_mut().for_each(|row| row.reverse());
            unlike = 1.0 - unlike;
        }
        layers.rows = rows;
        let (x, length) = place::centres(&layers, &widths);
        // Boxes in the order they were named in are worth some length.
        let cost = length * (1.0 + 0.2 * unlike);
        if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
            best = Some((cost, layers.rows.clone(), x));
        }
    }
    let (_, rows, x) = best.unwrap_or_default();
    layers.rows = rows;
    Layout {
        layers,
        size,
        x,
        chains,
        back,
        label_at,
    }
}

/// The share of neighbours that do not stand in the order they were named in.
fn out_of_order(rows: &[Vec<u32>], count: u32) -> f64 {
    let (mut wrong, mut all) = (0, 0);
    for row in rows {
        let mut last = None;
        for &v in row.iter().filter(|&&v| v < count) {
            if let Some(before) = last {
                wrong += usize::from(before > v);
                all += 1;
            }
            last = Some(v);
        }
    }
    if all == 0 {
        0.0
    } else {
        wrong as f64 / all as f64
    }
}
