//! Patterns of topic names: `orders.*`, `logs.>`, `>`.
//!
//! A name is a row of words with dots between. In a pattern the word `*` stands for any one word, and `>`,
//! which must be the last, for one word or more.

use std::fmt;

use crate::error::InvalidPattern;
use crate::name::{MAX_NAME_BYTES, is_name_character};

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternProblem {
    /// It has no characters.
    Empty,
    /// It is longer than [`MAX_NAME_BYTES`].
    TooLong,
    /// It has a character outside `A-Z a-z 0-9 . _ - * >`.
    Character(char),
    /// `*` or `>` stands beside other characters: each is a word of its own.
    Wildcard(char),
    /// `>` is not the last word.
    RestNotLast,
}

impl fmt::Display for PatternProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong => write!(f, "it is longer than {MAX_NAME_BYTES} bytes"),
            Self::Character(c) => write!(f, "{c:?} is not one of A-Z a-z 0-9 . _ - * >"),
            Self::Wildcard(c) => write!(f, "{c:?} must be a word of its own, between dots"),
            Self::RestNotLast => f.write_str("\">\" must be the last word"),
        }
    }
}

/// Checks a pattern.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), InvalidPattern> {
    problem(pattern).map_or(Ok(()), |problem| Err(InvalidPattern::new(pattern, problem)))
}

fn problem(pattern: &str) -> Option<PatternProblem> {
    if pattern.is_empty() {
        return Some(PatternProblem::Empty);
    }
    if pattern.len() > MAX_NAME_BYTES {
        return Some(PatternProblem::TooLong);
    }
    let mut rest_seen = false;
    for word in pattern.split('.') {
        if rest_seen {
            return Some(PatternProblem::RestNotLast);
        }
        if word == ">" {
            rest_seen = true;
        } else if word != "*" {
            match word.chars().find(|&c| !is_name_character(c)) {
                Some(c @ ('*' | '>')) => return Some(PatternProblem::Wildcard(c)),
                Some(c) => return Some(PatternProblem::Character(c)),
                None => {}
            }
        }
    }
    None
}

/// Whether a topic's name is one that a checked pattern stands for. One pass over both.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut words = name.split('.');
    for wanted in pattern.split('.') {
        match (wanted, words.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(word)) if wanted == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_word_and_a_rest_is_one_or_more() {
        for (pattern, yes, no) in [
            (
                "orders",
                vec!["orders"],
                vec!["order", "orders.eu", "orders."],
            ),
            (
                "orders.*",
                vec!["orders.eu", "orders.-"],
                vec!["orders", "orders.eu.x", "x.orders"],
            ),
            (
                "*.eu",
                vec!["orders.eu", "a.eu"],
                vec!["eu", "orders.us", "a.b.eu"],
            ),
            ("*", vec!["orders", "x"], vec!["a.b"]),
            ("a.*.c", vec!["a.b.c", "a..c"], vec!["a.c", "a.b.b.c"]),
            (
                "logs.>",
                vec!["logs.a", "logs.a.b.c"],
                vec!["logs", "log.a"],
            ),
            (">", vec!["a", "a.b", "..."], vec![]),
            ("*.>", vec!["a.b", "a.b.c"], vec!["a"]),
        ] {
            check_pattern(pattern).unwrap();
            assert!(yes.iter().all(|name| matches(pattern, name)), "{pattern}");
            assert!(!no.iter().any(|name| matches(pattern, name)), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!(problem(""), Some(PatternProblem::Empty));
        assert_eq!(problem(&"*.".repeat(125)), Some(PatternProblem::TooLong));
        assert_eq!(problem("a b"), Some(PatternProblem::Character(' ')));
        assert_eq!(problem("a*"), Some(PatternProblem::Wildcard('*')));
        assert_eq!(problem("a.>b"), Some(PatternProblem::Wildcard('>')));
        assert_eq!(problem(">.a"), Some(PatternProblem::RestNotLast));
        assert_eq!(problem(">.>"), Some(PatternProblem::RestNotLast));
    }
}
