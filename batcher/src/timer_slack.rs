//! Makes a thread's timeouts exact. Owned by the threads of this crate; never touches another's.

/// Asks the system not to delay the calling thread's timeouts in order to wake up less often.
///
/// Linux lets every timeout of an ordinary thread slip by up to 50 µs; a linger is to be exact. The
/// setting belongs to the thread alone (proc(5), `/proc/pid/timerslack_ns`). Where it cannot be
/// changed, lingers end up to that much later and nothing else differs.
#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
pub(crate) fn make_timeouts_exact() {
    // The link is `PID/task/TID`; the file is only found under `/proc/TID`.
    let Ok(link) = std::fs::read_link("/proc/thread-self") else {
        return;
    };
    if let Some(thread) = link.file_name().and_then(|name| name.to_str()) {
        // Without it, timeouts are a little later: not worth an error.
        drop(std::fs::write(format!("/proc/{thread}/timerslack_ns"), "1"));
    }
}

#[cfg(any(not(target_os = "linux"), loom, shuttle))]
pub(crate) const fn make_timeouts_exact() {}
