//! Headers and forms, byte by byte.

use super::*;
use crate::oauth2::testing::{credentials, spec};
use crate::rotation::failure::{Classify as _, FailureKind};

use ClientAuth::{ClientSecretBasic as Encoded, ClientSecretBasicRaw as Raw};

fn basic(auth: ClientAuth, id: &str, secret: &str) -> String {
    let value = authorization(auth, &credentials(id, secret)).unwrap();
    assert!(value.is_sensitive());
    value.to_str().unwrap().to_owned()
}

#[test]
fn the_guides_own_header() {
    let header = "Basic amRvZTpjb3JyZWN0LWhvcnNlLWJhdHRlcnktc3RhcGxl";
    assert_eq!(basic(Raw, "jdoe", "correct-horse-battery-staple"), header);
    assert_eq!(basic(Encoded, "jdoe", "correct-horse-battery-staple"), header, "nothing to encode here");
}

#[test]
fn the_header_of_rfc_6749_section_2_3_1() {
    let header = "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3";
    assert_eq!(basic(Encoded, "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"), header);
}

#[test]
fn special_characters_are_encoded_or_left_as_configured() {
    let decoded = |header: String| {
        String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ").unwrap()).unwrap()).unwrap()
    };
    // The example of RFC 6749 appendix B, as the client secret.
    assert_eq!(decoded(basic(Encoded, "id", " %&+£€")), "id:+%25%26%2B%C2%A3%E2%82%AC");
    assert_eq!(decoded(basic(Encoded, "a:b", "c:d%/\"é~*-._")), "a%3Ab:c%3Ad%25%2F%22%C3%A9%7E*-._");
    assert_eq!(decoded(basic(Raw, "id%+/\"é", "c:d %&+£€")), "id%+/\"é:c:d %&+£€");
}

#[test]
fn credentials_that_cannot_be_sent_are_refused() {
    let rows = [
        ("a colon in the id", Raw, "a:b", "canary", "colon"),
        ("no id", Raw, "", "canary", "client id is empty"),
        ("no secret", Encoded, "canary", "", "client secret is empty"),
        ("a line break in the id", Encoded, "canary\n", "canary", "client id holds control characters"),
        ("a line break in the secret", Raw, "canary", "canary\r\n", "client secret holds control characters"),
        ("a NUL", Raw, "canary", "canary\0", "client secret holds control characters"),
        (
            "a control character beyond ASCII",
            Raw,
            "canary\u{85}",
            "canary",
            "client id holds control characters",
        ),
    ];
    for (case, auth, id, secret, words) in rows {
        let error = authorization(auth, &credentials(id, secret)).expect_err(case);
        assert_eq!(
            (error.kind(), error.code()),
            (FailureKind::Permanent { named: true }, "unfit_credentials")
        );
        assert!(error.to_string().contains(words), "{case}: {error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{case}");
        assert_eq!(error.outcome(), None, "no request was sent");
    }
    assert!(authorization(Encoded, &credentials("a:b", "s")).is_ok(), "encoded, a colon is no separator");
}

#[test]
fn the_form_holds_what_is_configured_and_nothing_empty() {
    let full = OAuth2Spec {
        scopes: vec!["read".into(), "write:all".into()],
        audience: Some("https://api.example/?a=b&c".into()),
        parameters: vec![
            ("z".into(), "ä +".into()),
            ("empty".into(), String::new()),
            ("a".into(), "1".into()),
        ],
        ..spec("https://idp.example")
    };
    assert_eq!(
        form(&full),
        "grant_type=client_credentials&scope=read+write%3Aall&audience=https%3A%2F%2Fapi.example%2F%3Fa%3Db%26c\
         &z=%C3%A4+%2B&a=1"
    );
    let bare = OAuth2Spec { audience: Some(String::new()), ..spec("https://idp.example") };
    assert_eq!(form(&bare), "grant_type=client_credentials");
}

#[test]
fn headers_may_be_added_and_are_marked_as_sensitive() {
    let with = |name: &str, value: &str| {
        headers(&OAuth2Spec { headers: vec![(name.into(), value.into())], ..spec("https://idp.example") })
    };
    assert_eq!(with("X-Api-Key", "k").unwrap()["x-api-key"], "k");
    assert!(with("X-Api-Key", "k").unwrap()["x-api-key"].is_sensitive());
    assert_eq!(with("accept", "application/vnd.github+json").unwrap().get_all("accept").iter().count(), 1);
    for (name, value) in [("no header", "canary"), ("", "canary"), ("X-Api-Key", "canary\n")] {
        let error = with(name, value).unwrap_err();
        assert!(matches!(error, IssuerError::Unfit { .. }), "{name}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
