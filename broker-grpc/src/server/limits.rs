//! Every limit of the server's front, in one place: what one peer, and all together, can make it hold.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;

use crate::server::ServeError;

/// What the server allows at most. Nothing that a peer can grow is without a limit here or in
/// [`BrokerOptions`](footman_broker::BrokerOptions).
///
/// ```
/// use footman_broker_grpc::Limits;
///
/// let mut limits = Limits::default();
/// limits.max_connections = 100;
/// assert_eq!(limits.max_request_bytes, 4 * 1024 * 1024);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once. One more takes the place of the one that has been silent the longest since it was accepted; if all have said
    /// what they speak, it is closed before anything is read. Default 4 096.
    pub max_connections: usize,
    /// Calls at once over all connections, streams included; more are refused with `TOO_MANY_CALLS`. Default 65 536.
    pub max_calls: usize,
    /// Subscribe streams at once; more are refused with `TOO_MANY_SUBSCRIPTIONS`. Default 16 384.
    pub max_subscriptions: usize,
    /// Topics in one Subscribe or Fetch. Default 1 024.
    pub max_topics_per_call: usize,
    /// Largest message taken, in bytes; a larger one ends its call with `MESSAGE_TOO_LARGE`. Default 4 MiB.
    pub max_request_bytes: usize,
    /// Bytes held of messages that came in part, over all calls; a call whose message finds no room ends with `TOO_MUCH_UNFINISHED`. A
    /// message in one frame needs none. Default 16 MiB.
    pub max_unfinished_bytes: usize,
    /// Time from accept until TLS is agreed on and the peer's HTTP/2 preface and first SETTINGS are there; of HTTP/1.1, the time
    /// that each request's head has, from the end of the request before it. Default 5 s.
    pub handshake_timeout: Duration,
    /// Time that a call with one request has until that request is there, and that each message of a Produce stream has from its first
    /// byte to its last; then the call ends with `REQUEST_TIMEOUT`. Default 30 s.
    pub request_timeout: Duration,
    /// HTTP/2 `SETTINGS_MAX_CONCURRENT_STREAMS`: calls at once on one connection. Default 512.
    pub max_streams_per_connection: u32,
    /// HTTP/2 `SETTINGS_MAX_HEADER_LIST_SIZE`, in bytes; bounds CONTINUATION floods too. Also the longest head of an HTTP/1.1
    /// request. Default 16 KiB.
    pub max_header_list_bytes: u32,
    /// Header lines of an HTTP/1.1 request. Default 64.
    pub max_http1_headers: usize,
    /// HTTP/2 `SETTINGS_HEADER_TABLE_SIZE`, in bytes. Default 4 096.
    pub header_table_bytes: u32,
    /// HTTP/2 `SETTINGS_MAX_FRAME_SIZE`, in bytes: what a producer may send as one frame. 16 KiB to 16 MiB - 1. Default 1 MiB.
    pub max_frame_bytes: u32,
    /// HTTP/2 `SETTINGS_INITIAL_WINDOW_SIZE`, in bytes: what one call may send unread. Default 4 MiB.
    pub stream_window_bytes: u32,
    /// The window of a whole connection, in bytes: what its calls may send unread all together. It also bounds how many small DATA frames of
    /// requests wait unread before the connection is cut, and each of them holds 250 bytes: one for every 171 bytes of it if they have as
    /// many in them, one for every 510 if they have one. Default 1 MiB.
    pub connection_window_bytes: u32,
    /// Bytes of one response stream that wait for the peer's window or the socket. Default 32 KiB.
    pub send_buffer_bytes: usize,
    /// Bytes of a connection that wait in the kernel, not yet sent, before it is asked to take more (`TCP_NOTSENT_LOWAT`, where there is
    /// such a thing): without it each peer that does not read costs megabytes there. Default 1 MiB.
    pub unsent_bytes: u32,
    /// Streams that the peer reset and the server has not seen yet; more cut the connection (rapid reset). Default 20.
    pub max_pending_reset_streams: usize,
    /// Streams that the server reset for the peer's errors; more cut the connection. Default 1 024.
    pub max_local_reset_streams: usize,
    /// How long a connection is silent before it is asked with a PING. Default 30 s.
    pub keepalive_interval: Duration,
    /// How long the answer may take before the connection is closed. A peer that reads nothing of what is said to it, not even that
    /// it is asked, is cut after `keepalive_interval` and this. Default 10 s.
    pub keepalive_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 4_096,
            max_calls: 65_536,
            max_subscriptions: 16_384,
            max_topics_per_call: 1_024,
            max_request_bytes: 4 * 1024 * 1024,
            max_unfinished_bytes: 16 * 1024 * 1024,
            handshake_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            max_streams_per_connection: 512,
            max_header_list_bytes: 16 * 1024,
            max_http1_headers: 64,
            header_table_bytes: 4_096,
            max_frame_bytes: 1024 * 1024,
            stream_window_bytes: 4 * 1024 * 1024,
            connection_window_bytes: 1024 * 1024,
            send_buffer_bytes: 32 * 1024,
            unsent_bytes: 1024 * 1024,
            max_pending_reset_streams: 20,
            max_local_reset_streams: 1_024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
        }
    }
}

/// The largest batch that fits a message with its head, and the largest request body worth taking.
pub(crate) const MAX_RUN_BYTES: usize = 3 * 1024 * 1024;

/// hyper takes no smaller buffer.
const MIN_HTTP1_BUFFER: usize = 8 * 1024;

impl Limits {
    /// Refuses what HTTP/2 would not take, so that nothing below can panic on it.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        let window = 1..=(1_u32 << 31) - 1;
        let at_least_one = self.max_connections > 0
            && self.max_calls > 0
            && self.max_subscriptions > 0
            && self.max_topics_per_call > 0
            && self.max_streams_per_connection > 0
            && self.max_unfinished_bytes > 0
            && self.max_http1_headers > 0
            && self.send_buffer_bytes > 0
            && self.unsent_bytes > 0;
        if !at_least_one {
            return Err(ServeError::InvalidLimits(
                "a limit on how many must be at least 1",
            ));
        }
        if !(16_384..=16_777_215).contains(&self.max_frame_bytes) {
            return Err(ServeError::InvalidLimits(
                "max_frame_bytes must be 16384 to 16777215",
            ));
        }
        if !window.contains(&self.stream_window_bytes)
            || !window.contains(&self.connection_window_bytes)
        {
            return Err(ServeError::InvalidLimits(
                "windows must be 1 to 2147483647 bytes",
            ));
        }
        if u32::try_from(self.send_buffer_bytes).is_err() {
            return Err(ServeError::InvalidLimits(
                "send_buffer_bytes must be below 4 GiB",
            ));
        }
        if self.handshake_timeout.is_zero()
            || self.request_timeout.is_zero()
            || self.keepalive_timeout.is_zero()
        {
            return Err(ServeError::InvalidLimits("time-outs must be longer than 0"));
        }
        Ok(())
    }

    /// How long a connection's socket may take nothing. A PING would have been answered by then, but it, and the GOAWAY after it,
    /// wait behind the rest.
    pub(crate) fn stall(&self) -> Duration {
        self.keepalive_interval
            .saturating_add(self.keepalive_timeout)
    }

    /// The longest head of an HTTP/1.1 request.
    pub(crate) fn http1_head_bytes(&self) -> usize {
        usize::try_from(self.max_header_list_bytes)
            .unwrap_or(usize::MAX)
            .max(MIN_HTTP1_BUFFER)
    }

    /// Sets every one of hyper's switches: what is left out there may mean "no limit".
    pub(crate) fn apply<E: Clone>(&self, builder: &mut http2::Builder<E>) {
        builder
            .timer(TokioTimer::new())
            .adaptive_window(false)
            .auto_date_header(false)
            .max_concurrent_streams(self.max_streams_per_connection)
            .max_header_list_size(self.max_header_list_bytes)
            .header_table_size(self.header_table_bytes)
            .max_frame_size(self.max_frame_bytes)
            .initial_stream_window_size(self.stream_window_bytes)
            .initial_connection_window_size(self.connection_window_bytes)
            .max_send_buf_size(self.send_buffer_bytes)
            .max_pending_accept_reset_streams(self.max_pending_reset_streams)
            .max_local_error_reset_streams(self.max_local_reset_streams)
            .keep_alive_interval(Some(self.keepalive_interval).filter(|every| !every.is_zero()))
            .keep_alive_timeout(self.keepalive_timeout);
    }

    /// The same for HTTP/1.1, where one connection is one call at a time.
    pub(crate) fn apply_http1(&self, builder: &mut http1::Builder) {
        builder
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .half_close(false)
            .header_read_timeout(self.handshake_timeout)
            .max_headers(self.max_http1_headers)
            .max_header_size(self.http1_head_bytes())
            .max_buf_size(self.send_buffer_bytes.max(MIN_HTTP1_BUFFER));
    }
}
