//! The reasons that errors carry (`google.rpc.ErrorInfo.reason`, `ProduceError.reason`): one word each, for programs.

/// The domain of every `google.rpc.ErrorInfo` that Footman sends.
pub const DOMAIN: &str = "footman";

/// A topic's name does not follow the grammar.
pub const INVALID_NAME: &str = "INVALID_NAME";
/// A request's field has a value that means nothing.
pub const INVALID_REQUEST: &str = "INVALID_REQUEST";
/// A topic's options are out of range.
pub const INVALID_OPTIONS: &str = "INVALID_OPTIONS";
/// A record's bytes are not a record.
pub const INVALID_RECORD: &str = "INVALID_RECORD";
/// A record is larger than its topic takes.
pub const RECORD_TOO_LARGE: &str = "RECORD_TOO_LARGE";
/// A request has no records.
pub const EMPTY_BATCH: &str = "EMPTY_BATCH";
/// A message is larger than the server takes.
pub const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";
/// A message cannot be decoded; the stream ends.
pub const UNDECODABLE: &str = "UNDECODABLE";
/// There is no such topic, and it is not created on first use.
pub const UNKNOWN_TOPIC: &str = "UNKNOWN_TOPIC";
/// There is a topic of that name.
pub const TOPIC_EXISTS: &str = "TOPIC_EXISTS";
/// The topic was deleted while the request was under way.
pub const TOPIC_DELETED: &str = "TOPIC_DELETED";
/// The topic takes no records until it is resumed.
pub const TOPIC_PAUSED: &str = "TOPIC_PAUSED";
/// The topic keeps no index of its keys.
pub const NOT_INDEXED: &str = "NOT_INDEXED";
/// The offset is past the topic's end.
pub const OFFSET_OUT_OF_RANGE: &str = "OFFSET_OUT_OF_RANGE";
/// The topic has another epoch than the request wants.
pub const EPOCH_MISMATCH: &str = "EPOCH_MISMATCH";
/// An idempotent producer left sequences out.
pub const SEQUENCE_GAP: &str = "SEQUENCE_GAP";
/// An idempotent producer repeats what is too old to be remembered.
pub const DUPLICATE_TOO_OLD: &str = "DUPLICATE_TOO_OLD";
/// Another producer took over this producer id.
pub const FENCED: &str = "FENCED";
/// No more topics are allowed.
pub const TOO_MANY_TOPICS: &str = "TOO_MANY_TOPICS";
/// No more subscriptions are allowed.
pub const TOO_MANY_SUBSCRIPTIONS: &str = "TOO_MANY_SUBSCRIPTIONS";
/// No more calls at once are allowed.
pub const TOO_MANY_CALLS: &str = "TOO_MANY_CALLS";
/// The memory for records is used up.
pub const OUT_OF_MEMORY: &str = "OUT_OF_MEMORY";
/// The server is shutting down.
pub const DRAINING: &str = "DRAINING";
/// A subscriber did not read for too long.
pub const STALLED: &str = "STALLED";
/// A call's request did not come in time.
pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
/// Too much is held of messages that came in part.
pub const TOO_MUCH_UNFINISHED: &str = "TOO_MUCH_UNFINISHED";
/// There is no such method.
pub const UNKNOWN_METHOD: &str = "UNKNOWN_METHOD";
/// The message is compressed in a way that the server does not read.
pub const COMPRESSION: &str = "COMPRESSION";
/// Something that the server has no word for.
pub const INTERNAL: &str = "INTERNAL";
