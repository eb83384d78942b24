//! The connection to a server: how it is made, and what happens to it, said once on stderr.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use footman_broker_grpc::{Client, ClientOptions, ConnectionEvent};

use crate::args::ServerArgs;
use crate::notice::notice;
use crate::pem;

/// Connects to the server that is asked for, in the way that is asked for.
pub(crate) async fn connect(server: &ServerArgs) -> Result<Client> {
    let mut options = ClientOptions::default();
    if let Some(path) = &server.ca {
        options.tls = options
            .tls
            .with_ca_pem(&pem::read(path)?)
            .with_context(|| format!("--ca {}", path.display()))?;
    }
    if let Some(path) = &server.identity {
        let pem = pem::read(path)?;
        options.tls = options
            .tls
            .with_identity_pem(&pem, &pem)
            .with_context(|| format!("--identity {}", path.display()))?;
    }
    Ok(Client::connect_with(&server.address, options).await?)
}

/// A listener that says what happens to the connection to `server`, unless it is to be `quiet`.
pub(crate) fn listener(
    server: &str,
    quiet: bool,
) -> impl Fn(&ConnectionEvent) + Send + Sync + 'static {
    let server = server.to_owned();
    let troubles = Mutex::new(Troubles::default());
    move |event| {
        let mut troubles = troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            _ if quiet => {}
            ConnectionEvent::Lost { message, .. } if troubles.begin(message, Instant::now()) => {
                notice(&format!("interrupted: {message}; trying {server} again"));
            }
            ConnectionEvent::Restored { .. } if troubles.end(Instant::now()) => {
                notice(&format!("connected to {server} again"));
            }
            _ => {}
        }
    }
}

/// A connection that is lost again for the same reason, so soon after it was restored, was never well: a server that refuses what
/// it is sent (its topic is paused, say) takes every new connection.
const RELAPSE: Duration = Duration::from_secs(5);

/// What was said of a connection: of each trouble its beginning and its end, once, however often it is tried meanwhile.
#[derive(Debug, Default)]
struct Troubles {
    last: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    message: String,
    /// When it ended.
    ended: Option<Instant>,
    /// That it ended was said before.
    has_ended_before: bool,
}

impl Troubles {
    /// Takes note that the connection was lost at `now`; whether that is news.
    fn begin(&mut self, message: &str, now: Instant) -> bool {
        if let Some(last) = &mut self.last {
            match last.ended {
                None => return false,
                Some(ended) if last.message == message && now.duration_since(ended) < RELAPSE => {
                    last.ended = None;
                    last.has_ended_before = true;
                    return false;
                }
                Some(_) => {}
            }
        }
        self.last = Some(Trouble {
            message: message.to_owned(),
            ended: None,
            has_ended_before: false,
        });
        true
    }

    /// Takes note that the connection was restored at `now`; whether that is news.
    fn end(&mut self, now: Instant) -> bool {
        match &mut self.last {
            Some(last) if last.ended.is_none() => {
                last.ended = Some(now);
                !last.has_ended_before
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_said_once_however_often_it_is_tried() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut troubles = Troubles::default();
        assert!(!troubles.end(start), "there was none");
        assert!(troubles.begin("refused", at(0)));
        assert!(!troubles.begin("timed out", at(1)), "another attempt");
        assert!(troubles.end(at(2)));
        assert!(!troubles.end(at(3)), "it has ended");
        for second in 3..60 {
            assert!(!troubles.begin("refused", at(second)), "a relapse");
            assert!(!troubles.end(at(second)));
        }
        assert!(troubles.begin("reset", at(60)), "another reason");
        assert!(troubles.end(at(61)));
        assert!(troubles.begin("reset", at(66)), "the same, later");
    }
}
