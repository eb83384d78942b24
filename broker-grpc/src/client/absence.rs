//! Topics that a subscriber follows and that are not there: waits for one of them to be created again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::client::backoff::Backoff;
use crate::client::connection::Connection;
use crate::proto;

/// Resolves when one of the topics is there. Asks on the session's own connection, and no longer than that is wanted.
#[derive(Debug)]
pub(crate) struct Absence(JoinHandle<()>);

impl Absence {
    pub(crate) fn watch(connection: Arc<Connection>, topics: Vec<Arc<str>>) -> Self {
        Absence(tokio::spawn(async move {
            let mut backoff = Backoff::default();
            loop {
                sleep(backoff.next()).await;
                for topic in &topics {
                    if exists(&connection, topic).await {
                        return;
                    }
                }
            }
        }))
    }
}

impl Future for Absence {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Should the task have failed, a new session finds out what there is.
        let _ = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(())
    }
}

impl Drop for Absence {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whatever goes wrong with the connection, its session sees too.
async fn exists(connection: &Connection, topic: &str) -> bool {
    let request = proto::GetTopicRequest {
        name: topic.to_owned(),
    };
    let topic = connection.exchange("/footman.v1.Admin/GetTopic", &request);
    topic.await.is_ok()
}
