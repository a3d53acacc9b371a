//! Makes a huge graph small enough to look at: long chains become one box each, and where that is not
//! enough only the first and last layers stay. Folding never makes a cycle: a chain has one way in and
//! one way out, and everything else that is folded together lies in neighbouring layers.

use super::layout::{Ranked, ranked};
use super::rank::{self, Links};
use super::words::{count, thousands};
use super::{Edge, Kind, Node, Picture};
use std::borrow::Cow;

/// Bends that a layout may have; a graph with more is folded whatever its size.
const BENDS: usize = 100_000;
/// Boxes kept where chains alone do not make a graph small.
const KEPT: usize = 60;
/// Chains from this length are folded, but for this many boxes at either end.
const CHAIN: usize = 8;
const ENDS: usize = 2;

/// A picture of a size that can be laid out, and what was done to it.
pub(super) struct Folded<'a> {
    pub picture: Cow<'a, Picture>,
    pub ends: Vec<(u32, u32)>,
    pub ranked: Ranked,
    /// A sentence about the folding; empty if there was none.
    pub note: String,
}

/// Folds what is too big; the arrows of `picture` are known to be good.
pub(super) fn fold(picture: &Picture) -> Folded<'_> {
    let whole = Cow::Borrowed(picture);
    if picture.nodes.len() <= picture.fold_above {
        let folded = finish(whole, String::new());
        if folded.ranked.bends <= BENDS {
            return folded;
        }
    }
    let mut group = chains(picture);
    let small = contract(picture, &group);
    if small.nodes.len() <= picture.fold_above {
        let note = note(picture, &small);
        let folded = finish(Cow::Owned(small), note);
        if folded.ranked.bends <= BENDS {
            return folded;
        }
    }
    // Chains folded inside a band would only hide in its box: start over from single boxes.
    let ends = ends(picture);
    let back = rank::backward(picture.nodes.len(), &ends);
    let mut links = Links {
        count: picture.nodes.len(),
        ends: Vec::new(),
        gaps: Vec::new(),
    };
    for (e, &(from, to)) in ends.iter().enumerate() {
        if from != to {
            links
                .ends
                .push(if back[e] { (to, from) } else { (from, to) });
            links.gaps.push(1);
        }
    }
    let ranks = rank::ranks(&links);
    let mut kept = KEPT.min(picture.fold_above.max(8));
    loop {
        bands(&links, &ranks, kept, &mut group);
        let small = contract(picture, &group);
        let note = note(picture, &small);
        let folded = finish(Cow::Owned(small), note);
        if folded.ranked.bends <= BENDS || kept <= 8 {
            return folded;
        }
        kept /= 2;
    }
}

fn ends(picture: &Picture) -> Vec<(u32, u32)> {
    picture
        .edges
        .iter()
        .map(|edge| (edge.from as u32, edge.to as u32))
        .collect()
}

fn finish(picture: Cow<'_, Picture>, note: String) -> Folded<'_> {
    let ends = ends(&picture);
    let ranked = ranked(picture.nodes.len(), &ends, |e| {
        !picture.edges[e].label.is_empty()
    });
    Folded {
        picture,
        ends,
        ranked,
        note,
    }
}

fn note(whole: &Picture, small: &Picture) -> String {
    let shown = small
        .nodes
        .iter()
        .filter(|node| node.kind != Kind::Fold)
        .count();
    let (all, hidden) = (whole.nodes.len(), whole.nodes.len() - shown);
    format!(
        "{} of {} are folded away",
        thousands(hidden),
        count(all, "box", "boxes")
    )
}

/// For each box the number of the group it is folded into: its own number if it stays.
fn chains(picture: &Picture) -> Vec<u32> {
    let n = picture.nodes.len();
    // The only way on from a box, and whether there is exactly one way in.
    let (mut next, mut ways_out, mut ways_in) = (vec![0u32; n], vec![0u8; n], vec![0u8; n]);
    for edge in &picture.edges {
        next[edge.from] = edge.to as u32;
        let ways = if edge.label.is_empty() { 1 } else { 2 };
        ways_out[edge.from] = ways_out[edge.from].saturating_add(ways);
        ways_in[edge.to] = ways_in[edge.to].saturating_add(ways);
    }
    let link = |v: usize| ways_out[v] == 1 && ways_in[v] == 1;
    let mut inside = vec![false; n];
    for v in 0..n {
        if link(v) && link(next[v] as usize) {
            inside[next[v] as usize] = true;
        }
    }
    let mut group: Vec<u32> = (0..n as u32).collect();
    let mut run = Vec::new();
    for (first, &inside) in inside.iter().enumerate() {
        if !link(first) || inside {
            continue;
        }
        run.clear();
        let mut v = first;
        while link(v) {
            run.push(v);
            v = next[v] as usize;
        }
        if run.len() >= CHAIN {
            let middle = &run[ENDS..run.len() - ENDS];
            for &v in middle {
                group[v] = middle[0] as u32;
            }
        }
    }
    group
}

/// Keeps about `kept` boxes in the first and last layers; what lies between is folded by parts that hang
/// together, and what is too wide is folded layer by layer.
fn bands(links: &Links, ranks: &[i64], kept: usize, group: &mut [u32]) {
    let height = ranks.iter().max().map_or(0, |&most| most as usize + 1);
    let mut rows = vec![Vec::new(); height];
    for (v, &r) in ranks.iter().enumerate() {
        rows[r as usize].push(v as u32);
        group[v] = v as u32;
    }
    let wide = (kept / 8).max(2);
    let cost = |r: usize| rows[r].len().min(wide + 1);
    let (mut top, mut bottom) = (0, height);
    let (mut above, mut below) = (0, 0);
    while top < bottom {
        if above <= below {
            above += cost(top);
            top += usize::from(above <= kept / 2);
        } else {
            below += cost(bottom - 1);
            bottom -= usize::from(below <= kept / 2);
        }
        if above > kept / 2 && below > kept / 2 {
            break;
        }
    }
    for row in rows[..top].iter().chain(&rows[bottom..]) {
        if row.len() > wide + 1 {
            for &v in &row[wide..] {
                group[v as usize] = row[wide];
            }
        }
    }
    let middle = |v: u32| (top..bottom).contains(&(ranks[v as usize] as usize));
    let inner = links
        .ends
        .iter()
        .copied()
        .filter(|&(a, b)| middle(a) && middle(b))
        .collect();
    let (part, firsts) = rank::parts(&Links {
        count: links.count,
        ends: inner,
        gaps: Vec::new(),
    });
    let separate = firsts.iter().filter(|&&v| middle(v)).count() <= wide;
    let mut one = None;
    for v in 0..links.count as u32 {
        if middle(v) {
            let first = *one.get_or_insert(v);
            group[v as usize] = if separate {
                firsts[part[v as usize] as usize]
            } else {
                first
            };
        }
    }
}

/// The picture with each group as one box; its arrows to one place become one, with their number.
fn contract(picture: &Picture, group: &[u32]) -> Picture {
    let n = picture.nodes.len();
    let mut sizes = vec![0usize; n];
    for &g in group {
        sizes[g as usize] += 1;
    }
    let mut place = vec![0usize; n];
    let mut small = Picture::new(picture.title.clone(), picture.direction);
    small.fold_above = picture.fold_above;
    for (v, node) in picture.nodes.iter().enumerate() {
        if group[v] as usize != v {
            continue;
        }
        place[v] = small.nodes.len();
        small.nodes.push(if sizes[v] == 1 {
            node.clone()
        } else {
            folded(sizes[v], node)
        });
    }
    let big = |v: usize| sizes[group[v] as usize] > 1;
    let mut merged: Vec<(usize, usize, usize)> = Vec::new();
    for (e, edge) in picture.edges.iter().enumerate() {
        let (from, to) = (
            place[group[edge.from] as usize],
            place[group[edge.to] as usize],
        );
        if !big(edge.from) && !big(edge.to) {
            small.edges.push(Edge {
                from,
                to,
                label: edge.label.clone(),
            });
        } else if from != to {
            merged.push((from, to, e));
        }
    }
    merged.sort_unstable();
    for same in merged.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let (from, to, e) = same[0];
        let label = match same.len() {
            1 => picture.edges[e].label.clone(),
            many => format!("\u{d7} {}", thousands(many)),
        };
        small.edges.push(Edge { from, to, label });
    }
    small
}

fn folded(size: usize, first: &Node) -> Node {
    let begins = first.lines.first().map_or("", |line| line.as_str());
    Node {
        lines: vec![format!("\u{2026} {} more \u{2026}", thousands(size))],
        kind: Kind::Fold,
        note: format!(
            "{} folded into one, beginning with {begins}",
            count(size, "box", "boxes")
        ),
    }
}
