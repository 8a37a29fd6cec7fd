//! The T-SQL dialect: tokens, quoted names, string literals, and statements on a table.

use industrydb_core::dialect::{Dialect, Limited, NameLimit, Window};
use industrydb_core::tokens::Lexicon;

use crate::types::type_name;

/// Lexical rules by which T-SQL divides a query into tokens.
/// <https://learn.microsoft.com/sql/relational-databases/databases/database-identifiers>
pub(crate) const LEXICON: Lexicon = Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'[', b']')],
    line_ends: b"\n\r",
    nested_comments: true,
    hash_comments: false,
    backslash_in: b"",
    escape_and_dollar_strings: false,
    sigils: b"@#",
};

/// Quotes, placeholders, limits and transactions in statements on a table.
pub(crate) const DIALECT: Dialect = Dialect {
    quotes: ('[', ']'),
    lexicon: LEXICON,
    placeholder: |number| format!("@p{number}"),
    named: Some('@'),
    window: fetched,
    begin: "BEGIN TRANSACTION",
    commit: "COMMIT TRANSACTION",
    rollback: "ROLLBACK TRANSACTION",
    savepoint: "SAVE TRANSACTION",
    release: None,
    rollback_to: "ROLLBACK TRANSACTION",
    rename_tables: None,
    type_name,
    folds_names: true,
    most_values: 2_098,
    longest_name: Some(NameLimit::Utf16Units(128)),
    functions: "",
};

/// Limits rows by `OFFSET … ROWS FETCH NEXT … ROWS ONLY`, which requires an ORDER BY. T-SQL rejects
/// `FETCH NEXT 0 ROWS`; `TOP (0)` is its empty result.
fn fetched(window: Window) -> Limited {
    if window.limit == Some(0) {
        return Limited {
            front: "TOP (0) ",
            end: String::new(),
        };
    }
    let order = if window.is_ordered {
        ""
    } else {
        "ORDER BY (SELECT NULL) "
    };
    let limit = window
        .limit
        .map(|limit| format!(" FETCH NEXT {limit} ROWS ONLY"));
    Limited {
        front: "",
        end: format!(
            "{order}OFFSET {} ROWS{}",
            window.offset,
            limit.unwrap_or_default()
        ),
    }
}

/// Settings that every session begins with. The protocol's default truncates long values to 4096
/// bytes without an error; and a server may be configured so that each statement begins a
/// transaction, which would hold its locks until it is ended explicitly.
pub(crate) const BEGIN: &str = "SET TEXTSIZE 2147483647; SET IMPLICIT_TRANSACTIONS OFF";

/// Returns the string literal of any text. T-SQL removes a backslash together with the line break
/// after it (a line continuation), so both are written twice.
/// <https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-backslash>
pub(crate) fn string(text: &str) -> String {
    let text = text
        .replace('\'', "''")
        .replace("\\\r\n", "\\\\\r\n\r\n")
        .replace("\\\n", "\\\\\n\n");
    format!("N'{text}'")
}

/// Quotes any name as an identifier.
pub(crate) fn quoted(name: &str) -> String {
    DIALECT.quoted(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_rows_of_a_table_are_fetched() {
        for (limit, offset, is_ordered, front, end) in [
            (
                Some(3),
                0,
                false,
                "",
                "ORDER BY (SELECT NULL) OFFSET 0 ROWS FETCH NEXT 3 ROWS ONLY",
            ),
            (Some(0), 2, false, "TOP (0) ", ""),
            (None, 2, true, "", "OFFSET 2 ROWS"),
        ] {
            let limited = fetched(Window {
                limit,
                offset,
                is_ordered,
            });
            assert_eq!((limited.front, limited.end.as_str()), (front, end));
        }
    }

    #[test]
    fn a_backslash_joins_no_lines() {
        assert_eq!(string("a\\\nb\\\r\nc\\d"), "N'a\\\\\n\nb\\\\\r\n\r\nc\\d'");
    }
}
