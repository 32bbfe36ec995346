//! Responses without a token: by their code, by their status, and how long they ask to wait.

use super::*;
use crate::rotation::failure::{Classify as _, FailureKind};
use FailureKind::{CredentialRejected, Transient};

const NAMED: FailureKind = FailureKind::Permanent { named: true };
const BARE: FailureKind = FailureKind::Permanent { named: false };
const PATIENCE: FailureKind = FailureKind::Throttled { retry_after: None };

/// Each row: status, body, class, code.
fn assert_classed(rows: &[(u16, &str, FailureKind, &str)]) {
    for &(status, body, kind, code) in rows {
        let error = read_at(&head(status), body).expect_err(body);
        assert_eq!((error.kind(), error.code()), (kind, code), "{status} {body}");
    }
}

#[test]
fn an_error_on_200_counts_by_its_code_and_publishes_nothing() {
    assert_classed(&[
        (200, r#"{"error":"invalid_client"}"#, CredentialRejected, "invalid_client"),
        (200, r#"{"error":"invalid_client","access_token":"t"}"#, CredentialRejected, "invalid_client"),
        (200, r#"{"error":"invalid_scope","access_token":"t","expires_in":60}"#, NAMED, "invalid_scope"),
        (200, r#"{"error":"bad_verification_code"}"#, NAMED, "unknown_error_code"),
        (200, "error=bad_verification_code&access_token=t", NAMED, "unknown_error_code"),
        (200, r#"{"error":{"code":7},"access_token":"t"}"#, NAMED, "unknown_error_code"),
        (200, r#"{"error":"temporarily_unavailable"}"#, Transient, "temporarily_unavailable"),
        (200, r#"{"access_token":"t","token_type":"DPoP"}"#, NAMED, "unsupported_token_type"),
        (200, r#"{"access_token":"t","token_type":"mac"}"#, NAMED, "unsupported_token_type"),
        (200, r#"{"access_token":"t","token_type":"N_A"}"#, NAMED, "unsupported_token_type"),
        (200, r#"{"access_token":"t","token_type":7}"#, NAMED, "unsupported_token_type"),
    ]);
}

#[test]
fn a_4xx_is_classed_by_a_known_code_and_else_by_its_status() {
    assert_classed(&[
        (400, r#"{"error":"invalid_client"}"#, CredentialRejected, "invalid_client"),
        (401, r#"{"error":"invalid_client"}"#, CredentialRejected, "invalid_client"),
        (403, r#"{"error":"invalid_client"}"#, CredentialRejected, "invalid_client"),
        (400, r#"{"error":"invalid_grant"}"#, CredentialRejected, "invalid_grant"),
        (401, "error=invalid_client&error_description=x", CredentialRejected, "invalid_client"),
        (401, "", CredentialRejected, "unauthorized"),
        (401, "<html>", CredentialRejected, "unauthorized"),
        (401, r#"{"error":"who_knows"}"#, CredentialRejected, "unauthorized"),
        (401, r#"{"error":"unauthorized_client"}"#, CredentialRejected, "unauthorized_client"),
        (401, r#"{"error":"access_denied"}"#, CredentialRejected, "access_denied"),
        (401, r#"{"error":"invalid_scope"}"#, NAMED, "invalid_scope"),
        (400, r#"{"error":"invalid_scope"}"#, NAMED, "invalid_scope"),
        (400, r#"{"error":"unauthorized_client"}"#, NAMED, "unauthorized_client"),
        (400, r#"{"error":"unsupported_grant_type"}"#, NAMED, "unsupported_grant_type"),
        (400, r#"{"error":"invalid_target"}"#, NAMED, "invalid_target"),
        (400, r#"{"error":"invalid_request"}"#, NAMED, "invalid_request"),
        (403, r#"{"error":"access_denied"}"#, NAMED, "access_denied"),
        (400, r#"{"error":"who_knows"}"#, NAMED, "unknown_error_code"),
        (400, r#"{"error":"server_error"}"#, Transient, "server_error"),
        (403, r#"{"error":"temporarily_unavailable"}"#, Transient, "temporarily_unavailable"),
        (400, r#"{"error":"slow_down"}"#, PATIENCE, "throttled"),
        (400, "{}", BARE, "unexpected_status"),
        (400, "", BARE, "unexpected_status"),
        (400, r#"{"error":null}"#, BARE, "unexpected_status"),
        (400, r#"{"error":"invalid_client","error":"invalid_scope"}"#, BARE, "unexpected_status"),
        (403, r#"{"error":"who_knows"}"#, BARE, "unexpected_status"),
        (403, "", BARE, "unexpected_status"),
        (404, "<html>", BARE, "unexpected_status"),
        (407, "", BARE, "unexpected_status"),
        (418, "", BARE, "unexpected_status"),
        (408, "", Transient, "server_error"),
        (421, "", Transient, "server_error"),
        (425, "", Transient, "server_error"),
        (408, r#"{"error":"invalid_client"}"#, CredentialRejected, "invalid_client"),
    ]);
}

#[test]
fn every_other_status_decides_by_itself() {
    assert_classed(&[
        (301, "", BARE, "unexpected_status"),
        (302, r#"{"access_token":"t"}"#, BARE, "unexpected_status"),
        (307, r#"{"error":"invalid_client"}"#, BARE, "unexpected_status"),
        (101, "", BARE, "unexpected_status"),
        (0, "", Transient, "server_error"),
        (999, "", Transient, "server_error"),
        (500, r#"{"error":"invalid_client"}"#, Transient, "server_error"),
        (500, r#"{"access_token":"t"}"#, Transient, "server_error"),
        (502, "<html>", Transient, "server_error"),
        (503, r#"{"error":"temporarily_unavailable"}"#, Transient, "temporarily_unavailable"),
        (504, "", Transient, "server_error"),
        (599, "", Transient, "server_error"),
        (429, "", PATIENCE, "throttled"),
        (429, r#"{"error":"invalid_client"}"#, PATIENCE, "throttled"),
    ]);
}

#[test]
fn a_redirect_says_why_it_is_not_followed() {
    let words = read_at(&head(302), "").unwrap_err().to_string();
    assert!(words.contains("answered 302. Redirects are not followed"), "{words}");
}

/// Each row: what the endpoint says, the value, and the seconds that are waited.
#[test]
fn retry_after_is_believed_within_reason() {
    let rows: [(&str, &str, Option<i64>); 18] = [
        ("seconds", "120", Some(120)),
        ("seconds with spaces", " 120 ", Some(120)),
        ("a day and more", "86401", Some(86_400)),
        ("more digits than fit", "99999999999999999999999999", Some(86_400)),
        ("nothing to wait for", "0", None),
        ("a negative number", "-5", None),
        ("a fraction", "1.5", None),
        ("a sign", "+5", None),
        ("nothing", "", None),
        ("words", "soon", None),
        ("a date, against its own Date", "Tue, 14 Nov 2023 22:15:20 GMT", Some(120)),
        ("a date of RFC 850", "Tuesday, 14-Nov-23 22:15:20 GMT", Some(120)),
        ("a date of asctime", "Tue Nov 14 22:15:20 2023", Some(120)),
        ("a past date", "Tue, 14 Nov 2023 22:13:19 GMT", None),
        ("this very moment", DATE, None),
        ("a date years ahead", "Tue, 14 Nov 2028 22:13:19 GMT", Some(86_400)),
        ("a date that is none", "Tue, 99 Nov 2023 22:13:19 GMT", None),
        ("a time zone that is none", "Tue, 14 Nov 2023 22:15:20 MEZ", None),
    ];
    for (case, value, seconds) in rows {
        let expected = seconds.map(SignedDuration::from_secs);
        let throttled =
            |status| read_at(&Head { retry_after: Some(value), ..head(status) }, "").unwrap_err().kind();
        assert_eq!(throttled(429), FailureKind::Throttled { retry_after: expected }, "{case}");
        let unavailable = match expected {
            Some(_) => FailureKind::Throttled { retry_after: expected },
            None => FailureKind::Transient,
        };
        assert_eq!(throttled(503), unavailable, "{case}");
    }
}

#[test]
fn a_retry_after_date_counts_from_the_other_clock_where_that_is_known() {
    let later = Some("Tue, 14 Nov 2023 22:15:20 GMT");
    let wait = |date| match read_at(&Head { status: 429, date, retry_after: later }, "").unwrap_err() {
        IssuerError::Throttled { retry_after, .. } => retry_after.map(|span| span.as_secs()),
        other => panic!("{other:?}"),
    };
    assert_eq!(wait(Some("Tue, 14 Nov 2023 22:14:20 GMT")), Some(60), "its clock is a minute ahead");
    assert_eq!(wait(None), Some(120), "ours, for want of another");
    assert_eq!(wait(Some("yesterday")), Some(120));
}
