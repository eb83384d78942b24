//! A value alone on its cache lines, so that a neighbour's writes do not take it away.

use core::ops::Deref;

/// Aligned to 128 bytes: the line pair that x86 prefetches together, one line of Apple's cores.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
