//! The list of shaders: that it is whole, and where the other driver's tests get it.

use super::*;

fn list() -> serde_json::Value {
    serde_json::from_str(&manifest(&[])).unwrap()
}

/// Fails if a text was compiled that is neither listed nor made of a formula.
#[test]
fn what_was_sent_is_listed() {
    let Some(_turn) = turn() else { return };
    let list = list();
    let shaders = list["shaders"].as_array().unwrap();
    for (file, defs) in sent() {
        let listed = |s: &serde_json::Value| s["file"] == *file && s["defs"] == *defs;
        assert!(
            file.starts_with("map") || shaders.iter().any(listed),
            "{file} with\n{defs}"
        );
    }
}

#[test]
fn every_file_is_listed() {
    let list = list();
    let shaders = list["shaders"].as_array().unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        if path.extension().is_none_or(|e| e != "wgsl") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if list["prelude"].as_str().unwrap().contains(&text) {
            continue;
        }
        assert!(
            list["files"].get(&name).is_some(),
            "{name}.wgsl is not shipped"
        );
        assert!(
            shaders.iter().any(|s| s["file"] == *name),
            "{name}.wgsl has no variant"
        );
        assert!(
            list["files"][&name]
                .as_str()
                .unwrap()
                .contains(&format!("fn {name}(")),
            "{name}"
        );
    }
}

#[test]
fn the_list_reads_back() {
    let list = list();
    assert_eq!(list["prelude"], *crate::gpu::shader::PRELUDE);
    assert!(list["shaders"].as_array().unwrap().len() > 150);
    // Where a file is asked for, it is written, for tests/python/test_shaders.py without the extension.
    if let Some(path) = std::env::var_os("RGRAD_MANIFEST") {
        std::fs::write(path, manifest(&[])).unwrap();
    }
}
