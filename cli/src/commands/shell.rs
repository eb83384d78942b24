//! `footman completions` and `footman man`: what a shell and `man` need to know, from the definition of the arguments.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::Cli;
use crate::outcome::Outcome;
use crate::stdout::print;

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "footman", &mut script);
    print(&script)?;
    Ok(Outcome::Done)
}

pub(crate) fn man(folder: &Path) -> Result<Outcome> {
    clap_mangen::generate_to(Cli::command(), folder)
        .with_context(|| format!("cannot write the manual pages into {}", folder.display()))?;
    Ok(Outcome::Done)
}
