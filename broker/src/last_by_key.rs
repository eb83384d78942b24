//! The newest record of each key: one place per key, in the order of the offsets.
//!
//! Pure state under the topic's lock, of topics that ask for it. A key that comes again moves to the end,
//! so what is forgotten first stands in front: noting and forgetting take the same short time however many
//! keys there are, and no key stays of which no record is kept.

use std::hash::RandomState;

use hashlink::LinkedHashMap;

/// Memory of a key beside its bytes: a node with its links, a place in the table, the allocator's share.
pub(crate) const KEY_BYTES: u64 = 96;
/// Up to so many places are kept for keys to come.
const KEPT_PLACES: usize = 64;

/// The keys of one topic.
#[derive(Debug, Default)]
pub(crate) struct LastByKey {
    /// Offsets grow from front to back.
    offsets: LinkedHashMap<Box<[u8]>, u64, RandomState>,
    /// Places that memory is held for.
    places: usize,
    /// Of all keys together.
    bytes: u64,
}

impl LastByKey {
    /// Notes the record at `offset`, above all that were noted before.
    pub(crate) fn note(&mut self, key: &[u8], offset: u64) {
        if let Some(last) = self.offsets.to_back(key) {
            *last = offset;
            return;
        }
        self.bytes += key.len() as u64;
        self.offsets.insert(key.into(), offset);
        self.places = self.places.max(self.offsets.len());
    }

    /// Where the newest record of that key is.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u64> {
        self.offsets.get(key).copied()
    }

    /// Forgets the keys of which no record from `oldest` on is left.
    #[inline]
    pub(crate) fn trim(&mut self, oldest: u64) {
        while self
            .offsets
            .front()
            .is_some_and(|(_, &offset)| offset < oldest)
        {
            if let Some((key, _)) = self.offsets.pop_front() {
                self.bytes -= key.len() as u64;
            }
        }
        if self.places > KEPT_PLACES.max(4 * self.offsets.len()) {
            self.offsets.shrink_to_fit();
            self.places = self.offsets.len();
        }
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.places as u64 * KEY_BYTES + self.bytes
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memory_is_given_back_with_the_keys() {
        let mut last = LastByKey::default();
        for offset in 0..10_000u64 {
            last.note(&offset.to_le_bytes(), offset);
        }
        assert_eq!(last.memory_bytes(), 10_000 * (KEY_BYTES + 8));
        last.trim(9_999);
        assert_eq!(last.memory_bytes(), KEY_BYTES + 8);
        last.trim(10_000);
        assert_eq!((last.memory_bytes(), last.find(b"")), (KEY_BYTES, None));
    }

    proptest! {
        #[test]
        fn it_finds_the_newest_record_that_is_left(
            keys in proptest::collection::vec(0u8..20, 1..300),
            trims in proptest::collection::vec((0usize..300, 0u64..300), 0..5),
        ) {
            let mut last = LastByKey::default();
            let mut oldest = 0;
            for (offset, &key) in keys.iter().enumerate() {
                last.note(&[key], offset as u64);
                for &(_, to) in trims.iter().filter(|(at, _)| *at == offset) {
                    oldest = oldest.max(to.min(offset as u64 + 1));
                    last.trim(oldest);
                }
                for wanted in 0..20 {
                    let kept = oldest as usize..=offset;
                    let newest = kept.rev().find(|&i| keys[i] == wanted).map(|i| i as u64);
                    prop_assert_eq!(last.find(&[wanted]), newest);
                }
            }
        }
    }
}
