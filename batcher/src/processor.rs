//! What a processor gets and gives: a batch, and the replies to its items.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// A batch, lent to the processor: a slice of items.
///
/// The batcher keeps the items until the processor has ended, so that an error or a panic loses
/// none. A processor that needs them owned takes each with [`std::mem::take`] (or takes an
/// `Option`); what it took so, a failure handler no longer sees.
pub struct Batch<T> {
    pub(crate) items: Vec<T>,
    pub(crate) attempt: u32,
}

impl<T> Batch<T> {
    /// Which attempt this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> DerefMut for Batch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Batch<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter_mut()
    }
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("items", &self.items.len())
            .field("attempt", &self.attempt)
            .finish()
    }
}

/// What a processor returns on success: `()` if items have no reply of their own, or a `Vec` with
/// one reply for each item, in order.
pub trait Replies {
    /// What the ticket of a submitted item gives.
    type Reply: Send + 'static;

    /// One reply for each of `items` items.
    fn into_replies(self, items: usize) -> Vec<Self::Reply>;
}

impl Replies for () {
    type Reply = ();

    fn into_replies(self, items: usize) -> Vec<()> {
        vec![(); items]
    }
}

impl<R: Send + 'static> Replies for Vec<R> {
    type Reply = R;

    fn into_replies(self, _items: usize) -> Self {
        self
    }
}
