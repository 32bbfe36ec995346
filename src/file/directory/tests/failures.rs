//! A failure or a crash at any step leaves the delivered token where it is.

use std::os::unix::fs::symlink;

use super::*;
use crate::file::testing::without_rights;

#[tokio::test]
async fn what_a_crash_leaves_behind_is_invisible_and_cleaned_up_by_the_next_delivery() {
    type Crash = fn(&Path);
    let crashes: [(&str, Crash); 6] = [
        ("after an empty new folder", |p| fs::create_dir(p.join("..g2_0123456789abcdef")).unwrap()),
        ("in the middle of a new folder", |p| {
            fs::create_dir(p.join("..g2_0123456789abcdef")).unwrap();
            fs::write(p.join("..g2_0123456789abcdef/access_token"), "hal").unwrap();
        }),
        ("before a key's link is renamed", |p| symlink("..data/new", p.join("..link_tmp")).unwrap()),
        ("after a new key's link", |p| symlink("..data/new", p.join("new")).unwrap()),
        ("before the swap", |p| symlink("..g2_0123456789abcdef", p.join("..data_tmp")).unwrap()),
        ("in a probe", |p| {
            fs::create_dir(p.join("..probe_0123456789abcdef")).unwrap();
            fs::write(p.join("..probe_0123456789abcdef/probe"), [0; 100]).unwrap();
        }),
    ];
    for (case, crash) in crashes {
        for delivered_before in [true, false] {
            let folder = TempDir::new().unwrap();
            let sink = sink(folder.path());
            if delivered_before {
                deliver(&sink, 1, &token("one")).await.unwrap();
            }
            crash(folder.path());
            let seen = sink.observe().await.expect(case);
            let content = seen.found.map(|found| found.content);
            assert_eq!(content, delivered_before.then(|| token("one")), "{case}");

            let handle = sink.deliver(&seen.handle, &token("two"), &receipt(2)).await.expect(case);
            let mut expected = vec![handle.to_string()];
            expected.extend(delivered_before.then(|| seen.handle.to_string()));
            expected.sort();
            assert_eq!(hidden(folder.path()), expected, "{case}");
            assert!(!everything(folder.path()).contains_key("new"), "{case}");
            assert_eq!(sink.observe().await.unwrap().found.unwrap().content, token("two"), "{case}");
        }
    }
}

#[tokio::test]
async fn a_delivery_that_fails_half_way_leaves_the_old_one_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let sink = sink(folder.path());
    deliver(&sink, 1, &token("one")).await.unwrap();
    let before = everything(folder.path());
    let long = "x".repeat(300);
    // In byte order `access_token` is written before the name that no file system takes.
    let error =
        deliver(&sink, 2, &content(&[("access_token", "canary"), (&long, "canary")])).await.unwrap_err();
    assert_eq!(error.code(), "sink_unfit");
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert_eq!(everything(folder.path()), before);
}

#[tokio::test]
async fn contents_that_could_not_be_read_again_are_not_written() {
    let folder = TempDir::new().unwrap();
    let sink = sink(folder.path());
    let large = "x".repeat(LARGEST_FILE + 1);
    let half = "x".repeat(LARGEST_FILE);
    let many: Vec<(String, SecretText)> =
        (0..=MOST_FILES).map(|n| (n.to_string(), SecretText::new(""))).collect();
    for (case, content, code) in [
        ("a large value", content(&[("k", &large)]), "sink_too_large"),
        (
            "large values",
            content(&[("a", &half), ("b", &half), ("c", &half), ("d", &half)]),
            "sink_too_large",
        ),
        ("many keys", Content::new(many), "sink_unfit"),
        ("a path", content(&[("a/b", "x")]), "sink_unfit"),
        ("a way out", content(&[("..", "x")]), "sink_unfit"),
        ("a link of ours", content(&[("..data", "x")]), "sink_unfit"),
        ("our receipt", content(&[(RECEIPT, "x")]), "sink_unfit"),
        ("our lock", content(&[(LOCK, "x")]), "sink_unfit"),
        ("no name", content(&[("", "x")]), "sink_unfit"),
    ] {
        let error = deliver(&sink, 1, &content).await.expect_err(case);
        assert_eq!(error.code(), code, "{case}: {error}");
        assert_eq!(everything(folder.path()), BTreeMap::new(), "{case}");
    }
}

#[tokio::test]
async fn a_folder_that_we_may_not_write_is_named_and_nothing_is_harmed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let before_rights = sink(path);
    deliver(&before_rights, 1, &token("one")).await.unwrap();
    let before = everything(path);
    fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    let below = path.join("below/voice");
    for (case, path) in [("the folder itself", path), ("one that cannot be created", &below)] {
        let sink = sink(path);
        without_rights(|| async {
            let seen = sink.observe().await.unwrap();
            let (token, receipt) = (token("canary"), receipt(2));
            for error in [
                sink.probe(&seen.handle).await.expect_err(case),
                sink.deliver(&seen.handle, &token, &receipt).await.expect_err(case),
            ] {
                let text = error.to_string();
                assert_eq!(error.code(), "sink_forbidden", "{case}: {text}");
                assert!(text.contains("Let user") && !text.contains("canary"), "{case}: {text}");
            }
        });
        assert_eq!(everything(folder.path()), before, "{case}");
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn an_owner_that_we_may_not_give_files_to_shows_before_a_token_is_minted() {
    let folder = TempDir::new().unwrap();
    let spec = DirectorySpec { owner: Some(1234), ..spec(folder.path()) };
    let sink = DirectorySink::new("everbearer".into(), RotationName::parse("voice").unwrap(), &spec);
    let error = without_rights(|| async {
        let seen = sink.observe().await.unwrap();
        sink.probe(&seen.handle).await.unwrap_err()
    });
    assert_eq!(error.code(), "sink_forbidden");
    assert!(error.to_string().contains("`owner` and `group` need root"), "{error}");
    assert_eq!(everything(folder.path()), BTreeMap::new(), "a probe leaves nothing");
}

#[tokio::test]
async fn a_probe_of_a_sound_folder_leaves_it_as_it_was() {
    let folder = TempDir::new().unwrap();
    let sink = sink(folder.path());
    let handle = deliver(&sink, 1, &token("one")).await.unwrap();
    let before = everything(folder.path());
    sink.probe(&handle).await.unwrap();
    assert_eq!(everything(folder.path()), before);
}
