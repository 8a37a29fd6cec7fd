//! What messages about a refused statement show: the place in it, and what may be meant.

use std::time::Duration;

use crate::base::error::Error;
use crate::base::suggest::nearest;
use crate::sql::signs::{joined, quoted_name, written};
use crate::sql::tokens::{Kind, Lexicon, Token};

/// Longest time that is spent on looking up names for a message.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(1);

/// Largest number of names that are looked up for a message.
pub const MOST_NAMES: usize = 10_000;

/// Number of characters of a long line that are shown on either side of the place.
const AROUND: usize = 50;

/// Parts of lines, in lower case, that may stand beside a secret.
const BESIDE_SECRETS: [&str; 8] = [
    "://",
    "password",
    "passwd",
    "pwd",
    "secret",
    "identified",
    "create user",
    "alter user",
];

/// Returns the line of a statement with the byte at `offset`, and a caret under this byte, as psql
/// prints them. Lines that may hold a secret are not shown.
///
/// # Examples
///
/// ```
/// use industrydb_core::mistakes::place;
///
/// let sql = "SELECT id\nFROM oders";
/// assert_eq!(place(sql, 15), "\nLINE 2: FROM oders\n             ^");
/// assert_eq!(place("ATTACH 'file://x' AS y z", 22), "");
/// ```
pub fn place(sql: &str, offset: usize) -> String {
    let mut offset = offset.min(sql.len());
    while !sql.is_char_boundary(offset) {
        offset -= 1;
    }
    let (before, behind) = sql.split_at(offset);
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let end = behind.find('\n').unwrap_or(behind.len());
    let line = &sql[start..offset + end];
    let lower = line.to_lowercase();
    if BESIDE_SECRETS.iter().any(|part| lower.contains(part)) {
        return String::new();
    }
    let number = before.matches('\n').count() + 1;
    let column = before[start..].chars().count();
    let length = line.chars().count();
    let (first, last) = if length <= 2 * AROUND {
        (0, length)
    } else {
        (column.saturating_sub(AROUND), length.min(column + AROUND))
    };
    let dots = |is_cut: bool| if is_cut { "…" } else { "" };
    let prefix = format!("LINE {number}: {}", dots(first > 0));
    let shown = line.chars().skip(first).take(last - first);
    // A tab would move the caret.
    let shown: String = shown
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let indent = " ".repeat(prefix.chars().count() + column - first);
    format!(
        "\n{prefix}{}{}\n{indent}^",
        shown.trim_end(),
        dots(last < length)
    )
}

/// Adds to an error the line that it is about, and a hint, as far as they are known. `offset` is that
/// of a byte in a statement, which is a part of the caller's text `whole`.
pub fn explained(
    error: Error,
    statement: &str,
    whole: &str,
    offset: Option<usize>,
    hint: Option<String>,
) -> Error {
    let before = whole.find(statement).unwrap_or_default();
    let shown = if before == 0 { statement } else { whole };
    let error = match offset {
        Some(offset) if !shown.is_empty() => error.placed(&place(shown, before + offset)),
        _ => error,
    };
    match hint {
        Some(hint) => error.hint(&hint),
        None => error,
    }
}

/// A part of a name in a statement.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Its text, without quotes.
    pub text: String,
    /// Whether it stands in quotes.
    pub is_quoted: bool,
}

/// Returns the parts of the name at `offset`, such as `sales` and `orders` of `sales.orders`; none
/// if there is no name.
pub fn name_at(sql: &str, offset: usize, lexicon: Lexicon) -> Vec<Part> {
    let mut parts = Vec::new();
    let tokens = joined(sql, lexicon);
    let mut rest = tokens.iter().skip_while(|token| token.start < offset);
    while let Some(part) = rest.next().and_then(|token| part(sql, token)) {
        parts.push(part);
        if rest.next().is_none_or(|token| written(sql, token) != ".") {
            break;
        }
    }
    parts
}

/// Returns the names of a statement, each once, and with them its keywords.
pub fn names(sql: &str, lexicon: Lexicon) -> Vec<Part> {
    let mut names: Vec<Part> = Vec::new();
    for part in joined(sql, lexicon)
        .iter()
        .filter_map(|token| part(sql, token))
    {
        if names.len() < MOST_NAMES && !names.contains(&part) {
            names.push(part);
        }
    }
    names
}

/// Returns where a name is in a statement, in upper or lower case.
pub fn offset_of(sql: &str, name: &str, lexicon: Lexicon) -> Option<usize> {
    let tokens = joined(sql, lexicon);
    let is_it =
        |token: &&Token| part(sql, token).is_some_and(|part| part.text.eq_ignore_ascii_case(name));
    tokens.iter().find(is_it).map(|token| token.start)
}

fn part(sql: &str, token: &Token) -> Option<Part> {
    let quoted = quoted_name(sql, token);
    let is_quoted = quoted.is_some();
    let is_word = token.kind == Kind::Word;
    let text = quoted.or_else(|| is_word.then(|| written(sql, token).to_owned()))?;
    Some(Part { text, is_quoted })
}

/// Returns the hint with the name that may be meant by an unknown one. Each known name has the parts
/// that a statement needs, such as the schema and the table; `quoted` quotes a part that is no plain
/// word.
pub fn near_name(
    name: &str,
    known: &[Vec<String>],
    quoted: impl Fn(&str) -> String,
) -> Option<String> {
    let last = |parts: &[String]| parts.last().cloned().unwrap_or_default();
    // A table of this very name may be in another schema.
    let same = known.iter().find(|parts| last(parts) == name);
    let parts = same.filter(|parts| parts.len() > 1).or_else(|| {
        let lasts: Vec<String> = known.iter().map(|parts| last(parts)).collect();
        let near = nearest(name, lasts.iter().map(String::as_str))?;
        known.iter().find(|parts| last(parts) == near)
    })?;
    let shown = parts.iter().map(|part| {
        let is_plain = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_plain { part.clone() } else { quoted(part) }
    });
    Some(format!(
        "did you mean {}?",
        shown.collect::<Vec<_>>().join(".")
    ))
}

/// Returns the hint with the name that may be meant by an unknown one, and that the statement itself
/// gives to a part of a query or to a column: `WITH name AS (…)`, `… AS name`.
///
/// # Examples
///
/// ```
/// use industrydb_core::mistakes::near_defined;
///
/// # let lexicon = industrydb_core::tokens::Lexicon {
/// #     quotes: &[(b'\'', b'\''), (b'"', b'"')],
/// #     line_ends: b"\n",
/// #     nested_comments: false,
/// #     escape_and_dollar_strings: false,
/// #     sigils: b"",
/// #     hash_comments: false,
/// #     backslash_in: b"",
/// # };
/// let sql = "WITH sales AS (SELECT total AS amount FROM t) SELECT amout FROM sale";
/// let hint = |name| near_defined(name, sql, lexicon);
/// assert_eq!(hint("sale").as_deref(), Some("did you mean sales?"));
/// assert_eq!(hint("amout").as_deref(), Some("did you mean amount?"));
/// assert_eq!(hint("form"), None);
/// ```
pub fn near_defined(name: &str, sql: &str, lexicon: Lexicon) -> Option<String> {
    let mut tokens = joined(sql, lexicon);
    tokens.retain(|token| token.kind != Kind::Blank);
    let named = |index: usize| tokens.get(index).and_then(|token| part(sql, token));
    let is_as = |token: &Token| written(sql, token).eq_ignore_ascii_case("AS");
    let places = tokens.iter().enumerate().filter(|(_, token)| is_as(token));
    let defined: Vec<String> = places
        .filter_map(|(index, _)| named(index + 1).or_else(|| named(index.checked_sub(1)?)))
        .map(|part| part.text)
        .collect();
    let near = nearest(name, defined.iter().map(String::as_str))?;
    Some(format!("did you mean {near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::LEXICON;

    #[test]
    fn the_caret_is_under_the_character() {
        let long = "x".repeat(300);
        for (sql, offset, expected) in [
            (
                "SELECT 'ä', nosuch",
                13,
                "LINE 1: SELECT 'ä', nosuch\n                    ^",
            ),
            ("a\r\n\tb c\r\n", 6, "LINE 2:  b c\n           ^"),
            ("SELECT", 99, "LINE 1: SELECT\n              ^"),
            ("", 0, "LINE 1: \n        ^"),
        ] {
            assert_eq!(place(sql, offset), format!("\n{expected}"));
        }
        let shown = place(&long, 150);
        let (line, caret) = shown.trim_start().split_once('\n').expect("two lines");
        assert_eq!(line.chars().count(), "LINE 1: ……".chars().count() + 100);
        assert_eq!(caret.chars().count(), "LINE 1: …".chars().count() + 51);
    }

    #[test]
    fn names_are_found_at_their_place() {
        let parts = |sql: &str, offset| -> Vec<String> {
            let parts = name_at(sql, offset, LEXICON);
            parts.into_iter().map(|part| part.text).collect()
        };
        assert_eq!(
            parts("SELECT * FROM sales.\"Oders\" o", 14),
            ["sales", "Oders"]
        );
        assert_eq!(parts("SELECT o.id FROM t", 7), ["o", "id"]);
        assert_eq!(parts("SELECT \"a\"\"b\" FROM t", 7), ["a\"b"]);
        assert_eq!(parts("SELECT 'x'", 7), [""; 0]);
        assert_eq!(parts("SELECT", 99), [""; 0]);
        assert_eq!(
            offset_of("SELECT 'oders' FROM \"Oders\"", "oders", LEXICON),
            Some(20)
        );
    }
}
