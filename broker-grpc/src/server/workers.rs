//! The threads that serve connections, each with a runtime of its own, and the dealing of connections among them.
//!
//! A connection stays where it was dealt: its calls run on the thread that drives it, so that one turn of the connection
//! takes in what many calls have to say, and nothing is handed from one core to another. On one scheduler for all threads
//! each answer of a short call was a hand-over and a write of its own.

use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, spawn_blocking};

/// The threads of one server. Dropped, they end on their own, with all that runs on them.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Each of its connections has a share.
    connections: Arc<()>,
    /// Dropped to end it.
    _stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Workers {
    /// Starts `count` threads; as many as there are cores if it is 0.
    pub(crate) fn start(count: usize) -> io::Result<Workers> {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        let count = NonZero::new(count).map_or_else(cores, NonZero::get);
        (0..count)
            .map(Worker::start)
            .collect::<io::Result<_>>()
            .map(Workers)
    }

    /// Has the thread with the fewest connections drive this one.
    pub(crate) fn deal(
        &self,
        connections: &mut JoinSet<()>,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let idlest = self
            .0
            .iter()
            .min_by_key(|worker| Arc::strong_count(&worker.connections));
        let Some(worker) = idlest else { return };
        let share = Arc::clone(&worker.connections);
        let connection = async move {
            connection.await;
            drop(share);
        };
        connections.spawn_on(connection, &worker.runtime);
    }

    /// Ends the threads, and waits until they have ended.
    pub(crate) async fn stop(self) {
        let threads: Vec<_> = self.0.into_iter().map(|worker| worker.thread).collect();
        let joined = spawn_blocking(|| threads.into_iter().try_for_each(thread::JoinHandle::join));
        if !matches!(joined.await, Ok(Ok(()))) {
            tracing::error!("a thread of the server panicked");
        }
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Worker> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name(format!("footman-{number}"))
            .spawn(move || {
                // An error says that it was dropped: that is the sign.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Worker {
            runtime: handle,
            connections: Arc::new(()),
            _stop: stop,
            thread,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn connections_are_dealt_to_the_thread_with_the_fewest() {
        let workers = Workers::start(3).unwrap();
        let mut connections = JoinSet::new();
        let threads = Arc::new(Mutex::new(Vec::new()));
        let mut hang_up = Vec::new();
        for _ in 0..9 {
            let (end, ended) = oneshot::channel::<()>();
            let threads = Arc::clone(&threads);
            hang_up.push(end);
            workers.deal(&mut connections, async move {
                threads.lock().unwrap().push(thread::current().id());
                let _ = ended.await;
            });
        }
        drop(hang_up);
        while connections.join_next().await.is_some() {}
        let mut threads = threads.lock().unwrap().clone();
        assert_eq!(threads.len(), 9);
        threads.sort_by_key(|id| format!("{id:?}"));
        let sizes: Vec<_> = threads.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
        assert_eq!(sizes, [3, 3, 3]);
        workers.stop().await;
    }

    #[tokio::test]
    async fn stopping_ends_what_still_runs() {
        let workers = Workers::start(1).unwrap();
        let mut connections = JoinSet::new();
        let (held, gone) = oneshot::channel::<()>();
        workers.deal(&mut connections, async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        workers.stop().await;
        assert!(gone.await.is_err(), "dropped with its thread");
    }
}
