//! `ByteRing`: the broadcast ring for records of any length, read as contiguous runs.
//!
//! The mechanism and its proof are the chain's (`chain.rs`); blocks are laid out by `byte_block.rs`;
//! appending is `byte_producer.rs` and `shared_byte_producer.rs`, reading `byte_reader.rs`, waiting `wait.rs`.

use core::fmt;

use crate::byte_block::ByteBlock;
use crate::byte_options::ByteRingOptions;
use crate::byte_producer::ByteProducer;
use crate::byte_reader::ByteReader;
use crate::chain::Chain;
use crate::error::InvalidOptions;
use crate::sync::Arc;

/// A broadcast ring of byte records: the read side, and the factory of readers.
///
/// One [`ByteProducer`] appends, or [many](ByteProducer::share), and never wait for a reader; any number of [`ByteReader`]s read, each at
/// its own position, from any sequence that is kept. A reader that falls behind what is kept is
/// *lapped*: its next read says exactly which sequences it lost.
///
/// Cloning is cheap: all clones are the same ring.
///
/// ```
/// use ringbuf_core::{ByteRing, ByteRingOptions, TryReadError};
///
/// let (mut producer, ring) = ByteRing::new(ByteRingOptions::new().with_max_records(2))?;
/// let mut reader = ring.reader(0);
/// assert_eq!(producer.append(b"one"), 0);
/// producer.append(b"two");
/// producer.append(b"three");
///
/// assert_eq!(reader.try_read(10, 1024).unwrap_err(), TryReadError::Lapped { from: 0, to: 1 });
/// let run = reader.try_read(10, 1024)?;
/// assert_eq!((run.base(), run.len(), run.bytes()), (1, 2, &b"twothree"[..]));
/// assert_eq!(run.get(1), Some(&b"three"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ByteRing {
    pub(crate) chain: Arc<Chain<ByteBlock>>,
}

impl ByteRing {
    /// An empty ring and its only producer, which [`ByteProducer::share`] makes many. Nothing is allocated for records before the first one.
    ///
    /// # Errors
    /// Limits of 0, or segments below 64 B or above 1 GiB.
    #[allow(
        clippy::new_ret_no_self,
        reason = "the ring comes with its only producer"
    )]
    pub fn new(options: ByteRingOptions) -> Result<(ByteProducer, Self), InvalidOptions> {
        Self::starting_at(0, options)
    }

    /// A ring whose first record will be `start`: tests come near the end of the sequences by it.
    #[doc(hidden)]
    pub fn starting_at(
        start: u64,
        options: ByteRingOptions,
    ) -> Result<(ByteProducer, Self), InvalidOptions> {
        options.check()?;
        // The limits are the producer's business: it moves the floor record by record.
        #[cfg_attr(not(feature = "std"), expect(unused_mut, reason = "nobody sleeps"))]
        let mut chain = Chain::new(start, u64::MAX);
        #[cfg(feature = "std")]
        if options.waiting {
            chain.let_readers_sleep();
        }
        let ring = Self {
            chain: Arc::new(chain),
        };
        Ok((ByteProducer::new(ring.clone(), start, options), ring))
    }

    /// The oldest sequence that is kept; [`tail`](Self::tail) when there is none.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.chain.oldest_at(self.chain.tail())
    }

    /// The sequence that the next record will have: what is below it is published.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.chain.tail()
    }

    /// Whether no more records will come: closed, or all producers were dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.chain.is_closed()
    }

    /// Bytes of the records that are kept.
    #[must_use]
    pub fn retained_bytes(&self) -> u64 {
        self.chain.retained_bytes()
    }

    /// Bytes that the ring holds: records, end positions, free room, spare and pinned segments, headers.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.chain.memory_bytes() as u64
    }

    /// A reader at `position`, which can be any: below [`oldest`](Self::oldest), its first read says what is lost; above
    /// [`tail`](Self::tail), it finds nothing until that record comes.
    #[must_use]
    pub fn reader(&self, position: u64) -> ByteReader {
        ByteReader::new(self.clone(), position)
    }
}

impl fmt::Debug for ByteRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.tail();
        f.debug_struct("ByteRing")
            .field("oldest", &self.chain.oldest_at(tail))
            .field("tail", &tail)
            .field("closed", &self.is_closed())
            .field("retained_bytes", &self.retained_bytes())
            .field("memory_bytes", &self.memory_bytes())
            .finish()
    }
}
