//! A way to the server that can be cut: what lies between a client and its server in the world.

use anyhow::Result;
use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Hands on every connection to the server until it is cut. Ends with the task.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Listens on a free port.
    pub(crate) fn to(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let open = Arc::new(Mutex::new(Vec::new()));
        let (opened, server) = (Arc::clone(&open), server.to_owned());
        thread::spawn(move || {
            for client in listener.incoming() {
                if let Err(error) = hand_on(client, &server, &opened) {
                    eprintln!("proxy: {error}");
                }
            }
        });
        Ok(Self { address, open })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Breaks the connections that are open; later ones are handed on. Returns how many it broke.
    pub(crate) fn cut(&self) -> usize {
        let open = std::mem::take(&mut *self.open.lock().expect("no holder panics"));
        open.iter()
            .filter(|connection| connection.shutdown(Shutdown::Both).is_ok())
            .count()
    }
}

fn hand_on(
    client: io::Result<TcpStream>,
    server: &str,
    open: &Mutex<Vec<TcpStream>>,
) -> Result<(), io::Error> {
    let client = client?;
    let server = TcpStream::connect(server)?;
    open.lock()
        .expect("no holder panics")
        .push(client.try_clone()?);
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        thread::spawn(move || {
            // A cut connection ends here with an error that nobody need hear of.
            io::copy(&mut from, &mut to).ok();
            to.shutdown(Shutdown::Both).ok();
        });
    }
    Ok(())
}
