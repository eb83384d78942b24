//! What can go wrong, one enum per operation. Whatever was refused comes back inside its error.

/// Options that cannot work, found before anything starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// A batch of no items never closes; ask for at least 1.
    #[error("max_items must be at least 1")]
    ZeroMaxItems,
    /// A batch of no bytes never closes; ask for at least 1.
    #[error("max_bytes must be at least 1")]
    ZeroMaxBytes,
}
