//! No answer, half an answer, too much of an answer.

use super::*;

fn transport(result: Result<MintedToken, IssuerError>) -> (String, bool) {
    match result {
        Err(IssuerError::Transport { why, maybe_minted }) => (why, maybe_minted),
        other => panic!("{other:?}"),
    }
}

fn hasty(url: &str) -> OAuth2Spec {
    OAuth2Spec { timeout: SignedDuration::from_millis(300), ..spec(url) }
}

#[tokio::test]
async fn a_refused_connection_minted_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token?key=canary", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(transport(mint(&spec(&url)).await), ("connection refused".to_owned(), false));
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_may_have_minted() {
    let (url, server) = serve(|connection, _| async move { drop(connection) }).await;
    assert!(transport(mint(&spec(&url)).await).1);
    server.await.unwrap();
}

#[tokio::test]
async fn an_answer_cut_short_may_have_minted() {
    let whole = response("200 OK", "", TOKEN);
    for end in [5, 20, whole.len() - 1] {
        let (url, server) = answer(&whole.as_bytes()[..end]).await;
        assert!(transport(mint(&spec(&url)).await).1, "after {end} bytes");
        server.await.unwrap();
    }
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3a\r\n";
    let (url, _server) = answer(format!("{chunked}{TOKEN}\r\n")).await;
    assert!(transport(mint(&spec(&url)).await).1, "without its last chunk");
}

#[tokio::test]
async fn what_is_no_http_may_have_minted() {
    let (url, _server) = answer("SSH-2.0-OpenSSH_9.9 canary\r\n\r\n").await;
    let (why, maybe_minted) = transport(mint(&spec(&url)).await);
    assert!(maybe_minted && !why.contains("canary"), "{why}");
}

#[tokio::test]
async fn an_endpoint_that_never_answers_is_timed_out() {
    let (url, server) = serve(|connection, _| async move {
        let _open = connection;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(transport(mint(&hasty(&url)).await), ("no complete answer within 0.3 s".to_owned(), true));
    server.abort();
}

#[tokio::test]
async fn a_body_that_drips_is_timed_out_as_a_whole() {
    let (url, server) = serve(|mut connection, _| async move {
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        loop {
            pace.tick().await;
            if connection.write_all(b"{").await.is_err() {
                return;
            }
        }
    })
    .await;
    assert_eq!(transport(mint(&hasty(&url)).await), ("no complete answer within 0.3 s".to_owned(), true));
    server.await.unwrap();
}

/// Writes until the other side hangs up; returns how many bytes it took.
async fn endless(mut connection: tokio::net::TcpStream, status: &str) -> usize {
    let head = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    let mut written = 0;
    while connection.write_all(chunk.as_bytes()).await.is_ok() {
        written += 0x4000;
    }
    written
}

#[tokio::test]
async fn an_endless_body_is_hung_up_on() {
    let (url, server) = serve(|connection, _| endless(connection, "200 OK")).await;
    let error = mint(&spec(&url)).await.unwrap_err();
    assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
    let (_, written) = server.await.unwrap();
    // What the sockets' buffers hold comes on top of the megabyte.
    assert!((BODY_LIMIT..32 * BODY_LIMIT).contains(&written), "{written} bytes");
}

#[tokio::test]
async fn a_failure_counts_by_its_status_when_its_body_cannot_be_read() {
    let (url, server) = serve(|connection, _| endless(connection, "503 Service Unavailable")).await;
    assert!(matches!(mint(&spec(&url)).await, Err(IssuerError::Server { status: 503, .. })));
    server.await.unwrap();
    let (url, _server) = answer("HTTP/1.1 401 No\r\ncontent-length: 100\r\n\r\n{\"error\":").await;
    let error = mint(&spec(&url)).await.unwrap_err();
    assert!(matches!(error, IssuerError::CredentialRejected { status: 401, code: None }), "{error:?}");
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let padded = format!("{TOKEN}{}", " ".repeat(BODY_LIMIT - TOKEN.len()));
    let (url, _server) = answer(response("200 OK", "", &padded)).await;
    assert!(mint(&spec(&url)).await.is_ok());
    let (url, _server) = serve(|mut connection, _| async move {
        // The client hangs up before the end.
        let _ = connection.write_all(response("200 OK", "", &format!("{padded} ")).as_bytes()).await;
    })
    .await;
    assert!(matches!(mint(&spec(&url)).await, Err(IssuerError::Malformed { .. })));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("location: http://{}/?canary\r\n", elsewhere.local_addr().unwrap());
    for status in
        ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let (url, _server) = answer(response(status, &location, "")).await;
        let error = mint(&spec(&url)).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Permanent { named: false }, "{status}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    assert!(futures::FutureExt::now_or_never(elsewhere.accept()).is_none(), "nobody came");
}

#[tokio::test]
async fn retry_after_reaches_the_error() {
    let headers = "Retry-After: Tue, 14 Nov 2023 22:15:20 GMT\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n";
    let (url, _server) = answer(response("429 Too Many Requests", headers, "")).await;
    let kind = mint(&spec(&url)).await.unwrap_err().kind();
    assert_eq!(kind, FailureKind::Throttled { retry_after: Some(SignedDuration::from_mins(2)) });
}

#[tokio::test]
async fn a_compressed_body_is_not_unpacked() {
    let (url, server) = answer(response("200 OK", "content-encoding: gzip\r\n", "\u{1f}\u{8b}\u{8}")).await;
    assert!(matches!(mint(&spec(&url)).await, Err(IssuerError::Malformed { .. })));
    assert!(!server.await.unwrap().0.contains("accept-encoding"), "nor asked for");
}
