//! A server whose process is suspended, as a laptop's lid or a machine's move does it, and goes on.

use super::case::{Case, Run, Watched};
use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::thread;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "pause",
        what: "SIGSTOP for 30 s, and SIGCONT: nothing comes twice, every loss is told",
        is_quick: true,
        run: Box::new(run),
    }]
}

fn run(run: &Run) -> Result<String> {
    let pause = run.seconds(30);
    let watched = Watched::start(run)?;
    let server = i32::try_from(watched.server.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("a process")?;
    kill_process(server, Signal::STOP)?;
    thread::sleep(pause);
    kill_process(server, Signal::CONT)?;
    // It catches up first.
    watched.healthy.watch(run.seconds(5), || Ok(()))?;
    let found = watched.under(run.seconds(5))?;
    Ok(format!("{found}  suspended for {pause:?}\n"))
}
