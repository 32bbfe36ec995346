//! Arrows point down only: what each file may use, as `src/lib.rs` tells it.

use std::path::{Path, PathBuf};

/// Files and folders of `src`, by layer; a longer prefix wins.
const LAYERS: [(&str, u8); 30] = [
    ("secret", 0),
    ("rotation", 0),
    ("words", 0),
    ("ports", 1),
    ("config", 1),
    ("render", 1),
    ("credential", 1),
    ("status", 1),
    ("telemetry", 1),
    ("attempt", 2),
    ("clock", 2),
    ("vault", 2),
    ("oauth2", 2),
    ("kubernetes", 2),
    ("file", 2),
    ("environment", 2),
    ("basic", 2),
    ("engine", 3),
    ("housekeeping", 4),
    ("admin", 4),
    ("app", 5),
    ("demo/emulator", 2),
    ("demo/view", 2),
    ("demo", 6),
    ("cli", 7),
    ("main", 8),
    ("lib", 9),
    // What a layer below may be told by a higher one in a type of its own is declared here, once.
    ("rotation/schedule", 0),
    ("config/spec", 1),
    ("attempt/shared_source", 2),
];

/// Within a layer, adapters know nothing of one another.
const ADAPTERS: [&str; 6] = ["vault", "oauth2", "kubernetes", "file", "environment", "basic"];

/// Libraries that the core must not name.
const NOT_IN_THE_CORE: [&str; 6] = ["tokio", "kube", "k8s_openapi", "reqwest", "vaultrs", "axum"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn layer(module: &str) -> u8 {
    let fits = |prefix: &str| module == prefix || module.starts_with(&format!("{prefix}/"));
    let of = LAYERS.iter().filter(|(prefix, _)| fits(prefix)).max_by_key(|(prefix, _)| prefix.len());
    of.unwrap_or_else(|| panic!("src/{module} has no layer: put it into the table here and in src/lib.rs")).1
}

/// Paths such as `crate::rotation::policy` in the code of a file, tests left out.
fn uses(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = vec![];
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for rest in line.split("crate::").skip(1) {
            let path: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_:".contains(*c)).collect();
            found.push(path.trim_end_matches(':').replace("::", "/"));
        }
    }
    found
}

#[test]
fn no_arrow_points_upward_and_no_adapter_knows_another() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&src, &mut files);
    assert!(files.len() > 50, "the sources are there");
    let mut wrong = vec![];
    for file in files {
        let module = file.strip_prefix(&src).unwrap().with_extension("").to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let own = layer(&module);
        let adapter = |module: &str| ADAPTERS.into_iter().find(|name| module.split('/').next() == Some(name));
        for used in uses(&text) {
            let is_module =
                LAYERS.iter().any(|(prefix, _)| used.split('/').next() == prefix.split('/').next());
            if !is_module {
                continue; // `crate::` inside a macro, or a re-export
            }
            let of_another_adapter = adapter(&module).zip(adapter(&used)).is_some_and(|(a, b)| a != b);
            if layer(&used) > own || of_another_adapter {
                wrong.push(format!("src/{module} (layer {own}) uses {used} (layer {})", layer(&used)));
            }
        }
        if own == 0 {
            let named = NOT_IN_THE_CORE.iter().filter(|name| text.contains(&format!("{name}::")));
            wrong.extend(named.map(|name| format!("src/{module} is of the core and names {name}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_one_idea() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&src, &mut files);
    for file in files {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines: split it by ideas", file.display());
    }
}

/// About four hundred lines, and some air.
const LONGEST_FILE: usize = 450;

#[test]
fn an_upward_arrow_would_be_found() {
    assert_eq!(
        uses("use crate::engine::Command;\nlet x = crate::app::once(y);"),
        ["engine/Command", "app/once"]
    );
    assert!(layer("engine") > layer("rotation/policy"));
    assert_eq!(layer("demo/emulator"), 2);
}
