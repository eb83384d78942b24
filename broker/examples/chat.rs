//! A chat over WebSockets: each connection's own task reads the room's topic, at its own pace. A message is
//! appended once, however many listen; who was too slow is told what it missed; who comes late gets the last ten.
//!
//! It talks to itself over loopback, and ends.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::net::SocketAddr;

use footman_broker::{Broker, BrokerOptions, Consumer, Item, Producer, Record, StartAt};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

type Failure = Box<dyn Error + Send + Sync>;

async fn serve(listener: TcpListener, broker: Broker) -> Result<(), Failure> {
    loop {
        let (socket, _) = listener.accept().await?;
        let mut consumer = broker.consumer();
        consumer.subscribe("room", StartAt::Last(10))?;
        let producer = broker.producer("room")?;
        tokio::spawn(async move {
            if let Ok(connection) = accept_async(socket).await {
                let (outgoing, incoming) = connection.split();
                // Whichever ends first ends the connection.
                let _ = tokio::select! {
                    result = write(outgoing, consumer) => result,
                    result = read(incoming, producer) => result,
                };
            }
        });
    }
}

/// What the connection says goes into the topic.
async fn read(
    mut incoming: SplitStream<WebSocketStream<TcpStream>>,
    producer: Producer,
) -> Result<(), Failure> {
    while let Some(message) = incoming.next().await {
        if let Message::Text(text) = message? {
            producer.produce(&Record::new(text.as_str().to_owned()))?;
        }
    }
    Ok(())
}

/// What is in the topic goes to the connection: as many messages in one write as there are.
async fn write(
    mut outgoing: SplitSink<WebSocketStream<TcpStream>, Message>,
    mut consumer: Consumer,
) -> Result<(), Failure> {
    loop {
        match consumer.next().await {
            Item::Records(records) => {
                for record in &records {
                    let value = records.encoded().slice_ref(record.value); // no copy
                    outgoing
                        .feed(Message::Text(Utf8Bytes::try_from(value)?))
                        .await?;
                }
            }
            Item::Lost(lost) => {
                let notice = format!("({} messages missed)", lost.records());
                outgoing.feed(Message::text(notice)).await?;
            }
            _ => return Ok(()),
        }
        outgoing.flush().await?;
    }
}

/// Somebody in the room.
struct Guest(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Guest {
    async fn enter(room: SocketAddr) -> Result<Self, Failure> {
        let (connection, _) = connect_async(format!("ws://{room}")).await?;
        Ok(Self(connection))
    }

    async fn say(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.0.send(Message::text(text)).await?)
    }

    async fn hear(&mut self) -> Result<String, Failure> {
        let message = self.0.next().await.ok_or("the room has closed")?;
        Ok(message?.into_text()?.to_string())
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let room = listener.local_addr()?;
    let server = tokio::spawn(serve(listener, Broker::new(BrokerOptions::default())?));

    let (mut ada, mut ben) = (Guest::enter(room).await?, Guest::enter(room).await?);
    ada.say("hello, everybody").await?;
    for guest in [&mut ada, &mut ben] {
        assert_eq!(guest.hear().await?, "hello, everybody");
    }
    ben.say("hello, Ada").await?;
    for guest in [&mut ada, &mut ben] {
        assert_eq!(guest.hear().await?, "hello, Ada");
    }
    let mut late = Guest::enter(room).await?;
    for expected in ["hello, everybody", "hello, Ada"] {
        let heard = late.hear().await?;
        assert_eq!(heard, expected);
        println!("who came late hears: {heard}");
    }
    server.abort();
    Ok(())
}
