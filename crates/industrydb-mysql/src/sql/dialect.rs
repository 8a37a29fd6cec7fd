//! The SQL dialect: tokens, quoted names, literals, and statements on a table.

use industrydb_core::dialect::{Dialect, NameLimit, limit_offset};
use industrydb_core::tokens::Lexicon;
use industrydb_core::{Error, Result};

use crate::types::type_name;

/// How a session's `sql_mode` reads quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SqlMode {
    /// `ANSI_QUOTES`: double quotes are around names, not texts.
    pub(crate) ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES`: a backslash is a character like others.
    pub(crate) no_backslash_escapes: bool,
    /// `PAD_CHAR_TO_FULL_LENGTH`: texts of a `char(5)` have five characters.
    pub(crate) pads_char: bool,
}

impl SqlMode {
    /// Parses the value of `sql_mode`.
    pub(crate) fn new(text: &str) -> Self {
        let has = |name: &str| text.split(',').any(|mode| mode.eq_ignore_ascii_case(name));
        Self {
            ansi_quotes: has("ANSI_QUOTES"),
            no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
            pads_char: has("PAD_CHAR_TO_FULL_LENGTH"),
        }
    }

    /// Returns the rules by which the server divides a query into tokens.
    pub(crate) fn lexicon(self) -> Lexicon {
        self.dialect().lexicon
    }

    /// Returns the dialect of statements on a table.
    pub(crate) fn dialect(self) -> &'static Dialect {
        match (self.no_backslash_escapes, self.ansi_quotes) {
            (true, _) => &DIALECTS[2],
            (false, true) => &DIALECTS[1],
            (false, false) => &DIALECTS[0],
        }
    }
}

/// Returns the database and the name of a table, as SQL texts.
pub(crate) fn located(dialect: &Dialect, table: &str) -> Result<(String, String)> {
    match &dialect.parts(table)?[..] {
        [table] => Ok(("DATABASE()".to_owned(), string(table))),
        [schema, table] => Ok((string(schema), string(table))),
        _ => Err(Error::configuration(format!(
            "{table:?} is no name of a table: table, or database.table"
        ))),
    }
}

/// The dialects of the modes, which differ in the quotes that have backslash escapes.
static DIALECTS: [Dialect; 3] = [dialect(b"'\""), dialect(b"'"), dialect(b"")];

/// Quotes, placeholders, limits and transactions in statements on a table.
/// <https://dev.mysql.com/doc/refman/8.4/en/comments.html>
const fn dialect(backslash_in: &'static [u8]) -> Dialect {
    Dialect {
        quotes: ('`', '`'),
        lexicon: Lexicon {
            quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'`', b'`')],
            line_ends: b"\n",
            nested_comments: false,
            hash_comments: true,
            backslash_in,
            escape_and_dollar_strings: false,
            sigils: b"@",
        },
        placeholder: |_| "?".to_owned(),
        named: None,
        window: limit_offset,
        begin: "START TRANSACTION",
        commit: "COMMIT",
        rollback: "ROLLBACK",
        savepoint: "SAVEPOINT",
        release: Some("RELEASE SAVEPOINT"),
        rollback_to: "ROLLBACK TO SAVEPOINT",
        rename_tables: Some(rename_tables),
        type_name,
        folds_names: true,
        most_values: 65_535,
        longest_name: Some(NameLimit::Utf16Units(64)),
        functions: "",
    }
}

/// Returns the statement that renames tables together.
fn rename_tables(renamed: &[(String, String)]) -> String {
    let renamed: Vec<String> = renamed
        .iter()
        .map(|(old, new)| format!("{old} TO {new}"))
        .collect();
    format!("RENAME TABLE {}", renamed.join(", "))
}

/// Quotes any name as an identifier.
pub(crate) fn quoted(name: &str) -> String {
    DIALECTS[0].quoted(name)
}

/// Returns the literal of any text, which no `sql_mode` reads otherwise.
pub(crate) fn string(text: &str) -> String {
    format!("_utf8mb4 x'{}'", hex(text.as_bytes()))
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(digits, "{byte:02x}"); // writing to a String does not fail
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use industrydb_core::tokens::single_statement;

    fn mode(text: &str) -> Lexicon {
        SqlMode::new(text).lexicon()
    }

    #[test]
    fn a_statement_ends_where_the_server_ends_it() {
        for (modes, text, statement) in [
            ("", "SELECT 1; # done; really", Some("SELECT 1")),
            ("", "SELECT 5--1", Some("SELECT 5--1")),
            ("", "SELECT 5 -- ; 1", Some("SELECT 5")),
            ("", r"SELECT 'it\'s; ' ;", Some(r"SELECT 'it\'s; '")),
            ("", "SELECT \"a\\\"; \"", Some("SELECT \"a\\\"; \"")),
            ("", r"SELECT `a\`; SELECT 2", None),
            ("ANSI_QUOTES", "SELECT \"a\\\"; SELECT 2", None),
            (
                "STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES",
                r"SELECT 'a\'; SELECT 2",
                None,
            ),
            ("", "SELECT 1 /*! + 1 */ ;", Some("SELECT 1 /*! + 1 */")),
            ("", "SELECT 1 /* ; */", Some("SELECT 1")),
            ("", "SELECT 1 /*! ; SELECT 2 */", None),
            ("", "SELECT `a;b`", Some("SELECT `a;b`")),
        ] {
            assert_eq!(
                single_statement(text, mode(modes)).ok(),
                statement,
                "{modes} {text}"
            );
        }
    }

    #[test]
    fn literals_are_read_alike_in_every_mode() {
        assert_eq!(string("a'\\"), "_utf8mb4 x'61275c'");
        assert_eq!(quoted("a`b"), "`a``b`");
    }
}
