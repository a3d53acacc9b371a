//! The narrow form of a drawing in characters: a line for each box, in an order where arrows go down, and a
//! lane for each arrow on its way; where even lanes are too many, each line names where it leads.

use super::canvas::{Canvas, NORTH, SOUTH};
use super::metrics::{cells, shortened};
use super::rank::{Links, index, topological};
use super::{Kind, Picture};

/// The sign of a kind.
pub(super) fn mark(kind: Kind) -> &'static str {
    match kind {
        Kind::Leaf => "\u{25c6}",
        Kind::Constant => "\u{25c7}",
        Kind::Value => "\u{25cb}",
        Kind::Function => "\u{25cf}",
        Kind::Root => "\u{25c9}",
        Kind::Fold => "\u{205e}",
    }
}

/// Draws the boxes as lines of at most `width` columns.
pub(super) fn draw(picture: &Picture, ends: &[(u32, u32)], back: &[bool], width: usize) -> String {
    let on = |e: usize| !back[e] && ends[e].0 != ends[e].1;
    let order = order(picture.nodes.len(), ends, on);
    let (start, list) = index(picture.nodes.len(), ends.iter().map(|end| end.0));
    let leaving = |v: usize| {
        let all = &list[start[v] as usize..start[v + 1] as usize];
        all.iter().map(|&e| e as usize)
    };
    // What a lane cannot show is said in words.
    let words = |v: usize| {
        let node = &picture.nodes[v];
        let mut text = node.lines.join("  ");
        for e in leaving(v) {
            let name = picture.nodes[ends[e].1 as usize]
                .lines
                .first()
                .map_or("", |line| line);
            let label = &picture.edges[e].label;
            match (on(e), label.is_empty()) {
                (true, true) => {}
                (true, false) => text.push_str(&format!("  ({label} \u{2192} {name})")),
                (false, _) if ends[e].0 == ends[e].1 => text.push_str("  (\u{21ba})"),
                (false, _) => text.push_str(&format!("  (\u{2191} {name})")),
            }
        }
        text
    };
    lanes(
        picture,
        ends,
        &order,
        width,
        |v| leaving(v).filter(|&e| on(e)),
        words,
    )
    .unwrap_or_else(|| list_form(picture, ends, &order, width))
}

/// Inputs just before what they feed: what a walk back from the results leaves behind.
fn order(count: usize, ends: &[(u32, u32)], on: impl Fn(usize) -> bool) -> Vec<usize> {
    let (start, mut list) = index(count, ends.iter().map(|end| end.1));
    // The longest way first: short ones, such as weights, then come just before they are used.
    let depth = depths(count, ends, &on);
    for v in 0..count {
        let inputs = &mut list[start[v] as usize..start[v + 1] as usize];
        inputs.sort_by_key(|&e| std::cmp::Reverse(depth[ends[e as usize].0 as usize]));
    }
    let mut leads = vec![false; count];
    for (e, end) in ends.iter().enumerate() {
        leads[end.0 as usize] |= on(e);
    }
    let mut seen = vec![false; count];
    let mut order = Vec::with_capacity(count);
    let mut stack: Vec<(usize, u32)> = Vec::new();
    let results = (0..count).filter(|&v| !leads[v]);
    for root in results.chain(0..count) {
        if std::mem::replace(&mut seen[root], true) {
            continue;
        }
        stack.push((root, start[root]));
        while let Some((v, at)) = stack.pop() {
            if at == start[v + 1] {
                order.push(v);
                continue;
            }
            stack.push((v, at + 1));
            let e = list[at as usize] as usize;
            let input = ends[e].0 as usize;
            if on(e) && !std::mem::replace(&mut seen[input], true) {
                stack.push((input, start[input]));
            }
        }
    }
    order
}

/// How many arrows the longest way to each box has.
fn depths(count: usize, ends: &[(u32, u32)], on: impl Fn(usize) -> bool) -> Vec<u32> {
    let ends: Vec<(u32, u32)> = (0..ends.len())
        .filter(|&e| on(e))
        .map(|e| ends[e])
        .collect();
    let (start, list) = index(count, ends.iter().map(|end| end.0));
    let links = Links {
        count,
        ends,
        gaps: Vec::new(),
    };
    let mut depth = vec![0; count];
    for v in topological(&links) {
        for &e in &list[start[v as usize] as usize..start[v as usize + 1] as usize] {
            let to = links.ends[e as usize].1 as usize;
            depth[to] = depth[to].max(depth[v as usize] + 1);
        }
    }
    depth
}

/// The drawing with lanes, if they leave room for names.
fn lanes<I: Iterator<Item = usize>>(
    picture: &Picture,
    ends: &[(u32, u32)],
    order: &[usize],
    width: usize,
    leaving: impl Fn(usize) -> I,
    words: impl Fn(usize) -> String,
) -> Option<String> {
    let most = (width / 2).min(width - 16) / 2;
    let mut canvas = Canvas::default();
    let mut lanes: Vec<Option<usize>> = Vec::new();
    let mut y = 0;
    // The lane in which the line above ended.
    let mut ended = None;
    for &v in order {
        let arriving: Vec<usize> = (0..lanes.len()).filter(|&i| lanes[i] == Some(v)).collect();
        let home = arriving
            .first()
            .copied()
            .unwrap_or_else(|| free(&mut lanes, v));
        // What starts right below an end would look as if it were led to.
        if arriving.is_empty() && ended == Some(home) {
            lanes[home] = None;
            pass(&mut canvas, &lanes, y);
            lanes[home] = Some(v);
            y += 1;
        }
        if arriving.len() > 1 {
            pass(&mut canvas, &lanes, y);
            canvas.line(2 * home, y, SOUTH | NORTH);
            turn(&mut canvas, home, &arriving[1..], y, NORTH);
            for &i in &arriving[1..] {
                lanes[i] = None;
            }
            y += 1;
        }
        pass(&mut canvas, &lanes, y);
        canvas.write(2 * home, y, mark(picture.nodes[v].kind));
        lanes[home] = None;
        let used = lanes
            .iter()
            .rposition(|lane| lane.is_some())
            .map_or(0, |i| i + 1)
            .max(home + 1);
        let room = width - 2 * used;
        canvas.write(
            2 * used,
            y,
            &shortened(&words(v), |text| cells(text) > room),
        );
        y += 1;
        let mut targets = leaving(v).map(|e| ends[e].1 as usize);
        lanes[home] = targets.next();
        ended = lanes[home].is_none().then_some(home);
        let before = lanes.clone();
        let opened: Vec<usize> = targets.map(|to| free(&mut lanes, to)).collect();
        if lanes.len() > most {
            return None;
        }
        if !opened.is_empty() {
            pass(&mut canvas, &before, y);
            turn(&mut canvas, home, &opened, y, SOUTH);
            y += 1;
        }
    }
    Some(canvas.text())
}

/// The first lane that nothing uses, given to `target`.
fn free(lanes: &mut Vec<Option<usize>>, target: usize) -> usize {
    let at = lanes
        .iter()
        .position(|lane| lane.is_none())
        .unwrap_or(lanes.len());
    if at == lanes.len() {
        lanes.push(None);
    }
    lanes[at] = Some(target);
    at
}

fn pass(canvas: &mut Canvas, lanes: &[Option<usize>], y: usize) {
    for (i, _) in lanes.iter().enumerate().filter(|(_, lane)| lane.is_some()) {
        canvas.down(2 * i, y, 1);
    }
}

/// Joins lanes to the one at `home`; each bends `way`.
fn turn(canvas: &mut Canvas, home: usize, others: &[usize], y: usize, way: u8) {
    let low = others.iter().copied().fold(home, usize::min);
    let high = others.iter().copied().fold(home, usize::max);
    canvas.across(2 * low, 2 * high, y);
    for &i in others {
        canvas.bend(2 * i, y, way);
    }
}

/// A line for each box with the numbers of those it leads to.
fn list_form(picture: &Picture, ends: &[(u32, u32)], order: &[usize], width: usize) -> String {
    let mut place = vec![0; order.len()];
    for (i, &v) in order.iter().enumerate() {
        place[v] = i + 1;
    }
    let (start, list) = index(order.len(), ends.iter().map(|end| end.0));
    let mut text = String::new();
    for (i, &v) in order.iter().enumerate() {
        let node = &picture.nodes[v];
        let mut line = format!("{} {} {}", i + 1, mark(node.kind), node.lines.join("  "));
        for (k, &e) in list[start[v] as usize..start[v + 1] as usize]
            .iter()
            .enumerate()
        {
            line.push_str(if k == 0 { " \u{2192} " } else { ", " });
            line.push_str(&place[ends[e as usize].1 as usize].to_string());
        }
        text.push_str(shortened(&line, |text| cells(text) > width).trim_end());
        text.push('\n');
    }
    text
}
