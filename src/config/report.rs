//! Turns findings, which name places only, into mistakes with path, rotation and snippet.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::findings::{Finding, Findings};
use super::mistake::{Mistake, Position};
use super::snippet::Cutter;
use super::tree;

/// In the order of the files; what concerns no place comes first.
pub(super) fn tell(texts: &[&str], names: &[String], mut findings: Vec<Finding>) -> Vec<Mistake> {
    findings.sort_by_key(|finding| finding.at.map(|at| (at.file, at.offset)));
    let known = if findings.is_empty() { BTreeSet::new() } else { known_keys() };
    let mut mistakes: Vec<Mistake> = Vec::with_capacity(findings.len());
    for of_one_file in findings.chunk_by(|one, other| one.file == other.file) {
        let index = usize::from(of_one_file[0].file);
        let text = texts.get(index).copied().unwrap_or_default();
        // Planted again rather than kept: nearly all configurations have no mistakes, and trees are large.
        let tree = tree::plant(of_one_file[0].file, text, &mut Findings::new(names.to_vec()));
        let cutter = Cutter::new(text, tree.as_ref());
        let file: Arc<str> = names[index].as_str().into();
        mistakes.extend(of_one_file.iter().map(|finding| {
            let place = finding.at.zip(tree.as_ref());
            let (path, rotation) = place.map(|(at, tree)| tree::path_of(tree, at)).unwrap_or_default();
            Mistake {
                file: Arc::clone(&file),
                position: finding
                    .at
                    .map(|at| Position { line: at.line as usize, column: at.column as usize + 1 }),
                path,
                rotation,
                message: finding.message.clone(),
                help: finding.help.clone(),
                snippet: finding.at.and_then(|at| cutter.cut(at, &known)),
            }
        }));
    }
    mistakes
}

/// Every key of the configuration.
fn known_keys() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let schema = super::schema();
    let definitions = schema["$defs"].as_object().into_iter().flat_map(|definitions| definitions.values());
    for properties in
        definitions.chain([&schema]).filter_map(|definition| definition["properties"].as_object())
    {
        known.extend(properties.keys().cloned());
    }
    known
}
