//! What an answer of the API server means for a sink, in words for whoever is woken by it. Pure.
//!
//! The server's own message is never shown: it may quote annotations, labels or whatever an admission webhook puts
//! in. Names are picked out of it where its form is known (user and verb, webhook, quota, field manager).

use kube::core::response::StatusCause;

use super::call::{CallError, Refusal, plain};
use super::ownership::list;
use crate::ports::SinkError;

/// Validation allows this much in all values of a Secret together (`core.MaxSecretSize`).
pub(super) const LARGEST_SECRET: usize = 1024 * 1024;

/// Which Secret a message is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// `size`: bytes that were to be written, 0 for a look.
pub(super) fn sink_error(error: CallError, place: Place<'_>, size: usize) -> SinkError {
    match error {
        CallError::NoClient { why } => SinkError::Unfit { why },
        CallError::Unreachable { why } => unreachable(&format!(
            "{why}. Deliveries go on when it is back; from a pod, look at the network policy and at `kubectl get --raw /readyz`"
        )),
        CallError::TimedOut { seconds } => SinkError::Timeout { seconds },
        CallError::NoCredentials { why } => {
            SinkError::Forbidden { why: format!("our credentials for the API server are unusable: {why}") }
        }
        CallError::Unreadable { why } => {
            unreachable(&format!("{why}. Is there a proxy between us and the API server?"))
        }
        CallError::Unbuildable => {
            SinkError::Unfit { why: "its namespace or name fits no request to the API server".to_owned() }
        }
        CallError::Refused(refusal) => refused(&refusal, place, size),
    }
}

fn refused(refusal: &Refusal, place: Place<'_>, size: usize) -> SinkError {
    let Place { namespace, name } = place;
    match refusal.code {
        401 => SinkError::Forbidden {
            why: "the API server does not know our credentials (401). In a pod: does the service account still exist? Elsewhere: try `kubectl auth whoami` with the same kubeconfig".to_owned(),
        },
        403 => forbidden(refusal, place),
        404 if details_kind(refusal) == "namespaces" => SinkError::Unfit {
            why: format!("namespace {namespace} does not exist. Create it with `kubectl create namespace {namespace}`, or correct the sink; it is tried again by itself"),
        },
        404 => SinkError::Unfit {
            why: "it answers 404 to a request for a Secret. Does the kubeconfig point at a Kubernetes API server?".to_owned(),
        },
        409 => conflict(refusal, place),
        413 => SinkError::TooLarge { bytes: size, limit: LARGEST_SECRET },
        400 | 422 => invalid(refusal, place),
        429 => throttled(refusal, "the API server is limiting our requests (429). See its priority and fairness settings"),
        500.. => broken(refusal),
        code => SinkError::Unfit {
            why: format!("the API server answers {code} for Secret {namespace}/{name}. Is there a proxy or a login page in front of it?"),
        },
    }
}

fn forbidden(refusal: &Refusal, place: Place<'_>) -> SinkError {
    let Place { namespace, name } = place;
    let message = &refusal.status.message;
    if causes(refusal).iter().any(|c| c.reason == "NamespaceTerminating") {
        return SinkError::Unfit {
            why: format!(
                "namespace {namespace} is being deleted, and takes nothing new. Correct the sink, or wait until the namespace is made again"
            ),
        };
    }
    if let Some(quota) = between(message, "exceeded quota: ", ",") {
        return SinkError::Unfit {
            why: format!(
                "quota {quota} of namespace {namespace} is used up. Raise it (`kubectl describe quota {quota} -n {namespace}`) or delete Secrets there"
            ),
        };
    }
    let (Some(user), Some(verb)) =
        (between(message, "User \"", "\""), between(message, "\" cannot ", " resource"))
    else {
        return SinkError::Forbidden { why: denied(message, place) };
    };
    SinkError::Forbidden {
        why: format!(
            "{user} may not {verb} Secret {namespace}/{name}. Everbearer needs get, create and patch on secrets in namespace {namespace} (resourceNames may narrow all three to {name}). Check with `kubectl auth can-i {verb} secrets/{name} -n {namespace} --as {user}`"
        ),
    }
}

fn conflict(refusal: &Refusal, place: Place<'_>) -> SinkError {
    let managers: Vec<&str> = causes(refusal)
        .iter()
        .filter(|c| c.reason == "FieldManagerConflict")
        .filter_map(|c| c.message.split('"').nth(1))
        .collect();
    if managers.is_empty() {
        return SinkError::Conflict;
    }
    SinkError::Refused {
        why: format!(
            "{} wrote keys of Secret {}/{} first",
            plain(&list(managers)),
            place.namespace,
            place.name
        ),
        advice: TAKE_OVER.to_owned(),
    }
}

pub(super) const TAKE_OVER: &str =
    "Name another Secret, delete this one, or set `adopt: true` on the sink to take it over";

fn invalid(refusal: &Refusal, place: Place<'_>) -> SinkError {
    let Place { namespace, name } = place;
    if refusal.status.message.contains("admission webhook") || refusal.status.message.contains("Policy '") {
        return SinkError::Forbidden { why: denied(&refusal.status.message, place) };
    }
    let fields: Vec<&str> =
        causes(refusal).iter().map(|c| c.field.as_str()).filter(|f| !f.is_empty()).collect();
    let what = match fields.as_slice() {
        [] => "without naming a field".to_owned(),
        fields => format!("for {}", plain(&list(fields.iter().copied()))),
    };
    SinkError::Unfit {
        why: format!(
            "the API server finds Secret {namespace}/{name} invalid ({} {what}). Look at the sink's type, labels, annotations and keys; some types ask for keys of their own",
            refusal.code
        ),
    }
}

/// An admission webhook or policy said no; what it says beyond its name is its own business.
fn denied(message: &str, Place { namespace, name }: Place<'_>) -> String {
    let who = between(message, "admission webhook \"", "\"")
        .map(|webhook| format!("admission webhook {webhook}"))
        .or_else(|| between(message, "Policy '", "'").map(|policy| format!("admission policy {policy}")))
        .unwrap_or_else(|| "an admission rule".to_owned());
    format!(
        "{who} of the cluster denies Secret {namespace}/{name}. `kubectl create secret generic {name} -n {namespace} --dry-run=server` as the same user shows its reason"
    )
}

fn broken(refusal: &Refusal) -> SinkError {
    let code = refusal.code;
    if let Some(webhook) = between(&refusal.status.message, "failed calling webhook \"", "\"") {
        return unreachable(&format!(
            "admission webhook {webhook} does not answer ({code}), and the API server refuses all Secrets until it does"
        ));
    }
    if refusal.retry_after.is_some() {
        return throttled(refusal, &format!("the API server is overloaded or restarting ({code})"));
    }
    unreachable(&format!(
        "the API server is in trouble itself ({code}). Look at `kubectl get --raw '/readyz?verbose'`"
    ))
}

fn throttled(refusal: &Refusal, why: &str) -> SinkError {
    SinkError::Throttled { why: why.to_owned(), retry_after: refusal.retry_after }
}

fn unreachable(why: &str) -> SinkError {
    SinkError::Unreachable { why: why.to_owned() }
}

/// Whether a dry run failed only because it is one: it carries no content, so types that ask for certain keys miss
/// them, and webhooks that cannot be asked without effect refuse it. Neither says that a delivery would fail.
pub(super) fn only_a_dry_run_fails(error: &CallError) -> bool {
    let CallError::Refused(refusal) = error else { return false };
    let causes = causes(refusal);
    let misses_content = |c: &StatusCause| c.reason == "FieldValueRequired" && c.field.starts_with("data");
    match refusal.code {
        400 => refusal.status.message.contains("does not support dry run"),
        422 => !causes.is_empty() && causes.iter().all(misses_content),
        _ => false,
    }
}

fn causes(refusal: &Refusal) -> &[StatusCause] {
    refusal.status.details.as_ref().map_or(&[], |details| &details.causes)
}

fn details_kind(refusal: &Refusal) -> &str {
    refusal.status.details.as_ref().map_or("", |details| &details.kind)
}

/// The text between two marks, where it looks like a name.
fn between(text: &str, before: &str, after: &str) -> Option<String> {
    let rest = &text[text.find(before)? + before.len()..];
    let name = &rest[..rest.find(after)?];
    let fit = |c: char| c.is_ascii_alphanumeric() || "-._:@/".contains(c);
    (!name.is_empty() && name.len() <= 253 && name.chars().all(fit)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn explained(code: u16, status: Value) -> String {
        let status = serde_json::from_value(status).unwrap();
        let refusal = Refusal { code, status, retry_after: None };
        let place = Place { namespace: "apps", name: "voice-token" };
        sink_error(CallError::Refused(Box::new(refusal)), place, 7).to_string()
    }

    #[test]
    fn names_are_picked_out_and_the_rest_of_a_message_is_dropped() {
        let cases = [
            (
                403,
                "User \"system:serviceaccount:a:b\" cannot patch resource \"secrets\" canary",
                "--as system:serviceaccount:a:b",
            ),
            (403, "User \"$(canary)\" cannot patch resource \"secrets\"", "an admission rule"),
            (
                403,
                "admission webhook \"scan.example.com\" denied the request: canary",
                "admission webhook scan.example.com",
            ),
            (
                400,
                "admission webhook \"scan.example.com\" denied the request: canary",
                "admission webhook scan.example.com",
            ),
            (
                422,
                "ValidatingAdmissionPolicy 'no-tokens' with binding 'b' denied request: canary",
                "admission policy no-tokens",
            ),
            (403, "exceeded quota: tiny, requested: canary", "quota tiny of namespace apps"),
            (400, "canary", "invalid (400 without naming a field)"),
            (418, "canary", "answers 418"),
        ];
        for (code, message, part) in cases {
            let text = explained(code, json!({"message": message}));
            assert!(text.contains(part) && !text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn a_conflict_of_managers_is_told_from_one_of_versions() {
        let cause =
            json!({"reason": "FieldManagerConflict", "message": "conflict with \"helm\" using v1: .data.a"});
        assert!(explained(409, json!({"details": {"causes": [cause]}})).contains("helm wrote keys"));
        assert!(explained(409, json!({"reason": "Conflict"})).contains("changed under our hands"));
    }

    #[test]
    fn a_dry_run_is_forgiven_only_what_a_delivery_would_bring() {
        let forgiven = |code, status| {
            let status = serde_json::from_value(status).unwrap();
            only_a_dry_run_fails(&CallError::Refused(Box::new(Refusal { code, status, retry_after: None })))
        };
        let causes = |causes: &[(&str, &str)]| {
            let causes: Vec<Value> =
                causes.iter().map(|(reason, field)| json!({"reason": reason, "field": field})).collect();
            json!({"details": {"causes": causes}})
        };
        assert!(forgiven(
            422,
            causes(&[("FieldValueRequired", "data[tls.crt]"), ("FieldValueRequired", "data[tls.key]")])
        ));
        assert!(!forgiven(
            422,
            causes(&[("FieldValueRequired", "data[a]"), ("FieldValueInvalid", "metadata.labels")])
        ));
        assert!(!forgiven(422, causes(&[])));
        assert!(forgiven(400, json!({"message": "admission webhook \"x\" does not support dry run"})));
        assert!(!forgiven(403, causes(&[("FieldValueRequired", "data[a]")])));
    }
}
