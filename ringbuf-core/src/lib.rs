#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod byte_block;
mod byte_options;
mod byte_producer;
mod byte_reader;
mod byte_ring;
mod chain;
mod error;
mod lock;
mod padded;
mod pin;
mod producer;
mod reader;
mod ring;
mod segment;
mod shared;
mod shared_byte_producer;
mod shared_producer;
mod slot_block;
mod sync;
mod twin;
#[cfg(feature = "std")]
mod wait;
mod writer;

pub use byte_options::ByteRingOptions;
pub use byte_producer::{ByteBatch, ByteProducer};
pub use byte_reader::{ByteReader, ByteRun, OwnedByteRun};
pub use byte_ring::ByteRing;
pub use error::{Closed, InvalidOptions, TryReadError};
pub use producer::Producer;
pub use reader::Reader;
pub use ring::{Ring, RingOptions};
pub use shared_byte_producer::SharedByteProducer;
pub use shared_producer::SharedProducer;

#[cfg(all(test, any(loom, shuttle)))]
mod tests;
