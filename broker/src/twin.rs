//! Faults that a run can be given, to show that the models see them.

/// Whether this run is of the twin `name`: in a build with `--cfg twins`, the environment chooses one
/// (`FOOTMAN_TWIN=footman-broker:name`). In every other build there are none.
#[cfg(twins)]
pub(crate) fn is(name: &str) -> bool {
    static TWIN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let twin = TWIN.get_or_init(|| std::env::var("FOOTMAN_TWIN").unwrap_or_default());
    twin.strip_prefix("footman-broker:") == Some(name)
}

#[cfg(not(twins))]
#[inline(always)]
pub(crate) const fn is(_: &str) -> bool {
    false
}
