//! Real text to produce.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes real text of at least `lines` lines (Rust's own documentation and the sources of this build's
/// dependencies) to `path`; no line has a carriage return, none is longer than 64 KiB. Returns its lines.
pub(crate) fn write_corpus(path: &Path, lines: u64) -> u64 {
    let mut roots = Vec::new();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(home) =
        home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
    {
        roots.push(home.join("registry").join("src"));
    }
    if let Ok(rustc) = Command::new("rustc").args(["--print", "sysroot"]).output() {
        let sysroot = PathBuf::from(String::from_utf8_lossy(&rustc.stdout).trim());
        roots.push(sysroot.join("share").join("doc"));
        roots.push(sysroot.join("lib").join("rustlib").join("src"));
    }
    let mut files = Vec::new();
    for root in roots {
        collect_texts(&root, &mut files);
    }
    // A machine without any of these still has the sources of this workspace.
    collect_texts(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        &mut files,
    );
    let mut out =
        std::io::BufWriter::new(std::fs::File::create(path).expect("a file can be created"));
    let mut written = 0;
    while written < lines {
        let before = written;
        for file in &files {
            let Ok(text) = std::fs::read(file) else {
                continue;
            };
            if text.contains(&b'\r')
                || text
                    .split(|b| *b == b'\n')
                    .any(|line| line.len() > 64 * 1024)
            {
                continue;
            }
            out.write_all(&text).expect("the file takes it");
            written += text.iter().filter(|b| **b == b'\n').count() as u64;
            if text.last() != Some(&b'\n') {
                out.write_all(b"\n").expect("the file takes it");
                written += 1;
            }
            if written >= lines {
                break;
            }
        }
        assert!(written > before, "there is text to read");
    }
    out.flush().expect("the file takes it");
    written
}

fn collect_texts(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path
                .file_name()
                .is_none_or(|name| name != "target" && name != ".git")
            {
                collect_texts(&path, files);
            }
        } else if path
            .extension()
            .is_some_and(|e| e == "rs" || e == "md" || e == "html")
        {
            files.push(path);
        }
    }
}
