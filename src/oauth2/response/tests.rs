use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::rotation::failure::{Classify as _, FailureKind};

fn asked_at() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

const DATE: &str = "Tue, 24 Nov 2026 12:00:00 GMT";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn answer(status: u16, body: &str) -> Result<Answer, IssuerError> {
    let headers = Headers { date: Some(DATE.into()), retry_after: None };
    read(status, &headers, body.as_bytes(), asked_at(), HOUR)
}

fn lifetime(body: &str) -> i64 {
    let answer = answer(200, body).unwrap_or_else(|error| panic!("{body}: {error}"));
    answer.token.validity.unwrap().lifetime().as_secs()
}

fn jwt(claims: &str) -> String {
    format!("{}.{}.sig", URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\"}"), URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn the_guides_own_answer_is_a_token_for_an_hour() {
    let body = r#"{"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.kl3H", "access_token_id": "a5xA3xMKEggGwvpSLtk2lRb",
                   "token_type": "Bearer", "expires_in": 3600}"#;
    assert_eq!(lifetime(body), 3600);
}

#[test]
fn a_lifetime_is_the_least_that_any_witness_says() {
    let noon = asked_at().as_second();
    let with =
        |token: &str, rest: &str| format!(r#"{{"access_token":"{token}","token_type":"bearer"{rest}}}"#);
    let one_day = jwt(&format!(r#"{{"iat":{noon},"exp":{}}}"#, noon + 86_400));
    let ten_minutes = jwt(&format!(r#"{{"iat":{noon},"exp":{}}}"#, noon + 600));
    let other_clock = jwt(&format!(r#"{{"iat":{},"exp":{}}}"#, noon + 50_000, noon + 50_300));
    let broken = jwt(r#"{"exp":"soon","iat":[]}"#);
    for (sentence, body, expected) in [
        ("a number", with("t", r#","expires_in":300"#), 300),
        ("a number in a string", with("t", r#","expires_in":"300""#), 300),
        ("a float", with("t", r#","expires_in":300.9"#), 300),
        ("null is absent", with("t", r#","expires_in":null"#), 3600),
        ("absent is the default", with("t", ""), 3600),
        ("expires_at in Unix seconds", with("t", &format!(r#","expires_at":{}"#, noon + 120)), 120),
        ("expires_on as text", with("t", &format!(r#","expires_on":"{}""#, noon + 120)), 120),
        ("expires_at as RFC 3339", with("t", r#","expires_at":"2026-11-24T12:05:00Z""#), 300),
        (
            "expires_in wins over expires_at",
            with("t", r#","expires_in":60,"expires_at":"2026-11-24T12:05:00Z""#),
            60,
        ),
        ("a JWT that lives longer changes nothing", with(&one_day, r#","expires_in":300"#), 300),
        ("a JWT that ends earlier is believed", with(&ten_minutes, r#","expires_in":3600"#), 600),
        ("a JWT alone tells", with(&ten_minutes, ""), 600),
        ("another clock's instants count as spans", with(&other_clock, r#","expires_in":3600"#), 300),
        ("claims that make no sense are no claims", with(&broken, r#","expires_in":300"#), 300),
        ("more than ten years are ten years", with("t", r#","expires_in":1e300"#), 315_360_000),
    ] {
        assert_eq!(lifetime(&body), expected, "{sentence}");
    }
}

#[test]
fn each_row_of_the_response_table_has_its_class() {
    use FailureKind::{CredentialRejected, Permanent, Throttled, Transient};
    let named = Permanent { named: true };
    let bare = Permanent { named: false };
    let throttled = Throttled { retry_after: None };
    let token = r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#;
    for (sentence, status, body, kind, code) in [
        ("an error on 200", 200, r#"{"error":"invalid_client"}"#, CredentialRejected, "invalid_client"),
        ("error and token", 200, r#"{"error":"invalid_scope","access_token":"t"}"#, named, "invalid_scope"),
        ("an unknown code on 200", 200, r#"{"error":"hm"}"#, named, "unknown_error_code"),
        ("no token", 200, "{}", Transient, "malformed"),
        ("an empty body", 200, "", Transient, "malformed"),
        ("HTML", 200, "<html>a=b</html>", Transient, "malformed"),
        ("cut short", 200, r#"{"access_token":"t","exp"#, Transient, "malformed"),
        ("a token that is no text", 200, r#"{"access_token":7}"#, Transient, "malformed"),
        ("an empty token", 200, r#"{"access_token":""}"#, Transient, "malformed"),
        ("a token with a newline", 200, r#"{"access_token":"a\nb"}"#, Transient, "malformed"),
        ("a lifetime of zero", 200, r#"{"access_token":"t","expires_in":0}"#, Transient, "malformed"),
        ("a negative lifetime", 200, r#"{"access_token":"t","expires_in":-1}"#, Transient, "malformed"),
        (
            "a lifetime that is no number",
            200,
            r#"{"access_token":"t","expires_in":"soon"}"#,
            Transient,
            "malformed",
        ),
        ("an infinite lifetime", 200, r#"{"access_token":"t","expires_in":"inf"}"#, Transient, "malformed"),
        ("another success", 204, token, Transient, "malformed"),
        (
            "another token type",
            200,
            r#"{"access_token":"t","token_type":"DPoP"}"#,
            named,
            "unsupported_token_type",
        ),
        ("400 invalid_client", 400, r#"{"error":"invalid_client"}"#, CredentialRejected, "invalid_client"),
        ("401 invalid_grant", 401, r#"{"error":"invalid_grant"}"#, CredentialRejected, "invalid_grant"),
        ("401 without a code", 401, "", CredentialRejected, "unauthorized"),
        ("401 with an unknown code", 401, r#"{"error":"hm"}"#, CredentialRejected, "unauthorized"),
        ("400 invalid_scope", 400, r#"{"error":"invalid_scope"}"#, named, "invalid_scope"),
        ("400 unauthorized_client", 400, r#"{"error":"unauthorized_client"}"#, named, "unauthorized_client"),
        (
            "400 unsupported_grant_type",
            400,
            r#"{"error":"unsupported_grant_type"}"#,
            named,
            "unsupported_grant_type",
        ),
        ("400 invalid_target", 400, r#"{"error":"invalid_target"}"#, named, "invalid_target"),
        ("400 invalid_request", 400, r#"{"error":"invalid_request"}"#, named, "invalid_request"),
        ("400 with an unknown code", 400, r#"{"error":"hm"}"#, named, "unknown_error_code"),
        ("400 without a code", 400, "no", bare, "unexpected_status"),
        (
            "400 temporarily_unavailable",
            400,
            r#"{"error":"temporarily_unavailable"}"#,
            Transient,
            "temporarily_unavailable",
        ),
        ("403", 403, "", bare, "unexpected_status"),
        ("403 with an unknown code", 403, r#"{"error":"hm"}"#, bare, "unexpected_status"),
        ("404", 404, "", bare, "unexpected_status"),
        ("407", 407, "", bare, "unexpected_status"),
        ("a redirect", 307, token, bare, "unexpected_status"),
        ("a redirect with a code", 302, r#"{"error":"invalid_client"}"#, bare, "unexpected_status"),
        ("408", 408, "", Transient, "server_error"),
        ("425", 425, "", Transient, "server_error"),
        ("429", 429, "", throttled, "throttled"),
        ("429 whatever the code", 429, r#"{"error":"invalid_client"}"#, throttled, "throttled"),
        ("500", 500, "", Transient, "server_error"),
        ("the status decides on 5xx", 500, r#"{"error":"invalid_client"}"#, Transient, "server_error"),
        ("503 without Retry-After", 503, "", Transient, "server_error"),
        ("a status that nobody knows", 999, "", Transient, "server_error"),
    ] {
        let error = answer(status, body).err().unwrap_or_else(|| panic!("{sentence}: a token"));
        assert_eq!((error.kind(), error.code()), (kind, code), "{sentence}");
    }
}

#[test]
fn what_is_meant_well_is_read_as_meant() {
    let ok = |body: &str| answer(200, body).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert!(!ok(r#"{"access_token":"t","token_type":"BEARER"}"#).token_type_was_absent);
    assert!(ok(r#"{"access_token":"t"}"#).token_type_was_absent);
    ok("access_token=t&token_type=bearer&expires_in=60");
    ok("\u{feff}{\"access_token\":\"t\"}");
    ok(r#"{"access_token":"t","error":null}"#);
    assert!(answer(201, r#"{"access_token":"t"}"#).is_ok());
    ok(&format!(r#"{{"access_token":"{}"}}"#, "x".repeat(LONGEST_TOKEN)));
    let deep = format!(r#"{{"access_token":"t","x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(answer(200, &deep).is_err(), "deep nesting is refused, not followed");
}

#[test]
fn the_id_of_a_token_is_its_jti() {
    let token = jwt(r#"{"jti":"a5x"}"#);
    let with = |id: &str| answer(200, &format!(r#"{{"access_token":"{token}","access_token_id":"{id}"}}"#));
    assert!(with("a5x").is_ok());
    assert!(matches!(with("other"), Err(IssuerError::Malformed { .. })));
}

#[test]
fn retry_after_is_a_span_of_the_providers_clock() {
    let retry_after = |text: &str, status| {
        let headers = Headers { date: Some(DATE.into()), retry_after: Some(text.into()) };
        // Our own clock is a day off, which must not matter.
        let asked_at = asked_at() - SignedDuration::from_hours(24);
        match read(status, &headers, b"", asked_at, HOUR) {
            Err(IssuerError::Throttled { retry_after, .. }) => retry_after.map(|span| span.as_secs()),
            Err(_) => None,
            Ok(_) => panic!("a token"),
        }
    };
    for (text, expected) in [
        ("120", Some(120)),
        ("0", Some(0)),
        ("Tue, 24 Nov 2026 12:01:00 GMT", Some(60)),
        ("Tue, 24 Nov 2026 11:59:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("", None),
        ("99999999", Some(86_400)),
        ("99999999999999999999999", Some(86_400)),
        ("Fri, 24 Nov 2300 12:00:00 GMT", Some(86_400)),
    ] {
        assert_eq!(retry_after(text, 429), expected, "{text:?}");
        assert_eq!(retry_after(text, 503), expected, "{text:?} on 503");
    }
}

proptest! {
    #[test]
    fn any_answer_has_a_meaning_and_no_error_repeats_the_body(
        status in 0u16..1000,
        body in proptest::collection::vec(any::<u8>(), 0..200),
        date in ".{0,40}",
        retry_after in ".{0,40}",
    ) {
        let headers = Headers { date: Some(date), retry_after: Some(retry_after) };
        let _ = read(status, &headers, &body, asked_at(), HOUR);
    }

    #[test]
    fn an_error_never_yields_a_token_nor_repeats_its_description(
        status in 200u16..600,
        code in "[a-z_]{1,24}",
        with_token: bool,
    ) {
        let token = if with_token { r#","access_token":"canary-token""# } else { "" };
        let body = format!(r#"{{"error":"{code}","error_description":"canary-echo"{token}}}"#);
        let error = answer(status, &body).expect_err("an error is no token");
        let shown = format!("{error} {error:?} {}", error.code());
        prop_assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_lifetime_is_never_longer_than_a_witness(
        expires_in in 1i64..1_000_000,
        iat in -1_000_000i64..1_000_000,
        life in 1i64..1_000_000,
    ) {
        let noon = asked_at().as_second();
        let token = jwt(&format!(r#"{{"iat":{},"exp":{}}}"#, noon + iat, noon + iat + life));
        let body = format!(r#"{{"access_token":"{token}","expires_in":{expires_in}}}"#);
        let lifetime = lifetime(&body);
        prop_assert!(lifetime <= expires_in && lifetime <= life);
        prop_assert!(iat + life <= 0 || lifetime <= iat + life, "exp − Date");
    }
}
