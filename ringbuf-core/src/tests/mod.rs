//! Tests that see private items: the loom models.

mod loom;
