//! Large configurations: work grows with the text, not with its square.

use std::fmt::Write;

use super::*;

/// `n` rotations with an issuer each, two sinks and a template: 3 MB for 10,000.
fn large(n: usize) -> String {
    let mut text = "issuers:\n".to_owned();
    for i in 0..n {
        writeln!(text, "  issuer-{i}: {{tokenUrl: 'https://idp.example/{i}'}}").unwrap();
    }
    text.push_str("rotations:\n");
    for i in 0..n {
        writeln!(
            text,
            "- name: rotation-{i}\n  issuer: issuer-{i}\n  source: {{env: {{clientId: ID_{i}, clientSecret: KEY_{i}}}}}\n  \
             sinks:\n  - kubernetesSecret: {{namespace: apps, name: token-{i}}}\n  - directory: {{path: /run/everbearer/{i}}}\n  \
             keys: {{token.json: '{{\"token\": {{{{ access_token | tojson }}}}}}'}}"
        )
        .unwrap();
    }
    text
}

#[test]
fn ten_thousand_rotations_are_read() {
    let loaded = parse_one(&large(10_000)).unwrap();
    assert_eq!(loaded.config.rotations.len(), 10_000);
    assert_eq!(loaded.config.issuers.len(), 10_000);
}

#[test]
fn a_mistake_in_each_of_many_rotations_is_told() {
    let text = large(2_000)
        .replace("issuer: issuer-", "issuer: isuer-")
        .replace("/run/everbearer", "/run/./everbearer");
    let mistakes = parse_one(&text).unwrap_err();
    assert_eq!(mistakes.mistakes.len(), 2_000);
    assert!(
        mistakes
            .render(miette::Severity::Error, false)
            .contains("rotations[1999].issuer (rotation rotation-1999)")
    );
    // Each looks through a thousand names; all of them together would take minutes with some thousand more.
    let suggested =
        mistakes.mistakes.iter().filter(|m| m.help.as_ref().is_some_and(|h| h.starts_with("did you mean")));
    assert!((10..100).contains(&suggested.count()));
}
