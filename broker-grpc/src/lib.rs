#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(any(feature = "server", feature = "client"))]
mod body;
#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "server", feature = "client"))]
mod cork;
#[cfg(any(feature = "server", feature = "client"))]
mod frame_walk;
#[cfg(any(feature = "server", feature = "client"))]
mod messages;
pub mod reason;
#[cfg(any(feature = "server", feature = "client"))]
mod room;
#[cfg(feature = "server")]
mod server;
#[cfg(any(feature = "server", feature = "client"))]
mod socket;
#[cfg(any(feature = "server", feature = "client"))]
mod stall;
#[cfg(any(feature = "server", feature = "client"))]
mod tls;
#[cfg(any(feature = "server", feature = "client"))]
mod wire;

#[cfg(feature = "client")]
pub use client::{
    CallError, Client, ClientOptions, ConnectError, ConnectionEvent, ErrorCode, Fetched,
    OffsetInfo, ProduceError, Producer, ProducerBuilder, ProducerReport, Sent, ServerError,
    ServerInfo, SubscribeError, Subscriber, SubscriberBuilder, Subscription, Topic,
};
#[cfg(feature = "server")]
pub use server::{Address, InvalidAddress, Limits, ServeError, Server, ServerOptions};
#[cfg(feature = "client")]
pub use tls::ClientTls;
#[cfg(feature = "server")]
pub use tls::ServerTls;
#[cfg(any(feature = "server", feature = "client"))]
pub use tls::TlsError;

/// The protobuf messages and plain tonic stubs of `footman.v1`, generated from `proto/footman/v1/broker.proto`.
///
/// The server and the client of this crate need none of it: it is here for those who speak to a server with tonic's own
/// stubs, or stand in for one in a test. Where records are many, this crate's own client costs a fraction of these.
pub mod proto {
    #![allow(
        clippy::all,
        clippy::redundant_closure_for_method_calls,
        missing_docs,
        unreachable_pub,
        reason = "generated"
    )]
    include!("generated/footman.v1.rs");

    /// The encoded `FileDescriptorSet` of `footman.v1`, as reflection serves it.
    pub const DESCRIPTORS: &[u8] = include_bytes!("generated/footman.v1.bin");
}
