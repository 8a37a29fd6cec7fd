//! What the planner asks SQLite: whether a query can be divided, and where its keys lie.
//!
//! A sample decides no rows: one that is old or small makes partitions less even, and no more. Whether a query
//! can be divided does: where that is in doubt, it is not.

use industrydb_core::tokens::{
    has_groups, has_outer_join, has_word, is_plain, mentions, without_schema,
};
use industrydb_core::{Error, Parameters, Result, Sample, Stop, Value};
use rusqlite::{Connection, OptionalExtension};

use crate::clock::{DATES, asks_without_saying};
use crate::connect::{databases, failed};
use crate::cursor::{Cell, Cursor};
use crate::dialect::{self, LEXICON};
use crate::explain;
use crate::pages::sample;

/// Rows that are looked up one by one; in the second attempt, where a condition of the query's leaves few.
const LOOKED_UP: [usize; 2] = [2_000, 20_000];
/// Fewer keys than this tell too little.
const ENOUGH_KEYS: f64 = 500.0;
const MIN_ROWS: usize = 500;

/// A table whose rows can be looked up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) database: String,
    pub(crate) name: String,
    /// The first page of its tree.
    root: u32,
    /// What finds a row in it: a name of the rowid, or the columns of the primary key.
    pub(crate) key: Vec<String>,
}

impl Table {
    /// Finds a table in the schema, if its rows are stored in a tree of their own.
    pub(crate) fn find(
        connection: &Connection,
        database: &str,
        name: &str,
    ) -> rusqlite::Result<Option<Self>> {
        let sql = format!(
            "SELECT rootpage FROM {}.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE",
            dialect::quoted(database)
        );
        let root: Option<u32> = connection
            .query_row(&sql, [name], |row| row.get(0))
            .optional()?;
        let Some(root) = root.filter(|root| *root > 0) else {
            return Ok(None);
        };
        let sql = "SELECT wr FROM pragma_table_list WHERE schema = ? AND name = ? COLLATE NOCASE";
        let has_no_rowid: bool = connection
            .query_row(sql, (database, name), |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        let sql = "SELECT name, pk FROM pragma_table_xinfo(?, ?) ORDER BY pk";
        let mut statement = connection.prepare(sql)?;
        let columns: Vec<(String, i64)> = statement
            .query_map((name, database), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let key: Vec<String> = if has_no_rowid {
            let in_key = columns.into_iter().filter(|(_, place)| *place > 0);
            in_key.map(|(name, _)| name).collect()
        } else {
            // A column may have taken one of the rowid's names.
            let is_free = |name: &&str| !columns.iter().any(|(c, _)| c.eq_ignore_ascii_case(name));
            let names = ["rowid", "_rowid_", "oid"].into_iter();
            names.filter(is_free).take(1).map(Into::into).collect()
        };
        Ok((!key.is_empty()).then(|| Self {
            database: database.to_owned(),
            name: name.to_owned(),
            root,
            key,
        }))
    }

    /// The query with this table's name free for a common table expression.
    pub(crate) fn freed(&self, query: &str) -> String {
        without_schema(query, LEXICON, &self.database, &self.name)
    }

    /// Keys of the table's own rows, for splitting it by them.
    pub(crate) fn row_sample(
        &self,
        connection: &Connection,
        wanted: usize,
        stop: &Stop,
    ) -> Result<Sample> {
        let tree = self.tree_sample(connection, wanted)?;
        let Some(tree) = tree.filter(|tree| tree.keys.len() >= MIN_ROWS) else {
            let key = self.key.first().map(String::as_str).unwrap_or_default();
            let all = format!(
                "SELECT {} AS key FROM {}.{}",
                dialect::quoted(key),
                dialect::quoted(&self.database),
                dialect::quoted(&self.name)
            );
            return keys_of_some(
                connection,
                &all,
                "key",
                wanted,
                &Parameters::default(),
                stop,
            );
        };
        let sql = dialect::row_keys(self, &tree.keys);
        let sample = keys(connection, &sql, &Parameters::default(), stop)?;
        let found = total(&sample);
        Ok(scaled(sample, tree.rows / found.max(1.0)))
    }

    fn tree_sample(
        &self,
        connection: &Connection,
        wanted: usize,
    ) -> Result<Option<sample::TreeSample>> {
        let columns = self.key.len();
        sample::sample(connection, &self.database, self.root, columns, wanted)
            .map_err(|e| failed(&e))
    }
}

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
        for instruction in explain::instructions(connection, &dialect::derived(query), stop)? {
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

    /// Whether a condition on the query's rows could change which of those that it takes for equal stand for the others: by a
    /// column's collation or affinity, `'a'` and `'A'`, or `1` and `1.0`, can be equal.
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
        let all = dialect::all_rows_first(&table.freed(query), table);
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

/// The names of all views, and the statements that have made them.
fn views(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut views = Vec::new();
    for database in databases(connection)? {
        let sql = format!(
            "SELECT name, sql FROM {}.sqlite_schema WHERE type = 'view'",
            dialect::quoted(&database)
        );
        let mut found = connection.prepare(&sql)?;
        let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        views.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(views)
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

/// The statements that have made the views which a query reads, and those which these read.
fn views_of(connection: &Connection, query: &str) -> rusqlite::Result<Vec<String>> {
    let mut others = views(connection)?;
    let mut found = Vec::new();
    let mut texts = vec![query.to_owned()];
    while let Some(text) = texts.pop() {
        let is_read =
            |(name, _): &mut (String, String)| mentions(&text, LEXICON, std::slice::from_ref(name));
        for (_, sql) in others.extract_if(.., is_read) {
            found.push(sql.clone());
            texts.push(sql);
        }
    }
    Ok(found)
}

/// Makes sure that the key can be spoken of from outside of the query.
pub(crate) fn reject_unnamed(
    connection: &Connection,
    query: &str,
    key: &str,
    stop: &Stop,
) -> Result<()> {
    match Cursor::prepare(connection, &dialect::keys(query, key, 1), stop) {
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
    let sql = dialect::replaced(&table.freed(query), table);
    match Cursor::prepare(connection, &sql, stop) {
        Err(Error::Query { message, .. }) => Ok(message.contains(dialect::NO_TABLE)),
        Err(other) => Err(other),
        Ok(_) => Ok(false),
    }
}

/// Keys of a column: of some rows of its table where it has one, otherwise of one in so many of all rows.
pub(crate) fn sample_column(
    connection: &Connection,
    query: &str,
    key: &str,
    table: Option<&Table>,
    wanted: usize,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<Sample> {
    if let Some(table) = table
        && is_replaced(connection, query, table, stop)?
    {
        let freed = table.freed(query);
        for looked_up in LOOKED_UP {
            let tree = table.tree_sample(connection, looked_up.max(wanted / 5))?;
            let Some(tree) = tree.filter(|tree| tree.keys.len() >= MIN_ROWS) else {
                break;
            };
            let sql = dialect::keys_of_rows(&freed, key, table, &tree.keys);
            match keys(connection, &sql, parameters, stop) {
                Ok(sample) if total(&sample) >= ENOUGH_KEYS && !is_padded(query, &sample) => {
                    #[expect(clippy::cast_precision_loss, reason = "at most 20,000")]
                    let looked_up = tree.keys.len() as f64;
                    return Ok(scaled(sample, tree.rows / looked_up));
                }
                Ok(_) => log::debug!("too few keys in some rows of {}", table.name),
                // The query speaks of the table in a way that it cannot of other rows: its rowid, say.
                Err(Error::Query { message, .. }) => {
                    log::debug!("no sample of {}: {message}", table.name);
                    break;
                }
                Err(other) => return Err(other),
            }
        }
    }
    keys_of_some(connection, query, key, wanted, parameters, stop)
}

/// Keys of one in so many rows of a query, by passing over all of them twice.
fn keys_of_some(
    connection: &Connection,
    query: &str,
    key: &str,
    wanted: usize,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<Sample> {
    let mut cursor = Cursor::prepare(connection, &dialect::count(query), stop)?;
    cursor.bind(parameters)?;
    cursor.step()?;
    let Cell::Integer(rows) = cursor.row().value(0) else {
        return Ok(Sample::default());
    };
    drop(cursor);
    let every = (rows / i64::try_from(wanted).unwrap_or(i64::MAX)).max(1);
    let sample = keys(
        connection,
        &dialect::keys(query, key, every),
        parameters,
        stop,
    )?;
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let weight = every as f64;
    Ok(scaled(sample, weight))
}

/// Runs a statement that returns keys and their numbers.
fn keys(
    connection: &Connection,
    sql: &str,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<Sample> {
    let mut cursor = Cursor::prepare(connection, sql, stop)?;
    cursor.bind(parameters)?;
    let mut keys = Vec::new();
    while cursor.step()? {
        let row = cursor.row();
        let key = match row.value(0) {
            Cell::Null => Value::Null,
            Cell::Integer(value) => Value::Integer(value),
            Cell::Real(value) => Value::Float(value),
            Cell::Text(text) => match sample::literal_text(text) {
                Some(text) => Value::Text(text),
                None => continue,
            },
            Cell::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        };
        if let Cell::Integer(count) = row.value(1) {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            keys.push((key, count as f64));
        }
    }
    Ok(Sample { keys })
}

/// Whether most keys are NULLs that an outer join may have made, since the rows were left out that it looks for.
fn is_padded(query: &str, sample: &Sample) -> bool {
    let nulls = match sample.keys.first() {
        Some((Value::Null, rows)) => *rows,
        _ => 0.0,
    };
    has_outer_join(query, LEXICON) && nulls * 2.0 > total(sample)
}

fn total(sample: &Sample) -> f64 {
    sample.keys.iter().map(|(_, rows)| rows).sum()
}

fn scaled(mut sample: Sample, factor: f64) -> Sample {
    for (_, rows) in &mut sample.keys {
        *rows *= factor;
    }
    sample
}
