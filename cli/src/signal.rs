//! Ctrl-C and SIGTERM: the first asks the command to stop, the second ends the process at once.

use std::process;

use anyhow::{Context, Result};
use tokio::sync::watch;

use crate::outcome::INTERRUPTED;

/// Tells whether a stop was asked for. Clones tell the same.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    asked: watch::Receiver<bool>,
}

impl Stop {
    /// Takes over the signals of the process.
    pub(crate) fn listen() -> Result<Stop> {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            signals.next().await;
            // With nobody left to tell, the process is ending by itself.
            let _ = ask.send(true);
            signals.next().await;
            process::exit(INTERRUPTED.into());
        });
        Ok(Stop { asked })
    }

    /// Whether a stop was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Resolves once a stop was asked for. Cancel-safe.
    pub(crate) async fn asked(&mut self) {
        // The sender lives as long as its task, which ends only with the process.
        if self.asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
#[derive(Debug)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
