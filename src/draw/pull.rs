//! The last step of coordinates: the least total sideways length, exactly, and then symmetry where it costs
//! nothing, so that a box stands over the middle of the two it feeds.

use super::order::Layers;
use super::place::Widths;
use super::simplex::{Arc, tighten};

/// Above this product of items and arcs the start alone takes too long; the given places then stay.
const EXACT: usize = 60_000_000;
/// Arcs looked at in all.
const WORK: usize = 250_000_000;

/// Moves items to where the weighted sideways length of all segments is least; order and gaps stay.
pub(super) fn pull(layers: &Layers, widths: &Widths, x: &mut [f64]) {
    let (items, count) = (x.len(), x.len() + layers.segments.len());
    let mut arcs = Vec::with_capacity(2 * layers.segments.len() + items);
    let mut at = vec![0i64; count];
    for row in &layers.rows {
        let mut before: Option<(u32, i64)> = None;
        for &v in row {
            at[v as usize] = x[v as usize].round() as i64;
            if let Some((u, place)) = before {
                let gap = widths.apart(u, v).ceil() as i64;
                at[v as usize] = at[v as usize].max(place + gap);
                arcs.push(Arc {
                    from: u,
                    to: v,
                    gap,
                    weight: 0,
                });
            }
            before = Some((v, at[v as usize]));
        }
    }
    for (s, &(u, v)) in layers.segments.iter().enumerate() {
        let weight = widths.weight(u, v);
        let left = (items + s) as u32;
        at[left as usize] = at[u as usize].min(at[v as usize]);
        arcs.push(Arc {
            from: left,
            to: u,
            gap: 0,
            weight,
        });
        arcs.push(Arc {
            from: left,
            to: v,
            gap: 0,
            weight,
        });
    }
    if count.saturating_mul(arcs.len()) > EXACT {
        return;
    }
    tighten(&arcs, &mut at, WORK / arcs.len().max(1));
    for (x, &at) in x.iter_mut().zip(&at) {
        *x = at as f64;
    }
    for _ in 0..6 {
        if !balance(layers, widths, x) {
            break;
        }
    }
}

/// Moves groups that hang straight together to the middle of where they may stand at the same cost.
fn balance(layers: &Layers, widths: &Widths, x: &mut [f64]) -> bool {
    let groups = Groups::new(layers, x);
    let n = groups.count;
    // Pull to the left and to the right, by the side above or below on which the other end is.
    let mut pulls = vec![[0i64; 4]; n];
    let (mut low, mut high) = (vec![f64::NEG_INFINITY; n], vec![f64::INFINITY; n]);
    for &(u, v) in &layers.segments {
        for (own, other, below) in [(u, v, true), (v, u, false)] {
            let g = groups.of[own as usize] as usize;
            let by = x[other as usize] - x[own as usize];
            if by == 0.0 {
                continue;
            }
            pulls[g][usize::from(by > 0.0) + 2 * usize::from(below)] += widths.weight(u, v);
            match by > 0.0 {
                true => high[g] = high[g].min(by),
                false => low[g] = low[g].max(by),
            }
        }
    }
    let mut moved = false;
    for g in 0..n {
        let [a, b, c, d] = pulls[g];
        if a != b || c != d || a + c == 0 {
            continue;
        }
        // Other groups may have moved since: what is free is measured from where they are.
        let (mut least, mut most) = (low[g], high[g]);
        for &v in groups.items(g) {
            let row = &layers.rows[layers.row_of[v as usize] as usize];
            let i = groups.place[v as usize] as usize;
            if i > 0 && groups.of[row[i - 1] as usize] as usize != g {
                let u = row[i - 1];
                least = least.max(x[u as usize] + widths.apart(u, v) - x[v as usize]);
            }
            if let Some(&w) = row
                .get(i + 1)
                .filter(|&&w| groups.of[w as usize] as usize != g)
            {
                most = most.min(x[w as usize] - widths.apart(v, w) - x[v as usize]);
            }
        }
        let by = ((low[g] + high[g]) / 2.0).clamp(least.min(0.0), most.max(0.0));
        if by.abs() >= 1.0 {
            moved = true;
            for &v in groups.items(g) {
                x[v as usize] += by;
            }
        }
    }
    moved
}

/// Items that stand exactly over each other and are joined.
struct Groups {
    of: Vec<u32>,
    place: Vec<u32>,
    start: Vec<u32>,
    list: Vec<u32>,
    count: usize,
}

impl Groups {
    fn new(layers: &Layers, x: &[f64]) -> Groups {
        let n = x.len();
        let straight = |s: &&(u32, u32)| x[s.0 as usize] == x[s.1 as usize];
        let ends: Vec<(u32, u32)> = layers.segments.iter().filter(straight).copied().collect();
        let (of, firsts) = super::rank::parts(&super::rank::Links {
            count: n,
            ends,
            gaps: Vec::new(),
        });
        let mut place = vec![0; n];
        for row in &layers.rows {
            for (i, &v) in row.iter().enumerate() {
                place[v as usize] = i as u32;
            }
        }
        let (start, list) = super::rank::index(firsts.len(), of.iter().copied());
        Groups {
            of,
            place,
            start,
            list,
            count: firsts.len(),
        }
    }

    fn items(&self, g: usize) -> &[u32] {
        &self.list[self.start[g] as usize..self.start[g + 1] as usize]
    }
}
