//! Reading goes forward: a layer uses only what stands before it.

use std::fs;
use std::path::Path;

const ORDER: [&str; 9] = [
    "error", "lock", "tensor", "machine", "graph", "ops", "engine", "draw", "python",
];

fn layer(name: &str) -> Option<usize> {
    let name = if matches!(name, "cpu" | "gpu") {
        "machine"
    } else {
        name
    };
    ORDER.iter().position(|&l| l == name)
}

fn files(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn no_layer_looks_up() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    let mut seen = 0;
    for path in all {
        let inside = path.strip_prefix(&src).unwrap();
        let first = inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        if first == "lib" {
            continue; // It only names the layers.
        }
        let own = layer(first).unwrap_or_else(|| panic!("{first} is in no layer"));
        for (i, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let name: String = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                // Macros of the crate stand at its top.
                let Some(other) = layer(&name) else { continue };
                seen += 1;
                assert!(
                    other <= own,
                    "{}:{}: {first} uses {name}",
                    inside.display(),
                    i + 1
                );
                let machines = matches!((first, name.as_str()), ("cpu", "gpu") | ("gpu", "cpu"));
                assert!(
                    !machines,
                    "{}:{}: {first} uses {name}",
                    inside.display(),
                    i + 1
                );
            }
        }
    }
    assert!(seen > 50, "the test reads the sources");
}

/// A thread may end inside Python code, which must not unwind our frames: `callback.rs` has the
/// guard. A fork waits for code without the interpreter: `interpreter.rs` lets it.
#[test]
fn python_is_crossed_over_in_two_places() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/python");
    let mut all = Vec::new();
    files(&src, &mut all);
    assert!(all.len() > 20, "the test reads the sources");
    let calls = [".call0(", ".call1(", ".call_method", ".call("];
    let crossings = ["Python::attach", ".detach(|", ".allow_threads"];
    for path in all {
        let inside = path
            .strip_prefix(&src)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        for (i, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let says = |words: &[&str]| words.iter().any(|w| line.contains(w));
            // The collector's visitor has a method of that name too.
            let called = says(&calls) && !line.contains("visit.call(");
            assert!(
                !called || inside == "callback.rs",
                "{inside}:{}: calls Python past callback.rs",
                i + 1
            );
            assert!(
                !says(&crossings) || inside == "interpreter.rs",
                "{inside}:{}: lets go of the interpreter past interpreter.rs",
                i + 1
            );
        }
    }
}
