//! What all calls of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use footman_broker::Broker;

use crate::room::Room;
use crate::server::calls::Calls;
use crate::server::greetings::Greetings;
use crate::server::limits::Limits;
use crate::server::status::Failure;
use crate::server::web::Origins;

/// What all calls of a server share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) broker: Broker,
    pub(crate) calls: Arc<Calls>,
    pub(crate) greetings: Greetings,
    pub(crate) limits: Limits,
    /// Of the requests that came in part.
    pub(crate) unfinished: Arc<Room>,
    pub(crate) origins: Origins,
    pub(crate) heartbeat: Duration,
    pub(crate) started: SystemTime,
    pub(crate) connections: AtomicUsize,
    pub(crate) subscriptions: AtomicUsize,
}

/// A place among the things counted, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    state: Arc<State>,
    of: fn(&State) -> &AtomicUsize,
}

impl Place {
    /// A place if fewer than `max` are taken.
    fn take(state: &Arc<State>, of: fn(&State) -> &AtomicUsize, max: usize) -> Option<Place> {
        let place = Place {
            state: Arc::clone(state),
            of,
        };
        let taken = of(state).fetch_add(1, Ordering::Relaxed);
        (taken < max).then_some(place)
    }

    pub(crate) fn connection(state: &Arc<State>) -> Option<Place> {
        Place::take(
            state,
            |state| &state.connections,
            state.limits.max_connections,
        )
    }

    pub(crate) fn subscription(state: &Arc<State>) -> Result<Place, Failure> {
        let max = state.limits.max_subscriptions;
        Place::take(state, |state| &state.subscriptions, max)
            .ok_or_else(|| Failure::too_many_subscriptions(max))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.of)(&self.state).fetch_sub(1, Ordering::Relaxed);
    }
}
