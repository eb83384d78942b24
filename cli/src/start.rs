//! Where to start reading, as people type it: `--from` and `--since`.
//!
//! Pure: the current time is passed in.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

/// Where a subscription starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the oldest record kept.
    Earliest,
    /// After the newest record.
    Latest,
    /// At this offset.
    Offset(u64),
    /// At the first record with this timestamp or a later one, in microseconds since the Unix epoch.
    Timestamp(i64),
    /// This many records before the end, or at the oldest kept if there are fewer.
    Last(u64),
}

impl Start {
    /// What lies `ago` before `now`.
    pub(crate) fn since(ago: Duration, now: Timestamp) -> Start {
        let ago = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
        Start::Timestamp(now.as_microsecond().saturating_sub(ago))
    }
}

impl FromStr for Start {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Start> {
        if text == "earliest" {
            return Ok(Start::Earliest);
        }
        if text == "latest" {
            return Ok(Start::Latest);
        }
        if let Some(seconds) = text.strip_prefix('@') {
            return Ok(Start::Timestamp(unix_seconds(seconds)?));
        }
        if let Some(count) = text.strip_prefix('-')
            && is_number(count)
        {
            return Ok(Start::Last(count.parse().context("too many records")?));
        }
        if is_number(text) {
            return Ok(Start::Offset(
                text.parse().context("this offset is too large")?,
            ));
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('-') {
            let time: Timestamp = text.parse().map_err(|_| {
                anyhow::anyhow!(
                    "{text:?} is not a time: write it as 2026-01-31T12:00:00Z or with an offset like +01:00"
                )
            })?;
            return Ok(Start::Timestamp(time.as_microsecond()));
        }
        bail!(
            "{text:?} is no place to start: use earliest, latest, an offset (42), the last N (-10), \
             a time (2026-01-31T12:00:00Z) or unix seconds (@1769860800)"
        )
    }
}

/// A place to start: in the topic that it names, or else in every topic that no other names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartIn {
    pub(crate) topic: Option<String>,
    pub(crate) start: Start,
}

impl FromStr for StartIn {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<StartIn> {
        // No name of a topic and no place has a `=` in it.
        let (topic, start) = match text.split_once('=') {
            Some((topic, start)) => (Some(topic.to_owned()), start),
            None => (None, text),
        };
        Ok(StartIn {
            topic,
            start: start.parse()?,
        })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Microseconds from `SECONDS` or `SECONDS.FRACTION`; digits past the sixth are cut.
fn unix_seconds(text: &str) -> Result<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_number(whole) || !is_number(fraction) {
        bail!("\"@{text}\" is not a time: use unix seconds, as in @1769860800 or @1769860800.25");
    }
    let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let whole: i64 = whole
        .parse()
        .with_context(|| format!("@{text} is out of range"))?;
    let micros: i64 = micros.parse().context("six digits are a number")?;
    whole
        .checked_mul(1_000_000)
        .and_then(|us| us.checked_add(micros))
        .with_context(|| format!("@{text} is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_understood() {
        for (text, start) in [
            ("earliest", Start::Earliest),
            ("latest", Start::Latest),
            ("0", Start::Offset(0)),
            ("18446744073709551615", Start::Offset(u64::MAX)),
            ("-10", Start::Last(10)),
            ("@1769860800", Start::Timestamp(1_769_860_800_000_000)),
            ("@1769860800.25", Start::Timestamp(1_769_860_800_250_000)),
            (
                "2026-01-31T12:00:00Z",
                Start::Timestamp(1_769_860_800_000_000),
            ),
            (
                "2026-01-31T13:00:00.5+01:00",
                Start::Timestamp(1_769_860_800_500_000),
            ),
        ] {
            assert_eq!(text.parse::<Start>().unwrap(), start, "{text}");
        }
    }

    #[test]
    fn what_is_unclear_is_refused_with_the_forms_that_are_not() {
        for text in [
            "",
            "-",
            "@",
            "@x",
            "@1.",
            "newest",
            "+5",
            "-1h",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "18446744073709551616",
        ] {
            let error = text.parse::<Start>().expect_err(text);
            assert!(!format!("{error:#}").contains('\n'), "{error:#}");
        }
    }

    #[test]
    fn a_start_may_name_its_topic() {
        let start = |text: &str| text.parse::<StartIn>().map(|it| (it.topic, it.start));
        assert_eq!(start("-3").unwrap(), (None, Start::Last(3)));
        assert_eq!(
            start("a.b=@1").unwrap(),
            (Some("a.b".to_owned()), Start::Timestamp(1_000_000))
        );
        for text in ["a=", "a=b=1", "a=soon"] {
            start(text).expect_err(text);
        }
    }

    #[test]
    fn since_counts_back_from_now() {
        let now = Timestamp::from_second(1_000).unwrap();
        assert_eq!(
            Start::since(Duration::from_secs(300), now),
            Start::Timestamp(700_000_000)
        );
    }
}
