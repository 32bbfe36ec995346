//! What an error of the API server means for a delivery. Of its own words only those are repeated that cannot echo
//! what was sent.

use jiff::SignedDuration;
use kube::core::Status;

use crate::ports::SinkError;

pub(super) enum Failure {
    Answered(kube::Error),
    /// There was no answer.
    Told(SinkError),
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        Self::Told(error)
    }
}

impl Failure {
    /// `at` is `Secret apps/voice-token`.
    pub(super) fn told(self, at: &str) -> SinkError {
        match self {
            Self::Answered(error) => translate(error, at),
            Self::Told(error) => error,
        }
    }

    /// The API server finds nothing wrong but keys that are missing.
    pub(super) fn is_only_about_data(&self) -> bool {
        let Self::Answered(kube::Error::Api(status)) = self else { return false };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let mut causes = causes.peekable();
        status.code == 422
            && causes.peek().is_some()
            && causes.all(|cause| cause.reason == "FieldValueRequired" && cause.field.starts_with("data["))
    }
}

fn translate(error: kube::Error, at: &str) -> SinkError {
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
        403 => forbidden(&status.message, at),
        404 => SinkError::Unfit { why: format!("the namespace of {at} does not exist; create it") },
        409 => SinkError::Conflict,
        413 => SinkError::Unfit { why: format!("{at} is too large for the API server") },
        429 => SinkError::Throttled {
            why: "the API server is busy (429)".into(),
            retry_after: retry_after.map(|seconds| SignedDuration::from_secs(i64::from(seconds))),
        },
        code @ (500 | 502 | 503 | 504) => {
            SinkError::Unreachable { why: format!("the API server is in trouble ({code})") }
        }
        code => {
            let what = denier(&status.message).unwrap_or_else(|| fields(status));
            SinkError::Unfit { why: format!("the API server refuses {at} ({code}): {what}") }
        }
    }
}

/// Only the API server's own words are repeated; those of an admission rule may quote what we sent.
fn forbidden(message: &str, at: &str) -> SinkError {
    let reason = reason_of_forbidden(message);
    if reason.starts_with("User ") {
        return SinkError::Forbidden {
            why: format!(
                "{at} needs the verbs get, create and patch on secrets, by resourceNames: {}",
                words(message)
            ),
        };
    }
    if reason.starts_with("exceeded quota: ") {
        return SinkError::Unfit { why: format!("{at}: {}", words(reason)) };
    }
    let by = denier(message).unwrap_or_else(|| "an admission rule".into());
    SinkError::Unfit { why: format!("the API server refuses {at} (403): {by}") }
}

/// The admission webhook or policy that refused. What it says itself stays out.
fn denier(message: &str) -> Option<String> {
    let (by, _) = reason_of_forbidden(message).split_once(" denied ")?;
    let known = by.starts_with("admission webhook ") || by.starts_with("ValidatingAdmissionPolicy ");
    known.then(|| format!("denied by {}", words(by)))
}

/// What follows `secrets "voice-token" is forbidden: `; a webhook's message does not begin so.
fn reason_of_forbidden(message: &str) -> &str {
    let reason = message.strip_prefix("secrets ").and_then(|rest| rest.split_once(" is forbidden: "));
    reason.map_or(message, |(_, reason)| reason)
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

/// One line of bounded length, of text that holds nothing that we sent.
pub(super) fn words(message: &str) -> String {
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
