//! Coordinates across the layers: items of a layer keep their order and never overlap, and long arrows are
//! straight between their ends. Four extreme alignments are made (after Brandes and Koepf) and their middle
//! taken, unless what `pull` finds is shorter.

use super::order::Layers;
use super::pull::pull;
use super::rank::index;

/// What coordinates are computed from: the width of each item, and which items are bends of a long arrow.
pub(super) struct Widths {
    pub of: Vec<f64>,
    pub bend: Vec<bool>,
    /// The room between two boxes, and between two items of which one is a bend.
    pub gap: f64,
    pub thin: f64,
    /// The share of a symmetric drawing's length below which a shorter one is preferred.
    pub even: f64,
}

impl Widths {
    /// The least distance of two neighbours' centres.
    pub(super) fn apart(&self, left: u32, right: u32) -> f64 {
        let (left, right) = (left as usize, right as usize);
        let gap = if self.bend[left] || self.bend[right] {
            self.thin
        } else {
            self.gap
        };
        (self.of[left] + self.of[right]) / 2.0 + gap
    }

    /// What it costs to lead a segment sideways: the inside of a long arrow should be straight.
    pub(super) fn weight(&self, upper: u32, lower: u32) -> i64 {
        [1, 2, 8][usize::from(self.bend[upper as usize]) + usize::from(self.bend[lower as usize])]
    }
}

/// The centre of each item across the layers, and about how long all lines become.
pub(super) fn centres(layers: &Layers, widths: &Widths) -> (Vec<f64>, f64) {
    let count = layers.row_of.len();
    if count == 0 {
        return (Vec::new(), 0.0);
    }
    let grid = Grid::new(layers, widths);
    let crossed = grid.crossed();
    let mut four: Vec<Vec<f64>> = Vec::with_capacity(4);
    for above in [true, false] {
        for mirror in [false, true] {
            four.push(grid.aligned(&crossed, above, mirror));
        }
    }
    // All four start or end where the narrowest one does.
    let extents: Vec<(f64, f64)> = four.iter().map(|x| grid.extent(x)).collect();
    let narrow = (0..4)
        .min_by(|&a, &b| (extents[a].1 - extents[a].0).total_cmp(&(extents[b].1 - extents[b].0)));
    let (low, high) = extents[narrow.unwrap_or(0)];
    for (i, x) in four.iter_mut().enumerate() {
        let by = if i % 2 == 0 {
            low - extents[i].0
        } else {
            high - extents[i].1
        };
        x.iter_mut().for_each(|x| *x += by);
    }
    let x: Vec<f64> = (0..count)
        .map(|v| {
            let mut at = [four[0][v], four[1][v], four[2][v], four[3][v]];
            at.sort_unstable_by(f64::total_cmp);
            (at[1] + at[2]) / 2.0
        })
        .collect();
    // Symmetric if that is about as short.
    let mut short = x.clone();
    pull(layers, widths, &mut short);
    let lengths = (length(layers, widths, &x), length(layers, widths, &short));
    if lengths.1 < widths.even * lengths.0 {
        (short, lengths.1)
    } else {
        (x, lengths.0)
    }
}

/// About how long all lines are that these places ask for.
fn length(layers: &Layers, widths: &Widths, x: &[f64]) -> f64 {
    let down = 1.3 * widths.gap;
    // Lines leave a box towards where they go, so that wide boxes shorten them.
    let lean = |v: u32, across: f64| match widths.bend[v as usize] {
        true => 0.0,
        false => (0.3 * across).min(0.4 * widths.of[v as usize]),
    };
    let line = |&(u, v): &(u32, u32)| {
        let across = (x[u as usize] - x[v as usize]).abs();
        let across = across - lean(u, across) - lean(v, across);
        (across * across + down * down).sqrt()
    };
    layers.segments.iter().map(line).sum()
}

struct Grid<'a> {
    layers: &'a Layers,
    widths: &'a Widths,
    at: Vec<u32>,
    // Neighbour and segment, by place.
    up: Vec<Vec<(u32, u32)>>,
    down: Vec<Vec<(u32, u32)>>,
}

impl<'a> Grid<'a> {
    fn new(layers: &'a Layers, widths: &'a Widths) -> Grid<'a> {
        let count = layers.row_of.len();
        let mut at = vec![0; count];
        for row in &layers.rows {
            for (i, &v) in row.iter().enumerate() {
                at[v as usize] = i as u32;
            }
        }
        let (mut up, mut down) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for (s, &(upper, lower)) in layers.segments.iter().enumerate() {
            up[lower as usize].push((upper, s as u32));
            down[upper as usize].push((lower, s as u32));
        }
        for list in up.iter_mut().chain(&mut down) {
            list.sort_by_key(|&(v, s)| (at[v as usize], s));
        }
        Grid {
            layers,
            widths,
            at,
            up,
            down,
        }
    }

    fn inner(&self, v: u32) -> Option<u32> {
        let &(u, _) = self.up[v as usize].first()?;
        (self.widths.bend[v as usize] && self.widths.bend[u as usize]).then_some(u)
    }

    /// Segments that cross the inside of a long arrow give way to it.
    fn crossed(&self) -> Vec<bool> {
        let mut crossed = vec![false; self.layers.segments.len()];
        for pair in self.layers.rows.windows(2) {
            let (upper, lower) = (&pair[0], &pair[1]);
            let (mut low, mut next) = (0, 0);
            for (i, &v) in lower.iter().enumerate() {
                let inner = self.inner(v);
                if inner.is_none() && i + 1 < lower.len() {
                    continue;
                }
                let high = inner.map_or(upper.len() as u32, |u| self.at[u as usize]);
                while next <= i {
                    for &(u, s) in &self.up[lower[next] as usize] {
                        let k = self.at[u as usize];
                        crossed[s as usize] |= k < low || k > high;
                    }
                    next += 1;
                }
                low = high;
            }
        }
        crossed
    }

    /// One of the four extreme layouts: blocks follow medians above or below, packed to one side.
    fn aligned(&self, crossed: &[bool], above: bool, mirror: bool) -> Vec<f64> {
        let count = self.at.len();
        let sides = if above { &self.up } else { &self.down };
        let mut root: Vec<u32> = (0..count as u32).collect();
        let mut taken = vec![false; count];
        let mut joined = vec![false; count];
        let n = self.layers.rows.len();
        for step in 0..n {
            let row = &self.layers.rows[if above { step } else { n - 1 - step }];
            let mut bound: Option<u32> = None;
            for i in 0..row.len() {
                let v = row[if mirror { row.len() - 1 - i } else { i }] as usize;
                let d = sides[v].len();
                if d == 0 {
                    continue;
                }
                let mut medians = [(d - 1) / 2, d / 2];
                if mirror {
                    medians.reverse();
                }
                for m in medians {
                    let (u, s) = sides[v][m];
                    let place = self.at[u as usize];
                    let free = bound.is_none_or(|b| if mirror { place < b } else { place > b });
                    if !joined[v] && !crossed[s as usize] && free && !taken[u as usize] {
                        taken[u as usize] = true;
                        joined[v] = true;
                        root[v] = root[u as usize];
                        bound = Some(place);
                    }
                }
            }
        }
        self.packed(&root, mirror)
    }

    /// Blocks as far to one side as they go, then drawn back to what they touch on the other.
    fn packed(&self, root: &[u32], mirror: bool) -> Vec<f64> {
        let count = root.len();
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut apart: Vec<f64> = Vec::new();
        for row in &self.layers.rows {
            for two in row.windows(2) {
                let (a, b) = (root[two[0] as usize], root[two[1] as usize]);
                pairs.push(if mirror { (b, a) } else { (a, b) });
                apart.push(self.widths.apart(two[0], two[1]));
            }
        }
        let links = super::rank::Links {
            count,
            ends: pairs,
            gaps: Vec::new(),
        };
        let order = super::rank::topological(&links);
        let (start, list) = index(count, links.ends.iter().map(|p| p.0));
        let mut x = vec![0.0f64; count];
        for &b in &order {
            for &p in &list[start[b as usize] as usize..start[b as usize + 1] as usize] {
                let to = links.ends[p as usize].1 as usize;
                x[to] = x[to].max(x[b as usize] + apart[p as usize]);
            }
        }
        for &b in order.iter().rev() {
            let mut room = f64::INFINITY;
            for &p in &list[start[b as usize] as usize..start[b as usize + 1] as usize] {
                room = room.min(x[links.ends[p as usize].1 as usize] - apart[p as usize]);
            }
            if room.is_finite() {
                x[b as usize] = x[b as usize].max(room);
            }
        }
        let sign = if mirror { -1.0 } else { 1.0 };
        root.iter().map(|&r| sign * x[r as usize]).collect()
    }

    fn extent(&self, x: &[f64]) -> (f64, f64) {
        let mut extent = (f64::INFINITY, f64::NEG_INFINITY);
        for (x, w) in x.iter().zip(&self.widths.of) {
            extent = (extent.0.min(x - w / 2.0), extent.1.max(x + w / 2.0));
        }
        extent
    }
}
