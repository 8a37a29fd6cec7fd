//! Gives all sessions of a read the same time if its query calls a clock function.

use industrydb_core::clock::{Clock, Form, answered, asked};
use industrydb_core::{Error, Result, Stop};

use crate::session::connect::Session;
use crate::sql::dialect::LEXICON;

/// Clock functions and keywords. Each has one value throughout a statement.
/// <https://learn.microsoft.com/sql/t-sql/functions/date-and-time-data-types-and-functions-transact-sql>
const CLOCKS: [Clock; 7] = [
    Clock::new("getdate", Form::Call, "datetime"),
    Clock::new("getutcdate", Form::Call, "datetime"),
    Clock::new("current_timestamp", Form::Word, "datetime"),
    Clock::new("sysdatetime", Form::Call, "datetime2(7)"),
    Clock::new("sysutcdatetime", Form::Call, "datetime2(7)"),
    Clock::new("sysdatetimeoffset", Form::Call, "datetimeoffset(7)"),
    Clock::new("current_date", Form::Word, "date"),
];

/// Replaces clock functions in the queries by the session's time. Queries stay unchanged if they
/// call no clock function, or if the server refuses to answer.
pub(crate) fn at_one_time(
    session: &mut Session,
    queries: &[String],
    stop: &Stop,
) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for query in queries {
        for place in asked(query, LEXICON, "", &CLOCKS) {
            if !words.contains(&place.clock) {
                words.push(place.clock);
            }
        }
    }
    if words.is_empty() {
        return Ok(queries.to_vec());
    }
    let list: Vec<String> = words.iter().map(question).collect();
    let told = match session.texts(&format!("SELECT {}", list.join(", ")), &[], stop) {
        Err(Error::Query { message, .. }) => {
            log::debug!("the server does not tell the time: {message}");
            return Ok(queries.to_vec());
        }
        told => told?,
    };
    let told: Vec<Option<String>> = told.into_iter().flatten().collect();
    let answer = |query: &String| {
        let places = asked(query, LEXICON, "", &CLOCKS);
        answered(query, &places, |place| {
            let index = words.iter().position(|word| *word == place.clock)?;
            let text = told.get(index)?.as_ref()?;
            // Some servers return more digits than the type has.
            let text = text.get(..length(&place.clock)).unwrap_or(text);
            Some(format!("CAST('{text}' AS {})", place.clock.type_name))
        })
    };
    Ok(queries.iter().map(answer).collect())
}

/// Returns the length of a clock's value as ISO 8601 text, with all digits of its type.
fn length(clock: &Clock) -> usize {
    match clock.type_name {
        "date" => 10,
        "datetime" => 23,
        "datetime2(7)" => 27,
        _ => 33,
    }
}

/// Returns the expression for a clock's value as ISO 8601 text.
fn question(clock: &Clock) -> String {
    let brackets = if clock.form == Form::Call { "()" } else { "" };
    let call = format!("{}{brackets}", clock.name.to_uppercase());
    format!("CONVERT(nvarchar({}), {call}, 126)", length(clock))
}
