//! What a rotation's section means.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;

use super::{Report, sink};
use crate::config::document::{self, Pair, Schedule, Source, VaultSource};
use crate::config::place::Path;
use crate::config::spec::{IssuerSpec, RotationSpec, SourceSpec, VaultSourceSpec};
use crate::config::{suggestion, value};
use crate::render::{RenderError, Templates};
use crate::rotation::RotationName;
use crate::rotation::policy::Lead;
use crate::rotation::schedule::{CronLine, CronMistake};

pub(super) struct Defaults {
    lead: Lead,
    jitter: f64,
    mint_budget: u32,
}

impl Defaults {
    pub(super) fn new(report: &mut Report<'_>, at: &Path, defaults: &document::Defaults) -> Self {
        Self {
            lead: Lead::RenewAt(report.read(&at.key("renewAt"), defaults.renew_at.as_deref(), 0.5, renew_at)),
            jitter: report.read(&at.key("jitter"), defaults.jitter.as_deref(), 0.1, jitter),
            mint_budget: defaults.mint_budget.unwrap_or(10),
        }
    }
}

pub(super) struct Context<'a> {
    pub(super) issuers: &'a BTreeMap<Arc<str>, IssuerSpec>,
    pub(super) defaults: &'a Defaults,
    pub(super) has_vault: bool,
}

fn renew_at(text: &str) -> Result<f64, String> {
    value::share(text, 1.0, 99.0)
}

fn jitter(text: &str) -> Result<f64, String> {
    value::share(text, 0.0, 50.0)
}

pub(super) fn check(
    report: &mut Report<'_>,
    at: &Path,
    rotation: &document::Rotation,
    context: &Context<'_>,
) -> Option<RotationSpec> {
    let name = rotation.name.as_deref().and_then(|text| {
        let name = RotationName::parse(text);
        if name.is_none() {
            let text = "a rotation's name is 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends";
            report.mistake(&at.key("name"), text, None);
        }
        name
    });
    let issuer: Arc<str> = rotation.issuer.clone().unwrap_or_default().into();
    let issuer_spec = context.issuers.get(&issuer);
    let known_to_document = report.root.nearest(&Path::default().key("issuers")).key_place(&issuer).is_some();
    if rotation.issuer.is_some() && issuer_spec.is_none() && !known_to_document {
        let known: Vec<String> = context.issuers.keys().map(ToString::to_string).collect();
        let help = Some(suggestion::did_you_mean(&issuer, &known));
        report.mistake(&at.key("issuer"), format!("there is no issuer {issuer}"), help);
    }
    let is_basic = issuer_spec == Some(&IssuerSpec::Basic);
    let lead = lead(report, at, rotation, context.defaults);
    let jitter = report.read(&at.key("jitter"), rotation.jitter.as_deref(), context.defaults.jitter, jitter);
    let schedule =
        rotation.schedule.as_ref().and_then(|schedule| cron_line(report, &at.key("schedule"), schedule));
    let source_at = at.key("source");
    let source = rotation
        .source
        .as_ref()
        .and_then(|source| source_spec(report, &source_at, source, is_basic, context));
    let keys = rotation.keys.clone().unwrap_or_default();
    check_keys(report, &at.key("keys"), &keys);
    let sinks: Vec<_> = rotation
        .sinks
        .iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, sink)| {
            sink::check(report, &at.key("sinks").item(index), sink, context.has_vault)
        })
        .collect();
    if is_basic && (rotation.renew_at.is_some() || rotation.renew_before.is_some() || schedule.is_some()) {
        report.warning(at, "Basic credentials do not end: renewAt, renewBefore and schedule do nothing");
    }
    sink::warn_of_kubelet(report, at, &sinks, lead);
    Some(RotationSpec {
        name: name?,
        issuer,
        source: source?,
        lead,
        jitter,
        mint_budget: rotation.mint_budget.unwrap_or(context.defaults.mint_budget),
        schedule,
        suspend: rotation.suspend.unwrap_or_default(),
        sinks,
        keys,
    })
}

fn lead(report: &mut Report<'_>, at: &Path, rotation: &document::Rotation, defaults: &Defaults) -> Lead {
    if rotation.renew_at.is_some() && rotation.renew_before.is_some() {
        let text = "renewAt and renewBefore exclude each other";
        report.mistake(&at.key("renewBefore"), text, Some("remove one of the two".into()));
    }
    let by_share = rotation
        .renew_at
        .as_deref()
        .map(|text| Lead::RenewAt(report.read(&at.key("renewAt"), Some(text), 0.5, renew_at)));
    let by_span = rotation.renew_before.as_deref().map(|text| {
        let span = report.read(&at.key("renewBefore"), Some(text), SignedDuration::from_mins(20), |text| {
            let span = value::duration(text)?;
            if span.is_zero() { Err("a span ahead of expiry is wanted here".into()) } else { Ok(span) }
        });
        Lead::RenewBefore(span)
    });
    by_share.or(by_span).unwrap_or(defaults.lead)
}

fn cron_line(report: &mut Report<'_>, at: &Path, schedule: &Schedule) -> Option<CronLine> {
    let zone = schedule.time_zone.as_deref().unwrap_or("UTC");
    match CronLine::parse(schedule.cron.as_deref()?, zone) {
        Ok(line) if line.next_after(jiff::Timestamp::UNIX_EPOCH).is_none() => {
            report.mistake(&at.key("cron"), "this cron line never comes", None);
            None
        }
        Ok(line) => Some(line),
        Err(CronMistake::Zone) => {
            let help = "an IANA name such as Europe/Berlin or UTC is wanted";
            report.mistake(&at.key("timeZone"), "there is no such time zone", Some(help.into()));
            None
        }
        Err(CronMistake::Line(why)) => {
            let help = "five fields are wanted: minute, hour, day of month, month, day of week";
            report.mistake(&at.key("cron"), format!("this is not a cron line: {why}"), Some(help.into()));
            None
        }
    }
}

fn source_spec(
    report: &mut Report<'_>,
    at: &Path,
    source: &Source,
    is_basic: bool,
    context: &Context<'_>,
) -> Option<SourceSpec> {
    match source {
        Source { vault: Some(vault), .. } => vault_source(report, &at.key("vault"), vault, is_basic, context),
        Source { files: Some(pair), .. } => {
            let (id, secret) = both(report, &at.key("files"), pair, is_basic)?;
            Some(SourceSpec::Files { id: id.into(), secret: secret.into() })
        }
        Source { env: Some(pair), .. } => {
            let (id, secret) = both(report, &at.key("env"), pair, is_basic)?;
            Some(SourceSpec::Env { id, secret })
        }
        Source { vault: None, files: None, env: None } => None,
    }
}

/// `clientId` and `clientSecret`, or `username` and `password` where the issuer is Basic.
fn both(report: &mut Report<'_>, at: &Path, pair: &Pair, is_basic: bool) -> Option<(String, String)> {
    let client = [("clientId", &pair.client_id), ("clientSecret", &pair.client_secret)];
    let user = [("username", &pair.username), ("password", &pair.password)];
    let (wanted, unwanted, why) = if is_basic {
        (user, client, "the issuer is Basic and wants username and password")
    } else {
        (client, user, "the issuer wants clientId and clientSecret")
    };
    for (key, value) in unwanted {
        if value.is_some() {
            report.mistake(&at.key(key), format!("{key} has no use here"), Some(why.into()));
        }
    }
    let mut given = wanted.map(|(key, value)| {
        match value.as_deref() {
            None => report.mistake(at, format!("{key} is missing"), Some(why.into())),
            Some("") => report.mistake(&at.key(key), format!("{key} must not be empty"), None),
            Some(_) => {}
        }
        value.clone().filter(|value| !value.is_empty())
    });
    Some((given[0].take()?, given[1].take()?))
}

fn vault_source(
    report: &mut Report<'_>,
    at: &Path,
    vault: &VaultSource,
    is_basic: bool,
    context: &Context<'_>,
) -> Option<SourceSpec> {
    if !context.has_vault {
        let help = "add a section vault: with address and auth";
        report.mistake(at, "a Vault source needs the section vault", Some(help.into()));
    }
    let (mount, path) = kv_path(report, at, vault.mount.as_deref(), vault.path.as_deref()?)?;
    let (id, secret, id_key, secret_key) = if is_basic {
        (&vault.username_key, &vault.password_key, "username", "password")
    } else {
        (&vault.client_id_key, &vault.client_secret_key, "client_id", "client_secret")
    };
    Some(SourceSpec::Vault(VaultSourceSpec {
        mount,
        path,
        id_key: id.clone().unwrap_or_else(|| id_key.into()),
        secret_key: secret.clone().unwrap_or_else(|| secret_key.into()),
    }))
}

/// Mount and path of a KV engine without slashes at their ends; neither may climb or be empty.
pub(super) fn kv_path(
    report: &mut Report<'_>,
    at: &Path,
    mount: Option<&str>,
    path: &str,
) -> Option<(String, String)> {
    let mut clean = |key: &str, text: &str| {
        let trimmed = text.trim_matches('/');
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if trimmed.split('/').any(odd) || trimmed.chars().any(|c| c.is_control() || "?#%".contains(c)) {
            let text = "a path of a KV engine is wanted here, such as bandwidth/voice";
            report.mistake(&at.key(key), text, Some("the mount and the word data are not part of it".into()));
            return None;
        }
        Some(trimmed.to_owned())
    };
    let mount = clean("mount", mount.unwrap_or("secret"));
    let path = clean("path", path);
    Some((mount?, path?))
}

/// Each template by itself, so that every mistake has its place.
fn check_keys(report: &mut Report<'_>, at: &Path, keys: &BTreeMap<String, Option<String>>) {
    for (key, template) in keys {
        let one = BTreeMap::from([(key.clone(), template.clone())]);
        if let Err(error) = Templates::new(&one) {
            let error: RenderError = error;
            report.mistake(&at.key(key), error.to_string(), None);
        }
    }
}
