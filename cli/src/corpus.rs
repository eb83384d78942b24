//! Real text for the demo: the Rust documentation of this machine, else the sources of this program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;

/// Text to read at most: enough that no cache holds it, little enough to be read in a moment.
const MAX_TEXT_BYTES: usize = 32 * 1024 * 1024;
/// A longer line is left out: it is a packed script, not text.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// Lines of text and where they are from.
#[derive(Debug)]
pub(crate) struct Corpus {
    /// At least one line.
    pub(crate) lines: Vec<Bytes>,
    /// For people, after "sends".
    pub(crate) origin: &'static str,
}

/// This program's own sources: there always is some text.
const EMBEDDED: [&str; 8] = [
    include_str!("args.rs"),
    include_str!("corpus.rs"),
    include_str!("input.rs"),
    include_str!("main.rs"),
    include_str!("output.rs"),
    include_str!("quantity.rs"),
    include_str!("source.rs"),
    include_str!("start.rs"),
];

/// Loads the best text there is.
pub(crate) fn load() -> Corpus {
    match documentation() {
        Some(text) => Corpus {
            lines: lines_of(&text),
            origin: "lines of the Rust documentation on this machine",
        },
        None => Corpus {
            lines: lines_of(&Bytes::from(EMBEDDED.concat())),
            origin: "lines of its own sources",
        },
    }
}

/// Pages of the toolchain's documentation, back to back; `None` if there is less than a megabyte of them.
fn documentation() -> Option<Bytes> {
    let rustc = Command::new("rustc")
        .args(["--print", "sysroot"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let sysroot = PathBuf::from(String::from_utf8(rustc.stdout).ok()?.trim());
    let mut text = Vec::new();
    let mut folders = vec![sysroot.join("share").join("doc").join("rust").join("html")];
    while let Some(folder) = folders.pop() {
        for path in sorted_entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "html")
                && let Ok(page) = fs::read(&path)
            {
                text.extend_from_slice(&page);
                if text.len() >= MAX_TEXT_BYTES {
                    return Some(text.into());
                }
            }
        }
    }
    (text.len() >= 1 << 20).then(|| text.into())
}

fn sorted_entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    paths
}

fn lines_of(text: &Bytes) -> Vec<Bytes> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| line.len() <= MAX_LINE_BYTES)
        .map(|line| text.slice_ref(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_text_even_without_a_toolchain() {
        let lines = lines_of(&Bytes::from(EMBEDDED.concat()));
        assert!(lines.len() > 500);
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with(b"//! Real text for the demo"))
        );
    }
}
