//! Help, completions and manual pages come from one definition, and say what a user needs.
#![cfg(unix)]

mod support;

use support::{Process, footman};

fn run(arguments: &[&str]) -> support::Finished {
    Process::follow(footman().args(arguments)).finish()
}

#[test]
fn help_says_how_with_examples_and_exit_codes() {
    let help = run(&["--help"]).expect_code(0).stdout.join("\n");
    for part in [
        "serve",
        "produce",
        "consume",
        "topics",
        "demo",
        "Exit codes",
        "FOOTMAN_SERVER",
    ] {
        assert!(help.contains(part), "{part} in {help}");
    }
    for command in [
        "serve",
        "produce",
        "consume",
        "topics create",
        "topics list",
        "topics describe",
        "topics update",
        "topics offsets",
        "topics delete",
        "topics purge",
        "topics pause",
        "topics resume",
        "topics last",
        "top",
        "bench produce",
        "bench subscribe",
        "bench latency",
        "info",
        "demo",
        "completions",
        "man",
    ] {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let help = run(&words).expect_code(0).stdout.join("\n");
        let (_, examples) = help.split_once("Example").expect(command);
        assert!(examples.contains(&format!("footman {command}")), "{help}");
    }
    assert!(run(&["--version"]).expect_code(0).stdout[0].contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["frobnicate"][..],
        &["consume"],
        &["consume", "t", "--from", "soon"],
        &["serve", "--nope"],
        &[],
    ] {
        let finished = run(arguments).expect_code(2);
        assert!(finished.stdout.is_empty() && !finished.stderr.is_empty());
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell])
            .expect_code(0)
            .stdout
            .join("\n");
        assert!(script.contains("no-follow"), "{shell}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    run(&["man", folder.path().to_str().expect("UTF-8")]).expect_code(0);
    let page = std::fs::read_to_string(folder.path().join("footman-consume.1"))
        .expect("a page for each command");
    assert!(page.contains("no\\-follow"), "{page}");
    run(&["man", "/no/such/folder"]).expect_failure(&["/no/such/folder"]);
}
