//! Right-angled lines between two layers of a drawing of characters: each leaves and enters at a column of
//! its own and turns on a row where nothing else turns, so that lines meet only where they cross.

use super::layout::Layout;
use super::route::spread;

/// A piece of an arrow between neighbouring layers.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    pub upper: u32,
    pub lower: u32,
    pub from: i64,
    pub to: i64,
    /// The row on which it turns; None if it is straight.
    pub track: Option<usize>,
    pub head_up: bool,
    pub head_down: bool,
}

/// What lies between two layers.
#[derive(Debug, Clone, Default)]
pub(super) struct Channel {
    pub legs: Vec<Leg>,
    /// Rows for turning.
    pub height: usize,
}

/// Finds a way for every arrow; `inside` says between which columns an item can be met. None if some layer's
/// lines would each have to turn before the other.
pub(super) fn tracks(layout: &Layout, inside: impl Fn(u32) -> (i64, i64)) -> Option<Vec<Channel>> {
    let height = layout.layers.rows.len();
    let mut channels = vec![Channel::default(); height.max(1) - 1];
    for (e, chain) in layout.chains.iter().enumerate() {
        for (i, two) in chain.windows(2).enumerate() {
            let r = layout.layers.row_of[two[0] as usize] as usize;
            let head_up = layout.back[e] && i == 0;
            let head_down = !layout.back[e] && i + 2 == chain.len();
            let (upper, lower) = (two[0], two[1]);
            channels[r].legs.push(Leg {
                upper,
                lower,
                from: 0,
                to: 0,
                track: None,
                head_up,
                head_down,
            });
        }
    }
    for channel in &mut channels {
        ports(&mut channel.legs, layout, &inside);
        snap(&mut channel.legs, &inside);
        channel.height = turns(&mut channel.legs)?;
    }
    Some(channels)
}

/// Gives every line a column at both ends, near where the other end is.
fn ports(legs: &mut [Leg], layout: &Layout, inside: &impl Fn(u32) -> (i64, i64)) {
    let wants: Vec<(f64, f64)> = legs
        .iter()
        .map(|leg| {
            let (a, b) = (inside(leg.upper), inside(leg.lower));
            let middle = |(low, high): (i64, i64)| (low + high) as f64 / 2.0;
            let (low, high) = (a.0.max(b.0), a.1.min(b.1));
            if low > high {
                return (middle(a), middle(b));
            }
            let both = ((middle(a) + middle(b)) / 2.0).clamp(low as f64, high as f64);
            (both, both)
        })
        .collect();
    for upper in [true, false] {
        let mut order: Vec<usize> = (0..legs.len()).collect();
        let key = |i: usize| {
            let leg = &legs[i];
            let (own, other) = if upper {
                (leg.upper, leg.lower)
            } else {
                (leg.lower, leg.upper)
            };
            (own, layout.x[other as usize], other, i)
        };
        order.sort_by(|&i, &j| {
            let (a, b) = (key(i), key(j));
            a.0.cmp(&b.0)
                .then(a.1.total_cmp(&b.1))
                .then(a.2.cmp(&b.2))
                .then(a.3.cmp(&b.3))
        });
        let owners: Vec<u32> = order.iter().map(|&i| key(i).0).collect();
        let mut at = 0;
        for same in owners.chunk_by(|a, b| a == b) {
            let group = &order[at..at + same.len()];
            at += same.len();
            let want: Vec<f64> = group
                .iter()
                .map(|&i| if upper { wants[i].0 } else { wants[i].1 })
                .collect();
            for (&i, column) in group.iter().zip(columns(&want, inside(same[0]))) {
                *(if upper {
                    &mut legs[i].from
                } else {
                    &mut legs[i].to
                }) = column;
            }
        }
    }
}

/// Columns two apart, in order, as near to the wanted ones as that allows.
fn columns(want: &[f64], (low, high): (i64, i64)) -> Vec<i64> {
    let step = if high - low >= 2 * (want.len() as i64 - 1) {
        2.0
    } else {
        1.0
    };
    spread(want, low as f64, high as f64, step)
        .iter()
        .map(|x| x.floor() as i64)
        .collect()
}

/// Makes lines straight that are nearly so, where a border has room.
fn snap(legs: &mut [Leg], inside: &impl Fn(u32) -> (i64, i64)) {
    for i in 0..legs.len() {
        let leg = legs[i].clone();
        if leg.from == leg.to || (leg.from - leg.to).abs() > 6 {
            continue;
        }
        for upper in [true, false] {
            let (own, column) = if upper {
                (leg.upper, leg.to)
            } else {
                (leg.lower, leg.from)
            };
            let (low, high) = inside(own);
            let old = if upper { leg.from } else { leg.to };
            let free = legs.iter().enumerate().all(|(j, other)| {
                let (owner, at) = if upper {
                    (other.upper, other.from)
                } else {
                    (other.lower, other.to)
                };
                // The order at the border must stay, and a gap between lines.
                j == i || owner != own || ((at < old) == (at < column) && (at - column).abs() >= 2)
            });
            if free && (low..=high).contains(&column) {
                *(if upper {
                    &mut legs[i].from
                } else {
                    &mut legs[i].to
                }) = column;
                break;
            }
        }
    }
}

/// Gives each line that turns a row, and tells how many rows there are.
fn turns(legs: &mut [Leg]) -> Option<usize> {
    let mut order: Vec<usize> = (0..legs.len())
        .filter(|&i| legs[i].from != legs[i].to)
        .collect();
    // Lines to the left: the leftmost turns first. Lines to the right: the rightmost.
    order.sort_by_key(|&i| {
        let right = legs[i].to > legs[i].from;
        (right, if right { -legs[i].from } else { legs[i].from }, i)
    });
    let mut height = 0;
    let mut waiting = order;
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut later = Vec::new();
        for &i in &waiting {
            let (low, high) = (legs[i].from.min(legs[i].to), legs[i].from.max(legs[i].to));
            let right = legs[i].to > legs[i].from;
            // Who comes down in the column where this one ends must have turned off before.
            let above = legs
                .iter()
                .position(|other| other.from == legs[i].to && other.from != other.to);
            let mut least = match above.map(|j| legs[j].track) {
                Some(None) => {
                    later.push(i);
                    continue;
                }
                Some(Some(track)) => track + 1,
                None => 0,
            };
            let mut taken = Vec::new();
            for other in legs.iter() {
                let Some(track) = other.track else { continue };
                if other.from.min(other.to) <= high && low <= other.from.max(other.to) {
                    taken.push(track);
                    if (other.to > other.from) == right {
                        least = least.max(track + 1);
                    }
                }
            }
            while taken.contains(&least) {
                least += 1;
            }
            legs[i].track = Some(least);
            height = height.max(least + 1);
        }
        if later.len() == before {
            return None;
        }
        waiting = later;
    }
    Some(height)
}
