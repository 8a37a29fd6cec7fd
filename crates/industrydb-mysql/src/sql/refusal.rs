//! Refuses statements that are no plain reads.

use industrydb_core::shape::{begins_with, has_phrase, has_word, words};
use industrydb_core::tokens::{Lexicon, first_word, with_other_strings};
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
    if !begins_with(query, lexicon, &QUERIES) {
        let word = first_word(query, lexicon).unwrap_or_default();
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
    match hinted_setting(query, lexicon) {
        Some(name) => Err(Error::configuration(format!(
            "the query sets {name} by a hint, with which its partitions and filters would have other rows or values: \
             it was not run; a hint may set what only concerns speed, such as optimizer_switch"
        ))),
        None => Ok(()),
    }
}

/// Returns the first setting in `/*+ SET_VAR(name=value) */` that changes more than speed, in lower
/// case.
fn hinted_setting(query: &str, lexicon: Lexicon) -> Option<String> {
    if !query.contains("/*+") {
        return None;
    }
    let plain = with_other_strings(query, lexicon, "''", |_| true);
    let plain = plain.as_deref().unwrap_or(query).to_ascii_lowercase();
    let hints = plain.split("/*+").skip(1);
    let settings = hints.flat_map(|hint| hint.split("set_var").skip(1));
    let mut names = settings.map(|text| {
        let behind = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '(');
        let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &behind[..end.unwrap_or(behind.len())]
    });
    names.find(|name| !is_of_speed(name)).map(str::to_owned)
}

/// Returns whether a setting changes how fast a statement is, and nothing else.
fn is_of_speed(name: &str) -> bool {
    name.starts_with("optimizer_") || name.ends_with("_size") || name == "max_execution_time"
}

/// Settings of a session by which values are read and written: with another one, they would be other
/// values, or be lost.
const RELIED_ON: [&str; 9] = [
    "CHARACTER",
    "CHARACTER_SET_CLIENT",
    "CHARACTER_SET_CONNECTION",
    "CHARACTER_SET_RESULTS",
    "CHARSET",
    "COLLATION_CONNECTION",
    "COMPLETION_TYPE",
    "NAMES",
    "TIME_ZONE",
];

/// Refuses a statement that changes a setting of the session by which values are read.
pub(crate) fn reject_settings(statement: &str, lexicon: Lexicon) -> Result<()> {
    let words = words(statement, lexicon);
    let is_set = words
        .first()
        .is_some_and(|word| word.eq_ignore_ascii_case("SET"));
    // A word such as @@time_zone is the setting too.
    let name = |word: &&str| word.trim_start_matches('@').to_ascii_uppercase();
    let mut names = words.iter().map(name);
    match names.find(|name| RELIED_ON.contains(&name.as_str())) {
        Some(name) if is_set => Err(Error::configuration(format!(
            "the statement sets {name}, by which values are read, and was not run: texts are exchanged in utf8mb4, and \
             timestamps in UTC; CONVERT_TZ gives the time of another zone"
        ))),
        _ => Ok(()),
    }
}

/// Refuses a result with values that MariaDB does not send as it announces them.
///
/// An unsigned integer of 32 bits that a cast of the statement may have made: MariaDB announces 32
/// bits for a cast of up to ten digits, and cuts off the bits beyond. The bits of an expression:
/// MariaDB sends the digits of their number instead, which could be other bits.
pub(crate) fn reject_misdescribed(
    statement: &str,
    columns: &[DescribedColumn],
    lexicon: Lexicon,
) -> Result<()> {
    let is_unsure =
        |column: &&DescribedColumn| column.kind == kind::BIT && !column.is_of_database();
    if let Some(column) = columns.iter().find(is_unsure) {
        return Err(Error::configuration(format!(
            "column {:?} is an expression of bits, which servers send in two ways that cannot be told apart: add 0 to \
             it, as in MAX(b) + 0, which is their number",
            column.name
        )));
    }
    let is_cut = |column: &&DescribedColumn| {
        column.kind == kind::LONG && column.has(flags::UNSIGNED) && !column.is_stored()
    };
    match columns.iter().find(is_cut) {
        Some(column) if has_word(statement, lexicon, &["UNSIGNED"]) => {
            Err(Error::configuration(format!(
                "column {:?} is an unsigned number of 32 bits, and may be a cast to UNSIGNED, whose bits beyond the server \
                 cuts off: cast it to DECIMAL(20, 0), or to SIGNED if its values are below 2^63",
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

    #[test]
    fn settings_by_which_values_are_read_stay() {
        let lexicon = SqlMode::default().lexicon();
        for statement in [
            "SET time_zone = '+02:00'",
            "set @@session.Time_Zone = 'SYSTEM'",
            "SET NAMES latin1",
            "SET sql_mode = '', character_set_results = NULL",
        ] {
            reject_settings(statement, lexicon).expect_err(statement);
        }
        for statement in [
            "SET sql_mode = 'ANSI'",
            "SELECT names FROM t",
            "SET @a = 'time_zone'",
        ] {
            reject_settings(statement, lexicon).expect(statement);
        }
    }
}
