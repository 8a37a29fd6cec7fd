//! Tells from a statement what it does to a transaction, and whether its work stays.

use crate::sql::shape::{begins_with, has_word, words};
use crate::sql::tokens::Lexicon;

/// Returns whether a statement begins a transaction, or has one begun behind the one that it ends. What
/// follows would be no part of the block's.
pub(crate) fn begins_another(statement: &str, lexicon: Lexicon) -> bool {
    const FIRST: [&str; 6] = ["BEGIN", "START", "COMMIT", "ROLLBACK", "END", "ABORT"];
    let start = statement.trim_start();
    let end = start.find(|c: char| !c.is_ascii_alphabetic());
    let first = &start[..end.unwrap_or(start.len())];
    if !first.is_empty() && !FIRST.iter().any(|word| first.eq_ignore_ascii_case(word)) {
        return false; // nearly every statement, which may be long
    }
    let words = words(statement, lexicon);
    let is = |at: usize, others: &[&str]| {
        let word = words.get(at);
        word.is_some_and(|word| others.iter().any(|other| word.eq_ignore_ascii_case(other)))
    };
    let kinds = [
        "TRAN",
        "TRANSACTION",
        "WORK",
        "READ",
        "ISOLATION",
        "DEFERRED",
        "IMMEDIATE",
        "EXCLUSIVE",
    ];
    let begins = is(0, &["BEGIN"]) && (words.len() == 1 || is(1, &kinds));
    let chains = is(0, &["COMMIT", "ROLLBACK", "END", "ABORT"])
        && (1..words.len()).any(|at| is(at, &["CHAIN"]) && !is(at - 1, &["NO"]));
    begins || chains || is(0, &["START"]) && is(1, &["TRANSACTION"])
}

/// Returns whether what a statement does may stay if the session is lost before its answer has come.
pub(crate) fn may_last(statement: &str, lexicon: Lexicon, depth: usize) -> bool {
    const QUERIES: [&str; 7] = [
        "SELECT", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "PRAGMA",
    ];
    const ENDS: [&str; 9] = [
        "COMMIT", "END", "CREATE", "DROP", "ALTER", "TRUNCATE", "RENAME", "CALL", "GRANT",
    ];
    if depth == 0 {
        let writes = ["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"];
        let is_with = begins_with(statement, lexicon, &["WITH"]);
        let is_query = begins_with(statement, lexicon, &QUERIES)
            || is_with && !has_word(statement, lexicon, &writes);
        !is_query
    } else {
        begins_with(statement, lexicon, &ENDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::LEXICON;

    #[test]
    fn statements_that_begin_another_transaction() {
        for statement in [
            "BEGIN",
            "-- now\nbegin transaction",
            "START TRANSACTION READ ONLY",
            "COMMIT AND CHAIN",
            "ROLLBACK WORK AND CHAIN",
        ] {
            assert!(begins_another(statement, LEXICON), "{statement}");
        }
        for statement in [
            "",
            "COMMIT",
            "ROLLBACK AND NO CHAIN",
            "BEGIN NOT ATOMIC SET @a = 1; END",
            "START SLAVE",
            "SELECT 'BEGIN'",
            "INSERT INTO chain VALUES (1)",
        ] {
            assert!(!begins_another(statement, LEXICON), "{statement}");
        }
    }

    #[test]
    fn work_that_lasts() {
        for (statement, alone, in_block) in [
            ("INSERT INTO t VALUES (1)", true, false),
            ("WITH q AS (SELECT 1) DELETE FROM t", true, false),
            ("CREATE TABLE t (a int)", true, true),
            ("commit", true, true),
            ("(SELECT 1)", false, false),
            ("WITH q AS (SELECT 1) SELECT 'DELETE'", false, false),
        ] {
            assert_eq!(may_last(statement, LEXICON, 0), alone, "{statement}");
            assert_eq!(may_last(statement, LEXICON, 1), in_block, "{statement}");
        }
    }
}
