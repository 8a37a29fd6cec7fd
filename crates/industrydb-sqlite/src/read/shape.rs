//! Properties of a query that decide whether it can be split; in doubt, it stays whole.

use industrydb_core::shape::{has_groups, has_word, is_plain, mentions};
use industrydb_core::{Error, Parameters, Result, Stop, Value};
use rusqlite::Connection;

use super::clock::{DATES, asks_without_saying};
use crate::ffi::cursor::Cursor;
use crate::ffi::errors::failed;
use crate::session::catalog::{views, views_of};
use crate::session::explain;
use crate::sql::dialect::LEXICON;
use crate::sql::table::Table;
use crate::sql::{derived, table};

/// Properties of a query from its text and from SQLite's plan and program.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub(crate) struct Shape {
    /// Whether SQLite runs the query as several SELECTs, a recursive SELECT or VALUES.
    pub(crate) is_compound: bool,
    /// Whether the query computes aggregates.
    aggregates: bool,
    /// Whether the query makes random values.
    is_random: bool,
    /// Whether the query calls date functions, which may use the current time.
    has_dates: bool,
    /// Whether the query asks for the current time.
    is_timed: bool,
    /// Whether the query makes groups of equal rows.
    has_groups: bool,
}

impl Shape {
    pub(crate) fn new(connection: &Connection, query: &str, stop: &Stop) -> Result<Self> {
        const COMPOUND: [&str; 5] = [
            "COMPOUND",
            "MERGE",
            "RECURSIVE",
            "CONSTANT ROW",
            "VALUES CLAUSE",
        ];
        const PRESENT: [&str; 3] = ["current_date", "current_time", "current_timestamp"];
        let words = ["DISTINCT", "GROUP", "INTERSECT", "EXCEPT", "OVER"];
        let mut shape = Self {
            has_groups: has_word(query, LEXICON, &words),
            ..Self::default()
        };
        for step in explain::steps(connection, query, stop)? {
            shape.has_groups |= step.contains("TEMP B-TREE") || step.contains("MERGE (");
            shape.is_compound |= COMPOUND.iter().any(|sign| step.contains(sign));
        }
        let mut says_now = false;
        for instruction in explain::instructions(connection, &derived::derived(query), stop)? {
            let opcode = instruction.opcode;
            let p4 = instruction.p4.unwrap_or_default();
            shape.aggregates |= opcode.starts_with("Agg") || opcode == "Count";
            shape.is_random |= opcode == "Function" && p4.starts_with("random");
            let function = p4.split('(').next().unwrap_or_default();
            shape.is_timed |= opcode == "Function" && PRESENT.contains(&function);
            shape.has_dates |= opcode == "Function" && DATES.contains(&function);
            says_now |= p4.trim().eq_ignore_ascii_case("now");
        }
        if shape.has_dates && !says_now {
            let views = views_of(connection, query).map_err(|e| failed(&e))?;
            let mut texts = views.iter().map(String::as_str).chain([query]);
            says_now = texts.any(asks_without_saying);
        }
        shape.is_timed |= shape.has_dates && says_now;
        Ok(shape)
    }

    /// Returns whether the query makes groups, so that a condition on its result could change which
    /// row stands for a group: by a column's collation or affinity, `'a'` and `'A'`, or `1` and
    /// `1.0`, can be equal.
    pub(crate) fn makes_groups(&self, connection: &Connection, query: &str) -> Result<bool> {
        if self.aggregates || has_groups(query, LEXICON) {
            return Ok(true);
        }
        let views = views(connection).map_err(|e| failed(&e))?;
        let (names, texts): (Vec<String>, Vec<String>) = views.into_iter().unzip();
        Ok(texts.iter().any(|text| has_groups(text, LEXICON)) && mentions(query, LEXICON, &names))
    }

    /// Returns the reason why the query must stay whole, if there is one: evaluated several times,
    /// the query could give rows that do not belong together.
    pub(crate) fn indivisible(
        &self,
        query: &str,
        parameters: &Parameters,
        key_is_column: bool,
    ) -> Option<&'static str> {
        if has_word(query, LEXICON, &["LIMIT"]) {
            Some("the query has a LIMIT")
        } else if self.is_timed || self.has_dates && say_now(parameters) {
            Some(
                "the query, or a view of it, asks for the time, which each connection has its own of",
            )
        } else if self.is_random {
            Some("the query makes random values")
        } else if self.has_dates && !key_is_column {
            Some("the key may depend on the time")
        } else if (self.has_groups || self.aggregates) && !key_is_column {
            // A group's values are equal to SQLite, but an expression may tell them apart.
            Some("the key is an expression, and the query makes groups of rows")
        } else {
            None
        }
    }

    /// Returns whether the query scans the table once, and does nothing else.
    pub(crate) fn is_scan_of(
        &self,
        connection: &Connection,
        query: &str,
        table: &Table,
        stop: &Stop,
    ) -> Result<bool> {
        if self.aggregates || !is_plain(query, LEXICON) {
            return Ok(false);
        }
        let all = table::all_rows_first(&table.freed(query), table);
        let steps = explain::steps(connection, &all, stop)?;
        // Three steps: the table is materialized by a scan, and the query scans the copy.
        Ok(steps.len() == 3 && steps[0].starts_with("MATERIALIZE"))
    }
}

/// Returns whether SQLite would search rows by an index instead of scanning all of them.
pub(crate) fn has_search(connection: &Connection, query: &str, stop: &Stop) -> Result<bool> {
    let steps = explain::steps(connection, query, stop)?;
    Ok(steps.iter().any(|step| step.starts_with("SEARCH")))
}

/// Returns whether a parameter is the string `now`, which date functions take as the current time.
fn say_now(parameters: &Parameters) -> bool {
    let says_now =
        |value: &Value| matches!(value, Value::Text(text) if text.eq_ignore_ascii_case("now"));
    match parameters {
        Parameters::Positional(values) => values.iter().any(says_now),
        Parameters::Named(values) => values.iter().any(|(_, value)| says_now(value)),
    }
}

/// Returns whether a view that the query reads has a LIMIT.
pub(crate) fn has_limited_view(connection: &Connection, query: &str) -> Result<bool> {
    let views = views_of(connection, query).map_err(|e| failed(&e))?;
    Ok(views.iter().any(|text| has_word(text, LEXICON, &["LIMIT"])))
}

/// Returns an error if the key cannot be named from outside of the query.
pub(crate) fn reject_unnamed(
    connection: &Connection,
    query: &str,
    key: &str,
    stop: &Stop,
) -> Result<()> {
    match Cursor::prepare(connection, &derived::keys(query, key, 1), stop) {
        Err(Error::Query { message, .. }) => Err(Error::configuration(format!(
            "partition_on={key:?} is no name that SQLite knows outside of the query ({message}): give \
             the column an alias with AS"
        ))),
        other => other.map(drop),
    }
}

/// Returns whether a common table expression would replace the table in the query.
pub(crate) fn is_replaced(
    connection: &Connection,
    query: &str,
    table: &Table,
    stop: &Stop,
) -> Result<bool> {
    let sql = table::replaced(&table.freed(query), table);
    match Cursor::prepare(connection, &sql, stop) {
        Err(Error::Query { message, .. }) => Ok(message.contains(table::NO_TABLE)),
        Err(other) => Err(other),
        Ok(_) => Ok(false),
    }
}
