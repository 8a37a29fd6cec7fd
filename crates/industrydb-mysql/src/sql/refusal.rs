//! Refuses statements that are no plain reads.

use industrydb_core::shape::{has_phrase, has_word};
use industrydb_core::tokens::{Lexicon, first_word};
use industrydb_core::{Error, Result};

use crate::types::DescribedColumn;
use crate::types::described::{flags, kind};

/// First words of statements that are queries.
const QUERIES: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];

/// Clauses that lock the rows they read.
const LOCKS: [&[&str]; 3] = [
    &["FOR", "UPDATE"],
    &["FOR", "SHARE"],
    &["LOCK", "IN", "SHARE", "MODE"],
];

/// Refuses a statement that is no query, that writes a file or a variable, or that locks rows.
pub(crate) fn reject_other_than_query(query: &str, lexicon: Lexicon) -> Result<()> {
    let word = first_word(query, lexicon).unwrap_or_default();
    let is = |other: &&str| word.eq_ignore_ascii_case(other);
    if !QUERIES.iter().any(is) {
        return Err(Error::configuration(format!(
            "the statement begins with {word:?} and is no query: read_sql takes a SELECT, and has not run this; \
             Connection.execute runs any statement"
        )));
    }
    if has_word(query, lexicon, &["INTO"]) {
        return Err(Error::configuration(
            "the query has INTO, which writes its rows to a file or a variable: read_sql returns them, and has not \
             run this",
        ));
    }
    if let Some(lock) = LOCKS.iter().find(|lock| has_phrase(query, lexicon, lock)) {
        return Err(Error::configuration(format!(
            "the query has {}, which locks the rows that it reads: a read sees one state of the database without, \
             and has not run this",
            lock.join(" ")
        )));
    }
    Ok(())
}

/// Refuses a result with an unsigned integer of 32 bits that a cast of the statement may have made:
/// MariaDB announces 32 bits for a cast of up to ten digits, and cuts off the bits beyond.
pub(crate) fn reject_cut_integers(
    statement: &str,
    columns: &[DescribedColumn],
    lexicon: Lexicon,
) -> Result<()> {
    let is_cut = |column: &&DescribedColumn| {
        column.kind == kind::LONG && column.has(flags::UNSIGNED) && !column.is_stored()
    };
    match columns.iter().find(is_cut) {
        Some(column) if has_word(statement, lexicon, &["UNSIGNED"]) => {
            Err(Error::configuration(format!(
                "column {:?} is a cast to UNSIGNED, which the server sends with 32 bits and cuts off beyond: add 0 to it, \
                 as in CAST(a AS UNSIGNED) + 0, which has 64",
                column.name
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::SqlMode;

    #[test]
    fn only_queries_are_read() {
        let lexicon = SqlMode::default().lexicon();
        for query in [
            "SELECT 1",
            "(SELECT 1) UNION (SELECT 2)",
            "/* x */ with a as (select 1) select * from a",
            "VALUES (1), (2)",
            "SELECT 'INTO OUTFILE', `into` FROM t # FOR UPDATE",
            "SELECT share, lock_mode FROM t FORCE INDEX FOR JOIN (a)",
        ] {
            reject_other_than_query(query, lexicon).expect(query);
        }
        for query in [
            "INSERT INTO t VALUES (1) RETURNING a",
            "DELETE FROM t",
            "CALL p()",
            "SHOW TABLES",
            "SELECT 1 INTO OUTFILE '/tmp/x'",
            "SELECT 1 /*! INTO OUTFILE '/tmp/x' */",
            "SELECT a FROM t FOR UPDATE",
            "SELECT a FROM t for /* x */ share",
            "SELECT a FROM t LOCK IN SHARE MODE",
            "SELECT * FROM (SELECT a FROM t FOR UPDATE) AS q",
        ] {
            reject_other_than_query(query, lexicon).expect_err(query);
        }
    }
}
