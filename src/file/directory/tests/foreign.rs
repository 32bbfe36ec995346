//! Folders that are not ours are refused by every call, with a name of what is in them, and stay as they are.

use std::os::unix::fs::symlink;

use super::*;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A folder as kubelet or another rotation leaves it: `..data` leads to one with this receipt.
fn swapped(path: &Path, receipt: Option<&str>) {
    write(&path.join("..2026_11_24/access_token"), "theirs");
    if let Some(receipt) = receipt {
        write(&path.join("..2026_11_24/.receipt.json"), receipt);
    }
    symlink("..2026_11_24", path.join(DATA)).unwrap();
    symlink("..data/access_token", path.join("access_token")).unwrap();
}

#[tokio::test]
async fn a_folder_of_someone_else_is_refused_and_left_as_it_is() {
    type Make = fn(&Path);
    let foreign: [(&str, Make, &str); 12] = [
        ("a file", |p| write(&p.join("app.conf"), "x"), "it holds \"app.conf\""),
        ("a file of a key's name", |p| write(&p.join("access_token"), "x"), "it holds \"access_token\""),
        ("a folder", |p| write(&p.join("logs/today"), "x"), "it holds \"logs\""),
        ("a link to elsewhere", |p| symlink("/etc", p.join("etc")).unwrap(), "it holds \"etc\""),
        ("a link to another key", |p| symlink("..data/b", p.join("a")).unwrap(), "it holds \"a\""),
        ("a Secret that kubelet mounts", |p| swapped(p, None), "holds no receipt of ours"),
        ("an unreadable receipt", |p| swapped(p, Some("canary")), "the receipt in it cannot be read"),
        (
            "another rotation's",
            |p| swapped(p, Some(&receipt(1).encode().replace("voice", "fax"))),
            "rotation \"fax\"",
        ),
        (
            "another installation's",
            |p| swapped(p, Some(&receipt(1).encode().replace("everbearer", "prod"))),
            "installation \"prod\"",
        ),
        ("a folder named ..data", |p| fs::create_dir(p.join(DATA)).unwrap(), "`..data` is no link"),
        ("..data leads out", |p| symlink("../elsewhere", p.join(DATA)).unwrap(), "`..data` leads elsewhere"),
        (
            "..data leads to a file",
            |p| {
                write(&p.join("..x"), "");
                symlink("..x", p.join(DATA)).unwrap();
            },
            "leads to no folder",
        ),
    ];
    for (case, make, says) in foreign {
        let folder = TempDir::new().unwrap();
        make(folder.path());
        let before = everything(folder.path());
        let sink = sink(folder.path());
        let handle = Handle::new("");
        let (token, receipt) = (token("canary"), receipt(1));
        let errors = [
            sink.observe().await.expect_err(case),
            sink.probe(&handle).await.expect_err(case),
            sink.deliver(&handle, &token, &receipt).await.expect_err(case),
        ];
        for error in errors {
            let text = error.to_string();
            assert_eq!(error.code(), "sink_refused", "{case}: {text}");
            assert!(text.contains(says) && text.contains("empty this folder"), "{case}: {text}");
            assert!(!text.contains("canary"), "{case}: {text}");
        }
        assert_eq!(everything(folder.path()), before, "{case}");
    }
}

#[tokio::test]
async fn many_files_are_counted_and_not_all_named() {
    let folder = TempDir::new().unwrap();
    for number in 0..30 {
        write(&folder.path().join(format!("f{number:02}")), "");
    }
    let text = sink(folder.path()).observe().await.unwrap_err().to_string();
    assert!(text.contains(r#""f03", "f04", 25 more"#), "{text}");
}

#[tokio::test]
async fn what_lies_about_in_an_unused_folder_does_not_make_it_someone_s() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    write(&path.join(".gitkeep"), "");
    fs::create_dir(path.join("lost+found")).unwrap();
    symlink("..data/access_token", path.join("access_token")).unwrap();
    deliver(&sink(path), 1, &token("one")).await.unwrap();
    assert_eq!(fs::read_to_string(path.join("access_token")).unwrap(), "one");
    assert!(path.join(".gitkeep").exists() && path.join("lost+found").exists());
}

#[tokio::test]
async fn ours_by_a_receipt_of_a_later_format_is_drift_and_written_over() {
    let folder = TempDir::new().unwrap();
    let later = r#"{"version": 9, "installation": "everbearer", "rotation": "voice", "more": true}"#;
    swapped(folder.path(), Some(later));
    let sink = sink(folder.path());
    let seen = sink.observe().await.unwrap();
    assert!(seen.found.unwrap().receipt.is_none());
    sink.deliver(&seen.handle, &token("two"), &receipt(2)).await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("access_token")).unwrap(), "two");
    assert!(folder.path().join("..2026_11_24").exists(), "only folders of our naming are removed");
}

#[tokio::test]
async fn a_foreign_file_beside_a_delivery_stays_and_is_never_taken_for_a_key() {
    let folder = TempDir::new().unwrap();
    let sink = sink(folder.path());
    deliver(&sink, 1, &token("one")).await.unwrap();
    write(&folder.path().join("notes.txt"), "theirs");
    let seen = sink.observe().await.unwrap();
    assert_eq!(seen.found.unwrap().content, token("one"), "it is no part of the content");
    deliver(&sink, 2, &token("two")).await.unwrap();

    let before = everything(folder.path());
    let with_it = content(&[("access_token", "three"), ("notes.txt", "ours")]);
    let error = deliver(&sink, 3, &with_it).await.unwrap_err();
    assert!(error.to_string().contains("it holds \"notes.txt\", which we did not write"), "{error}");
    assert_eq!(everything(folder.path()), before);
}

#[tokio::test]
async fn a_link_to_a_folder_is_followed_and_one_to_nowhere_is_not() {
    let above = TempDir::new().unwrap();
    let path = above.path();
    fs::create_dir(path.join("real")).unwrap();
    symlink("real", path.join("link")).unwrap();
    symlink("none", path.join("dangling")).unwrap();
    write(&path.join("file"), "x");
    deliver(&sink(&path.join("link")), 1, &token("one")).await.unwrap();
    assert_eq!(fs::read_to_string(path.join("real/access_token")).unwrap(), "one");

    for (case, name, says) in [
        ("a link to nowhere", "dangling", "is a link that leads nowhere"),
        ("a file", "file", "is no folder"),
        ("below a file", "file/voice", "is no folder, or one above it is none"),
    ] {
        let sink = sink(&path.join(name));
        let handle = Handle::new("");
        let (token, receipt) = (token("canary"), receipt(1));
        for error in [
            sink.observe().await.expect_err(case),
            sink.probe(&handle).await.expect_err(case),
            sink.deliver(&handle, &token, &receipt).await.expect_err(case),
        ] {
            assert_eq!(error.code(), "sink_unfit", "{case}: {error}");
            assert!(error.to_string().contains(says), "{case}: {error}");
        }
        assert!(!path.join("none").exists());
    }
}
