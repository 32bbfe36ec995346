//! Keys that are right one by one and wrong together.

use super::mistakes::assert_told_of;
use super::*;

#[test]
fn issuers_are_checked_for_what_their_keys_mean_together() {
    let issuer = |keys: &str| format!("issuers:\n  a: {{{keys}}}\n");
    let url = "tokenUrl: 'https://a/t'";
    for (keys, expected) in [
        ("scopes: [a]".to_owned(), "issuers.a: one of `preset`, `tokenUrl` is wanted here; found neither"),
        (
            "type: basic, timeout: 5s".to_owned(),
            "issuers.a.timeout: `timeout` does not go with `type: basic`",
        ),
        (
            "tokenUrl: 'http://idp.example/t'".to_owned(),
            "issuers.a.tokenUrl: http to another host than loopback",
        ),
        (
            "tokenUrl: 'http://127.0.0.1.example/t'".to_owned(),
            "issuers.a.tokenUrl: http to another host than loopback",
        ),
        (
            "tokenUrl: /oauth2/token".to_owned(),
            "issuers.a.tokenUrl: expected an absolute URL, https://HOST/…: relative URL",
        ),
        (
            "tokenUrl: 'https://u:p@a/t'".to_owned(),
            "issuers.a.tokenUrl: expected an absolute URL, https://HOST/…, without user and password",
        ),
        (
            "tokenUrl: 'https://a/t#x'".to_owned(),
            "issuers.a.tokenUrl: expected an absolute URL, https://HOST/…, without a fragment",
        ),
        (
            "tokenUrl: 'file:///a'".to_owned(),
            "issuers.a.tokenUrl: expected an absolute URL, https://HOST/…, and this is of another scheme",
        ),
        (
            format!("{url}, parameters: {{grant_type: x}}"),
            "issuers.a.parameters.grant_type: `grant_type` cannot be a parameter (set the issuer's `grant` instead)",
        ),
        (
            format!("{url}, parameters: {{client_secret: x}}"),
            "issuers.a.parameters.client_secret: `client_secret` cannot be a parameter (the client credentials come from",
        ),
        (
            format!("{url}, headers: {{AUTHORIZATION: x}}"),
            "issuers.a.headers.AUTHORIZATION: `AUTHORIZATION` cannot be set here",
        ),
        (
            format!("{url}, headers: {{X-A: b, x-a: c}}"),
            "issuers.a.headers[x-a]: the header `x-a` stands twice",
        ),
        (
            format!("{url}, headers: {{X-A: \"b\\nc\"}}"),
            "issuers.a.headers[X-A]: expected the value of an HTTP header",
        ),
        (format!("{url}, scopes: ['a b']"), "issuers.a.scopes[0]: expected one OAuth scope"),
    ] {
        let told = parse_one(&issuer(&keys)).expect_err(&keys).to_string();
        assert!(told.lines().count() == 1 && told.contains(expected), "{keys}: {told}");
    }
    for fine in [
        "tokenUrl: 'http://[::1]:80/t'",
        "tokenUrl: 'http://localhost/t'",
        "tokenUrl: 'http://a/t', allowInsecure: true",
    ] {
        assert!(parse_one(&issuer(fine)).is_ok(), "{fine}");
    }
}

#[test]
fn rotations_are_checked_for_what_their_keys_mean_together() {
    for (more, expected) in [
        (
            "  renewAt: 50%\n  renewBefore: 20m\n",
            "10:16: rotations[0].renewBefore (rotation voice): renewAt and renewBefore exclude each other",
        ),
        (
            "  schedule: {cron: '0 25 * * *'}\n",
            "9:20: rotations[0].schedule.cron (rotation voice): this is no cron line",
        ),
        (
            "  schedule: {cron: '0 0 31 2 *'}\n",
            "9:20: rotations[0].schedule.cron (rotation voice): this cron line never comes",
        ),
        (
            "  schedule: {cron: '0 3 * * *', timeZone: Europe/Berln}\n",
            "9:43: rotations[0].schedule.timeZone (rotation voice): there is no such time zone (did you mean Europe/Berlin?)",
        ),
        (
            "  keys: {a: '{{ acces_token }}'}\n",
            "9:13: rotations[0].keys.a (rotation voice): the template uses `acces_token`, which does not exist (did you mean access_token?)",
        ),
        (
            "  keys: {a: '{{ username }}'}\n",
            "9:13: rotations[0].keys.a (rotation voice): the template uses `username`, which this kind of issuer does not give",
        ),
        (
            "  keys: {a: '{{ access_token'}\n",
            "9:13: rotations[0].keys.a (rotation voice): this is not a template: syntax error",
        ),
        (
            "  keys: {a: '{{ access_token | tojsn }}'}\n",
            "9:13: rotations[0].keys.a (rotation voice): the template cannot be rendered: unknown filter",
        ),
        (
            "  keys: {acces_token: null}\n",
            "9:10: rotations[0].keys (rotation voice): `acces_token` is no default key",
        ),
        (
            "  keys: {.receipt.json: 'a'}\n",
            "9:10: rotations[0].keys[.receipt.json] (rotation voice): the key `.receipt.json` is reserved",
        ),
        ("  keys: {..data: 'a'}\n", "9:10: rotations[0].keys[..data] (rotation voice): expected a key"),
        ("  keys: {a/b: 'a'}\n", "9:10: rotations[0].keys[a/b] (rotation voice): expected a key"),
        (
            "  keys: {access_token: ~, token_type: ~, authorization: ~, expires_at: ~}\n",
            "9:3: rotations[0].keys (rotation voice): every key is left out",
        ),
        (
            "- {name: b, issuer: crop, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: b}}]}\n",
            "9:21: rotations[1].issuer (rotation b): there is no issuer `crop` (did you mean corp?)",
        ),
        (
            "- {name: B, issuer: corp, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: b}}]}\n",
            "9:10: rotations[1].name: expected a name of 1–63 of a-z",
        ),
        (
            "- {name: b, issuer: corp, source: {env: {clientId: A, clientSecret: B}}, sinks: []}\n",
            "9:74: rotations[1].sinks (rotation b): this list takes at least 1, and has 0",
        ),
        (
            "- {name: b, issuer: corp, source: {env: {clientId: A, clientSecret: B}}}\n",
            "9:3: rotations[1] (rotation b): sinks is missing",
        ),
        (
            "- {name: b, issuer: corp, source: {vault: {path: a}}, sinks: [{directory: {path: b}}]}\n",
            "9:36: rotations[1].source.vault (rotation b): this source needs Vault",
        ),
        (
            "- {name: b, issuer: old, source: {env: {username: A}}, sinks: [{directory: {path: b}}]}\n",
            "9:35: rotations[1].source.env (rotation b): password is missing",
        ),
        (
            "- {name: b, issuer: corp, source: {env: {clientId: A, clientSecret: 9B}}, sinks: [{directory: {path: b}}]}\n",
            "9:69: rotations[1].source.env.clientSecret (rotation b): expected the name of an environment variable",
        ),
    ] {
        assert_told_of(more, &[expected]);
    }
    assert_told_of(
        "- {name: b, issuer: old, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: b}}]}\n",
        &[
            "9:51: rotations[1].source.env.clientId (rotation b): `clientId` does not fit, for the issuer is of `type: basic`",
            "9:68: rotations[1].source.env.clientSecret (rotation b): `clientSecret` does not fit",
        ],
    );
    // A template may use what there is with its kind of issuer, and what it has made itself.
    let fine = "  keys: {a: '{% set x = claims.sub %}{{ x ~ response.a.b ~ issued_at ~ rotation }}{{ range(3) }}'}\n";
    assert!(parse_one(&with_rotation(fine)).is_ok());
}

#[test]
fn sinks_are_checked_one_by_one_and_against_each_other() {
    let vault = "vault: {address: 'https://v', auth: {token: {env: T}}}\n";
    for (sink, expected) in [
        (
            "kubernetesSecret: {namespace: A, name: b}",
            ".kubernetesSecret.namespace (rotation b): expected a namespace",
        ),
        (
            "kubernetesSecret: {namespace: a, name: b_c}",
            ".kubernetesSecret.name (rotation b): expected a name (RFC 1123 subdomain)",
        ),
        (
            "kubernetesSecret: {namespace: a, name: b, type: kubernetes.io/service-account-token}",
            ".kubernetesSecret.type (rotation b): Kubernetes fills Secrets of this type itself",
        ),
        (
            "kubernetesSecret: {namespace: a, name: b, labels: {everbearer.dev/x: y}}",
            ".kubernetesSecret.labels[everbearer.dev/x] (rotation b): the label `everbearer.dev/x` is reserved",
        ),
        (
            "kubernetesSecret: {namespace: a, name: b, annotations: {app.kubernetes.io/managed-by: y}}",
            "is reserved",
        ),
        (
            "kubernetesSecret: {namespace: a, name: b, labels: {a: '-'}}",
            ".kubernetesSecret.labels.a (rotation b): expected a label value",
        ),
        (
            "kubernetesSecret: {namespace: a, name: b, labels: {A/B/C: d}}",
            "expected a label or annotation key",
        ),
        ("directory: {path: a/..}", ".directory.path (rotation b): this is the root directory"),
        (
            "directory: {path: a, mode: '0222'}",
            ".directory.mode (rotation b): the owner must be allowed to read",
        ),
        ("directory: {path: a, mode: 0440}", ".directory.mode (rotation b): expected a file mode in quotes"),
        (
            "directory: {path: a, mode: '4440'}",
            ".directory.mode (rotation b): expected a file mode in quotes",
        ),
        (
            "directory: {path: /run/./x/../voice/}",
            ".directory (rotation b): this sink is delivered to already, by a.yaml:8:12",
        ),
        (
            "vaultKv: {path: /a/b/}",
            ".vaultKv (rotation b): this path holds client credentials: it is the source at a.yaml:10:36",
        ),
        ("vaultKv: {path: a/../b}", ".vaultKv.path (rotation b): expected a path in Vault"),
        (
            "vaultKv: {path: b, kvVersion: 1}",
            ".vaultKv.kvVersion (rotation b): expected 2, the only one supported, found `1`",
        ),
        (
            "vaultKv: {path: b, foreignKeys: drop}",
            ".vaultKv.foreignKeys (rotation b): expected one of: refuse, keep; found `drop`",
        ),
    ] {
        let more = format!(
            "- name: b\n  {{issuer: corp, source: {{vault: {{path: a/b}}}}, sinks: [{{{sink}}}]}}\n{vault}"
        );
        let more = more.replacen("- name: b\n  {", "#\n- {name: b, ", 1);
        let told = parse_one(&with_rotation(&more)).expect_err(sink).to_string();
        assert!(told.lines().count() == 1 && told.contains(expected), "{sink}: {told}");
    }
}
