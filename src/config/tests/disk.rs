//! Files and folders.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load_from(folder: &tempfile::TempDir, names: &[&str]) -> Result<Loaded, String> {
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
    let place = format!("{}/", folder.path().display());
    load(&paths, &|_| None).map_err(|mistakes| mistakes.to_string().replace(&place, ""))
}

#[test]
fn a_folder_is_its_yaml_files_by_name_without_hidden_ones() {
    let rotations = with_rotation("");
    let (issuers, rest) = rotations.split_at(rotations.find("rotations:").unwrap());
    let folder = folder(&[
        ("b.yml", rest),
        ("a.yaml", issuers),
        (".hidden.yaml", "nonsense"),
        ("notes.txt", "nonsense"),
        ("a.yaml~", "nonsense"),
    ]);
    // As kubelet mounts a ConfigMap.
    std::fs::create_dir(folder.path().join("..data")).unwrap();
    std::fs::create_dir(folder.path().join("sub.yaml")).unwrap();
    let loaded = load_from(&folder, &[""]).unwrap();
    assert_eq!(loaded.config.rotations.len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_with_what_is_wrong_elsewhere() {
    let folder = folder(&[("a.yaml", "colour: red")]);
    std::fs::write(folder.path().join("latin.yaml"), [b'a', 0xe4]).unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let huge = std::fs::File::create(folder.path().join("huge.yaml")).unwrap();
    huge.set_len(9 << 20).unwrap();
    let told =
        load_from(&folder, &["a.yaml", "missing.yaml", "latin.yaml", "empty", "huge.yaml"]).unwrap_err();
    let begins = [
        "missing.yaml: this file cannot be read: ",
        "latin.yaml: this file is not UTF-8 (byte 1)",
        "empty: this folder holds no *.yaml",
        "huge.yaml: this file is larger than 8 MiB",
        "a.yaml:1:1: colour: unknown key",
    ];
    let lines: Vec<&str> = told.lines().collect();
    for begin in begins {
        assert!(lines.iter().any(|line| line.starts_with(begin)), "{begin}\n{told}");
    }
    assert_eq!(lines.len(), begins.len(), "{told}");
    assert!(load(&[], &|_| None).unwrap_err().to_string().contains("no configuration is given"));
}
