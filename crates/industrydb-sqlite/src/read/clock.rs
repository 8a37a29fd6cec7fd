//! One answer for all connections of a read to what its query asks of the clock.
//!
//! Each statement has its own time. So the places of the query that ask for it get one answer, as
//! texts.

use industrydb_core::clock::{Asked, Clock, Form, answered, asked};
use industrydb_core::{Result, Stop};
use rusqlite::Connection;

use crate::ffi::cursor::Cursor;
use crate::ffi::declaration::Declaration;
use crate::ffi::errors::failed;
use crate::sql::dialect::LEXICON;

/// The functions that take the time as the text `now`.
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

/// What asks for the time, each with the format of its answer.
const CLOCKS: [Clock; 9] = [
    Clock::new("current_timestamp", Form::Word, "%Y-%m-%d %H:%M:%S"),
    Clock::new("current_date", Form::Word, "%Y-%m-%d"),
    Clock::new("current_time", Form::Word, "%H:%M:%S"),
    Clock::new("now", Form::Argument(&DATES), EXACT),
    // Without arguments, they are of the present time too.
    Clock::new("date", Form::Call, EXACT),
    Clock::new("time", Form::Call, EXACT),
    Clock::new("datetime", Form::Call, EXACT),
    Clock::new("julianday", Form::Call, EXACT),
    Clock::new("unixepoch", Form::Call, EXACT),
];

/// Whether a text has a function of dates without a point in time, which is of the present one:
/// `datetime()`, `strftime('%s')`, `unixepoch('subsec')`.
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

/// The format with all that SQLite has of the time.
const EXACT: &str = "%Y-%m-%d %H:%M:%f";

/// The present time, as a Julian day.
pub(crate) fn present(connection: &Connection) -> Result<f64> {
    let day = connection.query_row("SELECT julianday('now')", [], |row| row.get(0));
    day.map_err(|e| failed(&e))
}

/// The query with one time in the places that ask for it, if there are any, and if that leaves its
/// columns as they are `described`: one without an alias has the expression for its name.
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
