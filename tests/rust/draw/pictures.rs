//! The pictures that tests and comparisons draw.

use rgrad::draw::{Direction, Edge, Kind, Picture};

/// Adds a box, with arrows to it from `inputs`.
fn add(p: &mut Picture, kind: Kind, name: &str, size: &str, inputs: &[usize]) -> usize {
    let lines: Vec<&str> = [name, size]
        .into_iter()
        .filter(|line| !line.is_empty())
        .collect();
    let node = p.node(kind, &lines, "");
    for &input in inputs {
        p.edge(input, node);
    }
    node
}

/// The tutorial's Variables: b = w1*a, c = w2*a, d = w3*b + w4*c, L = 10 - d.
pub fn variables() -> Picture {
    let mut p = Picture::new("Variables of L", Direction::Down);
    let p = &mut p;
    let a = add(p, Kind::Constant, "a", "4 x 3", &[]);
    let [w1, w2, w3, w4] = ["w1", "w2", "w3", "w4"].map(|w| add(p, Kind::Leaf, w, "4 x 3", &[]));
    let mut op = |name: &str, inputs: &[usize], value: &str, kind| {
        let f = add(p, Kind::Function, name, "", inputs);
        add(p, kind, value, "4 x 3", &[f])
    };
    let b = op("mul", &[w1, a], "b", Kind::Value);
    let c = op("mul", &[w2, a], "c", Kind::Value);
    let e = op("mul", &[w3, b], "w3*b", Kind::Value);
    let f = op("mul", &[w4, c], "w4*c", Kind::Value);
    let d = op("add", &[e, f], "d", Kind::Value);
    op("10 - x", &[d], "L", Kind::Root);
    p.clone()
}

/// The tutorial's Functions, from the result back to the leaves.
pub fn functions() -> Picture {
    let mut p = Picture::new("Functions of L", Direction::Down);
    let mut f = |kind, name: &str, note: &str| p.node(kind, &[name], note);
    let l = f(Kind::Root, "RsubBackward", "L = 10 - d");
    let d = f(Kind::Function, "AddBackward", "d = w3*b + w4*c");
    let e = f(Kind::Function, "MulBackward", "w3 * b");
    let g = f(Kind::Function, "MulBackward", "w4 * c");
    let b = f(Kind::Function, "MulBackward", "b = w1 * a");
    let c = f(Kind::Function, "MulBackward", "c = w2 * a");
    let w = ["w1", "w2", "w3", "w4"].map(|w| p.node(Kind::Leaf, &["AccumulateGrad", w], w));
    for (from, to) in [
        (l, d),
        (d, e),
        (d, g),
        (e, w[2]),
        (e, b),
        (g, w[3]),
        (g, c),
        (b, w[0]),
        (c, w[1]),
    ] {
        p.edge(from, to);
    }
    p
}

/// Two layers with a loss, as 0.3 records them.
pub fn perceptron() -> Picture {
    let mut p = Picture::new("Functions of loss: 784-256-10 perceptron", Direction::Down);
    let p = &mut p;
    let loss = add(p, Kind::Root, "NllLossBackward", "1", &[]);
    let soft = add(p, Kind::Function, "LogSoftmaxBackward", "64 x 10", &[loss]);
    let two = add(p, Kind::Function, "AddmmBackward", "64 x 10", &[soft]);
    let bias2 = add(p, Kind::Function, "ExpandBackward", "64 x 10", &[two]);
    let relu = add(p, Kind::Function, "ThresholdBackward", "64 x 256", &[two]);
    let turn2 = add(p, Kind::Function, "TBackward", "256 x 10", &[two]);
    let one = add(p, Kind::Function, "AddmmBackward", "64 x 256", &[relu]);
    let bias1 = add(p, Kind::Function, "ExpandBackward", "64 x 256", &[one]);
    let turn1 = add(p, Kind::Function, "TBackward", "784 x 256", &[one]);
    add(p, Kind::Leaf, "AccumulateGrad", "fc2.bias (10)", &[bias2]);
    add(
        p,
        Kind::Leaf,
        "AccumulateGrad",
        "fc2.weight (10 x 256)",
        &[turn2],
    );
    add(p, Kind::Leaf, "AccumulateGrad", "fc1.bias (256)", &[bias1]);
    add(
        p,
        Kind::Leaf,
        "AccumulateGrad",
        "fc1.weight (256 x 784)",
        &[turn1],
    );
    p.clone()
}

pub fn diamond() -> Picture {
    let mut p = Picture::new(
        "A diamond, and a square: y = exp(x) + tanh(x), z = y * y",
        Direction::Down,
    );
    let p = &mut p;
    let x = add(p, Kind::Leaf, "x", "3", &[]);
    let exp = add(p, Kind::Value, "exp", "3", &[x]);
    let tanh = add(p, Kind::Value, "tanh", "3", &[x]);
    let y = add(p, Kind::Value, "y", "3", &[exp, tanh]);
    add(p, Kind::Root, "z", "3", &[y, y]);
    p.clone()
}

/// A recurrent network: the same three weights at every step.
pub fn recurrent(steps: usize, direction: Direction) -> Picture {
    let mut p = Picture::new(format!("Recurrent network, {steps} steps"), direction);
    let p = &mut p;
    let [wx, wh, bias] = ["w_ih", "w_hh", "bias"].map(|w| add(p, Kind::Leaf, w, "20 x 20", &[]));
    let mut h = add(p, Kind::Constant, "h0", "1 x 20", &[]);
    for t in 1..=steps {
        let x = add(p, Kind::Constant, &format!("x{t}"), "1 x 20", &[]);
        let i = add(p, Kind::Function, "addmm", "", &[bias, x, wx]);
        let r = add(p, Kind::Function, "mm", "", &[h, wh]);
        let s = add(p, Kind::Function, "add", "", &[i, r]);
        let kind = if t == steps { Kind::Root } else { Kind::Value };
        h = add(p, kind, &format!("h{t} = tanh"), "1 x 20", &[s]);
    }
    p.clone()
}

pub fn chain(length: usize) -> Picture {
    let mut p = Picture::new(format!("A chain of {length}"), Direction::Down);
    let mut last = p.node(Kind::Leaf, &["x"], "");
    for i in 1..length {
        let kind = if i + 1 == length {
            Kind::Root
        } else {
            Kind::Function
        };
        let node = p.node(
            kind,
            &[if i % 2 == 0 {
                "MulBackward"
            } else {
                "AddBackward"
            }],
            "",
        );
        p.edge(last, node);
        last = node;
    }
    p
}

/// Everything odd at once: a cycle, loops, parallel and labelled arrows, other scripts, a long line.
pub fn odd() -> Picture {
    let mut p = Picture::new("Odd <things> & \"quotes\"", Direction::Down);
    let kinds = [
        Kind::Leaf,
        Kind::Constant,
        Kind::Value,
        Kind::Function,
        Kind::Root,
        Kind::Fold,
    ];
    let names = [
        "gewichtä",
        "重み行列",
        "a<b && c>\"d\"",
        "λ → μ",
        "",
        "a very long name that goes on and on and on until nobody reads it",
    ];
    for (kind, name) in kinds.into_iter().zip(names) {
        p.node(
            kind,
            &[name, "2 x 3", "third line"],
            "note with <tags> & \u{1} control",
        );
    }
    let labels = ["", "self", "grad 0", "", "", "", "back", "", "", "through"];
    let ends = [
        (0, 2),
        (1, 2),
        (1, 3),
        (2, 3),
        (2, 3),
        (3, 4),
        (4, 0),
        (4, 4),
        (4, 4),
        (0, 5),
    ];
    for ((from, to), label) in ends.into_iter().zip(labels) {
        p.edges.push(Edge {
            from,
            to,
            label: label.to_string(),
        });
    }
    p
}

/// A graph without a cycle, from a fixed stream of numbers.
pub fn random(count: usize, extra: usize, near: usize, seed: u64) -> Picture {
    let mut state = seed;
    let mut next = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut p = Picture::new(
        format!("Random: {count} boxes, seed {seed}"),
        Direction::Down,
    );
    p.fold_above = usize::MAX;
    for v in 0..count {
        p.node(
            if v == 0 { Kind::Leaf } else { Kind::Function },
            &[&format!("op{v}")],
            "",
        );
        if v > 0 {
            p.edge(v - 1 - next(near.min(v)), v);
        }
    }
    for _ in 0..extra {
        let to = 1 + next(count - 1);
        p.edge(to - 1 - next(near.min(to)), to);
    }
    p
}

/// A long chain in which every box has an input of its own.
pub fn comb(length: usize) -> Picture {
    let mut p = Picture::new(format!("A comb of {length}"), Direction::Down);
    let mut last = p.node(Kind::Leaf, &["x"], "");
    for i in 0..length {
        let weight = p.node(Kind::Leaf, &[&format!("w{i}")], "");
        last = add(&mut p, Kind::Function, "mul", "", &[last, weight]);
    }
    p
}

/// Many boxes that lead to one.
pub fn star(inputs: usize) -> Picture {
    let mut p = Picture::new(format!("A star of {inputs}"), Direction::Down);
    let inputs: Vec<usize> = (0..inputs)
        .map(|i| p.node(Kind::Leaf, &[&format!("x{i}")], ""))
        .collect();
    add(&mut p, Kind::Root, "cat", "", &inputs);
    p
}

/// A dense network seen number by number.
pub fn neurons() -> Picture {
    let mut p = Picture::new("Neurons 4-5-3", Direction::Right);
    let p = &mut p;
    let mut layer: Vec<usize> = (0..4)
        .map(|i| add(p, Kind::Constant, &format!("x{i}"), "", &[]))
        .collect();
    for (size, name) in [(5, "h"), (3, "y")] {
        layer = (0..size)
            .map(|i| add(p, Kind::Value, &format!("{name}{i}"), "", &layer))
            .collect();
    }
    p.clone()
}

/// The pictures by name.
pub fn all() -> Vec<(String, Picture)> {
    let mut pictures: Vec<(String, Picture)> = vec![
        ("variables".into(), variables()),
        ("functions".into(), functions()),
        ("perceptron".into(), perceptron()),
        ("diamond".into(), diamond()),
        ("recurrent".into(), recurrent(5, Direction::Down)),
        ("recurrent-right".into(), recurrent(3, Direction::Right)),
        ("chain".into(), chain(30)),
        ("chain-folded".into(), chain(1_000_000)),
        ("odd".into(), odd()),
        ("neurons".into(), neurons()),
        ("empty".into(), Picture::new("Empty", Direction::Down)),
    ];
    for (i, (count, extra, near)) in [
        (12, 6, 6),
        (20, 10, 6),
        (30, 10, 12),
        (40, 30, 8),
        (60, 20, 20),
    ]
    .into_iter()
    .enumerate()
    {
        pictures.push((
            format!("random-{i}"),
            random(count, extra, near, i as u64 + 1),
        ));
    }
    pictures
}
