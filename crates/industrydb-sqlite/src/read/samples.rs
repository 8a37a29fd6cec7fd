//! Samples of a query's keys, from which the cuts between partitions are chosen.
//!
//! A sample never decides which rows are read: an old or small sample only makes the partitions
//! less even.

use industrydb_core::shape::has_outer_join;
use industrydb_core::{Error, Parameters, Result, Sample, Stop, Value};
use rusqlite::Connection;

use super::shape::is_replaced;
use crate::ffi::cursor::Cursor;
use crate::ffi::errors::failed;
use crate::ffi::row::Cell;
use crate::pages::sample;
use crate::sql::derived;
use crate::sql::dialect::LEXICON;
use crate::sql::table::{self, Table};

/// Numbers of rows that are looked up one by one: in the first attempt, and in a second one if a
/// condition of the query leaves too few of them.
const LOOKED_UP: [usize; 2] = [2_000, 20_000];
/// Smallest useful number of keys in a sample.
const ENOUGH_KEYS: f64 = 500.0;
const MIN_ROWS: usize = 500;

/// Samples the keys of a column: from some rows of `table` if that is given, otherwise from a
/// random fraction of the query's rows.
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
            let tree = tree_sample(table, connection, looked_up.max(wanted / 5))?;
            let Some(tree) = tree.filter(|tree| tree.keys.len() >= MIN_ROWS) else {
                break;
            };
            let sql = table::keys_of_rows(&freed, key, table, &tree.keys);
            match keys(connection, &sql, parameters, stop) {
                Ok(sample) if total(&sample) >= ENOUGH_KEYS && !is_padded(query, &sample) => {
                    #[expect(clippy::cast_precision_loss, reason = "at most 20,000")]
                    let looked_up = tree.keys.len() as f64;
                    return Ok(scaled(sample, tree.rows / looked_up));
                }
                Ok(_) => log::debug!("too few keys in some rows of {}", table.name),
                // The query uses something of the table that a common table expression does not
                // have, such as its rowid.
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

/// Samples the keys of the table's own rows, by which the table is split.
pub(crate) fn row_sample(
    table: &Table,
    connection: &Connection,
    wanted: usize,
    stop: &Stop,
) -> Result<Sample> {
    let tree = tree_sample(table, connection, wanted)?;
    let Some(tree) = tree.filter(|tree| tree.keys.len() >= MIN_ROWS) else {
        let all = table::keys_of_all(table);
        return keys_of_some(
            connection,
            &all,
            "key",
            wanted,
            &Parameters::default(),
            stop,
        );
    };
    let sql = table::row_keys(table, &tree.keys);
    let sample = keys(connection, &sql, &Parameters::default(), stop)?;
    let found = total(&sample);
    Ok(scaled(sample, tree.rows / found.max(1.0)))
}

fn tree_sample(
    table: &Table,
    connection: &Connection,
    wanted: usize,
) -> Result<Option<sample::TreeSample>> {
    let columns = table.key.len();
    sample::sample(connection, &table.database, table.root, columns, wanted).map_err(|e| failed(&e))
}

/// Samples the keys of a random fraction of the query's rows, about `wanted` of them. Reads all
/// rows twice: once to count them, and once to sample.
fn keys_of_some(
    connection: &Connection,
    query: &str,
    key: &str,
    wanted: usize,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<Sample> {
    let mut cursor = Cursor::prepare(connection, &derived::count(query), stop)?;
    cursor.bind(parameters)?;
    cursor.step()?;
    let Cell::Integer(rows) = cursor.row().value(0) else {
        return Ok(Sample::default());
    };
    drop(cursor);
    let every = (rows / i64::try_from(wanted).unwrap_or(i64::MAX)).max(1);
    let sample = keys(
        connection,
        &derived::keys(query, key, every),
        parameters,
        stop,
    )?;
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let weight = every as f64;
    Ok(scaled(sample, weight))
}

/// Runs a statement that returns keys and their counts.
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

/// Returns whether most keys are NULL in a query with an outer join: the sample may lack the rows
/// that the join looks for.
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
