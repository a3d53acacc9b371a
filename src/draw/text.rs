//! A picture in characters, for terminals: boxes in layers with right-angled arrows where they fit, else
//! one line for each box with the arrows as lanes beside it.

use super::canvas::Canvas;
use super::fold::fold;
use super::lanes;
use super::layout::{Layout, Sizes, lay_out};
use super::metrics::{cells, shortened};
use super::tracks::{Leg, tracks};
use super::{Kind, Picture, words};
use crate::error::Result;

/// No narrower drawing is made.
pub const NARROWEST: usize = 24;
/// No line of a box is wider.
const WIDEST: usize = 36;

/// Draws the picture in at most `width` columns (24 at the least); arrows go down.
pub fn text(picture: &Picture, width: usize) -> Result<String> {
    picture.check()?;
    let width = width.max(NARROWEST);
    let folded = fold(picture);
    let picture = folded.picture.as_ref();
    let mut out = String::new();
    let note = if picture.nodes.is_empty() {
        "Nothing to draw"
    } else {
        &folded.note
    };
    for line in [&picture.title, note]
        .into_iter()
        .filter(|line| !line.trim().is_empty())
    {
        out.push_str(shortened(line, |text| cells(text) > width).trim_end());
        out.push('\n');
    }
    if picture.nodes.is_empty() {
        return Ok(out);
    }
    out.push('\n');
    let back = folded.ranked.back.clone();
    let boxes = Boxes::new(picture, &folded.ends, width);
    // A layer of boxes that cannot fit need not be laid out.
    let mut rows = vec![0.0; picture.nodes.len() + 1];
    for (v, &r) in folded.ranked.rank.iter().enumerate() {
        rows[(r as usize).min(picture.nodes.len())] += boxes.sizes.boxes[v].0 + 1.0;
    }
    let fits = rows.iter().all(|&row| row <= width as f64 + 1.0);
    let drawn = fits.then(|| lay_out(&folded.ends, folded.ranked, &boxes.sizes));
    match drawn.and_then(|layout| boxes.draw(&layout, width)) {
        Some(drawing) => {
            out.push_str(&drawing);
            let swatch = |kind| {
                let [a, b, c, ..] = border(kind);
                format!("{a}{b}{c}")
            };
            legend(&mut out, picture, width, swatch);
        }
        None => {
            out.push_str(&lanes::draw(picture, &folded.ends, &back, width));
            legend(&mut out, picture, width, |kind| {
                lanes::mark(kind).to_string()
            });
        }
    }
    Ok(out)
}

/// The kinds that occur, in lines no wider than `width`.
fn legend(out: &mut String, picture: &Picture, width: usize, sign: impl Fn(Kind) -> String) {
    out.push('\n');
    let mut line = String::new();
    for kind in words::kinds(picture) {
        let key = format!("{} {}", sign(kind), words::kind(kind));
        if !line.is_empty() && cells(&line) + 3 + cells(&key) > width {
            out.push_str(&line);
            out.push('\n');
            line.clear();
        }
        line.push_str(if line.is_empty() { "" } else { "   " });
        line.push_str(&key);
    }
    out.push_str(&line);
    out.push('\n');
}

/// Left above, horizontal, right above, vertical, left below, right below, and where lines leave and enter.
fn border(kind: Kind) -> [&'static str; 8] {
    match kind {
        Kind::Leaf => ["╔", "═", "╗", "║", "╚", "╝", "╤", "╧"],
        Kind::Constant => ["┌", "╌", "┐", "╎", "└", "┘", "┬", "┴"],
        Kind::Value => ["┌", "─", "┐", "│", "└", "┘", "┬", "┴"],
        Kind::Function => ["╭", "─", "╮", "│", "╰", "╯", "┬", "┴"],
        Kind::Root => ["┏", "━", "┓", "┃", "┗", "┛", "┯", "┷"],
        Kind::Fold => ["┌", "┈", "┐", "┊", "└", "┘", "┬", "┴"],
    }
}

/// The boxes of a picture in cells.
struct Boxes<'a> {
    picture: &'a Picture,
    lines: Vec<Vec<String>>,
    labels: Vec<String>,
    sizes: Sizes,
}

impl<'a> Boxes<'a> {
    fn new(picture: &'a Picture, ends: &[(u32, u32)], width: usize) -> Boxes<'a> {
        let count = picture.nodes.len();
        let (mut ins, mut outs, mut own) = (vec![0; count], vec![0; count], vec![false; count]);
        for &(from, to) in ends {
            if from == to {
                own[from as usize] = true;
            } else {
                outs[from as usize] += 1;
                ins[to as usize] += 1;
            }
        }
        let widest = WIDEST.min(width - 5);
        let fit = |line: &str| shortened(line, |text| cells(text) > widest);
        let mut lines: Vec<Vec<String>> = Vec::with_capacity(count);
        let mut boxes = Vec::with_capacity(count);
        for (v, node) in picture.nodes.iter().enumerate() {
            let mut own_lines: Vec<String> = node.lines.iter().map(|line| fit(line)).collect();
            if own_lines.is_empty() {
                own_lines.push(String::new());
            }
            if own[v] {
                own_lines[0] = fit(&format!("{} \u{21ba}", own_lines[0]));
            }
            let letters = own_lines.iter().map(|line| cells(line)).max().unwrap_or(0);
            let ports: usize = ins[v].max(outs[v]);
            // Odd, so that every box has a middle column.
            let wide = (letters + 4).max(2 * ports + 1) | 1;
            boxes.push((wide as f64, own_lines.len() as f64 + 2.0));
            lines.push(own_lines);
        }
        let labels: Vec<String> = picture.edges.iter().map(|edge| fit(&edge.label)).collect();
        let measured = labels
            .iter()
            .map(|label| (!label.is_empty()).then(|| ((cells(label) | 1) as f64, 1.0)));
        let sizes = Sizes {
            boxes,
            labels: measured.collect(),
            bend: 1.0,
            gap: 2.0,
            thin: 1.0,
            even: 0.75,
        };
        Boxes {
            picture,
            lines,
            labels,
            sizes,
        }
    }

    /// The drawing, unless it is too wide or its arrows cannot be kept apart.
    fn draw(&self, layout: &Layout, width: usize) -> Option<String> {
        let count = self.picture.nodes.len();
        let items = layout.x.len();
        let wide: Vec<i64> = layout.size.iter().map(|size| size.0 as i64).collect();
        // Rounding down after adding a half moves neighbours alike, so that their distance stays.
        let mut left: Vec<i64> = (0..items)
            .map(|v| (layout.x[v] - wide[v] as f64 / 2.0 + 0.5).floor() as i64)
            .collect();
        let low = left.iter().copied().min()?;
        left.iter_mut().for_each(|x| *x -= low);
        if (0..items).any(|v| left[v] + wide[v] > width as i64) {
            return None;
        }
        // Where lines may pass: inside a border, or the one column of a bend or a label.
        let inside = |v: u32| {
            let v = v as usize;
            if v < count {
                (left[v] + 1, left[v] + wide[v] - 2)
            } else {
                (left[v] + (wide[v] - 1) / 2, left[v] + (wide[v] - 1) / 2)
            }
        };
        let channels = tracks(layout, inside)?;

        let rows = &layout.layers.rows;
        let mut canvas = Canvas::default();
        let mut y = 0;
        for r in 0..rows.len() {
            if r > 0 {
                let channel = &channels[r - 1];
                let heads = channel.legs.iter().any(|leg| leg.head_up);
                for leg in &channel.legs {
                    self.leg(&mut canvas, leg, y, usize::from(heads), channel.height);
                }
                y += usize::from(heads) + channel.height + 1;
            }
            let depth = rows[r]
                .iter()
                .map(|&v| layout.size[v as usize].1 as usize)
                .max()
                .unwrap_or(0)
                .max(1);
            for &v in &rows[r] {
                let (x, v) = (left[v as usize] as usize, v as usize);
                if v < count {
                    self.frame(&mut canvas, v, x, y, wide[v] as usize);
                } else if wide[v] == 1 && layout.size[v].1 == 0.0 {
                    canvas.down(x, y, depth);
                } else {
                    let at = inside(v as u32).0 as usize;
                    let edge = layout
                        .label_at
                        .iter()
                        .position(|&bend| bend == Some(v as u32))?;
                    canvas.write(x, y, &self.labels[edge]);
                    canvas.down(at, y + 1, depth - 1);
                }
            }
            // Lines start at the border of their own box, however deep the layer is.
            for leg in channels.get(r).map_or(&[][..], |channel| &channel.legs) {
                let v = leg.upper as usize;
                if v < count {
                    let deep = layout.size[v].1 as usize;
                    if !leg.head_up {
                        canvas.write(
                            leg.from as usize,
                            y + deep - 1,
                            border(self.picture.nodes[v].kind)[6],
                        );
                    }
                    canvas.down(leg.from as usize, y + deep, depth - deep);
                }
            }
            if r > 0 {
                for leg in channels[r - 1]
                    .legs
                    .iter()
                    .filter(|leg| (leg.lower as usize) < count && !leg.head_down)
                {
                    canvas.write(
                        leg.to as usize,
                        y,
                        border(self.picture.nodes[leg.lower as usize].kind)[7],
                    );
                }
            }
            y += depth;
        }
        Some(canvas.text())
    }

    fn leg(&self, canvas: &mut Canvas, leg: &Leg, top: usize, heads: usize, height: usize) {
        use super::canvas::{NORTH, SOUTH};
        let (from, to) = (leg.from as usize, leg.to as usize);
        let first = top + heads;
        let end = first + height;
        if heads > 0 && !leg.head_up {
            canvas.down(from, top, 1);
        }
        match leg.track {
            None => canvas.down(from, first, height),
            Some(track) => {
                let bend = first + track;
                canvas.down(from, first, track);
                canvas.line(from, bend, NORTH);
                canvas.across(from, to, bend);
                canvas.line(to, bend, SOUTH);
                canvas.down(to, bend + 1, end - bend - 1);
            }
        }
        if leg.head_up {
            canvas.write(from, top, "\u{25b2}");
        }
        match leg.head_down {
            true => canvas.write(to, end, "\u{25bc}"),
            false => canvas.down(to, end, 1),
        }
    }

    fn frame(&self, canvas: &mut Canvas, v: usize, x: usize, y: usize, wide: usize) {
        let [a, b, c, d, e, f, ..] = border(self.picture.nodes[v].kind);
        let across = b.repeat(wide - 2);
        canvas.write(x, y, &format!("{a}{across}{c}"));
        for (i, line) in self.lines[v].iter().enumerate() {
            let free = wide - 2 - cells(line);
            let (before, after) = (" ".repeat(free / 2), " ".repeat(free - free / 2));
            canvas.write(x, y + 1 + i, &format!("{d}{before}{line}{after}{d}"));
        }
        canvas.write(x, y + 1 + self.lines[v].len(), &format!("{e}{across}{f}"));
    }
}
