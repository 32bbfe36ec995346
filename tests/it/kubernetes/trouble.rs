//! Namespaces that are not there, servers that are not there, and answers that are none.

use std::path::Path;
use std::sync::Arc;

use everbearer::config::spec::KubernetesSpec;
use everbearer::kubernetes::{LazyClient, SecretSink};
use everbearer::ports::{Handle, Sink as _, SinkError};
use everbearer::rotation::RotationName;
use everbearer::rotation::failure::{Classify as _, FailureKind};
use everbearer::secret::Content;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::fixture::{Fixture, INSTALLATION, shown};
use crate::support::apiserver::{ADMIN, ApiServer};

#[tokio::test]
async fn a_missing_namespace_is_named_with_the_way_out() {
    let fixture = Fixture::new().await.with(|spec| spec.namespace = "nowhere".into());
    let (code, message) = shown(fixture.deliver(1).await);
    assert_eq!(code, "sink_unfit");
    assert!(message.contains("namespace nowhere does not exist"), "{message}");
    assert!(message.contains("kubectl create namespace nowhere"), "{message}");
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_explained() {
    let fixture = Fixture::new().await;
    let namespaces: Api<Namespace> = Api::all(ApiServer::shared().client(ADMIN));
    namespaces.delete(&fixture.namespace, &DeleteParams::default()).await.unwrap();
    let (code, message) = shown(fixture.deliver(1).await);
    assert!(code == "sink_unfit" && message.contains("is being deleted"), "{message}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let fixture = Fixture::new().await;
    let (_, receipt) = fixture.delivery(1);
    let large = Content::new([("access_token", vec![b'x'; 1024 * 1024 + 1])]);
    let nowhere = sink_at("http://127.0.0.1:1").0;
    let result = nowhere.deliver(&Handle::new("absent"), &large, &receipt).await;
    assert_eq!(shown(result).0, "sink_too_large");
    let largest = Content::new([("k", vec![b'x'; 1024 * 1024 - 1])]);
    fixture.sink().deliver(&Handle::new("absent"), &largest, &receipt).await.unwrap();
}

#[tokio::test]
async fn a_secret_that_the_api_server_finds_invalid_is_explained_by_field() {
    let fixture = Fixture::new().await.with(|spec| {
        spec.labels.insert("team".into(), "canary is no label value".into());
    });
    let (code, message) = shown(fixture.deliver(1).await);
    assert!(code == "sink_unfit" && message.contains("metadata.labels"), "{message}");
}

#[tokio::test]
async fn an_api_server_that_is_away_is_transient_and_does_not_hinder_the_start() {
    let (sink, _folder) = sink_at("https://127.0.0.1:1");
    let error = sink.observe().await.err().unwrap();
    assert_eq!(error.kind(), FailureKind::Transient);
    let (code, message) = shown::<()>(Err(error));
    assert!(
        code == "sink_unreachable" && message.contains("https://127.0.0.1:1: Connection refused"),
        "{message}"
    );
}

#[tokio::test]
async fn an_authority_that_signed_another_server_is_named_as_such() {
    let server = ApiServer::shared().address();
    let (sink, _folder) = sink_at(&server);
    let (code, message) = shown(sink.observe().await);
    assert!(code == "sink_unreachable" && message.contains("invalid peer certificate"), "{message}");
}

#[tokio::test]
async fn a_missing_kubeconfig_fails_the_call_and_is_looked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let sink = sink_with(&path);
    assert!(shown(sink.observe().await).1.contains("No such file"));
    std::fs::copy(ApiServer::shared().kubeconfig(ADMIN), &path).unwrap();
    sink.observe().await.unwrap();
}

#[tokio::test]
async fn answers_that_are_no_help_are_told_apart() {
    let seconds = SignedDuration::from_secs;
    let throttled = |retry_after| FailureKind::Throttled { retry_after };
    let cases = [
        (
            "429 Too Many Requests\r\nretry-after: 7",
            "{}",
            throttled(Some(seconds(7))),
            "limiting our requests",
        ),
        (
            "429 Too Many Requests",
            r#"{"details":{"retryAfterSeconds":3}}"#,
            throttled(Some(seconds(3))),
            "429",
        ),
        ("503 Unavailable\r\nretry-after: 1", "{}", throttled(Some(seconds(1))), "overloaded or restarting"),
        ("500 Internal Server Error", "{}", FailureKind::Transient, "in trouble itself (500)"),
        (
            "500 Internal Server Error",
            r#"{"message":"Internal error occurred: failed calling webhook \"scan.example.com\": canary"}"#,
            FailureKind::Transient,
            "webhook scan.example.com does not answer",
        ),
        ("502 Bad Gateway", "<html>canary", FailureKind::Transient, "in trouble itself (502)"),
        ("200 OK", "canary", FailureKind::Transient, "not the object that was asked for"),
        ("401 Unauthorized", "{}", FailureKind::Permanent { named: false }, "does not know our credentials"),
        ("302 Found\r\nlocation: /canary", "", FailureKind::Permanent { named: false }, "login page"),
        ("404 Not Found", "canary", FailureKind::Permanent { named: false }, "a Kubernetes API server?"),
    ];
    for (head, body, kind, part) in cases {
        let (sink, _folder) = sink_at(&answering(head, body).await);
        let error = sink.observe().await.err().unwrap();
        assert_eq!(error.kind(), kind, "{head}");
        let message = shown::<()>(Err(error)).1;
        assert!(message.contains(part), "{head}: {message}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let body = "x".repeat(5 * 1024 * 1024);
    let (sink, _folder) = sink_at(&answering("200 OK", &body).await);
    assert!(matches!(sink.observe().await, Err(SinkError::Unreachable { .. })));
}

/// A server that gives every request the same answer.
pub(super) async fn answering(head: &str, body: &str) -> String {
    let answer =
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

pub(super) fn sink_at(server: &str) -> (SecretSink, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": "canary"}}],
    });
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    (sink_with(&path), folder)
}

fn sink_with(kubeconfig: &Path) -> SecretSink {
    let spec = KubernetesSpec { kubeconfig: Some(kubeconfig.to_owned()), context: None };
    let secret = everbearer::config::spec::KubernetesSecretSpec {
        namespace: "default".into(),
        name: "never-made".into(),
        type_: "Opaque".into(),
        labels: [].into(),
        annotations: [].into(),
        adopt: false,
    };
    let rotation = RotationName::parse("voice").unwrap();
    SecretSink::new(Arc::new(LazyClient::new(spec)), INSTALLATION.into(), rotation, secret)
}
