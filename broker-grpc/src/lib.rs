//! Footman over gRPC: the server, and a client for it.
#![forbid(unsafe_code)]

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
