//! What happens to a connection, said once on stderr: that it is lost, and that it is back.

use std::sync::atomic::{AtomicBool, Ordering};

use footman_broker_grpc::ConnectionEvent;

use crate::notice::notice;

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
            notice(&format!(
                "lost the connection to {server} ({message}); trying to come back"
            ));
        }
        ConnectionEvent::Restored { .. } if lost.swap(false, Ordering::Relaxed) => {
            notice(&format!("the connection to {server} is back"));
        }
        _ => {}
    }
}
