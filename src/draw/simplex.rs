//! The network simplex method: integer ranks with `rank[to] - rank[from] >= gap` and the least total
//! weighted length. Work is bounded; whenever it stops, the ranks obey every gap.

/// A wish for two ranks: at least `gap` apart, and `weight` times the distance is the cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arc {
    pub from: u32,
    pub to: u32,
    pub gap: i64,
    pub weight: i64,
}

const NONE: u32 = u32::MAX;

/// Shortens the arcs of a connected graph, starting from ranks that obey every gap.
pub(super) fn tighten(arcs: &[Arc], rank: &mut [i64], steps: usize) {
    if rank.len() < 2 || arcs.is_empty() {
        return;
    }
    let mut tree = Tree::grow(arcs, rank);
    let mut from = 0;
    for _ in 0..steps {
        let Some(leaving) = tree.leaving(arcs, &mut from) else {
            break;
        };
        let Some(entering) = tree.entering(arcs, rank, leaving) else {
            break;
        };
        tree.exchange(arcs, rank, leaving, entering);
    }
}

/// A spanning tree of arcs without slack, rooted at 0 and numbered so that "is below" is a comparison.
struct Tree {
    incident: Vec<Vec<u32>>,
    in_tree: Vec<bool>,
    cut: Vec<i64>,
    parent: Vec<u32>,
    // Nodes of the subtree at v have `last` in first[v]..=last[v].
    first: Vec<u32>,
    last: Vec<u32>,
    // Preorder, so that reading it backwards meets children before parents.
    preorder: Vec<u32>,
}

fn slack(arc: &Arc, rank: &[i64]) -> i64 {
    rank[arc.to as usize] - rank[arc.from as usize] - arc.gap
}

impl Tree {
    /// Grows a tree from node 0 along arcs without slack, moving it as a whole whenever it is stuck.
    fn grow(arcs: &[Arc], rank: &mut [i64]) -> Tree {
        let n = rank.len();
        let mut incident = vec![Vec::new(); n];
        for (at, arc) in arcs.iter().enumerate() {
            incident[arc.from as usize].push(at as u32);
            incident[arc.to as usize].push(at as u32);
        }
        let mut in_tree = vec![false; arcs.len()];
        let mut member = vec![false; n];
        let mut members: Vec<u32> = vec![0];
        member[0] = true;
        let mut next = 0;
        loop {
            while next < members.len() {
                let v = members[next] as usize;
                next += 1;
                for &at in &incident[v] {
                    let arc = &arcs[at as usize];
                    let other = if arc.from as usize == v {
                        arc.to
                    } else {
                        arc.from
                    };
                    if !member[other as usize] && slack(arc, rank) == 0 {
                        member[other as usize] = true;
                        in_tree[at as usize] = true;
                        members.push(other);
                    }
                }
            }
            if members.len() == n {
                break;
            }
            let open = arcs
                .iter()
                .filter(|arc| member[arc.from as usize] != member[arc.to as usize]);
            let Some(arc) = open.min_by_key(|arc| slack(arc, rank)) else {
                break;
            };
            let by = if member[arc.from as usize] {
                slack(arc, rank)
            } else {
                -slack(arc, rank)
            };
            for &v in &members {
                rank[v as usize] += by;
            }
            next = 0;
        }
        let zeros = vec![0; n];
        let mut tree = Tree {
            incident,
            in_tree,
            cut: vec![0; arcs.len()],
            parent: vec![NONE; n],
            first: zeros.clone(),
            last: zeros,
            preorder: Vec::with_capacity(n),
        };
        tree.number(arcs, 0, 0);
        tree.preorder = tree.walk(arcs, 0);
        for at in (0..tree.preorder.len()).rev() {
            let v = tree.preorder[at] as usize;
            if tree.parent[v] != NONE {
                let arc = tree.parent[v] as usize;
                tree.cut[arc] = tree.cut_value(arcs, v);
            }
        }
        tree
    }

    fn child_of(&self, arcs: &[Arc], at: u32, v: usize) -> Option<usize> {
        if !self.in_tree[at as usize] || self.parent[v] == at {
            return None;
        }
        let arc = &arcs[at as usize];
        Some(if arc.from as usize == v {
            arc.to
        } else {
            arc.from
        } as usize)
    }

    /// Gives parents and numbers to the subtree at `root`, the first number being `start`.
    fn number(&mut self, arcs: &[Arc], root: usize, start: u32) {
        let mut count = start;
        let mut stack = vec![(root, 0)];
        self.first[root] = count;
        while let Some((v, at)) = stack.pop() {
            if let Some(&arc) = self.incident[v].get(at) {
                stack.push((v, at + 1));
                if let Some(child) = self.child_of(arcs, arc, v) {
                    self.parent[child] = arc;
                    self.first[child] = count;
                    stack.push((child, 0));
                }
            } else {
                self.last[v] = count;
                count += 1;
            }
        }
    }

    fn walk(&self, arcs: &[Arc], root: usize) -> Vec<u32> {
        let mut found = vec![root as u32];
        let mut at = 0;
        while at < found.len() {
            let v = found[at] as usize;
            at += 1;
            for &arc in &self.incident[v] {
                found.extend(self.child_of(arcs, arc, v).map(|child| child as u32));
            }
        }
        found
    }

    fn below(&self, v: usize, top: usize) -> bool {
        self.first[top] <= self.last[v] && self.last[v] <= self.last[top]
    }

    /// The lower end of a tree arc.
    fn lower(&self, arcs: &[Arc], at: usize) -> usize {
        let (from, to) = (arcs[at].from as usize, arcs[at].to as usize);
        if self.last[from] < self.last[to] {
            from
        } else {
            to
        }
    }

    /// The cut value of the arc above `v`, whose other tree arcs have theirs.
    fn cut_value(&self, arcs: &[Arc], v: usize) -> i64 {
        let above = self.parent[v];
        // +1 where the subtree is the tail's side.
        let sign = if arcs[above as usize].from as usize == v {
            1
        } else {
            -1
        };
        let mut sum = 0;
        for &at in &self.incident[v] {
            let arc = &arcs[at as usize];
            let way = if arc.from as usize == v { sign } else { -sign };
            sum += way * arc.weight;
            // What crosses the child's cut and does not end here crosses this one too.
            if at != above && self.in_tree[at as usize] {
                sum -= way * self.cut[at as usize];
            }
        }
        sum
    }

    /// A tree arc whose cut value says that stretching it would shorten the whole.
    fn leaving(&self, arcs: &[Arc], from: &mut usize) -> Option<usize> {
        let n = arcs.len();
        for step in 0..n {
            let at = (*from + step) % n;
            if self.in_tree[at] && self.cut[at] < 0 {
                *from = (at + 1) % n;
                return Some(at);
            }
        }
        None
    }

    /// The arc of least slack that leads back over the cut of `leaving`.
    fn entering(&self, arcs: &[Arc], rank: &[i64], leaving: usize) -> Option<usize> {
        let v = self.lower(arcs, leaving);
        let tail_below = arcs[leaving].from as usize == v;
        let mut best: Option<(i64, usize)> = None;
        for (at, arc) in arcs.iter().enumerate() {
            if self.in_tree[at] {
                continue;
            }
            let from = self.below(arc.from as usize, v);
            let to = self.below(arc.to as usize, v);
            if from != to && to == tail_below {
                let room = slack(arc, rank);
                if best.is_none_or(|(least, _)| room < least) {
                    best = Some((room, at));
                }
            }
        }
        best.map(|(_, at)| at)
    }

    fn exchange(&mut self, arcs: &[Arc], rank: &mut [i64], leaving: usize, entering: usize) {
        let v = self.lower(arcs, leaving);
        let room = slack(&arcs[entering], rank);
        if room > 0 {
            let by = if self.below(arcs[entering].from as usize, v) {
                room
            } else {
                -room
            };
            for (u, rank) in rank.iter_mut().enumerate() {
                if self.below(u, v) {
                    *rank += by;
                }
            }
        }
        // Only arcs on the cycle that `entering` closes change their cut.
        let cut = self.cut[leaving];
        let (tail, head) = (arcs[entering].from as usize, arcs[entering].to as usize);
        let meet = self.climb(arcs, tail, head, cut, true);
        self.climb(arcs, head, tail, cut, false);
        self.cut[entering] = -cut;
        self.in_tree[leaving] = false;
        self.in_tree[entering] = true;
        let start = self.first[meet];
        self.number(arcs, meet, start);
    }

    /// Walks from `v` up to where `other` is below too, changing cuts on the way; gives that node.
    fn climb(&mut self, arcs: &[Arc], mut v: usize, other: usize, cut: i64, tail: bool) -> usize {
        while !self.below(other, v) {
            let at = self.parent[v] as usize;
            let along = (arcs[at].from as usize == v) == tail;
            self.cut[at] += if along { cut } else { -cut };
            let arc = &arcs[at];
            v = if arc.from as usize == v {
                arc.to
            } else {
                arc.from
            } as usize;
        }
        v
    }
}
