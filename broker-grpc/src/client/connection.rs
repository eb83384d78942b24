//! One HTTP/2 connection to a server, and calls on it, as bytes.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::body::{MessageBody, Source};
use crate::client::error::{ConnectError, cause};
use crate::cork::{CorkedConnection, Uncork, cork};
use crate::messages::Messages;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest message taken: Footman sends below 4 MiB.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// A server's address.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    authority: Authority,
}

impl Endpoint {
    /// From `HOST:PORT` or `http://HOST:PORT`.
    pub(crate) fn parse(server: &str) -> Result<Self, ConnectError> {
        let invalid = || ConnectError::InvalidAddress {
            server: server.to_owned(),
        };
        let bare = server
            .strip_prefix("http://")
            .unwrap_or(server)
            .trim_end_matches('/');
        let authority: Authority = bare.parse().map_err(|_| invalid())?;
        if authority.port_u16().is_none() || authority.host().is_empty() {
            return Err(invalid());
        }
        Ok(Endpoint { authority })
    }

    pub(crate) fn name(&self) -> &str {
        self.authority.as_str()
    }

    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        let unreachable = |message: String| ConnectError::Unreachable {
            server: self.name().to_owned(),
            message,
        };
        let socket = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.name()))
            .await
            .map_err(|_| unreachable(format!("no answer within {CONNECT_TIMEOUT:?}")))?
            .map_err(|error| unreachable(error.to_string()))?;
        socket
            .set_nodelay(true)
            .map_err(|error| unreachable(error.to_string()))?;
        let (io, uncork) = cork(socket, Vec::new());
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
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(false)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        let requests = tokio::spawn(connection);
        Ok(Connection {
            authority: self.authority.clone(),
            sender,
            tasks: [Some(requests.abort_handle()), executor.task.get().cloned()],
        })
    }
}

/// Spawns hyper's tasks. The first, made in the handshake before there can be a call, drives the connection: the cork is its.
#[derive(Debug, Clone)]
struct Spawner {
    uncork: Arc<Mutex<Option<Uncork<TcpStream>>>>,
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
    sender: SendRequest<Body>,
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

    /// Starts a call; its messages come as they are.
    pub(crate) async fn call(
        &self,
        path: &'static str,
        source: impl Source,
    ) -> Result<Messages<Incoming>, Status> {
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| Status::internal(error.to_string()))?;
        let mut request = Request::new(Body::new(MessageBody::new(source)));
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
