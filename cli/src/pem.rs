//! Files of certificates and keys.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// What is in such a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
