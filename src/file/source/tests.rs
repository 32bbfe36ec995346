//! Credentials from real files, good and bad.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::*;
use crate::file::testing::without_rights;
use crate::rotation::failure::Classify;

fn source(folder: &TempDir) -> FileSource {
    FileSource::new(folder.path().join("id"), folder.path().join("secret"))
}

fn folder(id: &[u8], secret: &[u8]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("id"), id).unwrap();
    fs::write(folder.path().join("secret"), secret).unwrap();
    folder
}

#[tokio::test]
async fn both_files_make_the_credentials_and_a_newline_at_the_end_is_none_of_them() {
    let folder = folder(b"jdoe\r\n", "%+/\":ä \n".as_bytes());
    let fetched = source(&folder).fetch().await.unwrap();
    assert_eq!(fetched.credentials.id.expose(), "jdoe");
    assert_eq!(fetched.credentials.secret.expose(), "%+/\":ä ");
    assert_eq!(fetched.warning, None, "files end in a newline as a rule");
}

#[tokio::test]
async fn the_version_changes_when_a_file_does() {
    let folder = folder(b"jdoe", b"one");
    let before = source(&folder).fetch().await.unwrap();
    assert_eq!(source(&folder).fetch().await.unwrap().version, before.version);
    fs::write(folder.path().join("secret"), "longer").unwrap();
    assert_ne!(source(&folder).fetch().await.unwrap().version, before.version);
}

#[tokio::test]
async fn a_bad_file_is_named_with_what_to_do_and_not_shown() {
    let long = b"canary".repeat(20_000);
    for (case, secret, code, says) in [
        ("empty", &b""[..], "source_unusable", "it is empty"),
        ("a newline alone", b"\n", "source_unusable", "it is empty"),
        ("not text", b"canary\xff", "source_unusable", "not UTF-8"),
        ("a NUL", b"canary\0", "source_unusable", "control character"),
        ("two lines", b"canary\ncanary\n", "source_unusable", "control character"),
        ("too large", &long, "source_unusable", "larger than 64 KiB"),
    ] {
        let folder = folder(b"jdoe", secret);
        let error = source(&folder).fetch().await.expect_err(case);
        let text = format!("{error} {error:?}");
        assert_eq!(error.code(), code, "{case}");
        assert!(text.contains(says) && text.contains("/secret"), "{case}: {text}");
        assert!(!text.contains("canary"), "{case}: {text}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_named_too() {
    let folder = folder(b"jdoe", b"x");
    let path = folder.path();
    rustix::fs::mkfifoat(CWD, path.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    symlink("nowhere", path.join("dangling")).unwrap();
    for (case, secret, code, says) in [
        ("nothing there", "none", "source_missing", "does not exist. Create it"),
        ("no folder there", "none/secret", "source_missing", "does not exist. Create it"),
        ("below a file", "id/secret", "source_missing", "does not exist. Create it"),
        ("a link to nowhere", "dangling", "source_missing", "does not exist. Create it"),
        ("a folder", ".", "source_unusable", "no regular file"),
        ("a pipe that nobody writes", "pipe", "source_unusable", "no regular file"),
    ] {
        let error = FileSource::new(path.join("id"), path.join(secret)).fetch().await.expect_err(case);
        assert_eq!(error.code(), code, "{case}: {error}");
        assert!(error.to_string().contains(says), "{case}: {error}");
    }
    let error = FileSource::new("no-such-file", path.join("id")).fetch().await.unwrap_err();
    assert!(error.to_string().contains("absolute path"), "a relative path may be meant otherwise: {error}");
}

#[test]
fn a_file_that_we_may_not_read_says_who_should_be_let_in() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder(b"jdoe", b"canary");
    fs::set_permissions(folder.path().join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let source = source(&folder);
    let error = without_rights(|| source.fetch()).unwrap_err();
    assert_eq!(error.code(), "source_forbidden");
    let user = rustix::process::geteuid().as_raw();
    assert!(error.to_string().contains(&format!("Let user {user}")), "{error}");
}

#[tokio::test]
async fn id_and_secret_are_of_one_generation_while_kubelet_swaps_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_owned();
    let swap = move |generation: u32| {
        let name = format!("..{generation}");
        fs::create_dir(path.join(&name)).unwrap();
        fs::write(path.join(&name).join("id"), format!("id-{generation}")).unwrap();
        fs::write(path.join(&name).join("secret"), format!("secret-{generation}")).unwrap();
        symlink(&name, path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        if let Some(previous) = generation.checked_sub(1) {
            fs::remove_dir_all(path.join(format!("..{previous}"))).unwrap();
        }
    };
    swap(0);
    for name in ["id", "secret"] {
        symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
    }
    let done = Arc::new(AtomicBool::new(false));
    let (source, seen_done) = (source(&folder), Arc::clone(&done));
    let swapping = std::thread::spawn(move || {
        for generation in 1..=2000 {
            swap(generation);
        }
        done.store(true, Ordering::SeqCst);
    });
    let mut fetched = 0;
    loop {
        let last = seen_done.load(Ordering::SeqCst);
        match source.fetch().await {
            Ok(Fetched { credentials, .. }) => {
                let (id, secret) = (credentials.id.expose(), credentials.secret.expose());
                assert_eq!(id.strip_prefix("id-").unwrap(), secret.strip_prefix("secret-").unwrap());
                fetched += 1;
            }
            // A folder that is swapped faster than it can be read; the next look succeeds.
            Err(error) => {
                assert!(["source_unreachable", "source_missing"].contains(&error.code()), "{error}");
            }
        }
        if last {
            break;
        }
    }
    swapping.join().unwrap();
    assert!(fetched > 0);
    assert_eq!(source.fetch().await.unwrap().credentials.id.expose(), "id-2000");
}
