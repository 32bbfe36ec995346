//! Whom the client trusts. The server runs on a thread of its own, on rustls' blocking side.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::*;

pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(super) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Serves one connection with a certificate for `name`; returns the address and, at the end, whether a request came.
pub(super) fn serve_tls(authority: &Authority, name: &str) -> (String, JoinHandle<bool>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/token", listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        let (connection, _) = listener.accept().unwrap();
        let session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(session, connection);
        let mut request = Vec::new();
        while !request.ends_with(b"grant_type=client_credentials") {
            let mut buffer = [0; 1024];
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(read) => request.extend_from_slice(&buffer[..read]),
            }
        }
        stream.write_all(response("200 OK", "connection: close\r\n", TOKEN).as_bytes()).unwrap();
        true
    });
    (url, server)
}

pub(super) fn ca_file(folder: &Path, authority: &Authority) -> PathBuf {
    let path = folder.join("ca.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    path
}

fn trusting(url: &str, ca_file: PathBuf) -> OAuth2Spec {
    OAuth2Spec { ca_file: Some(ca_file), ..spec(url) }
}

fn assert_tls(result: Result<MintedToken, IssuerError>, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent { named: false }, "{error:?}");
    let shown = error.to_string();
    assert!(shown.starts_with("the TLS connection to the token endpoint failed"), "{shown}");
    assert!(shown.contains(words), "{shown}");
    assert!(!error.maybe_minted());
}

#[tokio::test]
async fn an_own_authority_is_trusted_by_ca_file() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority("own"));
    let (url, server) = serve_tls(&authority, "localhost");
    mint(&trusting(&url, ca_file(folder.path(), &authority))).await.unwrap();
    assert!(server.join().unwrap());
}

#[tokio::test]
async fn an_unknown_authority_gets_no_credentials() {
    let (folder, known, unknown) = (tempfile::tempdir().unwrap(), authority("known"), authority("unknown"));
    let (url, server) = serve_tls(&unknown, "localhost");
    assert_tls(mint(&trusting(&url, ca_file(folder.path(), &known))).await, "UnknownIssuer");
    assert!(!server.join().unwrap(), "no request arrived");
}

#[tokio::test]
async fn a_certificate_for_another_name_gets_no_credentials() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority("own"));
    let (url, server) = serve_tls(&authority, "other.example");
    assert_tls(mint(&trusting(&url, ca_file(folder.path(), &authority))).await, "other.example");
    assert!(!server.join().unwrap());
}

#[tokio::test]
async fn a_plain_server_behind_https_is_no_downgrade() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority("own"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/token", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _ = connection.write_all(response("400 Bad Request", "", "").as_bytes()).await;
        connection
    });
    assert_tls(mint(&trusting(&url, ca_file(folder.path(), &authority))).await, "");
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_ca_file_that_comes_late_is_found_by_the_next_request() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority("own"));
    let (url, server) = serve_tls(&authority, "localhost");
    let issuer = endpoint(&trusting(&url, folder.path().join("ca.pem")));
    let credentials = credentials("id", "secret");
    assert_tls(issuer.mint(&credentials, asked_at()).await, "ca.pem: entity not found");
    ca_file(folder.path(), &authority);
    issuer.mint(&credentials, asked_at()).await.unwrap();
    assert!(server.join().unwrap());
}
