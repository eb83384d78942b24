//! Bytes straight into a connection of the server: after the preface and SETTINGS of a good client, or from the first byte.
#![no_main]

mod peer;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The preface, an empty SETTINGS frame, and the acknowledgement of the server's.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";

fuzz_target!(|data: &[u8]| {
    let Some((&mode, bytes)) = data.split_first() else {
        return;
    };
    peer::with_server(async |addr| {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        let talk = async {
            // The server may hang up at any byte: that is its right.
            if mode % 4 != 0 && socket.write_all(HELLO).await.is_err() {
                return;
            }
            for part in bytes.chunks(if mode % 2 == 0 { 7 } else { 1 << 16 }) {
                if socket.write_all(part).await.is_err() {
                    return;
                }
            }
            let _ = socket.shutdown().await;
            let mut answer = [0; 4_096];
            while socket.read(&mut answer).await.is_ok_and(|read| read > 0) {}
        };
        assert!(
            timeout(peer::PATIENCE, talk).await.is_ok(),
            "the server keeps a connection that its peer has ended"
        );
    });
});
