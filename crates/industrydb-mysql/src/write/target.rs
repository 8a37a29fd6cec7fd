//! The table that rows are written into, as the server describes it under its lock.

use industrydb_core::dialect::Dialect;
use industrydb_core::frame::Cells;
use industrydb_core::scalar::Scalar;
use industrydb_core::statements::places;
use industrydb_core::{CellError, CellResult, ColumnType, Error, Frame, Result, Stop};

use crate::encode::{Declared, Encoding, Scratch};
use crate::session::connect::Session;
use crate::sql::dialect::quoted;
use crate::types::described::flags;
use crate::wire::errors::{BAD_FIELD, number, unexpected};

/// A column of the table that the frame has values for.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Type as the server prints it.
    pub(crate) type_name: String,
    pub(crate) encoding: Encoding,
    /// Room for a text.
    room: Option<Room>,
    /// Whether the column has no NULLs.
    pub(crate) is_required: bool,
    /// Whether the server would store a value of its own in place of a NULL.
    replaces_null: bool,
}

impl Column {
    /// Returns the text or the bytes of a row's value; `None` for NULL.
    #[inline]
    pub(crate) fn value<'a>(
        &self,
        cells: &Cells<'a>,
        row: usize,
        scratch: &'a mut Scratch,
    ) -> CellResult<Option<&'a [u8]>> {
        let value: Option<Scalar<'a>> = cells.get(row)?;
        match value {
            Some(value) => {
                let bytes = self.encoding.write(&value, scratch)?;
                self.reject_cut(bytes)?;
                Ok(Some(bytes))
            }
            None if self.replaces_null => Err(CellError::new(
                None,
                "a NULL, in whose place the server would store a value of its own",
                "leave the column out, or give the value",
            )),
            None => Ok(None),
        }
    }

    /// Refuses a text that the server would store without the tabs and line ends behind its longest
    /// one, as if they were blanks.
    #[inline]
    fn reject_cut(&self, text: &[u8]) -> CellResult<()> {
        let Some(room) = self.room.as_ref().filter(|room| room.may_lack(text.len())) else {
            return Ok(());
        };
        let text = std::str::from_utf8(text).unwrap_or_default();
        let behind = room.behind(text);
        if behind.chars().any(|c| c != ' ') && behind.chars().all(char::is_whitespace) {
            return Err(CellError::new(
                Some(text.to_owned()),
                "longer than the column, and would lose the white space at its end",
                "cut it off, or give the column more room",
            ));
        }
        Ok(())
    }

    /// Adds the column and the row, counted from 1, to the error of a value.
    pub(crate) fn error(&self, error: Box<CellError>, row: usize) -> Error {
        error.at(&self.name, &self.type_name, Some(row))
    }
}

/// Room for a text in a column.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Number of characters, or of bytes in the column's own character set.
    longest: usize,
    /// Bytes of an ASCII character and of any other one; `None` if characters are counted.
    widths: Option<(usize, usize)>,
}

impl Room {
    fn of(declared: &Declared, collation: &str) -> Option<Self> {
        let charset = collation.split('_').next().unwrap_or_default();
        let widths = match charset {
            "utf8" | "utf8mb3" | "utf8mb4" => (1, 0), // as many as in UTF-8
            "ucs2" => (2, 2),
            "utf16" | "utf16le" => (2, 4),
            "utf32" => (4, 4),
            "ujis" | "eucjpms" => (1, 3),
            "gb18030" => (1, 4),
            "big5" | "cp932" | "euckr" | "gb2312" | "gbk" | "sjis" => (1, 2),
            _ => (1, 1),
        };
        let of_bytes = |longest| Self {
            longest,
            widths: Some(widths),
        };
        match declared.name.as_str() {
            "tinytext" => Some(of_bytes(255)),
            "text" => Some(of_bytes(65_535)),
            "mediumtext" => Some(of_bytes(16_777_215)),
            _ => declared.longest().map(|longest| Self {
                longest,
                widths: None,
            }),
        }
    }

    /// Returns whether there may be no room for a text of this many bytes in UTF-8.
    fn may_lack(self, bytes: usize) -> bool {
        // A character has up to four times as many bytes elsewhere.
        let factor = if self.widths.is_some_and(|widths| widths != (1, 0)) {
            4
        } else {
            1
        };
        bytes * factor > self.longest
    }

    /// Returns the part of a text for which there is no room.
    fn behind(self, text: &str) -> &str {
        let mut left = self.longest;
        let start = text.char_indices().find(|(_, character)| {
            let width = match self.widths {
                None => 1,
                Some((1, 0)) => character.len_utf8(),
                Some((ascii, _)) if character.is_ascii() => ascii,
                Some((_, other)) => other,
            };
            let has_room = width <= left;
            left = left.saturating_sub(width);
            !has_room
        });
        start.map_or("", |(start, _)| &text[start..])
    }
}

/// The table that rows are written into.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Quoted name.
    pub(crate) name: String,
    /// The frame's columns, in its order.
    pub(crate) columns: Vec<Column>,
}

impl Target {
    /// Finds out which columns of a view are keys that the server generates: the description of the
    /// view does not say so.
    pub(crate) fn look_behind(&mut self, session: &mut Session, stop: &Stop) -> Result<()> {
        let sql = format!("SELECT {} FROM {} LIMIT 0", self.names(), self.name);
        let statement = match session.prepare(&sql, stop) {
            Err(Error::Query { .. }) => return Ok(()), // it may not be read
            prepared => prepared?,
        };
        for (column, behind) in self.columns.iter_mut().zip(&statement.columns) {
            column.replaces_null |= behind.has(flags::AUTO_INCREMENT);
        }
        session.close(&statement, stop)
    }

    /// Returns the quoted names of the columns, separated by commas.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self
            .columns
            .iter()
            .map(|column| quoted(&column.name))
            .collect();
        names.join(", ")
    }
}

/// Error of a column that has no default, and is not among the data.
const NO_DEFAULT: u16 = 1364;

/// Locks the definition of a table until the transaction ends, and looks up the frame's columns.
pub(crate) fn locked(
    session: &mut Session,
    dialect: &Dialect,
    table: &str,
    frame: &Frame,
    stop: &Stop,
) -> Result<Target> {
    let name = dialect.target(table, frame.columns())?;
    let given: Vec<String> = frame
        .columns()
        .iter()
        .map(|(name, _)| quoted(name))
        .collect();
    // An INSERT of no row takes the lock of an INSERT, also on a view, and needs no other right.
    let lock = format!(
        "INSERT INTO {name} ({}) SELECT {} FROM (SELECT 1) AS q WHERE FALSE",
        given.join(", "),
        vec!["NULL"; given.len()].join(", ")
    );
    let locked = session.run(&lock, stop);
    if let Err(error) = &locked
        && number(error) != Some(BAD_FIELD)
        && !is_of_values(error)
    {
        return Err(session.explained(error.clone(), "", "", stop));
    }
    let columns = columns(session, dialect, table, &name, frame, stop)?;
    match locked {
        // The insert itself says so, unless the data lack a key that they need.
        Err(error) if number(&error) == Some(NO_DEFAULT) => {}
        locked => drop(locked?),
    }
    Ok(Target { name, columns })
}

/// Returns whether the error is one of columns, about which the table's description says more.
fn is_of_values(error: &Error) -> bool {
    /// Generated columns of MySQL and of MariaDB, and columns without a default.
    const OF_COLUMNS: [u16; 4] = [3105, 1906, 1364, 1110];
    number(error).is_some_and(|number| OF_COLUMNS.contains(&number))
}

/// Looks up the columns that the frame has values for.
fn columns(
    session: &mut Session,
    dialect: &Dialect,
    table: &str,
    target: &str,
    frame: &Frame,
    stop: &Stop,
) -> Result<Vec<Column>> {
    let rows = session.rows(&format!("SHOW FULL COLUMNS FROM {target}"), stop)?;
    // Field, Type, Collation, Null, Key, Default, Extra, …
    let described = rows.into_iter().map(|row| {
        let mut row = row.into_iter();
        let (name, type_name) = (row.next()??, row.next()??);
        let collation = row.next()?.unwrap_or_default();
        let may_be_null = row.next()??;
        let extra = row.nth(2).flatten().unwrap_or_default();
        Some((
            name,
            type_name,
            collation,
            may_be_null,
            extra.to_ascii_lowercase(),
        ))
    });
    let described: Vec<_> = described
        .collect::<Option<_>>()
        .ok_or_else(|| unexpected("the columns of a table"))?;
    let names: Vec<&str> = described.iter().map(|(name, ..)| name.as_str()).collect();
    let places = places(dialect, table, frame.columns(), &names)?;
    let column = |(place, (_, from)): (&usize, &(String, ColumnType))| {
        let (name, type_name, collation, may_be_null, extra) = &described[*place];
        // MySQL shows columns with a default that is an expression as `DEFAULT_GENERATED`.
        if extra.contains(" generated") {
            return Err(Error::configuration(format!(
                "column {name:?} of table {table} is generated by the server: leave it out"
            )));
        }
        let declared = Declared::new(type_name);
        let encoding =
            Encoding::of(from, &declared).ok_or_else(|| not_writable(name, type_name, from))?;
        let is_generated = extra.contains("auto_increment") || declared.name == "timestamp";
        Ok(Column {
            name: name.clone(),
            type_name: type_name.clone(),
            room: Room::of(&declared, collation),
            encoding,
            replaces_null: is_generated && may_be_null == "NO",
            is_required: may_be_null == "NO",
        })
    };
    places.iter().zip(frame.columns()).map(column).collect()
}

fn not_writable(name: &str, type_name: &str, from: &ColumnType) -> Error {
    let is_clock = |text: &str| type_name.starts_with(text);
    let reason = match from {
        ColumnType::Datetime { utc: false, .. } | ColumnType::Date if is_clock("timestamp") => {
            ": which point in time a reading of the clock is depends on the time zone, so say it by \
             dt.replace_time_zone"
        }
        ColumnType::Datetime { utc: true, .. } if is_clock("datetime") || is_clock("date") => {
            ": the column has no time zone, so choose the clock by dt.convert_time_zone and \
             dt.replace_time_zone(None)"
        }
        _ => ": convert it first",
    };
    Error::configuration(format!(
        "column {name:?} is {type_name}, which cannot be made of {from}{reason}"
    ))
}

/// Returns the names of the primary key's columns.
pub(crate) fn keys(
    session: &mut Session,
    table: &str,
    target: &str,
    stop: &Stop,
) -> Result<Vec<String>> {
    let sql = format!("SHOW KEYS FROM {target} WHERE Key_name = 'PRIMARY'");
    // Table, Non_unique, Key_name, Seq_in_index, Column_name, Collation, Cardinality, Sub_part, …
    let name = |row: Vec<Option<String>>| {
        let mut row = row.into_iter().skip(4);
        let name = row.next().flatten().unwrap_or_default();
        match row.nth(2).flatten() {
            None => Ok(name),
            Some(length) => Err(Error::configuration(format!(
                "on_conflict=\"replace\" goes by the primary key, and that of table {table} has only the \
                 beginning of column {name:?}, {length} long"
            ))),
        }
    };
    session.rows(&sql, stop)?.into_iter().map(name).collect()
}
