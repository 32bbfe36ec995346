//! The issuer for APIs without bearer tokens: username and password become a `Basic` header (RFC 7617).
//!
//! It sends no request and asks no clock: such a header does not end, and changes with its source only.

use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::ports::{Issuer, IssuerError};
use crate::rotation::{ClientCredentials, Material, MintedToken};

#[derive(Debug, Clone, Copy, Default)]
pub struct BasicIssuer;

impl Issuer for BasicIssuer {
    fn mint<'a>(
        &'a self,
        credentials: &'a ClientCredentials,
        _asked_at: Timestamp,
    ) -> BoxFuture<'a, Result<MintedToken, IssuerError>> {
        Box::pin(std::future::ready(render(credentials)))
    }

    fn accepts(&self, credentials: &ClientCredentials) -> Result<(), IssuerError> {
        render(credentials).map(|_| ())
    }
}

fn render(credentials: &ClientCredentials) -> Result<MintedToken, IssuerError> {
    let (username, password) = (credentials.id.expose(), credentials.secret.expose());
    if username.contains(':') {
        return Err(IssuerError::Unfit {
            why: "the username contains a colon, which ends it in a Basic header (RFC 7617 §2). \
                  Use another API user",
        });
    }
    if username.chars().chain(password.chars()).any(char::is_control) {
        return Err(IssuerError::Unfit {
            why: "the username or password contains a control character, which no Basic header may carry \
                  (RFC 7617 §2). Remove it from the source",
        });
    }
    let material = Material::Basic { username: credentials.id.clone(), password: credentials.secret.clone() };
    Ok(MintedToken { material, validity: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::failure::Classify;
    use crate::secret::SecretText;

    async fn mint(username: &str, password: &str) -> Result<MintedToken, IssuerError> {
        let credentials =
            ClientCredentials { id: SecretText::new(username), secret: SecretText::new(password) };
        BasicIssuer.mint(&credentials, Timestamp::UNIX_EPOCH).await
    }

    #[tokio::test]
    async fn username_and_password_are_passed_on_and_never_end() {
        let minted = mint("jdoe", "pä:ss\"word").await.unwrap();
        assert!(minted.validity.is_none());
        let Material::Basic { username, password } = minted.material else { panic!("not Basic") };
        assert_eq!((username.expose(), password.expose()), ("jdoe", "pä:ss\"word"));
    }

    #[tokio::test]
    async fn what_a_basic_header_cannot_carry_is_refused_without_being_shown() {
        for (case, username, password) in [
            ("a colon ends the username", "canary:jdoe", "p"),
            ("a line break in the password", "jdoe", "canary\nX-Admin: 1"),
            ("a NUL in the username", "canary\0", "p"),
            ("a C1 control in the password", "jdoe", "canary\u{85}"),
        ] {
            let error = mint(username, password).await.unwrap_err();
            assert_eq!(error.code(), "unfit_credentials", "{case}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{case}");
        }
    }
}
