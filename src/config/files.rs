//! Which files make up a configuration, and their text. The only part of the configuration that touches the disk.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// One file. A `ConfigMap` holds 1 MiB and 10,000 rotations are 2 MB, so this is none that was meant.
const LARGEST_FILE: u64 = 8 << 20;
/// All files together: their trees are in memory at one time.
const LARGEST_SUM: usize = 32 << 20;
const MOST_FILES: usize = 4096;

/// A file as it was read.
#[derive(Debug, Clone)]
pub struct File {
    pub name: PathBuf,
    pub text: String,
}

/// A file or folder that could not be read, and why.
pub(super) struct Unread {
    pub(super) name: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Reads the files and the folders' files in the order given. What could not be read goes to `unread`.
pub(super) fn read_all(paths: &[PathBuf], unread: &mut Vec<Unread>) -> Vec<File> {
    let mut files = Vec::new();
    let mut sum = 0;
    let expanded: Vec<PathBuf> = paths.iter().flat_map(|path| expand(path, unread)).collect();
    for path in expanded {
        let name = path.display().to_string();
        if files.len() >= MOST_FILES {
            blame(
                &name,
                format!("there are more than {MOST_FILES} files, and that is the limit"),
                None,
                unread,
            );
            break;
        }
        match read(&path) {
            Ok(text) => {
                sum += text.len();
                files.push(File { name: path, text });
            }
            Err((message, help)) => blame(&name, message, help, unread),
        }
        if sum > LARGEST_SUM {
            blame(
                &name,
                format!(
                    "the files are larger than {} MiB together, and that is the limit",
                    LARGEST_SUM >> 20
                ),
                None,
                unread,
            );
            break;
        }
    }
    files
}

/// A folder's `*.yaml`, `*.yml` and `*.json` files by name; a file as it is.
fn expand(path: &Path, unread: &mut Vec<Unread>) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let name = path.display().to_string();
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            blame(&name, format!("this folder cannot be read: {error}"), None, unread);
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| is_meant(path)).collect();
    files.sort();
    if files.is_empty() {
        blame(&name, "this folder holds no *.yaml, *.yml and *.json file".to_owned(), None, unread);
    }
    files
}

/// Names that begin with a dot are editors' and kubelet's (`..data`).
fn is_meant(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json");
    // A dangling link stays in the list, so that it is reported.
    !hidden && yaml && !path.is_dir()
}

fn read(path: &Path) -> Result<String, (String, Option<String>)> {
    let cannot = |error: std::io::Error| (format!("this file cannot be read: {error}"), None);
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(cannot)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > LARGEST_FILE {
        let help = "split it: --config may be given several times and may be a folder".to_owned();
        return Err((
            format!("this file is larger than {} MiB, and that is the limit", LARGEST_FILE >> 20),
            Some(help),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        (format!("this file is not UTF-8 (byte {})", error.utf8_error().valid_up_to()), None)
    })
}

fn blame(name: &str, message: String, help: Option<String>, unread: &mut Vec<Unread>) {
    unread.push(Unread { name: name.to_owned(), message, help });
}
