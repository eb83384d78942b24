//! How far each topic was read, kept in a file between runs.
//!
//! A line of JSON a topic. The file is replaced as a whole, so that it is the old or the new one whenever the
//! process or the machine stops; what was written since it was last saved comes again (at least once).

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::output::push_json_line;

/// The first record of a topic that was not yet read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: u64,
    pub(crate) next_offset: u64,
}

/// The positions and the file that they are kept in.
#[derive(Debug)]
pub(crate) struct ResumeFile {
    path: PathBuf,
    positions: BTreeMap<String, Position>,
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    topic: String,
    epoch: u64,
    next_offset: u64,
}

impl ResumeFile {
    /// Reads the positions at `path`; a file that is not there has none. That they can be kept there shows at once, not after hours.
    pub(crate) fn open(path: &Path) -> Result<ResumeFile> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => {
                read.with_context(|| format!("cannot read the positions in {}", path.display()))?
            }
        };
        let mut positions = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            let line: Line = serde_json::from_str(line).with_context(|| {
                let path = path.display();
                format!(
                    "line {} of {path} is no position (remove the file to start anew)",
                    i + 1
                )
            })?;
            positions.insert(
                line.topic,
                Position {
                    epoch: line.epoch,
                    next_offset: line.next_offset,
                },
            );
        }
        let mut file = ResumeFile {
            path: path.to_owned(),
            positions,
            changed: true,
        };
        file.save()?;
        Ok(file)
    }

    /// Where to go on in `topic`, if it was read before.
    pub(crate) fn position(&self, topic: &str) -> Option<Position> {
        self.positions.get(topic).copied()
    }

    /// Notes where to go on in `topic`.
    pub(crate) fn note(&mut self, topic: &str, position: Position) {
        self.changed = true;
        match self.positions.get_mut(topic) {
            Some(noted) => *noted = position,
            None => drop(self.positions.insert(topic.to_owned(), position)),
        }
    }

    /// Whether there is something to save.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Writes the positions to the file, if they have changed.
    pub(crate) fn save(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let mut text = Vec::new();
        for (topic, Position { epoch, next_offset }) in &self.positions {
            let line = Line {
                topic: topic.clone(),
                epoch: *epoch,
                next_offset: *next_offset,
            };
            push_json_line(&mut text, &line);
        }
        let mut unfinished = self.path.clone().into_os_string();
        unfinished.push(".new");
        fs::write(&unfinished, &text)
            .and_then(|()| fs::rename(&unfinished, &self.path))
            .with_context(|| format!("cannot keep the positions in {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_as_they_were_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions");
        let mut file = ResumeFile::open(&path).unwrap();
        assert_eq!(file.position("a"), None);
        file.note(
            "a",
            Position {
                epoch: 1,
                next_offset: 2,
            },
        );
        file.note(
            "b",
            Position {
                epoch: 3,
                next_offset: 4,
            },
        );
        file.note(
            "a",
            Position {
                epoch: 1,
                next_offset: 9,
            },
        );
        file.save().unwrap();
        let file = ResumeFile::open(&path).unwrap();
        assert_eq!(
            file.position("a"),
            Some(Position {
                epoch: 1,
                next_offset: 9
            })
        );
        assert_eq!(
            file.position("b"),
            Some(Position {
                epoch: 3,
                next_offset: 4
            })
        );
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing else is left there"
        );
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions");
        fs::write(
            &path,
            "{\"topic\":\"a\",\"epoch\":1,\"next_offset\":2}\nhello\n",
        )
        .unwrap();
        let error = format!("{:#}", ResumeFile::open(&path).unwrap_err());
        assert!(
            error.contains("line 2") && error.contains("positions"),
            "{error}"
        );
    }
}
