//! A subscriber: the items of several topics, in order, over as many connections as it takes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use footman_broker::{Epoch, Item, StartAt, SubscribeOptions};
use hyper::body::Incoming;
use prost::Message as _;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Status;

use crate::body::One;
use crate::client::absence::Absence;
use crate::client::backoff::Backoff;
use crate::client::connection::{Connection, Endpoint};
use crate::client::error::{ServerError, SubscribeError};
use crate::client::event::{ConnectionEvent, Events};
use crate::client::followed::Followed;
use crate::client::received::{Received, received};
use crate::messages::Messages;
use crate::proto;
use crate::reason;
use crate::wire::Frame;

/// Sets up a [`Subscriber`]; made by [`Client::subscriber`](crate::Client::subscriber).
#[derive(Debug, Clone)]
#[must_use]
pub struct SubscriberBuilder {
    endpoint: Endpoint,
    topics: Vec<Followed>,
    request: proto::SubscribeRequest,
    heartbeat: Duration,
    events: Events,
}

/// How often an idle server is heard of.
const HEARTBEAT: Duration = Duration::from_secs(10);

impl SubscriberBuilder {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        SubscriberBuilder {
            endpoint,
            topics: Vec::new(),
            request: proto::SubscribeRequest::default(),
            heartbeat: HEARTBEAT,
            events: Events::default(),
        }
    }

    /// Follows a topic for ever, from `start` on.
    pub fn topic(self, name: &str, start: StartAt) -> Self {
        self.topic_with(name, start.into())
    }

    /// Follows a topic, perhaps up to a stop, perhaps not all its records.
    pub fn topic_with(mut self, name: &str, options: SubscribeOptions) -> Self {
        self.topics.push(Followed::new(name, options));
        self
    }

    /// The most records in one item; 0: the server's default.
    pub fn max_batch_records(mut self, records: u32) -> Self {
        self.request.max_batch_records = records;
        self
    }

    /// The most bytes of records in one item, a larger single record apart; 0: the server's default, 256 KiB.
    pub fn max_batch_bytes(mut self, bytes: u32) -> Self {
        self.request.max_batch_bytes = bytes;
        self
    }

    /// Lets the server wait until so many bytes are there, [`max_wait`](Self::max_wait) at the longest.
    pub fn min_bytes(mut self, bytes: u32) -> Self {
        self.request.min_bytes = bytes;
        self
    }

    /// How long the server may keep records back for [`min_bytes`](Self::min_bytes). Default 0: not at all.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.request.max_wait_us = u32::try_from(wait.as_micros()).unwrap_or(u32::MAX);
        self
    }

    /// How often an idle server says that it is alive, 100 ms to 60 s. Default 10 s. After three times as long without a word
    /// the connection counts as lost.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every.clamp(Duration::from_millis(100), Duration::from_secs(60));
        self
    }

    /// What the server shows of this subscriber; at most 200 bytes.
    pub fn label(mut self, label: &str) -> Self {
        label.clone_into(&mut self.request.label);
        self
    }

    /// Calls `listener` when the connection is lost, tried again and restored. It must not block.
    pub fn on_connection_change(
        mut self,
        listener: impl Fn(&ConnectionEvent) + Send + Sync + 'static,
    ) -> Self {
        self.events = Events::new(listener);
        self
    }

    /// Connects, and waits until the server follows every topic.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or refuses: a bad name, an unknown topic, an offset past the end, another epoch, a filter that is too long.
    pub async fn build(self) -> Result<Subscriber, SubscribeError> {
        let mut subscriber = Subscriber {
            endpoint: self.endpoint,
            topics: self.topics,
            request: self.request,
            silence: self.heartbeat * 3,
            events: self.events,
            session: None,
            backoff: Backoff::default(),
            retry_at: None,
        };
        subscriber.request.heartbeat_ms =
            u32::try_from(self.heartbeat.as_millis()).unwrap_or(u32::MAX);
        let connection = subscriber.endpoint.connect().await?;
        let mut session = subscriber
            .open(Arc::new(connection))
            .await
            .map_err(|status| ServerError::of(&status))?;
        while subscriber.topics.iter().any(|topic| topic.place.is_none()) {
            let message = session
                .messages
                .next()
                .await
                .map_err(|status| ServerError::of(&status))?;
            let message = message
                .ok_or_else(|| ServerError::protocol("the server ended the stream at once"))?;
            if subscriber.take(message)?.is_some() {
                return Err(ServerError::protocol(
                    "the server sent an item before saying where it starts",
                )
                .into());
            }
        }
        subscriber.session = Some(session);
        Ok(subscriber)
    }
}

#[derive(Debug)]
struct Session {
    /// Keeps the connection open.
    _connection: Arc<Connection>,
    messages: Messages<Incoming>,
    /// For the topics that it does without.
    absence: Option<Absence>,
}

/// What a session has to say.
enum Heard {
    Message(Bytes),
    /// A topic that it does without is there.
    Return,
    Break(ServerError),
}

impl Session {
    /// Cancel-safe, as far as messages are.
    async fn hear(&mut self, silence: Duration) -> Heard {
        let heard = timeout(silence, self.messages.next());
        let heard = match &mut self.absence {
            None => heard.await,
            Some(absence) => tokio::select! {
                biased;
                heard = heard => heard,
                () = absence => return Heard::Return,
            },
        };
        match heard {
            Ok(Ok(Some(message))) => Heard::Message(message),
            Ok(Ok(None)) => Heard::Break(ServerError::protocol("the server ended the stream")),
            Ok(Err(status)) => Heard::Break(ServerError::of(&status)),
            Err(_) => Heard::Break(ServerError::protocol(format!(
                "nothing heard for {silence:?}"
            ))),
        }
    }
}

/// Follows topics of a server: the same items, in the same order, as a
/// [`Consumer`](footman_broker::Consumer) of the embedded broker gives.
///
/// When the connection breaks, the server shuts down or falls silent, it connects again, with growing pauses and for as long
/// as it takes, and goes on where it stopped: no record is given twice or left out without an
/// [`Item::Lost`]. A server that was restarted shows as [`Item::Reset`], as does a topic that was deleted and created again; until
/// it is, the others are followed without it. Where there are no others, a connection that breaks stays away.
///
/// What is received and not yet asked for stays in the connection's windows, 8 MiB at most; a subscriber that is not polled is
/// lapped or ended by the server, resumes when it is polled again, and is told what it lost.
#[derive(Debug)]
pub struct Subscriber {
    endpoint: Endpoint,
    topics: Vec<Followed>,
    request: proto::SubscribeRequest,
    silence: Duration,
    events: Events,
    session: Option<Session>,
    backoff: Backoff,
    retry_at: Option<Instant>,
}

impl Subscriber {
    /// The next item; `None` when every topic has reached its stop.
    ///
    /// Waits for as long as it takes. Cancel-safe: a cancelled call has taken nothing.
    ///
    /// # Errors
    ///
    /// Only what trying again cannot help: the server refuses to go on (the topic is gone and is not created on use, say).
    /// The same call can be made again later.
    pub async fn next(&mut self) -> Result<Option<Item>, SubscribeError> {
        while !self.is_finished() {
            let Some(session) = &mut self.session else {
                self.reconnect().await?;
                continue;
            };
            match session.hear(self.silence).await {
                Heard::Message(message) => match self.take(message) {
                    Ok(Some(item)) => return Ok(Some(item)),
                    Ok(None) => {}
                    Err(error) => self.lost(error)?,
                },
                Heard::Return => self.session = None,
                Heard::Break(error) => self.lost(error)?,
            }
        }
        Ok(None)
    }

    /// Whether every topic has reached its stop.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.topics.iter().all(|topic| topic.is_over)
    }

    /// For each topic its name, its epoch, and the first offset not yet given out.
    pub fn positions(&self) -> impl Iterator<Item = (&Arc<str>, Epoch, u64)> {
        self.topics.iter().filter_map(|topic| {
            let (epoch, next_offset) = topic.place?;
            Some((&topic.name, epoch, next_offset))
        })
    }

    /// Gives up the session; an error that trying again cannot help is the caller's.
    fn lost(&mut self, error: ServerError) -> Result<(), SubscribeError> {
        self.session = None;
        if !error.is_retryable() && self.deleted(&error).is_none() {
            return Err(error.into());
        }
        self.retry(error.to_string(), error.retry_after);
        Ok(())
    }

    /// The topic that the server does not know, if the subscriber was told that it was deleted.
    fn deleted(&mut self, error: &ServerError) -> Option<&mut Followed> {
        let unknown = error.metadata.get("topic");
        let unknown = unknown.filter(|_| error.reason == reason::UNKNOWN_TOPIC)?;
        let mut topics = self.topics.iter_mut();
        topics.find(|topic| topic.is_deleted && *topic.name == **unknown)
    }

    fn retry(&mut self, message: String, retry_after: Option<Duration>) {
        let retry_in = self.backoff.next().max(retry_after.unwrap_or_default());
        self.retry_at = Some(Instant::now() + retry_in);
        self.events
            .tell(&ConnectionEvent::Lost { message, retry_in });
    }

    /// One attempt, when its time has come.
    async fn reconnect(&mut self) -> Result<(), SubscribeError> {
        if let Some(at) = self.retry_at {
            sleep_until(at).await;
        }
        let connection = match self.endpoint.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                self.retry(error.to_string(), None);
                return Ok(());
            }
        };
        let opened = timeout(self.silence, self.open_without_absent(connection)).await;
        let silent = || ServerError::of(&Status::unavailable("the server does not answer"));
        match opened.unwrap_or_else(|_| Err(silent())) {
            Ok(session) => {
                self.session = Some(session);
                self.retry_at = None;
                let attempts = self.backoff.attempts();
                // None: it was left for a topic that came back.
                if attempts > 0 {
                    self.events.tell(&ConnectionEvent::Restored { attempts });
                }
                Ok(())
            }
            Err(error) => self.lost(error),
        }
    }

    /// Goes on without the deleted topics that have not come back; without any topic it cannot.
    async fn open_without_absent(
        &mut self,
        connection: Connection,
    ) -> Result<Session, ServerError> {
        for topic in &mut self.topics {
            topic.is_absent = false;
        }
        let connection = Arc::new(connection);
        loop {
            let error = match self.open(Arc::clone(&connection)).await {
                Ok(session) => return Ok(session),
                Err(status) => ServerError::of(&status),
            };
            match self.deleted(&error) {
                Some(topic) if !topic.is_absent => topic.is_absent = true,
                _ => return Err(error),
            }
            if !self.topics.iter().any(Followed::is_wanted) {
                return Err(error);
            }
        }
    }

    async fn open(&self, connection: Arc<Connection>) -> Result<Session, Status> {
        let topics = self
            .topics
            .iter()
            .filter(|topic| topic.is_wanted())
            .map(Followed::request);
        let request = proto::SubscribeRequest {
            topics: topics.collect(),
            ..self.request.clone()
        };
        let body = One::<false>(Some(Frame::Message(request.encode_to_vec().into())));
        let messages = connection
            .call("/footman.v1.Broker/Subscribe", body)
            .await?;
        let absent = self.topics.iter().filter(|topic| topic.is_absent);
        let absent: Vec<_> = absent.map(|topic| Arc::clone(&topic.name)).collect();
        let absence = (!absent.is_empty()).then(|| Absence::watch(Arc::clone(&connection), absent));
        Ok(Session {
            _connection: connection,
            messages,
            absence,
        })
    }

    /// Takes one response in; what is not for the caller gives `None`.
    fn take(&mut self, message: Bytes) -> Result<Option<Item>, ServerError> {
        match received(&message)? {
            Received::Item(item) => {
                let topic = followed(&mut self.topics, item.topic())?;
                topic.advance(&item)?;
                self.backoff.reset();
                Ok(Some(item))
            }
            Received::Started(started) => {
                let topic = followed(&mut self.topics, &started.topic)?;
                topic.begin(&started)?;
                Ok(None)
            }
            Received::Nothing => {
                self.backoff.reset();
                Ok(None)
            }
        }
    }
}

fn followed<'t>(topics: &'t mut [Followed], name: &str) -> Result<&'t mut Followed, ServerError> {
    let topic = topics.iter_mut().find(|topic| *topic.name == *name);
    topic.ok_or_else(|| {
        ServerError::protocol(format!(
            "the server sent topic {name:?}, which was not asked for"
        ))
    })
}
