//! Divides the query of a request into partitions by a key.

use industrydb_core::ending::takes_where;
use industrydb_core::planner::no_table;
use industrydb_core::shape::{has_groups, has_word, is_plain, words};
use industrydb_core::tokens::Lexicon;
use industrydb_core::{Divisible, Division, Error, Result, Sample, Stop, Target, Value};

use crate::read::clock::OneTime;
use crate::read::query::MysqlQuery;
use crate::read::samples;
use crate::session::tables::definitions;
use crate::sql::derived;
use crate::sql::dialect::SqlMode;
use crate::sql::keys;
use crate::types::DescribedColumn;

/// Finds the key to divide the query by, or the reason why the query must be read whole.
pub(crate) fn divided<'a>(
    reader: &'a MysqlQuery,
    target: Target,
    stop: &Stop,
) -> Result<Division<'a>> {
    let index = match target {
        Target::Column(index) => index,
        Target::Rows => primary_key(reader, stop)?,
    };
    let field = &reader.fields[index];
    if !keys::has_order(&field.database_type) {
        return Err(Error::configuration(format!(
            "partition_on={:?} has the type {}, whose values cannot be put in order",
            field.name, field.database_type
        )));
    }
    let described = reader.described.first().map_or(&[][..], Vec::as_slice);
    let timed = reader.with_session(stop, |session| {
        OneTime::default().in_query(session, reader.query(), described, stop)
    })?;
    let query = timed.unwrap_or_else(|| reader.query().to_owned());
    let defined = reader.with_session(stop, |session| definitions(session, &query, stop))?;
    // A derived table's column, and that of a view, may be an expression.
    let column = described.get(index);
    let is_stored = column.is_some_and(|column| column.is_stored() && !column.schema.is_empty());
    let lexicon = reader.mode.lexicon();
    let reason = indivisible(&query, lexicon)
        .or_else(|| defined.views.iter().find_map(|view| of_view(view)))
        .or_else(|| (!is_stored && has_groups(&query, lexicon)).then_some(GROUPS))
        .or_else(|| {
            defined
                .has_functions
                .then_some("the query may call a stored function, whose results may differ")
        });
    if let Some(reason) = reason {
        return Ok(Division::Whole(reason));
    }
    let is_named_so = |column: &DescribedColumn| {
        column.is_of_database() && column.source.eq_ignore_ascii_case(&column.name)
    };
    Ok(Division::Cut(Box::new(Divided {
        reader,
        ends_with_table: column.is_some_and(is_named_so)
            && defined.views.is_empty()
            && takes_where(&query, lexicon)
            && !has_word(&query, lexicon, &["DISTINCTROW"]),
        query: derived::nested(&query, lexicon).into_owned(),
        index,
    })))
}

/// Returns the reason why several evaluations of the query may give inconsistent rows; `None` if
/// they cannot.
fn indivisible(query: &str, lexicon: Lexicon) -> Option<&'static str> {
    let has = |words: &[&str]| has_word(query, lexicon, words);
    let is_of_session = |word: &&str| match word.strip_prefix("@@") {
        Some("") => true, // a name in quotes follows
        Some(name) => SESSION_VARIABLES
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other)),
        None => word.starts_with('@'),
    };
    let has_variable = || words(query, lexicon).iter().any(is_of_session);
    if has(&["LIMIT", "OFFSET", "FETCH"]) {
        Some("the query has a LIMIT or an OFFSET")
    } else if has(&["OVER", "WINDOW"]) {
        Some("the query has a window function")
    } else if has(&VOLATILE) {
        Some("the query calls a volatile function")
    } else if has(&CLOCKS) {
        Some("the query asks for the time, which each session has its own of")
    } else if has(&["PROCEDURE"]) {
        Some("the query has a PROCEDURE")
    } else if has_variable() {
        Some("the query has variables of a session")
    } else {
        None
    }
}

/// A group shows one of several values that its collation takes for equal. Each evaluation may show
/// another one, and an expression of it is then another key.
const GROUPS: &str = "the key is made of groups, which each session makes by itself";

/// Returns the reason why several evaluations of a view may give inconsistent rows.
fn of_view(definition: &str) -> Option<&'static str> {
    let lexicon = SqlMode::default().lexicon();
    if definition.is_empty() {
        return Some("the query reads a view whose definition this user may not see");
    }
    indivisible(definition, lexicon).or_else(|| has_groups(definition, lexicon).then_some(GROUPS))
}

/// Functions whose results differ from call to call, or from session to session.
const VOLATILE: [&str; 19] = [
    "BENCHMARK",
    "CONNECTION_ID",
    "FOUND_ROWS",
    "GET_LOCK",
    "LAST_INSERT_ID",
    "LASTVAL",
    "NEXT",
    "NEXTVAL",
    "PS_CURRENT_THREAD_ID",
    "RAND",
    "RANDOM_BYTES",
    "RELEASE_LOCK",
    "ROWNUM",
    "ROW_COUNT",
    "SLEEP",
    "SYS_GUID",
    "UUID",
    "UUID_SHORT",
    "UUID_V7",
];

/// Variables of the server's that each session, or each statement, has its own value of.
const SESSION_VARIABLES: [&str; 12] = [
    "error_count",
    "identity",
    "insert_id",
    "last_insert_id",
    "local",
    "proxy_user",
    "pseudo_thread_id",
    "rand_seed1",
    "rand_seed2",
    "session",
    "timestamp",
    "warning_count",
];

/// Functions and keywords that ask for the time.
const CLOCKS: [&str; 13] = [
    "CURDATE",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURTIME",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "NOW",
    "SYSDATE",
    "UNIX_TIMESTAMP",
    "UTC_DATE",
    "UTC_TIME",
    "UTC_TIMESTAMP",
];

/// Returns the index of the result's column that is the first of its table's primary key.
fn primary_key(reader: &MysqlQuery, stop: &Stop) -> Result<usize> {
    let query = reader.query();
    if !is_plain(query, reader.mode.lexicon()) {
        return Err(no_table("this query is more than that"));
    }
    let columns = reader.described.first().map_or(&[][..], Vec::as_slice);
    let stored = || columns.iter().filter(|column| column.is_stored());
    let Some(first) = stored().next() else {
        return Err(no_table("this query has no column of a table"));
    };
    if stored().any(|other| (&other.schema, &other.table) != (&first.schema, &first.table)) {
        return Err(no_table("this query has several tables"));
    }
    let key = reader.with_session(stop, |session| {
        samples::primary_key(session, &first.schema, &first.table, stop)
    })?;
    let Some(key) = key else {
        return Err(no_table(&format!("{} has no primary key", first.table)));
    };
    let is_key =
        |column: &DescribedColumn| column.is_stored() && column.source.eq_ignore_ascii_case(&key);
    columns.iter().position(is_key).ok_or_else(|| {
        no_table(&format!(
            "the result has no column {key:?}, the primary key of {}",
            first.table
        ))
    })
}

/// A query that is divided by a column's values.
struct Divided<'a> {
    reader: &'a MysqlQuery,
    /// The query as it may stand in another one, with one time for all partitions.
    query: String,
    /// Whether the key's column is one of the query's only table, which the query ends with.
    ends_with_table: bool,
    /// Index of the column.
    index: usize,
}

impl Divisible for Divided<'_> {
    fn sample(&self, partitions: usize, stop: &Stop) -> Result<Sample> {
        self.reader.with_session(stop, |session| {
            samples::sample(
                session,
                self.reader,
                &self.query,
                self.index,
                partitions,
                stop,
            )
        })
    }

    fn select(&self, lower: Option<&Value>, upper: Option<&Value>) -> String {
        let field = &self.reader.fields[self.index];
        let (name, key_type) = (&field.name, &field.database_type);
        derived::range(
            &self.query,
            self.ends_with_table,
            name,
            key_type,
            lower,
            upper,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_that_may_differ_are_of_one_evaluation() {
        let lexicon = SqlMode::default().lexicon();
        for query in [
            "SELECT a FROM t LIMIT 3",
            "SELECT a FROM t /*!50000LIMIT 3*/",
            "SELECT a, RAND() FROM t",
            "SELECT a FROM t WHERE b > now()",
            "SELECT @n := @n + 1 AS a FROM t",
            "SELECT a, @@Pseudo_Thread_Id FROM t",
            "SELECT a, @@session.timestamp FROM t",
            "SELECT a, @@local.pseudo_thread_id FROM t",
            "SELECT a, @@`pseudo_thread_id` FROM t",
            "SELECT a, row_number() OVER () FROM t",
            "SELECT a FROM t PROCEDURE ANALYSE()",
        ] {
            assert!(indivisible(query, lexicon).is_some(), "{query}");
        }
        for query in [
            "SELECT a FROM t WHERE b = 'now() LIMIT @a'",
            "SELECT `limit` FROM t # LIMIT 3",
            "SELECT a FROM t WHERE b = @@version",
        ] {
            assert!(indivisible(query, lexicon).is_none(), "{query}");
        }
    }
}
