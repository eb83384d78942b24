//! What this process has used, as Linux's `/proc` says.

use anyhow::{Context as _, Result};
use std::fs;

/// User and system time of all threads, those that ended too, in seconds. The system counts in hundredths.
pub(super) fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat
        .rsplit_once(')')
        .context("/proc/self/stat has a name")?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let mut next = || ticks.next().context("/proc/self/stat is short");
    Ok((next()?? + next()??) as f64 / 100.0)
}

/// Memory that the process has in use, in bytes.
pub(super) fn resident_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("/proc/self/status has VmRSS")?.parse::<u64>()? * 1_024)
}
