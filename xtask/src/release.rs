//! What a release needs: each crate complete, packed, and built alone from its package; the changelog written;
//! no public item gone that an older release had. Publishes only when all of that holds.

use crate::{
    command::{self, cargo, command, exists, output, root, target},
    workspace::{self, Package},
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{fs, path::Path, time::Instant};

/// Checks everything that a release needs, packs every crate, and publishes them in order.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release --dry-run
  cargo xtask release --dry-run --package footman-broker")]
pub(crate) struct Flags {
    /// Check and pack, publish nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Build only this crate from its package
    #[arg(long, short)]
    package: Option<String>,
}

/// What each package holds beside its sources.
const FILES: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];

pub(crate) fn run(flags: &Flags) -> Result<()> {
    let packages = workspace::published()?;
    if let Some(wanted) = &flags.package {
        let is_there = packages.iter().any(|package| &package.name == wanted);
        ensure!(is_there, "no crate that is published is called {wanted}");
    }
    let version = &packages[0].version;
    println!("{} crates of version {version}", packages.len());
    for package in &packages {
        is_complete(package).with_context(|| format!("{} is not complete", package.name))?;
    }
    changelog(version, flags.dry_run)?;
    semver()?;
    pack(&packages)?;
    build_each_alone(&packages, flags.package.as_deref())?;
    if flags.dry_run {
        println!("\nrelease: all holds, nothing is published");
        return Ok(());
    }
    let changes = output(command("git").args(["status", "--porcelain"]))?;
    ensure!(
        changes.is_empty(),
        "there are changes that are not committed:\n{changes}"
    );
    for package in &packages {
        command::run(cargo().args(["publish", "--locked", "--package", &package.name]))?;
    }
    Ok(())
}

/// Whether a crate says all that its page on the registry shows, and holds what its licence asks for.
fn is_complete(package: &Package) -> Result<()> {
    ensure!(
        package
            .description
            .as_ref()
            .is_some_and(|text| !text.is_empty()),
        "it has no description"
    );
    ensure!(
        package.license.as_deref() == Some("MIT OR Apache-2.0"),
        "its licence is {:?}",
        package.license
    );
    ensure!(package.readme.is_some(), "it names no README");
    ensure!(package.rust_version.is_some(), "it names no Rust version");
    ensure!(
        (1..=5).contains(&package.keywords.len()),
        "it has {} keywords",
        package.keywords.len()
    );
    ensure!(
        (1..=5).contains(&package.categories.len()),
        "it has {} categories",
        package.categories.len()
    );
    for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let read = |folder: &Path| {
            let path = folder.join(file);
            fs::read(&path).with_context(|| format!("reading {}", path.display()))
        };
        ensure!(
            read(package.folder())? == read(&root())?,
            "{file} is not the workspace's"
        );
    }
    println!("{}: complete", package.name);
    Ok(())
}

/// A dry run is content with changes that wait for their version; a release wants them under it.
fn changelog(version: &str, dry_run: bool) -> Result<()> {
    let text = fs::read_to_string(root().join("CHANGELOG.md"))?;
    let heading = if section(&text, version).is_some() || !dry_run {
        version
    } else {
        "Unreleased"
    };
    match section(&text, heading) {
        Some(lines) if lines > 0 => {
            println!("CHANGELOG.md: {lines} changes under {heading}");
            Ok(())
        }
        Some(_) => bail!("CHANGELOG.md has nothing under {heading}"),
        None => bail!("CHANGELOG.md has no section {heading}"),
    }
}

/// How many changes stand under `## heading`, with or without a date after it.
fn section(changelog: &str, heading: &str) -> Option<usize> {
    let is_heading = |line: &str| {
        let rest = line
            .strip_prefix("## ")
            .and_then(|rest| rest.strip_prefix(heading));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let mut lines = changelog.lines().skip_while(|line| !is_heading(line));
    lines.next()?;
    let own = lines.take_while(|line| !line.starts_with("## "));
    Some(own.filter(|line| line.starts_with("- ")).count())
}

/// Compares the public items with those of the last release, where there is one.
fn semver() -> Result<()> {
    let mut describe = command("git");
    describe.args(["describe", "--tags", "--abbrev=0", "--match", "v*"]);
    let described = describe.output().context("git could not be started")?;
    if !described.status.success() {
        println!("semver: no release yet to compare with");
        return Ok(());
    }
    let tag = String::from_utf8(described.stdout)?;
    ensure!(
        exists("cargo-semver-checks"),
        "install cargo-semver-checks to compare with {}",
        tag.trim()
    );
    command::run(cargo().args(["semver-checks", "--workspace", "--baseline-rev", tag.trim()]))
}

/// Packs every crate. Verified below, alone and outside of the workspace.
fn pack(packages: &[Package]) -> Result<()> {
    let mut pack = cargo();
    pack.args(["package", "--no-verify", "--locked", "--allow-dirty"]);
    for package in packages {
        pack.args(["--package", &package.name]);
    }
    command::run(&mut pack)
}

/// Unpacks the packages into a scratch folder, and checks each there with all its features and with none; what
/// they need of one another comes from there too.
fn build_each_alone(packages: &[Package], only: Option<&str>) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let mut patches = Vec::new();
    for package in packages {
        let name = format!("{}-{}", package.name, package.version);
        let packed = target().join("package").join(format!("{name}.crate"));
        let bytes = fs::metadata(&packed)
            .with_context(|| format!("{} was not packed", package.name))?
            .len();
        let mut unpack = command("tar");
        unpack
            .arg("-xzf")
            .arg(&packed)
            .arg("-C")
            .arg(scratch.path());
        output(&mut unpack)?;
        let folder = scratch.path().join(&name);
        for file in FILES {
            ensure!(
                folder.join(file).is_file(),
                "the package of {} has no {file}",
                package.name
            );
        }
        println!("{}: packed, {} KiB", package.name, bytes.div_ceil(1024));
        patches.push(format!("patch.crates-io.{}.path={folder:?}", package.name));
    }
    for package in packages {
        if only.is_some_and(|only| only != package.name) {
            continue;
        }
        let began = Instant::now();
        let folder = scratch
            .path()
            .join(format!("{}-{}", package.name, package.version));
        for features in ["--all-features", "--no-default-features"] {
            let mut check = cargo();
            check
                .current_dir(&folder)
                .args(["check", "--quiet", features]);
            // A package's own lock file, if it has one, does not know the neighbours that it gets here.
            fs::remove_file(folder.join("Cargo.lock")).ok();
            fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
            check
                .arg("--target-dir")
                .arg(target().join("release-check"));
            for patch in patches
                .iter()
                .filter(|patch| !patch.contains(&format!(".{}.path", package.name)))
            {
                check.args(["--config", patch]);
            }
            command::run(&mut check)
                .with_context(|| format!("{} does not build alone", package.name))?;
        }
        println!(
            "{}: builds alone from its package, in {:.0?}",
            package.name,
            began.elapsed()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_counted_under_their_own_heading() {
        let changelog = "# Changelog\n\n## Unreleased\n\n### Added\n\n- a\n- b\n  more of b\n\n## 0.1.0 (2026-01-31)\n- c\n";
        assert_eq!(section(changelog, "Unreleased"), Some(2));
        assert_eq!(section(changelog, "0.1.0"), Some(1));
        assert_eq!(section(changelog, "0.1"), None);
    }

    #[test]
    fn crates_come_after_those_that_they_need() {
        let packages = workspace::published().expect("the workspace is sound");
        let place = |name: &str| packages.iter().position(|package| package.name == name);
        let order = [
            "ringbuf-core",
            "footman-batcher",
            "footman-broker",
            "footman-broker-grpc",
            "footman",
        ];
        let places: Vec<_> = order
            .iter()
            .map(|name| place(name).expect("it is published"))
            .collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(place("xtask").is_none());
        for package in &packages {
            is_complete(package).unwrap_or_else(|error| panic!("{}: {error:#}", package.name));
        }
    }
}
