//! The order of boxes in each layer, with few crossings: medians and barycentres sweep up and down, then
//! neighbours are exchanged and single boxes moved while that helps.

use super::rank::index;
use std::collections::VecDeque;

/// Boxes and the bends of long arrows, in layers; segments join neighbouring layers only.
pub(super) struct Layers {
    pub rows: Vec<Vec<u32>>,
    pub row_of: Vec<u32>,
    /// Upper and lower end of each segment.
    pub segments: Vec<(u32, u32)>,
}

/// The neighbours of every item in the layers above and below.
struct Sides {
    up: (Vec<u32>, Vec<u32>),
    down: (Vec<u32>, Vec<u32>),
}

impl Sides {
    fn new(count: usize, segments: &[(u32, u32)]) -> Sides {
        let mut up = index(count, segments.iter().map(|s| s.1));
        let mut down = index(count, segments.iter().map(|s| s.0));
        up.1.iter_mut().for_each(|e| *e = segments[*e as usize].0);
        down.1.iter_mut().for_each(|e| *e = segments[*e as usize].1);
        Sides { up, down }
    }

    fn of(&self, v: u32, above: bool) -> &[u32] {
        let (start, list) = if above { &self.up } else { &self.down };
        &list[start[v as usize] as usize..start[v as usize + 1] as usize]
    }
}

/// Orders of all layers with few crossings: one, or in a small graph several that are equally good.
pub(super) fn arrange(layers: &Layers) -> Vec<Vec<Vec<u32>>> {
    let count = layers.row_of.len();
    let sides = Sides::new(count, &layers.segments);
    let size = count + layers.segments.len();
    let (starts, sweeps) = match size {
        0..2_500 => (12, 24),
        2_500..5_000 => (4, 24),
        5_000..40_000 => (2, 8),
        _ => (1, 4),
    };
    let small = size < 2_500;
    let mut found: Vec<(u64, Vec<Vec<u32>>)> = Vec::new();
    for start in 0..starts {
        let mut state = State::new(layers, &sides, start % 2 == 1, start / 4);
        let mut least = state.crossings();
        let mut kept = state.rows.clone();
        let mut idle = 0;
        for sweep in 0..sweeps {
            if least == 0 || idle == 6 {
                break;
            }
            state.sweep(sweep % 2 == 0, start % 4 >= 2);
            state.exchange(if size < 5_000 { 12 } else { 2 });
            let crossings = state.crossings();
            if crossings < least {
                least = crossings;
                kept.clone_from(&state.rows);
                idle = 0;
            } else {
                idle += 1;
            }
        }
        if small && least > 0 {
            state = State::of(kept, &sides, count);
            state.sift();
            least = state.crossings();
            kept = state.rows;
        }
        if !found.iter().any(|(_, rows)| *rows == kept) {
            found.push((least, kept));
        }
        if !small && least == 0 {
            break;
        }
    }
    let fewest = found.iter().map(|(least, _)| *least).min();
    found.retain(|(least, _)| Some(*least) == fewest);
    found.truncate(if small { starts } else { 1 });
    found.into_iter().map(|(_, rows)| rows).collect()
}

struct State<'a> {
    rows: Vec<Vec<u32>>,
    at: Vec<u32>,
    sides: &'a Sides,
    tree: Vec<u32>,
}

impl<'a> State<'a> {
    fn of(rows: Vec<Vec<u32>>, sides: &'a Sides, count: usize) -> State<'a> {
        let mut at = vec![0; count];
        for row in &rows {
            for (i, &v) in row.iter().enumerate() {
                at[v as usize] = i as u32;
            }
        }
        State {
            rows,
            at,
            sides,
            tree: Vec::new(),
        }
    }

    /// The order in which a walk meets the items: from above, or from below, in one of three manners.
    fn new(layers: &Layers, sides: &'a Sides, below: bool, manner: usize) -> State<'a> {
        let count = layers.row_of.len();
        let mut rows: Vec<Vec<u32>> = layers
            .rows
            .iter()
            .map(|row| Vec::with_capacity(row.len()))
            .collect();
        let mut seen = vec![false; count];
        let mut stack: VecDeque<u32> = VecDeque::new();
        let roots = layers.rows.iter().flatten().copied();
        let sources: Vec<u32> = roots.filter(|&v| sides.of(v, !below).is_empty()).collect();
        for root in sources {
            stack.push_back(root);
            // Depth first keeps what belongs together; breadth first keeps layers as they were named.
            while let Some(v) = if manner == 2 {
                stack.pop_front()
            } else {
                stack.pop_back()
            } {
                if std::mem::replace(&mut seen[v as usize], true) {
                    continue;
                }
                rows[layers.row_of[v as usize] as usize].push(v);
                // The far side first, so that the near one is met before it.
                for side in [!below, below] {
                    let next = sides.of(v, side);
                    let fresh = |u: &u32| !seen[*u as usize];
                    match manner {
                        0 => stack.extend(next.iter().rev().copied().filter(fresh)),
                        _ => stack.extend(next.iter().copied().filter(fresh)),
                    }
                }
            }
        }
        State::of(rows, sides, count)
    }

    fn crossings(&mut self) -> u64 {
        let mut sum = 0;
        let mut ends: Vec<u32> = Vec::new();
        for r in 1..self.rows.len() {
            ends.clear();
            for &v in &self.rows[r - 1] {
                let from = ends.len();
                ends.extend(self.sides.of(v, false).iter().map(|&u| self.at[u as usize]));
                ends[from..].sort_unstable();
            }
            sum += inversions(&ends, self.rows[r].len(), &mut self.tree);
        }
        sum
    }

    fn settle(&mut self, r: usize) {
        for (i, &v) in self.rows[r].iter().enumerate() {
            self.at[v as usize] = i as u32;
        }
    }

    /// Sorts every layer by where its neighbours in the layer before are.
    fn sweep(&mut self, down: bool, mean: bool) {
        let n = self.rows.len();
        let mut places: Vec<u32> = Vec::new();
        for step in 1..n {
            let r = if down { step } else { n - 1 - step };
            let mut row = std::mem::take(&mut self.rows[r]);
            let mut keyed: Vec<(f64, u32)> = Vec::with_capacity(row.len());
            let mut held: Vec<usize> = Vec::new();
            for (i, &v) in row.iter().enumerate() {
                places.clear();
                places.extend(self.sides.of(v, down).iter().map(|&u| self.at[u as usize]));
                places.sort_unstable();
                match middle(&places, mean) {
                    Some(key) => keyed.push((key, v)),
                    None => held.push(i),
                }
            }
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            // Items without neighbours keep their places.
            let mut sorted = keyed.into_iter().map(|(_, v)| v);
            let mut fixed = held.into_iter().peekable();
            for (i, slot) in row.iter_mut().enumerate() {
                if fixed.peek() == Some(&i) {
                    fixed.next();
                } else if let Some(v) = sorted.next() {
                    *slot = v;
                }
            }
            self.rows[r] = row;
            self.settle(r);
        }
    }

    /// How many segments of `v` and `w` cross with `v` on the left, and with `w` on the left.
    fn pair(&self, v: u32, w: u32, a: &mut Vec<u32>, b: &mut Vec<u32>) -> (u64, u64) {
        let (mut left, mut right) = (0, 0);
        for above in [true, false] {
            a.clear();
            a.extend(self.sides.of(v, above).iter().map(|&u| self.at[u as usize]));
            b.clear();
            b.extend(self.sides.of(w, above).iter().map(|&u| self.at[u as usize]));
            a.sort_unstable();
            b.sort_unstable();
            left += greater(a, b);
            right += greater(b, a);
        }
        (left, right)
    }

    /// Exchanges neighbours while that removes crossings.
    fn exchange(&mut self, passes: usize) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..passes {
            let mut better = false;
            for r in 0..self.rows.len() {
                for i in 1..self.rows[r].len() {
                    let (v, w) = (self.rows[r][i - 1], self.rows[r][i]);
                    let (left, right) = self.pair(v, w, &mut a, &mut b);
                    if right < left {
                        self.rows[r].swap(i - 1, i);
                        self.at[w as usize] = i as u32 - 1;
                        self.at[v as usize] = i as u32;
                        better = true;
                    }
                }
            }
            if !better {
                break;
            }
        }
    }

    /// Tries every place in its layer for every item, a few times over.
    fn sift(&mut self) {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..6 {
            let mut better = false;
            for r in 0..self.rows.len() {
                for v in self.rows[r].clone() {
                    let from = self.at[v as usize] as usize;
                    let mut best = (0i64, from);
                    for rightwards in [false, true] {
                        let mut sum = 0;
                        let others = &self.rows[r];
                        let mut to = from;
                        while if rightwards {
                            to + 1 < others.len()
                        } else {
                            to > 0
                        } {
                            to = if rightwards { to + 1 } else { to - 1 };
                            let (w, sign) = (others[to], if rightwards { 1 } else { -1 });
                            let (left, right) = self.pair(v, w, &mut a, &mut b);
                            sum += sign * (right as i64 - left as i64);
                            if sum < best.0 {
                                best = (sum, to);
                            }
                        }
                    }
                    if best.1 != from {
                        let item = self.rows[r].remove(from);
                        self.rows[r].insert(best.1, item);
                        self.settle(r);
                        better = true;
                    }
                }
            }
            if !better {
                break;
            }
        }
    }
}

/// Pairs (x of `a`, y of `b`) with x > y; both are sorted.
fn greater(a: &[u32], b: &[u32]) -> u64 {
    let (mut sum, mut j) = (0, 0);
    for &x in a {
        while j < b.len() && b[j] < x {
            j += 1;
        }
        sum += j as u64;
    }
    sum
}

/// The weighted median of sorted places, or their mean.
fn middle(places: &[u32], mean: bool) -> Option<f64> {
    let n = places.len();
    if n == 0 {
        return None;
    }
    if mean {
        return Some(places.iter().map(|&p| f64::from(p)).sum::<f64>() / n as f64);
    }
    let at = |i: usize| f64::from(places[i]);
    let m = n / 2;
    if n % 2 == 1 {
        return Some(at(m));
    }
    if n == 2 {
        return Some((at(0) + at(1)) / 2.0);
    }
    let (left, right) = (at(m - 1) - at(0), at(n - 1) - at(m));
    if left + right == 0.0 {
        return Some((at(m - 1) + at(m)) / 2.0);
    }
    Some((at(m - 1) * right + at(m) * left) / (left + right))
}

/// Pairs in the wrong order, counted with a Fenwick tree.
fn inversions(ends: &[u32], width: usize, tree: &mut Vec<u32>) -> u64 {
    tree.clear();
    tree.resize(width + 1, 0);
    let mut sum = 0;
    for (seen, &end) in ends.iter().enumerate() {
        let mut upto = 0;
        let mut i = end as usize + 1;
        while i > 0 {
            upto += tree[i];
            i &= i - 1;
        }
        sum += seen as u64 - u64::from(upto);
        let mut i = end as usize + 1;
        while i <= width {
            tree[i] += 1;
            i += i & i.wrapping_neg();
        }
    }
    sum
}
