//! Gives all sessions of a read the same time if its query asks for the time.

use industrydb_core::clock::{Asked, Clock, Form, answered, asked};
use industrydb_core::{Result, Stop};

use crate::session::connect::Session;

/// Functions and keywords that ask for the time. Each has one value throughout a statement.
/// <https://dev.mysql.com/doc/refman/8.4/en/date-and-time-functions.html>
const CLOCKS: [Clock; 15] = [
    Clock::new("now", Form::Call, "TIMESTAMP"),
    Clock::new("current_timestamp", Form::Call, "TIMESTAMP"),
    Clock::new("localtime", Form::Call, "TIMESTAMP"),
    Clock::new("localtimestamp", Form::Call, "TIMESTAMP"),
    Clock::new("utc_timestamp", Form::Call, "TIMESTAMP"),
    Clock::new("curdate", Form::Call, "DATE"),
    Clock::new("current_date", Form::Call, "DATE"),
    Clock::new("utc_date", Form::Call, "DATE"),
    Clock::new("curtime", Form::Call, "TIME"),
    Clock::new("current_time", Form::Call, "TIME"),
    Clock::new("unix_timestamp", Form::Call, ""),
    Clock::new("current_timestamp", Form::Word, "TIMESTAMP"),
    Clock::new("localtimestamp", Form::Word, "TIMESTAMP"),
    Clock::new("current_date", Form::Word, "DATE"),
    Clock::new("utc_date", Form::Word, "DATE"),
];

/// Replaces the functions that ask for the time by the session's time. Places in the list of a SELECT
/// stay as they are, since they may give a column its name.
pub(crate) fn at_one_time(session: &mut Session, query: &str, stop: &Stop) -> Result<String> {
    let lexicon = session.mode.lexicon();
    let mut places = asked(query, lexicon, "", &CLOCKS);
    places.retain(|place| !place.is_selected);
    let mut clocks: Vec<Clock> = Vec::new();
    for place in &places {
        if !clocks.contains(&place.clock) {
            clocks.push(place.clock);
        }
    }
    if clocks.is_empty() {
        return Ok(query.to_owned());
    }
    let question = |clock: &Clock| format!("{}()", clock.name);
    let questions: Vec<String> = clocks.iter().map(question).collect();
    let told = session.rows(&format!("SELECT {}", questions.join(", ")), stop)?;
    let told: Vec<Option<String>> = told.into_iter().flatten().collect();
    Ok(answered(query, &places, |place: &Asked| {
        let index = clocks.iter().position(|clock| *clock == place.clock)?;
        let text = told.get(index)?.as_ref()?;
        Some(match place.clock.type_name {
            "" => text.clone(),
            type_name => format!("{type_name}'{text}'"),
        })
    }))
}
