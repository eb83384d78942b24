//! The subscriptions of one consumer, in order: one of them, as most consumers have, without an allocation.

use std::mem;
use std::slice;

use crate::subscription::Subscription;

#[derive(Debug, Default)]
pub(crate) enum Subscriptions {
    #[default]
    None,
    One(Subscription),
    Many(Vec<Subscription>),
}

impl Subscriptions {
    #[inline]
    pub(crate) fn as_slice(&self) -> &[Subscription] {
        match self {
            Self::None => &[],
            Self::One(one) => slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Subscription] {
        match self {
            Self::None => &mut [],
            Self::One(one) => slice::from_mut(one),
            Self::Many(many) => many,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(crate) fn iter(&self) -> slice::Iter<'_, Subscription> {
        self.as_slice().iter()
    }

    pub(crate) fn push(&mut self, subscription: Subscription) {
        *self = match mem::take(self) {
            Self::None => Self::One(subscription),
            Self::One(one) => Self::Many(vec![one, subscription]),
            Self::Many(mut many) => {
                many.push(subscription);
                Self::Many(many)
            }
        };
    }

    /// Takes one out; those behind it move up.
    pub(crate) fn remove(&mut self, at: usize) -> Option<Subscription> {
        match mem::take(self) {
            Self::One(one) if at == 0 => Some(one),
            Self::Many(mut many) if at < many.len() => {
                let removed = many.remove(at);
                *self = Self::Many(many);
                Some(removed)
            }
            others => {
                *self = others;
                None
            }
        }
    }
}
