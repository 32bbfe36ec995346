//! What the whole stack below a delivery logs at the finest level.

use std::io::Write;
use std::sync::{Arc, Mutex};

use everbearer::ports::Sink as _;
use tracing_subscriber::fmt::MakeWriter;

use super::fixture::{Fixture, assert_no_canary, shown};
use super::trouble::{answering, sink_at};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything that is logged on this thread until the guard is dropped.
fn recorded() -> (Log, impl Sized) {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // With one subscriber alone, tracing asks the threads of other tests, which have none, and stays silent for all.
    let second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    (log, (guard, second))
}

#[tokio::test]
async fn no_byte_of_a_token_reaches_a_trace_log() {
    let (log, _guard) = recorded();

    let fixture = Fixture::new().await;
    let sink = fixture.sink();
    let old = fixture.deliver(1).await.unwrap();
    fixture.deliver(2).await.unwrap();
    assert!(fixture.deliver_against(&sink, &old, 3).await.is_err());
    sink.observe().await.unwrap();
    let invalid = fixture.with(|spec| {
        spec.labels.insert("team".into(), "no label value".into());
    });
    assert!(invalid.deliver(4).await.is_err());

    let log = log.text();
    assert!(log.contains("/secrets/voice-token"), "the stack does log its requests: {log}");
    assert_no_canary(&log);
    assert!(!log.contains("token-of-admin"), "our own credentials stay out as well");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_not_logged_either() {
    // kube's own `Api` warns with the whole body of such an answer.
    let cut_short = r#"{"kind":"Secret","metadata":{},"data":{"access_token":"canary"}"#;
    let quoting = r#"{"kind":"Status","code":422,"message":"Invalid value: \"canary\"","reason":"Invalid"}"#;
    let (log, _guard) = recorded();
    for (head, body) in
        [("200 OK", cut_short), ("422 Unprocessable Entity", quoting), ("502 Bad Gateway", "canary")]
    {
        let (sink, _folder) = sink_at(&answering(head, body).await);
        shown(sink.observe().await);
    }
    assert!(log.text().contains("/secrets/never-made"), "the stack does log its requests: {}", log.text());
    assert_no_canary(&log.text());
}
