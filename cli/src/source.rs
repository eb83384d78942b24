//! Reading files and stdin on a thread of their own, in blocks, a few ahead of whoever takes them.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use tokio::sync::mpsc;

/// Bytes asked for at once. A pipe gives what it has.
const BLOCK_BYTES: usize = 256 * 1024;
/// Blocks read ahead.
const BLOCKS_AHEAD: usize = 4;

/// A part of the input.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Some bytes, at least one.
    Block(Vec<u8>),
    /// The end of one file: what follows begins a record of its own.
    EndOfFile,
}

/// How many bytes [`read`] will find in `files`: `None` if that shows only at their end, as with a pipe.
pub(crate) fn size(files: &[PathBuf]) -> Option<u64> {
    if files.is_empty() {
        return stdin_size();
    }
    files.iter().try_fold(0_u64, |total, path| {
        let size = if is_stdin(path) {
            stdin_size()?
        } else {
            regular_size(&path.metadata().ok()?)?
        };
        total.checked_add(size)
    })
}

/// Whether someone types what [`read`] will find in `files`.
pub(crate) fn is_typed(files: &[PathBuf]) -> bool {
    (files.is_empty() || files.iter().any(|path| is_stdin(path))) && io::stdin().is_terminal()
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// What is left to read of standard input where that is a file.
fn stdin_size() -> Option<u64> {
    #[cfg(unix)]
    {
        use std::io::Seek;
        use std::os::fd::AsFd;
        let mut file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
        let size = regular_size(&file.metadata().ok()?)?;
        size.checked_sub(file.stream_position().ok()?)
    }
    #[cfg(not(unix))]
    None
}

/// The size of a regular file. Those of which the system makes up the content say 0, which says nothing.
fn regular_size(metadata: &Metadata) -> Option<u64> {
    (metadata.is_file() && metadata.len() > 0).then_some(metadata.len())
}

/// Reads `files` one after the other, stdin for `-` or if there are none. The pieces end after the last
/// file, or with an error that names the file.
pub(crate) fn read(files: Vec<PathBuf>) -> Result<mpsc::Receiver<Result<Piece>>> {
    let files = if files.is_empty() {
        vec![PathBuf::from("-")]
    } else {
        files
    };
    let (pieces, taken) = mpsc::channel(BLOCKS_AHEAD);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            for file in &files {
                if let Err(error) = read_one(file, &pieces) {
                    // If nobody takes the error, nobody waits for the input either.
                    let _ = pieces.blocking_send(Err(error));
                    return;
                }
            }
        })
        .context("cannot start the thread that reads the input")?;
    Ok(taken)
}

fn read_one(path: &Path, pieces: &mpsc::Sender<Result<Piece>>) -> Result<()> {
    let (name, mut input): (String, Box<dyn Read>) = if is_stdin(path) {
        ("standard input".to_owned(), Box::new(io::stdin()))
    } else {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        (name, Box::new(file))
    };
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match input.read(&mut block) {
            Ok(0) => break,
            Ok(n) => {
                if pieces
                    .blocking_send(Ok(Piece::Block(block[..n].to_vec())))
                    .is_err()
                {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
        }
    }
    let _ = pieces.blocking_send(Ok(Piece::EndOfFile));
    Ok(())
}
