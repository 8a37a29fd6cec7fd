//! Checks for other code in the process that has a file open too, such as Python's `sqlite3`.

use std::path::{Path, PathBuf};

use industrydb_core::{Error, Result};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::config::options::hot_journal;
use crate::ffi::descriptors::{
    files, first_open_elsewhere, first_without_log, has_log, is_inherited, newly_open_elsewhere,
};

/// Warns, once per file, if another library of the process has a file of the connection open.
/// Returns an error if such a library has removed a file's log.
pub(crate) fn tell_of_others(connection: &Connection) -> Result<()> {
    let files = files(connection);
    reject_inherited(&files)?;
    reject_without_log(&files)?;
    if let Some(file) = newly_open_elsewhere(files) {
        log::warn!(
            "{}: whichever is closed first drops the locks of both, and then a writer in another process may change the \
             file in the middle of a transaction or of this read. Close the other connection first, or read and write \
             through one library",
            shared(&file)
        );
    }
    Ok(())
}

/// Returns an error if another library of the process is in a transaction on a file of the
/// connection: SQLite would take its journal for that of a killed writer, and roll the transaction
/// back. Also returns an error if such a library has removed a file's log.
pub(crate) fn look_before_reading(connection: &Connection) -> Result<()> {
    let mut files = files(connection);
    reject_inherited(&files)?;
    reject_without_log(&files)?;
    files.retain(|file| hot_journal(file).is_some());
    match first_open_elsewhere(&files) {
        None => Ok(()),
        Some(file) => Err(Error::configuration(format!(
            "{}, and it is in a transaction, which reading here would roll back: end that transaction before the read",
            shared(file)
        ))),
    }
}

/// Returns an error if another library of the process has a file of the connection open, or has
/// removed a file's log.
pub(crate) fn look_before_writing(connection: &Connection) -> Result<()> {
    let files = files(connection);
    reject_inherited(&files)?;
    reject_without_log(&files)?;
    match first_open_elsewhere(&files) {
        None => Ok(()),
        Some(file) => Err(Error::configuration(format!(
            "{}: closing it there would drop the locks of this write, and rows of both would be lost. Close the other \
             connection before this one writes (with sqlite3 by close(), as its `with` leaves it open), or write through \
             one library",
            shared(file)
        ))),
    }
}

/// Rejects files that the process from which this one was forked had open at that time: SQLite
/// takes the locks of that process for its own, so that it would take none here.
pub(crate) fn reject_inherited(files: &[PathBuf]) -> Result<()> {
    match files.iter().find(|file| is_inherited(file)) {
        None => Ok(()),
        Some(file) => Err(Error::Connection {
            message: format!(
                "the SQLite file {} was open in the process that this one was forked from, and would be read here without \
                 locks: start this process by spawn, or fork it when its parent has no read running, no batches and no \
                 Connection open",
                file.display()
            ),
            code: None,
            is_transient: false,
        }),
    }
}

/// Rejects a file in WAL mode whose log another library of the process has removed: that library
/// closed the file and did not see our locks. Later writes would go to the removed log, where no
/// other connection finds them.
fn reject_without_log(files: &[PathBuf]) -> Result<()> {
    match first_without_log(files) {
        None => Ok(()),
        Some(file) => Err(Error::Connection {
            message: format!(
                "the log of the SQLite file {} was removed while it was in use, by another library of this process that \
                 closed the file, such as Python's sqlite3: close all connections to the file, and connect again",
                file.display()
            ),
            code: None,
            is_transient: false,
        }),
    }
}

/// Keeps the log of a file in WAL mode when the connection is closed while another library of the
/// process has the file open. The last connection to close a file removes its log, and SQLite would
/// take this connection for the last. If our log was removed, another log may have taken its place,
/// and is kept too.
pub(crate) fn look_before_closing(connection: &Connection) {
    let mut files = files(connection);
    files.retain(|file| has_log(file));
    if first_open_elsewhere(&files).is_some() || first_without_log(&files).is_some() {
        let option = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        let _ = connection.set_db_config(option, true); // it only stores a flag
    }
}

fn shared(file: &Path) -> String {
    format!(
        "the SQLite file {} is open in this process outside industrydb too (by Python's sqlite3, say, or a plain open()), \
         and neither sees the other's locks",
        file.display()
    )
}
