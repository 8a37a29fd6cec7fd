//! The protocol's bulk load: rows of a frame, encoded one by one while the driver sends them.
//!
//! The rows of a bulk load carry no names: the driver announces the columns in the table's order,
//! and the values must follow in the same order. The names and types are looked up before the load,
//! and again after the rows, when the table is locked until the transaction ends.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use industrydb_core::frame::Cells;
use industrydb_core::{Error, Frame, Result, Stop};
use mssql_tds::connection::bulk_copy::{BulkCopy, BulkLoadRow, ColumnMapping};
use mssql_tds::core::TdsResult;
use mssql_tds::datatypes::bulk_copy_metadata::BulkCopyColumnMetadata;
use mssql_tds::error::Error as TdsError;
use mssql_tds::message::bulk_load::StreamingBulkLoadWriter;

use crate::encode::encoder::ColumnEncoder;
use crate::session::connect::Session;
use crate::wire::errors::failed;
use crate::write::target::{Load, reject_changed};

/// Rows between two checks of the stop flag.
const ROWS_BETWEEN_CHECKS: usize = 1024;

/// Writes the rows of a frame into a table by a bulk load; returns their number.
pub(crate) fn bulk_load(
    session: &mut Session,
    table: &str,
    frame: &Frame,
    choose: impl FnOnce(&[BulkCopyColumnMetadata]) -> Result<Load>,
    stop: &Stop,
) -> Result<u64> {
    session.work(stop, async |client, _| {
        let mut load = BulkCopy::new(&mut *client, table)
            .timeout(Duration::ZERO)
            .check_constraints(true)
            .fire_triggers(true)
            .keep_identity(true);
        let found = load.retrieve_destination_metadata().await;
        let Load {
            columns,
            keeps_nulls,
        } = choose(&found.map_err(failed)?)?;
        load = load.keep_nulls(keeps_nulls);
        for column in &columns {
            let mapping = ColumnMapping::by_ordinal(column.source(), column.name());
            load = load.add_column_mapping(mapping);
        }
        let pieces: Vec<_> = frame.pieces().collect::<Result<_>>()?;
        let failure = Failure::default();
        let rows = rows(&columns, &pieces, &failure, stop);
        let loaded = load.write_to_server_zerocopy(rows).await;
        drop(load);
        // The driver only passes on the text of the error for a refused value.
        if let Some(error) = failure.take() {
            return Err(error);
        }
        let rows = loaded.map_err(failed)?.rows_affected;
        if rows > 0 {
            // The load has locked the table until the transaction ends.
            let mut again = BulkCopy::new(client, table).timeout(Duration::ZERO);
            let found = again.retrieve_destination_metadata().await;
            reject_changed(table, &columns, &found.map_err(failed)?)?;
        }
        Ok(rows)
    })
}

/// The error of the first row that failed, kept here since the driver's error type cannot carry it.
#[derive(Default)]
struct Failure(Mutex<Option<Error>>);

impl Failure {
    fn take(self) -> Option<Error> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Iterates over the rows of all pieces.
fn rows<'a>(
    columns: &'a [ColumnEncoder],
    pieces: &'a [(usize, Vec<Cells<'a>>)],
    failure: &'a Failure,
    stop: &'a Stop,
) -> impl Iterator<Item = Row<'a>> {
    let row = |cells| move |row| (cells, row);
    let rows = pieces
        .iter()
        .flat_map(move |(height, cells)| (0..*height).map(row(cells)));
    (1..).zip(rows).map(move |(number, (cells, index))| Row {
        columns,
        cells,
        index,
        number,
        failure,
        stop,
    })
}

/// A row for the driver to send.
struct Row<'a> {
    columns: &'a [ColumnEncoder],
    cells: &'a [Cells<'a>],
    /// Index of the row in its piece.
    index: usize,
    /// Number of the row among all rows, from 1.
    number: usize,
    failure: &'a Failure,
    stop: &'a Stop,
}

impl Row<'_> {
    fn fail(&self, error: Error) -> TdsError {
        let message = error.to_string();
        *self
            .failure
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error);
        TdsError::UsageError(message)
    }
}

#[async_trait]
impl BulkLoadRow for Row<'_> {
    async fn write_to_packet(
        &self,
        writer: &mut StreamingBulkLoadWriter<'_>,
        column_index: &mut usize,
    ) -> TdsResult<()> {
        if self.number.is_multiple_of(ROWS_BETWEEN_CHECKS) {
            self.stop.check().map_err(|error| self.fail(error))?;
        }
        for column in self.columns {
            let Some(cells) = self.cells.get(column.source()) else {
                let error = Error::Internal(format!("the frame lost column {:?}", column.name()));
                return Err(self.fail(error));
            };
            let value = column.value(cells, self.index).map_err(|error| {
                self.fail(error.at(column.name(), column.type_name(), Some(self.number)))
            })?;
            writer.write_column_value(*column_index, &value).await?;
            *column_index += 1;
        }
        Ok(())
    }
}
