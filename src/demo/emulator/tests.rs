use std::sync::atomic::AtomicI64;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde_json::Value;

use super::*;

/// The guide's example: `jdoe:correct-horse-battery-staple`.
const GUIDE_HEADER: &str = "Basic amRvZTpjb3JyZWN0LWhvcnNlLWJhdHRlcnktc3RhcGxl";
const START: i64 = 1_700_000_000;

struct Stage {
    emulator: Emulator,
    clock: Arc<AtomicI64>,
    client: reqwest::Client,
}

async fn stage() -> Stage {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let clock = Arc::new(AtomicI64::new(START));
    let seconds = Arc::clone(&clock);
    let now: Now = Arc::new(move || Timestamp::from_second(seconds.load(Ordering::SeqCst)).unwrap());
    let config = EmulatorConfig {
        client_id: "jdoe".to_owned(),
        client_secret: SecretText::new("correct-horse-battery-staple"),
        lifetime: SignedDuration::from_secs(3600),
        listen: "127.0.0.1:0".parse().unwrap(),
    };
    let emulator = Emulator::start(config, now).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Stage { emulator, clock, client }
}

impl Stage {
    async fn ask(&self, authorization: &str, content_type: &str, body: &str) -> (u16, HeaderMap, Value) {
        let request = self
            .client
            .post(self.emulator.token_url())
            .header("authorization", authorization)
            .header("content-type", content_type)
            .body(body.to_owned());
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.json().await.unwrap())
    }

    async fn ask_as_the_guide_does(&self) -> (u16, HeaderMap, Value) {
        self.ask(GUIDE_HEADER, "application/x-www-form-urlencoded", "grant_type=client_credentials").await
    }

    async fn resource(&self, authorization: Option<&str>) -> (u16, String) {
        let mut request = self.client.get(self.emulator.resource_url());
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let response = request.send().await.unwrap();
        let challenge = response.headers().get(WWW_AUTHENTICATE).map(|v| v.to_str().unwrap().to_owned());
        (response.status().as_u16(), challenge.unwrap_or_default())
    }
}

fn part(token: &str, index: usize) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn the_guides_request_gets_the_guides_answer() {
    let stage = stage().await;
    let (status, headers, body) = stage.ask_as_the_guide_does().await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["date"], "Tue, 14 Nov 2023 22:13:20 GMT", "the date is the emulator's");
    let keys: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["access_token", "access_token_id", "expires_in", "token_type"]);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    let token = body["access_token"].as_str().unwrap();
    let header = part(token, 0);
    assert_eq!((&header["typ"], &header["alg"]), (&Value::from("JWT"), &Value::from("HS256")));
    assert!(header["kid"].is_string());
    let claims = part(token, 1);
    assert_eq!(claims["jti"], body["access_token_id"]);
    assert_eq!(claims["sub"], "jdoe");
    assert_eq!(claims["iat"], START);
    assert_eq!(claims["exp"], START + 3600);
    assert_eq!((stage.emulator.token_requests(), stage.emulator.tokens_issued()), (1, 1));
}

#[tokio::test]
async fn a_refused_request_gets_the_code_of_rfc_6749() {
    let stage = stage().await;
    let form = "application/x-www-form-urlencoded";
    let grant = "grant_type=client_credentials";
    let encoded = {
        use base64::Engine as _;
        |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    let rows = [
        ("a wrong secret", encoded("jdoe:wrong"), form, grant, 401, "invalid_client"),
        ("a wrong id", encoded("other:correct-horse-battery-staple"), form, grant, 401, "invalid_client"),
        ("no colon", encoded("jdoe"), form, grant, 401, "invalid_client"),
        ("no base64", "Basic %%%".to_owned(), form, grant, 401, "invalid_client"),
        ("another scheme", "Bearer x".to_owned(), form, grant, 401, "invalid_client"),
        ("JSON", GUIDE_HEADER.to_owned(), "application/json", "{}", 400, "invalid_request"),
        ("no grant", GUIDE_HEADER.to_owned(), form, "", 400, "invalid_request"),
        ("two grants", GUIDE_HEADER.to_owned(), form, "grant_type=a&grant_type=b", 400, "invalid_request"),
        ("another grant", GUIDE_HEADER.to_owned(), form, "grant_type=x", 400, "unsupported_grant_type"),
    ];
    for (case, authorization, content_type, body, status, code) in rows {
        let (got, headers, answer) = stage.ask(&authorization, content_type, body).await;
        assert_eq!((got, answer["error"].as_str()), (status, Some(code)), "{case}");
        assert_eq!(headers.contains_key(WWW_AUTHENTICATE), status == 401, "{case}");
        assert!(answer.get("access_token").is_none(), "{case}");
    }
    assert_eq!(stage.emulator.tokens_issued(), 0);
}

#[tokio::test]
async fn a_token_is_good_until_the_second_it_ends_by_the_emulators_clock() {
    let stage = stage().await;
    let (_, _, body) = stage.ask_as_the_guide_does().await;
    let header = format!("Bearer {}", body["access_token"].as_str().unwrap());
    stage.clock.store(START + 3599, Ordering::SeqCst);
    assert!(stage.emulator.accepts(&header));
    assert_eq!(stage.resource(Some(&header)).await.0, 200);
    stage.clock.store(START + 3600, Ordering::SeqCst);
    assert!(!stage.emulator.accepts(&header));
    let (status, challenge) = stage.resource(Some(&header)).await;
    assert_eq!((status, challenge.contains("invalid_token")), (401, true));
}

#[tokio::test]
async fn a_token_of_someone_else_is_refused() {
    let (stage, other) = (stage().await, stage().await);
    let (_, _, body) = other.ask_as_the_guide_does().await;
    let foreign = format!("Bearer {}", body["access_token"].as_str().unwrap());
    assert!(other.emulator.accepts(&foreign));
    for header in [foreign.as_str(), "Bearer ", "Bearer a.b.c", "Basic amRvZTp4", ""] {
        assert!(!stage.emulator.accepts(header), "{header}");
    }
    assert_eq!(stage.resource(None).await, (401, "Bearer realm=\"api\"".to_owned()));
}

#[tokio::test]
async fn two_secrets_serve_side_by_side() {
    let stage = stage().await;
    stage.emulator.add_client_secret(SecretText::new("second"));
    assert_eq!(stage.ask_as_the_guide_does().await.0, 200, "the first goes on");
    stage.emulator.remove_client_secret(&SecretText::new("correct-horse-battery-staple"));
    assert_eq!(stage.ask_as_the_guide_does().await.0, 401);
    stage.emulator.set_client_secret(SecretText::new("correct-horse-battery-staple"));
    assert_eq!(stage.ask_as_the_guide_does().await.0, 200);
    stage.emulator.add_client_secret(SecretText::new("second"));
    stage.emulator.add_client_secret(SecretText::new("third"));
    assert_eq!(stage.ask_as_the_guide_does().await.0, 401, "a third secret ends the oldest");
}

#[tokio::test]
async fn an_outage_takes_the_token_endpoint_down_and_leaves_the_resource() {
    let stage = stage().await;
    let (_, _, body) = stage.ask_as_the_guide_does().await;
    let header = format!("Bearer {}", body["access_token"].as_str().unwrap());
    stage.emulator.outage(true);
    assert_eq!(stage.ask_as_the_guide_does().await.0, 503);
    assert_eq!(stage.resource(Some(&header)).await.0, 200);
    stage.emulator.outage(false);
    assert_eq!(stage.ask_as_the_guide_does().await.0, 200);
    assert_eq!((stage.emulator.token_requests(), stage.emulator.tokens_issued()), (3, 2));
}

#[tokio::test]
async fn scripted_answers_are_served_once_and_in_order() {
    let stage = stage().await;
    stage.emulator.fail_with(429, "{}");
    stage.emulator.fail_with(400, "{\"error\":\"invalid_scope\"}");
    assert_eq!(stage.ask_as_the_guide_does().await.0, 429);
    let (status, _, body) = stage.ask_as_the_guide_does().await;
    assert_eq!((status, body["error"].as_str()), (400, Some("invalid_scope")));
    assert_eq!(stage.ask_as_the_guide_does().await.0, 200);
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let stage = stage().await;
    let request = stage.client.post(stage.emulator.token_url()).body("x".repeat(BODY_LIMIT + 1));
    assert_eq!(request.send().await.unwrap().status(), 413);
}

#[tokio::test]
async fn a_stopped_emulator_answers_nobody() {
    let Stage { emulator, client, .. } = stage().await;
    let url = emulator.token_url();
    emulator.stop().await.unwrap();
    assert!(client.post(url).send().await.unwrap_err().is_connect());
}
