//! The list of every shader that this machine sends, for the tests that run each one through a second
//! driver: what is not listed here, or given by the rows of the op table, does not pass.

use super::map;
use super::matmul::{TILES, lane_definitions, tile_definitions};
use super::operand::{Formula, Pick, Reduce, Sample};
use super::shader::{FILES, File, Kind, PRELUDE};
use super::{fold, index, softmax};

/// A list entry: file, facts that a test needs, definitions.
type Entry = (File, Vec<(&'static str, String)>, String);

const REDUCES: [Reduce; 4] = [Reduce::Sum, Reduce::Prod, Reduce::Max, Reduce::Min];
/// What folds read and write; partial results of integers are longs.
const FOLDS: [(Kind, Kind); 9] = [
    (Kind::F32, Kind::F32),
    (Kind::I32, Kind::Raw64),
    (Kind::I32, Kind::I32),
    (Kind::U8, Kind::Raw64),
    (Kind::U8, Kind::U8),
    (Kind::U8, Kind::I32),
    (Kind::Raw64, Kind::Raw64),
    (Kind::Raw64, Kind::I32),
    (Kind::Raw64, Kind::U8),
];

/// The functions of the prelude, each as the formula of a map.
const FUNCTIONS: [(&str, usize); 20] = [
    ("exp_", 1),
    ("expm1_", 1),
    ("log_", 1),
    ("log1p_", 1),
    ("tanh_", 1),
    ("sigmoid_", 1),
    ("softplus_", 1),
    ("sqrt_", 1),
    ("erf_", 1),
    ("sin_", 1),
    ("cos_", 1),
    ("sign_", 1),
    ("pow_", 2),
    ("max_", 2),
    ("min_", 2),
    ("ne_", 2),
    ("clamp_", 3),
    // Not functions, but each a different way through the definitions.
    ("add", 2),
    ("where", 3),
    ("scale", 1),
];

fn kind_text(kind: Kind) -> String {
    format!("{kind:?}").to_lowercase()
}

fn map_entry(
    formula: &Formula,
    inputs: &[(Kind, bool)],
    floats: &[bool],
    out: Kind,
    flat: bool,
) -> Entry {
    let file = [File::Map0, File::Map1, File::Map2, File::Map3][inputs.len()];
    let list = |parts: Vec<String>| parts.join(" ");
    let facts = vec![
        ("op", formula.op.to_string()),
        ("expr", formula.expr.to_string()),
        (
            "inputs",
            list(inputs.iter().map(|i| kind_text(i.0)).collect()),
        ),
        (
            "shared",
            list(inputs.iter().map(|i| u8::from(i.1).to_string()).collect()),
        ),
        (
            "params",
            list(
                floats
                    .iter()
                    .map(|f| if *f { "f32" } else { "i32" }.into())
                    .collect(),
            ),
        ),
        ("out", kind_text(out)),
        ("flat", flat.to_string()),
    ];
    (
        file,
        facts,
        map::definitions(formula, inputs, floats, out, flat),
    )
}

fn maps(out: &mut Vec<Entry>) {
    for flat in [true, false] {
        for (kind, count) in [
            (Kind::Raw32, 1),
            (Kind::I32, 1),
            (Kind::U8, 1),
            (Kind::Raw64, 2),
        ] {
            let formula = Formula::new("fill", map::fill_expr(kind));
            out.push(map_entry(&formula, &[], &vec![false; count], kind, flat));
        }
        for (expr, read, write) in map::conversions() {
            let formula = Formula::new("copy", expr);
            out.push(map_entry(&formula, &[(read, false)], &[], write, flat));
        }
        for (name, count) in FUNCTIONS {
            let letters = ["a", "b", "c"][..count].join(", ");
            let call = format!("{name}({letters})");
            let f = |expr| Formula::new(name, expr);
            let floats = vec![(Kind::F32, false); count];
            out.push(match name {
                "ne_" => map_entry(&f(&call), &floats, &[], Kind::U8, flat),
                "add" => map_entry(
                    &f("a + b"),
                    &[(Kind::I32, false), (Kind::I64, false)],
                    &[],
                    Kind::I64,
                    flat,
                ),
                "where" => map_entry(
                    &f("select(c, b, a != 0)"),
                    &[(Kind::U8, false), (Kind::F32, false), (Kind::F32, false)],
                    &[],
                    Kind::F32,
                    flat,
                ),
                "scale" => map_entry(
                    &f("a * p0 + f32(p1)"),
                    &floats,
                    &[true, false],
                    Kind::F32,
                    flat,
                ),
                _ => map_entry(&f(&call), &floats, &[], Kind::F32, flat),
            });
        }
        // The first operand is the result's own buffer.
        for kind in [Kind::F32, Kind::I32, Kind::U8, Kind::I64] {
            let formula = Formula::new("shared", "a - b");
            out.push(map_entry(
                &formula,
                &[(kind, true), (kind, false)],
                &[],
                kind,
                flat,
            ));
        }
    }
}

fn others(out: &mut Vec<Entry>) {
    for reduce in REDUCES {
        for (read, write) in FOLDS {
            let facts = || {
                vec![
                    ("reduce", format!("{reduce:?}").to_lowercase()),
                    ("in", kind_text(read)),
                    ("out", kind_text(write)),
                ]
            };
            let text = fold::fold_definitions(reduce, read, write);
            out.push((File::FoldRow, facts(), text.clone()));
            out.push((File::FoldCol, facts(), text));
        }
    }
    for pick in [Pick::Max, Pick::Min] {
        for kind in [Kind::F32, Kind::I32, Kind::U8, Kind::Raw64] {
            let facts = || {
                vec![
                    ("pick", format!("{pick:?}").to_lowercase()),
                    ("in", kind_text(kind)),
                ]
            };
            let text = fold::arg_definitions(pick, kind);
            out.push((File::ArgRow, facts(), text.clone()));
            out.push((File::ArgCol, facts(), text));
        }
    }
    for log in [false, true] {
        for width in [32, 256] {
            let facts = || vec![("log", log.to_string()), ("width", width.to_string())];
            let text = softmax::definitions(log, width);
            out.push((File::Softmax, facts(), text.clone()));
            out.push((File::SoftmaxGrad, facts(), text));
        }
    }
    let along = [(false, false), (false, true), (true, false), (true, true)];
    let kinds = [Kind::F32, Kind::I32];
    for (kind, tile) in kinds.into_iter().flat_map(|k| TILES.map(|t| (k, t))) {
        for (a, b) in along {
            let facts = vec![
                ("in", kind_text(kind)),
                ("tile", format!("{} {}", tile[0], tile[1])),
                ("a_along", a.to_string()),
                ("b_along", b.to_string()),
            ];
            out.push((File::Matmul, facts, tile_definitions(kind, tile, a, b)));
        }
    }
    for (kind, a) in kinds.into_iter().flat_map(|k| [(k, false), (k, true)]) {
        out.push((
            File::Gemv,
            vec![("in", kind_text(kind)), ("a_along", a.to_string())],
            lane_definitions(kind, a),
        ));
    }
    out.push((
        File::ScatterMark,
        Vec::new(),
        index::definitions(File::ScatterMark, Kind::I64),
    ));
    for (files, kinds) in [
        (
            &[File::Gather, File::ScatterMove][..],
            &[Kind::Raw32, Kind::U8, Kind::Raw64][..],
        ),
        (
            &[File::ScatterAddLine, File::ScatterAddScan],
            &[Kind::F32, Kind::I32],
        ),
    ] {
        for &file in files {
            for &kind in kinds {
                let facts = vec![("in", kind_text(kind))];
                out.push((file, facts, index::definitions(file, kind)));
            }
        }
    }
}

fn entries(rows: &[Sample]) -> Vec<Entry> {
    let mut out = Vec::new();
    maps(&mut out);
    others(&mut out);
    for row in rows {
        let own = Kind::of(row.out);
        let kinds: Vec<Kind> = row.inputs.iter().map(|&d| Kind::of(d)).collect();
        // Results in fresh memory, over the first operand, and over all of them.
        let over = kinds.iter().take_while(|&&k| k == own).count();
        for shared in [0, over.min(1), over]
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
        {
            let inputs: Vec<_> = (0..kinds.len()).map(|i| (kinds[i], i < shared)).collect();
            for flat in [true, false] {
                out.push(map_entry(&row.formula, &inputs, row.floats, own, flat));
            }
        }
    }
    out
}

/// A string of JSON; our texts are plain ASCII, for which Rust and JSON write the same.
fn quoted(text: &str) -> String {
    debug_assert!(
        text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)),
        "{text}"
    );
    format!("{text:?}").replace("\\'", "'")
}

/// Every shader that the machine and `rows` send, as JSON: `prelude`, `files` by name, and `shaders`,
/// each with its file, its definitions and what a test must know. A text is prelude, definitions and
/// file, each with a line end between.
pub fn manifest(rows: &[Sample]) -> String {
    let files: Vec<String> = FILES
        .iter()
        .map(|(name, text)| format!("{}: {}", quoted(name), quoted(text)))
        .collect();
    let shaders: Vec<String> = entries(rows)
        .iter()
        .map(|(file, facts, defs)| {
            let facts: String = facts
                .iter()
                .map(|(k, v)| format!("{}: {}, ", quoted(k), quoted(v)))
                .collect();
            let name = quoted(FILES[*file as usize].0);
            format!("{{\"file\": {name}, {facts}\"defs\": {}}}", quoted(defs))
        })
        .collect();
    format!(
        "{{\"prelude\": {},\n\"files\": {{{}}},\n\"shaders\": [\n{}\n]}}\n",
        quoted(PRELUDE),
        files.join(",\n"),
        shaders.join(",\n")
    )
}
