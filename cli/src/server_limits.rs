//! What a server's front allows at most, as its settings have it (`[limits]` in the file): a name for each limit, its place in the
//! server's options, and what it is for. How far each may go is the server's own to say.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use footman_broker_grpc::ServerOptions;

use crate::quantity::{
    format_duration, format_exact_bytes, parse_bytes, parse_count, parse_duration,
};

/// One limit.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) name: &'static str,
    about: &'static str,
    place: fn(&mut ServerOptions) -> Place<'_>,
}

/// Where a limit is in the options, and of what it is a limit.
enum Place<'a> {
    Count(&'a mut usize),
    Count32(&'a mut u32),
    Bytes(&'a mut usize),
    Bytes32(&'a mut u32),
    Time(&'a mut Duration),
}

/// Every limit there is, those of everyday first.
pub(crate) static LIMITS: [Limit; 22] = [
    Limit {
        name: "max-connections",
        about: "at once; more are closed as they are accepted",
        place: |options| Place::Count(&mut options.limits.max_connections),
    },
    Limit {
        name: "max-subscriptions",
        about: "Subscribe streams at once",
        place: |options| Place::Count(&mut options.limits.max_subscriptions),
    },
    Limit {
        name: "max-calls",
        about: "calls at once over all connections, streams included",
        place: |options| Place::Count(&mut options.limits.max_calls),
    },
    Limit {
        name: "max-topics-per-call",
        about: "topics in one Subscribe or Fetch",
        place: |options| Place::Count(&mut options.limits.max_topics_per_call),
    },
    Limit {
        name: "max-request",
        about: "the largest message taken",
        place: |options| Place::Bytes(&mut options.limits.max_request_bytes),
    },
    Limit {
        name: "max-unfinished",
        about: "held of messages that came in part, over all calls",
        place: |options| Place::Bytes(&mut options.limits.max_unfinished_bytes),
    },
    Limit {
        name: "handshake-timeout",
        about: "from accept until TLS and HTTP/2 are agreed on",
        place: |options| Place::Time(&mut options.limits.handshake_timeout),
    },
    Limit {
        name: "request-timeout",
        about: "from a message's first byte to its last",
        place: |options| Place::Time(&mut options.limits.request_timeout),
    },
    Limit {
        name: "write-stall-timeout",
        about: "how long a subscriber may read nothing before it is cut off",
        place: |options| Place::Time(&mut options.write_stall_timeout),
    },
    Limit {
        name: "keepalive-interval",
        about: "how long a connection is silent before it is asked; 0s never asks",
        place: |options| Place::Time(&mut options.limits.keepalive_interval),
    },
    Limit {
        name: "keepalive-timeout",
        about: "how long the answer may take",
        place: |options| Place::Time(&mut options.limits.keepalive_timeout),
    },
    Limit {
        name: "max-streams-per-connection",
        about: "calls at once on one connection",
        place: |options| Place::Count32(&mut options.limits.max_streams_per_connection),
    },
    Limit {
        name: "max-header-list",
        about: "the longest head of a request",
        place: |options| Place::Bytes32(&mut options.limits.max_header_list_bytes),
    },
    Limit {
        name: "max-http1-headers",
        about: "header lines of an HTTP/1.1 request",
        place: |options| Place::Count(&mut options.limits.max_http1_headers),
    },
    Limit {
        name: "header-table",
        about: "what the compression of headers remembers, a connection",
        place: |options| Place::Bytes32(&mut options.limits.header_table_bytes),
    },
    Limit {
        name: "max-frame",
        about: "what a producer may send as one frame: 16 KiB to 16 MiB - 1",
        place: |options| Place::Bytes32(&mut options.limits.max_frame_bytes),
    },
    Limit {
        name: "stream-window",
        about: "what one call may send unread",
        place: |options| Place::Bytes32(&mut options.limits.stream_window_bytes),
    },
    Limit {
        name: "connection-window",
        about: "what all calls of a connection may send unread",
        place: |options| Place::Bytes32(&mut options.limits.connection_window_bytes),
    },
    Limit {
        name: "send-buffer",
        about: "what waits for the peer of one stream to read",
        place: |options| Place::Bytes(&mut options.limits.send_buffer_bytes),
    },
    Limit {
        name: "unsent",
        about: "what waits in the kernel, a connection",
        place: |options| Place::Bytes32(&mut options.limits.unsent_bytes),
    },
    Limit {
        name: "max-pending-reset-streams",
        about: "reset by the peer before they were seen; more cut the connection",
        place: |options| Place::Count(&mut options.limits.max_pending_reset_streams),
    },
    Limit {
        name: "max-local-reset-streams",
        about: "reset for the peer's errors; more cut the connection",
        place: |options| Place::Count(&mut options.limits.max_local_reset_streams),
    },
];

impl Limit {
    /// The limit of that name.
    pub(crate) fn named(name: &str) -> Result<&'static Limit> {
        match LIMITS.iter().find(|limit| limit.name == name) {
            Some(limit) => Ok(limit),
            None => bail!(
                "there is no limit {name:?}: `footman serve --print-config` lists those there are"
            ),
        }
    }

    /// Sets it in `options` to what `text` says.
    pub(crate) fn set(&self, options: &mut ServerOptions, text: &str) -> Result<()> {
        let parsed = match (self.place)(options) {
            Place::Count(place) => put(place, parse_count(text)),
            Place::Count32(place) => put(place, parse_count(text)),
            Place::Bytes(place) => put(place, parse_bytes(text)),
            Place::Bytes32(place) => put(place, parse_bytes(text)),
            Place::Time(place) => parse_duration(text).map(|time| *place = time),
        };
        parsed
            .and_then(|()| Ok(options.check()?))
            .with_context(|| format!("{} cannot be {text}", self.name))
    }
}

fn put<T: TryFrom<u64>>(place: &mut T, amount: Result<u64>) -> Result<()> {
    let amount = amount?;
    let Ok(amount) = T::try_from(amount) else {
        bail!("{amount} is more than there can be");
    };
    *place = amount;
    Ok(())
}

/// Writes every limit as a line of the file, exact, with what it is for.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, options: &ServerOptions) -> fmt::Result {
    let mut options = options.clone();
    for limit in &LIMITS {
        let value = match (limit.place)(&mut options) {
            Place::Count(count) => count.to_string(),
            Place::Count32(count) => count.to_string(),
            Place::Bytes(bytes) => quoted(&format_exact_bytes(*bytes as u64)),
            Place::Bytes32(bytes) => quoted(&format_exact_bytes((*bytes).into())),
            Place::Time(time) => quoted(&format_duration(*time)),
        };
        let setting = format!("{} = {value}", limit.name);
        writeln!(f, "{setting:<36} # {}", limit.about)?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use footman_broker_grpc::Limits;

    use super::*;

    /// Other than any default, and in every range.
    const OTHERS: [&str; 2] = ["20001", "7s"];

    #[test]
    fn each_limit_of_the_server_has_its_name_and_each_name_sets_that_limit_alone() {
        let lines = |limits: &Limits| -> Vec<String> {
            let text = format!("{limits:#?}");
            text.lines().map(|line| line.trim().to_owned()).collect()
        };
        let default = ServerOptions::default();
        let mut set = Vec::new();
        for limit in &LIMITS {
            let mut options = default.clone();
            let other = OTHERS
                .iter()
                .find(|text| limit.set(&mut options, text).is_ok());
            assert!(other.is_some(), "{}", limit.name);
            let (before, after) = (lines(&default.limits), lines(&options.limits));
            let changed: Vec<_> = std::iter::zip(before, after)
                .filter_map(|(before, after)| (before != after).then_some(after))
                .collect();
            if limit.name == "write-stall-timeout" {
                assert_eq!(options.write_stall_timeout, Duration::from_secs(7));
                continue;
            }
            let [line] = &changed[..] else {
                panic!("{}: {changed:?}", limit.name)
            };
            let (field, _) = line.split_once(':').expect("a field");
            let name = field
                .strip_suffix("_bytes")
                .unwrap_or(field)
                .replace('_', "-");
            assert_eq!(name, limit.name);
            set.push(field.to_owned());
        }
        for line in lines(&default.limits) {
            if let Some((field, _)) = line.split_once(':') {
                assert!(set.iter().any(|it| it == field), "{field} cannot be set");
            }
        }
    }

    #[test]
    fn what_a_limit_cannot_be_is_said_with_its_name() {
        for (name, text, parts) in [
            (
                "max-connections",
                "0",
                ["max-connections cannot be 0", "at least 1"],
            ),
            (
                "max-connections",
                "many",
                ["max-connections cannot be many", "not a count"],
            ),
            ("max-frame", "1KiB", ["max-frame cannot be 1KiB", "16384"]),
            (
                "stream-window",
                "4GiB",
                ["stream-window cannot be 4GiB", "more than there can be"],
            ),
            (
                "request-timeout",
                "0s",
                ["request-timeout cannot be 0s", "longer than 0"],
            ),
            (
                "keepalive-timeout",
                "10",
                ["keepalive-timeout cannot be 10", "duration"],
            ),
        ] {
            let limit = Limit::named(name).unwrap();
            let error = limit.set(&mut ServerOptions::default(), text).unwrap_err();
            let error = format!("{error:#}");
            for part in parts {
                assert!(error.contains(part), "{part:?} in {error}");
            }
        }
        let error = Limit::named("max-conections").unwrap_err().to_string();
        assert!(error.contains("--print-config"), "{error}");
    }
}
