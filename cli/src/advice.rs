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
        return format!("{error} ({})", advise_on_connection(error));
    }
    error.to_string()
}

fn advise_on_connection(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Unreachable { server, .. } if server.starts_with("https://") => {
            "--ca names who signed the server's certificate; a server without TLS is HOST:PORT"
        }
        ConnectError::Unreachable { .. } => {
            "start a server with `footman serve`, or name one with --server"
        }
        ConnectError::NotFootman { server, .. } if !server.starts_with("https://") => {
            "name a server with --server or FOOTMAN_SERVER; one with TLS is https://HOST:PORT"
        }
        _ => "name a server with --server or FOOTMAN_SERVER",
    }
}

fn explain_server(error: &ServerError) -> String {
    let topic = error.metadata.get("topic");
    match (error.reason.as_str(), topic) {
        (reason::UNKNOWN_TOPIC, Some(topic)) => format!(
            "topic {topic:?} does not exist: create it with `footman topics create {topic}`, or see `footman topics list`"
        ),
        (reason::TOPIC_EXISTS, Some(topic)) => format!(
            "topic {topic:?} exists already: change it with `footman topics update {topic}`, or take it as it is with --if-not-exists"
        ),
        (reason::NOT_INDEXED, Some(topic)) => format!(
            "topic {topic:?} keeps no index of keys: make one with `footman topics update {topic} --last-by-key`"
        ),
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
