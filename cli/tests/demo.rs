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
    assert!(
        accounts[3].contains("sleeper") && accounts[3].contains("lapped"),
        "{out:?}"
    );
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
