//! Bad documents, and where and how each mistake is told.

use proptest::prelude::*;

use super::*;

/// Text, and how the lines of its mistakes begin, in order and without any besides.
fn assert_told(text: &str, expected: &[&str]) {
    let told = parse_one(text).expect_err(text).to_string();
    let lines: Vec<&str> = told.lines().map(|line| line.strip_prefix("a.yaml:").unwrap_or(line)).collect();
    let fits = lines.len() == expected.len()
        && lines.iter().zip(expected).all(|(line, begin)| line.starts_with(begin));
    assert!(fits, "{text}\n\ntold:\n{told}\n\nexpected:\n{}", expected.join("\n"));
}

/// A mistake in what follows the nine lines of [`with_rotation`].
pub(super) fn assert_told_of(more: &str, expected: &[&str]) {
    assert_told(&with_rotation(more), expected);
}

#[test]
fn text_that_is_no_yaml_is_one_mistake_with_its_place() {
    assert_told("rotations: [", &["2:1: this is not YAML: "]);
    assert_told("installation: a: b", &["1:16: this is not YAML: "]);
    assert_told("a:\n\t- b", &["2:2: this is not YAML: "]);
    assert_told("just text", &["1:1: expected a map, found text"]);
    assert_told("- a", &["1:1: expected a map, found a list"]);
    assert_told("a: 1\n---\nb: 2", &["1:1: a: unknown key a", "2:1: a second YAML document begins here"]);
    let deep = format!("rotations: {}{}", "[".repeat(100), "]".repeat(100));
    assert_told(&deep, &["1:43: this is nested deeper than 32 levels"]);
}

#[test]
fn what_a_configuration_has_no_use_for_in_yaml_is_refused() {
    assert_told(
        "installation: &x a\nissuers: *x",
        &["2:10: issuers: a YAML alias (`*name`) is not supported"],
    );
    assert_told("installation: !env HOME", &["1:15: installation: a YAML tag (`!name`) is not supported"]);
    assert_told("{{ .Values.x }}: 1", &["1:1: a key must be text", "1:2: a key must be text"]);
    // Nested aliases would expand to gigabytes.
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
    assert_eq!(parse_one(bomb).unwrap_err().mistakes.len(), 7, "four aliases, three unknown keys");
}

#[test]
fn what_is_defined_twice_is_told_with_both_places() {
    assert_told(
        "installation: a\nadmin: {}\ninstallation: b",
        &["3:1: `installation` stands twice in one map; first at a.yaml:1:1"],
    );
    assert_told_of(
        "  suspend: true\n  suspend: false\n",
        &["10:3: rotations[0] (rotation voice): `suspend` stands twice in one map; first at a.yaml:9:3"],
    );
    let many: Vec<String> = (0..20).map(|i| format!("i{i}: {{preset: bandwidth}},")).collect();
    let many = many.join(" ");
    assert_told(
        &format!("issuers: {{{many} i7: {{}}}}"),
        &["1:521: issuers: `i7` stands twice in one map; first at a.yaml:1:186"],
    );
    assert_told_of(
        "- {name: voice, issuer: corp, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: b}}]}\n",
        &[
            "9:10: rotations[1].name (rotation voice): two rotations are called `voice`; the first is at a.yaml:5:9",
        ],
    );

    let told = parse_all(&[
        ("a.yaml", "installation: a\nissuers: {x: {preset: bandwidth}}"),
        ("b.yaml", "issuers: {x: {type: basic}}\ninstallation: b"),
    ]);
    assert_eq!(
        told.unwrap_err().to_string(),
        "b.yaml:1:11: issuers.x: the issuer `x` is defined twice; first at a.yaml:2:11\n\
         b.yaml:2:15: installation: `installation` is defined in two files; first at a.yaml:1:15"
    );
}

#[test]
fn an_unknown_key_comes_with_the_nearest_one_or_with_all() {
    assert_told(
        "instalation: a",
        &["1:1: instalation: unknown key instalation (did you mean installation?)"],
    );
    assert_told(
        "issuers: {a: {token_url: 'https://a'}}",
        &["1:15: issuers.a.token_url: unknown key token_url (did you mean tokenUrl?)"],
    );
    assert_told(
        "receipts: {keyFile: /k, colour: red}",
        &["1:25: receipts.colour: unknown key colour (known here: keyFile)"],
    );
    // A key that need not be there is not missed where it stands misspelt.
    assert_told(
        "admin: {alowRotate: true}",
        &["1:9: admin.alowRotate: unknown key alowRotate (did you mean allowRotate?)"],
    );
    // Documented, but not built.
    assert_told(
        "pollsPerSecond: 20\ncoordination: {}",
        &["1:1: pollsPerSecond: unknown key", "2:1: coordination: unknown key"],
    );
}

#[test]
fn a_value_of_a_wrong_kind_is_told_by_kinds() {
    for (text, expected) in [
        (
            "installation: 5",
            "1:15: installation: expected a name of 1–128 characters, found a number (write it in quotes: \"5\")",
        ),
        ("installation: [a]", "1:1: installation: expected a name of 1–128 characters, found a list"),
        ("installation:", "1:1: installation: expected a name of 1–128 characters, found nothing"),
        ("rotations:", "1:1: rotations: expected a list, found nothing (write `[]` for an empty list)"),
        ("issuers: []", "1:1: issuers: expected a map, found a list"),
        ("admin: {allowRotate: 'true'}", "1:22: admin.allowRotate: expected true or false, found text"),
        (
            "defaults: {mintBudget: 0}",
            "1:24: defaults.mintBudget: expected a whole number from 1 to 1000, found `0`",
        ),
        (
            "defaults: {mintBudget: '7'}",
            "1:24: defaults.mintBudget: expected a whole number from 1 to 1000, found text (leave out the quotes)",
        ),
        (
            "defaults: {mintBudget: 1.5}",
            "1:24: defaults.mintBudget: expected a whole number from 1 to 1000, found `1.5`",
        ),
        (
            "defaults: {renewAt: 50}",
            "1:21: defaults.renewAt: expected a percentage from 1% to 99%, found a number (write the unit: `50%`)",
        ),
        (
            "defaults: {renewAt: 100%}",
            "1:21: defaults.renewAt: expected a percentage from 1% to 99%, found `100%`",
        ),
        (
            "defaults: {jitter: 51%}",
            "1:20: defaults.jitter: expected a percentage from 0% to 50%, found `51%`",
        ),
        ("defaults: {renewAt: NaN%}", "1:21: defaults.renewAt: expected a percentage"),
        (
            "defaults: {sourceInterval: 60}",
            "1:28: defaults.sourceInterval: expected a span of time from 1s to 1d, such as 90s or 1h30m; found a number (write the unit: `60s`",
        ),
        (
            "defaults: {sourceInterval: 500ms}",
            "1:28: defaults.sourceInterval: expected a span of time from 1s to 1d",
        ),
        ("defaults: {driftInterval: 5 minutes}", "1:27: defaults.driftInterval: expected a span of time"),
        ("defaults: {driftInterval: 30m1h}", "1:27: defaults.driftInterval: expected a span of time"),
        ("defaults: {driftInterval: 99999999999h}", "1:27: defaults.driftInterval: expected a span of time"),
        (
            "issuers: {a: {preset: bandwith}}",
            "1:23: issuers.a.preset: expected one of: bandwidth; found `bandwith` (did you mean bandwidth?)",
        ),
        ("issuers: {'a b': {preset: bandwidth}}", "1:11: issuers: expected a name of 1–63 letters"),
    ] {
        assert_told(text, &[expected]);
    }
}

#[test]
fn exactly_one_kind_of_source_sink_and_login_is_wanted() {
    let sinks = "sinks: [{directory: {path: b}}]";
    for (source, expected) in [
        ("{}", "exactly one of vault, files, env is wanted here; found none"),
        (
            "{files: {clientId: a, clientSecret: b}, env: {clientId: A, clientSecret: B}}",
            "exactly one of vault, files, env is wanted here; found both files and env",
        ),
    ] {
        let expected = format!("9:27: rotations[1].source (rotation b): {expected}");
        assert_told_of(&format!("- {{name: b, issuer: corp, source: {source}, {sinks}}}\n"), &[&expected]);
    }
    assert_told(
        "vault: {address: 'https://v', auth: {tokenFile: {path: a}, token: {env: A}}}",
        &["1:31: vault.auth: exactly one of token, tokenFile is wanted here; found both token and tokenFile"],
    );
    assert_told(
        "vault: {address: 'https://v', auth: {kubernetes: {role: a}}}",
        &[
            "1:31: vault.auth: exactly one of token, tokenFile is wanted here; found none",
            "1:38: vault.auth.kubernetes: unknown key",
        ],
    );
}

#[test]
fn a_file_that_is_no_yaml_hides_no_mistake_of_the_others_and_makes_up_none() {
    let told = parse_all(&[
        ("a.yaml", "issuers: ["),
        (
            "b.yaml",
            &with_rotation("  renewAt: 0%\n")
                .replace("issuers:", "#")
                .replace("  corp:", "#")
                .replace("  old:", "#"),
        ),
    ]);
    let told = told.unwrap_err().to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("a.yaml:2:1: this is not YAML"), "{told}");
    assert!(
        lines[1].starts_with("b.yaml:9:12: rotations[0].renewAt (rotation voice): expected a percentage"),
        "{told}"
    );
}

#[test]
fn every_mistake_is_told_at_once() {
    let told = parse_one(include_str!("many-mistakes.yaml")).unwrap_err();
    insta::assert_snapshot!(told.to_string());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}|[-a-z:{}\\[\\],'\"#&*!|>%@ \n\t]{0,200}") {
        if let Err(mistakes) = parse_one(&text) {
            prop_assert!(!mistakes.mistakes.is_empty());
            prop_assert!(!mistakes.render(miette::Severity::Error, true).is_empty());
        }
    }

    /// Near misses reach further than noise: the example with a few characters cut out and put in.
    #[test]
    fn no_damage_makes_it_panic(cut in 0usize..2600, length in 0usize..40, noise in "[-a-z0:{}\\[\\],'\"#&*|> \nä]{0,8}") {
        let chars: Vec<char> = EXAMPLE.chars().collect();
        let start = cut.min(chars.len());
        let end = (start + length).min(chars.len());
        let text: String = chars[..start].iter().copied().chain(noise.chars()).chain(chars[end..].iter().copied()).collect();
        if let Err(mistakes) = parse_one(&text) {
            prop_assert!(!mistakes.mistakes.is_empty());
            prop_assert!(!mistakes.render(miette::Severity::Error, false).is_empty());
        }
    }
}
