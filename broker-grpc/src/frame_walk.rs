//! The frames of HTTP/2 that a peer sends, counted as their bytes pass: so many in one turn.
//!
//! h2 keeps every frame that it reads until its call takes it, and 250 bytes for each; calls have their turn before there are too many.
//!
//! Owned by the cork of one connection. It reads no more of a frame than its length.

/// The most frames in one turn.
pub(crate) const TURN_FRAMES: usize = 1_024;

/// A walk over the frames.
#[derive(Debug)]
pub(crate) struct FrameWalk {
    /// Bytes before the next head.
    rest: usize,
    /// What has passed of the length that a head begins with, and how many bytes that was.
    length: usize,
    known: usize,
    /// Frames begun in this turn.
    begun: usize,
}

impl FrameWalk {
    /// Of a head: its length, and what follows that.
    const LENGTH: usize = 3;
    const REST: usize = 6;

    /// The first frame begins after so many bytes.
    #[cfg(feature = "server")]
    pub(crate) fn after(preface: usize) -> FrameWalk {
        FrameWalk {
            rest: preface,
            length: 0,
            known: 0,
            begun: 0,
        }
    }

    /// Bytes before the next head, as far as it is known: within a frame, what is left of it.
    pub(crate) fn rest(&self) -> usize {
        self.rest
    }

    /// The next turn begins.
    pub(crate) fn turn(&mut self) {
        self.begun = 0;
    }

    /// How many of these bytes may pass in this turn.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let Some(byte) = bytes.get(passed) {
            if self.rest > 0 {
                let step = self.rest.min(bytes.len() - passed);
                self.rest -= step;
                passed += step;
                continue;
            }
            if self.known == 0 {
                if self.begun == TURN_FRAMES {
                    break;
                }
                self.begun += 1;
            }
            passed += 1;
            self.length = self.length << 8 | usize::from(*byte);
            self.known += 1;
            if self.known == FrameWalk::LENGTH {
                self.rest = FrameWalk::REST + self.length;
                (self.length, self.known) = (0, 0);
            }
        }
        passed
    }
}
