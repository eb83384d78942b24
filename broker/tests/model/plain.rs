//! The plain model: every record that a topic ever had, where each subscription stands, and what it must be given
//! next.

use footman_broker::{EndReason, Epoch, Filter, Item, StartAt};

use crate::steps::{Start, TOPICS};

/// One life of a topic: every record that it ever had, and the first that it still has.
pub(crate) struct Life {
    pub(crate) epoch: Epoch,
    pub(crate) records: Vec<Stored>,
    pub(crate) oldest: u64,
    /// What is below was purged, expired or deleted, not only overwritten.
    pub(crate) floor: u64,
    pub(crate) max_records: u64,
    pub(crate) max_bytes: u64,
    /// In seconds; expiry is as often as there is an append, a poll or an expire.
    pub(crate) age: Option<u64>,
    /// Look-ups by key were asked for.
    pub(crate) indexed: bool,
    pub(crate) paused: bool,
    pub(crate) deleted: bool,
}

pub(crate) struct Stored {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<u8>,
    pub(crate) bytes: u64,
    pub(crate) at: u64,
}

impl Life {
    pub(crate) fn end(&self) -> u64 {
        self.records.len() as u64
    }

    pub(crate) fn limit(&mut self) {
        let mut bytes: u64 = self.records[self.oldest as usize..]
            .iter()
            .map(|r| r.bytes)
            .sum();
        while self.end() - self.oldest > self.max_records || bytes > self.max_bytes {
            bytes -= self.records[self.oldest as usize].bytes;
            self.oldest += 1;
        }
    }

    pub(crate) fn expire(&mut self, now: u64) {
        let Some(age) = self.age.filter(|_| !self.deleted) else {
            return;
        };
        while self.oldest < self.end() && now - self.records[self.oldest as usize].at >= age {
            self.oldest += 1;
            self.floor = self.oldest;
        }
    }

    pub(crate) fn find(&self, timestamp: i64) -> u64 {
        (self.oldest..self.end())
            .find(|&i| self.records[i as usize].timestamp >= timestamp)
            .unwrap_or(self.end())
    }

    /// The broker's form of a start, and where the model goes: position and reset, or `None` for refused.
    pub(crate) fn resolve(&self, start: Start) -> (StartAt, Option<(u64, Option<Epoch>)>) {
        let end = self.end();
        let other = Epoch::new(1).unwrap();
        match start {
            Start::Earliest => (StartAt::Earliest, Some((self.oldest, None))),
            Start::Latest => (StartAt::Latest, Some((end, None))),
            Start::BeforeEnd(n) => {
                let offset = end.saturating_sub(n);
                (StartAt::Offset(offset), Some((offset, None)))
            }
            Start::BeyondEnd(n) => (StartAt::Offset(end + n), None),
            Start::Last(n) => (
                StartAt::Last(n),
                Some((end.saturating_sub(n).max(self.oldest), None)),
            ),
            Start::Timestamp(us) => (StartAt::Timestamp(us), Some((self.find(us), None))),
            Start::ResumeOther => (
                StartAt::Resume {
                    epoch: other,
                    next_offset: 9,
                },
                Some((0, Some(other))),
            ),
            Start::ResumeSame(n) => {
                let next_offset = end.saturating_sub(n);
                (
                    StartAt::Resume {
                        epoch: self.epoch,
                        next_offset,
                    },
                    Some((next_offset, None)),
                )
            }
        }
    }
}

/// A subscription of the model: which life, where, and what it must be told.
pub(crate) struct Following {
    pub(crate) topic: usize,
    pub(crate) life: usize,
    pub(crate) position: u64,
    pub(crate) stop: u64,
    pub(crate) filter: Option<Filter>,
    pub(crate) reset_from: Option<Epoch>,
    /// Losses since the last records.
    pub(crate) laps: u32,
    pub(crate) ended: bool,
    pub(crate) stopped: bool,
    pub(crate) paused: bool,
}

impl Following {
    fn wants(&self, record: &Stored) -> bool {
        let key = record.key.map(|key| [key]);
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| match filter {
            Filter::Key(wanted) => key.is_some_and(|key| key[..] == wanted[..]),
            // The model has the empty one alone.
            Filter::KeyPrefix(prefix) => prefix.is_empty() && key.is_some(),
        })
    }

    /// How far the records from the position on are alike.
    fn stretch(&self, life: &Life, end: u64) -> Expected {
        let wants = |offset: u64| self.wants(&life.records[offset as usize]);
        let first = wants(self.position);
        let up_to = (self.position..end).find(|&offset| wants(offset) != first);
        let up_to = up_to.unwrap_or(end);
        if first {
            Expected::Records { up_to }
        } else {
            Expected::Filtered { up_to }
        }
    }
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Expected {
    Nothing,
    Reset {
        life: usize,
        from: Epoch,
    },
    Lost {
        to: u64,
    },
    /// Records at the position that match, up to here at the most.
    Records {
        up_to: u64,
    },
    /// Records at the position that do not match, up to here at the most.
    Filtered {
        up_to: u64,
    },
    End(EndReason),
}

/// What the subscription must be given next.
pub(crate) fn expected(
    followed: &Following,
    lives: &[Life],
    current: &[Option<usize>; TOPICS],
) -> Expected {
    let life = &lives[followed.life];
    if followed.paused || followed.stopped {
        return Expected::Nothing;
    }
    if followed.ended {
        return match current[followed.topic] {
            Some(successor) => Expected::Reset {
                life: successor,
                from: life.epoch,
            },
            None => Expected::Nothing,
        };
    }
    if let Some(from) = followed.reset_from {
        return Expected::Reset {
            life: followed.life,
            from,
        };
    }
    if followed.position >= followed.stop {
        return Expected::End(EndReason::Stopped);
    }
    if followed.position < life.oldest {
        return Expected::Lost {
            to: life.oldest.min(followed.stop),
        };
    }
    match life.end().min(followed.stop) {
        end if end > followed.position => followed.stretch(life, end),
        _ if life.deleted => Expected::End(EndReason::Deleted),
        _ => Expected::Nothing,
    }
}

pub(crate) fn accept(followed: &mut Following, item: &Item, next: Expected, lives: &[Life]) {
    let life = &lives[followed.life];
    let epoch = life.epoch;
    // Lapped twice in a row, it may hold on to where it resumes, so that a producer at full speed cannot
    // lap it for ever: what was overwritten since is given all the same, unless it was forgotten on purpose.
    let held = followed.laps >= 2 && followed.position >= life.floor;
    let next = match (item, next) {
        (Item::Records(_) | Item::Filtered(_), Expected::Lost { .. }) if held => {
            followed.stretch(life, life.end().min(followed.stop))
        }
        (_, next) => next,
    };
    followed.laps = if matches!(item, Item::Lost(_)) {
        followed.laps + 1
    } else {
        0
    };
    match (item, next) {
        (Item::Records(records), Expected::Records { up_to }) => {
            assert_eq!(
                (records.epoch(), records.base_offset()),
                (epoch, followed.position)
            );
            assert!(records.next_offset() <= up_to && records.len() <= 5);
            for record in records {
                let stored = &lives[followed.life].records[record.offset as usize];
                assert_eq!(record.timestamp_us, stored.timestamp);
                assert_eq!(record.encoded().len() as u64 + 2, stored.bytes);
            }
            followed.position = records.next_offset();
        }
        (Item::Filtered(filtered), Expected::Filtered { up_to }) => {
            assert_eq!((filtered.epoch, filtered.from), (epoch, followed.position));
            assert!(filtered.from < filtered.to && filtered.to <= up_to);
            followed.position = filtered.to;
        }
        (Item::Lost(lost), Expected::Lost { to }) => {
            assert_eq!(
                (lost.epoch, lost.from, lost.to),
                (epoch, followed.position, to)
            );
            followed.position = to;
        }
        (Item::Reset(reset), Expected::Reset { life, from }) => {
            assert_eq!(
                (reset.old_epoch, reset.new_epoch),
                (from, lives[life].epoch)
            );
            assert_eq!(reset.next_offset, 0);
            followed.life = life;
            followed.position = 0;
            followed.ended = false;
            followed.reset_from = None;
        }
        (Item::End(end), Expected::End(reason)) => {
            assert_eq!((end.reason, end.epoch), (reason, epoch));
            assert_eq!(end.next_offset, followed.position);
            match reason {
                EndReason::Deleted if followed.stop == u64::MAX => followed.ended = true,
                _ => followed.stopped = true,
            }
        }
        _ => panic!("{next:?} was due, {item:?} came"),
    }
}
