//! Reads a query in a session that the caller keeps, within its transaction.

use industrydb_core::field::reject_duplicate_names;
use industrydb_core::narrow::Narrowing;
use industrydb_core::{Field, Output, Request, Result, Stop, statements};

use crate::encode::parameters;
use crate::read::describe::{returns_no_rows, with_types, with_values};
use crate::read::narrowed::narrowed;
use crate::read::rows::{self, Rows};
use crate::session::connect::Session;
use crate::session::prepared::Statement;
use crate::session::run::Answer;
use crate::sql::refusal::{reject_misdescribed, reject_other_than_query};
use crate::types::DescribedColumn;
use crate::wire::errors::unexpected;

/// Describes the only query of a request without running it, and returns it as the server runs it.
pub(crate) fn described(
    session: &mut Session,
    request: &Request,
    stop: &Stop,
) -> Result<(String, Vec<Field>, Vec<DescribedColumn>)> {
    let (query, statement) = prepared(session, request, stop)?;
    let parameters = parameters::bound(&request.parameters)?;
    let columns = statement.columns.clone();
    let columns = statement
        .reject_other_count(parameters.len())
        .and_then(|()| with_values(session, &query, columns, &parameters, stop));
    leave(session, statement, stop)?;
    let columns = columns?;
    let (fields, _) = with_types(&columns, request)?;
    reject_duplicate_names(&fields)?;
    Ok((query, fields, columns))
}

/// Returns the only query of a request for some of its columns and rows.
pub(crate) fn narrowed_query(
    session: &mut Session,
    request: &Request,
    narrowing: &Narrowing,
    stop: &Stop,
) -> Result<statements::Statement> {
    let (query, fields, columns) = described(session, request, stop)?;
    let parameters = &request.parameters;
    narrowed(
        session, &query, &fields, &columns, narrowing, parameters, stop,
    )
}

/// Reads the rows of the only query of a request. After an error, the rest of the answer may be
/// still to come.
pub(crate) fn read(
    session: &mut Session,
    request: &Request,
    begin: &mut dyn FnMut(&[Field]) -> Result<()>,
    output: &mut Output,
    stop: &Stop,
) -> Result<()> {
    let (_, statement) = prepared(session, request, stop)?;
    let read = run(session, &statement, request, begin, output, stop);
    leave(session, statement, stop)?;
    read
}

fn run(
    session: &mut Session,
    statement: &Statement,
    request: &Request,
    begin: &mut dyn FnMut(&[Field]) -> Result<()>,
    output: &mut Output,
    stop: &Stop,
) -> Result<()> {
    let parameters = parameters::bound(&request.parameters)?;
    let execute = || session.execute(statement, &parameters, stop);
    let Answer::Rows(columns) = output.meter.waiting(execute)? else {
        return Err(unexpected("rows"));
    };
    let (fields, decodings) = with_types(&columns, request)?;
    reject_duplicate_names(&fields)?;
    begin(&fields)?;
    let rows = Rows::new(&fields[..], &decodings[..], session.options.zero_dates);
    let (chunk, ended) = rows::collect(session, rows, output, stop)?;
    session.finish(ended, stop)?;
    output.push(chunk)
}

/// Has the server prepare the only query of a request.
fn prepared(session: &mut Session, request: &Request, stop: &Stop) -> Result<(String, Statement)> {
    let lexicon = session.mode.lexicon();
    let query = session.request_as_run(request).statement(lexicon)?;
    reject_other_than_query(&query, lexicon)?;
    let statement = session
        .prepare(&query, stop)
        .map_err(|error| session.explained(error, &query, &query, stop))?;
    let checked = if statement.columns.is_empty() {
        Err(returns_no_rows())
    } else {
        reject_misdescribed(&query, &statement.columns, lexicon)
    };
    if let Err(error) = checked {
        leave(session, statement, stop)?;
        return Err(error);
    }
    Ok((query, statement))
}

/// Closes a statement, now or once its answer has ended.
fn leave(session: &mut Session, statement: Statement, stop: &Stop) -> Result<()> {
    if session.busy {
        session.unclosed = Some(statement);
        return Ok(());
    }
    session.close(&statement, stop)
}
