//! Rotations: each by itself, and that no two are in each other's way.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::issuers::IssuerKind;
use super::templates::Templates;
use super::{Surroundings, sinks, sources};
use crate::config::document::{Document, RotationDocument, SinkDocument, SourceDocument};
use crate::config::findings::{Findings, Place, Spanned, nearest};
use crate::config::shape::{Slot, Written};
use crate::config::spec::{RotationSpec, SinkSpec, SourceSpec};
use crate::rotation::policy::Lead;
use crate::rotation::schedule::{CronLine, CronMistake};
use crate::rotation::{RotationName, SinkName};

/// kubelet shows a changed Secret within 90 s; this leaves room for failures too.
const SHORT_LEAD: SignedDuration = SignedDuration::from_secs(300);

/// Checks all rotations. The result is complete only if no mistake was found.
pub(super) fn check(
    document: &Document,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Vec<RotationSpec> {
    let mut checker = Checker {
        around,
        templates: Templates::new(),
        names: HashMap::new(),
        sinks: HashMap::new(),
        kv_sources: Vec::new(),
        findings,
    };
    let written = document.rotations.get().map_or(&[][..], |rotations| &rotations.items);
    let mut rotations = Vec::with_capacity(written.len());
    rotations.extend(written.iter().filter_map(|rotation| checker.rotation(&rotation.value)));
    checker.refuse_circles();
    rotations
}

struct Checker<'d, 'f> {
    around: &'d Surroundings<'d>,
    templates: Templates,
    names: HashMap<&'d str, Place>,
    /// One name for each place, however it is written: paths are normalised.
    sinks: HashMap<SinkName, Place>,
    /// Each distinct path of a Vault source, as a sink at that place would be called.
    kv_sources: Vec<(String, Place)>,
    findings: &'f mut Findings,
}

impl<'d> Checker<'d, '_> {
    fn rotation(&mut self, rotation: &'d RotationDocument) -> Option<RotationSpec> {
        self.name(rotation);
        let kind = self.issuer_kind(rotation);
        let source = self.source(rotation, kind);
        let sinks = self.sinks(rotation);
        let lead = self.lead(rotation, &sinks);
        let keys = self.templates.check(rotation, kind, self.findings);
        let schedule = self.schedule(rotation);
        if kind == IssuerKind::Basic {
            self.warn_of_unused_keys(rotation);
        }
        let around = self.around;
        Some(RotationSpec {
            name: RotationName::parse(rotation.name.get()?)?,
            issuer: around.issuers.intern(rotation.issuer.get()?)?,
            source: source?,
            lead,
            jitter: rotation.jitter.get().map_or(around.defaults.jitter, |share| share.0),
            mint_budget: rotation.mint_budget.get().map_or(around.defaults.mint_budget, |number| number.0),
            schedule,
            suspend: rotation.suspend.get().is_some_and(|flag| flag.0),
            sinks,
            keys,
        })
    }

    fn name(&mut self, rotation: &'d RotationDocument) {
        let Some(name) = rotation.name.spanned() else { return };
        if let Some(first) = self.names.insert(&name.value, name.at) {
            let before = self.findings.name_place(first);
            let message = format!("two rotations are called `{}`; the first is at {before}", &*name.value);
            self.findings.mistake(name.at, message);
        }
    }

    fn issuer_kind(&mut self, rotation: &RotationDocument) -> IssuerKind {
        let Some(issuer) = rotation.issuer.spanned() else { return IssuerKind::Unclear };
        if let Some(kind) = self.around.issuers.kind(&issuer.value) {
            return kind;
        }
        if self.around.complete {
            let message = format!("there is no issuer `{}`", &*issuer.value);
            match self.findings.suggest(&issuer.value, self.around.issuers.names()) {
                Some(help) => self.findings.mistake_with_help(issuer.at, message, help),
                None => self.findings.mistake_with_help(issuer.at, message, "define it under `issuers`"),
            }
        }
        IssuerKind::Unclear
    }

    fn source(&mut self, rotation: &RotationDocument, kind: IssuerKind) -> Option<SourceSpec> {
        let source = &rotation.source.spanned()?.value;
        let spec = sources::check(source, kind, self.findings);
        if let SourceDocument::Vault(vault) = source {
            self.needs_vault(vault.at, "source");
            if let Some(SourceSpec::Vault(spec)) = &spec {
                self.kv_sources.push((format!("vaultKv/{}/{}", spec.mount, spec.path), vault.at));
            }
        }
        spec
    }

    fn needs_vault(&mut self, at: Place, what: &str) {
        if !self.around.vault && self.around.complete {
            let message = format!("this {what} needs Vault, and there is no `vault` section");
            self.findings.mistake_with_help(at, message, "add `vault` at the top, with `address` and `auth`");
        }
    }

    fn sinks(&mut self, rotation: &RotationDocument) -> Vec<SinkSpec> {
        let mut specs = Vec::with_capacity(rotation.sinks.get().map_or(0, |sinks| sinks.items.len()));
        for Spanned { value: sink, .. } in rotation.sinks.get().iter().flat_map(|sinks| &sinks.items) {
            let at = match sink {
                SinkDocument::KubernetesSecret(secret) => secret.at,
                SinkDocument::Directory(directory) => directory.at,
                SinkDocument::VaultKv(kv) => {
                    self.needs_vault(kv.at, "sink");
                    kv.at
                }
            };
            let Some(spec) = sinks::check(sink, self.findings) else { continue };
            if let Some(first) = self.sinks.insert(spec.name(), at) {
                let before = self.findings.name_place(first);
                let help = "two rotations would write over each other; give each a sink of its own";
                self.findings.mistake_with_help(
                    at,
                    format!("this sink is delivered to already, by {before}"),
                    help,
                );
            }
            specs.push(spec);
        }
        specs
    }

    fn lead(&mut self, rotation: &RotationDocument, sinks: &[SinkSpec]) -> Lead {
        if let (Some(_), Some(at)) = (rotation.renew_at.place(), rotation.renew_before.place()) {
            let help =
                "`renewAt` counts from the start of the lifetime, `renewBefore` from its end; keep one";
            self.findings.mistake_with_help(at, "renewAt and renewBefore exclude each other", help);
        }
        match (&rotation.renew_before, &rotation.renew_at) {
            (Slot::Put(before), _) => {
                let secret = sinks.iter().any(|sink| matches!(sink, SinkSpec::KubernetesSecret(_)));
                if secret && before.value.0 < SHORT_LEAD {
                    self.findings.warning(
                        before.at,
                        "this is short for a Secret: kubelet shows a changed Secret within 90 s",
                        "pods might see an expired token; 300 s and more leave room for failures",
                    );
                }
                Lead::RenewBefore(before.value.0)
            }
            (_, Slot::Put(at)) => Lead::RenewAt(at.value.0),
            _ => self.around.defaults.lead,
        }
    }

    fn schedule(&mut self, rotation: &RotationDocument) -> Option<CronLine> {
        let schedule = rotation.schedule.get()?;
        let cron = schedule.cron.spanned()?;
        let zone = match &schedule.time_zone {
            Slot::Broken(_) => return None,
            zone => zone.get().map_or("UTC", |zone| zone),
        };
        if cron.value.trim_start().starts_with("* ") {
            self.findings.warning(
                cron.at,
                "this asks for a new token every minute",
                "the first field is the minute: `0 * * * *` is once an hour",
            );
        }
        // Both may be wrong, and parsing tells one: a line that is right lets the zone be told.
        if let Err(CronMistake::Zone) = CronLine::parse("0 0 * * *", zone) {
            let at = schedule.time_zone.place().unwrap_or(cron.at);
            let zones: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let help = match nearest(zone, zones.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => "an IANA name is wanted, such as Europe/Berlin".to_owned(),
            };
            self.findings.mistake_with_help(at, "there is no such time zone", help);
        }
        match CronLine::parse(&cron.value, zone) {
            Ok(line) if line.next_after(jiff::Timestamp::UNIX_EPOCH).is_none() => {
                self.findings.mistake(cron.at, "this cron line never comes");
                None
            }
            Ok(line) => Some(line),
            Err(CronMistake::Zone) => None,
            Err(CronMistake::Line(why)) => {
                let help = "five fields: minute, hour, day of month, month, day of week, such as `0 3 * * *`";
                self.findings.mistake_with_help(cron.at, format!("this is no cron line: {why}"), help);
                None
            }
        }
    }

    /// Basic credentials do not expire, so nothing that counts from expiry applies.
    fn warn_of_unused_keys(&mut self, rotation: &RotationDocument) {
        const UNUSED: [&str; 5] = ["renewAt", "renewBefore", "jitter", "mintBudget", "schedule"];
        for (key, at) in rotation.written().into_iter().filter(|(key, _)| UNUSED.contains(key)) {
            let message = format!("`{key}` has no effect with a Basic issuer");
            self.findings.warning(
                at,
                message,
                "nothing expires; a change of the source is delivered when it is seen",
            );
        }
    }

    /// A token that is delivered over the credentials it was minted with ends both.
    fn refuse_circles(&mut self) {
        for (identity, source) in &self.kv_sources {
            if let Some(sink) = self.sinks.get(identity.as_str()) {
                let source = self.findings.name_place(*source);
                let message = format!("this path holds client credentials: it is the source at {source}");
                self.findings.mistake_with_help(*sink, message, "deliver to another path");
            }
        }
    }
}
