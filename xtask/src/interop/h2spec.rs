//! h2spec: the server's HTTP/2 against the RFC's cases. Those that it fails are listed and explained in
//! `xtask/interop/h2spec.txt`; any other failure fails the task.
//!
//! h2spec's requests are no gRPC, and the refusal races with what h2spec sends next on that stream: whichever comes first, the case
//! passes or does not. So a case has failed when it fails in every run.

use super::workshop;
use crate::{
    command::{command, root, target},
    server::Server,
};
use anyhow::{Context as _, Result, ensure};
use std::{collections::BTreeSet, fs};

/// As many runs as a case may need to win its race.
const RUNS: usize = 20;

/// As many cases as must have run: without them, no failure means nothing.
const CASES: usize = 140;

pub(super) fn run() -> Result<()> {
    let list = fs::read_to_string(root().join("xtask/interop/h2spec.txt"))?;
    let explained = explained(&list);
    let server = Server::start("debug", &[])?;
    let (_, port) = server.address().rsplit_once(':').context("a port")?;
    let mut unexplained = failed(port)?;
    for _ in 1..RUNS {
        unexplained.retain(|case| !explained.contains(case));
        if unexplained.is_empty() {
            break;
        }
        let again = failed(port)?;
        unexplained.retain(|case| again.contains(case));
    }
    unexplained.retain(|case| !explained.contains(case));
    server.stop()?;
    ensure!(
        unexplained.is_empty(),
        "cases that fail in each of {RUNS} runs and are not explained: {unexplained:#?}"
    );
    Ok(())
}

/// Runs all the cases against the server at this port. Returns the names of those that failed.
fn failed(port: &str) -> Result<Vec<String>> {
    let report = target().join("interop/h2spec.xml");
    fs::create_dir_all(report.parent().expect("it lies in a folder"))?;
    let mut h2spec = command(workshop::go_tool("h2spec")?);
    h2spec
        .args(["--host", "127.0.0.1", "--port", port, "--timeout", "2"])
        .args(["--path", "/footman.v1.Broker/ProduceBatch"])
        .arg("--junit-report")
        .arg(&report);
    // It ends with 1 when a case fails; the report says which.
    h2spec.output().context("starting h2spec")?;

    let report = fs::read_to_string(&report).context("reading h2spec's report")?;
    let cases = cases(&report);
    ensure!(cases.len() >= CASES, "only {} cases ran", cases.len());
    let mut names = Vec::new();
    for case in &cases {
        if case.failed {
            println!("h2spec: failed: {}", case.name);
            names.push(case.name.clone());
        }
    }
    println!("h2spec: {} cases, {} failed", cases.len(), names.len());
    Ok(names)
}

/// One of h2spec's cases: its section and title.
struct Case {
    name: String,
    failed: bool,
}

/// The cases of a JUnit report as h2spec writes it: a case's elements begin on lines of their own.
fn cases(report: &str) -> Vec<Case> {
    report
        .split("<testcase ")
        .skip(1)
        .filter_map(|case| {
            let section = attribute(case, "package")?;
            let title = attribute(case, "classname")?;
            Some(Case {
                name: format!("{section} {title}").replace("&#34;", "\""),
                failed: case.contains("<error>") || case.contains("<failure>"),
            })
        })
        .collect()
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = element.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0)
}

/// The cases that are known to fail, each with a reason beside it.
fn explained(list: &str) -> BTreeSet<String> {
    let mut explained = BTreeSet::new();
    for paragraph in list.split("\n\n") {
        let lines = paragraph.lines().filter(|line| !line.starts_with('#'));
        let (why, case): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("why: "));
        if let ([case], false) = (&case[..], why.is_empty()) {
            explained.insert((*case).to_owned());
        }
    }
    explained
}
