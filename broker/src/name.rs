//! Topic names: which strings are one.
//!
//! The grammar is `[A-Za-z0-9._-]{1,249}`, not `.` and not `..`: a name fits into a file name, a URL
//! path and a metric label as it is.

use std::fmt;

use crate::error::InvalidName;

/// The longest topic name, in bytes.
pub const MAX_NAME_BYTES: usize = 249;

/// What is wrong with a topic name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameProblem {
    /// It has no characters.
    Empty,
    /// It is longer than [`MAX_NAME_BYTES`].
    TooLong,
    /// It is `.` or `..`.
    Dots,
    /// It has a character outside `A-Z a-z 0-9 . _ -`.
    Character(char),
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong => write!(f, "it is longer than {MAX_NAME_BYTES} bytes"),
            Self::Dots => f.write_str("`.` and `..` are not names"),
            Self::Character(c) => {
                write!(f, "{c:?} is not one of A-Z a-z 0-9 . _ -")
            }
        }
    }
}

/// Checks a topic's name.
///
/// # Errors
/// [`InvalidName`] with what is wrong.
///
/// ```
/// assert!(footman_broker::check_name("orders.eu-1").is_ok());
/// assert!(footman_broker::check_name("orders/eu").is_err());
/// ```
pub fn check_name(name: &str) -> Result<(), InvalidName> {
    let problem = if name.is_empty() {
        NameProblem::Empty
    } else if name.len() > MAX_NAME_BYTES {
        NameProblem::TooLong
    } else if name == "." || name == ".." {
        NameProblem::Dots
    } else if let Some(c) = name.chars().find(|c| !is_name_character(*c)) {
        NameProblem::Character(c)
    } else {
        return Ok(());
    };
    Err(InvalidName::new(name, problem))
}

pub(crate) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str) -> Option<NameProblem> {
        check_name(name).err().map(|e| e.problem)
    }

    #[test]
    fn the_grammar_is_exact() {
        assert_eq!(problem("a"), None);
        assert_eq!(problem("A.b_c-9"), None);
        assert_eq!(problem("..."), None);
        assert_eq!(problem(&"x".repeat(249)), None);
        assert_eq!(problem(&"x".repeat(250)), Some(NameProblem::TooLong));
        assert_eq!(problem(""), Some(NameProblem::Empty));
        assert_eq!(problem("."), Some(NameProblem::Dots));
        assert_eq!(problem(".."), Some(NameProblem::Dots));
        for c in [' ', '/', '\\', '*', '>', '\0', '\n', 'é', '🦀', ':', '%'] {
            assert_eq!(problem(&format!("a{c}b")), Some(NameProblem::Character(c)));
        }
    }

    #[test]
    fn an_error_does_not_carry_a_name_of_megabytes() {
        let error = check_name(&"é".repeat(1 << 20)).unwrap_err();
        assert!(error.name.len() < 300, "{}", error.name.len());
        assert!(error.to_string().contains("longer than 249 bytes"));
    }
}
