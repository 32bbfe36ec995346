//! Tests of the configuration as a whole: what good documents mean. Mistakes, secrecy, the schema, files and sizes have
//! files of their own.

mod disk;
mod meaning;
mod mistakes;
mod schema;
mod secrecy;
mod sizes;

use jiff::SignedDuration;

use super::spec::{IssuerSpec, Preset, SinkSpec, SourceSpec, VaultAuthSpec};
use super::*;
use crate::rotation::policy::Lead;

fn parse_all(files: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let files = files.iter().map(|(name, text)| File { name: name.into(), text: (*text).to_owned() });
    parse(files.collect(), &|_| None)
}

fn parse_one(text: &str) -> Result<Loaded, Mistakes> {
    parse_all(&[("a.yaml", text)])
}

/// One rotation on files and a directory, and what a test adds to it.
fn with_rotation(more: &str) -> String {
    format!(
        "issuers:\n  corp: {{preset: bandwidth}}\n  old: {{type: basic}}\nrotations:\n- name: voice\n  issuer: corp\n  \
         source: {{files: {{clientId: /id, clientSecret: /key}}}}\n  sinks: [{{directory: {{path: /run/voice}}}}]\n{more}"
    )
}

/// The part of the documented example that is built.
const EXAMPLE: &str = r#"
vault:
  address: https://vault.example:8200/
  namespace: team-a
  caFile: /etc/ssl/vault-ca.pem
  auth:
    token: {env: VAULT_TOKEN}
issuers:
  bandwidth:
    preset: bandwidth                 # token URL and client authentication of the provider
  corp:
    tokenUrl: https://idp.example/oauth2/token
    clientAuth: client_secret_basic
    grant: client_credentials
    scopes: [read, write]
    audience: https://api.example
    parameters: {zone: eu, account: "12"}
    headers: {X-Tenant: blue}
    defaultLifetime: 1h
    maxConcurrent: 8
    connectTimeout: 5s
    timeout: 30s
    allowInsecure: false
  legacy: {type: basic}
defaults: {renewAt: 50%, jitter: 10%, sourceInterval: 60s, driftInterval: 0, mintBudget: 10}
installation: everbearer
receipts: {keyFile: /etc/everbearer/receipts.key}
rotations:
  - name: voice
    issuer: bandwidth
    source:
      vault: {mount: secret, path: bandwidth/voice, kvVersion: 2, clientIdKey: client_id, clientSecretKey: client_secret}
    renewBefore: 1h30m
    jitter: 2.5%
    schedule: {cron: "0 3 * * *", timeZone: Europe/Berlin}
    suspend: false
    sinks:
      - kubernetesSecret:
          namespace: apps
          name: voice-token
          type: Opaque
          labels: {team: voice}
          annotations: {example.com/note: "for people: anything"}
          adopt: false
      - vaultKv: {mount: secret, path: /tokens/voice/, kvVersion: 2, adopt: false, foreignKeys: keep}
      - directory: {path: /run/everbearer/./voice, mode: "0440", owner: 1000, group: 1000}
    keys: {token.json: '{"token": {{ access_token | tojson }}}', token_type: null}
  - name: reports
    issuer: corp
    source: {env: {clientId: CORP_ID, clientSecret: CORP_SECRET}}
    sinks: [{directory: {path: /run/everbearer/voice/reports}}]
  - name: legacy
    issuer: legacy
    source: {files: {username: /etc/user, password: /etc/password}}
    sinks: [{directory: {path: /run/everbearer/legacy}}]
kubernetes: {kubeconfig: /etc/kubeconfig, context: prod}
admin: {allowRotate: true, bearerFile: /etc/everbearer/bearer, allowedHosts: [status.example]}
"#;

#[test]
fn the_documented_example_means_what_it_says() {
    let Loaded { config, warnings } = parse_one(EXAMPLE).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(warnings.to_string(), "");
    let vault = config.vault.unwrap();
    assert_eq!(vault.address, "https://vault.example:8200");
    assert_eq!(vault.auth, VaultAuthSpec::Token { env: "VAULT_TOKEN".into() });
    assert_eq!(config.source_interval, Some(SignedDuration::from_secs(60)));
    assert_eq!(config.drift_interval, None, "0 is never");
    let IssuerSpec::OAuth2(corp) = &config.issuers["corp"] else { panic!("corp is a token endpoint") };
    let pairs = [("zone".into(), "eu".into()), ("account".into(), "12".into())];
    assert_eq!(corp.parameters, pairs, "in the order of the file");
    assert_eq!(config.issuers["legacy"], IssuerSpec::Basic);

    let [voice, reports, legacy] = &config.rotations[..] else { panic!("three rotations") };
    assert_eq!(voice.lead, Lead::RenewBefore(SignedDuration::from_mins(90)));
    assert!((voice.jitter - 0.025).abs() < 1e-9);
    assert!(voice.schedule.is_some());
    let names: Vec<String> = voice.sinks.iter().map(|sink| sink.name().to_string()).collect();
    let expected = [
        "kubernetesSecret/apps/voice-token",
        "vaultKv/secret/tokens/voice",
        "directory/run/everbearer/voice",
    ];
    assert_eq!(names, expected);
    assert_eq!(voice.keys["token_type"], None);
    assert_eq!(reports.lead, Lead::RenewAt(0.5));
    assert_eq!(legacy.source, SourceSpec::Files { id: "/etc/user".into(), secret: "/etc/password".into() });
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let config = parse_one(&with_rotation("")).unwrap().config;
    assert_eq!(&*config.installation, "everbearer");
    assert_eq!(config.drift_interval, Some(SignedDuration::from_mins(5)));
    let IssuerSpec::OAuth2(issuer) = &config.issuers["corp"] else { panic!() };
    assert_eq!(issuer.preset, Some(Preset::Bandwidth));
    assert_eq!((issuer.default_lifetime, issuer.max_concurrent), (SignedDuration::from_hours(1), 8));
    assert_eq!(
        (issuer.connect_timeout, issuer.timeout),
        (SignedDuration::from_secs(5), SignedDuration::from_secs(30))
    );
    let rotation = &config.rotations[0];
    assert_eq!((rotation.lead, rotation.mint_budget), (Lead::RenewAt(0.5), 10));
    let SinkSpec::Directory(directory) = &rotation.sinks[0] else { panic!() };
    assert_eq!(directory.mode, 0o440);
}

#[test]
fn defaults_reach_rotations_that_do_not_say_otherwise() {
    let text = with_rotation(
        "  renewAt: 75%\n- name: b\n  issuer: corp\n  source: {env: {clientId: A, clientSecret: B}}\n  \
                              sinks: [{directory: {path: b}}]\ndefaults: {renewAt: 30%, jitter: 0%, mintBudget: 3}\n",
    );
    let rotations = parse_one(&text).unwrap().config.rotations;
    assert_eq!((rotations[0].lead, rotations[1].lead), (Lead::RenewAt(0.75), Lead::RenewAt(0.3)));
    assert_eq!((rotations[1].mint_budget, rotations[1].jitter.to_bits()), (3, 0));
}

#[test]
fn json_and_a_byte_order_mark_are_read() {
    let json = r#"{"issuers": {"corp": {"preset": "bandwidth"}}, "rotations": [{"name": "voice", "issuer": "corp",
        "source": {"env": {"clientId": "A", "clientSecret": "B"}}, "sinks": [{"directory": {"path": "/run/a"}}]}]}"#;
    assert_eq!(parse_one(&format!("\u{feff}{json}")).unwrap().config.rotations.len(), 1);
}

#[test]
fn several_files_make_one_configuration() {
    let rotation = |name: &str| {
        format!(
            "rotations: [{{name: {name}, issuer: corp, source: {{env: {{clientId: A, clientSecret: B}}}}, \
                 sinks: [{{directory: {{path: /run/{name}}}}}]}}]"
        )
    };
    let (first, second) = (rotation("a"), rotation("b"));
    let files = [
        ("1.yaml", &*first),
        ("2.yaml", &*second),
        ("3.yaml", "issuers: {corp: {preset: bandwidth}}"),
        ("4.yaml", "# nothing\n"),
    ];
    let names: Vec<String> = parse_all(&files)
        .unwrap()
        .config
        .rotations
        .iter()
        .map(|rotation| rotation.name.to_string())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn the_address_of_vault_may_come_from_the_environment() {
    let text = with_rotation("vault: {auth: {tokenFile: {path: /t}}}\n");
    let parse_with = |address: Option<&str>| {
        let address = address.map(str::to_owned);
        let file = File { name: "a.yaml".into(), text: text.clone() };
        parse(vec![file], &|name| address.clone().filter(|_| name == "VAULT_ADDR"))
    };
    assert_eq!(
        parse_with(Some("http://127.0.0.1:8200/")).unwrap().config.vault.unwrap().address,
        "http://127.0.0.1:8200"
    );
    for (address, expected) in [
        (None, "a.yaml:9:1: vault: address is missing"),
        (
            Some("ftp://hunter2/"),
            "a.yaml:9:1: vault: VAULT_ADDR of the environment: expected an absolute URL",
        ),
    ] {
        let told = parse_with(address).unwrap_err().to_string();
        assert!(told.starts_with(expected) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    for (more, expected) in [
        (
            "  schedule: {cron: '* * * * *'}\n",
            "rotations[0].schedule.cron (rotation voice): this asks for a new token every minute",
        ),
        (
            "- {name: b, issuer: old, renewAt: 50%, source: {env: {username: A, password: B}}, sinks: [{directory: {path: b}}]}\n",
            "`renewAt` has no effect with a Basic issuer",
        ),
        (
            "- {name: b, issuer: corp, renewBefore: 299s, source: {env: {clientId: A, clientSecret: B}}, sinks: [{kubernetesSecret: {namespace: b, name: b}}]}\n",
            "rotations[1].renewBefore (rotation b): this is short for a Secret",
        ),
        (
            "vault: {address: 'http://vault.example', auth: {token: {env: T}}}\n",
            "vault.address: Vault is reached by http",
        ),
        (
            "- {name: b, issuer: corp, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: b, mode: '0444'}}]}\n",
            "every user of the machine may read the token",
        ),
        (
            "- {name: b, issuer: corp, source: {env: {clientId: A, clientSecret: A}}, sinks: [{directory: {path: b}}]}\n",
            "rotations[1].source.env.clientSecret (rotation b): `clientSecret` names the same as `clientId`",
        ),
        ("", "issuers.old: no rotation uses the issuer `old`"),
    ] {
        let warnings = parse_one(&with_rotation(more)).unwrap_or_else(|m| panic!("{m}")).warnings.to_string();
        assert!(warnings.contains(expected), "{more}: {warnings}");
    }
    let warnings = parse_one("").unwrap().warnings.to_string();
    assert!(warnings.starts_with("a.yaml:1:1: there are no rotations"), "{warnings}");
}
