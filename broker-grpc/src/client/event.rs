//! What happens to a connection, for those who want to show it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What happened to the connection of a producer or a subscriber. Its user need do nothing about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// The connection broke, or an attempt to restore it failed.
    Lost {
        /// Why, for people.
        message: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// There is a connection again.
    Restored {
        /// How many attempts it took.
        attempts: u32,
    },
}

type Listener = dyn Fn(&ConnectionEvent) + Send + Sync;

/// Whom to tell.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Listener>>);

impl Events {
    pub(crate) fn new(listener: impl Fn(&ConnectionEvent) + Send + Sync + 'static) -> Self {
        Events(Some(Arc::new(listener)))
    }

    pub(crate) fn tell(&self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Lost { message, retry_in } => {
                tracing::debug!(%message, ?retry_in, "connection lost");
            }
            ConnectionEvent::Restored { attempts } => {
                tracing::debug!(attempts, "connection restored");
            }
        }
        if let Some(listener) = &self.0 {
            listener(event);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Events(listener)"
        } else {
            "Events(none)"
        })
    }
}
