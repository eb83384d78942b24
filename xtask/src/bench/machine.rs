//! What was measured on, and with which versions: without them a figure says nothing.

use crate::command::{command, output, root};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, sync::LazyLock};

/// The machine. What a report does not say is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    #[serde(default)]
    pub(crate) memory_gib: u64,
    pub(crate) os: String,
    pub(crate) arch: String,
}

impl Machine {
    /// The one that this runs on.
    pub(crate) fn this() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = field(&cpu, "model name");
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib =
            field(&memory, "MemTotal").and_then(|total| total.split(' ').next()?.parse().ok());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: model.unwrap_or("unknown").to_owned(),
            memory_gib: kib.map_or(0, |kib: u64| kib.div_ceil(1 << 20)),
            os: format!("{} {}", std::env::consts::OS, kernel.trim())
                .trim()
                .to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cores of {} ({})", self.cores, self.cpu, self.arch)?;
        if self.memory_gib > 0 {
            write!(f, ", {} GiB", self.memory_gib)?;
        }
        write!(f, ", {}", self.os)
    }
}

/// The value after `name:` in one of the system's tables.
fn field<'a>(table: &'a str, name: &str) -> Option<&'a str> {
    let line = table.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

/// The versions of what every figure depends on.
pub(crate) fn tools() -> BTreeMap<String, String> {
    let rustc = output(command("rustc").arg("--version")).unwrap_or_default();
    let rustc = rustc.trim().trim_start_matches("rustc ").to_owned();
    BTreeMap::from([
        ("footman".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("rustc".to_owned(), rustc),
    ])
}

/// Adds the version of the package that a contender is named by (`tokio broadcast`: tokio's), if there is one.
pub(crate) fn add_version_of(contender: &str, versions: &mut BTreeMap<String, String>) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut name = contender.split(|c| !is_name(c)).next().unwrap_or_default();
    loop {
        if let Some(version) = LOCKED.get(&name.replace('_', "-")) {
            versions.insert(name.to_owned(), version.clone());
            return;
        }
        match name.rsplit_once('-') {
            Some((shorter, _)) => name = shorter,
            None => return,
        }
    }
}

/// The packages of `Cargo.lock`, their names with hyphens; of several versions the last.
static LOCKED: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap_or_default();
    let mut packages = BTreeMap::new();
    let mut name = None;
    for line in lock.lines() {
        let quoted = |key: &str| {
            let value = line.strip_prefix(key)?.strip_prefix(" = \"")?;
            value.strip_suffix('"')
        };
        if let Some(found) = quoted("name") {
            name = Some(found.replace('_', "-"));
        } else if let Some(version) = quoted("version")
            && let Some(name) = name.take()
        {
            packages.insert(name, version.to_owned());
        }
    }
    packages
});
