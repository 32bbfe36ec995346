//! The table "What a response means", row by row.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

mod failures;

/// Tue, 14 Nov 2023 22:13:20 GMT.
pub(super) const ASKED: i64 = 1_700_000_000;
const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn asked_at() -> Timestamp {
    Timestamp::from_second(ASKED).unwrap()
}

fn head(status: u16) -> Head<'static> {
    Head { status, date: Some(DATE), retry_after: None }
}

fn read_at(head: &Head<'_>, body: impl AsRef<[u8]>) -> Result<Answer, IssuerError> {
    read(head, body.as_ref(), asked_at(), HOUR)
}

pub(super) fn jwt(claims: &str) -> String {
    format!("eyJhbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims))
}

pub(super) fn seconds_of(answer: &Answer) -> f64 {
    answer.token.validity.unwrap().lifetime().as_secs_f64()
}

pub(super) fn token_of(answer: &Answer) -> &str {
    match &answer.token.material {
        Material::Bearer { access_token, token_type, .. } => {
            assert_eq!(&**token_type, "Bearer");
            access_token.expose()
        }
        Material::Basic { .. } => panic!("a token endpoint issues no Basic credentials"),
    }
}

#[test]
fn the_guides_response_is_an_hours_token() {
    let body = r#"{"access_token": "opaque", "access_token_id": "a5xA3xMKEggGwvpSLtk2lRb", "token_type": "Bearer", "expires_in": 3600}"#;
    let answer = read_at(&head(200), body).unwrap();
    assert_eq!((token_of(&answer), seconds_of(&answer)), ("opaque", 3600.0));
    assert_eq!(answer.token.validity.unwrap().issued_at(), asked_at(), "counted from before the request");
    assert_eq!(answer.warnings, Warnings::default());
    assert_eq!(answer.skew, Some(SignedDuration::ZERO));
}

/// Each row: what the endpoint does, the body, and the lifetime in seconds that follows.
#[test]
fn a_success_lives_as_long_as_its_shortest_witness() {
    let token = |rest: &str| format!(r#"{{"access_token":"t","token_type":"Bearer"{rest}}}"#);
    let signed = |claims: &str, rest: &str| {
        format!(r#"{{"access_token":"{}","token_type":"Bearer"{rest}}}"#, jwt(claims))
    };
    let rows: Vec<(&str, String, f64)> = vec![
        ("sends expires_in", token(r#","expires_in":300"#), 300.0),
        ("sends it as a string", token(r#","expires_in":"3599""#), 3599.0),
        ("sends it as a string with spaces", token(r#","expires_in":" 3599 ""#), 3599.0),
        ("sends it as a float", token(r#","expires_in":299.5"#), 299.5),
        ("sends it as a float in a string", token(r#","expires_in":"299.5""#), 299.5),
        ("sends it in exponents", token(r#","expires_in":3.6e3"#), 3600.0),
        ("sends finer parts than milliseconds", token(r#","expires_in":5.0009"#), 5.0),
        ("sends none", token(""), 3600.0),
        ("sends null", token(r#","expires_in":null"#), 3600.0),
        ("sends a million years", token(r#","expires_in":1e300"#), 315_360_000.0),
        ("sends expires_at in seconds", token(r#","expires_at":1700000300"#), 300.0),
        ("sends expires_at in a string", token(r#","expires_at":"1700000300""#), 300.0),
        ("sends expires_at in milliseconds", token(r#","expires_at":1700000300000"#), 300.0),
        ("sends expires_at as RFC 3339", token(r#","expires_at":"2023-11-14T22:18:20Z""#), 300.0),
        ("sends expires_at with an offset", token(r#","expires_at":"2023-11-14T23:18:20+01:00""#), 300.0),
        ("sends expires_on", token(r#","expires_on":"1700000300""#), 300.0),
        ("sends expires_in and expires_on", token(r#","expires_in":60,"expires_on":1700000300"#), 60.0),
        ("a JWT of its own lifetime", signed(r#"{"iat":1700000000,"exp":1700000600}"#, ""), 600.0),
        (
            "a JWT that ends before expires_in",
            signed(r#"{"iat":1699999999.5,"exp":1700000100}"#, r#","expires_in":3600"#),
            100.0,
        ),
        (
            "a JWT that ends after expires_in",
            signed(r#"{"iat":1700000000,"exp":1700007200}"#, r#","expires_in":60"#),
            60.0,
        ),
        (
            "an old JWT again, near its end",
            signed(r#"{"iat":1699996500,"exp":1700000100}"#, r#","expires_in":3600"#),
            100.0,
        ),
        ("a JWT without iat", signed(r#"{"exp":1700000100}"#, r#","expires_in":3600"#), 100.0),
        (
            "a JWT whose exp has passed, as if by another clock",
            signed(r#"{"exp":1600000000}"#, r#","expires_in":60"#),
            60.0,
        ),
        (
            "a JWT whose exp precedes its iat",
            signed(r#"{"iat":1700003600,"exp":1700000000}"#, r#","expires_in":60"#),
            60.0,
        ),
        ("a JWT with times in strings", signed(r#"{"iat":"1700000000","exp":"1700000600"}"#, ""), 600.0),
        ("a JWT without claims, as in the guide", signed("{}", r#","expires_in":3600"#), 3600.0),
        ("three parts that are no JWT", signed("no json", r#","expires_in":60"#), 60.0),
        (
            "claims that stand twice",
            signed(r#"{"exp":1700000001,"exp":1700000001}"#, r#","expires_in":60"#),
            1.0,
        ),
        (
            "unknown fields",
            token(r#","id_token":"x","instance_url":"https://x","deep":[[{"a":[]}]],"expires_in":60"#),
            60.0,
        ),
        ("error fields that say no", token(r#","error":null,"expires_in":60"#), 60.0),
        ("an empty error", token(r#","error":"","expires_in":60"#), 60.0),
        ("error: false", token(r#","error":false,"expires_in":60"#), 60.0),
        ("a byte order mark", format!("\u{feff}{}", token(r#","expires_in":60"#)), 60.0),
        ("white space around", format!(" \r\n{}\n", token(r#","expires_in":60"#)), 60.0),
        ("a form", "access_token=t&scope=a%20b&token_type=bearer&expires_in=60".to_owned(), 60.0),
        ("a field twice with one value", token(r#","expires_in":60,"expires_in":60"#), 60.0),
        ("an indifferent field twice", token(r#","note":1,"note":2,"expires_in":60"#), 60.0),
    ];
    for (case, body, seconds) in rows {
        for status in [200, 201] {
            let answer = read_at(&head(status), &body).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!((seconds_of(&answer) - seconds).abs() < 1e-6, "{case}: {}", seconds_of(&answer));
            token_of(&answer);
        }
    }
}

#[test]
fn the_default_lifetime_counts_only_where_nobody_tells() {
    let answer = read_at(&head(200), r#"{"access_token":"t","token_type":"Bearer"}"#).unwrap();
    assert!(answer.warnings.lifetime_assumed);
    let answer =
        read_at(&head(200), r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#).unwrap();
    assert!(!answer.warnings.lifetime_assumed);
}

#[test]
fn without_a_date_an_instant_may_shorten_the_default_and_no_more() {
    let dateless = Head { date: None, ..head(200) };
    let rows = [
        ("an hour and more ahead of our clock", 1_700_009_000, 3600.0),
        ("a minute ahead", 1_700_000_060, 60.0),
        ("behind, so that our clock must be wrong", 1_600_000_000, 3600.0),
    ];
    for (case, expires_at, seconds) in rows {
        let body = format!(r#"{{"access_token":"t","token_type":"Bearer","expires_at":{expires_at}}}"#);
        let answer = read_at(&dateless, body).unwrap();
        assert!((seconds_of(&answer) - seconds).abs() < 1e-6, "{case}");
        assert_eq!(answer.skew, None);
    }
    let body = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, jwt(r#"{"exp":1700000060}"#));
    let answer = read_at(&dateless, body).unwrap();
    assert!(answer.warnings.lifetime_assumed, "a bare exp is an instant of another clock");
}

#[test]
fn the_skew_is_the_date_minus_our_clock() {
    let ahead = Head { date: Some("Tue, 14 Nov 2023 22:14:20 GMT"), ..head(200) };
    let answer = read_at(&ahead, r#"{"access_token":"t","expires_in":60}"#).unwrap();
    assert_eq!(answer.skew, Some(SignedDuration::from_mins(1)));
}

#[test]
fn a_token_without_a_type_is_bearer_with_a_warning() {
    for body in
        [r#"{"access_token":"t"}"#, r#"{"access_token":"t","token_type":null}"#, "access_token=t&token_type="]
    {
        let answer = read_at(&head(200), body).unwrap();
        assert!(answer.warnings.token_type_absent, "{body}");
        token_of(&answer);
    }
    for name in ["Bearer", "bearer", "BEARER"] {
        let answer = read_at(&head(200), format!(r#"{{"access_token":"t","token_type":"{name}"}}"#)).unwrap();
        assert!(!answer.warnings.token_type_absent);
        token_of(&answer);
    }
}

#[test]
fn a_token_of_64_kib_is_fine() {
    let long = "x".repeat(64 * 1024);
    let answer = read_at(&head(200), format!(r#"{{"access_token":"{long}","expires_in":60}}"#)).unwrap();
    assert_eq!(token_of(&answer).len(), LONGEST_TOKEN);
    assert!(read_at(&head(200), format!(r#"{{"access_token":"{long}x"}}"#)).is_err(), "and no more");
}

#[test]
fn templates_see_the_whole_response_as_json() {
    let bodies = [
        "\u{feff}{\"access_token\":\"t\",\"instance_url\":\"https://a/?b\"}",
        "access_token=t&instance_url=https%3A%2F%2Fa%2F%3Fb",
    ];
    for body in bodies {
        let answer = read_at(&head(200), body).unwrap();
        let Material::Bearer { response: Some(response), .. } = &answer.token.material else {
            panic!("{body}")
        };
        assert_eq!(response.expose(), r#"{"access_token":"t","instance_url":"https://a/?b"}"#);
    }
}

#[test]
fn the_id_that_bandwidth_sends_must_be_the_tokens_own() {
    let body =
        |claims: &str, id: &str| format!(r#"{{"access_token":"{}","access_token_id":{id}}}"#, jwt(claims));
    assert!(read_at(&head(200), body(r#"{"jti":"a"}"#, r#""a""#)).is_ok());
    assert!(read_at(&head(200), body("{}", r#""a""#)).is_ok(), "there is nothing to compare");
    assert!(read_at(&head(200), body(r#"{"jti":"a"}"#, "null")).is_ok());
    assert!(read_at(&head(200), r#"{"access_token":"opaque","access_token_id":"a"}"#).is_ok());
    let error = read_at(&head(200), body(r#"{"jti":"a"}"#, r#""b""#)).unwrap_err();
    assert!(error.to_string().contains("access_token_id differs from the token's jti"), "{error}");
}

/// Each row: what the endpoint does, status, body. All of it is transient, and may have minted a token.
#[test]
fn a_2xx_that_makes_no_sense_is_malformed() {
    let deep = format!(r#"{{"access_token":"t","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let very_deep = format!(r#"{{"x":{}"#, "[".repeat(500_000));
    let rows: Vec<(&str, u16, &str)> = vec![
        ("another 2xx", 202, r#"{"access_token":"t"}"#),
        ("no content", 204, ""),
        ("nothing", 200, ""),
        ("white space", 200, " \n"),
        ("a page", 200, "<html><body>Sign in</body></html>"),
        ("plain words", 200, "Service is fine = yes"),
        ("cut short", 200, r#"{"access_token":"t","expi"#),
        ("more after the end", 200, r#"{"access_token":"t"}{"#),
        ("an array", 200, r#"["access_token=t"]"#),
        ("a text", 200, r#""access_token=t""#),
        ("no token", 200, r#"{"token_type":"Bearer","expires_in":60}"#),
        ("a null token", 200, r#"{"access_token":null}"#),
        ("an empty token", 200, r#"{"access_token":""}"#),
        ("a number for a token", 200, r#"{"access_token":1}"#),
        ("a list for a token", 200, r#"{"access_token":["t"]}"#),
        ("a token with a line break", 200, r#"{"access_token":"t\nX-Evil: 1"}"#),
        ("a token with a space", 200, r#"{"access_token":"a b"}"#),
        ("a token with a NUL", 200, r#"{"access_token":"a\u0000"}"#),
        ("a token that is no ASCII", 200, r#"{"access_token":"é"}"#),
        ("a form with a line break in the token", 200, "access_token=t%0D%0AX"),
        ("two tokens", 200, r#"{"access_token":"a","access_token":"b"}"#),
        ("two lifetimes", 200, r#"{"access_token":"a","expires_in":60,"expires_in":3600}"#),
        ("two tokens in a form", 200, "access_token=a&access_token=b"),
        ("expires_in of 0", 200, r#"{"access_token":"t","expires_in":0}"#),
        ("expires_in of 0 in a string", 200, r#"{"access_token":"t","expires_in":"0"}"#),
        ("a negative expires_in", 200, r#"{"access_token":"t","expires_in":-1}"#),
        ("expires_in beyond numbers", 200, r#"{"access_token":"t","expires_in":1e999}"#),
        ("expires_in NaN", 200, r#"{"access_token":"t","expires_in":"NaN"}"#),
        ("expires_in infinite", 200, r#"{"access_token":"t","expires_in":"inf"}"#),
        ("expires_in soon", 200, r#"{"access_token":"t","expires_in":"soon"}"#),
        ("expires_in empty", 200, r#"{"access_token":"t","expires_in":""}"#),
        ("expires_in true", 200, r#"{"access_token":"t","expires_in":true}"#),
        ("expires_in a list", 200, r#"{"access_token":"t","expires_in":[60]}"#),
        ("expires_at that has passed", 200, r#"{"access_token":"t","expires_at":1600000000}"#),
        ("expires_at tomorrow", 200, r#"{"access_token":"t","expires_at":"tomorrow"}"#),
        ("deep nesting", 200, &deep),
        ("very deep nesting", 200, &very_deep),
        ("UTF-16", 200, "\u{0}{\u{0}}"),
    ];
    for (case, status, body) in rows {
        let error = read_at(&head(status), body).expect_err(case);
        assert!(matches!(error, IssuerError::Malformed { .. }), "{case}: {error:?}");
        assert!(error.maybe_minted(), "{case}");
    }
}
