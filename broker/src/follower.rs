//! A subscription as its topic knows it: its ledger, and the consumer that is to be woken.
//!
//! The consumer's first follower holds the signal of all of them, so that a consumer of one topic is one
//! allocation. Whether its ledger is free for a subscription is the consumer's business.

use crate::meter::Meter;
use crate::sync::Arc;
use crate::wait::Signal;

#[derive(Debug, Default)]
pub(crate) struct Follower {
    pub(crate) meter: Meter,
    /// Of use in the consumer's first follower alone.
    signal: Signal,
    /// The consumer's first, if it is not this.
    first: Option<Arc<Follower>>,
}

impl Follower {
    /// One more of the consumer whose first is `first`.
    pub(crate) fn beside(first: &Arc<Self>) -> Self {
        Self {
            first: Some(Arc::clone(first)),
            ..Self::default()
        }
    }

    /// Where its consumer is woken.
    #[inline]
    pub(crate) fn signal(&self) -> &Signal {
        self.first
            .as_ref()
            .map_or(&self.signal, |first| &first.signal)
    }
}
