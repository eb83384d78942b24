//! Errors as the client gives them: what the server said, or why it could not be asked.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::proto;
use crate::reason;
use crate::tls::TlsError;

/// The kind of an error, as gRPC has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The call was cancelled.
    Cancelled,
    /// The request is wrong, whatever the state of the server.
    InvalidArgument,
    /// The call took too long.
    DeadlineExceeded,
    /// It does not exist.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// The caller may not do this.
    PermissionDenied,
    /// The caller is not known.
    Unauthenticated,
    /// A limit is reached; later it may work.
    ResourceExhausted,
    /// The state of the server does not allow it.
    FailedPrecondition,
    /// It was cut short; trying again can work.
    Aborted,
    /// It is past the end.
    OutOfRange,
    /// The server cannot do this.
    Unimplemented,
    /// The server is broken, or is not a Footman.
    Internal,
    /// The server cannot be reached, or is shutting down.
    Unavailable,
    /// Something else.
    Unknown,
}

impl From<Code> for ErrorCode {
    fn from(code: Code) -> Self {
        match code {
            Code::Cancelled => ErrorCode::Cancelled,
            Code::InvalidArgument => ErrorCode::InvalidArgument,
            Code::DeadlineExceeded => ErrorCode::DeadlineExceeded,
            Code::NotFound => ErrorCode::NotFound,
            Code::AlreadyExists => ErrorCode::AlreadyExists,
            Code::PermissionDenied => ErrorCode::PermissionDenied,
            Code::Unauthenticated => ErrorCode::Unauthenticated,
            Code::ResourceExhausted => ErrorCode::ResourceExhausted,
            Code::FailedPrecondition => ErrorCode::FailedPrecondition,
            Code::Aborted => ErrorCode::Aborted,
            Code::OutOfRange => ErrorCode::OutOfRange,
            Code::Unimplemented => ErrorCode::Unimplemented,
            Code::Internal | Code::DataLoss => ErrorCode::Internal,
            Code::Unavailable => ErrorCode::Unavailable,
            Code::Ok | Code::Unknown => ErrorCode::Unknown,
        }
    }
}

/// What the server answered instead of doing it, or how the call broke on its way.
///
/// Decide by [`reason`](ServerError::reason) (the words are in [`reason`](crate::reason)), show the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ServerError {
    /// The kind of error.
    pub code: ErrorCode,
    /// The reason in capitals; empty if the error is not Footman's own (the connection broke, a proxy answered).
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// Trying again after so long can help.
    pub retry_after: Option<Duration>,
    /// The numbers and names behind it (`end_offset`, `current_epoch`, ...).
    pub metadata: HashMap<String, String>,
}

impl ServerError {
    pub(crate) fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details
            .error_info()
            .filter(|info| info.domain == reason::DOMAIN);
        ServerError {
            code: status.code().into(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            message: match (info, status.source()) {
                (None, Some(source)) => format!("the connection broke: {}", cause(source)),
                _ => status.message().to_owned(),
            },
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn of_request(error: proto::ProduceError, topic: &str) -> Self {
        let millis = u64::from(error.retry_after_ms);
        let index = error
            .records
            .first()
            .map(|record| ("index".to_owned(), record.index.to_string()));
        let topic = ("topic".to_owned(), topic.to_owned());
        ServerError {
            code: Code::from_i32(error.code).into(),
            reason: error.reason,
            message: error.message,
            retry_after: (millis > 0).then(|| Duration::from_millis(millis)),
            metadata: index.into_iter().chain([topic]).collect(),
        }
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        ServerError {
            code: ErrorCode::Internal,
            reason: String::new(),
            message: message.into(),
            retry_after: None,
            metadata: HashMap::new(),
        }
    }

    /// Whether the same call can work later, or on another connection.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.code {
            ErrorCode::Unavailable | ErrorCode::Aborted => true,
            ErrorCode::ResourceExhausted => self.reason != reason::MESSAGE_TOO_LARGE,
            ErrorCode::FailedPrecondition => self.reason == reason::TOPIC_PAUSED,
            // Not Footman's words: the connection broke on the way.
            ErrorCode::Cancelled
            | ErrorCode::Unknown
            | ErrorCode::Internal
            | ErrorCode::DeadlineExceeded => self.reason.is_empty(),
            _ => false,
        }
    }
}

/// Why a server could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address cannot be understood.
    #[error(
        "{server:?} is not the address of a server: use HOST:PORT, https://HOST:PORT or unix:PATH"
    )]
    InvalidAddress {
        /// As it was given.
        server: String,
    },
    /// TLS cannot be set up.
    #[error("cannot speak TLS to {server}")]
    Tls {
        /// Where it was to be spoken.
        server: String,
        /// Why not.
        source: TlsError,
    },
    /// Nobody answers there.
    #[error("cannot connect to {server}: {message}")]
    Unreachable {
        /// Where it was tried.
        server: String,
        /// What the system says.
        message: String,
    },
    /// The one who answers does not speak as a server of gRPC does.
    #[error("{server} does not answer as a Footman server: {message}")]
    NotFootman {
        /// Where it was tried.
        server: String,
        /// How it answered.
        message: String,
    },
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused, or the call broke.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Why records were not produced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The record is larger than any topic takes; nothing was enqueued, the producer goes on.
    #[error("a record has {bytes} bytes, more than {max}: send it in parts")]
    RecordTooLarge {
        /// Its encoded length.
        bytes: usize,
        /// The most there may be.
        max: usize,
    },
    /// The server refused a batch. Nothing after it was appended either; the producer is over.
    #[error(transparent)]
    Server(ServerError),
    /// Records were not acknowledged in time. They may or may not have been appended; the producer is over.
    #[error("records were not acknowledged within {timeout:?}: {last_error}")]
    DeliveryTimeout {
        /// The time they had.
        timeout: Duration,
        /// What went wrong last.
        last_error: String,
    },
    /// The producer was closed.
    #[error("the producer is closed")]
    Closed,
}

/// Why a subscription is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The server could not be reached; only when the subscriber is built.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// The innermost cause of an error: hyper's own words are about hyper.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
