//! Answers for the planner: where the keys of a query lie.
//!
//! Keys only place the cuts: a wrong estimate makes partitions less even, but never changes the rows.

use industrydb_core::shape::{has_word, is_plain};
use industrydb_core::tokens::Lexicon;
use industrydb_core::{ChunkColumn, ColumnType, Field, Meter, Output, Result, Sample, Stop, Value};
use polars_arrow::array::Utf8ViewArray;

use crate::encode::parameters::Parameter;
use crate::read::dives;
use crate::read::query::MysqlQuery;
use crate::read::rows::{self, Rows};
use crate::session::connect::Session;
use crate::session::run::{Answer, TextRows};
use crate::sql::keys::{Key, is_in_no_calendar};
use crate::sql::{control, derived};
use crate::types::Decoding;
use crate::wire::errors::{NO_EXPLAIN, number, unexpected};

/// Returns the first column of a table's primary key, if it has one.
pub(crate) fn primary_key(
    session: &mut Session,
    schema: &str,
    table: &str,
    stop: &Stop,
) -> Result<Option<String>> {
    let sql = control::primary_key(schema, table);
    let rows = session.rows(&sql, stop)?;
    Ok(rows.into_iter().flatten().flatten().next())
}

/// Samples the query's keys for so many partitions: by the index of an integer column if the query
/// only picks columns of its table, and otherwise by some of the query's rows.
pub(crate) fn sample(
    session: &mut Session,
    reader: &MysqlQuery,
    query: &str,
    index: usize,
    key: &Key,
    partitions: usize,
    stop: &Stop,
) -> Result<Sample> {
    let field = &reader.fields[index];
    let column = reader
        .described
        .first()
        .and_then(|columns| columns.get(index));
    if let Some(column) = column
        && column.is_stored()
        && field.own_type.is_integer()
        && picks_columns(query, session.mode.lexicon())
        && let Some(sample) = dives::integers(session, column, partitions, stop)?
    {
        log::debug!("the index places the cuts of {:?}", field.name);
        return Ok(sample);
    }
    log::debug!("a random sample places the cuts of {:?}", field.name);
    random(session, reader, query, key, Sample::size(partitions), stop)
}

/// Returns whether the query has all rows of its table.
fn picks_columns(query: &str, lexicon: Lexicon) -> bool {
    is_plain(query, lexicon) && !has_word(query, lexicon, &["WHERE", "PARTITION"])
}

/// Takes keys of the query's rows at random.
fn random(
    session: &mut Session,
    reader: &MysqlQuery,
    query: &str,
    key: &Key,
    keys: usize,
    stop: &Stop,
) -> Result<Sample> {
    let rows = expected_rows(session, reader, query, stop)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let share = (keys as f64 / rows).min(1.0);
    // A share that is not much smaller than all saves nothing.
    let share = if share > 0.3 { 1.0 } else { share };
    let sql = derived::keys(query, key, share);
    let rows = texts(session, &sql, &reader.parameters, stop)?;
    let sampled = |row: Vec<Option<String>>| {
        let [text, count] = <[Option<String>; 2]>::try_from(row).ok()?;
        if text
            .as_ref()
            .is_some_and(|text| is_in_no_calendar(&key.type_name, text))
        {
            return None; // it is no cut
        }
        let key = text.map_or(Value::Null, Value::Text);
        Some((key, count?.parse::<f64>().ok()? / share))
    };
    Ok(Sample {
        keys: rows.into_iter().filter_map(sampled).collect(),
    })
}

/// Returns the number of rows that the server expects the query to look at.
fn expected_rows(
    session: &mut Session,
    reader: &MysqlQuery,
    query: &str,
    stop: &Stop,
) -> Result<f64> {
    let sql = derived::explain(query);
    match texts(session, &sql, &reader.parameters, stop) {
        Ok(plan) => Ok(largest_number(&plan)),
        // The query has a view whose tables this user may not see.
        Err(error) if number(&error) == Some(NO_EXPLAIN) => Ok(1.0),
        Err(error) => Err(error),
    }
}

/// Returns the largest number of rows in a plan, whose column `rows` is the third from the end, or
/// the second on MariaDB.
fn largest_number(plan: &TextRows) -> f64 {
    let number = |row: &Vec<Option<String>>| {
        let mut cells = row.iter().rev().skip(1).flatten();
        cells.find_map(|cell| cell.parse::<f64>().ok())
    };
    plan.iter().filter_map(number).fold(1.0, f64::max)
}

/// Runs a statement with parameters, and returns its rows as text, which are few.
pub(crate) fn texts(
    session: &mut Session,
    sql: &str,
    parameters: &[Parameter],
    stop: &Stop,
) -> Result<TextRows> {
    if parameters.is_empty() {
        return session.rows(sql, stop);
    }
    let statement = session.prepare_kept(sql, stop)?;
    let Answer::Rows(columns) = session.execute(&statement, parameters, stop)? else {
        return Err(unexpected("rows"));
    };
    let found = rows::fields(&columns)?.into_iter();
    let (fields, decodings): (Vec<Field>, Vec<Decoding>) = found
        .map(|(field, decoding)| {
            let text = decoding.overridden(&ColumnType::String);
            (field, text.unwrap_or(decoding))
        })
        .unzip();
    let rows = Rows::new(fields, decodings, session.options.zero_dates);
    let chunk = Output::whole(&Meter::default(), |output| {
        let (chunk, ended) = rows::collect(session, rows, output, stop)?;
        session.finish(ended, stop)?;
        output.push(chunk)
    })?;
    let row = |row: usize| {
        let cell = |column: &ChunkColumn| {
            let texts = column.array.as_any().downcast_ref::<Utf8ViewArray>();
            texts.and_then(|texts| texts.get(row)).map(str::to_owned)
        };
        chunk.columns.iter().map(cell).collect()
    };
    Ok((0..chunk.height).map(row).collect())
}
