//! PostgreSQL's SQL dialect: its tokens, and how names and values are written.

use industrydb_core::dialect::{Dialect, NameLimit, limit_offset};
use industrydb_core::tokens::Lexicon;

use crate::types::type_name;

/// How PostgreSQL divides a query into tokens.
/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>
pub(crate) const LEXICON: Lexicon = Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"')],
    line_ends: b"\n\r",
    nested_comments: true,
    hash_comments: false,
    backslash_in: b"",
    escape_and_dollar_strings: true,
    sigils: b"",
};

/// How statements on a table are written.
pub(crate) const DIALECT: Dialect = Dialect {
    quotes: ('"', '"'),
    lexicon: LEXICON,
    placeholder: |number| format!("${number}"),
    named: None,
    window: limit_offset,
    begin: "BEGIN",
    commit: "COMMIT",
    rollback: "ROLLBACK",
    savepoint: "SAVEPOINT",
    release: Some("RELEASE"),
    rollback_to: "ROLLBACK TO",
    rename_tables: None,
    type_name,
    folds_names: false,
    most_values: 65_535,
    // NAMEDATALEN, less the NUL byte. The server truncates longer names.
    longest_name: Some(NameLimit::Bytes(63)),
    functions: "pg_catalog.",
};

/// Quotes a name, whatever characters it has.
pub(crate) fn quoted(name: &str) -> String {
    DIALECT.quoted(name)
}
