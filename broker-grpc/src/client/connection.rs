//! One HTTP/2 connection to a server, and calls on it, as bytes.

use std::fmt;
use std::future::Future;
use std::io;
#[cfg(unix)]
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use prost::Message;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::{Code, Status};

use crate::body::{AnyBody, MessageBody, One, Source};
use crate::client::error::{ConnectError, cause};
use crate::cork::{CorkedConnection, Uncork, cork};
use crate::messages::Messages;
use crate::socket::Socket;
use crate::tls::ClientTls;
use crate::wire::Frame;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection with calls is silent before the server is asked with a PING.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long its answer may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest message taken: Footman sends below 4 MiB.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// A server's address.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// As people write it.
    name: Arc<str>,
    target: Target,
    /// What requests say that they are for.
    authority: Authority,
}

#[derive(Clone)]
enum Target {
    Tcp,
    Tls(TlsConnector, ServerName<'static>),
    #[cfg(unix)]
    Unix(Arc<Path>),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp => f.write_str("Tcp"),
            Target::Tls(_, name) => f.debug_tuple("Tls").field(name).finish(),
            #[cfg(unix)]
            Target::Unix(path) => f.debug_tuple("Unix").field(path).finish(),
        }
    }
}

impl Endpoint {
    /// From `HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`.
    pub(crate) fn parse(server: &str, tls: &ClientTls) -> Result<Self, ConnectError> {
        let invalid = || ConnectError::InvalidAddress {
            server: server.to_owned(),
        };
        if let Some(path) = server.strip_prefix("unix:") {
            return Endpoint::unix(server, path).ok_or_else(invalid);
        }
        let secure = server.strip_prefix("https://");
        let bare = secure
            .or_else(|| server.strip_prefix("http://"))
            .unwrap_or(server)
            .trim_end_matches('/');
        let authority: Authority = bare.parse().map_err(|_| invalid())?;
        let host = authority.host();
        if authority.port_u16().is_none() || host.is_empty() {
            return Err(invalid());
        }
        if secure.is_none() {
            return Ok(Endpoint {
                name: authority.as_str().into(),
                target: Target::Tcp,
                authority,
            });
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| invalid())?;
        let connector = tls.connector().map_err(|source| ConnectError::Tls {
            server: server.to_owned(),
            source,
        })?;
        Ok(Endpoint {
            name: format!("https://{authority}").into(),
            target: Target::Tls(connector, name),
            authority,
        })
    }

    #[cfg(unix)]
    fn unix(server: &str, path: &str) -> Option<Self> {
        (!path.is_empty()).then(|| Endpoint {
            name: server.into(),
            target: Target::Unix(Path::new(path).into()),
            authority: Authority::from_static("localhost"),
        })
    }

    #[cfg(not(unix))]
    fn unix(_server: &str, _path: &str) -> Option<Self> {
        None
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    async fn open(&self) -> io::Result<Socket> {
        #[cfg(unix)]
        if let Target::Unix(path) = &self.target {
            return UnixStream::connect(path).await.map(Socket::Unix);
        }
        let socket = TcpStream::connect(self.authority.as_str()).await?;
        socket.set_nodelay(true)?;
        match &self.target {
            Target::Tls(connector, name) => {
                let socket = connector.connect(name.clone(), socket).await?;
                Ok(Socket::Tls(Box::new(socket.into())))
            }
            _ => Ok(Socket::Tcp(socket)),
        }
    }

    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        let unreachable = |message: String| ConnectError::Unreachable {
            server: self.name().to_owned(),
            message,
        };
        let socket = timeout(CONNECT_TIMEOUT, self.open())
            .await
            .map_err(|_| unreachable(format!("no answer within {CONNECT_TIMEOUT:?}")))?
            .map_err(|error| unreachable(error.to_string()))?;
        let stall_limit = KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT;
        let (io, uncork) = cork(socket, Vec::new(), None, stall_limit);
        let executor = Spawner {
            uncork: Arc::new(Mutex::new(Some(uncork))),
            task: Arc::default(),
        };
        let (sender, connection) = http2::Builder::new(executor.clone())
            .timer(TokioTimer::new())
            .adaptive_window(false)
            .max_frame_size(1024 * 1024)
            .initial_stream_window_size(8 * 1024 * 1024)
            .initial_connection_window_size(64 * 1024 * 1024)
            .max_header_list_size(16 * 1024)
            .max_send_buf_size(512 * 1024)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(false)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let requests = tokio::spawn(connection);
        Ok(Connection {
            authority: self.authority.clone(),
            scheme: match self.target {
                Target::Tls(..) => Scheme::HTTPS,
                _ => Scheme::HTTP,
            },
            sender,
            tasks: [Some(requests.abort_handle()), executor.task.get().cloned()],
        })
    }
}

/// Spawns hyper's tasks. The first, made in the handshake before there can be a call, drives the connection: the cork is its.
#[derive(Debug, Clone)]
struct Spawner {
    uncork: Arc<Mutex<Option<Uncork<Socket>>>>,
    task: Arc<OnceLock<AbortHandle>>,
}

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let uncork = self
            .uncork
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match uncork {
            Some(uncork) => {
                let task = tokio::spawn(CorkedConnection::new(Box::pin(task), uncork));
                // It is the first and only one.
                let _ = self.task.set(task.abort_handle());
            }
            None => drop(tokio::spawn(task)),
        }
    }
}

/// An open connection, closed when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    authority: Authority,
    scheme: Scheme,
    sender: SendRequest<AnyBody>,
    tasks: [Option<AbortHandle>; 2],
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in self.tasks.iter().flatten() {
            task.abort();
        }
    }
}

impl Connection {
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// One message there, one back.
    pub(crate) async fn exchange(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<Bytes, Status> {
        let body = One::<false>(Some(Frame::Message(request.encode_to_vec().into())));
        let mut messages = self.call(path, body).await?;
        let response = messages.next().await?;
        // The status comes after the message.
        if messages.next().await?.is_some() {
            return Err(Status::internal("the server sent more than one response"));
        }
        response.ok_or_else(|| Status::internal("the server sent no response"))
    }

    /// Starts a call; its messages come as they are.
    pub(crate) async fn call(
        &self,
        path: &'static str,
        source: impl Source,
    ) -> Result<Messages<Incoming>, Status> {
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| Status::internal(error.to_string()))?;
        let body: AnyBody = Box::pin(MessageBody::new(source));
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let response = self
            .sender
            .clone()
            .send_request(request)
            .await
            .map_err(|error| {
                Status::unavailable(format!("the connection broke: {}", cause(&error)))
            })?;
        let (head, body) = response.into_parts();
        match Status::from_header_map(&head.headers) {
            Some(status) if status.code() != Code::Ok => Err(status),
            None if head.status != StatusCode::OK => Err(Status::unavailable(format!(
                "the server answered with HTTP status {}",
                head.status
            ))),
            _ => Ok(Messages::new(body, MAX_MESSAGE_BYTES)),
        }
    }
}

const AGENT: &str = concat!("footman-rust/", env!("CARGO_PKG_VERSION"));
