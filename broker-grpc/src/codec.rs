//! Messages as bytes: tonic's framing without its decoding.

use bytes::{Buf as _, Bytes};
use tonic::Status;
use tonic::codec::{DecodeBuf, Decoder};

/// Hands a message over as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawDecoder;

impl Decoder for RawDecoder {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}
