//! A secret that somebody wrote into a wrong place is never shown: not by a message, not by a path, not by a snippet.

use miette::Severity;

use super::*;

const CANARY: &str = "hunter2";

/// Everything that is ever printed of a document.
fn everything_told(text: &str) -> String {
    match parse_one(text) {
        Ok(loaded) => format!("{}{}", loaded.warnings, loaded.warnings.render(Severity::Warning, false)),
        Err(mistakes) => format!("{mistakes}{}{mistakes:?}", mistakes.render(Severity::Error, true)),
    }
}

#[test]
fn a_secret_in_a_wrong_place_is_not_shown() {
    let documents = [
        "clientSecret: hunter2",
        "issuers: {a: {clientSecret: hunter2}}",
        "issuers:\n  a: {preset: bandwidth, clientSecret: hunter2, timeout: 5}",
        "issuers:\n  a: {preset: bandwidth,\n    timeout: 5, clientSecret: hunter2}",
        "issuers:\n  a: {preset: bandwidth} # hunter2\n  b: {preset: x} # hunter2",
        "issuers:\n  a:\n    clientSecret: >\n      hunter2\n      hunter2\n    timeout: 5",
        "issuers: {a: {x: \"hunter2\n   hunter2\", timeout: 5}}",
        "issuers: {a: {tokenUrl: 'https://user:hunter2@idp.example/'}}",
        "issuers: {a: {tokenUrl: 'http://idp.example/?key=hunter2'}}",
        "issuers: {a: {preset: bandwidth, parameters: {client_secret: hunter2}}}",
        "issuers: {a: {preset: bandwidth, parameters: {api_key: 7}, headers: {Authorization: Bearer hunter2}}}",
        "issuers: {a: {preset: bandwidth, headers: {X-Key: \"hunter2\\n\"}}}",
        "issuers: {a: {preset: bandwidth, scopes: ['hunter2 hunter2']}}",
        "vault: {address: 'https://v', auth: {token: hunter2}}",
        "vault: {address: 'https://v', auth: {token: {hunter2}}}",
        "vault: {address: 'https://v', auth: {token: {env: s.hunter2}}}",
        "vault: {address: 'https://v', auth: {token: {env: T, value: hunter2}}}",
        "vault: {address: 'https://v', auth: {token: [hunter2]}}",
        "vault: {address: 'https://:hunter2@v', auth: {tokenFile: {path: t}}}",
        "vault: {address: 'https://v', auth: {token: &hunter2 {env: T}, x: *hunter2}}",
        "vault: {address: 'https://v', auth: {token: !hunter2 {env: T}}}",
        "rotations: [hunter2]",
        "hunter2",
        "receipts: hunter2",
        "receipts: {hunter2}",
        "receipts: {hunter2, hunter2}",
        "rotations: [{name: hunter2 hunter2}]",
        "receipts: {keyFile: /k}\n  hunter2: [",
        "receipts:\n  keyFile: 'hunter2\nx",
        "receipts:\n  keyFile: hunter2: x",
        "a: hunter2\n---\nhunter2: b",
    ];
    for text in documents {
        let told = everything_told(text);
        assert!(!told.is_empty(), "{text} is told about");
        // A name that is wrong is shown as it is; no secret has its form.
        let shown_name = text.contains("name: hunter2 hunter2");
        assert!(shown_name || !told.contains(CANARY), "{text}\n{told}");
    }
}

#[test]
fn a_secret_beside_any_mistake_of_a_rotation_is_not_shown() {
    let more = [
        "  keys: {a: 'hunter2 {{ nothing }}', b: '{{ hunter2', c: '{{ \"hunter2\" | nofilter }}'}\n",
        "- {name: b, issuer: corp, source: {files: {clientId: hunter2, clientSecret: hunter2}}, sinks: [{directory: {path: b}}]}\n",
        "- {name: b, issuer: corp, source: {files: hunter2}, sinks: [{directory: hunter2}, hunter2]}\n",
        "- {name: b, issuer: corp, source: {vault: {path: hunter2?}}, sinks: [{vaultKv: {path: '#hunter2'}}]}\n",
        "- {name: b, issuer: old, source: {env: {clientId: hunter2, clientSecret: hunter2}}, sinks: [{directory: {path: b}}]}\n",
        "- {name: b, issuer: corp, source: {env: {clientId: A, clientSecret: B}}, sinks: [{kubernetesSecret: {namespace: a, name: b, labels: {x: 'hunter2 '}, annotations: {'x y': hunter2}}}]}\n",
    ];
    for more in more {
        let told = everything_told(&with_rotation(more));
        assert!(told.contains("a.yaml:9:") && !told.contains(CANARY), "{more}\n{told}");
    }
}

#[test]
fn a_snippet_keeps_keys_and_shows_the_value_only_where_it_is_harmless() {
    let text = "issuers:\n  corp: {tokenUrl: 'http://idp.example', timeout: 5, colour: red} # a note\n";
    insta::assert_snapshot!(parse_one(text).unwrap_err().render(Severity::Error, false), @r"
      × http to another host than loopback would send the client secret in the clear
       ╭─[a.yaml:2:20]
     2 │   corp: {tokenUrl: •••, timeout: •••, colour: •••}
       ·                    ─┬─
       ·                     ╰── issuers.corp.tokenUrl
       ╰────
      help: use https, or set `allowInsecure: true` if you mean it

      × expected a span of time from 100ms to 5m, such as 90s or 1h30m; found a number
       ╭─[a.yaml:2:51]
     2 │   corp: {tokenUrl: •••, timeout: 5, colour: •••}
       ·                                  ┬
       ·                                  ╰── issuers.corp.timeout
       ╰────
      help: write the unit: `5s`, `5m` or `5h`

      × unknown key colour
       ╭─[a.yaml:2:54]
     2 │   corp: {tokenUrl: •••, timeout: •••, colour: •••}
       ·                                       ───┬──
       ·                                          ╰── issuers.corp.colour
       ╰────
      help: known here: type, preset, tokenUrl, clientAuth, grant, scopes, audience, parameters, headers, defaultLifetime,
            maxConcurrent, connectTimeout, timeout, allowInsecure, caFile
    ");
}

#[test]
fn a_line_of_megabytes_is_cut() {
    let line = format!(
        "{{\"a\": \"{}\", \"installation\": 7, \"b\": \"{}\"}}",
        "x".repeat(1 << 20),
        "y".repeat(1 << 20)
    );
    let told = parse_one(&line).unwrap_err().render(Severity::Error, false);
    assert!(told.len() < 4000 && told.contains("\"installation\": •••"), "{told}");
}
