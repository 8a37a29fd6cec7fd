//! Writes a frame into a table that is created or replaced.

use std::process;
use std::thread::ThreadId;
use std::time::{SystemTime, UNIX_EPOCH};

use super::kept::KeptConnection;
use crate::base::error::{Error, Result};
use crate::base::stop::Stop;
use crate::sql::dialect::{Dialect, RenameTables};
use crate::sql::statements::create_table;
use crate::write::frame::{Frame, OnConflict};

/// Hint for a table that exists, and should not.
const EXISTS: &str =
    "if_exists=\"append\" adds the rows to the table, and if_exists=\"replace\" writes it anew";

/// What to do if the table exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// The call fails.
    Fail,
    /// The rows are added to those of the table.
    Append,
    /// The table is replaced.
    Replace,
}

/// Writes all rows of a frame into a table, or none; returns the number of written rows.
///
/// A table that cannot be created or replaced stays as it was. Where statements that create and drop
/// tables are part of the transaction, the rows are, too. Elsewhere a new table beside it gets the
/// rows, and then its name.
///
/// # Errors
///
/// When the database refuses a statement or a row, a value does not fit, or the connection breaks.
pub fn write(
    state: &mut KeptConnection,
    table: &str,
    frame: &Frame,
    if_exists: IfExists,
    owner: ThreadId,
    stop: &Stop,
) -> Result<u64> {
    let dialect = state.with(|connection| Ok(connection.dialect()))?;
    let target = dialect.target(table, frame.columns())?;
    let has_table = state.with(|connection| connection.has_table(table, stop))?;
    let is_replaced = has_table && if_exists == IfExists::Replace;
    // A table that exists, and should not, fails by its CREATE.
    let is_created = !has_table || if_exists != IfExists::Append;
    let is_open = state.with(|connection| Ok(connection.in_transaction()))? == Some(true);
    if is_created && dialect.rename_tables.is_some() && is_open {
        return Err(Error::configuration(format!(
            "a table that is created would commit the open transaction: end it first, or create {table} before it, and \
             append to it"
        )));
    }
    if let Some(rename) = dialect.rename_tables
        && is_created
        && (is_replaced || !has_table)
    {
        return write_beside(state, table, frame, is_replaced, rename, stop);
    }
    let mut statements = Vec::new();
    if is_replaced {
        statements.push(format!("DROP TABLE {target}"));
    }
    if is_created {
        statements.push(create_table(dialect, table, frame.columns())?);
    }
    let depth = state.begin(owner, stop)?;
    let checked = if is_replaced {
        state.with(|connection| connection.reject_replacing(table, stop))
    } else {
        Ok(())
    };
    let mut statements = statements.iter();
    let written = checked
        .and_then(|()| statements.try_for_each(|statement| state.run(statement, stop)))
        .and_then(|()| state.insert(table, frame, OnConflict::Error, stop));
    match written {
        Ok(rows) => state.commit(depth, stop).map(|()| rows),
        Err(error) => {
            let _ = state.roll_back(depth, stop); // the first error is what counts
            let exists = has_table && if_exists == IfExists::Fail;
            Err(if exists { error.hint(EXISTS) } else { error })
        }
    }
}

/// Writes all rows into a new table, which then gets the name of `table`. A session that is lost
/// meanwhile leaves the new table behind, and `table` as it was; one that is lost at the end may
/// leave the old table behind.
fn write_beside(
    state: &mut KeptConnection,
    table: &str,
    frame: &Frame,
    is_replaced: bool,
    rename: RenameTables,
    stop: &Stop,
) -> Result<u64> {
    let dialect = state.with(|connection| Ok(connection.dialect()))?;
    let (new, old) = (
        beside(dialect, table, "new")?,
        beside(dialect, table, "old")?,
    );
    let create = create_table(dialect, &new, frame.columns())?;
    if is_replaced {
        state.with(|connection| connection.reject_replacing(table, stop))?;
    }
    state.run(&create, stop)?;
    let mut renamed = Vec::new();
    if is_replaced {
        renamed.push((dialect.table(table)?, old.clone()));
    }
    renamed.push((new.clone(), dialect.table(table)?));
    let written = state
        .insert(&new, frame, OnConflict::Error, stop)
        .and_then(|rows| {
            let renamed = state.run(&rename(&renamed), stop);
            renamed.map_err(Error::of_lasting_work).map(|()| rows)
        });
    if written.is_err() {
        let _ = state.run(&format!("DROP TABLE {new}"), stop); // the first error is what counts
        return written;
    }
    if is_replaced && let Err(error) = state.run(&format!("DROP TABLE {old}"), stop) {
        // Such as a table that has come to refer to this one: both get their names back.
        let table = dialect.table(table)?;
        let back = [(table.clone(), new.clone()), (old, table)];
        let _ = state.run(&rename(&back), stop);
        let _ = state.run(&format!("DROP TABLE {new}"), stop);
        return Err(error);
    }
    written
}

/// Returns the quoted name of a table that nobody else has, in the schema of another one.
fn beside(dialect: &Dialect, table: &str, what: &str) -> Result<String> {
    let mut parts = dialect.parts(table)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.unwrap_or_default().as_nanos();
    if let Some(last) = parts.last_mut() {
        *last = format!("industrydb_{what}_{:x}_{now:x}", process::id());
    }
    let parts: Vec<String> = parts.iter().map(|part| dialect.quoted(part)).collect();
    Ok(parts.join("."))
}
