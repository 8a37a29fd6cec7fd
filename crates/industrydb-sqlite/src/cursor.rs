//! A prepared statement of the C interface: `rusqlite` gives no access to its values without a
//! branch and a check per cell, which costs as much as all the rest of a read.

use std::ffi::{CStr, CString, c_int, c_void};
use std::marker::PhantomData;
use std::time::Duration;
use std::{ptr, thread};

use industrydb_core::stop::Told;
use industrydb_core::tokens::first_word;
use industrydb_core::{Error, Parameters, Result, Stop, Value};
use rusqlite::{Connection, ffi};

use crate::collation;
use crate::connect::{handle, length};
use crate::dialect::LEXICON;

/// How many instructions of SQLite's machine run between two looks at the stop flag: some
/// microseconds' worth.
const STEPS_BETWEEN_CHECKS: c_int = 10_000;

/// How long a lock is left alone before it is tried again.
const LOCK_POLL: Duration = Duration::from_millis(5);

/// `ffi::SQLITE_UTF8`, in the type that the functions take.
const UTF8: u8 = 1;

/// A statement and the connection that it needs.
pub(crate) struct Cursor<'c> {
    statement: *mut ffi::sqlite3_stmt,
    connection: *mut ffi::sqlite3,
    column_count: c_int,
    /// Where the text behind the statement begins.
    end: usize,
    watch: Watch<'c>,
}

/// Ends statements of a connection once a flag is set, and their waits for a lock, as long as it lives.
pub(crate) struct Watch<'c> {
    connection: &'c Connection,
    /// Interrupts instructions that look at no handler, as the count of a whole table.
    told: Option<Told>,
    /// What the handlers look at.
    state: Box<Watched>,
}

/// A column as a statement names it, and as its table declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    /// Empty for an expression, and for a column without a type.
    pub(crate) declared_type: String,
}

impl Declaration {
    /// Refuses columns that are no longer those that were described: their values would be taken for others.
    pub(crate) fn reject_changed(described: &[Self], found: &[Self]) -> Result<()> {
        if described == found {
            return Ok(());
        }
        let shown = |columns: &[Self]| {
            columns
                .iter()
                .map(Self::shown)
                .collect::<Vec<_>>()
                .join(", ")
        };
        Err(Error::Query {
            message: format!(
                "the query's columns have changed since they were described: they were {}, and are {}; read again",
                shown(described),
                shown(found)
            ),
            code: Some(code_name(ffi::SQLITE_SCHEMA)),
            partition: None,
            is_transient: passes(ffi::SQLITE_SCHEMA),
        })
    }

    fn shown(&self) -> String {
        match self.declared_type.as_str() {
            "" => format!("{:?}", self.name),
            declared_type => format!("{:?} {declared_type}", self.name),
        }
    }
}

/// A connection that another thread may interrupt.
struct Interrupted(*mut ffi::sqlite3);

// SAFETY: nothing but `sqlite3_interrupt` is called with it, which may be called from any thread while the connection is
// open; `Watch` ends before it is closed.
unsafe impl Send for Interrupted {}

impl Interrupted {
    fn interrupt(&self) {
        // SAFETY: as above.
        unsafe { ffi::sqlite3_interrupt(self.0) }
    }
}

struct Watched {
    stop: Stop,
    /// How long a lock is waited for, as the connection was told.
    busy_timeout: Option<Duration>,
}

impl<'c> Watch<'c> {
    pub(crate) fn new(connection: &'c Connection, stop: &Stop) -> Self {
        Self::of(connection, stop, true)
    }

    /// With `waits`, the connection's own way to wait for a lock is put aside.
    pub(crate) fn of(connection: &'c Connection, stop: &Stop, waits: bool) -> Self {
        let state = Box::new(Watched {
            stop: stop.clone(),
            busy_timeout: waits.then(|| busy_timeout(connection)),
        });
        let looked_at: *const Watched = &raw const *state;
        let connection_handle = handle(connection);
        // SAFETY: the handlers are removed in `drop`, before the box that they look at is freed.
        unsafe {
            ffi::sqlite3_progress_handler(
                connection_handle,
                STEPS_BETWEEN_CHECKS,
                Some(is_stopped),
                looked_at.cast_mut().cast(),
            );
            if waits {
                ffi::sqlite3_busy_handler(
                    connection_handle,
                    Some(is_waited_for),
                    looked_at.cast_mut().cast(),
                );
            }
        }
        let interrupted = Interrupted(connection_handle);
        let told = stop.tell(move || interrupted.interrupt());
        Self {
            connection,
            told: Some(told),
            state,
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.told = None;
        // SAFETY: the connection outlives what borrows it.
        unsafe {
            ffi::sqlite3_progress_handler(handle(self.connection), 0, None, ptr::null_mut());
        }
        if let Some(time) = self.state.busy_timeout {
            let _ = self.connection.busy_timeout(time); // it only stores a number
        }
    }
}

impl<'c> Cursor<'c> {
    /// Compiles a statement, which runs nothing.
    pub(crate) fn prepare(connection: &'c Connection, sql: &str, stop: &Stop) -> Result<Self> {
        let length = c_int::try_from(sql.len())
            .map_err(|_| Error::configuration("the query is longer than 2 GiB"))?;
        // One that sets or tells how long to wait must find that as it is.
        let is_pragma =
            first_word(sql, LEXICON).is_some_and(|word| word.eq_ignore_ascii_case("PRAGMA"));
        let watch = Watch::of(connection, stop, !is_pragma);
        collation::take_missed(); // an earlier statement's
        let connection = handle(connection);
        let (mut statement, mut tail) = (ptr::null_mut(), ptr::null());
        // SAFETY: the text is `length` bytes long; the tail will point into it.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(
                connection,
                sql.as_ptr().cast(),
                length,
                &raw mut statement,
                &raw mut tail,
            )
        };
        let cursor = Self {
            end: tail.addr().saturating_sub(sql.as_ptr().addr()),
            statement,
            connection,
            // SAFETY: no statement, which is null, has no columns.
            column_count: unsafe { ffi::sqlite3_column_count(statement) },
            watch,
        };
        if code != ffi::SQLITE_OK {
            return Err(cursor.error(code));
        }
        if statement.is_null() {
            return Err(Error::configuration("the query is empty"));
        }
        Ok(cursor)
    }

    /// Compiles a statement, unless SQLite refuses it.
    pub(crate) fn prepare_if_valid(
        connection: &'c Connection,
        sql: &str,
        stop: &Stop,
    ) -> Result<Option<Self>> {
        match Self::prepare(connection, sql, stop) {
            Ok(cursor) => Ok(Some(cursor)),
            Err(Error::Query { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Where the text behind the statement begins.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Goes to the next row; `false` behind the last one.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<bool> {
        // SAFETY: the statement lives as long as the cursor.
        match unsafe { ffi::sqlite3_step(self.statement) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => self.end_of_rows(),
            code => Err(self.error(code)),
        }
    }

    /// There is no further row, unless some were left out because they could not be compared.
    #[expect(
        clippy::unused_self,
        reason = "it is of the statement that this thread has just run"
    )]
    fn end_of_rows(&self) -> Result<bool> {
        collation::take_missed().map_or(Ok(false), |name| Err(no_collation(&name)))
    }

    /// Goes to the first row; `false` if there is none. From here on the columns are those of the rows: SQLite compiles
    /// a statement anew, at its first step, whose tables have changed since.
    pub(crate) fn first(&mut self) -> Result<bool> {
        let found = self.step()?;
        // SAFETY: as in `step`.
        self.column_count = unsafe { ffi::sqlite3_column_count(self.statement) };
        Ok(found)
    }

    /// Goes back in front of the first row.
    pub(crate) fn rewind(&mut self) {
        // SAFETY: as in `step`. The code repeats the error of the last step.
        unsafe {
            ffi::sqlite3_reset(self.statement);
        }
    }

    /// The current row.
    ///
    /// SQLite keeps a row's values side by side, and finding each by `sqlite3_column_value` costs an
    /// eighth of a whole read. So the first two and the last are asked for, and if the last stands where
    /// equal distances put it, the others are found by their distance; if not, each is asked for.
    #[inline]
    pub(crate) fn row(&self) -> Row<'_> {
        let last = self.column_count - 1;
        // SAFETY: SQLite answers an index without a value with a NULL of its own.
        let [first, second, last_value] =
            [0, 1, last].map(|column| unsafe { ffi::sqlite3_column_value(self.statement, column) });
        let distance = (second as usize).wrapping_sub(first as usize);
        let expected = (first as usize).wrapping_add(distance.wrapping_mul(length(last)));
        Row {
            statement: self.statement,
            first,
            distance: if last > 0 && last_value as usize == expected {
                distance
            } else {
                0
            },
            borrowed: PhantomData,
        }
    }

    /// The number of columns; none for a statement that returns no rows.
    pub(crate) fn column_count(&self) -> c_int {
        self.column_count
    }

    /// The name of a column.
    pub(crate) fn column_name(&self, column: c_int) -> String {
        // SAFETY: as in `step`; the name is copied at once.
        unsafe { text(ffi::sqlite3_column_name(self.statement, column)) }.unwrap_or_default()
    }

    /// The type that the column was declared with, if it is a table's column and has one.
    pub(crate) fn declared_type(&self, column: c_int) -> Option<String> {
        // SAFETY: as in `column_name`.
        unsafe { text(ffi::sqlite3_column_decltype(self.statement, column)) }
    }

    /// Whether the column is compared as every SQLite does it, and not by a collation of the program that made the file.
    pub(crate) fn has_known_collation(&self, column: c_int) -> bool {
        let Some((database, table, name)) = self.origin(column) else {
            return true;
        };
        let (Ok(database), Ok(table), Ok(name)) = (
            CString::new(database),
            CString::new(table),
            CString::new(name),
        ) else {
            return false;
        };
        let mut collation = ptr::null();
        // SAFETY: the names live until the call returns, and what it returns is copied at once.
        unsafe {
            ffi::sqlite3_table_column_metadata(
                self.connection,
                database.as_ptr(),
                table.as_ptr(),
                name.as_ptr(),
                ptr::null_mut(),
                &raw mut collation,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            );
            text(collation).is_none_or(|name| {
                let mut built_in = collation::BUILT_IN.iter();
                built_in.any(|known| known.eq_ignore_ascii_case(&name))
            })
        }
    }

    /// The columns, in order.
    pub(crate) fn columns(&self) -> Vec<Declaration> {
        let column = |index| Declaration {
            name: self.column_name(index),
            declared_type: self.declared_type(index).unwrap_or_default(),
        };
        (0..self.column_count).map(column).collect()
    }

    /// Whether running the statement changes nothing.
    pub(crate) fn is_read_only(&self) -> bool {
        // SAFETY: as in `step`.
        unsafe { ffi::sqlite3_stmt_readonly(self.statement) != 0 }
    }

    /// Where the column's values come from: database, table and column, if it is a table's column.
    pub(crate) fn origin(&self, column: c_int) -> Option<(String, String, String)> {
        // SAFETY: as in `column_name`.
        unsafe {
            Some((
                text(ffi::sqlite3_column_database_name(self.statement, column))?,
                text(ffi::sqlite3_column_table_name(self.statement, column))?,
                text(ffi::sqlite3_column_origin_name(self.statement, column))?,
            ))
        }
    }

    /// Gives all parameters their values.
    pub(crate) fn bind(&mut self, parameters: &Parameters) -> Result<()> {
        // SAFETY: as in `step`.
        let count = unsafe { ffi::sqlite3_bind_parameter_count(self.statement) };
        match parameters {
            Parameters::Positional(values) if length(count) == values.len() => {
                for (number, value) in (1..).zip(values) {
                    self.bind_one(number, value)?;
                }
                Ok(())
            }
            Parameters::Positional(values) => Err(Error::configuration(format!(
                "the query has {count} parameter(s), and params has {} value(s)",
                values.len()
            ))),
            Parameters::Named(values) => {
                for number in 1..=count {
                    // SAFETY: as in `step`; the name is copied at once.
                    let name =
                        unsafe { text(ffi::sqlite3_bind_parameter_name(self.statement, number)) };
                    let name = name.as_deref().map(|name| &name[1..]); // without its : @ or $
                    let name = name.ok_or_else(|| {
                        Error::configuration(
                            "the query has parameters without a name (?): pass their values as a list",
                        )
                    })?;
                    let value = values.iter().find(|(other, _)| other == name);
                    let (_, value) = value.ok_or_else(|| {
                        Error::configuration(format!("params has no value for {name:?}"))
                    })?;
                    self.bind_one(number, value)?;
                }
                Ok(())
            }
        }
    }

    fn bind_one(&mut self, number: c_int, value: &Value) -> Result<()> {
        let refused = |what: &str| {
            Err(Error::configuration(format!(
                "parameter {number} cannot be passed to SQLite, which has no {what}"
            )))
        };
        let cell = match value {
            Value::Null => Cell::Null,
            Value::Boolean(value) => Cell::Integer((*value).into()),
            Value::Integer(value) => Cell::Integer(*value),
            Value::Float(value) if value.is_nan() => {
                return refused("NaN: to it, this would be NULL");
            }
            Value::Float(value) => Cell::Real(*value),
            Value::Text(text) | Value::Temporal(text) => Cell::Text(text.as_bytes()),
            Value::Bytes(bytes) => Cell::Blob(bytes),
            Value::Decimal(_) => {
                return refused("decimals or integers beyond 64 bits: pass a float or a str");
            }
            Value::Duration { .. } => {
                return refused("lengths of time: pass a number of seconds, for example");
            }
            Value::List(_) => return refused("arrays: pass one parameter per element"),
        };
        // SAFETY: SQLite copies texts and bytes.
        unsafe { self.bind_cell(number, cell, ffi::SQLITE_TRANSIENT()) }
    }

    /// Gives a parameter, by its number from 1, a value that is not copied.
    ///
    /// # Safety
    ///
    /// The bytes of a text or blob must stay where they are until the parameter gets another value, or the statement is
    /// rewound and not run again.
    #[inline]
    pub(crate) unsafe fn bind_borrowed(&mut self, number: c_int, value: Cell) -> Result<()> {
        // SAFETY: by this function's own contract.
        unsafe { self.bind_cell(number, value, ffi::SQLITE_STATIC()) }
    }

    /// Gives a parameter, by its number from 1, a value.
    ///
    /// # Safety
    ///
    /// As for [`bind_borrowed`](Self::bind_borrowed), unless `keep` has SQLite copy the bytes.
    #[inline]
    unsafe fn bind_cell(
        &mut self,
        number: c_int,
        value: Cell,
        keep: ffi::sqlite3_destructor_type,
    ) -> Result<()> {
        // SAFETY: as in `step`; pointers and lengths are those of slices.
        let code = unsafe {
            match value {
                Cell::Null => ffi::sqlite3_bind_null(self.statement, number),
                Cell::Integer(value) => ffi::sqlite3_bind_int64(self.statement, number, value),
                Cell::Real(value) => ffi::sqlite3_bind_double(self.statement, number, value),
                Cell::Text(text) => ffi::sqlite3_bind_text64(
                    self.statement,
                    number,
                    text.as_ptr().cast(),
                    text.len() as u64,
                    keep,
                    UTF8,
                ),
                Cell::Blob(bytes) => ffi::sqlite3_bind_blob64(
                    self.statement,
                    number,
                    bytes.as_ptr().cast(),
                    bytes.len() as u64,
                    keep,
                ),
            }
        };
        if code == ffi::SQLITE_OK {
            Ok(())
        } else {
            Err(self.error(code))
        }
    }

    /// What the connection says of its last failure.
    #[cold]
    fn error(&self, code: c_int) -> Error {
        if self.watch.state.stop.is_set() {
            return Error::Interrupted;
        }
        if let Some(name) = collation::take_missed() {
            return no_collation(&name);
        }
        // SAFETY: the connection outlives the cursor; the message is copied at once.
        let (extended, message) = unsafe {
            (
                ffi::sqlite3_extended_errcode(self.connection),
                text(ffi::sqlite3_errmsg(self.connection)),
            )
        };
        let code = if extended & 0xff == code & 0xff {
            extended
        } else {
            code
        };
        let message = message.unwrap_or_else(|| "SQLite failed".to_owned());
        if code & 0xff == ffi::SQLITE_CONSTRAINT {
            return constraint(message, code);
        }
        Error::Query {
            message,
            code: Some(code_name(code)),
            partition: None,
            is_transient: passes(code),
        }
    }
}

/// Whether what failed with a result code may succeed if it is done again: another connection was in the way, or has changed
/// the tables.
pub(crate) fn passes(code: c_int) -> bool {
    const TRANSIENT: [c_int; 4] = [
        ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCKED,
        ffi::SQLITE_PROTOCOL,
        ffi::SQLITE_SCHEMA,
    ];
    // The first byte of an extended code is the kind that it belongs to.
    TRANSIENT.contains(&(code & 0xff)) || code == ffi::SQLITE_ERROR_SNAPSHOT
}

/// The error for texts that were to be compared by a collation that is not known.
fn no_collation(name: &str) -> Error {
    Error::Query {
        message: format!(
            "no such collation sequence: {name}: the program that made the file has it, and nobody else can compare texts \
             by it; COLLATE BINARY in the query compares them by their characters, partition_on takes another column, \
             and partitions without it the rowid"
        ),
        code: Some(code_name(ffi::SQLITE_ERROR_MISSING_COLLSEQ)),
        partition: None,
        is_transient: false,
    }
}

/// The error for a broken constraint, whose message says which: `UNIQUE constraint failed: t.a, t.b`, or the name or the
/// text of a CHECK.
fn constraint(message: String, code: c_int) -> Error {
    let (kind, what) = message
        .split_once(" constraint failed: ")
        .unwrap_or((&message, ""));
    let is_columns = matches!(kind, "UNIQUE" | "NOT NULL");
    let columns = what
        .split(", ")
        .filter(|_| is_columns)
        .filter_map(|part| part.split_once('.'));
    let (tables, names): (Vec<&str>, Vec<&str>) = columns.unzip();
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Error::Constraint {
        constraint: given(what).filter(|_| kind == "CHECK"),
        table: tables.first().and_then(|table| given(table)),
        column: given(&names.join(", ")),
        code: Some(code_name(code)),
        message,
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // SAFETY: it is not used again; finalizing no statement does nothing.
        unsafe {
            ffi::sqlite3_finalize(self.statement);
        }
    }
}

/// The values that a cursor stands on, until its next step.
pub(crate) struct Row<'a> {
    statement: *mut ffi::sqlite3_stmt,
    first: *mut ffi::sqlite3_value,
    /// Bytes from one value to the next; 0 where that is not known.
    distance: usize,
    borrowed: PhantomData<&'a Cursor<'a>>,
}

impl Row<'_> {
    /// A value, by the index of its column, which must be one of the statement's.
    #[expect(clippy::inline_always, reason = "see `ColumnDecoder::push`")]
    #[inline(always)]
    pub(crate) fn value(&self, column: c_int) -> Cell<'_> {
        // SAFETY: `Cursor::row` has made sure that the values of all columns stand at this distance.
        // Values are not protected by a mutex, and need none: connection and statement belong to this
        // thread alone. A text or blob stays where it is until the next step, which takes the cursor
        // mutably.
        unsafe {
            let value = if self.distance == 0 {
                ffi::sqlite3_column_value(self.statement, column)
            } else {
                self.first.byte_add(self.distance * length(column))
            };
            match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_INTEGER => Cell::Integer(ffi::sqlite3_value_int64(value)),
                ffi::SQLITE_FLOAT => Cell::Real(ffi::sqlite3_value_double(value)),
                ffi::SQLITE_TEXT => {
                    let start = ffi::sqlite3_value_text(value);
                    Cell::Text(slice(start.cast(), ffi::sqlite3_value_bytes(value)))
                }
                ffi::SQLITE_BLOB => {
                    let start = ffi::sqlite3_value_blob(value);
                    Cell::Blob(slice(start.cast(), ffi::sqlite3_value_bytes(value)))
                }
                _ => Cell::Null,
            }
        }
    }
}

/// A value with its storage class, as <https://www.sqlite.org/datatype3.html> calls it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// The bytes of a text or blob; an empty one may have no address.
///
/// # Safety
///
/// `start` must be null or point to `length` bytes that outlive `'a`.
#[inline]
unsafe fn slice<'a>(start: *const u8, length: c_int) -> &'a [u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: by this function's own contract.
    unsafe { std::slice::from_raw_parts(start, crate::connect::length(length)) }
}

/// # Safety
///
/// `start` must be null or point to a text that ends with a NUL.
unsafe fn text(start: *const std::ffi::c_char) -> Option<String> {
    if start.is_null() {
        return None;
    }
    // SAFETY: by this function's own contract.
    let text = unsafe { CStr::from_ptr(start) };
    Some(text.to_string_lossy().into_owned())
}

/// Called by SQLite while a statement runs; what is not zero ends it.
unsafe extern "C" fn is_stopped(flag: *mut c_void) -> c_int {
    // SAFETY: `Watch` keeps what it points to alive as long as the handler is registered.
    let watched = unsafe { &*flag.cast::<Watched>() };
    c_int::from(watched.stop.is_set())
}

/// Called by SQLite when a lock is not free, with the number of times that it was for this one; with zero it gives up.
unsafe extern "C" fn is_waited_for(watched: *mut c_void, times: c_int) -> c_int {
    // SAFETY: as in `is_stopped`.
    let watched = unsafe { &*watched.cast::<Watched>() };
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    if watched.stop.is_set()
        || LOCK_POLL.saturating_mul(times) >= watched.busy_timeout.unwrap_or_default()
    {
        return 0;
    }
    thread::sleep(LOCK_POLL);
    1
}

/// How long a connection waits for a lock.
pub(crate) fn busy_timeout(connection: &Connection) -> Duration {
    let milliseconds = connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, u32>(0));
    Duration::from_millis(milliseconds.unwrap_or_default().into())
}

/// The name of a result code, as <https://www.sqlite.org/rescode.html> lists them.
pub(crate) fn code_name(code: c_int) -> String {
    const CONSTRAINTS: [(c_int, &str); 11] = [
        (ffi::SQLITE_CONSTRAINT_CHECK, "CHECK"),
        (ffi::SQLITE_CONSTRAINT_COMMITHOOK, "COMMITHOOK"),
        (ffi::SQLITE_CONSTRAINT_FOREIGNKEY, "FOREIGNKEY"),
        (ffi::SQLITE_CONSTRAINT_FUNCTION, "FUNCTION"),
        (ffi::SQLITE_CONSTRAINT_NOTNULL, "NOTNULL"),
        (ffi::SQLITE_CONSTRAINT_PRIMARYKEY, "PRIMARYKEY"),
        (ffi::SQLITE_CONSTRAINT_TRIGGER, "TRIGGER"),
        (ffi::SQLITE_CONSTRAINT_UNIQUE, "UNIQUE"),
        (ffi::SQLITE_CONSTRAINT_VTAB, "VTAB"),
        (ffi::SQLITE_CONSTRAINT_ROWID, "ROWID"),
        (ffi::SQLITE_CONSTRAINT_DATATYPE, "DATATYPE"),
    ];
    if let Some((_, kind)) = CONSTRAINTS.iter().find(|(known, _)| *known == code) {
        return format!("SQLITE_CONSTRAINT_{kind}");
    }
    let primary = match code & 0xff {
        ffi::SQLITE_ERROR => "SQLITE_ERROR",
        ffi::SQLITE_BUSY => "SQLITE_BUSY",
        ffi::SQLITE_LOCKED => "SQLITE_LOCKED",
        ffi::SQLITE_NOMEM => "SQLITE_NOMEM",
        ffi::SQLITE_READONLY => "SQLITE_READONLY",
        ffi::SQLITE_INTERRUPT => "SQLITE_INTERRUPT",
        ffi::SQLITE_IOERR => "SQLITE_IOERR",
        ffi::SQLITE_CORRUPT => "SQLITE_CORRUPT",
        ffi::SQLITE_FULL => "SQLITE_FULL",
        ffi::SQLITE_CANTOPEN => "SQLITE_CANTOPEN",
        ffi::SQLITE_SCHEMA => "SQLITE_SCHEMA",
        ffi::SQLITE_TOOBIG => "SQLITE_TOOBIG",
        ffi::SQLITE_MISMATCH => "SQLITE_MISMATCH",
        ffi::SQLITE_AUTH => "SQLITE_AUTH",
        ffi::SQLITE_NOTADB => "SQLITE_NOTADB",
        ffi::SQLITE_CONSTRAINT => "SQLITE_CONSTRAINT",
        _ => return format!("SQLite result code {code}"),
    };
    if code & 0xff == code {
        primary.to_owned()
    } else {
        format!("{primary}, extended code {code}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storage_class_comes_out() {
        let connection = Connection::open_in_memory().expect("memory");
        let stop = Stop::default();
        let sql = "SELECT NULL, -5, 0.5, 'a' || char(0) || 'ä', x'00ff', '', x''";
        let mut cursor = Cursor::prepare(&connection, sql, &stop).expect("valid");
        assert!(cursor.step().expect("a row"));
        let row = cursor.row();
        let values: Vec<_> = (0..cursor.column_count()).map(|i| row.value(i)).collect();
        assert_eq!(
            values,
            [
                Cell::Null,
                Cell::Integer(-5),
                Cell::Real(0.5),
                Cell::Text("a\0ä".as_bytes()),
                Cell::Blob(b"\0\xff"),
                Cell::Text(b""),
                Cell::Blob(b""),
            ]
        );
        assert!(!cursor.step().expect("the end"));
    }

    #[test]
    fn one_column_has_no_neighbour() {
        let connection = Connection::open_in_memory().expect("memory");
        let mut cursor = Cursor::prepare(&connection, "SELECT 7", &Stop::default()).expect("valid");
        assert!(cursor.step().expect("a row"));
        assert_eq!(cursor.row().value(0), Cell::Integer(7));
    }

    #[test]
    fn an_endless_statement_can_be_stopped() {
        let connection = Connection::open_in_memory().expect("memory");
        let stop = Stop::default();
        let sql =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
        let mut cursor = Cursor::prepare(&connection, sql, &stop).expect("valid");
        stop.set();
        assert!(matches!(cursor.step(), Err(Error::Interrupted)));
    }

    #[test]
    fn errors_carry_sqlites_message_and_code() {
        let connection = Connection::open_in_memory().expect("memory");
        let error = Cursor::prepare(&connection, "SELECT FROM", &Stop::default());
        let error = error.err().expect("no statement");
        assert_eq!(error.code(), Some("SQLITE_ERROR"));
        assert!(error.to_string().contains("syntax error"), "{error}");
    }
}
