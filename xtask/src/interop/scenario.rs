//! What every language's two examples must do, whatever they are written in: `produce HOST:PORT TOPIC` appends
//! the lines of its standard input, `subscribe HOST:PORT TOPIC COUNT [OFFSET]` prints records, and says on
//! standard error what it lost and that a topic starts again.

use super::proxy::Proxy;
use crate::{
    command,
    server::{Server, footman},
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// The longest that anything here takes: far more than it needs, so that a hang fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two programs of one language, each a command without its arguments.
pub(crate) struct Programs<'a> {
    pub(crate) produce: &'a dyn Fn() -> Command,
    pub(crate) subscribe: &'a dyn Fn() -> Command,
}

/// Runs it all against servers of its own.
pub(crate) fn run(programs: &Programs<'_>) -> Result<()> {
    let server = Server::start("debug", &[])?;
    records_come_back_whole_and_in_order(programs, server.address())?;
    a_lapped_subscriber_is_told_what_it_lost(programs, server.address())?;
    a_broken_connection_loses_nothing(programs, server.address())?;
    server.stop()?;
    restarts_are_told_and_followed(programs)
}

fn records_come_back_whole_and_in_order(programs: &Programs<'_>, server: &str) -> Result<()> {
    let mut lines = records("whole", 0, 5_000);
    lines[7] = String::new();
    lines[8] = "\u{e9}\u{4e16}\u{1f980}".to_owned();
    lines[9] = "long ".repeat(20_000);
    produce(programs, server, "whole", &lines)?;
    let mut subscribe = Running::start(programs, server, &["whole", "5000"])?;
    subscribe.expect(&lines)?;
    subscribe.end()?;
    println!("records come back whole and in order");
    Ok(())
}

fn a_lapped_subscriber_is_told_what_it_lost(programs: &Programs<'_>, server: &str) -> Result<()> {
    let mut create = footman("debug");
    create.args([
        "topics",
        "create",
        "small",
        "--records",
        "100",
        "--server",
        server,
    ]);
    command::run(create.stdout(Stdio::null()))?;
    let lines = records("small", 0, 1_000);
    produce(programs, server, "small", &lines)?;
    let mut subscribe = Running::start(programs, server, &["small", "100", "0"])?;
    subscribe.expect(&lines[900..])?;
    let said = subscribe.end()?;
    ensure!(
        said.lines()
            .filter(|line| line.starts_with("lost"))
            .eq(["lost 0 to 899"]),
        "it should have said `lost 0 to 899`, and said:\n{said}"
    );
    println!("a lapped subscriber is told what it lost");
    Ok(())
}

fn a_broken_connection_loses_nothing(programs: &Programs<'_>, server: &str) -> Result<()> {
    let way = Proxy::to(server)?;
    let lines = records("cut", 0, 300);
    produce(programs, server, "cut", &lines[..100])?;
    let mut subscribe = Running::start(programs, way.address(), &["cut", "300"])?;
    subscribe.expect(&lines[..100])?;
    for part in [&lines[100..200], &lines[200..]] {
        ensure!(way.cut() > 0, "no connection was open");
        produce(programs, server, "cut", part)?;
        subscribe.expect(part)?;
    }
    let said = subscribe.end()?;
    ensure!(
        !said.contains("start again") && !said.contains("lost "),
        "nothing was lost nor started again, and it said:\n{said}"
    );
    println!("a broken connection loses nothing and repeats nothing");
    Ok(())
}

fn restarts_are_told_and_followed(programs: &Programs<'_>) -> Result<()> {
    let mut server = Server::start("debug", &[])?;
    let address = server.address().to_owned();
    let lines = records("restart", 0, 300);
    produce(programs, &address, "restart", &lines[..100])?;
    let mut subscribe = Running::start(programs, &address, &["restart", "300"])?;
    subscribe.expect(&lines[..100])?;
    let ends: [fn(Server) -> Result<()>; 2] = [Server::stop, Server::kill];
    for (end, part) in ends.into_iter().zip([&lines[100..200], &lines[200..]]) {
        end(server)?;
        server = Server::start_at("debug", &address, &[])?;
        produce(programs, &address, "restart", part)?;
        subscribe.expect(part)?;
    }
    let said = subscribe.end()?;
    let told = said.matches("offsets start again").count();
    ensure!(
        told == 2,
        "it should have told of 2 restarts, and said:\n{said}"
    );
    println!(
        "a server that was stopped, and one that was killed, are followed into their next lives"
    );
    server.stop()
}

fn records(topic: &str, first: usize, count: usize) -> Vec<String> {
    (first..first + count)
        .map(|number| format!("{topic} {number}"))
        .collect()
}

/// Appends the lines with the language's program, which must say how many were acknowledged.
fn produce(programs: &Programs<'_>, server: &str, topic: &str, lines: &[String]) -> Result<()> {
    let mut produce = (programs.produce)();
    let mut child = produce
        .args([server, topic])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {produce:?}"))?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let text = lines.join("\n") + "\n";
    let feeder = thread::spawn(move || stdin.write_all(text.as_bytes()));
    let said = read_all(child.stderr.take().expect("stderr is piped"));
    let said = said.recv_timeout(PATIENCE);
    if said.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let said = said.context("produce does not end")?;
    ensure!(status.success(), "{produce:?} ended with {status}:\n{said}");
    feeder.join().expect("it only writes")?;
    let expected = format!("{} records appended", lines.len());
    ensure!(
        said.contains(&expected),
        "it should have said `{expected}`:\n{said}"
    );
    Ok(())
}

/// A subscriber under way; killed when dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Receiver<String>,
}

impl Running {
    fn start(programs: &Programs<'_>, server: &str, args: &[&str]) -> Result<Self> {
        let mut subscribe = (programs.subscribe)();
        let mut child = subscribe
            .arg(server)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {subscribe:?}"))?;
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (printed, lines) = mpsc::channel();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| printed.send(line))
        });
        let said = read_all(child.stderr.take().expect("stderr is piped"));
        Ok(Self { child, lines, said })
    }

    /// The next lines that it prints must be these.
    fn expect(&mut self, lines: &[String]) -> Result<()> {
        for expected in lines {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                self.child.kill()?;
                let said = self.said.recv_timeout(PATIENCE)?;
                bail!("it should have printed {expected:?}, printed nothing, and said:\n{said}");
            };
            ensure!(
                line == *expected,
                "it should have printed {expected:?}, and printed {line:?}"
            );
        }
        Ok(())
    }

    /// It must end by itself, well, and print no more. Returns what it said on standard error.
    fn end(mut self) -> Result<String> {
        let said = self.said.recv_timeout(PATIENCE);
        let said = said.context("subscribe does not end after its last record")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "subscribe ended with {status}:\n{said}");
        if let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            bail!("it printed more than was asked for: {line:?}");
        }
        Ok(said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Reads to the end, elsewhere.
fn read_all(mut from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).ok();
        sender.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}
