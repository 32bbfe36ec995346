//! `keys`: the templates must compile, and may use only what there will be when they are rendered.

use std::collections::{BTreeMap, HashMap};

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context};

use super::issuers::IssuerKind;
use crate::config::document::RotationDocument;
use crate::config::findings::{Findings, Place};

/// Variables that a template may use where a token was minted.
const MINTED: [&str; 8] = [
    "access_token",
    "token_type",
    "authorization",
    "issued_at",
    "expires_at",
    "rotation",
    "claims",
    "response",
];
/// Variables that a template may use with a Basic issuer.
const BASIC: [&str; 4] = ["username", "password", "authorization", "rotation"];
/// Keys that every sink holds unless they are left out.
const MINTED_KEYS: [&str; 4] = ["access_token", "token_type", "authorization", "expires_at"];
const BASIC_KEYS: [&str; 3] = ["username", "password", "authorization"];

/// Checks templates; the same text is looked at once, for thousands of rotations may share it.
pub(super) struct Templates {
    environment: Environment<'static>,
    verdicts: HashMap<String, Verdict>,
}

/// What a template is like, whatever rotation uses it.
struct Verdict {
    wrong: Option<String>,
    /// Names of the variables that it uses, in order.
    uses: Vec<String>,
}

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = crate::render::engine();
        // The dry run has no claims and no response to offer, and minds only what would be wrong with any.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        Self { environment, verdicts: HashMap::new() }
    }

    pub(super) fn check(
        &mut self,
        rotation: &RotationDocument,
        kind: IssuerKind,
        findings: &mut Findings,
    ) -> BTreeMap<String, Option<String>> {
        let mut keys = BTreeMap::new();
        let Some(table) = rotation.keys.get() else { return keys };
        for (name, template) in &table.entries {
            if crate::render::RESERVED_KEYS.contains(&name.value.as_str()) {
                findings.mistake(
                    name.at,
                    format!("the key `{}` is reserved: Everbearer uses it itself", name.value),
                );
            }
            match &template.value.0 {
                Some(text) => self.check_template(text, template.at, kind, findings),
                None => check_left_out(&name.value, name.at, kind, findings),
            }
            keys.insert(name.value.clone(), template.value.0.as_ref().map(|text| text.to_string()));
        }
        let defaults: &[&str] = match kind {
            IssuerKind::OAuth2 => &MINTED_KEYS,
            IssuerKind::Basic => &BASIC_KEYS,
            IssuerKind::Unclear => return keys,
        };
        let left_out = |key: &&str| matches!(keys.get(*key), Some(None));
        if defaults.iter().all(left_out) && keys.values().all(Option::is_none) && table.broken.is_empty() {
            let at = rotation.keys.place().unwrap_or(rotation.at);
            findings.mistake(at, "every key is left out, so that nothing would be delivered");
        }
        keys
    }

    fn check_template(&mut self, text: &str, at: Place, kind: IssuerKind, findings: &mut Findings) {
        if !self.verdicts.contains_key(text) {
            let verdict = self.judge(text);
            self.verdicts.insert(text.to_owned(), verdict);
        }
        let Some(verdict) = self.verdicts.get(text) else { return };
        if let Some(message) = &verdict.wrong {
            findings.mistake(at, message.clone());
        }
        let both: Vec<&str> = MINTED.into_iter().chain(["username", "password"]).collect();
        let known: &[&str] = match kind {
            IssuerKind::OAuth2 => &MINTED,
            IssuerKind::Basic => &BASIC,
            IssuerKind::Unclear => &both,
        };
        for variable in verdict.uses.iter().filter(|variable| !known.contains(&variable.as_str())) {
            let message = if both.contains(&variable.as_str()) {
                format!("the template uses `{variable}`, which this kind of issuer does not give")
            } else {
                format!("the template uses `{variable}`, which does not exist")
            };
            match findings.suggest(variable, known.iter().copied()) {
                Some(help) => findings.mistake_with_help(at, message, help),
                None => findings.mistake(at, message),
            }
        }
    }

    fn judge(&self, text: &str) -> Verdict {
        let template = match self.environment.template_from_str(text) {
            Ok(template) => template,
            Err(error) => {
                return Verdict { wrong: Some(explain("this is not a template", &error)), uses: Vec::new() };
            }
        };
        let globals: Vec<&str> = self.environment.globals().map(|(name, _)| name).collect();
        let mut uses: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !globals.contains(&name.as_str()))
            .collect();
        uses.sort();
        let failed =
            template.render_captured_to(samples(), Bounded { left: 1 << 20 }).err().filter(|error| {
                use ErrorKind::{TemplateNotFound, UnknownFilter, UnknownTest};
                matches!(error.kind(), UnknownFilter | UnknownTest | TemplateNotFound)
            });
        Verdict { wrong: failed.map(|error| explain("the template cannot be rendered", &error)), uses }
    }
}

/// Kind and detail name words of the template's language, never a value.
fn explain(what: &str, error: &minijinja::Error) -> String {
    let line = error.line().map_or(String::new(), |line| format!(", line {line} of it"));
    let detail: String = error.detail().unwrap_or_default().chars().take(120).collect();
    let gap = if detail.is_empty() { "" } else { ": " };
    format!("{what}: {}{gap}{detail}{line}", error.kind())
}

fn samples() -> Value {
    let text = "sample";
    context! {
        access_token => text, token_type => text, authorization => text, rotation => text, username => text,
        password => text, issued_at => "2026-01-01T00:00:00Z", expires_at => "2026-01-01T01:00:00Z",
    }
}

fn check_left_out(name: &str, at: Place, kind: IssuerKind, findings: &mut Findings) {
    let defaults: &[&str] = match kind {
        IssuerKind::OAuth2 => &MINTED_KEYS,
        IssuerKind::Basic => &BASIC_KEYS,
        IssuerKind::Unclear => return,
    };
    if !defaults.contains(&name) {
        let message = format!("`{name}` is no default key, so that there is nothing to leave out");
        match findings.suggest(name, defaults.iter().copied()) {
            Some(help) => findings.mistake_with_help(at, message, help),
            None => findings.mistake(at, message),
        }
    }
}

/// Takes the dry run's output and ends it when there is too much.
struct Bounded {
    left: usize,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => self.left = left,
            None => return Err(std::io::Error::other("too much")),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
