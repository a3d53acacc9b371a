//! A picture as one SVG file: valid XML that needs nothing from outside, in light and in dark.
//!
//! There are no identifiers in it and every style rule names our class, so that many pictures can share a
//! page; colours always come with a shape, so that they are not needed to tell kinds apart.

use super::fold::fold;
use super::layout::{Layout, Sizes, lay_out};
use super::metrics::{pixels, shortened, unfit};
use super::route::{CORNER, HEAD, PORT, Point, Route, Routes, Stroke, routes};
use super::{Direction, Kind, Picture, words};
use crate::error::Result;
use std::fmt::Write;

const NAME: f64 = 13.0;
const DETAIL: f64 = 11.0;
const TITLE: f64 = 16.0;
const MARGIN: f64 = 24.0;
/// No line of a box is wider.
const WIDEST: f64 = 280.0;
/// A description lists the arrows of pictures up to this many.
const LISTED: usize = 60;

const STYLE: &str = "\
.rgrad-draw{font-family:'Helvetica Neue',Helvetica,Arial,'Liberation Sans',Arimo,sans-serif}\
.rgrad-draw .paper{fill:#fff;stroke:#e3e6eb}\
.rgrad-draw text{fill:#1d2430;font-size:13px;text-anchor:middle}\
.rgrad-draw .name{font-weight:bold}\
.rgrad-draw .small{fill:#59626f;font-size:11px}\
.rgrad-draw .title{font-size:16px;font-weight:bold;text-anchor:start}\
.rgrad-draw .start{text-anchor:start}\
.rgrad-draw .line{fill:none;stroke:#7b8695;stroke-width:1.4}\
.rgrad-draw .head{fill:#7b8695;stroke:none}\
.rgrad-draw .box{stroke-width:1.5}\
.rgrad-draw .ring{fill:none;stroke-width:1.2}\
.rgrad-draw .leaf{fill:#e4f5e9;stroke:#2c8a4b}\
.rgrad-draw .constant{fill:#f2f4f7;stroke:#808b9a;stroke-dasharray:5 3}\
.rgrad-draw .value{fill:#e8f0fd;stroke:#3f74cf}\
.rgrad-draw .function{fill:#fdf2dc;stroke:#b97c1c}\
.rgrad-draw .root{fill:#fde8e6;stroke:#c2413a}\
.rgrad-draw .fold{fill:#f4f0fb;stroke:#8062b8}\
.rgrad-draw g:hover>.box{stroke-width:2.5}\
.rgrad-draw g:hover>.line{stroke:#1d2430;stroke-width:2.2}\
.rgrad-draw g:hover>.head{fill:#1d2430}\
@media (prefers-color-scheme:dark){\
.rgrad-draw .paper{fill:#14181f;stroke:#2b323d}\
.rgrad-draw text{fill:#e7eaf0}\
.rgrad-draw .small{fill:#a5aebb}\
.rgrad-draw .line{stroke:#8c97a6}\
.rgrad-draw .head{fill:#8c97a6}\
.rgrad-draw .leaf{fill:#15311f;stroke:#57bf7b}\
.rgrad-draw .constant{fill:#222832;stroke:#8c97a6}\
.rgrad-draw .value{fill:#152743;stroke:#70a4f4}\
.rgrad-draw .function{fill:#372a11;stroke:#dea648}\
.rgrad-draw .root{fill:#3e1c1b;stroke:#f0786e}\
.rgrad-draw .fold{fill:#271f3a;stroke:#a98be0}\
.rgrad-draw g:hover>.line{stroke:#fff}\
.rgrad-draw g:hover>.head{fill:#fff}}";

/// Draws the picture as SVG.
pub fn svg(picture: &Picture) -> Result<String> {
    picture.check()?;
    let folded = fold(picture);
    let picture = folded.picture.as_ref();
    let sheet = Sheet::new(picture, &folded.ends);
    let layout = lay_out(&folded.ends, folded.ranked, &sheet.sizes);
    let widths: Vec<f64> = sheet
        .boxes
        .iter()
        .map(|&size| sheet.across(size).0)
        .collect();
    let routes = routes(&layout, &widths);
    Ok(sheet.write(&layout, &routes, &folded.note))
}

/// The texts of a picture, measured.
struct Sheet<'a> {
    picture: &'a Picture,
    /// The shortened lines, and the size of the box around them.
    lines: Vec<Vec<String>>,
    boxes: Vec<(f64, f64)>,
    labels: Vec<String>,
    loops: Vec<usize>,
    sizes: Sizes,
}

impl<'a> Sheet<'a> {
    fn new(picture: &'a Picture, ends: &[(u32, u32)]) -> Sheet<'a> {
        let count = picture.nodes.len();
        let (mut ins, mut outs, mut loops) = (
            vec![0usize; count],
            vec![0usize; count],
            vec![0usize; count],
        );
        for &(from, to) in ends {
            if from == to {
                loops[from as usize] += 1;
            } else {
                outs[from as usize] += 1;
                ins[to as usize] += 1;
            }
        }
        let lines: Vec<Vec<String>> = picture
            .nodes
            .iter()
            .map(|node| {
                node.lines
                    .iter()
                    .enumerate()
                    .map(|(i, line)| fit(line, i == 0))
                    .collect()
            })
            .collect();
        let down = picture.direction == Direction::Down;
        let mut boxes = Vec::with_capacity(count);
        for (v, lines) in lines.iter().enumerate() {
            let widest = lines
                .iter()
                .enumerate()
                .map(|(i, line)| {
                    if i == 0 {
                        pixels(line, NAME, true)
                    } else {
                        pixels(line, DETAIL, false)
                    }
                })
                .fold(0.0, f64::max);
            let ports = ins[v].max(outs[v]).max(1) - 1;
            let border = (2.0 * CORNER + PORT * ports as f64).min(600.0);
            // A little more than the letters need, for readers with another typeface.
            let width = (widest * 1.06 + 24.0).max(52.0);
            let height = (14.0 + 16.0 * lines.len() as f64).max(30.0);
            boxes.push(if down {
                (width.max(border).ceil(), height)
            } else {
                (width.ceil(), height.max(border))
            });
        }
        let labels: Vec<String> = picture
            .edges
            .iter()
            .map(|edge| fit(&edge.label, false))
            .collect();
        let mut sheet = Sheet {
            picture,
            lines,
            boxes,
            labels,
            loops,
            sizes: Sizes {
                boxes: Vec::new(),
                labels: Vec::new(),
                bend: 0.0,
                gap: 26.0,
                thin: 18.0,
                even: 0.95,
            },
        };
        sheet.sizes.boxes = (0..count)
            .map(|v| {
                let (across, along) = sheet.across(sheet.boxes[v]);
                let room = if sheet.loops[v] > 0 {
                    2.0 * (16.0 + 8.0 * sheet.loops[v] as f64)
                } else {
                    0.0
                };
                (across + room, along)
            })
            .collect();
        sheet.sizes.labels = sheet
            .labels
            .iter()
            .map(|label| {
                (!label.is_empty()).then(|| {
                    sheet.across(((pixels(label, DETAIL, false) * 1.06 + 6.0).ceil(), 17.0))
                })
            })
            .collect();
        sheet
    }

    /// From (width, height) to (across, along), or back.
    fn across(&self, size: (f64, f64)) -> (f64, f64) {
        match self.picture.direction {
            Direction::Down => size,
            Direction::Right => (size.1, size.0),
        }
    }

    fn write(&self, layout: &Layout, routes: &Routes, note: &str) -> String {
        let picture = self.picture;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (x, size) in layout.x.iter().zip(&layout.size) {
            low = low.min(x - size.0 / 2.0);
            high = high.max(x + size.0 / 2.0);
        }
        if picture.nodes.is_empty() {
            (low, high) = (0.0, 0.0);
        }
        let (wide, tall) = self.across((high - low, routes.height));
        let title = shortened(&picture.title, |t| pixels(t, TITLE, true) > wide.max(520.0));
        let note = if picture.nodes.is_empty() {
            "Nothing to draw"
        } else {
            note
        };
        let kinds = words::kinds(picture);
        let legend = wide
            .max(pixels(&title, TITLE, true))
            .max(pixels(note, DETAIL, false))
            .max(300.0);
        let keys = keys(&kinds, legend);
        let used = keys.iter().map(|key| key.1.0 + key.2).fold(0.0, f64::max);
        let inner = wide
            .max(pixels(&title, TITLE, true) * 1.06)
            .max(pixels(note, DETAIL, false) * 1.06)
            .max(used);
        let mut head = 0.0;
        head += if title.is_empty() { 0.0 } else { 30.0 };
        head += if note.is_empty() { 0.0 } else { 20.0 };
        let foot = keys.last().map_or(0.0, |key| key.1.1 + 14.0 + 24.0);
        let (width, height) = (
            (inner + 2.0 * MARGIN).ceil(),
            (head + tall + foot + 2.0 * MARGIN).ceil(),
        );
        // Where the drawing's own corner comes to lie.
        let corner = (((width - wide) / 2.0).round(), MARGIN + head);
        let place = |p: Point| {
            let (x, y) = self.across((p.0 - low, p.1));
            (x + corner.0, y + corner.1)
        };

        let mut out =
            String::with_capacity(2_000 + 400 * (picture.nodes.len() + picture.edges.len()));
        let (w, h) = (Num(width), Num(height));
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"rgrad-draw\" role=\"img\" width=\"{w}\" \
             height=\"{h}\" viewBox=\"0 0 {w} {h}\" aria-label=\"{}\">\n<title>{}</title>\n<desc>{}</desc>\n<style>{STYLE}</style>\n",
            Xml(&picture.title),
            Xml(&picture.title),
            Xml(&self.describe(note)),
        );
        let _ = writeln!(
            out,
            "<rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
            Num(width - 1.0),
            Num(height - 1.0)
        );
        if !title.is_empty() {
            let (x, y) = (Num(MARGIN), Num(MARGIN + 13.0));
            let _ = writeln!(
                out,
                "<text class=\"title\" x=\"{x}\" y=\"{y}\">{}</text>",
                Xml(&title)
            );
        }
        if !note.is_empty() {
            let (x, y) = (Num(MARGIN), Num(MARGIN + head - 13.0));
            let _ = writeln!(
                out,
                "<text class=\"small start\" x=\"{x}\" y=\"{y}\">{}</text>",
                Xml(note)
            );
        }
        for (e, edge) in picture.edges.iter().enumerate() {
            let _ = write!(
                out,
                "<g data-from=\"{}\" data-to=\"{}\"><title>",
                edge.from, edge.to
            );
            let _ = write!(
                out,
                "{} \u{2192} {}",
                Xml(self.name(edge.from)),
                Xml(self.name(edge.to))
            );
            out.push_str("</title>");
            match &routes.routes[e] {
                Some(route) => self.arrow(&mut out, route, place),
                None => self.knot(&mut out, layout, routes, edge.from, e, place),
            }
            if let Some(bend) = layout.label_at[e] {
                let (x, y) = place((layout.x[bend as usize], routes.y[bend as usize]));
                text(&mut out, "small", x, y + 4.0, &self.labels[e]);
            }
            out.push_str("</g>\n");
        }
        for v in 0..picture.nodes.len() {
            self.node(&mut out, v, place((layout.x[v], routes.y[v])));
        }
        let (left, top) = (MARGIN, height - MARGIN - foot + 24.0);
        for (kind, (x, y), _) in keys {
            out.push_str("<g>");
            shape(
                &mut out,
                kind,
                (left + x + 12.0, top + y + 7.0),
                (24.0, 14.0),
            );
            let (x, y) = (Num(left + x + 32.0), Num(top + y + 11.0));
            let _ = writeln!(
                out,
                "<text class=\"small start\" x=\"{x}\" y=\"{y}\">{}</text></g>",
                words::kind(kind)
            );
        }
        out.push_str("</svg>\n");
        out
    }

    fn name(&self, v: usize) -> &str {
        self.lines[v].first().map_or("", |line| line)
    }

    /// The picture in words, for those who cannot see it.
    fn describe(&self, note: &str) -> String {
        let picture = self.picture;
        let boxes = words::count(picture.nodes.len(), "box", "boxes");
        let arrows = words::count(picture.edges.len(), "arrow", "arrows");
        let mut text = format!("{boxes} and {arrows}.");
        if !note.is_empty() {
            let _ = write!(text, " {note}.");
        }
        for edge in picture
            .edges
            .iter()
            .filter(|_| picture.edges.len() <= LISTED)
        {
            let _ = write!(text, " {} to {}.", self.name(edge.from), self.name(edge.to));
        }
        text
    }

    fn arrow(&self, out: &mut String, route: &Route, place: impl Fn(Point) -> Point) {
        out.push_str("<path class=\"line\" d=\"");
        for stroke in &route.strokes {
            let (letter, points): (char, &[Point]) = match stroke {
                Stroke::Move(p) => ('M', &[*p]),
                Stroke::Line(p) => ('L', &[*p]),
                Stroke::Curve(a, b, c) => ('C', &[*a, *b, *c]),
            };
            out.push(letter);
            for (i, &p) in points.iter().enumerate() {
                let (x, y) = place(p);
                let _ = write!(out, "{}{} {}", if i > 0 { " " } else { "" }, Num(x), Num(y));
            }
        }
        out.push_str("\"/>");
        let (x, y) = route.tip;
        let back = if route.up { HEAD + 1.0 } else { -HEAD - 1.0 };
        head(
            out,
            [
                place((x, y)),
                place((x - 4.0, y + back)),
                place((x + 4.0, y + back)),
            ],
        );
    }

    /// An arrow from a box to itself, beside it.
    fn knot(
        &self,
        out: &mut String,
        layout: &Layout,
        routes: &Routes,
        v: usize,
        e: usize,
        place: impl Fn(Point) -> Point,
    ) {
        let (across, along) = self.across(self.boxes[v]);
        let earlier = self.picture.edges[..e]
            .iter()
            .filter(|edge| edge.from == v && edge.to == v)
            .count();
        let (x, y) = (layout.x[v] + across / 2.0, routes.y[v]);
        let (out_by, up_by) = (18.0 + 8.0 * earlier as f64, along / 4.0);
        let (a, b) = (place((x, y - up_by)), place((x + out_by, y - up_by)));
        let (c, d) = (place((x + out_by, y + up_by)), place((x + HEAD, y + up_by)));
        let _ = write!(
            out,
            "<path class=\"line\" d=\"M{} {}C{} {}",
            Num(a.0),
            Num(a.1),
            Num(b.0),
            Num(b.1)
        );
        let _ = write!(
            out,
            " {} {} {} {}\"/>",
            Num(c.0),
            Num(c.1),
            Num(d.0),
            Num(d.1)
        );
        let tail = |y| place((x + HEAD + 1.0, y));
        head(
            out,
            [
                place((x, y + up_by)),
                tail(y + up_by - 4.0),
                tail(y + up_by + 4.0),
            ],
        );
    }

    fn node(&self, out: &mut String, v: usize, at: Point) {
        let node = &self.picture.nodes[v];
        let _ = write!(out, "<g data-box=\"{v}\"><title>");
        match node.note.is_empty() {
            false => drop(write!(out, "{}", Xml(&node.note))),
            true => drop(write!(
                out,
                "{} ({})",
                Xml(&node.lines.join(" ")),
                words::kind(node.kind)
            )),
        }
        out.push_str("</title>");
        shape(out, node.kind, at, self.boxes[v]);
        let lines = &self.lines[v];
        let mut y = at.1 - 8.0 * lines.len() as f64 + 12.5;
        for (i, line) in lines.iter().enumerate() {
            text(out, if i == 0 { "name" } else { "small" }, at.0, y, line);
            y += 16.0;
        }
        out.push_str("</g>\n");
    }
}

/// A line of a box, shortened if it is too wide.
fn fit(line: &str, bold: bool) -> String {
    let size = if bold { NAME } else { DETAIL };
    shortened(line, |text| pixels(text, size, bold) > WIDEST)
}

/// Where each entry of the legend starts and how wide it is, in rows that are no wider than `room`.
fn keys(kinds: &[Kind], room: f64) -> Vec<(Kind, Point, f64)> {
    let (mut x, mut y) = (0.0, 0.0);
    let mut keys = Vec::with_capacity(kinds.len());
    for &kind in kinds {
        let width = (32.0 + pixels(words::kind(kind), DETAIL, false) * 1.06).ceil();
        if x > 0.0 && x + width > room {
            (x, y) = (0.0, y + 22.0);
        }
        keys.push((kind, (x, y), width));
        x += width + 18.0;
    }
    keys
}

/// The outline of a kind: inputs have corners, what is computed is round, functions are rounder.
fn shape(out: &mut String, kind: Kind, at: Point, size: (f64, f64)) {
    let (class, round) = match kind {
        Kind::Leaf => ("leaf", 1.0),
        Kind::Constant => ("constant", 1.0),
        Kind::Value => ("value", 8.0),
        Kind::Function => ("function", 15.0),
        Kind::Root => ("root", 8.0),
        Kind::Fold => ("fold", 8.0),
    };
    let round = if round > 1.0 {
        f64::min(round, size.1 / 2.0)
    } else {
        1.0
    };
    let mut rect = |class: &str, by: f64, dx: f64, dy: f64| {
        let (x, y) = (at.0 - size.0 / 2.0 + by + dx, at.1 - size.1 / 2.0 + by + dy);
        let (w, h, r) = (
            Num(size.0 - 2.0 * by),
            Num(size.1 - 2.0 * by),
            Num((round - by).max(0.5)),
        );
        let (x, y) = (Num(x), Num(y));
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"{r}\"/>"
        );
    };
    if kind == Kind::Fold {
        rect("ring fold", 0.0, 3.0, 3.0);
    }
    rect(&format!("box {class}"), 0.0, 0.0, 0.0);
    if kind == Kind::Root {
        rect("ring root", 3.0, 0.0, 0.0);
    }
}

fn text(out: &mut String, class: &str, x: f64, y: f64, line: &str) {
    let (x, y) = (Num(x), Num(y));
    let _ = write!(
        out,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>",
        Xml(line)
    );
}

fn head(out: &mut String, points: [Point; 3]) {
    let [a, b, c] = points;
    let _ = write!(
        out,
        "<path class=\"head\" d=\"M{} {}L{} {}",
        Num(a.0),
        Num(a.1),
        Num(b.0),
        Num(b.1)
    );
    let _ = write!(out, "L{} {}Z\"/>", Num(c.0), Num(c.1));
}

/// A coordinate with at most one decimal.
struct Num(f64);

impl std::fmt::Display for Num {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round() as i64;
        let sign = if tenths < 0 { "-" } else { "" };
        let (whole, tenth) = (tenths.unsigned_abs() / 10, tenths.unsigned_abs() % 10);
        match tenth {
            0 => write!(f, "{sign}{whole}"),
            _ => write!(f, "{sign}{whole}.{tenth}"),
        }
    }
}

/// Text that is safe in XML, between tags and in attributes.
struct Xml<'a>(&'a str);

impl std::fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\t' => f.write_char(c)?,
                c if unfit(c) => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
