//! SQL statements, their tokens, and the dialects of databases.

pub mod clock;
pub mod dialect;
pub mod ending;
pub mod foreign;
pub(crate) mod lasting;
pub mod mistakes;
pub mod modifiers;
pub mod narrow;
pub mod shape;
pub mod signs;
pub mod skipped;
pub mod statements;
pub mod tokens;

/// Lexicon of the tests.
#[cfg(test)]
const LEXICON: tokens::Lexicon = tokens::Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"')],
    line_ends: b"\n",
    nested_comments: true,
    hash_comments: false,
    backslash_in: b"",
    escape_and_dollar_strings: true,
    sigils: b"",
};
