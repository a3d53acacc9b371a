//! Positions along the layers, the places where arrows leave and enter boxes, and the lines between.
//!
//! Lines turn only between layers and run straight through them, so no line touches a box that is not its
//! own. Points are (across, along): (x, y) for a picture that goes down.

use super::layout::Layout;

pub(super) type Point = (f64, f64);

/// A part of a line, drawn from its upper end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stroke {
    Move(Point),
    Line(Point),
    Curve(Point, Point, Point),
}

/// An arrow: its line, and its head with the way it points along the layers.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub strokes: Vec<Stroke>,
    pub tip: Point,
    pub up: bool,
}

/// Everything that `svg` needs, in pixels.
pub(super) struct Routes {
    /// The centre of each box and label along the layers, by item.
    pub y: Vec<f64>,
    /// None for an arrow from a box to itself.
    pub routes: Vec<Option<Route>>,
    pub height: f64,
}

/// The length of an arrow's head.
pub(super) const HEAD: f64 = 8.0;
/// The least distance of two arrows at a box.
pub(super) const PORT: f64 = 10.0;
/// What stays free of arrows at both ends of a border.
pub(super) const CORNER: f64 = 12.0;
/// How far an arrow's end leans towards its other end.
const LEAN: f64 = 0.3;

/// Where each arrow meets its upper and its lower box, across the layers.
fn ports(layout: &Layout, widths: &[f64]) -> Vec<(f64, f64)> {
    let mut ports = vec![(0.0, 0.0); layout.chains.len()];
    let mut lower_side: Vec<Vec<(f64, u32, usize)>> = vec![Vec::new(); widths.len()];
    let mut upper_side = lower_side.clone();
    for (e, chain) in layout.chains.iter().enumerate() {
        if let [first, second, ..] = chain[..] {
            let [.., before, last] = chain[..] else {
                continue;
            };
            lower_side[first as usize].push((layout.x[second as usize], second, e));
            upper_side[last as usize].push((layout.x[before as usize], before, e));
        }
    }
    let room = |v: usize| {
        let half = (widths[v] / 2.0 - CORNER).max(0.0);
        (layout.x[v] - half, layout.x[v] + half)
    };
    for (sides, upper) in [(&mut lower_side, true), (&mut upper_side, false)] {
        for (v, side) in sides.iter_mut().enumerate() {
            // Bends of parallel arrows have different numbers, in the order of the arrows.
            side.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
            let (low, high) = room(v);
            // Leaning towards the other end, about where a straight line between the centres would pass.
            let lean = |x: f64| (layout.x[v] + LEAN * (x - layout.x[v])).clamp(low, high);
            let wants: Vec<f64> = side.iter().map(|&(x, _, _)| lean(x)).collect();
            let step = ((high - low) / (side.len().max(2) - 1) as f64).min(1.6 * PORT);
            for (&(_, _, e), x) in side.iter().zip(spread(&wants, low, high, step)) {
                *(if upper {
                    &mut ports[e].0
                } else {
                    &mut ports[e].1
                }) = x;
            }
        }
    }
    // Nearly straight becomes straight where the borders have room.
    for (e, chain) in layout.chains.iter().enumerate() {
        let free =
            |v: usize, side: &[(f64, u32, usize)], upper: bool, to: f64, ports: &[(f64, f64)]| {
                let at = |e: usize| if upper { ports[e].0 } else { ports[e].1 };
                let clear = |&(_, _, other): &(f64, u32, usize)| {
                    other == e
                        || ((at(other) < at(e)) == (at(other) < to)
                            && (at(other) - to).abs() >= PORT)
                };
                room(v).0 <= to && to <= room(v).1 && side.iter().all(clear)
            };
        let [first, second, ..] = chain[..] else {
            continue;
        };
        let [.., before, last] = chain[..] else {
            continue;
        };
        let (u, v) = (first as usize, last as usize);
        if chain.len() == 2 {
            let (low, high) = (room(u).0.max(room(v).0), room(u).1.min(room(v).1));
            let to = ((ports[e].0 + ports[e].1) / 2.0).min(high).max(low);
            if free(u, &lower_side[u], true, to, &ports)
                && free(v, &upper_side[v], false, to, &ports)
            {
                ports[e] = (to, to);
            }
            continue;
        }
        let (to, from) = (layout.x[second as usize], layout.x[before as usize]);
        if free(u, &lower_side[u], true, to, &ports) {
            ports[e].0 = to;
        }
        if free(v, &upper_side[v], false, from, &ports) {
            ports[e].1 = from;
        }
    }
    ports
}

/// Places at least `step` apart, in order, as near to the wanted ones as that allows.
pub(super) fn spread(want: &[f64], low: f64, high: f64, step: f64) -> Vec<f64> {
    // Means over runs, so that what remains never falls: (sum, how many).
    let mut runs: Vec<(f64, usize)> = Vec::new();
    for (i, &w) in want.iter().enumerate() {
        let mut run = (w - step * i as f64, 1);
        while let Some(&before) = runs.last() {
            if before.0 / before.1 as f64 <= run.0 / run.1 as f64 {
                break;
            }
            run = (run.0 + before.0, run.1 + before.1);
            runs.pop();
        }
        runs.push(run);
    }
    let most = (high - step * (want.len() as f64 - 1.0)).max(low);
    let mut places = Vec::with_capacity(want.len());
    for (sum, many) in runs {
        let base = (sum / many as f64).clamp(low, most);
        for _ in 0..many {
            places.push(base + step * places.len() as f64);
        }
    }
    places
}

/// Draws every arrow; `widths` are those of the boxes themselves.
pub(super) fn routes(layout: &Layout, widths: &[f64]) -> Routes {
    let ports = ports(layout, widths);
    let rows = &layout.layers.rows;
    let depth: Vec<f64> = rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|&v| layout.size[v as usize].1)
                .fold(0.0, f64::max)
        })
        .collect();
    // The more lines run sideways, the more room they get to do it in.
    let mut reach = vec![0.0f64; rows.len()];
    for (chain, port) in layout.chains.iter().zip(&ports) {
        for i in 1..chain.len() {
            let (a, b) = (chain[i - 1] as usize, chain[i] as usize);
            let from = if i == 1 { port.0 } else { layout.x[a] };
            let to = if i + 1 == chain.len() {
                port.1
            } else {
                layout.x[b]
            };
            let r = layout.layers.row_of[b] as usize;
            reach[r] = reach[r].max((to - from).abs());
        }
    }
    let mut top = Vec::with_capacity(rows.len());
    let mut along = 0.0;
    for r in 0..rows.len() {
        if r > 0 {
            along += (30.0 + reach[r] * 0.05).clamp(34.0, 54.0).round();
        }
        top.push(along);
        along += depth[r];
    }
    let y: Vec<f64> = layout
        .layers
        .row_of
        .iter()
        .map(|&r| top[r as usize] + depth[r as usize] / 2.0)
        .collect();
    let mut routes = Vec::with_capacity(layout.chains.len());
    for (e, chain) in layout.chains.iter().enumerate() {
        let [first, .., last] = chain[..] else {
            routes.push(None);
            continue;
        };
        let up = layout.back[e];
        let half = |v: u32| layout.size[v as usize].1 / 2.0;
        let (start, end) = (
            (ports[e].0, y[first as usize] + half(first)),
            (ports[e].1, y[last as usize] - half(last)),
        );
        let tip = if up { start } else { end };
        let mut pen = Pen::new(if up { (start.0, start.1 + HEAD) } else { start });
        let floor = |v: u32| {
            let r = layout.layers.row_of[v as usize] as usize;
            (top[r], top[r] + depth[r])
        };
        pen.down(floor(first).1.max(pen.at.1));
        for &bend in &chain[1..chain.len() - 1] {
            let x = layout.x[bend as usize];
            let (above, below) = floor(bend);
            pen.curve((x, above));
            if layout.label_at[e] == Some(bend) {
                pen.down(y[bend as usize] - half(bend));
                pen.lift((x, y[bend as usize] + half(bend)));
            }
            pen.down(below);
        }
        let stop = if up { end.1 } else { end.1 - HEAD };
        pen.curve((end.0, floor(last).0.min(stop)));
        pen.down(stop);
        routes.push(Some(Route {
            strokes: pen.strokes,
            tip,
            up,
        }));
    }
    Routes {
        y,
        routes,
        height: along,
    }
}

/// Draws a line downwards, joining straight parts.
struct Pen {
    at: Point,
    strokes: Vec<Stroke>,
}

impl Pen {
    fn new(at: Point) -> Pen {
        Pen {
            at,
            strokes: vec![Stroke::Move(at)],
        }
    }

    fn down(&mut self, along: f64) {
        if along <= self.at.1 {
            return;
        }
        self.at.1 = along;
        match self.strokes.last_mut() {
            Some(Stroke::Line(end)) => *end = self.at,
            _ => self.strokes.push(Stroke::Line(self.at)),
        }
    }

    fn curve(&mut self, to: Point) {
        if (to.0 - self.at.0).abs() < 0.05 {
            self.at.0 = to.0;
            return self.down(to.1);
        }
        let k = (to.1 - self.at.1) / 2.0;
        self.strokes.push(Stroke::Curve(
            (self.at.0, self.at.1 + k),
            (to.0, to.1 - k),
            to,
        ));
        self.at = to;
    }

    fn lift(&mut self, to: Point) {
        self.strokes.push(Stroke::Move(to));
        self.at = to;
    }
}
