//! Unary calls of one record each: so many connections, so many calls in flight on each, one client thread.

use super::{
    client::{PRODUCE_BATCH, Payload, acknowledged},
    wire::{Event, Messages, Wire},
};
use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    task::JoinSet,
};

/// Makes `calls` calls in all; each must be acknowledged.
pub(super) fn call(
    address: &str,
    (connections, in_flight): (usize, usize),
    payload: &Payload,
    calls: usize,
) -> Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut request = payload.head(1);
    request.extend_from_slice(payload.records());
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let (address, request) = (address.to_owned(), request.clone());
            let calls = calls / connections;
            clients.spawn(async move { client(&address, in_flight, &request, calls).await });
        }
        while let Some(client) = clients.join_next().await {
            client??;
        }
        Ok(())
    })
}

async fn client(address: &str, in_flight: usize, request: &[u8], calls: usize) -> Result<()> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut wire = Wire::new(PRODUCE_BATCH);
    let (mut begun, mut done, mut answered) = (0, 0, 0);
    while done < calls {
        while begun < calls && begun - done < in_flight {
            let stream = wire.call();
            ensure!(
                wire.has_room(stream, request.len()),
                "the server gives no room"
            );
            wire.message(stream, (request, &[]), true);
            begun += 1;
        }
        socket.write_all(&wire.out).await?;
        wire.out.clear();
        let count = socket.read(wire.room()).await?;
        wire.received(count)?;
        while let Some(event) = wire.next()? {
            match event {
                Event::Data(at) => {
                    Messages::new(usize::MAX).take(wire.bytes(at), |_, answer| {
                        answered += 1;
                        acknowledged(answer).map(drop)
                    })?;
                }
                Event::End => done += 1,
                Event::Begin => {}
            }
        }
    }
    ensure!(answered == calls, "{answered} answers to {calls} calls");
    Ok(())
}
