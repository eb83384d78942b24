//! The README's first command does what it says.
#![cfg(unix)]

mod support;

use support::{Process, footman};

#[test]
fn the_demo_laps_its_sleeper_balances_its_books_and_says_what_is_next() {
    let mut command = footman();
    command.args(["demo", "--seconds", "2"]);
    let finished = Process::follow(&mut command).finish().expect_code(0);
    let out = finished.stdout;
    let accounts: Vec<&String> = out
        .iter()
        .filter(|line| line.contains("delivered + lost = acknowledged"))
        .collect();
    assert_eq!(accounts.len(), 4, "{out:?}");
    assert!(accounts[3].contains("sleeper"), "{out:?}");
    assert!(!accounts[3].contains(" 0×"), "it was lapped: {out:?}");
    let widest = out.iter().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "a terminal has 80 columns: {out:?}");
    assert!(out.iter().any(|line| line.contains("stopped")), "{out:?}");
    assert!(
        out.iter().any(|line| line.contains("footman serve")),
        "{out:?}"
    );
    assert_eq!(finished.stderr, [""; 0]);
}

#[test]
fn the_demo_needs_no_toolchain() {
    let mut command = footman();
    command.args(["demo", "--seconds", "1"]).env("PATH", "");
    let finished = Process::follow(&mut command).finish().expect_code(0);
    assert!(
        finished
            .stdout
            .iter()
            .any(|line| line.contains("its own sources")),
        "{:?}",
        finished.stdout
    );
}

#[test]
fn the_demo_ends_when_nobody_reads_it_any_more() {
    let mut shell = std::process::Command::new("sh");
    // So long that it does not end by itself.
    let line = r#"{ "$0" demo --seconds 100000; echo "code $?" >&2; } | head -n 1"#;
    shell.args(["-c", line]).arg(footman().get_program());
    let finished = Process::follow(&mut shell).finish().expect_code(0);
    assert_eq!(finished.stdout.len(), 1, "{finished:?}");
    assert_eq!(finished.stderr, ["code 0"]);
}
