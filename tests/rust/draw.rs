//! Drawings: golden files, and what must hold for any picture.
//!
//! `RGRAD_UPDATE_GOLDEN=1` writes the golden files anew.

#[path = "draw/pictures.rs"]
mod pictures;
#[path = "draw/xml.rs"]
mod xml;

use proptest::prelude::*;
use rgrad::draw::{Direction, Edge, Kind, Node, Picture, svg, text};
use rgrad::error::Error;
use std::path::PathBuf;
use xml::{Element, parse};

fn check_golden(name: &str, got: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/draw")
        .join(name);
    if std::env::var_os("RGRAD_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).expect("the folder of golden files can be written");
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        wanted == got,
        "{name} differs; RGRAD_UPDATE_GOLDEN=1 writes it anew. Got:\n{got}"
    );
}

#[test]
fn test_drawings_are_the_golden_ones() {
    for (name, picture) in pictures::all() {
        check_golden(
            &format!("{name}.svg"),
            &svg(&picture).expect("a good picture"),
        );
        check_golden(
            &format!("{name}.txt"),
            &text(&picture, 80).expect("a good picture"),
        );
    }
}

#[test]
fn test_narrow_terminal_gets_lanes_or_a_list() {
    let names = [
        ("variables", pictures::variables()),
        ("functions", pictures::functions()),
    ];
    for (name, picture) in names {
        check_golden(
            &format!("{name}-lanes.txt"),
            &text(&picture, 36).expect("a good picture"),
        );
        let narrow = text(&picture, 1).expect("a good picture");
        assert!(
            narrow.lines().all(|line| line.chars().count() <= 24),
            "{narrow}"
        );
    }
    let wide = pictures::recurrent(40, Direction::Down);
    check_golden(
        "recurrent-list.txt",
        &text(&wide, 72).expect("a good picture"),
    );
}

#[test]
fn test_arrow_to_a_missing_box_is_an_index_error() {
    let mut picture = pictures::diamond();
    picture.edge(0, 5);
    for drawn in [svg(&picture), text(&picture, 80)] {
        let Err(Error::Index(words)) = drawn else {
            panic!("expected an index error")
        };
        assert_eq!(
            words,
            "draw: edge 6 names box 5, but the picture has 5 boxes"
        );
    }
}

#[test]
fn test_million_boxes_are_folded_on_a_small_stack() {
    let draw = || {
        for (picture, boxes) in [
            (pictures::chain(1_000_000), 7),
            (pictures::recurrent(200_000, Direction::Right), 70),
            (pictures::comb(500_000), 70),
            (pictures::star(1_000_000), 30),
        ] {
            let drawing = svg(&picture).expect("a good picture");
            let drawn = parse(&drawing)
                .iter()
                .filter(|e| e.get("data-box").is_some())
                .count();
            assert!(drawn <= boxes, "{} has {drawn} boxes", picture.title);
            assert!(drawing.contains("are folded away"));
            assert!(
                text(&picture, 80)
                    .expect("a good picture")
                    .contains("more \u{2026}")
            );
        }
    };
    let small = std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(draw);
    small
        .expect("a thread")
        .join()
        .expect("no panic and no overflow");
}

#[test]
fn test_ten_thousand_boxes_unfolded() {
    let mut picture = pictures::chain(10_000);
    picture.fold_above = 10_000;
    let boxes = parse(&svg(&picture).expect("a good picture"));
    assert_eq!(
        boxes.iter().filter(|e| e.get("data-box").is_some()).count(),
        10_000
    );
}

#[test]
fn test_parallel_arrows_are_drawn_apart() {
    let elements = parse(&svg(&pictures::diamond()).expect("a good picture"));
    let twins: Vec<Vec<(f64, f64)>> = arrows(&elements)
        .into_iter()
        .filter(|(from, to, _)| (*from, *to) == (3, 4))
        .map(|(.., line)| line)
        .collect();
    assert_eq!(twins.len(), 2);
    assert!((twins[0][0].0 - twins[1][0].0).abs() >= 9.0);
}

type Frame = (f64, f64, f64, f64);
type Arrow = (usize, usize, Vec<(f64, f64)>);

/// Boxes as (left, top, right, bottom) by number.
fn frames(elements: &[Element]) -> Vec<(usize, Frame)> {
    let mut found = Vec::new();
    for (i, element) in elements.iter().enumerate() {
        let Some(number) = element.get("data-box") else {
            continue;
        };
        let rect = elements[i..]
            .iter()
            .find(|e| {
                e.name == "rect" && e.get("class").is_some_and(|class| class.starts_with("box"))
            })
            .expect("a box has an outline");
        let [x, y, w, h] = ["x", "y", "width", "height"].map(|k| rect.number(k));
        found.push((number.parse().expect("a number"), (x, y, x + w, y + h)));
    }
    found
}

/// Arrows as (from, to, points of the line), curves by their control points and a few of their own.
fn arrows(elements: &[Element]) -> Vec<Arrow> {
    let mut found = Vec::new();
    for (i, element) in elements.iter().enumerate() {
        let Some(from) = element.get("data-from") else {
            continue;
        };
        let to = element.get("data-to").expect("an arrow has two ends");
        let line = elements[i..]
            .iter()
            .find(|e| e.name == "path")
            .expect("an arrow has a line");
        let points = xml::points(line.get("d").expect("a path has data"));
        found.push((
            from.parse().expect("a number"),
            to.parse().expect("a number"),
            points,
        ));
    }
    found
}

fn picture() -> impl Strategy<Value = Picture> {
    let kind = prop::sample::select(vec![
        Kind::Leaf,
        Kind::Constant,
        Kind::Value,
        Kind::Function,
        Kind::Root,
        Kind::Fold,
    ]);
    let word = prop_oneof![4 => "[a-zA-Z<>&\"' ]{0,12}", 1 => "\\PC{0,60}", 1 => any::<String>()];
    let node = (
        prop::collection::vec(word.clone(), 0..4),
        kind,
        word.clone(),
    )
        .prop_map(|(lines, kind, note)| Node { lines, kind, note });
    let label = prop_oneof![4 => Just(String::new()), 1 => word.clone()];
    (
        prop::collection::vec(node, 0..24),
        any::<bool>(),
        word,
        prop_oneof![Just(2_000usize), 0..12usize],
    )
        .prop_flat_map(move |(nodes, right, title, fold_above)| {
            let count = nodes.len();
            let end = 0..count.max(1);
            let edges = prop::collection::vec((end.clone(), end, label.clone()), 0..40);
            edges.prop_map(move |edges| Picture {
                title: title.clone(),
                nodes: nodes.clone(),
                edges: edges
                    .into_iter()
                    .filter(|_| count > 0)
                    .map(|(from, to, label)| Edge { from, to, label })
                    .collect(),
                direction: if right {
                    Direction::Right
                } else {
                    Direction::Down
                },
                fold_above,
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_any_picture_is_drawn_well(picture in picture()) {
        let drawing = svg(&picture).expect("a good picture");
        prop_assert_eq!(&drawing, &svg(&picture).expect("a good picture"));
        let elements = parse(&drawing);
        let frames = frames(&elements);
        let lines = arrows(&elements);
        if picture.nodes.len() <= picture.fold_above {
            prop_assert_eq!(frames.len(), picture.nodes.len());
            let ends: Vec<(usize, usize)> = lines.iter().map(|l| (l.0, l.1)).collect();
            let wanted: Vec<(usize, usize)> = picture.edges.iter().map(|e| (e.from, e.to)).collect();
            prop_assert_eq!(ends, wanted);
        }
        for (i, (number, a)) in frames.iter().enumerate() {
            prop_assert_eq!(i, *number);
            for (_, b) in &frames[i + 1..] {
                let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
                prop_assert!(apart, "boxes overlap: {:?} {:?}\n{}", a, b, drawing);
            }
        }
        let paper = elements.iter().find(|e| e.name == "svg").expect("a drawing");
        for (_, f) in &frames {
            prop_assert!(f.0 >= 0.0 && f.1 >= 0.0 && f.2 <= paper.number("width") && f.3 <= paper.number("height"));
        }
        for (from, to, line) in &lines {
            if from == to {
                continue;
            }
            let along = |p: &(f64, f64)| if picture.direction == Direction::Down { p.1 } else { p.0 };
            prop_assert!(line.windows(2).all(|w| along(&w[0]) <= along(&w[1]) + 0.05), "turns back: {:?}", line);
            // Inside no box, its own included: lines end at the border.
            for (number, f) in &frames {
                let inside = |p: &&(f64, f64)| p.0 > f.0 + 0.2 && p.0 < f.2 - 0.2 && p.1 > f.1 + 0.2 && p.1 < f.3 - 0.2;
                let hit = line.iter().find(inside);
                prop_assert!(hit.is_none(), "{} -> {} runs through {}\n{}", from, to, number, drawing);
            }
        }
    }

    #[test]
    fn test_any_picture_fits_the_terminal(picture in picture(), width in 0usize..120) {
        let drawing = text(&picture, width).expect("a good picture");
        prop_assert_eq!(&drawing, &text(&picture, width).expect("a good picture"));
        // Only letters of one cell can be counted here.
        for line in drawing.lines().filter(|line| line.chars().all(|c| c.is_ascii() || "│─╭╮╰╯┌┐└┘▼▲┬┴├┤┼…═║".contains(c))) {
            prop_assert!(line.chars().count() <= width.max(24), "too wide: {line}\n{drawing}");
            prop_assert!(line.trim_end() == line);
        }
    }

    #[test]
    fn test_every_name_is_in_the_text(count in 1usize..40, extra in 0usize..40, seed in 0u64..1_000, width in 30usize..160) {
        let picture = pictures::random(count, if count > 1 { extra } else { 0 }, 8, seed);
        let drawing = text(&picture, width).expect("a good picture");
        for v in 0..count {
            let name = format!("op{v}");
            let found = drawing.split(|c: char| !c.is_alphanumeric()).filter(|word| *word == name).count();
            prop_assert_eq!(found, 1, "{}\n{}", name, drawing);
        }
    }
}
