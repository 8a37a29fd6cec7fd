//! Replaces the current time in a query by one fixed time for all connections of a read.
//!
//! In SQLite, each statement has a current time of its own. So each place of the query that asks
//! for the current time gets the same time, as a string literal.

use industrydb_core::clock::{Asked, Clock, Form, answered, asked};
use industrydb_core::{Result, Stop};
use rusqlite::Connection;

use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::ffi::errors::failed;
use crate::sql::dialect::LEXICON;

/// Functions that take the string `now` as the current time.
/// <https://www.sqlite.org/lang_datefunc.html>
pub(crate) const DATES: [&str; 7] = [
    "date",
    "time",
    "datetime",
    "julianday",
    "unixepoch",
    "strftime",
    "timediff",
];

/// Words and functions that ask for the current time, each with the format of its replacement.
const CLOCKS: [Clock; 9] = [
    Clock::new("current_timestamp", Form::Word, "%Y-%m-%d %H:%M:%S"),
    Clock::new("current_date", Form::Word, "%Y-%m-%d"),
    Clock::new("current_time", Form::Word, "%H:%M:%S"),
    Clock::new("now", Form::Argument(&DATES), EXACT),
    // Without arguments, these functions return the current time too.
    Clock::new("date", Form::Call, EXACT),
    Clock::new("time", Form::Call, EXACT),
    Clock::new("datetime", Form::Call, EXACT),
    Clock::new("julianday", Form::Call, EXACT),
    Clock::new("unixepoch", Form::Call, EXACT),
];

/// Returns whether a text calls a date function without a time value, which then uses the current
/// time: `datetime()`, `strftime('%s')`, `unixepoch('subsec')`.
pub(crate) fn asks_without_saying(text: &str) -> bool {
    const MODIFIERS: [&str; 2] = ["'subsec'", "'subsecond'"];
    let calls = DATES.map(|name| Clock::new(name, Form::Call, EXACT));
    let of_one = DATES.map(|name| Clock::new(name, Form::Digits, EXACT));
    let is_of_none = |asked: &Asked| {
        let argument = asked.digits.as_deref();
        let is_modifier = |one: &str| {
            MODIFIERS
                .iter()
                .any(|known| one.eq_ignore_ascii_case(known))
        };
        argument.is_some_and(|one| asked.clock.name == "strftime" || is_modifier(one))
    };
    !asked(text, LEXICON, "", &calls).is_empty()
        || asked(text, LEXICON, "", &of_one).iter().any(is_of_none)
}

/// Format with the full precision of SQLite's current time.
const EXACT: &str = "%Y-%m-%d %H:%M:%f";

/// Returns the current time as a Julian day.
pub(crate) fn present(connection: &Connection) -> Result<f64> {
    let day = connection.query_row("SELECT julianday('now')", [], |row| row.get(0));
    day.map_err(|e| failed(&e))
}

/// Returns the query with one fixed time in the places that ask for the current time. Returns
/// `None` if there are no such places, or if the columns would no longer be those `described`: a
/// column without an alias has its expression as its name.
pub(crate) fn with_one_time(
    connection: &Connection,
    query: &str,
    described: &[Declaration],
    present: f64,
    stop: &Stop,
) -> Result<Option<String>> {
    let places = asked(query, LEXICON, "", &CLOCKS);
    if places.is_empty() {
        return Ok(None);
    }
    let text = |format: &str| -> Option<String> {
        let text = connection.query_row("SELECT strftime(?1, ?2)", (format, present), |row| {
            row.get(0)
        });
        text.ok()
    };
    let query = answered(query, &places, |asked| {
        let text = text(asked.clock.type_name)?;
        Some(match asked.clock.form {
            Form::Call => format!("{}('{text}')", asked.clock.name),
            _ => format!("'{text}'"),
        })
    });
    let found = Cursor::prepare_if_valid(connection, &query, stop)?.map(|it| it.columns());
    Ok((found.as_deref() == Some(described)).then_some(query))
}
