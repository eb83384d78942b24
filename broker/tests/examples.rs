//! The examples run, check themselves, and end.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "they are programs")]

#[path = "../examples/chat.rs"]
mod chat;
#[path = "../examples/metrics_pipeline.rs"]
mod metrics_pipeline;
#[path = "../examples/replay.rs"]
mod replay;

#[test]
fn chat() {
    chat::main().unwrap();
}

#[test]
fn metrics_pipeline() {
    metrics_pipeline::main().unwrap();
}

#[test]
fn replay() {
    replay::main().unwrap();
}
