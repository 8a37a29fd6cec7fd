//! Recognizes a single SELECT, and its clauses.

use industrydb_core::shape::{begins_with, has_word, top_level_words, with_clause};

use crate::sql::dialect::LEXICON;

/// Keywords that begin a statement other than SELECT. All are reserved: unquoted and outside of
/// parentheses, none has another meaning. MERGE is missing, since it can also precede JOIN.
/// <https://learn.microsoft.com/sql/t-sql/language-elements/reserved-keywords-transact-sql>
#[rustfmt::skip]
const OTHER_STATEMENTS: [&str; 47] = [
    "ADD", "ALTER", "BACKUP", "BEGIN", "BREAK", "BULK", "CHECKPOINT", "CLOSE", "COMMIT", "CONTINUE", "CREATE", "DBCC",
    "DEALLOCATE", "DECLARE", "DELETE", "DENY", "DROP", "DUMP", "EXEC", "EXECUTE", "GOTO", "GRANT", "IF", "INSERT",
    "KILL", "LOAD", "OPEN", "PRINT", "RAISERROR", "READTEXT", "RECONFIGURE", "RESTORE", "RETURN", "REVERT",
    "REVOKE", "ROLLBACK", "SAVE", "SET", "SETUSER", "SHUTDOWN", "TRUNCATE", "UPDATE", "UPDATETEXT", "USE",
    "WAITFOR", "WHILE", "WRITETEXT",
];

/// Tests whether a text is a single SELECT without INTO, as far as its keywords tell. T-SQL needs
/// no separator between two statements.
pub(crate) fn is_select(query: &str) -> bool {
    let words = top_level_words(query, LEXICON);
    let is = |word: &str, other: &str| word.eq_ignore_ascii_case(other);
    let begins_another = |(at, (_, word)): (usize, &(usize, &str))| {
        let next_is = |other: &str| words.get(at + 1).is_some_and(|(_, next)| is(next, other));
        OTHER_STATEMENTS.iter().any(|other| is(word, other))
            || is(word, "MERGE") && !next_is("JOIN")
            || is(word, "END") && next_is("CONVERSATION")
            // The server may treat the character as white space, and split the word there.
            || word.contains(char::is_whitespace)
    };
    let (_, select) = with_clause(query, LEXICON);
    begins_with(select, LEXICON, &["SELECT"])
        && !has_word(query, LEXICON, &["INTO"])
        && !words.iter().enumerate().any(begins_another)
        // It is not documented whether a lone carriage return ends a comment.
        && !query.replace("\r\n", "\n").contains('\r')
}

/// Tests whether the query has an OFFSET clause; the word alone may be a name.
pub(crate) fn has_offset(query: &str) -> bool {
    has_word(query, LEXICON, &["OFFSET"]) && has_word(query, LEXICON, &["ROW", "ROWS"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_selects_are_run() {
        for query in [
            "SELECT 1",
            "/* a */ (select 1) UNION SELECT 2",
            "WITH c AS (SELECT 1 AS [into]) SELECT [into] FROM c",
            "WITH c AS (SELECT 1 AS a), d (a) AS (SELECT 2) (SELECT a FROM c) UNION ALL SELECT a FROM d",
            "SELECT a FROM t\r\nWHERE a = @open AND b = @set",
            "SELECT a AS [delete], 'drop' AS b FROM t INNER MERGE JOIN u ON 1 = 1 OPTION (MERGE JOIN)",
            "SELECT CASE WHEN a = 1 THEN 2 END FROM t FOR SYSTEM_TIME ALL ORDER BY 1 OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY",
        ] {
            assert!(is_select(query), "{query}");
        }
        for query in [
            "SELECT a INTO t FROM s",
            "SELECT (SELECT 1) INTO t",
            "DELETE FROM t OUTPUT deleted.a",
            "WITH c AS (SELECT 1 AS a) DELETE FROM c",
            "WITH c AS (SELECT a FROM t) UPDATE c SET a = 1 SELECT 1",
            "SELECT 1 AS a DELETE FROM t",
            "SELECT 1) DROP TABLE t (",
            "SELECT 1 AS a\nexec p",
            "SELECT 1 AS a ADD SIGNATURE TO p BY CERTIFICATE c",
            "SELECT 1 AS a END CONVERSATION 'x'",
            "SELECT 1 AS a\u{3000}DELETE\u{3000}FROM\u{a0}t",
            "SELECT 1 -- \r ' \n DELETE FROM t --'",
            "SELECT 1 AS a MERGE t USING u ON 1 = 1 WHEN MATCHED THEN DELETE",
            "EXEC p",
            "SELEC 1",
            "",
        ] {
            assert!(!is_select(query), "{query}");
        }
    }
}
