//! Addresses and files that can be used, and those that cannot.

use super::*;
use crate::oauth2::TokenEndpoint;
use crate::oauth2::testing::spec;

#[test]
fn a_plain_address_is_for_loopback_or_by_permission() {
    let fine = [
        "https://idp.example/token?tenant=a",
        "http://127.0.0.1:8080/token",
        "http://127.9.9.9/token",
        "http://[::1]:8080/token",
        "http://localhost/token",
        "http://idp.localhost/token",
        "http://localhost./token",
    ];
    for text in fine {
        assert!(endpoint(text, false).is_ok(), "{text}");
    }
    for text in [
        "http://idp.example/token",
        "http://10.0.0.1/token",
        "http://localhost.example/",
        "http://127.0.0.1.example/",
    ] {
        assert!(matches!(endpoint(text, false), Err(Problem::Insecure)), "{text}");
        assert!(endpoint(text, true).is_ok(), "{text}");
    }
}

#[test]
fn an_address_that_cannot_be_used_is_refused_without_repeating_it() {
    let rows = [
        "idp.example/token",
        "",
        "ftp://idp.example/token",
        "file:///etc/canary",
        "https://canary:canary@idp.example/token",
        "https://canary@idp.example/token",
        "https://idp.example/token#canary",
        "https://",
    ];
    for text in rows {
        let problem = endpoint(text, true).expect_err(text);
        assert!(matches!(problem, Problem::Address { .. }), "{text}");
        assert!(!format!("{problem} {problem:?}").contains("canary"), "{text}");
    }
}

#[test]
fn a_problem_names_the_issuer_and_what_to_do() {
    let error = TokenEndpoint::new("corp", &spec("http://idp.example/token")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "issuer corp: `tokenUrl` is http://, which would show the client secret to the network. Use https://, or \
         set `allowInsecure: true`"
    );
    let nowhere = OAuth2Spec { token_url: None, ..spec("") };
    let error = TokenEndpoint::new("corp", &nowhere).unwrap_err();
    assert_eq!(error.to_string(), "issuer corp: it has neither a preset nor a `tokenUrl`");
}

#[test]
fn a_ca_file_must_hold_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let problem = |path: &Path| {
        let spec = OAuth2Spec { ca_file: Some(path.to_owned()), ..spec("https://idp.example/token") };
        TokenEndpoint::new("corp", &spec).unwrap_err().to_string()
    };
    assert!(problem(&path).contains("No such file"), "{}", problem(&path));
    for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, content).unwrap();
        assert!(problem(&path).contains("it holds no certificate in PEM form"), "{content}");
    }
}
