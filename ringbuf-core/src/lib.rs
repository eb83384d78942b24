//! ringbuf-core
