//! Appends the values of decoded pages to their columns.

use std::cell::Cell;

use industrydb_core::{Error, Field, Output, Result, Stop};
use rusqlite::Connection;

use super::cells::Rows;
use super::damage::corrupt;
use super::spans::Spans;
use super::split::{self, Split};
use super::table::Proven;
use super::tree::{Below, Walk};
use crate::columns::rows::{self, Filling};
use crate::ffi::row::Cell as Value;
use crate::ffi::watch::Watch;
use crate::types::ColumnKind;

/// Reads the rows of a proven query by [`rows::read`], like the step loop: with the same columns,
/// errors and batches.
pub(crate) fn read(
    connection: &Connection,
    proven: &Proven,
    spans: Option<&Spans>,
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
    let notes = spans.and_then(|spans| spans.of(proven));
    let mut split = None;
    if output.is_whole() && notes.is_some() {
        split = split::split(&mut pager, proven, stop)?;
    }
    if let Some(Split { front, behind }) = split {
        let read = rows::read(fields, kinds, output, stop, |filling| {
            let mut walk = Walk::new(&mut pager, proven, notes.as_deref(), stop);
            walk.rows(&behind, |rows| push(rows, proven, filling))?;
            walk.rows(&front, |_| {
                Err(Error::Internal("a row in front".to_owned()))
            })
        });
        if read.is_ok() {
            return Ok(());
        }
        // An error names the number of its row, which counts those in front.
        stop.check()?;
        log::debug!("a partition is read again, in the order of its rows");
    }
    rows::read(fields, kinds, output, stop, |filling| {
        let root = Below {
            number: proven.root,
            level: 0,
        };
        let mut walk = Walk::new(&mut pager, proven, notes.as_deref(), stop);
        walk.rows(&[root], |rows| push(rows, proven, filling))
    })
}

/// Appends the values of some rows.
#[inline]
fn push(rows: &Rows, proven: &Proven, filling: &mut Filling) -> Result<()> {
    let is_damaged = Cell::new(false);
    filling.push_rows(rows.len(), |column| {
        let (is_damaged, source) = (&is_damaged, &proven.sources[column]);
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
}
