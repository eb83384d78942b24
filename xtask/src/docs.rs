//! The documentation: the crates' as docs.rs builds it, and the Markdown, whose links must lead somewhere.

use crate::command::{self, cargo, command, output, root};
use anyhow::{Context as _, Result, ensure};
use std::{fs, path::Path};

/// Builds the documentation with warnings denied, and checks the links between the Markdown files.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Example:
  cargo xtask docs --open")]
pub(crate) struct Flags {
    /// Show it in a browser
    #[arg(long)]
    open: bool,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    links()?;
    let mut doc = cargo();
    doc.args([
        "doc",
        "--workspace",
        "--exclude",
        "xtask",
        "--no-deps",
        "--all-features",
        "--locked",
    ]);
    if flags.open {
        doc.arg("--open");
    }
    command::run(doc.env("RUSTDOCFLAGS", "-Dwarnings"))
}

/// Fails unless every relative link of every Markdown file of the repository leads to a file or folder.
fn links() -> Result<()> {
    let files = output(command("git").args(["ls-files", "*.md"]))?;
    let (mut count, mut broken) = (0, Vec::new());
    for file in files.lines() {
        let path = root().join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {file}"))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for link in relative_links(&text) {
            count += 1;
            if !folder.join(link).exists() {
                broken.push(format!("{file}: {link}"));
            }
        }
    }
    ensure!(
        broken.is_empty(),
        "links that lead nowhere:\n  {}",
        broken.join("\n  ")
    );
    println!("{count} links between files hold");
    Ok(())
}

/// The targets of `[text](target)` outside of code that are no addresses, without what stands after `#`.
fn relative_links(markdown: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for after in line.split("](").skip(1) {
            let target = after.split([')', ' ']).next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            // Rustdoc resolves paths of items itself.
            if !file.is_empty() && !file.contains("://") && !file.contains("::") {
                links.push(file);
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found_and_addresses_and_code_left_alone() {
        let text = "a [b](c.md#d) and [e](https://f) [g](#h) ![i](j/k.png \"l\")\n```\n[m](n)\n```\n[o](../p)";
        assert_eq!(relative_links(text), ["c.md", "j/k.png", "../p"]);
    }

    #[test]
    fn every_link_of_this_repository_leads_somewhere() {
        links().expect("links hold");
    }
}
