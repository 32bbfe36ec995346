//! From text to a [`Config`], or to every mistake in the text at once, each with file, line and column.
//!
//! Read from the bottom: [`spec`] is what comes out; `document` is the shape of what is written; `tree` knows where
//! everything stands; `structure` checks the shape and `meaning` the rest. Nothing here reaches the network, and only
//! [`load`] reads files.

mod document;
mod meaning;
mod mistake;
mod place;
pub mod spec;
mod structure;
mod suggestion;
mod tree;
mod value;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use meaning::Environment;
pub use mistake::{File, Mistake, Mistakes, Place};
pub use spec::Config;
pub use structure::schema;

use tree::{Kind, Node};

/// 10,000 rotations are 2 MB of YAML; a larger file is something else.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// A configuration without mistakes.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Worth a word; they change no exit code.
    pub warnings: Mistakes,
}

/// Reads files and folders (`*.yaml`, `*.yml` and `*.json`, by name) and parses them as one configuration.
pub fn load(paths: &[PathBuf], environment: Environment<'_>) -> Result<Loaded, Mistakes> {
    let mut files = Vec::new();
    let mut mistakes = Vec::new();
    for path in expand(paths, &mut files, &mut mistakes) {
        let index = files.len();
        let text = read(&path).unwrap_or_else(|why| {
            mistakes.push(Mistake::new(Place { file: index, line: 1, column: 1 }, why));
            String::new()
        });
        files.push(File { name: path, text });
    }
    if mistakes.is_empty() { parse(files, environment) } else { Err(Mistakes::new(files, mistakes)) }
}

/// Parses the files as one configuration: lists of rotations and maps of issuers are united, and everything else may
/// be in one of them only.
pub fn parse(files: Vec<File>, environment: Environment<'_>) -> Result<Loaded, Mistakes> {
    let mut mistakes = Vec::new();
    let mut warnings = Vec::new();
    let mut root = Node::empty_map(0);
    let mut whole = true;
    for (index, file) in files.iter().enumerate() {
        match tree::parse(index, &file.text, &mut mistakes) {
            Some(node) => merge(&mut root, node, &files, &mut mistakes),
            None => whole = false,
        }
    }
    // What a broken file would have said is unknown, so complaints about the rest would be guesses.
    let config = whole.then(|| {
        let document = structure::check(&root, &mut mistakes);
        meaning::check(&root, document, environment, &mut mistakes, &mut warnings)
    });
    match config {
        Some(config) if mistakes.is_empty() => {
            Ok(Loaded { config, warnings: Mistakes::new(files, warnings) })
        }
        _ => Err(Mistakes::new(files, mistakes)),
    }
}

fn expand(paths: &[PathBuf], files: &mut Vec<File>, mistakes: &mut Vec<Mistake>) -> Vec<PathBuf> {
    let mut expanded = Vec::new();
    for path in paths {
        if !path.is_dir() {
            expanded.push(path.clone());
            continue;
        }
        let mut found: Vec<PathBuf> = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_configuration(path))
            .collect();
        found.sort();
        if found.is_empty() {
            let place = Place { file: files.len(), line: 1, column: 1 };
            mistakes
                .push(Mistake::new(place, "this folder holds no *.yaml, *.yml or *.json that can be read"));
            files.push(File { name: path.clone(), text: String::new() });
        }
        expanded.extend(found);
    }
    expanded
}

fn is_configuration(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    !name.starts_with('.') && matches!(ending, "yaml" | "yml" | "json") && path.is_file()
}

fn read(path: &Path) -> Result<String, String> {
    let open = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "we may not read this file".to_owned(),
        kind => format!("this file cannot be read: {kind}"),
    })?;
    let mut bytes = Vec::new();
    open.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("this file cannot be read: {}", error.kind()))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err("this file is larger than 16 MiB: split it, a folder is read as one configuration".into());
    }
    let text = String::from_utf8(bytes).map_err(|_| "this file is not UTF-8 text".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn merge(root: &mut Node, file: Node, files: &[File], mistakes: &mut Vec<Mistake>) {
    let place = file.place;
    let Kind::Map(entries) = file.kind else {
        mistakes.push(Mistake::new(place, "a configuration is a map of keys and values"));
        return;
    };
    let Kind::Map(all) = &mut root.kind else { return };
    if all.is_empty() {
        root.place = place;
    }
    for (key, key_place, node) in entries {
        let Some((_, first, known)) = all.iter_mut().find(|(name, ..)| *name == key) else {
            all.push((key, key_place, node));
            continue;
        };
        match (key.as_str(), &mut known.kind, node.kind) {
            ("rotations", Kind::List(known), Kind::List(more)) => known.extend(more),
            ("issuers", Kind::Map(known), Kind::Map(more)) => {
                for (name, name_place, node) in more {
                    if let Some((_, first, _)) = known.iter().find(|(other, ..)| *other == name) {
                        mistakes.push(twice(&name, *first, name_place, files));
                    } else {
                        known.push((name, name_place, node));
                    }
                }
            }
            _ => mistakes.push(twice(&key, *first, key_place, files)),
        }
    }
}

fn twice(name: &str, first: Place, second: Place, files: &[File]) -> Mistake {
    let file = files.get(first.file).map(|file| file.name.display().to_string()).unwrap_or_default();
    Mistake::new(second, format!("{name} is defined twice: in {file}, line {}, already", first.line))
}

#[cfg(test)]
mod tests;
