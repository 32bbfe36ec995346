//! Documents that are good, bad and damaged, and what is said of them.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn parse_one(text: &str) -> Result<Loaded, Mistakes> {
    parse_all(&[("everbearer.yaml", text)])
}

fn parse_all(files: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let files = files
        .iter()
        .map(|(name, text)| File { name: PathBuf::from(name), text: (*text).to_owned() })
        .collect();
    parse(files, &|_| None)
}

fn mistakes(text: &str) -> Vec<String> {
    let mistakes = parse_one(text).expect_err("mistakes").to_string();
    mistakes.lines().map(|line| line.trim_start_matches("everbearer.yaml:").to_owned()).collect()
}

const GOOD: &str = r#"
vault:
  address: https://vault.example:8200/
  namespace: team-a
  caFile: /etc/ssl/vault-ca.pem
  auth: {token: {env: VAULT_TOKEN}}
issuers:
  bandwidth: {preset: bandwidth}
  corp:
    tokenUrl: https://idp.example/oauth2/token
    clientAuth: client_secret_basic
    grant: client_credentials
    scopes: [read, write]
    audience: https://api.example
    parameters: {resource: "urn:x"}
    headers: {X-Tenant: blue}
    defaultLifetime: 1h
    maxConcurrent: 4
    connectTimeout: 5s
    timeout: 30s
  legacy: {type: basic}
defaults: {renewAt: 50%, jitter: 10%, sourceInterval: 60s, driftInterval: 0, mintBudget: 10}
installation: everbearer
rotations:
  - name: voice
    issuer: bandwidth
    source: {vault: {mount: secret, path: bandwidth/voice, kvVersion: 2}}
    renewBefore: 20m
    schedule: {cron: "0 3 * * *", timeZone: Europe/Berlin}
    sinks:
      - kubernetesSecret: {namespace: apps, name: voice-token, labels: {team: voice}}
      - vaultKv: {path: tokens/voice, foreignKeys: keep}
      - directory: {path: /run/everbearer/./voice/, mode: "0640", owner: 1000, group: 1000}
    keys:
      token.json: '{"token": {{ access_token | tojson }}}'
      access_token: null
  - name: old-api
    issuer: legacy
    source: {files: {username: /etc/user, password: /etc/password}}
    sinks: [directory: {path: /run/everbearer/old-api}]
admin: {allowRotate: true, allowedHosts: [status.example]}
"#;

#[test]
fn a_good_configuration_means_what_it_says() {
    let loaded = parse_one(GOOD).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let config = loaded.config;
    assert!(loaded.warnings.mistakes.is_empty(), "{}", loaded.warnings);
    assert_eq!(config.vault.unwrap().address, "https://vault.example:8200");
    assert_eq!(config.drift_interval, None);
    let names: Vec<_> =
        config.rotations.iter().flat_map(|r| &r.sinks).map(|sink| sink.name().to_string()).collect();
    assert_eq!(
        names,
        [
            "kubernetesSecret/apps/voice-token",
            "vaultKv/secret/tokens/voice",
            "directory/run/everbearer/voice",
            "directory/run/everbearer/old-api"
        ]
    );
    assert_eq!(
        config.rotations[0].lead,
        crate::rotation::policy::Lead::RenewBefore(jiff::SignedDuration::from_mins(20))
    );
    assert_eq!(config.rotations[1].issuer.as_ref(), "legacy");
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place() {
    let bad = r#"
vault: {address: "http://vault.example:8200", auth: {token: {env: A}, tokenFile: {path: /b}}}
issuers:
  bandwith: {preset: bandwidht}
  corp: {tokenUrl: "http://idp.example/token", scope: [read], parameters: {client_secret: hunter2}}
  old: {type: basic, timeout: 5s}
defaults: {renewAt: 100%, sourceInterval: soon}
installaton: x
rotations:
  - name: Voice
    issuer: corpo
    source: {files: {clientId: /a}}
    renewAt: 50
    renewBefore: 5m
    sinks:
      - directory: {path: /run/a, mode: 440}
      - kubernetesSecret: {namespace: Apps, name: x_y}
      - directory: {path: /run/a/, mode: "0999"}
    keys: {x: "{{ acces_token }}"}
  - name: second
    issuer: corp
    source: {files: {clientId: /a, clientSecret: /b}, env: {clientId: A, clientSecret: B}}
    sinks: []
    schedule: {cron: "0 25 * * *", timeZone: Europe/Berln}
  - issuer: corp
    sinks: [{}]
"#;
    insta::assert_snapshot!(mistakes(bad).join("\n"));
}

#[test]
fn the_rendered_mistake_points_at_its_line_and_shows_no_secret() {
    let bad = "issuers:\n  corp: {preset: bandwidth}\nclientSecret: hunter2-canary\nrotations:\n  - name: voice\n    \
               issuer: corp\n    renewAt: 5O%\n    source: {env: {clientId: A, clientSecret: B}}\n    sinks:\n      - \
               directory: {path: /run/voice}\n";
    let rendered = parse_one(bad).unwrap_err().render(miette::Severity::Error, false);
    assert!(!rendered.contains("canary"), "{rendered}");
    insta::assert_snapshot!(rendered);
}

#[test]
fn what_is_not_yaml_or_not_a_map_is_one_mistake() {
    for (text, expected) in [
        ("rotations: [", "is not YAML"),
        ("a: b: c", "is not YAML"),
        ("just text", "a map of keys and values"),
        ("- a\n- b", "a map of keys and values"),
        ("a: &x 1\nb: *x", "anchors, aliases and tags"),
        ("installation: a\ninstallation: b", "appears twice"),
        ("installation: a\n---\ninstallation: b", "one document"),
    ] {
        let found = parse_one(text).expect_err(text).to_string();
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn files_are_merged_and_a_name_that_is_defined_twice_is_refused_with_both_places() {
    let issuers = "issuers: {a: {preset: bandwidth}}\ninstallation: x\n";
    let rotation = |name: &str, path: &str| {
        format!(
            "rotations:\n  - {{name: {name}, issuer: a, source: {{env: {{clientId: A, clientSecret: B}}}}, \
             sinks: [{{directory: {{path: {path}}}}}]}}\n"
        )
    };
    let (one, two) = (rotation("one", "/one"), rotation("two", "/two"));
    let merged = parse_all(&[("a.yaml", issuers), ("b.yaml", &one), ("c.yaml", &two)]).unwrap();
    assert_eq!(merged.config.rotations.len(), 2);
    let again = rotation("one", "/one");
    let refused =
        parse_all(&[("a.yaml", issuers), ("b.yaml", &one), ("c.yaml", &again), ("d.yaml", issuers)]);
    let text = refused.unwrap_err().to_string();
    for expected in [
        "c.yaml:2:12: rotations[1].name: two rotations are called one; the other one is in line 2",
        "directory/one is a sink twice",
        "d.yaml:1:11: a is defined twice: in a.yaml, line 1, already",
        "d.yaml:2:1: installation is defined twice: in a.yaml, line 2, already",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn the_schema_knows_exactly_the_keys_that_work() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::meta::validate(&schema).unwrap();
    let text = schema.to_string();
    assert!(
        !text.contains("\"null\"") || text.matches("\"null\"").count() == 1,
        "only a template may be null"
    );
    for absent in ["quota", "coordination", "verify", "onExpiry", "privateKey"] {
        assert!(!text.contains(absent), "{absent} is not built yet");
    }
}

#[test]
fn an_address_of_vault_may_come_from_the_environment() {
    let text = "vault: {auth: {token: {env: VAULT_TOKEN}}}\n";
    let file = || vec![File { name: "a.yaml".into(), text: text.into() }];
    let loaded =
        parse(file(), &|name| (name == "VAULT_ADDR").then(|| "https://v.example".to_owned())).unwrap();
    assert_eq!(loaded.config.vault.unwrap().address, "https://v.example");
    assert!(parse(file(), &|_| None).unwrap_err().to_string().contains("VAULT_ADDR"));
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,400}") {
        let _ = parse_one(&text).map_err(|mistakes| mistakes.render(miette::Severity::Error, false));
    }

    /// A good document with a stretch of it replaced: most of the way into the checks of meaning.
    #[test]
    fn damage_never_panics(at in 0usize..1800, length in 0usize..40, put in "[a-z{}\\[\\]:,%0-9 \n-]{0,12}") {
        let mut text: Vec<char> = GOOD.chars().collect();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        let _ = parse_one(&text).map_err(|mistakes| mistakes.render(miette::Severity::Error, false));
    }
}
