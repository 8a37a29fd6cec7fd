//! What a query does, and whether it may be divided: where that is in doubt, it may not.

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

/// What SQLite's plan and program tell of a query.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub(crate) struct Shape {
    /// Whether SQLite would run it as several SELECTs, a recursive one or VALUES.
    pub(crate) is_compound: bool,
    /// Whether it computes aggregates.
    aggregates: bool,
    /// Whether it makes random values.
    is_random: bool,
    /// Whether it computes with dates, which may be the present one.
    has_dates: bool,
    /// Whether it asks for the time.
    is_timed: bool,
    /// Whether it makes groups of equal rows.
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

    /// Whether a condition on the query's rows could change which of those that it takes for equal
    /// stand for the others: by a column's collation or affinity, `'a'` and `'A'`, or `1` and
    /// `1.0`, can be equal.
    pub(crate) fn makes_groups(&self, connection: &Connection, query: &str) -> Result<bool> {
        if self.aggregates || has_groups(query, LEXICON) {
            return Ok(true);
        }
        let views = views(connection).map_err(|e| failed(&e))?;
        let (names, texts): (Vec<String>, Vec<String>) = views.into_iter().unzip();
        Ok(texts.iter().any(|text| has_groups(text, LEXICON)) && mentions(query, LEXICON, &names))
    }

    /// Why evaluating the query several times may give rows that do not belong together, if it may.
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
            // Groups hold values to be equal that an expression may tell apart.
            Some("the key is an expression, and the query makes groups of rows")
        } else {
            None
        }
    }

    /// Whether the query passes over the table once, and does nothing else.
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
        // The table is copied, by passing over it, and the query passes over the copy.
        Ok(steps.len() == 3 && steps[0].starts_with("MATERIALIZE"))
    }
}

/// Whether SQLite would look rows up by an index, and not pass over all.
pub(crate) fn has_search(connection: &Connection, query: &str, stop: &Stop) -> Result<bool> {
    let steps = explain::steps(connection, query, stop)?;
    Ok(steps.iter().any(|step| step.starts_with("SEARCH")))
}

/// Whether a parameter is a text that functions of dates take for the time.
fn say_now(parameters: &Parameters) -> bool {
    let says_now =
        |value: &Value| matches!(value, Value::Text(text) if text.eq_ignore_ascii_case("now"));
    match parameters {
        Parameters::Positional(values) => values.iter().any(says_now),
        Parameters::Named(values) => values.iter().any(|(_, value)| says_now(value)),
    }
}

/// Whether a view that the query reads has a LIMIT.
pub(crate) fn has_limited_view(connection: &Connection, query: &str) -> Result<bool> {
    let views = views_of(connection, query).map_err(|e| failed(&e))?;
    Ok(views.iter().any(|text| has_word(text, LEXICON, &["LIMIT"])))
}

/// Makes sure that the key can be spoken of from outside of the query.
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

/// Whether a common table expression would take the place of the table in the query.
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
