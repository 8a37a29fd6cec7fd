//! Adds to the error of a refused statement what may be meant by a name that the server does not
//! know.

use industrydb_core::foreign::{Catalog, Ways, syntax_hint, text_hint};
use industrydb_core::mistakes::{self, LOOKUP_LIMIT, names, near_defined, near_name, offset_of};
use industrydb_core::{Error, Stop};

use super::connect::Session;
use crate::config::options::Options;
use crate::sql::dialect::{LEXICON, quoted};
use crate::sql::metadata;

pub(crate) const WAYS: Ways = Ways {
    marks: "@P1, @P2, … (with params a list) or @name (with params a dict)",
    mark_begins: &["@"],
    quoting: "names are quoted by brackets here, such as [a name]",
    foreign_quotes: &['`'],
    foreign_limit: Some((
        "LIMIT",
        "SELECT TOP (5), or OFFSET 0 ROWS FETCH NEXT 5 ROWS ONLY behind ORDER BY",
    )),
    catalog: Some(Catalog {
        databases: "SELECT name FROM sys.databases",
        tables: "SELECT table_schema, table_name FROM information_schema.tables",
        columns: "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = TABLE",
    }),
};

/// Adds a name that may be meant, or another hint, to the error of a statement. Names are looked up
/// over a separate session, so that this one stays as it is; a failure to look them up changes
/// nothing.
pub(crate) fn explained(options: &Options, error: Error, statement: &str, stop: &Stop) -> Error {
    let Error::Query { message, code, .. } = &error else {
        return error;
    };
    // The message quotes the name.
    let name = message.split('\'').nth(1).unwrap_or_default();
    let name = name.rsplit('.').next().unwrap_or_default().to_owned();
    let hint = match code.as_deref() {
        Some("102" | "156" | "137") => syntax_hint(statement, None, LEXICON, &WAYS),
        Some("208") => meant(options, &name, &metadata::table_names(), stop),
        Some("207") => {
            let names: Vec<String> = names(statement, LEXICON)
                .into_iter()
                .map(|name| name.text)
                .collect();
            meant(options, &name, &metadata::column_names(&names), stop)
        }
        _ => None,
    };
    let is_column = code.as_deref() == Some("207");
    let is_name = matches!(code.as_deref(), Some("207" | "208"));
    let offset = offset_of(statement, &name, LEXICON).filter(|_| is_name);
    let hint = hint
        .or_else(|| near_defined(&name, statement, LEXICON).filter(|_| is_name))
        .or_else(|| text_hint(statement, offset?, LEXICON).filter(|_| is_column));
    mistakes::explained(error, statement, statement, offset, hint)
}

fn meant(options: &Options, name: &str, sql: &str, stop: &Stop) -> Option<String> {
    let rows = stop.within(LOOKUP_LIMIT, |stop| {
        Session::open(options, &[], stop)?.texts(sql, &[], stop)
    });
    // The parts of a name that a statement needs, such as the schema and the table.
    let known: Vec<Vec<String>> = rows?
        .ok()?
        .into_iter()
        .map(|row| row.into_iter().flatten().collect())
        .collect();
    near_name(name, &known, quoted)
}
