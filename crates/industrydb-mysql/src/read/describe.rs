//! Describes a request: the columns of its queries, which the server prepares and does not run.

use std::sync::OnceLock;

use industrydb_core::field::{not_convertible, reject_other_fields};
use industrydb_core::{Described, Error, Field, Idle, Request, Result, Stop};

use crate::config::options::Options;
use crate::encode::parameters;
use crate::read::clock::OneTime;
use crate::read::query::MysqlQuery;
use crate::read::rows;
use crate::session::connect::Session;
use crate::sql::refusal::{reject_cut_integers, reject_other_than_query};
use crate::types::{Decoding, DescribedColumn};

/// Describes a request; all of its queries must have the columns of the first.
pub(crate) fn describe(options: &Options, request: &Request, stop: &Stop) -> Result<Described> {
    let parameters = parameters::bound(&request.parameters)?;
    let mut session = Session::open_reading(options, &request.setup, stop)?;
    let lexicon = session.mode.lexicon();
    let mut queries = request.statements(lexicon)?;
    let is_list = queries.len() > 1;
    let mut time = OneTime::default();
    let mut first: Option<Vec<Field>> = None;
    let (mut described, mut decodings) = (Vec::new(), Vec::new());
    for ((number, query), whole) in (1..).zip(&mut queries).zip(&request.queries) {
        reject_other_than_query(query, lexicon)?;
        let statement = session
            .prepare_kept(query, stop)
            .map_err(|error| session.explained(error, query, whole, stop))?;
        if statement.columns.is_empty() {
            return Err(returns_no_rows());
        }
        statement.reject_other_count(parameters.len())?;
        reject_cut_integers(query, &statement.columns, lexicon)?;
        let (fields, decoding) = with_types(&statement.columns, request)?;
        if is_list {
            // Each query is read by another session, so the time is fixed for all of them here.
            let timed = time.in_query(&mut session, query, &statement.columns, stop)?;
            *query = timed.unwrap_or_else(|| query.clone());
        }
        described.push(statement.columns);
        decodings.push(decoding);
        match &first {
            Some(first) => reject_other_fields(first, &fields, number)?,
            None => first = Some(fields),
        }
    }
    let fields = first.ok_or_else(|| Error::configuration("there is no query"))?;
    let reader = MysqlQuery {
        options: options.clone(),
        setup: request.setup.clone(),
        queries: queries.clone(),
        parameters,
        fields: fields.clone(),
        described,
        decodings,
        mode: session.mode,
        idle: Idle::new(session),
        is_together: OnceLock::new(),
        is_apart: OnceLock::new(),
    };
    Ok(Described {
        fields,
        queries,
        reader: Box::new(reader),
    })
}

/// Returns the error for a statement that is no query.
pub(crate) fn returns_no_rows() -> Error {
    Error::configuration(
        "the query returns no rows: read_sql takes a SELECT, and has not run this statement",
    )
}

/// Picks the decoding of each column, and makes its field.
pub(crate) fn with_types(
    columns: &[DescribedColumn],
    request: &Request,
) -> Result<(Vec<Field>, Vec<Decoding>)> {
    let mut found = rows::fields(columns)?;
    for (field, decoding) in &mut found {
        if let Some(asked) = request.asked(&field.name) {
            *decoding = decoding
                .overridden(asked)
                .ok_or_else(|| not_convertible(&field.name, &field.database_type, asked))?;
            field.ask(asked.clone());
        } else if let Some(known) = request.known(&field.name)
            && field.is_open
            && field.column_type.may_settle_as(known)
            && let Some(settled) = decoding.overridden(known)
        {
            *decoding = settled;
            field.ask(known.clone());
        }
    }
    let (fields, decodings): (Vec<Field>, Vec<Decoding>) = found.into_iter().unzip();
    request.reject_unknown(&fields)?;
    Ok((fields, decodings))
}
