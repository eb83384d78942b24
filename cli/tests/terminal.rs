//! `top` and progress as people see them: in a real terminal, driven by keys. Needs tmux, and says so where
//! there is none.
#![cfg(unix)]

mod support;

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use support::{PATIENCE, Process, Server};

/// A tmux server with one window, gone when dropped.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// Runs a shell line in a window of 110 by 24; `None` where there is no tmux.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn start(name: &str, server: &Server, line: &str) -> Option<Terminal> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("skipped: tmux is not installed");
            return None;
        }
        // A socket of its own each time: a tmux server that is told to end answers before it has let go of its
        // socket, and who comes to it then is told that the server exited.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let terminal = Terminal {
            socket: format!("footman-{name}-{}-{number}", std::process::id()),
        };
        let folder = std::path::Path::new(env!("CARGO_BIN_EXE_footman"));
        let folder = folder.parent().expect("a program lies in a folder");
        // The shell stays, so that what is left on the screen can be seen; keys are not, they would move it.
        let line = format!(
            "stty -echo; trap : INT; export FOOTMAN_SERVER={}; PATH='{}':\"$PATH\"; {line}; echo \"code $?\"; cat",
            server.address,
            folder.display()
        );
        let size = ["-x", "110", "-y", "24"];
        let new = ["-f", "/dev/null", "new-session", "-d", "-s", "test"];
        let started = terminal.tmux(&[&new[..], &size, &["sh", "-c", &line]].concat());
        assert!(started.status.success(), "{started:?}");
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &self.socket]).args(arguments);
        tmux.output().expect("tmux runs")
    }

    fn press(&self, key: &str) {
        assert!(
            self.tmux(&["send-keys", "-t", "test", key])
                .status
                .success()
        );
    }

    /// What is on the screen, with the escapes that colour it.
    fn colored_screen(&self) -> String {
        let captured = self.tmux(&["capture-pane", "-p", "-e", "-t", "test"]);
        String::from_utf8_lossy(&captured.stdout).into_owned()
    }

    fn screen(&self) -> String {
        let captured = self.tmux(&["capture-pane", "-p", "-t", "test"]);
        String::from_utf8_lossy(&captured.stdout).into_owned()
    }

    /// Looks until the screen is as wanted; what was on it then.
    #[track_caller]
    fn wait_until(&self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// The line of the screen that begins with `name`.
fn line<'a>(screen: &'a str, name: &str) -> Option<&'a str> {
    screen.lines().find(|line| line.starts_with(name))
}

#[test]
fn top_is_live_answers_to_keys_and_leaves_the_terminal_as_it_was() {
    let server = Server::start(&[]);
    server.produce_numbers("orders", 0..10);
    server.produce_numbers("audit", 0..5);
    let mut reader = Process::follow(&mut server.footman(&["consume", "orders"]));
    assert_eq!(reader.next_line().as_deref(), Some("0"));
    let top = "footman top --interval 100ms --sort name";
    let Some(terminal) = Terminal::start("top", &server, top) else {
        return;
    };
    let screen = terminal.wait_until("both topics", |screen| line(screen, "orders").is_some());
    let place = |name: &str| screen.lines().position(|line| line.starts_with(name));
    assert!(place("audit") < place("orders"), "by name:\n{screen}");
    assert!(screen.contains("nobody follows audit"), "{screen}");

    terminal.press("Down");
    terminal.wait_until("the subscription of the topic selected", |screen| {
        screen.contains("1 of orders") && line(screen, "footman consume").is_some()
    });
    let mut offset = 10;
    terminal.wait_until("a rate", |screen| {
        server.produce_numbers("orders", offset..offset + 100);
        offset += 100;
        line(screen, "orders").is_some_and(|line| !line.contains(" 0 /s"))
    });
    terminal.press("s");
    terminal.wait_until("the next order", |screen| screen.contains("sort: rate"));

    let resized = terminal.tmux(&["resize-window", "-t", "test", "-x", "30", "-y", "4"]);
    assert!(resized.status.success(), "{resized:?}");
    terminal.wait_until("a small terminal", |screen| {
        screen.lines().count() <= 4 && line(screen, "orders").is_some()
    });
    terminal.press("q");
    let left = terminal.wait_until("the end", |screen| screen.contains("code"));
    assert_eq!(left.trim(), "code 0");
}

#[test]
fn top_says_when_the_server_has_gone_and_goes_on_when_it_is_back() {
    let server = Server::start_restartable();
    let address = server.address.to_string();
    server.produce_numbers("orders", 0..10);
    let Some(terminal) = Terminal::start("gone", &server, "footman top --interval 100ms") else {
        return;
    };
    terminal.wait_until("the topic", |screen| line(screen, "orders").is_some());
    drop(server);
    let screen = terminal.wait_until("the trouble", |screen| screen.contains("footman serve"));
    assert!(
        line(&screen, "orders").is_some(),
        "what was seen last stays:\n{screen}"
    );
    let server = Server::start_at(&address, &[]);
    server.produce_numbers("again", 0..10);
    terminal.wait_until("the new topic", |screen| line(screen, "again").is_some());
    terminal.press("C-c");
    terminal.wait_until("the end", |screen| screen.trim() == "code 0");
}

#[test]
fn produce_shows_how_far_it_is_and_leaves_the_summary() {
    let server = Server::start(&[]);
    let line = "seq 1 100000 | { cat; read _ < /dev/tty; } | footman produce numbers";
    let Some(terminal) = Terminal::start("produce", &server, line) else {
        return;
    };
    terminal.wait_until("the progress", |screen| {
        screen.contains("100 000 records acknowledged, ") && screen.contains(" KiB read")
    });
    terminal.press("Enter");
    let left = terminal.wait_until("the end", |screen| screen.contains("code"));
    let left: Vec<_> = left.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(
        left[0].starts_with("footman: 100 000 records acknowledged"),
        "{left:?}"
    );
    assert_eq!(left[1], "code 0");
}

#[test]
fn consume_into_a_file_shows_how_far_it_is() {
    let server = Server::start(&[]);
    server.produce_numbers("numbers", 0..1_000);
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let line = format!("footman consume numbers > '{}'", out.display());
    let Some(terminal) = Terminal::start("consume", &server, &line) else {
        return;
    };
    terminal.wait_until("the progress", |screen| {
        screen.contains("1 000 records, 0 lost, ")
    });
    terminal.press("C-c");
    let left = terminal.wait_until("the end", |screen| {
        screen.contains("1 000 records, 0 lost\n")
    });
    assert!(!left.contains("/s"), "{left}");
    let written = std::fs::read_to_string(&out).expect("it is there");
    assert_eq!(written.lines().count(), 1_000);
}

#[test]
fn colors_are_for_terminals_and_no_color_is_heard() {
    let server = Server::start(&[]);
    for (set, has_styles) in [("unset NO_COLOR", true), ("export NO_COLOR=1", false)] {
        let line = format!("{set}; footman top --nope; footman top --nope 2>&1 | cat");
        let Some(terminal) = Terminal::start("colors", &server, &line) else {
            return;
        };
        terminal.wait_until("the end", |screen| screen.contains("code"));
        let screen = terminal.colored_screen();
        let errors: Vec<_> = screen
            .lines()
            .filter(|line| line.contains("error:"))
            .collect();
        let styled: Vec<_> = errors.iter().map(|line| line.contains('\u{1b}')).collect();
        assert_eq!(styled, [has_styles, false], "{set}: {errors:?}");
    }
}

#[test]
fn top_without_a_terminal_writes_one_table() {
    let server = Server::start(&[]);
    server.produce_numbers("orders.eu", 0..10);
    server.produce_numbers("audit", 0..5);
    let mut reader = Process::follow(&mut server.footman(&["consume", "orders.eu"]));
    assert_eq!(reader.next_line().as_deref(), Some("0"));
    let table = server
        .run(&["top", "--interval", "50ms"])
        .expect_code(0)
        .stdout;
    let starts = |start: &str| table.iter().any(|line| line.starts_with(start));
    for start in [
        "TOPIC ",
        "orders.eu ",
        "audit ",
        "SUBSCRIPTION ",
        "footman consume ",
    ] {
        assert!(starts(start), "{start}: {table:?}");
    }
    let json = server
        .run(&["top", "orders.", "--interval", "50ms", "-o", "json"])
        .expect_code(0)
        .stdout;
    let json: serde_json::Value = serde_json::from_str(&json[0]).expect("JSON");
    assert_eq!(json["topics"].as_array().expect("a list").len(), 1);
    assert_eq!(json["topics"][0]["end_offset"], 10);
    assert_eq!(json["subscriptions"][0]["label"], "footman consume");
    assert_eq!(json["subscriptions"][0]["delivered"], 10);
    assert_eq!(json["subscriptions"][0]["headroom_records"], 1 << 20);
    // At the rate of a moment ago.
    let seconds = json["subscriptions"][0]["headroom_seconds"].as_f64();
    assert!(seconds.is_some_and(|seconds| seconds > 0.0), "{json}");
}
