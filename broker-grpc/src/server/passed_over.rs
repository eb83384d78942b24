//! What the filters of a consumer passed over, and its subscriber was not told yet.
//!
//! On a topic of which little matches, a message for each look would be most of the traffic that the filter saves: it is said
//! with the next item of the topic, or with the next heartbeat.

use std::collections::HashMap;
use std::sync::Arc;

use footman_broker::{Filtered, Item};

use crate::server::convert;
use crate::wire::Frame;

/// How many records one call may pass over before it is another's turn: some hundred microseconds. A look walks a segment of a
/// topic at most, and is not cut.
pub(crate) const PASSED_IN_A_TURN: u64 = 4_096;

/// By topic: at most one entry for each that the consumer follows.
#[derive(Default)]
pub(crate) struct PassedOver(HashMap<Arc<str>, Filtered>);

impl PassedOver {
    /// Goes on where the last one of its topic ended, if it was not taken.
    pub(crate) fn add(&mut self, filtered: Filtered) {
        let to = filtered.to;
        let topic = Arc::clone(&filtered.topic);
        self.0.entry(topic).or_insert(filtered).to = to;
    }

    /// What is to be said before an item of this topic.
    pub(crate) fn take(&mut self, topic: &str) -> Option<Frame> {
        let filtered = self.0.remove(topic)?;
        convert::item(Item::Filtered(filtered))
    }

    /// What is to be said before the consumer's positions.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Frame> + '_ {
        let all = self.0.drain().map(|(_, filtered)| filtered);
        all.filter_map(|filtered| convert::item(Item::Filtered(filtered)))
    }
}
