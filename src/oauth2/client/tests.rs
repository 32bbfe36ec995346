//! Hosts that are this machine, and files that hold no certificate.

use super::*;

#[test]
fn loopback_is_what_is_this_machine_for_certain() {
    let loopback = |text: &str| is_loopback(&Url::parse(text).unwrap());
    for text in
        ["127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "localhost", "LOCALHOST", "idp.localhost", "localhost."]
    {
        assert!(loopback(&format!("http://{text}/token")), "{text}");
    }
    for text in
        ["idp.example", "10.0.0.1", "0.0.0.0", "localhost.example", "127.0.0.1.example", "mylocalhost"]
    {
        assert!(!loopback(&format!("http://{text}/token")), "{text}");
    }
}

#[test]
fn a_ca_file_must_hold_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let problem = || certificates(&path).unwrap_err().to_string();
    assert!(problem().contains(&format!("caFile {}: entity not found", path.display())), "{}", problem());
    for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, content).unwrap();
        assert!(problem().contains("it holds no certificate in PEM form"), "{content}");
    }
}
