//! A process whose output is awaited line by line.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;

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
