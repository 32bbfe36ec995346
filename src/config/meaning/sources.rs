//! Sources: which two values make the credentials, by the kind of the issuer.

use std::ops::Deref;

use super::issuers::IssuerKind;
use crate::config::document::{SourceDocument, VaultSourceDocument};
use crate::config::findings::{Findings, Place};
use crate::config::shape::Slot;
use crate::config::spec::{SourceSpec, VaultSourceSpec};

pub(super) fn check(
    source: &SourceDocument,
    kind: IssuerKind,
    findings: &mut Findings,
) -> Option<SourceSpec> {
    match source {
        SourceDocument::Vault(vault) => check_vault(vault, kind, findings).map(SourceSpec::Vault),
        SourceDocument::Files(files) => {
            let slots = Slots {
                at: files.at,
                client: [("clientId", &files.client_id), ("clientSecret", &files.client_secret)],
                basic: [("username", &files.username), ("password", &files.password)],
            };
            let (id, secret) = slots.pick(kind, findings)?;
            Some(SourceSpec::Files { id: id.into(), secret: secret.into() })
        }
        SourceDocument::Env(env) => {
            let slots = Slots {
                at: env.at,
                client: [("clientId", &env.client_id), ("clientSecret", &env.client_secret)],
                basic: [("username", &env.username), ("password", &env.password)],
            };
            let (id, secret) = slots.pick(kind, findings)?;
            Some(SourceSpec::Env { id: id.to_owned(), secret: secret.to_owned() })
        }
    }
}

fn check_vault(
    vault: &VaultSourceDocument,
    kind: IssuerKind,
    findings: &mut Findings,
) -> Option<VaultSourceSpec> {
    let slots = Slots {
        at: vault.at,
        client: [("clientIdKey", &vault.client_id_key), ("clientSecretKey", &vault.client_secret_key)],
        basic: [("usernameKey", &vault.username_key), ("passwordKey", &vault.password_key)],
    };
    let fits = slots.refuse_unfit(kind, findings);
    let ([(_, id), (_, secret)], defaults) = match slots.kind(kind) {
        IssuerKind::Basic => (slots.basic, ["username", "password"]),
        IssuerKind::OAuth2 | IssuerKind::Unclear => (slots.client, ["client_id", "client_secret"]),
    };
    let id_key = id.get().map_or(defaults[0], Deref::deref);
    let secret_key = secret.get().map_or(defaults[1], Deref::deref);
    if id_key == secret_key {
        let at = secret.place().or(id.place()).unwrap_or(vault.at);
        let help = "id and secret would be equal, which is hardly meant";
        findings.warning(at, "both halves of the credentials come from one key", help);
    }
    warn_of_data(&vault.path, findings);
    Some(VaultSourceSpec {
        mount: mount(&vault.mount)?,
        path: vault.path.get()?.trim_matches('/').to_owned(),
        id_key: id_key.to_owned(),
        secret_key: secret_key.to_owned(),
    })
    .filter(|_| fits)
}

/// Without slashes at its ends; `secret` is where Vault mounts its first KV engine itself.
pub(super) fn mount<T: Deref<Target = str>>(mount: &Slot<T>) -> Option<String> {
    match mount {
        Slot::Absent => Some("secret".to_owned()),
        Slot::Broken(_) => None,
        Slot::Put(mount) => Some(mount.value.trim_matches('/').to_owned()),
    }
}

/// `vault kv` shows paths with the `data/` of the HTTP API, and people copy them.
pub(super) fn warn_of_data<T: Deref<Target = str>>(path: &Slot<T>, findings: &mut Findings) {
    if let Some(path) = path.spanned().filter(|path| path.value.trim_start_matches('/').starts_with("data/"))
    {
        findings.warning(
            path.at,
            "this path begins with `data/`",
            "the API's `data/` is added by us; leave it out unless a path is really called so",
        );
    }
}

/// The two pairs of keys that a source may have.
struct Slots<'d, T> {
    at: Place,
    client: [(&'static str, &'d Slot<T>); 2],
    basic: [(&'static str, &'d Slot<T>); 2],
}

impl<'d, T: Deref<Target = str>> Slots<'d, T> {
    /// What an unclear issuer was probably meant to be.
    fn kind(&self, kind: IssuerKind) -> IssuerKind {
        let written = |pair: &[(&str, &Slot<T>)]| pair.iter().any(|(_, slot)| !slot.is_absent());
        match kind {
            IssuerKind::Unclear if written(&self.basic) && !written(&self.client) => IssuerKind::Basic,
            IssuerKind::Unclear | IssuerKind::OAuth2 => IssuerKind::OAuth2,
            IssuerKind::Basic => IssuerKind::Basic,
        }
    }

    /// Reports keys that belong to the other kind of issuer.
    fn refuse_unfit(&self, kind: IssuerKind, findings: &mut Findings) -> bool {
        let (wanted, unfit, whose) = match kind {
            IssuerKind::Basic => (&self.basic, &self.client, "the issuer is of `type: basic`"),
            IssuerKind::OAuth2 => (&self.client, &self.basic, "the issuer is a token endpoint"),
            IssuerKind::Unclear => return true,
        };
        let mut fits = true;
        for (key, slot) in unfit {
            if let Some(at) = slot.place() {
                let help = format!("its keys are `{}` and `{}`", wanted[0].0, wanted[1].0);
                findings.mistake_with_help(at, format!("`{key}` does not fit, for {whose}"), help);
                fits = false;
            }
        }
        fits
    }

    fn pick(&self, kind: IssuerKind, findings: &mut Findings) -> Option<(&'d str, &'d str)> {
        let fits = self.refuse_unfit(kind, findings);
        let pair = match self.kind(kind) {
            IssuerKind::Basic => self.basic,
            IssuerKind::OAuth2 | IssuerKind::Unclear => self.client,
        };
        for (key, slot) in pair {
            // Where the other pair stands in its place, that has been said.
            if slot.is_absent() && fits {
                findings.mistake(self.at, format!("{key} is missing"));
            }
        }
        let [(_, id), (secret_key, secret)] = pair;
        let (id, secret_at, secret) = (id.get()?, secret.place()?, secret.get()?);
        if **id == **secret {
            let message = format!("`{secret_key}` names the same as `{}`", pair[0].0);
            findings.warning(secret_at, message, "id and secret would be equal, which is hardly meant");
        }
        Some((id, secret))
    }
}
