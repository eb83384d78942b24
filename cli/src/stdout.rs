//! Standard output: written in blocks, and quiet when its reader has gone (`| head -1`).

use std::io::{ErrorKind, StdoutLock, Write};

use anyhow::{Context, Result};

/// Bytes gathered before they go out by themselves.
const BLOCK_BYTES: usize = 256 * 1024;

/// Whether there still is a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Go on.
    Present,
    /// It has gone: whatever is written is for nobody. No error: `head` has what it wanted.
    Gone,
}

/// Standard output behind a buffer that the owner fills and flushes.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: StdoutLock<'static>,
    buffer: Vec<u8>,
    reader: Reader,
}

impl Output {
    /// Takes standard output.
    pub(crate) fn new() -> Output {
        Output {
            stdout: std::io::stdout().lock(),
            buffer: Vec::with_capacity(BLOCK_BYTES),
            reader: Reader::Present,
        }
    }

    /// Where to append; call [`spill`](Self::spill) now and then.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes the buffer out if a block has gathered.
    pub(crate) fn spill(&mut self) -> Result<Reader> {
        if self.buffer.len() < BLOCK_BYTES {
            Ok(Reader::Present)
        } else {
            self.flush()
        }
    }

    /// Writes out all there is. A reader that has gone does not come back.
    pub(crate) fn flush(&mut self) -> Result<Reader> {
        if self.reader == Reader::Present {
            match self
                .stdout
                .write_all(&self.buffer)
                .and_then(|()| self.stdout.flush())
            {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.reader = Reader::Gone,
                Err(error) => return Err(error).context("cannot write to standard output"),
            }
        }
        self.buffer.clear();
        Ok(self.reader)
    }
}

/// Writes `bytes` to standard output, all of it unless its reader has gone.
pub(crate) fn print(bytes: &[u8]) -> Result<()> {
    let mut output = Output::new();
    output.buffer().extend_from_slice(bytes);
    output.flush().map(drop)
}

/// Whether standard output is a regular file.
pub(crate) fn stdout_is_file() -> bool {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        let stdout = std::io::stdout();
        let file = stdout.as_fd().try_clone_to_owned().map(std::fs::File::from);
        file.and_then(|file| file.metadata())
            .is_ok_and(|metadata| metadata.is_file())
    }
    #[cfg(not(unix))]
    false
}

/// Resolves when nobody can read standard output any more; never, where that cannot be told or happen.
pub(crate) async fn reader_gone() {
    #[cfg(unix)]
    {
        use rustix::event::{PollFd, PollFlags, poll};
        let (tell, told) = tokio::sync::oneshot::channel();
        // A thread, because whether stdout can be waited for otherwise depends on what it is: with no event
        // asked for, `poll` returns only when the other end of a pipe or socket has gone.
        let watch = move || {
            let stdout = std::io::stdout();
            let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
            while poll(&mut watched, None) == Err(rustix::io::Errno::INTR) {}
            let gone = PollFlags::ERR | PollFlags::HUP;
            if watched[0].revents().intersects(gone) {
                let _ = tell.send(());
            }
        };
        let started = std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(watch);
        if started.is_ok() && told.await.is_ok() {
            return;
        }
    }
    std::future::pending::<()>().await;
}
