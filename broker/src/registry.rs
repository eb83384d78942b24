//! The topics by name, and who waits for a name to appear.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError};

use crate::sync::{AtomicU64, Ordering, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::topic::Topic;
use crate::wait::WaitSet;

/// Names are spread over so many wait lists, so that a creation wakes few that wait for others.
const SHARDS: usize = 64;

/// What is to be woken when a topic of some names is created.
#[derive(Debug)]
pub(crate) struct Births {
    count: AtomicU64,
    pub(crate) waits: WaitSet,
}

impl Births {
    fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            waits: WaitSet::new(),
        }
    }

    /// How many there were: read it, then look for the topic. Unchanged later: nothing to look for.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire) // a topic is in the map before it is counted
    }

    fn add_one(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }
}

#[derive(Debug)]
pub(crate) struct Registry {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    births: Box<[Births]>,
    /// For patterns: of any name.
    all_births: Births,
    hasher: RandomState,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            topics: RwLock::new(HashMap::new()),
            all_births: Births::new(),
            births: (0..SHARDS).map(|_| Births::new()).collect(),
            hasher: RandomState::new(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Arc<str>, Arc<Topic>>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Arc<str>, Arc<Topic>>> {
        self.topics.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().get(name).cloned()
    }

    /// All topics, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        self.read().values().cloned().collect()
    }

    /// All topics, by name.
    pub(crate) fn sorted(&self) -> Vec<Arc<Topic>> {
        let mut topics = self.all();
        topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        topics
    }

    /// The topics that were created after the first `births` ones and whose name is wanted, oldest first;
    /// and how many were created by now.
    pub(crate) fn born_since(
        &self,
        births: u64,
        wanted: impl Fn(&str) -> bool,
    ) -> (Vec<Arc<Topic>>, u64) {
        let topics = self.read();
        let count = self.all_births.count(); // changes under the write lock alone
        let is_new = |topic: &&Arc<Topic>| topic.birth >= births && wanted(&topic.name);
        let mut born: Vec<_> = topics.values().filter(is_new).cloned().collect();
        drop(topics);
        born.sort_unstable_by_key(|topic| topic.birth);
        (born, count)
    }

    /// The topic of that name, or the one that `make` makes of the number of topics that there are and that
    /// there ever were: it is whole before anybody sees it. The flag says whether it was there.
    pub(crate) fn find_or_create<E>(
        &self,
        name: &str,
        make: impl FnOnce(usize, u64) -> Result<Topic, E>,
    ) -> Result<(Arc<Topic>, bool), E> {
        let mut topics = self.write();
        if let Some(topic) = topics.get(name) {
            return Ok((Arc::clone(topic), true));
        }
        let topic = Arc::new(make(topics.len(), self.all_births.count())?);
        topics.insert(Arc::clone(&topic.name), Arc::clone(&topic));
        let named = self.births_of(name);
        named.add_one();
        self.all_births.add_one();
        drop(topics);
        if !crate::twin::is("births_unannounced") {
            named.waits.notify();
        }
        self.all_births.waits.notify();
        Ok((topic, false))
    }

    pub(crate) fn remove(&self, name: &str) -> Option<Arc<Topic>> {
        self.write().remove(name)
    }

    /// Where all creations are announced.
    pub(crate) fn all_births(&self) -> &Births {
        &self.all_births
    }

    /// Where creations of that name are announced.
    pub(crate) fn births_of(&self, name: &str) -> &Births {
        let shard = self.hasher.hash_one(name) as usize % self.births.len();
        &self.births[shard]
    }
}
