//! On a terminal `produce` shows how far it is, and leaves nothing behind but what it says.
#![cfg(unix)]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use support::{PATIENCE, Server};

const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(120).unwrap();

/// A terminal, what a command has written to it, and how that looks.
struct Terminal {
    written: Receiver<Vec<u8>>,
    text: String,
    screen: vt100::Parser,
}

impl Terminal {
    /// Starts `command` with a terminal as its stderr.
    fn start(command: &mut Command, stdin: Stdio) -> (Child, Terminal) {
        let mut ours = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty"));
        grantpt(&ours).expect("a pty");
        unlockpt(&ours).expect("a pty");
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&ours, size).expect("a pty has a size");
        let name = ptsname(&ours, Vec::new()).expect("a pty has a name");
        let theirs = File::options()
            .write(true)
            .open(name.to_str().expect("a path"))
            .expect("the other end opens");
        let child = command
            .env("TERM", "xterm")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(theirs)
            .spawn()
            .expect("footman starts");
        // Ours alone is left, so that reading ends with the process.
        command.stderr(Stdio::null());
        let (send, written) = channel();
        thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(n @ 1..) = ours.read(&mut block) {
                if send.send(block[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let terminal = Terminal {
            written,
            text: String::new(),
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
        };
        (child, terminal)
    }

    /// The lines on the screen.
    fn lines(&self) -> Vec<String> {
        let contents = self.screen.screen().contents();
        contents.lines().map(str::to_owned).collect()
    }

    /// Follows until the screen is as wanted, or nothing comes any more; says whether it is.
    fn follow_until(&mut self, wanted: impl Fn(&[String]) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if wanted(&self.lines()) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(block) = self.written.recv_timeout(left) else {
                return false;
            };
            self.text += &String::from_utf8_lossy(&block);
            self.screen.process(&block);
        }
    }
}

#[test]
fn a_file_shows_a_bar_with_the_time_left_and_then_only_the_summary() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("numbers");
    let numbers: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    std::fs::write(&path, numbers).expect("a file");
    let arguments = ["produce", "t", path.to_str().expect("UTF-8")];
    let redirected = File::open(&path).expect("the file is there");
    for (arguments, stdin) in [
        (&arguments[..], Stdio::null()),
        (&arguments[..2], redirected.into()),
    ] {
        let (mut child, mut terminal) = Terminal::start(&mut server.footman(arguments), stdin);
        terminal.follow_until(|_| false);
        assert!(child.wait().expect("it ends").success());
        for part in ["[", "%, ", " acknowledged, ", " left"] {
            assert!(terminal.text.contains(part), "{part:?}: {}", terminal.text);
        }
        let lines = terminal.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let summary = "footman: 200 000 records acknowledged, 1.2 MiB read, ";
        assert!(lines[0].starts_with(summary), "{lines:?}");
    }
}

#[test]
fn a_notice_stands_on_a_line_of_its_own_above_the_progress() {
    let server = Server::start_restartable();
    let (mut child, mut terminal) =
        Terminal::start(&mut server.footman(&["produce", "t"]), Stdio::piped());
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"one\n").expect("the producer reads");
    let is_progress = |line: &String| line.contains("1 record acknowledged, ");
    let shown = terminal.follow_until(|lines| lines.iter().any(is_progress));
    assert!(shown, "{}", terminal.text);

    server.process.signal(Signal::KILL);
    drop(server);
    stdin.write_all(b"two\n").expect("the producer reads");
    let whole = terminal.follow_until(|lines| {
        lines.len() == 2
            && lines[0].starts_with("footman: interrupted")
            && lines[0].ends_with("again")
            && is_progress(&lines[1])
    });
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(whole, "{:?}", terminal.lines());
}

#[test]
fn a_quiet_produce_writes_nothing_on_a_terminal() {
    let server = Server::start(&[]);
    let mut command = server.footman(&["produce", "t", "--quiet"]);
    let (mut child, mut terminal) = Terminal::start(&mut command, Stdio::piped());
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"one\n").expect("the producer reads");
    drop(stdin);
    terminal.follow_until(|_| false);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(terminal.text, "");
}
