//! Amounts as people type them: counts, bytes and durations.
//!
//! Each parser takes what the matching `format_` function writes. None of them reads the environment.

use std::time::Duration;

use anyhow::{Result, bail};

/// Stands for "no limit" wherever a limit is asked for.
const UNLIMITED: [&str; 2] = ["unlimited", "none"];

/// Parses a number of records: digits, `_` between them, and `k`, `M` or `G` for thousands, millions or billions.
pub(crate) fn parse_count(text: &str) -> Result<u64> {
    let (number, unit) = split_number(text)?;
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "m" | "M" => 1_000_000,
        "g" | "G" => 1_000_000_000,
        _ => bail!("{unit:?} is not a unit of a count: use k, M or G"),
    };
    scale(number, factor)
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
    let (number, unit) = split_number(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => bail!("{unit:?} is not a unit of bytes: use KiB, MiB, GiB or kB, MB, GB"),
    };
    scale(number, factor)
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
    let mut rest = text.trim();
    if rest.is_empty() {
        bail!("a duration is a number and a unit, as in 500ms, 30s, 5m or 1h30m");
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == ' ')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit_seconds = match unit {
            "us" | "µs" => 0.000_001,
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "" => bail!("{number:?} has no unit: use ms, s, m, h, d or w, as in {number}s"),
            _ => bail!("{unit:?} is not a unit of time: use ms, s, m, h, d or w"),
        };
        let Ok(number) = number.parse::<f64>() else {
            bail!("{text:?} is not a duration: use 500ms, 30s, 5m or 1h30m")
        };
        let part = Duration::try_from_secs_f64(number * unit_seconds);
        let Some(sum) = part.ok().and_then(|part| total.checked_add(part)) else {
            bail!("{text:?} is too long")
        };
        total = sum;
        rest = after.trim_start();
    }
    Ok(total)
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

/// Writes bytes for people: three significant digits and a binary unit.
pub(crate) fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 999.5 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let decimals = if unit == 0 || amount >= 99.95 {
        0
    } else if amount >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{amount:.decimals$}");
    let text = if decimals > 0 {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text} {}", UNITS[unit])
}

/// Writes bytes as a limit: `unlimited` for the largest.
pub(crate) fn format_bytes_limit(bytes: u64) -> String {
    if bytes == u64::MAX {
        UNLIMITED[0].to_owned()
    } else {
        format_bytes(bytes)
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
    const UNITS: [(&str, u128); 6] = [
        ("w", 604_800_000_000),
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1_000),
    ];
    let mut micros = duration.as_micros();
    let mut text = String::new();
    for (unit, size) in UNITS {
        if micros >= size {
            text += &format!("{}{unit}", micros / size);
            micros %= size;
        }
    }
    if micros > 0 || text.is_empty() {
        text += &format!("{micros}us");
    }
    text
}

/// Splits `12.5MiB` into its number and its unit; `_` may stand between digits.
fn split_number(text: &str) -> Result<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    match number.replace('_', "").parse::<f64>() {
        Ok(number) => Ok((number, unit.trim_start())),
        Err(_) => bail!("{text:?} does not start with a number"),
    }
}

fn scale(number: f64, factor: u64) -> Result<u64> {
    let amount = number * factor as f64;
    // 2^53: beyond it a float no longer tells neighbours apart, and no machine has that much memory.
    if amount > 9_007_199_254_740_992.0 {
        bail!("{amount} is too large: at most 2^53, or `unlimited`");
    }
    if amount.fract() != 0.0 {
        bail!("{amount} is not a whole number");
    }
    Ok(amount as u64)
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
        assert_eq!(parse_count_limit("unlimited").unwrap(), u64::MAX);
        assert_eq!(parse_bytes("64KiB").unwrap(), 65_536);
        assert_eq!(parse_bytes("64K").unwrap(), 65_536);
        assert_eq!(parse_bytes("64kB").unwrap(), 64_000);
        assert_eq!(parse_bytes("1.5 GiB").unwrap(), 3 << 29);
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
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
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
            "99999999999999999999w",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_age_limit("none").unwrap(), AgeLimit(None));
        assert!(parse_age_limit("0s").is_err());
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        for duration in [
            Duration::from_millis(1),
            Duration::from_secs(5_400),
            Duration::from_millis(90_061_250),
        ] {
            assert_eq!(
                parse_duration(&format_duration(duration)).unwrap(),
                duration
            );
        }
        for bytes in [0, 1, 512, 1024, 65_536, 1 << 30] {
            assert_eq!(parse_bytes(&format_bytes(bytes)).unwrap(), bytes);
        }
        assert_eq!(format_bytes(268_435_456), "256 MiB");
        assert_eq!(format_bytes(1_100), "1.07 KiB");
        assert_eq!(format_count(1_048_576), "1 048 576");
        assert_eq!(format_count(999), "999");
        assert_eq!(format_count_limit(u64::MAX), "unlimited");
        assert_eq!(format_bytes_limit(u64::MAX), "unlimited");
        assert_eq!(format_rate(1_210_000.0), "1.21 M/s");
    }
}
