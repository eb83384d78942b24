//! Which records of a topic a subscription is given, by their key.

use bytes::Bytes;

use crate::decoding::{read_body, record};
use crate::error::SubscribeError;

/// The longest key, or beginning of one, that a [`Filter`] may have.
pub const MAX_FILTER_BYTES: usize = 256;

/// Which records of a topic a subscription is given: the others are [passed over](crate::Item::Filtered) and
/// counted. A record without a key matches none.
///
/// The subscription looks at every record on its own; a producer does no more for it than for any other.
///
/// ```
/// use footman_broker::{Broker, BrokerOptions, Filter, Item, Record, StartAt, SubscribeOptions};
///
/// let broker = Broker::new(BrokerOptions::default())?;
/// let keys = ["user-7", "user-7", "order-1", "user-8"];
/// let batch = keys.map(|key| Record::new("changed").with_key(key));
/// broker.producer("events")?.produce_batch(&batch)?;
///
/// let mut consumer = broker.consumer();
/// let users = SubscribeOptions::new(StartAt::Earliest).with_filter(Filter::KeyPrefix("user-".into()));
/// consumer.subscribe_with("events", users)?;
/// let (mut given, mut filtered) = (Vec::new(), 0);
/// while let Some(item) = consumer.try_poll() {
///     match item {
///         Item::Records(records) => given.extend(records.iter().map(|record| record.offset)),
///         Item::Filtered(passed) => filtered += passed.records(),
///         other => panic!("{other:?}"),
///     }
/// }
/// assert_eq!((given, filtered), (vec![0, 1, 3], 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Records with this key, at most [`MAX_FILTER_BYTES`] long. An empty key is one.
    Key(Bytes),
    /// Records whose key begins with this, at most [`MAX_FILTER_BYTES`] long. Empty: all that have a key.
    KeyPrefix(Bytes),
}

/// How a run of records begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Whether its records match, or none of them does.
    pub(crate) matches: bool,
    pub(crate) records: usize,
}

impl Filter {
    /// Whether it lets a record with this key through.
    #[must_use]
    pub fn matches(&self, key: Option<&[u8]>) -> bool {
        match (self, key) {
            (_, None) => false,
            (Self::Key(wanted), Some(key)) => key == wanted,
            (Self::KeyPrefix(prefix), Some(key)) => key.starts_with(prefix),
        }
    }

    /// Refuses one that is too long.
    pub(crate) fn check(&self) -> Result<(), SubscribeError> {
        let (Self::Key(bytes) | Self::KeyPrefix(bytes)) = self;
        if bytes.len() > MAX_FILTER_BYTES {
            return Err(SubscribeError::FilterTooLong { len: bytes.len() });
        }
        Ok(())
    }

    /// How far the records at the beginning of a run, framed, are alike, and if they match, within these limits (but one
    /// record at least): it is walked no further than that.
    #[inline(never)] // so that reading without a filter stays small
    pub(crate) fn first_stretch(
        &self,
        run: &[u8],
        max_records: usize,
        max_bytes: usize,
    ) -> Stretch {
        let mut stretch = Stretch {
            matches: false,
            records: 0,
        };
        let mut rest = run;
        while let Ok((body, behind)) = record(rest) {
            let matches = self.matches(read_body(body).key);
            if stretch.records == 0 {
                stretch.matches = matches;
            } else {
                let is_full =
                    stretch.records >= max_records || run.len() - behind.len() > max_bytes;
                if stretch.matches != matches || (matches && is_full) {
                    break;
                }
            }
            stretch.records += 1;
            rest = behind;
        }
        stretch
    }
}
