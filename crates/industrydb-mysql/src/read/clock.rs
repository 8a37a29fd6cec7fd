//! Gives all sessions of a read the same time if its query asks for the time.

use industrydb_core::clock::{Asked, Clock, Form, answered, asked};
use industrydb_core::{Error, Result, Stop};

use crate::read::query::reject_changed;
use crate::session::connect::Session;
use crate::types::DescribedColumn;

/// Functions and keywords that ask for the time. Each has one value throughout a statement.
/// <https://dev.mysql.com/doc/refman/8.4/en/date-and-time-functions.html>
const CLOCKS: [Clock; 20] = [
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
    Clock::new("utc_time", Form::Call, "TIME"),
    Clock::new("unix_timestamp", Form::Call, ""),
    Clock::new("current_timestamp", Form::Word, "TIMESTAMP"),
    Clock::new("localtime", Form::Word, "TIMESTAMP"),
    Clock::new("localtimestamp", Form::Word, "TIMESTAMP"),
    Clock::new("utc_timestamp", Form::Word, "TIMESTAMP"),
    Clock::new("current_date", Form::Word, "DATE"),
    Clock::new("utc_date", Form::Word, "DATE"),
    Clock::new("current_time", Form::Word, "TIME"),
    Clock::new("utc_time", Form::Word, "TIME"),
];

/// The time of one session, as each of the clocks tells it; asked for when a query needs it.
#[derive(Default)]
pub(crate) struct OneTime(Option<Vec<Option<String>>>);

impl OneTime {
    /// Returns the query with the time as literals; `None` if it does not ask for the time, or if the
    /// columns would no longer be as `described`.
    ///
    /// A clock in the list of a SELECT may give a column its name. If it does, only the other clocks
    /// are replaced.
    pub(crate) fn in_query(
        &mut self,
        session: &mut Session,
        query: &str,
        described: &[DescribedColumn],
        stop: &Stop,
    ) -> Result<Option<String>> {
        let places = asked(query, session.mode.lexicon(), "", &CLOCKS);
        if places.is_empty() {
            return Ok(None);
        }
        let told = match &self.0 {
            Some(told) => told,
            None => self.0.insert(told(session, stop)?),
        };
        for keeps_selected in [false, true] {
            let timed = answered(query, &places, |place| {
                let is_kept = keeps_selected && place.is_selected;
                (!is_kept).then(|| literal(place, told)).flatten()
            });
            match session.prepare_kept(&timed, stop) {
                Ok(statement) if reject_changed(described, &statement.columns).is_ok() => {
                    return Ok(Some(timed));
                }
                Ok(_) | Err(Error::Query { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// Asks each of the clocks for the time.
fn told(session: &mut Session, stop: &Stop) -> Result<Vec<Option<String>>> {
    let questions = CLOCKS.map(|clock| format!("{}()", clock.name));
    let told = session.rows(&format!("SELECT {}", questions.join(", ")), stop)?;
    Ok(told.into_iter().flatten().collect())
}

fn literal(place: &Asked, told: &[Option<String>]) -> Option<String> {
    let index = CLOCKS.iter().position(|clock| *clock == place.clock)?;
    let text = told.get(index)?.as_ref()?;
    Some(match place.clock.type_name {
        "" => text.clone(),
        type_name => format!("{type_name}'{text}'"),
    })
}
