//! Names that others chose, made fit for a message: whoever may write a path may write anything there, and a message
//! stays one short line.

const LONGEST_NAME: usize = 64;
const MOST_NAMES: usize = 10;

pub(super) fn name(text: &str) -> String {
    text.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect()
}

/// `the key a`, `the keys a, b` or `no key at all`.
pub(super) fn name_keys<'a>(keys: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = keys.len();
    let mut names: Vec<String> = keys.take(MOST_NAMES).map(|key| name(key)).collect();
    if count > MOST_NAMES {
        names.push(format!("and {} more", count - MOST_NAMES));
    }
    match count {
        0 => "no key at all".to_owned(),
        1 => format!("the key {}", names.concat()),
        _ => format!("the keys {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_or_odd_key_names_stay_one_short_line() {
        let named = |keys: &[String]| name_keys(keys.iter());
        assert_eq!(named(&[]), "no key at all");
        assert_eq!(named(&["a".into()]), "the key a");
        let many: Vec<String> = (0..12).map(|i| format!("k{i}")).collect();
        assert_eq!(named(&many), "the keys k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, and 2 more");
        assert_eq!(named(&["a\nb".into(), "x".repeat(100)]), format!("the keys a\\nb, {}", "x".repeat(64)));
    }
}
