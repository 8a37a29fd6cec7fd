//! Divides the query of a request: whether that is possible, where, and into which statements.

use std::cmp::Ordering;

use industrydb_core::planner::no_table;
use industrydb_core::shape::{has_word, is_plain};
use industrydb_core::{Divisible, Division, Result, Sample, Stop, Target, Value};

use crate::read::clock;
use crate::read::explained::Explained;
use crate::read::nodes;
use crate::read::query::PostgresQuery;
use crate::read::samples;
use crate::session::describe;
use crate::session::describe::reject_changed;
use crate::session::run::TextRows;
use crate::sql::dialect::LEXICON;
use crate::sql::statements;
use crate::sql::table::Table;

/// Reason for leaving a query whole if not all places that ask for the time can get the same
/// answer.
const TIMED: &str =
    "the query, or a view or function of it, asks for the time, which each session has its own of";

/// Asks the server whether the query can be divided, and looks up the table that it reads.
pub(crate) fn divided<'a>(
    reader: &'a PostgresQuery,
    target: Target,
    stop: &Stop,
) -> Result<Division<'a>> {
    let mut divided = Divided {
        reader,
        target,
        query: timed_query(reader, stop)?,
        is_made_first: false,
        table: None,
    };
    let reason = match target {
        Target::Column(index) => divided.prepare_column(index, stop)?,
        Target::Rows => divided.prepare_rows(stop)?,
    };
    Ok(match reason {
        Some(reason) => Division::Whole(reason),
        None => Division::Cut(Box::new(divided)),
    })
}

/// A query that is divided by a column or by the rows of a table.
struct Divided<'a> {
    reader: &'a PostgresQuery,
    target: Target,
    /// The query, in which all partitions get the same answer where it asks for the time.
    query: String,
    /// Whether the query's rows are evaluated before the key is compared: see
    /// [`Explained::tries_too_early`].
    is_made_first: bool,
    /// Table whose column is the key, or whose rows are divided.
    table: Option<Table>,
}

impl Divided<'_> {
    /// Prepares to divide by the blocks of a table; returns the reason if the query stays whole.
    fn prepare_rows(&mut self, stop: &Stop) -> Result<Option<&'static str>> {
        let explained = self
            .reader
            .explain(&statements::explain(&self.query), stop)?;
        if explained.has_limit() {
            return Ok(Some("the query has a LIMIT"));
        }
        if self.is_timed(&explained, stop)? {
            return Ok(Some(TIMED));
        }
        let table = self.table_to_split(stop);
        if table.is_err() {
            self.reject_other_table(stop)?;
        }
        self.table = Some(table?);
        Ok(None)
    }

    /// Prepares to divide by a column's values; returns the reason if the query stays whole.
    fn prepare_column(&mut self, index: usize, stop: &Stop) -> Result<Option<&'static str>> {
        let (field, column) = (&self.reader.fields[index], &self.reader.columns[index]);
        let sql = statements::probe(&self.query, &[&field.name]);
        let mut explained = self.reader.explain(&sql, stop)?;
        let is_timed = self.is_timed(&explained, stop)?;
        if column.entry.is_record() {
            return Ok(Some(
                "the key is a record without a type, whose values cannot be written",
            ));
        }
        if explained.tries_too_early() {
            let query = statements::evaluated_first(&self.query);
            let sql = statements::probe(&query, &[&field.name]);
            explained = self.reader.explain(&sql, stop)?;
            self.is_made_first = true;
        }
        if column.table != 0 {
            self.table = self.reader.look_up_table(column.table, stop)?;
        }
        let is_expression = self.table.as_ref().is_none_or(Table::is_view);
        let mut reason = explained.indivisible().or(is_timed.then_some(TIMED));
        if reason.is_none() && is_expression {
            reason = explained.makes_other_keys(&self.query, &self.reader.parameters);
        }
        let mut called = explained.called();
        if explained.hides_expressions() {
            // The plan does not show what a VALUES list calls. The text of the query does, unless
            // the list is in a view.
            if !has_word(&self.query, LEXICON, &["VALUES"]) {
                reason = reason.or(Some("a view of the query has a list of VALUES"));
            }
            called.extend(nodes::called(&self.query).map(|name| name.to_lowercase()));
        }
        if reason.is_some() {
            return Ok(reason);
        }
        let sql = statements::are_volatile(&called, &explained.operators(), is_expression);
        let volatile = self
            .reader
            .with_session(stop, |session| session.rows(&sql, &[], stop))?;
        Ok((!volatile.is_empty()).then_some("the query calls a volatile function or operator"))
    }

    /// Returns whether the rows depend on the time of the session that reads them.
    fn is_timed(&self, explained: &Explained, stop: &Stop) -> Result<bool> {
        let parameters = &self.reader.parameters;
        if explained.asks_for_time() {
            return Ok(true);
        }
        self.reader.with_session(stop, |session| {
            clock::reads_time(session, &self.query, parameters, stop)
        })
    }

    /// Returns the one table whose blocks can be divided among the partitions.
    fn table_to_split(&self, stop: &Stop) -> Result<Table> {
        if !is_plain(&self.query, LEXICON) {
            return Err(no_table("this query does more"));
        }
        let mut tables = self.reader.columns.iter().map(|column| column.table);
        let table = match tables.find(|table| *table != 0) {
            Some(oid) => self.reader.look_up_table(oid, stop)?,
            None => None,
        };
        let table = table.ok_or_else(|| no_table("no column of this one is a table's"))?;
        if !table.is_stored() {
            let why = format!("{:?} is a view, a foreign or a temporary table", table.name);
            return Err(no_table(&why));
        }
        // The server's plan shows whether the divided query is a scan of the table's blocks.
        let (block, condition) = statements::NO_BLOCK;
        let query = table.freed(&self.query);
        let part = statements::blocks(&query, &table, Some(&Value::Integer(block)), None);
        let part = statements::explain(&part);
        let answer = self.reader.with_session(stop, |session| {
            session.attempt(&part, &self.reader.parameters, stop)
        })?;
        match answer.map(Explained::new) {
            Ok(Some(explained)) if explained.is_block_scan(condition) => Ok(table),
            Ok(_) => Err(no_table("this query does more")),
            Err(error) => Err(no_table(&format!("this one cannot be split ({error})"))),
        }
    }

    /// Returns an error if the query no longer reads the table that was described, because another
    /// schema has taken over the name of the table's schema.
    fn reject_other_table(&self, stop: &Stop) -> Result<()> {
        let given = self.reader.parameters.len();
        let found = self.reader.with_session(stop, |session| {
            describe::columns(session, &self.query, given, stop)
        })?;
        let described = self.reader.described.first().map(Vec::as_slice);
        reject_changed(
            described.unwrap_or_default(),
            &found.unwrap_or_default(),
            &[],
        )
    }

    /// Samples the keys of a column: those of some rows of its table, if it has one, otherwise
    /// those of a share of all rows.
    fn sample_column(&self, index: usize, wanted: usize, stop: &Stop) -> Result<Sample> {
        let field = &self.reader.fields[index];
        let query = &self.query;
        let rows = self
            .reader
            .explain(&statements::explain(query), stop)?
            .rows();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let keys = wanted as f64;
        let limit = 20 * wanted;
        let ask = |sql: &str| -> Result<Result<TextRows>> {
            self.reader.with_session(stop, |session| {
                session.attempt(sql, &self.reader.parameters, stop)
            })
        };
        if let Some(table) = self.table.as_ref().filter(|table| table.is_stored()) {
            let sql = statements::explain(&statements::all_of(table));
            let table_rows = match ask(&sql)?.map(Explained::new) {
                Ok(Some(explained)) => explained.rows(),
                _ => rows, // the user may run the query, but not read the whole table
            };
            let spread = table.spread(table_rows, keys);
            let freed = table.freed(query);
            let sql = statements::keys_of_some_rows(&freed, &field.name, table, &spread, limit);
            let explained = ask(&statements::explain(&sql))?.map(Explained::new);
            if let Ok(Some(explained)) = explained
                && explained.is_of_some_rows()
                && let Ok(answer) = ask(&sql)?
                && samples::sampled(&answer) * 20.0 >= keys
                && !samples::is_padded(query, &answer)
            {
                return Ok(samples::sample(answer, table_rows / spread.rows));
            }
            log::debug!("no sample of some rows of {}", table.name);
        }
        let mut share = (keys / rows).min(1.0);
        loop {
            match ask(&statements::keys(query, &field.name, share, limit))? {
                // There are far more rows than the server expects.
                Ok(answer) if answer.len() >= limit => share *= keys / samples::sampled(&answer),
                Ok(answer) => return Ok(samples::sample(answer, 1.0 / share)),
                Err(error) if matches!(error.code(), Some("42883" | "42P22")) => {
                    // undefined_function, indeterminate_collation
                    return Err(samples::unordered(field, &error));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Divisible for Divided<'_> {
    fn sample(&self, partitions: usize, stop: &Stop) -> Result<Sample> {
        let keys = Sample::size(partitions);
        match (self.target, &self.table) {
            (Target::Column(index), _) => self.sample_column(index, keys, stop),
            (Target::Rows, Some(table)) => {
                let explained = self
                    .reader
                    .explain(&statements::explain(&self.query), stop)?;
                Ok(table.block_sample(explained.rows()))
            }
            (Target::Rows, None) => Err(no_table("no table was found")),
        }
    }

    fn select(&self, lower: Option<&Value>, upper: Option<&Value>) -> String {
        match (self.target, &self.table) {
            (Target::Rows, Some(table)) => {
                statements::blocks(&table.freed(&self.query), table, lower, upper)
            }
            (Target::Rows, None) => self.query.clone(),
            (Target::Column(index), _) => {
                let key = (
                    &self.reader.fields[index].name,
                    &self.reader.columns[index].entry,
                );
                if self.is_made_first && lower.or(upper).is_some() {
                    let query = statements::evaluated_first(&self.query);
                    statements::range(&query, key.0, key.1, lower, upper)
                } else {
                    statements::range(&self.query, key.0, key.1, lower, upper)
                }
            }
        }
    }

    fn compare_cuts(&self, cuts: &[Value], stop: &Stop) -> Result<Option<Vec<Ordering>>> {
        let Target::Column(index) = self.target else {
            return Ok(Some(vec![Ordering::Less; cuts.len().saturating_sub(1)]));
        };
        let entry = &self.reader.columns[index].entry;
        if let Some(compared) = samples::compare_integers(entry, cuts) {
            return Ok(Some(compared));
        }
        let sql = statements::rising(&self.query, &self.reader.fields[index].name, entry, cuts);
        let answer = self.reader.with_session(stop, |session| {
            session.attempt(&sql, &self.reader.parameters, stop)
        })?;
        if let Err(error) = &answer {
            log::warn!("the keys cannot be compared: {error}");
        }
        Ok(answer.ok().map(samples::compared))
    }
}

/// Returns the query in which all partitions get the same answer where it asks for the time.
fn timed_query(reader: &PostgresQuery, stop: &Stop) -> Result<String> {
    let query = reader.queries.first().cloned().unwrap_or_default();
    let Some(described) = reader.described.first() else {
        return Ok(query);
    };
    let given = reader.parameters.len();
    let timed = reader.with_session(stop, |session| {
        clock::with_one_time(session, &query, described, given, stop)
    })?;
    Ok(timed.unwrap_or(query))
}
