//! The client: producers and subscribers with connections of their own, and one shared connection for the rest.

mod absence;
mod backoff;
mod connection;
mod delivery;
mod error;
mod event;
mod fetch;
mod followed;
mod outbox;
mod producer;
mod received;
mod subscriber;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tonic::Status;

use crate::proto;
use crate::tls::ClientTls;
use connection::{Connection, Endpoint};

pub use error::{CallError, ConnectError, ErrorCode, ProduceError, ServerError, SubscribeError};
pub use event::ConnectionEvent;
pub use fetch::Fetched;
pub use producer::{Producer, ProducerBuilder, ProducerReport, Sent};
pub use subscriber::{Subscriber, SubscriberBuilder};
pub use topics::{OffsetInfo, ServerInfo, Subscription, Topic};

/// How long a unary call may take; the longest that the server lets one wait is 60 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(75);

/// How a client connects.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClientOptions {
    /// What it trusts and shows where it speaks TLS.
    pub tls: ClientTls,
}

/// A server, as its user sees it. Cheap to clone.
///
/// Each producer and each subscriber has a connection of its own, so that one that is slow does not hold up the others; the calls
/// of the client itself share one. Needs a tokio runtime.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
    /// The connection of the unary calls, while there is one.
    shared: Arc<Mutex<Option<Arc<Connection>>>>,
}

impl Client {
    /// Connects to a server: `HOST:PORT` or `http://HOST:PORT`, `https://HOST:PORT` with TLS, or `unix:PATH`.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, or does not answer as a Footman server.
    pub async fn connect(server: &str) -> Result<Client, ConnectError> {
        Client::connect_with(server, ClientOptions::default()).await
    }

    /// The same, with options.
    ///
    /// # Errors
    ///
    /// As [`connect`](Client::connect).
    pub async fn connect_with(
        server: &str,
        options: ClientOptions,
    ) -> Result<Client, ConnectError> {
        let client = Client::connect_lazy_with(server, options)?;
        let info: Result<proto::ServerInfoResponse, _> = client
            .unary("/footman.v1.Admin/ServerInfo", &proto::ServerInfoRequest {})
            .await;
        match info {
            Ok(_) => Ok(client),
            Err(CallError::Connect(error)) => Err(error),
            Err(CallError::Server(error)) => Err(ConnectError::NotFootman {
                server: server.to_owned(),
                message: error.to_string(),
            }),
        }
    }

    /// A client that connects when it is first used.
    ///
    /// # Errors
    ///
    /// If the address is not one, or TLS cannot be set up for it.
    pub fn connect_lazy(server: &str) -> Result<Client, ConnectError> {
        Client::connect_lazy_with(server, ClientOptions::default())
    }

    /// The same, with options.
    ///
    /// # Errors
    ///
    /// As [`connect_lazy`](Client::connect_lazy).
    pub fn connect_lazy_with(server: &str, options: ClientOptions) -> Result<Client, ConnectError> {
        Ok(Client {
            endpoint: Endpoint::parse(server, &options.tls)?,
            shared: Arc::default(),
        })
    }

    /// Where the server is: `HOST:PORT`, `https://HOST:PORT` or `unix:PATH`.
    #[must_use]
    pub fn server(&self) -> &str {
        self.endpoint.name()
    }

    /// Sets up a producer for `topic`.
    pub fn producer(&self, topic: &str) -> ProducerBuilder {
        ProducerBuilder::new(self.endpoint.clone(), topic)
    }

    /// Sets up a subscriber.
    pub fn subscriber(&self) -> SubscriberBuilder {
        SubscriberBuilder::new(self.endpoint.clone())
    }

    async fn unary<R: Message + Default>(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<R, CallError> {
        let response = self.exchange(path, request).await?;
        R::decode(response).map_err(|error| {
            ServerError::protocol(format!("the response makes no sense: {error}")).into()
        })
    }

    async fn exchange(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<Bytes, CallError> {
        let connection = self.connection().await?;
        let answer = timeout(CALL_TIMEOUT, connection.exchange(path, request)).await;
        let answer =
            answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("the server does not answer")));
        answer.map_err(|status| ServerError::of(&status).into())
    }

    async fn connection(&self) -> Result<Arc<Connection>, ConnectError> {
        let mut shared = self.shared.lock().await;
        if let Some(connection) = shared.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(self.endpoint.connect().await?);
        *shared = Some(Arc::clone(&connection));
        Ok(connection)
    }
}
