//! What an error of the API server means for a delivery. Of its own words only those are repeated that cannot echo
//! what was sent.

use jiff::SignedDuration;
use kube::core::Status;

use crate::ports::SinkError;

/// `at` is `Secret apps/voice-token`.
pub(super) fn translate(error: kube::Error, at: &str) -> SinkError {
    match error {
        kube::Error::Api(status) => from_status(&status, at),
        kube::Error::Auth(_) => {
            SinkError::Forbidden { why: "the login of the kubeconfig does not work".into() }
        }
        kube::Error::SerdeError(_) => {
            SinkError::Unreachable { why: format!("the API server's answer about {at} makes no sense") }
        }
        kube::Error::HyperError(error) => SinkError::Unreachable { why: short(&error) },
        kube::Error::Service(error) => SinkError::Unreachable { why: short(&*error) },
        _ => SinkError::Unreachable { why: format!("the request about {at} could not be made") },
    }
}

fn from_status(status: &Status, at: &str) -> SinkError {
    let retry_after = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|s| *s > 0);
    match status.code {
        401 => SinkError::Forbidden {
            why: "the API server does not know us (401): check the service account".into(),
        },
        403 if has_cause(status, "NamespaceTerminating") => {
            SinkError::Unfit { why: format!("the namespace of {at} is being deleted") }
        }
        403 => SinkError::Forbidden {
            why: format!(
                "{at} needs the verbs get, create and patch on secrets, by resourceNames: {}",
                words(&status.message)
            ),
        },
        404 => SinkError::Unfit { why: format!("the namespace of {at} does not exist; create it") },
        409 if has_cause(status, "FieldManagerConflict") => SinkError::Refused {
            why: format!("{at} has been made by somebody else"),
            advice: "Take another name, delete it, or set adopt: true".into(),
        },
        409 => SinkError::Conflict,
        413 => SinkError::Unfit { why: format!("{at} is too large for the API server") },
        429 => SinkError::Throttled {
            why: "the API server is busy (429)".into(),
            retry_after: retry_after.map(|seconds| SignedDuration::from_secs(i64::from(seconds))),
        },
        code @ (500 | 502 | 503 | 504) => {
            SinkError::Unreachable { why: format!("the API server is in trouble ({code})") }
        }
        code => SinkError::Unfit { why: format!("the API server refuses {at} ({code}): {}", fields(status)) },
    }
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == reason)
}

/// Names of the fields that are wrong; their values stay out.
fn fields(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<&str> =
        causes.map(|cause| cause.field.as_str()).filter(|field| !field.is_empty()).collect();
    if fields.is_empty() { status.reason.clone() } else { format!("invalid {}", fields.join(", ")) }
}

/// A message about rights names users, verbs and objects, and nothing that we sent.
fn words(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn short(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    words(&text)
}
