//! Errors in a line for people: what failed, and what to do about it with this program.

use std::error::Error;

use footman_broker_grpc::{
    CallError, ConnectError, ProduceError, ServerError, SubscribeError, reason,
};

/// The error and its causes in one line, each as a user of this program understands it.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(explain_one) {
        // Some errors say their cause themselves.
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

fn explain_one(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = server_error(error) {
        return explain_server(error);
    }
    if let Some(error) = connect_error(error) {
        return match error {
            ConnectError::Unreachable { .. } => {
                format!("{error} (start a server with `footman serve`, or name one with --server)")
            }
            _ => format!("{error} (name a server with --server or FOOTMAN_SERVER)"),
        };
    }
    error.to_string()
}

fn explain_server(error: &ServerError) -> String {
    let topic = error.metadata.get("topic");
    match (error.reason.as_str(), topic) {
        (reason::UNKNOWN_TOPIC, Some(topic)) => {
            format!(
                "topic {topic:?} does not exist: create it with `footman topics create {topic}`"
            )
        }
        _ => error.message.clone(),
    }
}

/// The server's answer within any of the client's errors.
fn server_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a ServerError> {
    if let Some(CallError::Server(server)) = error.downcast_ref() {
        return Some(server);
    }
    if let Some(SubscribeError::Server(server)) = error.downcast_ref() {
        return Some(server);
    }
    if let Some(ProduceError::Server(server)) = error.downcast_ref() {
        return Some(server);
    }
    error.downcast_ref()
}

fn connect_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a ConnectError> {
    if let Some(CallError::Connect(connect)) = error.downcast_ref() {
        return Some(connect);
    }
    if let Some(SubscribeError::Connect(connect)) = error.downcast_ref() {
        return Some(connect);
    }
    error.downcast_ref()
}
