//! Client credentials from environment variables, for a first try and for containers of one rotation.
//!
//! The environment of a process does not change, so neither does what this source yields: rotated credentials need
//! a restart. It also shows in `/proc/PID/environ`; files or Vault are better homes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use futures::future::BoxFuture;
use zeroize::Zeroizing;

use crate::credential::{self, NEWLINE_TRIMMED, Parsed};
use crate::ports::{Fetched, Source, SourceError};
use crate::rotation::{ClientCredentials, SourceVersion};

pub struct EnvSource {
    id: String,
    secret: String,
    lookup: fn(&str) -> Option<OsString>,
}

impl EnvSource {
    /// The names of the variables that hold the client id and the client secret.
    #[must_use]
    pub fn new(id_name: impl Into<String>, secret_name: impl Into<String>) -> Self {
        Self { id: id_name.into(), secret: secret_name.into(), lookup: |name| std::env::var_os(name) }
    }

    fn read(&self, name: &str) -> Result<Parsed, SourceError> {
        let at = || format!("the environment variable {name}");
        let Some(value) = (self.lookup)(name) else {
            let advice = "Set it for the Everbearer process, and start that again".to_owned();
            return Err(SourceError::Missing { at: at(), advice });
        };
        let bytes = Zeroizing::new(value.into_vec());
        credential::parse(&bytes).map_err(|why| SourceError::Unusable { at: at(), why: why.to_owned() })
    }

    fn read_both(&self) -> Result<Fetched, SourceError> {
        let (id, secret) = (self.read(&self.id)?, self.read(&self.secret)?);
        Ok(Fetched {
            credentials: ClientCredentials { id: id.text, secret: secret.text },
            version: SourceVersion("environment".into()),
            warning: (id.trimmed || secret.trimmed).then_some(NEWLINE_TRIMMED),
        })
    }
}

impl Source for EnvSource {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, SourceError>> {
        Box::pin(std::future::ready(self.read_both()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::failure::Classify;

    fn source(id: &str, secret: &str) -> EnvSource {
        let lookup = |name: &str| match name {
            "ID" => Some("jdoe".into()),
            "SECRET" => Some("s3cr%t".into()),
            "SECRET_LINE" => Some("s3cr%t\n".into()),
            "EMPTY" => Some(OsString::new()),
            "BINARY" => Some(OsString::from_vec(b"canary\xff".to_vec())),
            _ => None,
        };
        EnvSource { id: id.into(), secret: secret.into(), lookup }
    }

    #[tokio::test]
    async fn both_variables_make_the_credentials() {
        let fetched = source("ID", "SECRET").fetch().await.unwrap();
        assert_eq!(fetched.credentials.id.expose(), "jdoe");
        assert_eq!(fetched.credentials.secret.expose(), "s3cr%t");
        assert_eq!(fetched.warning, None);
    }

    #[tokio::test]
    async fn a_newline_at_the_end_is_trimmed_with_a_warning() {
        let fetched = source("ID", "SECRET_LINE").fetch().await.unwrap();
        assert_eq!(fetched.credentials.secret.expose(), "s3cr%t");
        assert_eq!(fetched.warning, Some(NEWLINE_TRIMMED));
    }

    #[tokio::test]
    async fn a_bad_variable_is_named_with_what_is_wrong() {
        for (case, secret, code, says) in [
            ("not set", "NONE", "source_missing", "the environment variable NONE does not exist. Set it"),
            ("set to nothing", "EMPTY", "source_unusable", "EMPTY holds nothing usable: it is empty"),
            ("not text", "BINARY", "source_unusable", "BINARY holds nothing usable: it is not UTF-8"),
        ] {
            let error = source("ID", secret).fetch().await.unwrap_err();
            assert_eq!(error.code(), code, "{case}");
            assert!(error.to_string().contains(says), "{case}: {error}");
            assert!(!format!("{error:?}").contains("canary"), "{case}");
        }
    }

    #[tokio::test]
    async fn the_real_environment_is_read_and_an_impossible_name_is_only_missing() {
        // Cargo sets the first for every test.
        let fetched = EnvSource::new("CARGO_PKG_NAME", "CARGO_PKG_NAME").fetch().await.unwrap();
        assert_eq!(fetched.credentials.id.expose(), "everbearer");
        for name in ["", "A=B", "A\0B"] {
            let error = EnvSource::new(name, "CARGO_PKG_NAME").fetch().await.unwrap_err();
            assert_eq!(error.code(), "source_missing", "{name:?}");
        }
    }
}
