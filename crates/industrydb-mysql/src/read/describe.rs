//! Describes a request: the columns of its queries, which the server prepares and does not run.

use std::sync::OnceLock;

use industrydb_core::field::{not_convertible, reject_other_fields};
use industrydb_core::{ColumnType, Described, Error, Field, Idle, Request, Result, Stop};

use crate::config::options::Options;
use crate::encode::parameters::{self, Parameter};
use crate::read::clock::OneTime;
use crate::read::query::MysqlQuery;
use crate::read::rows;
use crate::session::connect::Session;
use crate::session::run::Answer;
use crate::sql::derived;
use crate::sql::refusal::{reject_misdescribed, reject_other_than_query};
use crate::types::{Decoding, DescribedColumn};
use crate::wire::errors::unexpected;

/// Describes a request; all of its queries must have the columns of the first.
pub(crate) fn describe(options: &Options, request: &Request, stop: &Stop) -> Result<Described> {
    let parameters = parameters::bound(&request.parameters)?;
    let mut session = Session::open_reading(options, &request.setup, stop)?;
    let lexicon = session.mode.lexicon();
    let request = &session.request_as_run(request);
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
        reject_misdescribed(query, &statement.columns, lexicon)?;
        let guessed = statement.columns.clone();
        let columns = with_values(&mut session, query, statement.columns, &parameters, stop)?;
        let (fields, decoding) = with_types(&columns, request)?;
        if is_list {
            // Each query is read by another session, so the time is fixed for all of them here.
            let timed = time.in_query(&mut session, query, &guessed, stop)?;
            *query = timed.unwrap_or_else(|| query.clone());
        }
        described.push(columns);
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

/// Returns the columns of a query as its parameters' values make them: a value decides the type of an
/// expression, which the server guesses while it has none. A query that cannot stand in another one
/// keeps its columns.
pub(crate) fn with_values(
    session: &mut Session,
    query: &str,
    mut columns: Vec<DescribedColumn>,
    parameters: &[Parameter],
    stop: &Stop,
) -> Result<Vec<DescribedColumn>> {
    if parameters.is_empty() || columns.iter().all(DescribedColumn::is_of_database) {
        return Ok(columns);
    }
    let query = derived::nested(query, session.mode.lexicon());
    let prepared = match session.prepare(&derived::none(&query), stop) {
        Ok(prepared) => prepared,
        Err(Error::Query { .. }) => return Ok(columns),
        Err(error) => return Err(error),
    };
    let sent = match session.execute(&prepared, parameters, stop) {
        Ok(Answer::Rows(sent)) => {
            session.discard(stop)?;
            sent
        }
        Err(Error::Query { .. }) => Vec::new(), // the query itself says so
        Err(error) => return Err(error),
        Ok(_) => return Err(unexpected("rows")),
    };
    session.close(&prepared, stop)?;
    for (column, sent) in columns.iter_mut().zip(sent) {
        if !column.is_of_database() {
            let DescribedColumn {
                schema,
                table,
                name,
                source,
                ..
            } = std::mem::take(column);
            *column = DescribedColumn {
                schema,
                table,
                name,
                source,
                ..sent
            };
        }
    }
    Ok(columns)
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
    for ((field, decoding), column) in found.iter_mut().zip(columns) {
        if let Some(asked) = request.asked(&field.name) {
            *decoding = decoding
                .overridden(asked)
                .ok_or_else(|| not_convertible(&field.name, &field.database_type, asked))?;
            field.ask(asked.clone());
        } else if let Some(known) = request.known(&field.name)
            && (field.is_open && field.column_type.may_settle_as(known)
                || !column.is_of_database() && decoding.may_be_shorter(known))
            && let Some(settled) = decoding.overridden(known)
        {
            *decoding = settled;
            field.ask(known.clone());
        } else if column.may_have_no_type()
            && request.known(&field.name) == Some(&ColumnType::String)
        {
            *decoding = Decoding::Text;
            field.ask(ColumnType::String);
        }
    }
    let (fields, decodings): (Vec<Field>, Vec<Decoding>) = found.into_iter().unzip();
    request.reject_unknown(&fields)?;
    Ok((fields, decodings))
}
