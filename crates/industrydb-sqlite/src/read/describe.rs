//! Describes a query's columns before the query runs.

use std::sync::atomic::AtomicUsize;

use industrydb_core::{Described, Error, Idle, Request, Result, Stop};

use super::clock;
use super::query::SqliteQuery;
use super::typed::{Column, Prepared, Typed, merged, prepare};
use crate::config::options::Options;
use crate::pages::spans::Spans;
use crate::session::held::{self, HeldFiles};
use crate::session::others::tell_of_others;
use crate::sql::dialect::LEXICON;

/// Compiles the queries of a request, and describes their columns.
///
/// # Errors
///
/// When the file cannot be opened, SQLite refuses a query, or the queries have different columns.
pub(crate) fn describe(options: &Options, request: &Request, stop: &Stop) -> Result<Described> {
    let mut queries = request.statements(LEXICON)?;
    let held = request.held.as_deref().map(HeldFiles::parse).transpose()?;
    let connection = held::open(options, &request.setup, held.as_ref(), stop)?;
    tell_of_others(&connection)?;
    // Each query of a list is read by another connection, and all must use the same current time.
    let is_list = queries.len() > 1;
    let present = is_list.then(|| clock::present(&connection)).transpose()?;
    let mut columns: Option<Vec<Column>> = None;
    let mut declarations = Vec::new();
    let mut checks_often = true;
    for ((number, query), whole) in (1..).zip(&mut queries).zip(&request.queries) {
        let Prepared {
            columns: found,
            declared,
            checks_often: checks,
        } = prepare(&connection, query, whole, &request.parameters, stop)?;
        checks_often &= checks;
        if let Some(present) = present {
            let timed = clock::with_one_time(&connection, query, &declared, present, stop)?;
            *query = timed.unwrap_or_else(|| query.clone());
        }
        declarations.push(declared);
        columns = Some(match columns {
            None => found,
            Some(first) => merged(first, found, number)?,
        });
    }
    let columns = columns.ok_or_else(|| Error::configuration("there is no query"))?;
    let typed = Typed::new(columns, request)?;
    let fields = typed.fields.clone();
    let reader = SqliteQuery {
        options: options.clone(),
        setup: request.setup.clone(),
        held,
        queries: queries.clone(),
        parameters: request.parameters.clone(),
        typed,
        declarations,
        checks_often,
        idle: Idle::new(connection),
        parts: AtomicUsize::new(0),
        spans: Spans::default(),
    };
    Ok(Described {
        fields,
        queries,
        reader: Box::new(reader),
    })
}
