//! The nearest known name for one that is unknown.

/// The nearest of the known names, if one is near enough to be meant.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |known: &str| {
        strsim::damerau_levenshtein(
            &name.to_ascii_lowercase().replace(['_', '-'], ""),
            &known.to_ascii_lowercase(),
        )
    };
    let best = known.iter().map(|known| (distance(known), *known)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= 1 + name.len() / 4).then_some(best.1)
}

/// `did you mean X?`, or all that is known.
pub(super) fn did_you_mean(name: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    match nearest(name, &known) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None if known.is_empty() => "nothing is known here".into(),
        None => format!("known here: {}", known.join(", ")),
    }
}
