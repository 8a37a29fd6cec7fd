//! Reads a query in a session that the caller keeps, within its transaction.

use industrydb_core::field::reject_duplicate_names;
use industrydb_core::narrow::Narrowing;
use industrydb_core::statements::Statement;
use industrydb_core::{Field, Output, Request, Result, Stop};
use mssql_tds::query::metadata::ColumnMetadata;

use crate::columns::rows::Rows;
use crate::encode::parameters;
use crate::read::batches::into_output;
use crate::read::describe::{names_of, reject_other_than_select, with_types, without_rows};
use crate::read::narrowed::{Columns, narrowed};
use crate::session::connect::Session;
use crate::session::described::DescribedColumn;
use crate::sql::dialect::LEXICON;
use crate::types;

/// Describes the only query of a request by a result without rows. The server's own description
/// fails for temporary tables, and with `XACT_ABORT` a failure ends the transaction.
pub(crate) fn described(
    session: &mut Session,
    request: &Request,
    stop: &Stop,
) -> Result<(Vec<DescribedColumn>, Vec<Field>)> {
    let query = request.statement(LEXICON)?;
    reject_other_than_select(&query)?;
    let parameters = parameters::bound(&request.parameters)?;
    let columns = without_rows(session, &query, &parameters, stop)?;
    let (fields, _) = with_types(&columns, request)?;
    reject_duplicate_names(&fields)?;
    Ok((columns, fields))
}

/// Returns the only query of a request for some of its columns and rows. A filter is not sent: to
/// find the tables of the columns would take the server's own description.
pub(crate) fn narrowed_query(
    session: &mut Session,
    request: &Request,
    narrowing: &Narrowing,
    stop: &Stop,
) -> Result<Statement> {
    let (columns, fields) = described(session, request, stop)?;
    let query = request.statement(LEXICON)?;
    let of = Columns {
        fields: &fields,
        names: &names_of(&columns, &fields),
        sources: &[],
    };
    Ok(narrowed(&query, &of, narrowing, &request.parameters))
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
    let query = request.statement(LEXICON)?;
    reject_other_than_select(&query)?;
    let parameters = parameters::bound(&request.parameters)?;
    let rows = |columns: &[ColumnMetadata]| {
        let column = |column: &ColumnMetadata| DescribedColumn {
            name: column.column_name.clone(),
            type_name: types::name(column),
            source: None,
        };
        let columns: Vec<DescribedColumn> = columns.iter().map(column).collect();
        let (fields, decodings) = with_types(&columns, request)?;
        reject_duplicate_names(&fields)?;
        begin(&fields)?;
        Ok(Rows::new(fields, &decodings))
    };
    into_output(session, &query, &parameters, rows, output, stop)
}
