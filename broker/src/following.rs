//! The patterns of one consumer: which topics it takes up as they appear.

use std::sync::Arc;

use crate::error::{NotSubscribed, SubscribeError};
use crate::follower::Follower;
use crate::options::MAX_SUBSCRIPTIONS;
use crate::pattern::{check_pattern, matches};
use crate::registry::Registry;
use crate::start::StartAt;
use crate::sync;
use crate::topic::Topic;
use crate::wait::Seat;

/// Patterns, and up to where the broker's topics have been looked at.
#[derive(Debug, Default)]
pub(crate) struct Following {
    patterns: Vec<Arc<str>>,
    /// Topics created when the registry was last looked at.
    births: u64,
    /// Among those that are woken by every creation; taken at the first wait.
    seat: Option<Seat>,
    /// Topics that were not taken up because the consumer follows as many as it may.
    pub(crate) passed_over: u64,
}

impl Following {
    /// Checks a pattern that is to be followed.
    pub(crate) fn check(&self, pattern: &str, start: StartAt) -> Result<(), SubscribeError> {
        check_pattern(pattern)?;
        if self.patterns.iter().any(|p| **p == *pattern) {
            return Err(SubscribeError::AlreadySubscribed {
                topic: pattern.into(),
            });
        }
        if self.patterns.len() >= MAX_SUBSCRIPTIONS {
            return Err(SubscribeError::TooManySubscriptions);
        }
        match start {
            StartAt::Earliest | StartAt::Latest | StartAt::Timestamp(_) | StartAt::Last(_) => {
                Ok(())
            }
            StartAt::Offset(_) | StartAt::OffsetIn { .. } | StartAt::Resume { .. } => {
                Err(SubscribeError::OffsetOfPattern)
            }
        }
    }

    /// Follows one more, after the topics that there are were looked at, when `births` had been created.
    pub(crate) fn add(&mut self, pattern: &str, births: u64) {
        if self.patterns.is_empty() {
            self.births = births; // other patterns have their look at what came since yet to come
        }
        self.patterns.push(pattern.into());
    }

    pub(crate) fn remove(&mut self, pattern: &str) -> Result<(), NotSubscribed> {
        let at = self.patterns.iter().position(|p| **p == *pattern);
        self.patterns
            .remove(at.ok_or_else(|| NotSubscribed::new(pattern))?);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, name))
    }

    /// Topics that match and that were created since the last look; mostly none, by one load.
    #[inline]
    pub(crate) fn newborn(&mut self, registry: &Registry) -> Vec<Arc<Topic>> {
        if self.patterns.is_empty() || registry.all_births().count() == self.births {
            return Vec::new();
        }
        let (born, births) = registry.born_since(self.births, |name| self.matches(name));
        self.births = births;
        born
    }

    /// Has `follower`'s consumer woken when a topic is created.
    pub(crate) fn arm(&mut self, registry: &Registry, follower: &sync::Arc<Follower>) {
        if !self.is_empty() {
            let waits = &registry.all_births().waits;
            waits.arm(self.seat.get_or_insert_with(|| waits.join(follower)));
        }
    }

    pub(crate) fn leave(&mut self, registry: &Registry) {
        if let Some(seat) = self.seat.take() {
            registry.all_births().waits.leave(&seat);
        }
    }
}
