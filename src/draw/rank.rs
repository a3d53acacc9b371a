//! Gives each box a layer so that every arrow goes down, with arrows as short as we can make them.
//!
//! Arrows that close a cycle are turned round first; what comes back is always free of cycles.

use super::simplex::{self, Arc};

/// Above this product of boxes and arrows the exact method would take too long to start.
const EXACT: usize = 50_000_000;

/// What the ranking works on: boxes are `0..count`; each arrow has its least distance.
pub(super) struct Links {
    pub count: usize,
    pub ends: Vec<(u32, u32)>,
    pub gaps: Vec<i64>,
}

/// Which arrows to turn round so that no cycle is left: those that lead back in a walk from the sources.
pub(super) fn backward(count: usize, ends: &[(u32, u32)]) -> Vec<bool> {
    let (start, list) = index(count, ends.iter().map(|end| end.0));
    let mut incoming = vec![0u32; count];
    for &(from, to) in ends {
        incoming[to as usize] += u32::from(from != to);
    }
    let mut back = vec![false; ends.len()];
    // 0: not seen, 1: on the walk, 2: done.
    let mut state = vec![0u8; count];
    let mut stack: Vec<(u32, u32)> = Vec::new();
    let sources = (0..count).filter(|&v| incoming[v] == 0);
    for root in sources.chain(0..count) {
        if state[root] != 0 {
            continue;
        }
        state[root] = 1;
        stack.push((root as u32, start[root]));
        while let Some((v, at)) = stack.pop() {
            if at == start[v as usize + 1] {
                state[v as usize] = 2;
                continue;
            }
            stack.push((v, at + 1));
            let edge = list[at as usize] as usize;
            let to = ends[edge].1 as usize;
            match state[to] {
                0 => {
                    state[to] = 1;
                    stack.push((to as u32, start[to]));
                }
                1 => back[edge] = true,
                _ => {}
            }
        }
    }
    back
}

/// The arrows of each box in one array: those of `v` are `list[start[v]..start[v + 1]]`, in their order.
pub(super) fn index(count: usize, keys: impl Iterator<Item = u32> + Clone) -> (Vec<u32>, Vec<u32>) {
    let mut start = vec![0u32; count + 1];
    for key in keys.clone() {
        start[key as usize + 1] += 1;
    }
    for v in 0..count {
        start[v + 1] += start[v];
    }
    let mut at = start.clone();
    let mut list = vec![0u32; start[count] as usize];
    for (edge, key) in keys.enumerate() {
        list[at[key as usize] as usize] = edge as u32;
        at[key as usize] += 1;
    }
    (start, list)
}

/// The boxes with each one after all those that lead to it; there must be no cycle.
pub(super) fn topological(links: &Links) -> Vec<u32> {
    let (start, list) = index(links.count, links.ends.iter().map(|end| end.0));
    let mut waiting = vec![0u32; links.count];
    for end in &links.ends {
        waiting[end.1 as usize] += 1;
    }
    let mut order: Vec<u32> = (0..links.count as u32)
        .filter(|&v| waiting[v as usize] == 0)
        .collect();
    let mut next = 0;
    while next < order.len() {
        let v = order[next] as usize;
        next += 1;
        for &edge in &list[start[v] as usize..start[v + 1] as usize] {
            let to = links.ends[edge as usize].1 as usize;
            waiting[to] -= 1;
            if waiting[to] == 0 {
                order.push(to as u32);
            }
        }
    }
    order
}

/// The layer of each box, from 0; there must be no cycle.
pub(super) fn ranks(links: &Links) -> Vec<i64> {
    let mut rank = longest(links);
    slide(links, &mut rank);
    if links.count.saturating_mul(links.ends.len()) <= EXACT {
        exact(links, &mut rank);
    }
    settle(links, &mut rank);
    rank
}

/// As high as the arrows allow.
fn longest(links: &Links) -> Vec<i64> {
    let mut rank = vec![0; links.count];
    let (start, list) = index(links.count, links.ends.iter().map(|end| end.0));
    for &v in &topological(links) {
        let v = v as usize;
        for &edge in &list[start[v] as usize..start[v + 1] as usize] {
            let to = links.ends[edge as usize].1 as usize;
            rank[to] = rank[to].max(rank[v] + links.gaps[edge as usize]);
        }
    }
    rank
}

/// Moves single boxes towards the side where they have more arrows, a few times over.
fn slide(links: &Links, rank: &mut [i64]) {
    let (out_start, out_list) = index(links.count, links.ends.iter().map(|end| end.0));
    let (in_start, in_list) = index(links.count, links.ends.iter().map(|end| end.1));
    let order = topological(links);
    for sweep in 0..4 {
        let mut moved = false;
        for at in 0..order.len() {
            let v = if sweep % 2 == 0 {
                order[order.len() - 1 - at]
            } else {
                order[at]
            } as usize;
            let outs = &out_list[out_start[v] as usize..out_start[v + 1] as usize];
            let ins = &in_list[in_start[v] as usize..in_start[v + 1] as usize];
            let lowest =
                |&e: &u32| rank[links.ends[e as usize].1 as usize] - links.gaps[e as usize];
            let highest =
                |&e: &u32| rank[links.ends[e as usize].0 as usize] + links.gaps[e as usize];
            let wanted = match outs.len().cmp(&ins.len()) {
                std::cmp::Ordering::Greater => outs.iter().map(lowest).min(),
                std::cmp::Ordering::Less => ins.iter().map(highest).max(),
                std::cmp::Ordering::Equal => None,
            };
            if let Some(wanted) = wanted.filter(|&wanted| wanted != rank[v]) {
                rank[v] = wanted;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
}

/// The least total length, by network simplex; parts that do not hang together are tied to one extra node.
fn exact(links: &Links, rank: &mut Vec<i64>) {
    let mut arcs: Vec<Arc> = Vec::with_capacity(links.ends.len());
    for (&(from, to), &gap) in links.ends.iter().zip(&links.gaps) {
        arcs.push(Arc {
            from,
            to,
            gap,
            weight: 1,
        });
    }
    let extra = links.count as u32;
    let lowest = rank.iter().copied().min().unwrap_or(0);
    for first in parts(links).1 {
        arcs.push(Arc {
            from: extra,
            to: first,
            gap: 0,
            weight: 0,
        });
    }
    rank.push(lowest);
    let steps = (4 * EXACT / arcs.len().max(1)).min(20 * rank.len());
    simplex::tighten(&arcs, rank, steps);
    rank.pop();
}

/// Each part that hangs together starts at layer 0.
fn settle(links: &Links, rank: &mut [i64]) {
    let (part, firsts) = parts(links);
    let mut lowest = vec![i64::MAX; firsts.len()];
    for v in 0..links.count {
        let least = &mut lowest[part[v] as usize];
        *least = (*least).min(rank[v]);
    }
    for v in 0..links.count {
        rank[v] -= lowest[part[v] as usize];
    }
}

/// The number of the part that each box hangs together with, and the first box of each part.
pub(super) fn parts(links: &Links) -> (Vec<u32>, Vec<u32>) {
    let (out_start, out_list) = index(links.count, links.ends.iter().map(|end| end.0));
    let (in_start, in_list) = index(links.count, links.ends.iter().map(|end| end.1));
    let mut part = vec![u32::MAX; links.count];
    let mut firsts = Vec::new();
    let mut stack = Vec::new();
    for root in 0..links.count {
        if part[root] != u32::MAX {
            continue;
        }
        let number = firsts.len() as u32;
        firsts.push(root as u32);
        part[root] = number;
        stack.push(root);
        while let Some(v) = stack.pop() {
            let outs = out_list[out_start[v] as usize..out_start[v + 1] as usize].iter();
            let ins = in_list[in_start[v] as usize..in_start[v + 1] as usize].iter();
            let outs = outs.map(|&e| links.ends[e as usize].1 as usize);
            for other in outs.chain(ins.map(|&e| links.ends[e as usize].0 as usize)) {
                if part[other] == u32::MAX {
                    part[other] = number;
                    stack.push(other);
                }
            }
        }
    }
    (part, firsts)
}
