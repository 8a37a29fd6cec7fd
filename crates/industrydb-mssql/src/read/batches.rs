//! Reads the rows of a query into an output, a batch at a time.

use industrydb_core::{Output, Result, Stop};
use mssql_tds::message::parameters::rpc_parameters::RpcParameter;
use mssql_tds::query::metadata::ColumnMetadata;

use crate::columns::rows::Rows;
use crate::session::connect::Session;

/// Reads a query's only result into `output`. `rows` makes the columns from those that the server
/// sends, or refuses them.
pub(crate) fn into_output<'a>(
    session: &mut Session,
    query: &str,
    parameters: &[RpcParameter],
    rows: impl FnOnce(&[ColumnMetadata]) -> Result<Rows<'a>>,
    output: &mut Output,
    stop: &Stop,
) -> Result<()> {
    let (batch_rows, batch_bytes) = (output.batch_rows(), output.batch_bytes());
    let (mut last, mut before) = (0, 0);
    let after_row = |rows: &mut Rows, height: usize| {
        last = height;
        let mut is_full = height - before == batch_rows;
        if height.is_multiple_of(Output::ROWS_BETWEEN_LOOKS) {
            output.meter.has_read(height);
            is_full |= rows.long_bytes() >= batch_bytes;
        }
        if is_full {
            output.push(rows.take(height - before))?;
            before = height;
        }
        Ok(())
    };
    let mut rows = session.read(query, parameters, rows, after_row, stop)?;
    output.meter.has_read(last);
    output.push(rows.take(last - before))
}
