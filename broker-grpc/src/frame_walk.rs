//! The frames of HTTP/2 that a peer sends, as their bytes pass: short ones joined, and so many let through in one turn.
//!
//! h2 keeps every frame that it reads until its call takes it, 250 bytes for each whatever is in it, and ends a connection of which too
//! many short ones wait. A peer that is merely fast has them wait when its answers have not all reached it. What short DATA frames of
//! one call have in them is the same in one frame: those that came together are joined, and the windows of HTTP/2 bound what waits.
//!
//! Owned by the cork of one connection. It reads no more of a frame than its head, and changes nothing but where DATA is cut.

/// The most frames in one turn: calls have their turn before there are too many.
pub(crate) const TURN_FRAMES: usize = 1_024;

/// A frame of no more bytes is short, and so many short ones make one at most: it is one that every endpoint takes, and a message that
/// comes a byte a frame is one in crumbs even so.
const SHORT_BYTES: usize = 512;
const JOINED_FRAMES: usize = 32;

/// The type of a frame that has DATA in it.
const DATA: u8 = 0;

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
    const HEAD: usize = FrameWalk::LENGTH + FrameWalk::REST;

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

    /// Joins what is to pass next: short DATA frames that follow one another, each whole, of one call, and without flags. Those with
    /// nothing in them are left to h2, which counts them.
    pub(crate) fn join(&self, bytes: &mut Vec<u8>) {
        let mut from = self.next_head(bytes);
        let mut to = from;
        // The frame that others are joined to: where it lies, its stream, and of how many it is made.
        let mut first = None;
        while let Some([a, b, c, kind, flags, stream @ ..]) = head(bytes, from) {
            let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
            let next = from + FrameWalk::HEAD + length;
            if next > bytes.len() {
                break;
            }
            let is_short = kind == DATA && flags == 0 && (1..=SHORT_BYTES).contains(&length);
            first = match first.filter(|_| is_short) {
                Some((at, of, count)) if of == stream && count < JOINED_FRAMES => {
                    set_length(bytes, at, to - at - FrameWalk::HEAD + length);
                    from += FrameWalk::HEAD;
                    Some((at, of, count + 1))
                }
                _ => is_short.then_some((to, stream, 1)),
            };
            if to < from {
                bytes.copy_within(from..next, to);
            }
            to += next - from;
            from = next;
        }
        if to < from {
            bytes.drain(to..from);
        }
    }

    /// How many of these bytes, which are to pass next, lie before the next head.
    fn next_head(&self, bytes: &[u8]) -> usize {
        if self.known == 0 {
            return self.rest;
        }
        let missing = FrameWalk::LENGTH - self.known;
        let length = bytes
            .iter()
            .take(missing)
            .fold(self.length, |length, byte| length << 8 | usize::from(*byte));
        missing + FrameWalk::REST + length
    }
}

/// The head that begins here, if it is there.
fn head(bytes: &[u8], at: usize) -> Option<[u8; FrameWalk::HEAD]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Changes the length that the head here begins with.
fn set_length(bytes: &mut [u8], at: usize, length: usize) {
    let place = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    if let (Some(place), Ok(length)) = (place, u32::try_from(length)) {
        let [_, bytes @ ..] = length.to_be_bytes();
        *place = bytes;
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [
            length[1], length[2], length[3], kind, flags, 0, 0, 0, stream,
        ];
        [&head, payload].concat()
    }

    /// What comes of bytes that are read in pieces of so many, each joined and passed on as far as a turn goes.
    fn joined(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut walk = FrameWalk::after(0);
        let mut passed = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut piece = piece.to_vec();
            walk.join(&mut piece);
            while !piece.is_empty() {
                walk.turn();
                let count = walk.pass(&piece);
                passed.extend(piece.drain(..count));
            }
        }
        passed
    }

    /// The frames, as (type, flags, stream, payload).
    fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while let Some(&[a, b, c, kind, flags, _, _, _, stream]) = bytes.first_chunk() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let (frame, rest) = bytes.split_at(9 + length);
            frames.push((kind, flags, stream, frame[9..].to_vec()));
            bytes = rest;
        }
        assert!(bytes.is_empty(), "no frame is cut");
        frames
    }

    #[test]
    fn short_frames_of_one_call_are_joined_and_nothing_else_is() {
        let long = vec![7; SHORT_BYTES + 1];
        let kept = [
            frame(1, 4, 1, b"head"),
            frame(DATA, 0, 1, b"ab"),
            frame(DATA, 0, 3, b"c"),
            frame(DATA, 0, 1, b"d"),
            frame(DATA, 0, 1, b""),
            frame(DATA, 0, 1, b"e"),
            frame(DATA, 1, 1, b"f"),
            frame(DATA, 0, 5, b"g"),
            frame(6, 0, 0, b"question"),
            frame(DATA, 0, 5, b"h"),
            frame(DATA, 8, 5, b"\x01i "),
            frame(DATA, 0, 5, &long),
            frame(DATA, 0, 5, b"j"),
        ]
        .concat();
        assert_eq!(joined(&kept, usize::MAX), kept);
        let apart = [
            frame(DATA, 0, 1, b"a"),
            frame(DATA, 0, 1, b"bc"),
            frame(DATA, 0, 1, b"def"),
            frame(DATA, 0, 3, b"g"),
            frame(DATA, 0, 3, b"h"),
        ]
        .concat();
        let whole = [frame(DATA, 0, 1, b"abcdef"), frame(DATA, 0, 3, b"gh")].concat();
        assert_eq!(joined(&apart, usize::MAX), whole);
    }

    #[test]
    fn so_many_make_one_frame_at_most() {
        let said = frame(DATA, 0, 1, &[7; SHORT_BYTES]).repeat(3 * JOINED_FRAMES - 1);
        let lengths = frames(&joined(&said, usize::MAX))
            .iter()
            .map(|(.., payload)| payload.len())
            .collect::<Vec<_>>();
        let most = 16 * 1024;
        assert_eq!(lengths, [most, most, most - SHORT_BYTES]);
    }

    #[test]
    fn wherever_reads_are_cut_each_call_gets_its_bytes_in_order() {
        let said: Vec<u8> = (0..=255)
            .flat_map(|n: u8| {
                let long = vec![n; usize::from(n) * 10];
                let part = &long[..long.len().min(usize::from(n % 7))];
                [
                    frame(DATA, 0, 1 + n / 9 % 2, part),
                    if n.is_multiple_of(50) {
                        frame(DATA, 0, 1, &long)
                    } else {
                        Vec::new()
                    },
                ]
                .concat()
            })
            .collect();
        let of_call = |bytes: &[u8], call| {
            let of_it = frames(bytes).into_iter().filter(|frame| frame.2 == call);
            of_it.flat_map(|frame| frame.3).collect::<Vec<_>>()
        };
        for piece in (1..50).chain([said.len()]) {
            let passed = joined(&said, piece);
            for call in [1, 2] {
                assert_eq!(
                    of_call(&passed, call),
                    of_call(&said, call),
                    "pieces of {piece}"
                );
            }
        }
    }
}
