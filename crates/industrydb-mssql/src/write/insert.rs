//! Rows of a frame into a table, by the protocol's bulk load, which the driver writes.
//!
//! A bulk load has no names in its rows: the driver announces the columns in the table's order, and their values must come in
//! that order too. The names and types are looked up before, and once more behind the rows, when the table is locked until
//! the transaction ends.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use industrydb_core::frame::Cells;
use industrydb_core::{Error, Frame, Result, Stop};
use mssql_tds::connection::bulk_copy::BulkLoadRow;
use mssql_tds::core::TdsResult;
use mssql_tds::error::Error as TdsError;
use mssql_tds::message::bulk_load::StreamingBulkLoadWriter;

use crate::encode::column::Column;
use crate::session::connect::Session;
use crate::sql::dialect::DIALECT;
use crate::sql::metadata;
use crate::write::target::Rules;

/// How many rows pass between two looks at the stop flag.
const ROWS_BETWEEN_CHECKS: usize = 1024;

/// Writes all rows, or none; returns how many were written.
pub(crate) fn insert(
    session: &mut Session,
    table: &str,
    frame: &Frame,
    stop: &Stop,
) -> Result<u64> {
    let target = DIALECT.target(table, frame.columns())?;
    let rules = metadata::column_rules(&DIALECT.parts(table)?);
    let depth = session.texts(metadata::DEPTH, &[], stop)?;
    let is_open = depth
        .into_iter()
        .flatten()
        .flatten()
        .any(|depth| depth != "0");
    let (begin, rollback) = if is_open {
        (
            "SAVE TRANSACTION industrydb_rows",
            "ROLLBACK TRANSACTION industrydb_rows",
        )
    } else {
        (DIALECT.begin, DIALECT.rollback)
    };
    session.run(begin, None, stop)?;
    let written = session
        .texts(&rules, &[], stop)
        .and_then(|rules| {
            let rules = Rules::new(rules);
            let choose = |found: &[_]| rules.load(table, frame, found);
            session.bulk_load(&target, frame, choose, stop)
        })
        .and_then(|rows| {
            if !is_open {
                session.run(DIALECT.commit, None, stop)?;
            }
            Ok(rows)
        });
    match written {
        Err(error @ (Error::Interrupted | Error::Connection { .. })) => Err(error),
        Err(error) => {
            // The server may have ended the transaction by itself; why it had to is what counts.
            match session.run(rollback, None, stop) {
                Err(broken @ (Error::Interrupted | Error::Connection { .. })) => Err(broken),
                _ => Err(error),
            }
        }
        written => written,
    }
}

/// The first error that a row had, for which the driver's own type has no place.
#[derive(Default)]
pub(crate) struct Failure(Mutex<Option<Error>>);

impl Failure {
    pub(crate) fn take(self) -> Option<Error> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of all pieces.
pub(crate) fn rows<'a>(
    columns: &'a [Column],
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

/// A row on its way.
pub(crate) struct Row<'a> {
    columns: &'a [Column],
    cells: &'a [Cells<'a>],
    /// In its piece.
    index: usize,
    /// Among all, from 1.
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
