//! A scripted table that takes a bulk load.

use industrydb_core::{DatabaseConnector, Frame, OnConflict, Result, Stop};
use polars_core::prelude::{DataFrame, NamedFrom, Series};

use crate::script::{DONE, MORE, Script, number, texts};
use crate::tds::{self, done};

/// Returns the server's description of a table's columns, which are given by name, `TYPE_INFO` and
/// the first byte of their flags.
pub(crate) fn about(columns: &[(&str, &[u8], u8)]) -> Vec<u8> {
    let numbers: Vec<String> = (1..=columns.len())
        .map(|number| number.to_string())
        .collect();
    let rows: Vec<[&str; 4]> = numbers
        .iter()
        .zip(columns)
        .map(|(number, (name, ..))| [number, *name, "", "Cyrillic_General_CI_AS"])
        .collect();
    let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
    let collations = texts(&["colid", "name", "tds_collation", "collation"], &rows);
    let (form, more) = (tds::flagged_columns(columns), MORE.to_vec());
    [number("", 0), more.clone(), form, more, collations].concat()
}

/// Creates the script of a server that takes a bulk load into a table with these columns and rules.
pub(crate) fn with_columns(columns: &[(&str, &[u8], u8)], rules: &[[&str; 2]]) -> Script {
    let rules: Vec<&[&str]> = rules.iter().map(|rule| &rule[..]).collect();
    Script::new("int", DONE.to_vec())
        .with("AS depth", [number("depth", 0), done(1)].concat())
        .with("AS column_rule", texts(&["name", "column_rule"], &rules))
        .with("sp_tablecollations_100", about(columns))
}

/// Creates the script of a server that takes a bulk load into a table with one column `v`.
pub(crate) fn with_a_table(type_info: &[u8]) -> Script {
    with_columns(&[("v", type_info, tds::NULLABLE)], &[])
}

/// Inserts a frame; returns the result, and the requests after the first look-up of the table's
/// columns. A second look-up is left out.
pub(crate) fn inserted(script: Script, frame: DataFrame) -> (Result<u64>, Vec<tds::Request>) {
    inserted_into("s.t", script, frame)
}

pub(crate) fn inserted_into(
    table: &str,
    script: Script,
    frame: DataFrame,
) -> (Result<u64>, Vec<tds::Request>) {
    let (connector, received) = script.serve();
    let stop = Stop::default();
    let mut connection = connector.connect(&stop).expect("connected");
    let frame = Frame::new(frame).expect("a frame");
    let written = connection.insert(table, &frame, OnConflict::Error, &stop);
    let mut received = std::mem::take(&mut *received.lock().expect("no panic"));
    let is_look = |request: &tds::Request| request.has("sp_tablecollations_100");
    let about = received.iter().position(is_look);
    let mut requests = received.split_off(about.expect("asked for the columns") + 1);
    requests.retain(|request| !is_look(request));
    assert!(received.iter().any(|r| r.has("BEGIN TRANSACTION")));
    (written, requests)
}

pub(crate) const INT: &[u8] = b"\x26\x04";

/// Creates a frame of integer columns.
pub(crate) fn integers(columns: &[(&str, &[Option<i32>])]) -> DataFrame {
    let height = columns.first().map_or(0, |(_, values)| values.len());
    let column =
        |(name, values): &(&str, &[Option<i32>])| Series::new((*name).into(), *values).into();
    DataFrame::new(height, columns.iter().map(column).collect()).expect("a frame")
}

/// Returns a row of integers as a ROW token.
pub(crate) fn row(values: &[Option<i32>]) -> Vec<u8> {
    let cell = |value: &Option<i32>| match value {
        Some(value) => [&[4][..], &value.to_le_bytes()].concat(),
        None => vec![0],
    };
    [vec![0xd1], values.iter().flat_map(cell).collect()].concat()
}
