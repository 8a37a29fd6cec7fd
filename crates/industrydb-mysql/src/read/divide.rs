//! Divides the query of a request into partitions by a key.

use std::cmp::Ordering;

use industrydb_core::ending::takes_where;
use industrydb_core::planner::no_table;
use industrydb_core::shape::{has_groups, has_phrase, has_word, is_plain, words};
use industrydb_core::tokens::Lexicon;
use industrydb_core::{Divisible, Division, Error, Result, Sample, Stop, Target, Value};

use crate::read::clock::OneTime;
use crate::read::narrowed::reject_equal_names;
use crate::read::query::MysqlQuery;
use crate::read::samples;
use crate::session::tables::{Definitions, definitions};
use crate::sql::dialect::SqlMode;
use crate::sql::keys::{Key, base, has_order};
use crate::sql::sources::called;
use crate::sql::{control, derived};
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
    if !has_order(&field.database_type) {
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
    let defined = reader.with_session(stop, |session| {
        definitions(session, std::slice::from_ref(&query), stop)
    })?;
    // A derived table's column, and that of a view, may be an expression.
    let column = described.get(index);
    let is_stored = column.is_some_and(|column| column.is_stored() && !column.schema.is_empty());
    let lexicon = reader.mode.lexicon();
    let reason = of_words(&query, lexicon)
        .or_else(|| indivisible(&defined))
        .or_else(|| (!is_stored && has_groups(&query, lexicon)).then_some(GROUPS));
    if let Some(reason) = reason {
        return Ok(Division::Whole(reason));
    }
    reject_equal_names(&reader.fields)?;
    let query_as_table = derived::nested(&query, lexicon).into_owned();
    let key = key(reader, &query_as_table, &defined, index, stop)?;
    let is_named_so = |column: &DescribedColumn| {
        column.is_of_database() && column.source.eq_ignore_ascii_case(&column.name)
    };
    Ok(Division::Cut(Box::new(Divided {
        reader,
        ends_with_table: column.is_some_and(is_named_so)
            && defined.views.is_empty()
            && takes_where(&query, lexicon)
            && !has_word(&query, lexicon, &["DISTINCTROW"]),
        query: query_as_table,
        index,
        key,
    })))
}

/// Returns the key, with the collation of its texts.
fn key(
    reader: &MysqlQuery,
    query: &str,
    defined: &Definitions,
    index: usize,
    stop: &Stop,
) -> Result<Key> {
    let field = &reader.fields[index];
    let mut key = Key {
        name: field.name.clone(),
        type_name: field.database_type.clone(),
        ..Key::default()
    };
    if key.is_text() {
        let sql = derived::collation(query, &key.name);
        let told = reader.with_session(stop, |session| {
            samples::texts(session, &sql, &reader.parameters, stop)
        })?;
        let mut told = told.into_iter().flatten().flatten();
        key.texts = told.next().zip(told.next());
        let has_nopad = key
            .texts
            .as_ref()
            .is_some_and(|(_, collation)| collation.contains("nopad"));
        let is_padded = base(&key.type_name) == "char" && (has_nopad || reader.mode.pads_char);
        // The catalog does not show the indexes of temporary tables.
        let makes = |sql: &String| has_word(sql, reader.mode.lexicon(), &["TEMPORARY"]);
        key.differs_in_index = is_padded || reader.setup.iter().any(makes) || {
            let sql = control::short_indexes(&defined.names);
            let found = reader.with_session(stop, |session| session.rows(&sql, stop))?;
            !found.is_empty()
        };
    }
    Ok(key)
}

/// Returns the reason why several evaluations of what a query reads may give inconsistent rows;
/// `None` if they cannot.
fn indivisible(defined: &Definitions) -> Option<&'static str> {
    let view = || defined.views.iter().find_map(|view| of_view(view));
    let of_functions = "the query may call a stored function, whose results may differ";
    view().or_else(|| defined.has_functions.then_some(of_functions))
}

/// Returns the reason that the words of a query, or of a view, give.
fn of_words(query: &str, lexicon: Lexicon) -> Option<&'static str> {
    let has = |words: &[&str]| has_word(query, lexicon, words);
    // The server also finds its own functions by names in quotes.
    let functions = called(query, lexicon);
    let calls = |names: &[&str]| {
        let is_one =
            |function: &String| names.iter().any(|name| name.eq_ignore_ascii_case(function));
        has(names) || functions.iter().any(is_one)
    };
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
    } else if calls(&VOLATILE) || has_phrase(query, lexicon, &["PREVIOUS", "VALUE", "FOR"]) {
        Some("the query calls a volatile function")
    } else if calls(&CLOCKS) {
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
    of_words(definition, lexicon).or_else(|| has_groups(definition, lexicon).then_some(GROUPS))
}

/// Functions whose results differ from call to call, or from session to session.
const VOLATILE: [&str; 28] = [
    "BENCHMARK",
    "CONNECTION_ID",
    "CURRVAL",
    "DEFAULT",
    "ENCRYPT",
    "FOUND_ROWS",
    "GET_LOCK",
    "IS_FREE_LOCK",
    "IS_USED_LOCK",
    "LAST_INSERT_ID",
    "LASTVAL",
    "LOAD_FILE",
    "NEXT",
    "NEXTVAL",
    "PS_CURRENT_THREAD_ID",
    "RAND",
    "RANDOM_BYTES",
    "RELEASE_ALL_LOCKS",
    "RELEASE_LOCK",
    "ROWNUM",
    "ROW_COUNT",
    "SETVAL",
    "SLEEP",
    "SYS_GUID",
    "UUID",
    "UUID_SHORT",
    "UUID_V4",
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
    key: Key,
}

impl Divisible for Divided<'_> {
    fn sample(&self, partitions: usize, stop: &Stop) -> Result<Sample> {
        self.reader.with_session(stop, |session| {
            samples::sample(
                session,
                self.reader,
                &self.query,
                self.index,
                &self.key,
                partitions,
                stop,
            )
        })
    }

    fn select(&self, lower: Option<&Value>, upper: Option<&Value>) -> String {
        derived::range(&self.query, self.ends_with_table, &self.key, lower, upper)
    }

    fn compare_cuts(&self, cuts: &[Value], stop: &Stop) -> Result<Option<Vec<Ordering>>> {
        if are_rising_integers(cuts) {
            return Ok(Some(vec![Ordering::Less; cuts.len().saturating_sub(1)]));
        }
        let mut compared = Vec::new();
        for start in (0..cuts.len().saturating_sub(1)).step_by(COMPARED) {
            let end = cuts.len().min(start + COMPARED + 1);
            let sql = derived::compared(&self.key, &cuts[start..end]);
            let told = self
                .reader
                .with_session(stop, |session| session.rows(&sql, stop))?;
            let told = told.into_iter().flatten();
            compared.extend(told.map(|told| match told.as_deref() {
                Some("less") => Ordering::Less,
                Some("equal") => Ordering::Equal,
                _ => Ordering::Greater,
            }));
        }
        Ok(Some(compared))
    }
}

/// Number of comparisons of one statement.
const COMPARED: usize = 64;

/// Returns whether cuts are integers, each larger than the one before.
fn are_rising_integers(cuts: &[Value]) -> bool {
    let integer = |cut: &Value| match cut {
        Value::Integer(integer) => Some(i128::from(*integer)),
        Value::Decimal(text) => text.parse().ok(),
        _ => None,
    };
    let integers: Option<Vec<i128>> = cuts.iter().map(integer).collect();
    integers.is_some_and(|integers| integers.is_sorted_by(|a, b| a < b))
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
            "SELECT a, `rand` () FROM t",
            "SELECT a FROM t WHERE b < `Now`()",
            "SELECT a FROM t WHERE b > now()",
            "SELECT @n := @n + 1 AS a FROM t",
            "SELECT a, @@Pseudo_Thread_Id FROM t",
            "SELECT a, @@session.timestamp FROM t",
            "SELECT a, @@local.pseudo_thread_id FROM t",
            "SELECT a, @@`pseudo_thread_id` FROM t",
            "SELECT a, row_number() OVER () FROM t",
            "SELECT a FROM t PROCEDURE ANALYSE()",
        ] {
            assert!(of_words(query, lexicon).is_some(), "{query}");
        }
        for query in [
            "SELECT a FROM t WHERE b = 'now() LIMIT @a'",
            "SELECT `limit` FROM t # LIMIT 3",
            "SELECT a FROM t WHERE b = @@version",
        ] {
            assert!(of_words(query, lexicon).is_none(), "{query}");
        }
    }
}
