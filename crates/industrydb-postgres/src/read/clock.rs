//! One answer for all sessions of a read to what its query asks of the clock.
//!
//! Each transaction has its own `now()`. So the places of the query that ask for the time get the
//! answer of one session, as literals: then the server estimates with them, and finds them in
//! indexes, as it would with what they stand for.

use industrydb_core::clock::{Asked, Clock, Form, answered, asked};
use industrydb_core::tokens::with_other_strings;
use industrydb_core::{Error, Result, Stop};

use crate::read::nodes::says_now;
use crate::session::connect::Session;
use crate::session::describe::columns;
use crate::sql::control;
use crate::sql::dialect::{LEXICON, quoted};
use crate::sql::statements::explain;
use crate::types::DescribedColumn;
use crate::types::order::{in_catalog, type_in_catalog};

/// The functions and keywords that have one answer within a transaction or a statement.
/// <https://www.postgresql.org/docs/current/functions-datetime.html#FUNCTIONS-DATETIME-CURRENT>
const CLOCKS: [Clock; 8] = [
    Clock::new("now", Form::Call, "timestamptz"),
    Clock::new("transaction_timestamp", Form::Call, "timestamptz"),
    Clock::new("statement_timestamp", Form::Call, "timestamptz"),
    Clock::new("current_date", Form::Word, "date"),
    Clock::new("current_time", Form::Digits, "timetz"),
    Clock::new("current_timestamp", Form::Digits, "timestamptz"),
    Clock::new("localtime", Form::Digits, "time"),
    Clock::new("localtimestamp", Form::Digits, "timestamp"),
];

/// The query with the session's time in the places that ask for it, if there are any, and if that
/// leaves its columns as they are `described`.
pub(crate) fn with_one_time(
    session: &mut Session,
    query: &str,
    described: &[DescribedColumn],
    given: usize,
    stop: &Stop,
) -> Result<Option<String>> {
    let mut places = asked(query, LEXICON, "pg_catalog", &CLOCKS);
    places.retain(has_digits);
    if places.is_empty() {
        return Ok(None);
    }
    let list: Vec<String> = places.iter().map(question).collect();
    let answers = session.rows(&format!("SELECT {}", list.join(", ")), &[], stop)?;
    let answers: Vec<Option<String>> = answers.into_iter().flatten().collect();
    let is_same = |(a, b): (&DescribedColumn, &DescribedColumn)| {
        (&a.name, a.oid, a.modifier, a.table) == (&b.name, b.oid, b.modifier, b.table)
    };
    let are_same = |found: &Vec<DescribedColumn>| {
        found.len() == described.len() && found.iter().zip(described).all(is_same)
    };
    // A subquery gives a column its name, but is not the expression that stands behind GROUP BY.
    for gives_names in [true, false] {
        let mut answers = answers.iter();
        let query = answered(query, &places, |asked| {
            let text = answers.next()?.as_ref()?;
            Some(literal(asked, text, gives_names))
        });
        let found = attempt(session, &query, given, stop)?;
        if found.is_some_and(|found| are_same(&found)) {
            return Ok(Some(query));
        }
    }
    Ok(None)
}

/// Whether the query has a string or a parameter such as `now` that is read as a time, and as
/// another one in each session: then a word that says nothing is refused in its place.
pub(crate) fn reads_time(
    session: &mut Session,
    query: &str,
    parameters: &[Option<String>],
    stop: &Stop,
) -> Result<bool> {
    const NOTHING: &str = "industrydb";
    let literal = format!("'{NOTHING}'");
    if let Some(other) = with_other_strings(query, LEXICON, &literal, says_now)
        && attempt(session, &other, parameters.len(), stop)?.is_none()
    {
        return Ok(true);
    }
    let says = |value: &Option<String>| value.as_deref().is_some_and(says_now);
    if !parameters.iter().any(says) {
        return Ok(false);
    }
    let other = parameters.iter().map(|value| {
        if says(value) {
            Some(NOTHING.to_owned())
        } else {
            value.clone()
        }
    });
    let other: Vec<Option<String>> = other.collect();
    Ok(session.attempt(&explain(query), &other, stop)?.is_err())
}

/// Whether what stands for a number of digits is one.
fn has_digits(asked: &Asked) -> bool {
    let is_number = |digits: &String| digits.bytes().all(|byte| byte.is_ascii_digit());
    asked.digits.as_ref().is_none_or(is_number)
}

/// The number of digits in brackets, if any.
fn digits(asked: &Asked) -> String {
    let digits = asked.digits.as_ref();
    digits.map_or_else(String::new, |digits| format!("({digits})"))
}

/// Asks for the text of an answer; there is none where the name may be that of a function in front
/// of the catalog's, as also one is whose arguments all have defaults.
fn question(asked: &Asked) -> String {
    let name = asked.clock.name;
    if asked.clock.form != Form::Call {
        return format!("({name}{})::pg_catalog.text", digits(asked));
    }
    let text = format!("pg_catalog.{name}()::pg_catalog.text");
    if asked.is_qualified {
        return text;
    }
    let equals = in_catalog("=");
    format!(
        "CASE WHEN pg_catalog.to_regprocedure('{name}()') {equals} 'pg_catalog.{name}()'::pg_catalog.regprocedure \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n \
         ON n.oid {equals} p.pronamespace WHERE p.proname {equals} '{name}' AND p.pronargs {} 0 \
         AND n.nspname {equals} ANY (pg_catalog.current_schemas(true))) THEN {text} END",
        in_catalog(">")
    )
}

/// An answer in the place of the question; in the list of a SELECT, it may give a column the same
/// name.
fn literal(asked: &Asked, text: &str, gives_names: bool) -> String {
    let type_name = type_in_catalog(asked.clock.type_name);
    let literal = format!("'{text}'::{type_name}{}", digits(asked));
    if asked.is_selected && gives_names {
        format!("(SELECT {literal} AS {})", quoted(asked.clock.name))
    } else {
        literal
    }
}

/// Describes a query that may be none.
fn attempt(
    session: &mut Session,
    query: &str,
    given: usize,
    stop: &Stop,
) -> Result<Option<Vec<DescribedColumn>>> {
    let in_transaction = session.in_transaction;
    if in_transaction {
        session.script(control::SAVEPOINT, stop)?;
    }
    match columns(session, query, given, stop) {
        Err(Error::Query { .. }) => {
            if in_transaction {
                session.script(control::ROLLBACK_TO, stop)?;
            }
            Ok(None)
        }
        found => found,
    }
}
