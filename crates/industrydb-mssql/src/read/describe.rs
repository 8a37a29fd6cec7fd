//! Describes a request: the columns of its queries, asked from the server before they run.

use industrydb_core::field::{not_convertible, reject_other_fields};
use industrydb_core::foreign::listing_hint;
use industrydb_core::{Described, Error, Field, Idle, Request, Result, Stop};
use mssql_tds::message::parameters::rpc_parameters::RpcParameter;

use crate::config::options::Options;
use crate::encode::parameters;
use crate::read::clock;
use crate::read::query::MssqlQuery;
use crate::session::connect::Session;
use crate::session::described::{DescribedColumn, unnamed};
use crate::session::mistakes::{WAYS, explained};
use crate::sql::{derived, dialect, metadata, select};
use crate::types::{self, Decoding};

/// Describes a request; all of its queries must have the columns of the first.
pub(crate) fn describe(options: &Options, request: &Request, stop: &Stop) -> Result<Described> {
    let mut queries = request.statements(dialect::LEXICON)?;
    let parameters = parameters::bound(&request.parameters)?;
    let declarations = parameters::declarations(&request.parameters);
    let mut session = Session::open(options, &request.setup, stop)?;
    if queries.len() > 1 {
        // Each query is read in a session of its own, which has its own time.
        queries = clock::at_one_time(&mut session, &queries, stop)?;
    }
    let mut described: Option<Vec<Field>> = None;
    let (mut told, mut decodings) = (Vec::new(), Vec::new());
    let mut names = String::new();
    for (number, query) in (1..).zip(&queries) {
        let columns = prepare(&mut session, query, &declarations, &parameters, stop)
            .map_err(|error| explained(options, error, query, stop))?;
        let (fields, decoding) = with_types(&columns, request)?;
        decodings.push(decoding);
        if let Some(first) = &described {
            reject_other_fields(first, &fields, number)?;
            told.push(columns);
            continue;
        }
        names = names_of(&columns, &fields);
        told.push(columns);
        described = Some(fields);
    }
    let fields = described.ok_or_else(|| Error::configuration("there is no query"))?;
    let reader = MssqlQuery {
        options: options.clone(),
        setup: request.setup.clone(),
        queries: queries.clone(),
        parameters,
        declarations,
        fields: fields.clone(),
        names,
        described: told,
        decodings,
        idle: Idle::new(session),
    };
    Ok(Described {
        fields,
        queries,
        reader: Box::new(reader),
    })
}

/// Returns the column list of a query as a derived table, if the query leaves a column unnamed;
/// otherwise an empty text.
pub(crate) fn names_of(columns: &[DescribedColumn], fields: &[Field]) -> String {
    if columns.iter().all(|column| !column.name.is_empty()) {
        return String::new();
    }
    let quoted = fields.iter().map(|field| dialect::quoted(&field.name));
    format!(" ({})", quoted.collect::<Vec<_>>().join(", "))
}

/// Describes a query's columns by the server's own description, or else by a result without rows.
fn prepare(
    session: &mut Session,
    query: &str,
    declarations: &str,
    parameters: &[RpcParameter],
    stop: &Stop,
) -> Result<Vec<DescribedColumn>> {
    reject_other_than_select(query)?;
    let sql = metadata::describe(query, declarations, false);
    match session.described(&sql, stop) {
        Ok(columns) if !columns.is_empty() => return Ok(columns),
        Err(error @ Error::Query { .. }) if is_final(&error) => return Err(error),
        Err(error @ (Error::Connection { .. } | Error::Interrupted)) => return Err(error),
        _ => {}
    }
    log::debug!("the server does not describe the query; asking for a result without rows");
    without_rows(session, query, parameters, stop)
}

/// Describes a query's columns by a result without rows.
pub(crate) fn without_rows(
    session: &mut Session,
    query: &str,
    parameters: &[RpcParameter],
    stop: &Stop,
) -> Result<Vec<DescribedColumn>> {
    let columns = match session.columns(&derived::no_rows(query), parameters, stop) {
        Err(error) if has_no_place(&error) => {
            session.columns(&derived::format_only(query), parameters, stop)
        }
        columns => columns,
    }?;
    if columns.is_empty() {
        return Err(Error::configuration(
            "the query returns no rows: read_sql takes a SELECT",
        ));
    }
    Ok(columns)
}

/// Refuses a statement that may change the database.
pub(crate) fn reject_other_than_select(query: &str) -> Result<()> {
    if select::is_select(query) {
        return Ok(());
    }
    let error = Error::configuration(
        "the query is not a single SELECT, or one INTO a table: SQL Server has no transactions that cannot write, so \
         read_sql takes nothing else, and has not run this",
    );
    Err(match listing_hint(query, dialect::LEXICON, &WAYS) {
        Some(hint) => error.hint(&hint),
        None => error,
    })
}

/// Tests whether the query cannot be a derived table: a column has no name, two columns have the
/// same name, or there is an ORDER BY.
fn has_no_place(error: &Error) -> bool {
    matches!(error.code(), Some("8155" | "8156" | "1033"))
}

/// Tests whether any way to describe the query would fail: a syntax error, a missing name, or a
/// missing permission.
fn is_final(error: &Error) -> bool {
    matches!(error.code(), Some("102" | "156" | "207" | "208" | "229"))
}

/// Picks the decoding of each column, and makes its field.
pub(crate) fn with_types(
    columns: &[DescribedColumn],
    request: &Request,
) -> Result<(Vec<Field>, Vec<Decoding>)> {
    let column = |(index, described): (usize, &DescribedColumn)| {
        let DescribedColumn {
            name, type_name, ..
        } = described;
        let name = if name.is_empty() {
            unnamed(index)
        } else {
            name.clone()
        };
        let mut decoding = types::decoding(type_name);
        let mut field = Field::new(&name, type_name, decoding.column_type());
        if let Some(asked) = request.asked(&name) {
            decoding = decoding
                .overridden(asked)
                .ok_or_else(|| not_convertible(&name, type_name, asked))?;
            field.ask(asked.clone());
        } else if let Some(known) = request.known(&name)
            && field.is_open
            && field.column_type.may_settle_as(known)
            && let Some(settled) = decoding.overridden(known)
        {
            decoding = settled;
            field.ask(known.clone());
        }
        Ok((field, decoding))
    };
    let columns: Vec<(Field, Decoding)> = columns
        .iter()
        .enumerate()
        .map(column)
        .collect::<Result<_>>()?;
    let (fields, decodings): (Vec<Field>, Vec<Decoding>) = columns.into_iter().unzip();
    request.reject_unknown(&fields)?;
    Ok((fields, decodings))
}
