//! The connection to a server: how it is made, and what happens to it, said once on stderr.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use footman_broker_grpc::{Client, ClientOptions, ConnectionEvent};

use crate::args::ServerArgs;
use crate::notice::notice;
use crate::pem;

/// Connects to the server that is asked for, in the way that is asked for.
pub(crate) async fn connect(server: &ServerArgs) -> Result<Client> {
    let mut options = ClientOptions::default();
    if let Some(path) = &server.ca {
        options.tls = options
            .tls
            .with_ca_pem(&pem::read(path)?)
            .with_context(|| format!("--ca {}", path.display()))?;
    }
    if let Some(path) = &server.identity {
        let pem = pem::read(path)?;
        options.tls = options
            .tls
            .with_identity_pem(&pem, &pem)
            .with_context(|| format!("--identity {}", path.display()))?;
    }
    Ok(Client::connect_with(&server.address, options).await?)
}

/// A listener that says what happens to the connection to `server`, unless it is to be `quiet`. Of attempts
/// that fail it says the first.
pub(crate) fn listener(
    server: &str,
    quiet: bool,
) -> impl Fn(&ConnectionEvent) + Send + Sync + 'static {
    let server = server.to_owned();
    let lost = AtomicBool::new(false);
    move |event| match event {
        _ if quiet => {}
        ConnectionEvent::Lost { message, .. } if !lost.swap(true, Ordering::Relaxed) => {
            notice(&format!("interrupted: {message}; trying {server} again"));
        }
        ConnectionEvent::Restored { .. } if lost.swap(false, Ordering::Relaxed) => {
            notice(&format!("going on with {server}"));
        }
        _ => {}
    }
}
