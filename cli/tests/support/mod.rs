//! The real binary as the tests run it: servers on free ports, clients whose output is awaited line by line,
//! all ended by their own id when dropped. Every wait has a limit and waits for an event, never for a time.
#![allow(
    dead_code,
    reason = "each test file is a crate of its own and uses its part"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest that anything here is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, without any settings of whoever runs the tests.
pub(crate) fn footman() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footman"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("FOOTMAN_") || variable == "RUST_LOG" {
            command.env_remove(variable);
        }
    }
    command
}

/// A process that is killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: Option<Receiver<String>>,
    stderr: Receiver<String>,
    /// What came on stderr so far.
    said: Vec<String>,
}

impl Process {
    /// Starts `command` with stderr read line by line; stdout too unless `command` sends it elsewhere.
    pub(crate) fn start(
        command: &mut Command,
        stdin: Stdio,
        stdout: Stdio,
        follow_stdout: bool,
    ) -> Process {
        let mut child = command
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("footman starts");
        let stdout = follow_stdout.then(|| lines(child.stdout.take().expect("stdout is piped")));
        let stderr = lines(child.stderr.take().expect("stderr is piped"));
        Process {
            child,
            stdout,
            stderr,
            said: Vec::new(),
        }
    }

    /// Starts `command` with nothing on stdin and its stdout read line by line.
    pub(crate) fn follow(command: &mut Command) -> Process {
        Process::start(command, Stdio::null(), Stdio::piped(), true)
    }

    /// Starts `command` with `input` as its stdin.
    pub(crate) fn fed(command: &mut Command, input: impl Into<Stdio>) -> Process {
        Process::start(command, input.into(), Stdio::piped(), true)
    }

    /// Starts `command` with its stdout in a new file at `path`.
    pub(crate) fn into_file(command: &mut Command, path: &Path) -> Process {
        let file = std::fs::File::create(path).expect("a file can be created");
        Process::start(command, Stdio::null(), file.into(), false)
    }

    /// The next line on stdout, without its end; `None` when there are no more.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        let lines = self.stdout.as_ref().expect("stdout is followed");
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line on stdout; stderr: {:?}", self.heard())
            }
        }
    }

    /// The next line on stdout as JSON.
    pub(crate) fn next_json(&mut self) -> serde_json::Value {
        let line = self
            .next_line()
            .unwrap_or_else(|| panic!("stdout ended; stderr: {:?}", self.heard()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Waits until a line on stderr contains `part`, and returns it.
    pub(crate) fn wait_for_notice(&mut self, part: &str) -> String {
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(_) => panic!("nothing on stderr says {part:?}: {:?}", self.said),
            }
        }
    }

    /// Sends `signal` to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id is small");
        kill_process(Pid::from_raw(id).expect("a child has an id"), signal)
            .expect("the child is there");
    }

    /// The process's stdin, to write to.
    pub(crate) fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("stdin is piped")
    }

    /// Lets the process end, and returns how, with the rest of its stdout and all of its stderr.
    pub(crate) fn finish(mut self) -> Finished {
        let mut stdout = Vec::new();
        if let Some(lines) = self.stdout.take() {
            let deadline = Instant::now() + PATIENCE;
            loop {
                match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Ok(line) => stdout.push(line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        panic!("it does not end; stderr: {:?}", self.heard())
                    }
                }
            }
        }
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it does not end; stderr: {:?}", self.said)
                }
            }
        }
        // Both its ends are closed: it has ended, or does so now.
        let status = self.child.wait().expect("the child can be waited for");
        Finished {
            status,
            stdout,
            stderr: std::mem::take(&mut self.said),
        }
    }

    /// What came on stderr until now.
    fn heard(&mut self) -> &[String] {
        self.said.extend(self.stderr.try_iter());
        &self.said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(input: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(input).split(b'\n') {
            let Ok(line) = line else { return };
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    receiver
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Finished {
    /// Asserts that it ended with `code`.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Finished {
        assert_eq!(
            self.status.code(),
            Some(code),
            "stdout {:?}, stderr {:?}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts that it failed with exit code 1 and one line on stderr that contains all `parts`.
    #[track_caller]
    pub(crate) fn expect_failure(self, parts: &[&str]) {
        assert_eq!(
            self.status.code(),
            Some(1),
            "stdout {:?}, stderr {:?}",
            self.stdout,
            self.stderr
        );
        assert_eq!(
            self.stderr.len(),
            1,
            "one line says what failed: {:?}",
            self.stderr
        );
        for part in parts {
            assert!(
                self.stderr[0].contains(part),
                "{part:?} in {:?}",
                self.stderr
            );
        }
    }
}

/// A running `footman serve`.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) fn start(options: &[&str]) -> Server {
        Server::start_at("127.0.0.1:0", options)
    }

    /// Starts a server on a free port that stays free when the server is gone: nobody's outgoing connection
    /// takes it, because those come from another loopback address.
    pub(crate) fn start_restartable() -> Server {
        Server::start_at(
            if cfg!(target_os = "linux") {
                "127.0.0.77:0"
            } else {
                "127.0.0.1:0"
            },
            &[],
        )
    }

    /// Starts a server at `address`.
    pub(crate) fn start_at(address: &str, options: &[&str]) -> Server {
        let mut command = footman();
        command.args(["serve", "--listen", address]).args(options);
        Server::from_process(Process::follow(&mut command))
    }

    /// The server that `process` is about to be.
    pub(crate) fn from_process(mut process: Process) -> Server {
        let line = process.wait_for_notice("listening on ");
        let address = line
            .strip_prefix("listening on ")
            .and_then(|address| address.parse().ok());
        Server {
            process,
            address: address.expect("the line says the address"),
        }
    }

    /// A client command against this server.
    pub(crate) fn footman(&self, arguments: &[&str]) -> Command {
        let mut command = footman();
        command
            .env("FOOTMAN_SERVER", self.address.to_string())
            .args(arguments);
        command
    }

    /// Runs a client command to its end with nothing on stdin.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        Process::follow(&mut self.footman(arguments)).finish()
    }

    /// Runs a client command to its end with `input` on stdin.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Finished {
        let mut process = Process::fed(&mut self.footman(arguments), Stdio::piped());
        let mut stdin = process.stdin();
        let input = input.to_vec();
        // A command that refuses its input closes it early, which is for its exit code to tell.
        let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
        let finished = process.finish();
        feeder.join().expect("the feeder does not panic");
        finished
    }

    /// Produces the numbers of `range`, one a line, and asserts that all were acknowledged.
    #[track_caller]
    pub(crate) fn produce_numbers(&self, topic: &str, range: std::ops::Range<u64>) {
        let input: String = range.map(|n| format!("{n}\n")).collect();
        self.run_with(&["produce", topic], input.as_bytes())
            .expect_code(0);
    }

    /// What `topics describe` says as JSON.
    #[track_caller]
    pub(crate) fn describe(&self, topic: &str) -> serde_json::Value {
        let finished = self
            .run(&["topics", "describe", topic, "--output", "json"])
            .expect_code(0);
        serde_json::from_str(&finished.stdout[0]).expect("one line of JSON")
    }
}

/// Writes real text of at least `lines` lines (Rust's own documentation and the sources of this build's
/// dependencies) to `path`; no line has a carriage return, none is longer than 64 KiB. Returns its lines.
pub(crate) fn write_corpus(path: &Path, lines: u64) -> u64 {
    let mut roots = Vec::new();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(home) =
        home.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
    {
        roots.push(home.join("registry").join("src"));
    }
    if let Ok(rustc) = Command::new("rustc").args(["--print", "sysroot"]).output() {
        let sysroot = PathBuf::from(String::from_utf8_lossy(&rustc.stdout).trim());
        roots.push(sysroot.join("share").join("doc"));
        roots.push(sysroot.join("lib").join("rustlib").join("src"));
    }
    let mut files = Vec::new();
    for root in roots {
        collect_texts(&root, &mut files);
    }
    // A machine without any of these still has the sources of this workspace.
    collect_texts(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        &mut files,
    );
    let mut out =
        std::io::BufWriter::new(std::fs::File::create(path).expect("a file can be created"));
    let mut written = 0;
    while written < lines {
        let before = written;
        for file in &files {
            let Ok(text) = std::fs::read(file) else {
                continue;
            };
            if text.contains(&b'\r')
                || text
                    .split(|b| *b == b'\n')
                    .any(|line| line.len() > 64 * 1024)
            {
                continue;
            }
            out.write_all(&text).expect("the file takes it");
            written += text.iter().filter(|b| **b == b'\n').count() as u64;
            if text.last() != Some(&b'\n') {
                out.write_all(b"\n").expect("the file takes it");
                written += 1;
            }
            if written >= lines {
                break;
            }
        }
        assert!(written > before, "there is text to read");
    }
    out.flush().expect("the file takes it");
    written
}

fn collect_texts(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path
                .file_name()
                .is_none_or(|name| name != "target" && name != ".git")
            {
                collect_texts(&path, files);
            }
        } else if path
            .extension()
            .is_some_and(|e| e == "rs" || e == "md" || e == "html")
        {
            files.push(path);
        }
    }
}
