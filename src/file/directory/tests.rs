//! Deliveries into real folders: what readers see, what is left alone, and what a failure leaves behind.

mod failures;
mod foreign;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::SignedDuration;
use rustix::fs::{CWD, OFlags};
use tempfile::TempDir;

use super::looking::open_folder;
use super::*;
use crate::file::reading::Opened;
use crate::ports::Found;
use crate::rotation::failure::Classify;
use crate::rotation::receipt::SpecDigest;
use crate::rotation::{UnitInterval, Validity};
use crate::secret::SecretText;

fn spec(path: &Path) -> DirectorySpec {
    DirectorySpec { path: path.to_owned(), mode: 0o440, owner: None, group: None }
}

fn sink(path: &Path) -> DirectorySink {
    DirectorySink::new("everbearer".into(), RotationName::parse("voice").unwrap(), &spec(path))
}

fn receipt(generation: u64) -> Receipt {
    let issued_at = "2026-11-24T12:00:00Z".parse().unwrap();
    Receipt {
        installation: "everbearer".into(),
        rotation: RotationName::parse("voice").unwrap(),
        generation,
        validity: Validity::new(issued_at, SignedDuration::from_hours(1)),
        jitter: UnitInterval::ZERO,
        spec: SpecDigest::of([]),
        render: SpecDigest::of([]),
        credentials: None,
        source_version: None,
        handled_request: None,
        mac: None,
    }
}

fn content(pairs: &[(&str, &str)]) -> Content {
    Content::new(pairs.iter().map(|(key, value)| (*key, SecretText::new(*value))))
}

fn token(text: &str) -> Content {
    content(&[("access_token", text), ("expires_at", "2026-11-24T13:00:00Z")])
}

async fn deliver(sink: &DirectorySink, generation: u64, content: &Content) -> Result<Handle, SinkError> {
    let seen = sink.observe().await?;
    sink.deliver(&seen.handle, content, &receipt(generation)).await
}

/// Every entry below `path`: a folder's name, a link with its target, a file with its text.
fn everything(path: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            all.insert(name, format!("-> {}", fs::read_link(entry.path()).unwrap().display()));
        } else if kind.is_dir() {
            let inside = everything(&entry.path());
            all.extend(inside.into_iter().map(|(below, what)| (format!("{name}/{below}"), what)));
            all.insert(name, "folder".into());
        } else {
            all.insert(name, String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned());
        }
    }
    all
}

/// Names of folders and of what a crash may leave, `..data` itself and the lock apart.
fn hidden(path: &Path) -> Vec<String> {
    let names = everything(path).into_keys().filter(|n| n.starts_with("..") && n != DATA && !n.contains('/'));
    names.collect()
}

#[tokio::test]
async fn the_first_delivery_creates_the_folder_and_the_next_observation_finds_it() {
    let above = TempDir::new().unwrap();
    let path = above.path().join("run/voice");
    let sink = sink(&path);
    let empty = sink.observe().await.unwrap();
    assert_eq!(empty.handle, Handle::new(""));
    assert!(empty.found.is_none() && !path.exists(), "looking creates nothing");
    sink.probe(&empty.handle).await.unwrap();
    assert!(!path.exists(), "nor does probing");

    let handle = sink.deliver(&empty.handle, &token("abc"), &receipt(7)).await.unwrap();
    assert_eq!(fs::read_to_string(path.join("access_token")).unwrap(), "abc");
    assert_eq!(fs::read_link(path.join("access_token")).unwrap(), Path::new("..data/access_token"));
    assert!(handle.0.starts_with("..g7_"), "{handle}");

    let seen = sink.observe().await.unwrap();
    assert_eq!(seen.handle, handle);
    let Some(Found { receipt: Some(found), content }) = seen.found else { panic!("nothing found") };
    assert_eq!((found, content), (receipt(7), token("abc")));
}

#[tokio::test]
async fn a_delivery_replaces_keys_and_keeps_one_folder_for_readers_that_are_late() {
    let folder = TempDir::new().unwrap();
    let sink = sink(folder.path());
    let first = deliver(&sink, 1, &content(&[("access_token", "one"), ("old", "1")])).await.unwrap();
    let second = deliver(&sink, 2, &content(&[("access_token", "two"), (".netrc", "2")])).await.unwrap();
    let all = everything(folder.path());
    assert!(!all.contains_key("old"), "a key that is no longer delivered is gone");
    assert_eq!(all[".netrc"], "-> ..data/.netrc");
    assert_eq!(all[&format!("{first}/access_token")], "one");
    let third = deliver(&sink, 3, &token("three")).await.unwrap();
    assert_eq!(hidden(folder.path()), [second.to_string(), third.to_string()], "the first folder is gone");
    assert!(!everything(folder.path()).contains_key(".netrc"));
}

#[test]
fn whoever_opens_data_once_sees_one_token_with_its_own_expiry_and_receipt() {
    const DELIVERIES: u64 = 200;
    let folder = TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sink = sink(folder.path());
    let pair = |generation: u64| {
        content(&[("access_token", &format!("t{generation}")), ("expires_at", &format!("e{generation}"))])
    };
    runtime.block_on(deliver(&sink, 1, &pair(1))).unwrap();

    let done = AtomicBool::new(false);
    let read_once = || {
        let data = open_folder(CWD, folder.path().join(DATA), OFlags::empty()).ok()?;
        let read = |name: &str| {
            let file = Opened::open(&data, Path::new(name), OFlags::empty()).ok()?;
            String::from_utf8(file.read(LARGEST_FILE).ok()?.to_vec()).ok()
        };
        Some((read("access_token")?, read("expires_at")?, read(RECEIPT)?))
    };
    let reader = || {
        let (mut seen, mut too_late) = (std::collections::BTreeSet::new(), 0u64);
        while !done.load(Ordering::SeqCst) {
            // `None`: two deliveries went by between opening and reading, so that the folder is gone.
            let Some((token, expires_at, receipt)) = read_once() else {
                too_late += 1;
                continue;
            };
            let generation = Receipt::decode(&receipt).unwrap().generation;
            assert_eq!((token, expires_at), (format!("t{generation}"), format!("e{generation}")));
            seen.insert(generation);
        }
        (seen, too_late)
    };
    std::thread::scope(|scope| {
        let reader = scope.spawn(reader);
        for generation in 2..=DELIVERIES {
            runtime.block_on(deliver(&sink, generation, &pair(generation))).unwrap();
        }
        done.store(true, Ordering::SeqCst);
        let (seen, too_late) = reader.join().unwrap();
        assert!(seen.len() > 10, "{} generations seen, {too_late} times too late", seen.len());
    });
    assert_eq!(fs::read_to_string(folder.path().join("access_token")).unwrap(), format!("t{DELIVERIES}"));
}

#[tokio::test]
async fn a_write_that_names_another_state_is_a_conflict_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let sink = sink(folder.path());
    let first = deliver(&sink, 1, &token("one")).await.unwrap();
    deliver(&sink, 2, &token("two")).await.unwrap();
    let before = everything(folder.path());
    for (case, handle) in [("an earlier folder", first), ("an empty sink", Handle::new(""))] {
        let error = sink.deliver(&handle, &token("late"), &receipt(3)).await.unwrap_err();
        assert!(matches!(error, SinkError::Conflict), "{case}: {error}");
        assert!(matches!(sink.probe(&handle).await, Err(SinkError::Conflict)), "{case}");
        assert_eq!(everything(folder.path()), before, "{case}");
    }
}

#[tokio::test]
async fn another_writer_s_lock_is_a_conflict() {
    let folder = TempDir::new().unwrap();
    let sink = sink(folder.path());
    let handle = deliver(&sink, 1, &token("one")).await.unwrap();
    let lock = fs::File::open(folder.path().join(LOCK)).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let error = sink.deliver(&handle, &token("two"), &receipt(2)).await.unwrap_err();
    assert!(matches!(error, SinkError::Conflict), "{error}");
    drop(lock);
    sink.deliver(&handle, &token("two"), &receipt(2)).await.unwrap();
}

#[tokio::test]
async fn files_and_folders_get_the_configured_mode_and_owner() {
    // Only root may give files away; everybody may give them to themselves.
    let (me, mine) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (owner, group) = if me == 0 { (1234, 5678) } else { (me, mine) };
    for (mode, folder_mode) in [(0o440, 0o750), (0o400, 0o700), (0o444, 0o755), (0o640, 0o750)] {
        let folder = TempDir::new().unwrap();
        let spec = DirectorySpec { mode, owner: Some(owner), group: Some(group), ..spec(folder.path()) };
        let sink = DirectorySink::new("everbearer".into(), RotationName::parse("voice").unwrap(), &spec);
        deliver(&sink, 1, &token("one")).await.unwrap();
        deliver(&sink, 2, &token("two")).await.unwrap();
        for (name, expected) in
            [("access_token", mode), ("..data/.receipt.json", mode), ("..data/.", folder_mode)]
        {
            let seen = fs::metadata(folder.path().join(name)).unwrap();
            assert_eq!(seen.mode() & 0o7777, expected, "{name} of {mode:o}");
            assert_eq!((seen.uid(), seen.gid()), (owner, group), "{name}");
        }
    }
}

#[tokio::test]
async fn a_folder_that_we_create_is_open_to_consumers_whatever_our_umask_is() {
    let above = TempDir::new().unwrap();
    let path = above.path().join("voice");
    deliver(&sink(&path), 1, &token("one")).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o755);
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

fn replace(path: &Path, bytes: &[u8]) {
    remove(path);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn drift_shows_in_what_is_observed_and_the_next_delivery_repairs_it() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 6] = [
        ("a changed value", |p| replace(&p.join("..data/access_token"), b"canary")),
        ("a file removed from the current folder", |p| remove(&p.join("..data/access_token"))),
        ("a file too large to be ours", |p| {
            replace(&p.join("..data/access_token"), &vec![b'x'; LARGEST_FILE + 1]);
        }),
        ("a link removed", |p| remove(&p.join("access_token"))),
        ("a file in the place of a link", |p| replace(&p.join("access_token"), b"canary")),
        ("a link to elsewhere", |p| {
            remove(&p.join("access_token"));
            std::os::unix::fs::symlink("/etc/hostname", p.join("access_token")).unwrap();
        }),
    ];
    for (case, harm) in harms {
        let folder = TempDir::new().unwrap();
        let sink = sink(folder.path());
        deliver(&sink, 1, &token("one")).await.unwrap();
        harm(folder.path());
        let seen = sink.observe().await.unwrap();
        assert!(seen.found.unwrap().content != token("one"), "{case}");
        sink.deliver(&seen.handle, &token("two"), &receipt(2)).await.unwrap();
        assert_eq!(sink.observe().await.unwrap().found.unwrap().content, token("two"), "{case}");
        assert_eq!(fs::read_to_string(folder.path().join("access_token")).unwrap(), "two", "{case}");
    }
}

#[tokio::test]
async fn a_vanished_folder_is_delivered_again() {
    let folder = TempDir::new().unwrap();
    let sink = sink(folder.path());
    let handle = deliver(&sink, 1, &token("one")).await.unwrap();
    fs::remove_dir_all(folder.path().join(&*handle.0)).unwrap();
    let seen = sink.observe().await.unwrap();
    assert_eq!(seen.handle, handle);
    assert!(seen.found.is_none());
    sink.deliver(&seen.handle, &token("two"), &receipt(2)).await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("access_token")).unwrap(), "two");
}
