//! A record in a form of one's own: `--format '%o %k=%v\n'`. Pure.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::{Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::input::parse_delimiter;
use crate::output::{RecordView, format_time, push_headers, push_number};

/// Text with places for parts of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Topic,
    Epoch,
    Offset,
    Time,
    Micros,
    Key(Form),
    KeyLength,
    Value(Form),
    ValueLength,
    Headers,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    AsTheyAre,
    Hex,
    Base64,
}

impl FromStr for Template {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Template> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                literal.push(c);
                continue;
            }
            let mut place = rest.next();
            let form = match place {
                Some('x') => Form::Hex,
                Some('b') => Form::Base64,
                _ => Form::AsTheyAre,
            };
            if form != Form::AsTheyAre {
                place = rest.next().filter(|place| matches!(place, 'k' | 'v'));
            }
            let part = match place {
                Some('%') => {
                    literal.push('%');
                    continue;
                }
                Some('t') => Part::Topic,
                Some('e') => Part::Epoch,
                Some('o') => Part::Offset,
                Some('d') => Part::Time,
                Some('u') => Part::Micros,
                Some('k') => Part::Key(form),
                Some('K') => Part::KeyLength,
                Some('v') => Part::Value(form),
                Some('V') => Part::ValueLength,
                Some('h') => Part::Headers,
                _ => bail!(
                    "{text:?} has a % that stands for nothing: use %t %e %o %d %u %k %K %v %V %h, \
                     %xk %xv %bk %bv, or %% for a percent sign"
                ),
            };
            push_literal(&mut parts, &mut literal)?;
            parts.push(part);
        }
        push_literal(&mut parts, &mut literal)?;
        Ok(Template { parts })
    }
}

fn push_literal(parts: &mut Vec<Part>, literal: &mut String) -> Result<()> {
    if !literal.is_empty() {
        parts.push(Part::Literal(parse_delimiter(literal)?));
        literal.clear();
    }
    Ok(())
}

impl Template {
    /// Appends one record.
    pub(crate) fn write(&self, out: &mut Vec<u8>, record: &RecordView<'_>) {
        let key = record.key.unwrap_or_default();
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Topic => out.extend_from_slice(record.topic.as_bytes()),
                Part::Epoch => push_number(out, record.epoch),
                Part::Offset => push_number(out, record.offset),
                Part::Time => out.extend_from_slice(format_time(record.timestamp_us).as_bytes()),
                Part::Micros => out.extend_from_slice(record.timestamp_us.to_string().as_bytes()),
                Part::Key(form) => form.write(out, key),
                Part::KeyLength => push_number(out, key.len() as u64),
                Part::Value(form) => form.write(out, record.value),
                Part::ValueLength => push_number(out, record.value.len() as u64),
                Part::Headers => push_headers(out, &record.headers),
            }
        }
    }
}

impl Form {
    fn write(self, out: &mut Vec<u8>, bytes: &[u8]) {
        match self {
            Form::AsTheyAre => out.extend_from_slice(bytes),
            Form::Hex => {
                let mut digits = String::with_capacity(bytes.len() * 2);
                for byte in bytes {
                    let _ = write!(digits, "{byte:02x}");
                }
                out.extend_from_slice(digits.as_bytes());
            }
            Form::Base64 => out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(template: &str, key: Option<&[u8]>) -> String {
        let record = RecordView {
            topic: "logs",
            epoch: 7,
            offset: 42,
            timestamp_us: 1_769_860_800_000_001,
            key,
            value: b"v\xff",
            headers: vec![("a", b"1"), ("b", b"2")],
        };
        let mut out = Vec::new();
        template
            .parse::<Template>()
            .expect(template)
            .write(&mut out, &record);
        String::from_utf8(out).expect(template)
    }

    #[test]
    fn each_place_is_filled() {
        for (template, text) in [
            (r"%t/%e/%o\n", "logs/7/42\n"),
            ("%d %u", "2026-01-31T12:00:00.000001Z 1769860800000001"),
            (r"%k\t%K|%xv|%bv|%V", "k\t1|76ff|dv8=|2"),
            ("100%% %h", "100% a=1,b=2"),
            (r"\x25t", "%t"),
            ("", ""),
        ] {
            assert_eq!(written(template, Some(b"k")), text, "{template}");
        }
        assert_eq!(written("[%k%xk%K]", None), "[0]");
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        for template in ["%", "%q", "%xo", "%b", r"\q"] {
            let error = template.parse::<Template>().expect_err(template);
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
