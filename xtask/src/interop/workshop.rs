//! Where the clients of other languages are made: a copy of their examples and of the proto under `target/`,
//! lying to each other as in the repository, so that what a README says is what runs, and no build leaves
//! anything in the source tree.

use crate::command::{self, command, exists, root, target};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// buf's own packages carry its program: a minute less than building it.
const BUF: &str = "@bufbuild/buf@1.75.0";

/// The proto's folder.
pub(crate) fn protos() -> PathBuf {
    root().join("broker-grpc/proto")
}

/// Copies a language's examples, and returns where they lie. What was built there before is kept.
pub(crate) fn examples(language: &str) -> Result<PathBuf> {
    let workshop = target().join("interop");
    copy(&protos(), &workshop.join("proto"))?;
    let folder = workshop.join("examples").join(language);
    copy(&root().join("broker-grpc/examples").join(language), &folder)?;
    Ok(folder)
}

/// A Go program that `xtask/interop/tools/go.mod` names, built where that has not been done.
pub(crate) fn go_tool(name: &str) -> Result<PathBuf> {
    let tools = target().join("tools/bin");
    let program = tools.join(name);
    if !program.exists() {
        need("go", "version")?;
        let mut install = command("go");
        install
            .args(["install", "tool"])
            .env("GOBIN", &tools)
            .current_dir(root().join("xtask/interop/tools"));
        command::run(&mut install)?;
    }
    Ok(program)
}

/// buf, from its package in npm's registry.
pub(crate) fn buf() -> Result<PathBuf> {
    if exists("buf") {
        return Ok("buf".into());
    }
    let folder = target().join("tools/buf");
    let program = folder.join("node_modules/.bin/buf");
    if !program.exists() {
        npm_install(&folder, &[BUF])?;
    }
    Ok(program)
}

/// Installs what `package.json` in the folder names, and these packages.
pub(crate) fn npm_install(folder: &Path, packages: &[&str]) -> Result<()> {
    need("npm", "--version")?;
    fs::create_dir_all(folder)?;
    let mut npm = command("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
        .args(["--loglevel", "error", "--prefix"])
        .arg(folder)
        .args(packages);
    command::run(&mut npm)
}

/// Fails with a word where a program is not installed.
pub(crate) fn need(program: &str, asks_its_version: &str) -> Result<()> {
    let found = Command::new(program).arg(asks_its_version).output();
    ensure!(
        found.is_ok_and(|output| output.status.success()),
        "{program} is needed, and not installed"
    );
    Ok(())
}

/// Copies what is in a folder.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let entries = fs::read_dir(from).with_context(|| format!("reading {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
