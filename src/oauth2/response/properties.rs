//! What holds for every response, however strange.

use proptest::prelude::*;

use super::tests::{ASKED, asked_at, jwt, seconds_of, token_of};
use super::*;

const CANARY: &str = "canary%+/\":é";

fn is_about(status: u16) -> bool {
    matches!(status, 200 | 201)
}

/// JSON values as a broken or hostile endpoint might send them.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        (-10i64..100_000).prop_map(|number| Value::from(number.to_string())),
        (ASKED - 100..ASKED + 100_000).prop_map(Value::from),
        prop::sample::select(vec!["", "NaN", "inf", "Bearer", "invalid_client", "2023-11-14T22:18:20Z", "t"])
            .prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from(jwt(r#"{"iat":1700000000,"exp":1700000600,"jti":"t"}"#))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An object of the fields that matter, with arbitrary values, some of them twice.
fn object() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "access_token",
        "access_token_id",
        "token_type",
        "expires_in",
        "expires_at",
        "expires_on",
        "error",
        "x",
    ]);
    prop::collection::vec((name, value()), 0..8).prop_map(|pairs| {
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", pairs.join(","))
    })
}

fn header() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        Just(Some("Tue, 14 Nov 2023 22:13:20 GMT".to_owned())),
        any::<u64>().prop_map(|number| Some(number.to_string())),
        "[ -~]{0,40}".prop_map(Some),
        ".{0,40}".prop_map(Some),
    ]
}

proptest! {
    #[test]
    fn no_bytes_and_no_headers_make_it_panic(
        status in any::<u16>(),
        date in header(),
        retry_after in header(),
        body in prop::collection::vec(any::<u8>(), 0..300),
        second in any::<i32>(),
    ) {
        let head = Head { status, date: date.as_deref(), retry_after: retry_after.as_deref() };
        let asked_at = Timestamp::from_second(i64::from(second) * 100).unwrap_or(Timestamp::MAX);
        let answer = read(&head, &body, asked_at, SignedDuration::from_hours(1));
        prop_assert!(answer.is_err() || is_about(status));
    }

    #[test]
    fn a_token_comes_only_from_a_success_and_is_fit_for_a_header(
        status in prop_oneof![3 => Just(200u16), 1 => 100u16..600],
        date in header(),
        body in object(),
    ) {
        let head = Head { status, date: date.as_deref(), retry_after: None };
        if let Ok(answer) = read(&head, body.as_bytes(), asked_at(), SignedDuration::from_hours(1)) {
            prop_assert!(is_about(status));
            let sent: Value = serde_json::from_str(&body).unwrap();
            let error = sent.get("error");
            prop_assert!(matches!(error, None | Some(Value::Null | Value::Bool(false))) || error == Some(&Value::from("")));
            prop_assert_eq!(sent["access_token"].as_str(), Some(token_of(&answer)));
            prop_assert!(token_of(&answer).bytes().all(|byte| byte.is_ascii_graphic()));
            let validity = answer.token.validity.unwrap();
            prop_assert!(validity.issued_at() < validity.expires_at());
        }
    }

    #[test]
    fn no_lifetime_is_longer_than_any_witness(
        expires_in in prop::option::of(1u32..1_000_000),
        iat in prop::option::of(ASKED - 10_000..ASKED + 10_000),
        exp in prop::option::of(ASKED - 10_000..ASKED + 1_000_000),
        dated in any::<bool>(),
        default in 1i64..100_000,
    ) {
        let claims = serde_json::json!({"iat": iat, "exp": exp}).to_string();
        let body = serde_json::json!({"access_token": jwt(&claims), "expires_in": expires_in}).to_string();
        let head = Head { status: 200, date: dated.then_some("Tue, 14 Nov 2023 22:13:20 GMT"), retry_after: None };
        let answer = read(&head, body.as_bytes(), asked_at(), SignedDuration::from_secs(default)).unwrap();
        let own = iat.zip(exp).map(|(iat, exp)| exp - iat);
        let left = exp.filter(|_| dated).map(|exp| exp - ASKED);
        let witnesses = [expires_in.map(i64::from), own, left];
        let shortest = witnesses.into_iter().flatten().filter(|span| *span > 0).min();
        #[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
        let expected = shortest.unwrap_or(default) as f64;
        prop_assert!((seconds_of(&answer) - expected).abs() < 1e-6);
        prop_assert_eq!(answer.warnings.lifetime_assumed, shortest.is_none());
    }

    #[test]
    fn nothing_that_was_sent_shows(
        status in prop_oneof![Just(200u16), Just(400), Just(401), Just(403), Just(429), Just(500), 100u16..600],
        error in prop::sample::select(vec!["invalid_client", "invalid_scope", CANARY, "server_error"]),
        form in any::<bool>(),
        cut in 0usize..400,
    ) {
        let body = if form {
            url::form_urlencoded::Serializer::new(String::new())
                .append_pair("error", error)
                .append_pair("error_description", CANARY)
                .append_pair("access_token", CANARY)
                .finish()
        } else {
            serde_json::json!({
                "error": error,
                "error_description": CANARY,
                "error_uri": CANARY,
                "token_type": CANARY,
                "expires_in": CANARY,
                "access_token": CANARY,
            })
            .to_string()
        };
        let body = &body.as_bytes()[..cut.min(body.len())];
        let head = Head { status, date: Some(CANARY), retry_after: Some(CANARY) };
        let result = read(&head, body, asked_at(), SignedDuration::from_hours(1));
        let shown = format!("{result:?}");
        prop_assert!(!shown.contains("canary"));
        if let Err(error) = result {
            prop_assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn a_token_and_its_response_do_not_show_in_debug(rest in "[a-z]{1,20}") {
        let body = serde_json::json!({"access_token": format!("canary{rest}"), "id_token": "canary"}).to_string();
        let head = Head { status: 200, date: None, retry_after: None };
        let answer = read(&head, body.as_bytes(), asked_at(), SignedDuration::from_hours(1)).unwrap();
        let shown = format!("{answer:?}");
        prop_assert!(!shown.contains("canary"));
    }
}
