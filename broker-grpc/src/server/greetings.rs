//! Connections whose peers have not said yet what they speak. Where there is no place left, the one that has been silent the longest
//! gives its place to the next that comes: peers who hold places by silence keep nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::server::state::{Place, State};

/// All of one server's, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Greetings(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_number: BTreeMap<u64, (Place, oneshot::Sender<()>)>,
}

/// One of them, as it knows itself. It is no longer among them when this is dropped.
#[derive(Debug)]
pub(crate) struct Greeting {
    state: Arc<State>,
    number: u64,
    /// Ends when its place is given away.
    pub(crate) given_away: oneshot::Receiver<()>,
}

impl Greetings {
    /// Takes the place of the one that came first, which ends.
    pub(crate) fn give_away(&self) -> Option<Place> {
        let first = self.lock().by_number.pop_first();
        first.map(|(_number, (place, _end))| place)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Greeting {
    /// A connection has come, and has a place.
    pub(crate) fn begin(state: &Arc<State>, place: Place) -> Greeting {
        let (end, given_away) = oneshot::channel();
        let mut waiting = state.greetings.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.by_number.insert(number, (place, end));
        Greeting {
            state: Arc::clone(state),
            number,
            given_away,
        }
    }

    /// The peer has spoken: the place, unless that is another's by now.
    pub(crate) fn end(self) -> Option<Place> {
        self.take_place()
    }

    fn take_place(&self) -> Option<Place> {
        let mut waiting = self.state.greetings.lock();
        let taken = waiting.by_number.remove(&self.number);
        taken.map(|(place, _end)| place)
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        drop(self.take_place());
    }
}
