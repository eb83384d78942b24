//! Amounts as people type them: counts, bytes and durations.
//!
//! Each parser takes what the matching `format_` function writes. None of them reads the environment. Bytes
//! are `bytesize`'s and durations `jiff`'s; what is here is which of their forms we take, and what we say of others.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytesize::ByteSize;
use footman_broker::MAX_RECORD_BYTES;
use jiff::fmt::friendly::{Spacing, SpanParser, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo, SpanRound, Unit};

/// Stands for "no limit" wherever a limit is asked for.
const UNLIMITED: [&str; 2] = ["unlimited", "none"];

/// 2^53: beyond it a float no longer tells neighbours apart, and no machine has that much memory.
const LARGEST: u64 = 1 << 53;

/// Parses a number of records: digits, `_` between them, and `k`, `M` or `G` for thousands, millions or billions.
pub(crate) fn parse_count(text: &str) -> Result<u64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let power = match unit.trim_start() {
        "" => Some(0),
        "k" | "K" => Some(3),
        "m" | "M" => Some(6),
        "g" | "G" => Some(9),
        unit if !number.is_empty() => bail!("{unit:?} is not a unit of a count: use k, M or G"),
        _ => None,
    };
    power
        .and_then(|power| scale(&number.replace('_', ""), power))
        .with_context(|| {
            format!(
                "{text:?} is not a count: use a whole number up to 2^53, as in 1000, 1k or 1.5M"
            )
        })
}

/// Parses a count of at least 1.
pub(crate) fn parse_positive_count(text: &str) -> Result<u64> {
    positive(parse_count(text)?)
}

/// Parses a limit on records: a count of at least 1, or `unlimited`.
pub(crate) fn parse_count_limit(text: &str) -> Result<u64> {
    if UNLIMITED.contains(&text) {
        Ok(u64::MAX)
    } else {
        at_least_one(parse_count(text)?)
    }
}

/// Parses an amount of bytes: `1000`, `64KiB` or `64K` (× 1024), `64kB` (× 1000), up to `TiB`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64> {
    let mut amount = text.trim().replace('_', "");
    // To `bytesize` a bare K is 1000; to us, as to `dd` and `sort`, it is 1024.
    if amount.ends_with(|c: char| "kmgt".contains(c.to_ascii_lowercase())) {
        amount.push_str("iB");
    }
    match amount.parse::<ByteSize>() {
        Ok(ByteSize(bytes)) if bytes <= LARGEST => Ok(bytes),
        Ok(_) => bail!("{text:?} is too large: at most 2^53 bytes, or `unlimited`"),
        Err(_) => bail!(
            "{text:?} is not an amount of bytes: use a number and KiB, MiB, GiB or kB, MB, GB, as in 64KiB"
        ),
    }
}

/// Parses an amount of at least 1 byte.
pub(crate) fn parse_positive_bytes(text: &str) -> Result<u64> {
    positive(parse_bytes(text)?)
}

/// Parses how large a record may be.
pub(crate) fn parse_record_bytes(text: &str) -> Result<u32> {
    match u32::try_from(parse_bytes(text)?) {
        Ok(bytes @ 1..=MAX_RECORD_BYTES) => Ok(bytes),
        _ => bail!("{text:?} is no size of a record: 1 byte to 3MiB"),
    }
}

/// Parses a limit on bytes: an amount of at least 1, or `unlimited`.
pub(crate) fn parse_bytes_limit(text: &str) -> Result<u64> {
    if UNLIMITED.contains(&text) {
        Ok(u64::MAX)
    } else {
        at_least_one(parse_bytes(text)?)
    }
}

/// Parses a duration: numbers each with a unit (`ms`, `s`, `m`, `h`, `d`, `w`), as in `1h30m` or `1.5s`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration> {
    const PARSER: SpanParser = SpanParser::new();
    PARSER
        .parse_span(text.trim())
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .and_then(Duration::try_from)
        .ok()
        .with_context(|| {
            format!("{text:?} is not a duration: use numbers with ms, s, m, h, d or w (d and w whole), as in 500ms, 30s, 1h30m or 1d")
        })
}

/// A limit on age: `None` where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AgeLimit(pub Option<Duration>);

/// Parses a limit on age: a duration above zero, or `unlimited`.
pub(crate) fn parse_age_limit(text: &str) -> Result<AgeLimit> {
    if UNLIMITED.contains(&text) {
        return Ok(AgeLimit(None));
    }
    let age = parse_duration(text)?;
    if age.is_zero() {
        bail!("an age must be above zero; `unlimited` keeps records of any age");
    }
    Ok(AgeLimit(Some(age)))
}

/// Writes a count for people: all digits, in groups of three.
pub(crate) fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// Writes how many records: `1 record`, `1 000 records`.
pub(crate) fn format_records(count: u64) -> String {
    format!(
        "{} record{}",
        format_count(count),
        if count == 1 { "" } else { "s" }
    )
}

/// Writes a count as a limit: `unlimited` for the largest.
pub(crate) fn format_count_limit(count: u64) -> String {
    if count == u64::MAX {
        UNLIMITED[0].to_owned()
    } else {
        format_count(count)
    }
}

/// Writes bytes for people, in a binary unit: `256 MiB`, `1.1 KiB`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    let text = ByteSize(bytes).display().iec().to_string();
    text.replace(".0 ", " ")
}

/// Writes bytes as a limit: `unlimited` for the largest.
pub(crate) fn format_bytes_limit(bytes: u64) -> String {
    if bytes == u64::MAX {
        UNLIMITED[0].to_owned()
    } else {
        format_bytes(bytes)
    }
}

/// Writes bytes for people where that says all, else their number; `unlimited` for the largest.
pub(crate) fn format_exact_bytes(bytes: u64) -> String {
    let text = format_bytes_limit(bytes);
    match parse_bytes_limit(&text) {
        Ok(read_back) if read_back == bytes => text,
        _ => bytes.to_string(),
    }
}

/// Writes a rate for people: `940 k/s`, `1.21 M/s`.
pub(crate) fn format_rate(per_second: f64) -> String {
    if per_second >= 1e6 {
        format!("{:.2} M/s", per_second / 1e6)
    } else if per_second >= 1e4 {
        format!("{:.0} k/s", per_second / 1e3)
    } else {
        format!("{per_second:.0} /s")
    }
}

/// Writes a duration as [`parse_duration`] takes it: `1h30m`, `250ms`.
pub(crate) fn format_duration(duration: Duration) -> String {
    const PRINTER: SpanPrinter = SpanPrinter::new().spacing(Spacing::None);
    let in_weeks = SpanRound::new().largest(Unit::Week).days_are_24_hours();
    SignedDuration::try_from(duration)
        .and_then(Span::try_from)
        .and_then(|span| span.round(in_weeks))
        .map_or_else(
            // Beyond what `jiff` knows, which is some 20 000 years.
            |_| format!("{}s", duration.as_secs()),
            |span| PRINTER.span_to_string(&span),
        )
}

/// The whole number that is `number` times ten to the `power`.
fn scale(number: &str, power: usize) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let zeros = power.checked_sub(fraction.len())?;
    let digits = format!("{whole}{fraction}{}", "0".repeat(zeros));
    digits
        .parse()
        .ok()
        .filter(|amount| *amount <= LARGEST && !whole.is_empty())
}

fn positive(amount: u64) -> Result<u64> {
    if amount == 0 {
        bail!("this must be at least 1");
    }
    Ok(amount)
}

fn at_least_one(amount: u64) -> Result<u64> {
    if amount == 0 {
        bail!("a limit must be at least 1; `unlimited` takes it away");
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_bytes_take_units_and_refuse_nonsense() {
        assert_eq!(parse_count("1_000").unwrap(), 1_000);
        assert_eq!(parse_count("1.5M").unwrap(), 1_500_000);
        assert_eq!(parse_count("1.001k").unwrap(), 1_001);
        assert_eq!(parse_count("2.50 k").unwrap(), 2_500);
        assert_eq!(parse_record_bytes("3MiB").unwrap(), 3 << 20);
        assert_eq!(parse_count_limit("unlimited").unwrap(), u64::MAX);
        assert_eq!(parse_bytes("64KiB").unwrap(), 65_536);
        assert_eq!(parse_bytes("64K").unwrap(), 65_536);
        assert_eq!(parse_bytes("64kB").unwrap(), 64_000);
        assert_eq!(parse_bytes("64k").unwrap(), 65_536);
        assert_eq!(parse_bytes("1_000").unwrap(), 1_000);
        assert_eq!(parse_bytes("1.5 GiB").unwrap(), 3 << 29);
        assert_eq!(parse_bytes("1.5 G").unwrap(), 3 << 29);
        for bad in [
            "",
            "x",
            "-1",
            "1.5",
            "1 apple",
            "1e9",
            "9999999999999999999",
        ] {
            assert!(parse_count(bad).is_err(), "{bad:?}");
            assert!(parse_bytes(bad).is_err(), "{bad:?}");
        }
        for bad in ["K", "GiB", "64Q", "5E", "99999999999999999999TiB"] {
            assert!(parse_bytes(bad).is_err(), "{bad:?}");
        }
        for bad in [".5k", "1.2345k", "1.5.5M", "k", "20_000_000G"] {
            assert!(parse_count(bad).is_err(), "{bad:?}");
        }
        for bad in ["0", "3.1MiB", "5GiB"] {
            assert!(parse_record_bytes(bad).is_err(), "{bad:?}");
        }
        assert!(parse_positive_count("0").is_err());
        assert!(parse_positive_bytes("0").is_err());
        assert!(parse_count_limit("0").is_err());
        assert!(parse_bytes_limit("0").is_err());
    }

    #[test]
    fn durations_add_their_parts() {
        assert_eq!(parse_duration("1h30m").unwrap(), Duration::from_secs(5_400));
        assert_eq!(
            parse_duration("1h 30m").unwrap(),
            Duration::from_secs(5_400)
        );
        for (text, seconds) in [("30s", 30), ("5m", 300), ("1d", 86_400), ("1w2d", 777_600)] {
            assert_eq!(parse_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        assert_eq!(parse_duration("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(
            parse_duration("1.5s").unwrap(),
            Duration::from_millis(1_500)
        );
        assert_eq!(
            parse_duration("2w").unwrap(),
            Duration::from_secs(1_209_600)
        );
        for bad in [
            "",
            "5",
            "s",
            "5 apples",
            "1..5s",
            "-5s",
            "5s ago",
            "1month",
            "99999999999999999999w",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        let error = parse_duration("5").unwrap_err().to_string();
        assert!(error.contains("ms, s, m, h, d or w"), "{error}");
        assert_eq!(parse_age_limit("none").unwrap(), AgeLimit(None));
        assert!(parse_age_limit("0s").is_err());
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        for duration in [
            Duration::from_millis(1),
            Duration::from_secs(5_400),
            Duration::from_millis(90_061_250),
            Duration::from_secs(3 * 604_800 + 86_400),
            Duration::from_micros(1_500),
            Duration::ZERO,
        ] {
            assert_eq!(
                parse_duration(&format_duration(duration)).unwrap(),
                duration
            );
        }
        for bytes in [0, 1, 512, 1024, 65_536, 1 << 30] {
            assert_eq!(parse_bytes(&format_bytes(bytes)).unwrap(), bytes);
        }
        assert_eq!(format_duration(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(format_duration(Duration::from_secs(864_000)), "1w3d");
        let forever = format!("{}s", u64::MAX);
        assert_eq!(format_duration(Duration::MAX), forever);
        assert_eq!(format_bytes(268_435_456), "256 MiB");
        assert_eq!(format_bytes(1_100), "1.1 KiB");
        assert_eq!(format_count(1_048_576), "1 048 576");
        assert_eq!(format_count(999), "999");
        assert_eq!(format_count_limit(u64::MAX), "unlimited");
        assert_eq!(format_bytes_limit(u64::MAX), "unlimited");
        assert_eq!(format_rate(1_210_000.0), "1.21 M/s");
    }
}
