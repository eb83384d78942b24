//! The tests as CI runs them, and each crate with every choice of features.

use crate::{
    command::{self, cargo},
    workspace,
};
use anyhow::Result;

/// Runs the workspace's tests.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test
  cargo xtask test --package footman-broker lapped
  cargo xtask test --each-feature")]
pub(crate) struct Flags {
    /// Only this crate's
    #[arg(long, short)]
    package: Option<String>,
    /// Also check that each crate builds with no features, each alone, and all
    #[arg(long)]
    each_feature: bool,
    /// Only tests whose names contain this
    filter: Option<String>,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut test = cargo();
    test.args(["test", "--locked"]);
    match &flags.package {
        Some(package) => test.args(["--package", package]),
        None => test.arg("--workspace"),
    };
    command::run(test.args(&flags.filter))?;
    if !flags.each_feature {
        return Ok(());
    }
    for package in workspace::published()? {
        if flags
            .package
            .as_ref()
            .is_some_and(|wanted| wanted != &package.name)
        {
            continue;
        }
        let each = package
            .features
            .keys()
            .filter(|feature| *feature != "default");
        let choices = std::iter::once(String::new()).chain(each.cloned());
        for features in choices {
            let mut check = cargo();
            check.args([
                "check",
                "--locked",
                "--package",
                &package.name,
                "--no-default-features",
            ]);
            command::run(check.args(["--features", &features]))?;
        }
        command::run(cargo().args([
            "check",
            "--locked",
            "--package",
            &package.name,
            "--all-features",
        ]))?;
    }
    Ok(())
}
