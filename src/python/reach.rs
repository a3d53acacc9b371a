//! Which objects the items of a graph lead to, for all items in linear time: items on one ring share
//! a set, an item with one way on has the set of that way, and where sets meet, a tuple of them
//! stands for both.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::collections::HashMap;

/// Sets of so few objects are recognized when they arise again.
const FEW: usize = 8;

/// A set of objects: one of them, or a tuple of other sets.
struct Set {
    object: Py<PyAny>,
    /// Numbers of its objects in order; none where there are many.
    members: Vec<usize>,
}

/// A set for each item.
pub struct Sets {
    sets: Vec<Set>,
    few: HashMap<Vec<usize>, usize>,
    of: Vec<Option<usize>>,
}

impl Sets {
    /// Follows `edges`, which has those of each item; `keeps` has the objects.
    ///
    /// # Errors
    /// No room for a tuple.
    pub fn new(py: Python<'_>, edges: &[&[usize]], keeps: &[Option<&Py<PyAny>>]) -> PyResult<Sets> {
        let mut sets = Sets {
            sets: Vec::new(),
            few: HashMap::new(),
            of: vec![None; edges.len()],
        };
        // What an item leads to comes before it.
        for ring in rings(edges) {
            let mut parts = Vec::new();
            for &at in &ring {
                if let Some(object) = keeps[at] {
                    parts.push(sets.of_one(object.clone_ref(py), at));
                }
                parts.extend(edges[at].iter().filter_map(|&to| sets.of[to]));
            }
            let set = sets.union(py, parts)?;
            ring.iter().for_each(|&at| sets.of[at] = set);
        }
        Ok(sets)
    }

    /// All that `at` leads to, itself included; none if that is nothing.
    pub fn of(&self, at: usize) -> Option<&Py<PyAny>> {
        self.of[at].map(|set| &self.sets[set].object)
    }

    fn of_one(&mut self, object: Py<PyAny>, at: usize) -> usize {
        self.sets.push(Set {
            object,
            members: vec![at],
        });
        self.sets.len() - 1
    }

    fn union(&mut self, py: Python<'_>, mut parts: Vec<usize>) -> PyResult<Option<usize>> {
        parts.sort_unstable();
        parts.dedup();
        if parts.len() < 2 {
            return Ok(parts.pop());
        }
        let mut members: Vec<usize> = Vec::new();
        for &part in &parts {
            let more = &self.sets[part].members;
            if more.is_empty() || members.len() > FEW {
                members.clear();
                break;
            }
            members.extend(more);
            members.sort_unstable();
            members.dedup();
        }
        if members.len() > FEW {
            members.clear();
        }
        if !members.is_empty() {
            let same = |&&part: &&usize| self.sets[part].members == members;
            let known = parts.iter().find(same).or_else(|| self.few.get(&members));
            if let Some(&known) = known {
                return Ok(Some(known));
            }
        }
        let objects = parts.iter().map(|&part| &self.sets[part].object);
        let object = PyTuple::new(py, objects.collect::<Vec<_>>())?
            .into_any()
            .unbind();
        let set = self.sets.len();
        if !members.is_empty() {
            self.few.insert(members.clone(), set);
        }
        self.sets.push(Set { object, members });
        Ok(Some(set))
    }
}

/// The items in rings, each alone that is on none; a ring comes after those that it leads to.
fn rings(edges: &[&[usize]]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    // Tarjan's search: `low` is the oldest item of the open ones that each leads back to.
    let mut number = vec![UNSEEN; edges.len()];
    let mut low = vec![UNSEEN; edges.len()];
    let mut is_open = vec![false; edges.len()];
    let (mut open, mut done) = (Vec::new(), Vec::new());
    let mut count = 0;
    for start in 0..edges.len() {
        if number[start] != UNSEEN {
            continue;
        }
        let mut path = vec![(start, 0)];
        while let Some((at, next)) = path.pop() {
            if next == 0 {
                (number[at], low[at]) = (count, count);
                count += 1;
                open.push(at);
                is_open[at] = true;
            }
            if let Some(&to) = edges[at].get(next) {
                path.push((at, next + 1));
                if number[to] == UNSEEN {
                    path.push((to, 0));
                } else if is_open[to] {
                    low[at] = low[at].min(number[to]);
                }
                continue;
            }
            if let Some(&(before, _)) = path.last() {
                low[before] = low[before].min(low[at]);
            }
            if low[at] == number[at] {
                let from = open.iter().rposition(|&item| item == at).unwrap_or(0);
                let ring = open.split_off(from);
                ring.iter().for_each(|&item| is_open[item] = false);
                done.push(ring);
            }
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::rings;

    fn sorted(edges: &[&[usize]]) -> Vec<Vec<usize>> {
        let mut rings = rings(edges);
        rings.iter_mut().for_each(|ring| ring.sort_unstable());
        rings
    }

    #[test]
    fn chains_come_from_their_end_and_rings_are_one() {
        assert_eq!(sorted(&[&[1], &[2], &[]]), [vec![2], vec![1], vec![0]]);
        assert_eq!(sorted(&[&[1], &[0, 2], &[2]]), [vec![2], vec![0, 1]]);
        assert_eq!(
            sorted(&[&[1, 3], &[2], &[1], &[4], &[0], &[0]]),
            [vec![1, 2], vec![0, 3, 4], vec![5]]
        );
    }

    #[test]
    fn what_an_item_leads_to_comes_before_it() {
        let edges: Vec<Vec<usize>> = (0..500usize)
            .map(|i| vec![(i * 7 + 3) % 500, (i * i) % 500])
            .collect();
        let edges: Vec<&[usize]> = edges.iter().map(Vec::as_slice).collect();
        let rings = rings(&edges);
        let mut place = vec![usize::MAX; edges.len()];
        for (i, ring) in rings.iter().enumerate() {
            ring.iter().for_each(|&at| place[at] = i);
        }
        for (at, edges) in edges.iter().enumerate() {
            assert!(edges.iter().all(|&to| place[to] <= place[at]));
        }
        assert_eq!(rings.iter().map(Vec::len).sum::<usize>(), 500);
    }
}
