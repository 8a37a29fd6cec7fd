//! Appends the values of decoded pages to their columns.

use std::cell::Cell;

use industrydb_core::{Error, Field, Output, Result, Stop};
use rusqlite::Connection;

use super::damage::corrupt;
use super::table::Proven;
use super::tree::Walk;
use crate::columns::rows;
use crate::ffi::row::Cell as Value;
use crate::ffi::watch::Watch;
use crate::types::ColumnKind;

/// Reads the rows of a proven query by [`rows::read`], like the step loop: with the same columns,
/// errors and batches.
pub(crate) fn read(
    connection: &Connection,
    proven: &Proven,
    fields: &[Field],
    kinds: &[ColumnKind],
    output: &mut Output,
    stop: &Stop,
) -> Result<()> {
    if proven.sources.len() != fields.len() {
        return Err(Error::Internal(
            "a query has other columns than were described".to_owned(),
        ));
    }
    let _watch = Watch::new(connection, stop);
    let mut pager = proven.pager(connection)?;
    let (sources, wanted) = (&proven.sources, proven.wanted());
    rows::read(fields, kinds, output, stop, |filling| {
        let walk = Walk::new(&mut pager, proven.is_index, wanted, proven.cut(), stop);
        walk.all(proven.root, |rows| {
            let is_damaged = Cell::new(false);
            filling.push_rows(rows.len(), |column| {
                let (is_damaged, source) = (&is_damaged, &sources[column]);
                let (place, default) = (source.place, source.default());
                move |row| {
                    rows.value(row, place, default).unwrap_or_else(|| {
                        is_damaged.set(true);
                        Value::Null
                    })
                }
            })?;
            if is_damaged.get() {
                return Err(corrupt(proven.root, "leads to a damaged record"));
            }
            Ok(())
        })
    })
}
