//! Gives all sessions of a read the same answer where its query asks for the time.
//!
//! Each transaction has its own `now()`. So the places of the query that ask for the time are
//! replaced by the answer of one session, written as literals. The server can use literals in
//! estimates and index scans, as it would use what they replace.

use industrydb_core::clock::{Asked, Clock, Form, answered, asked};
use industrydb_core::tokens::with_other_strings;
use industrydb_core::{Error, Result, Stop};

use crate::session::connect::Session;
use crate::session::describe::columns;
use crate::sql::control;
use crate::sql::dialect::{LEXICON, quoted};
use crate::sql::now::{may_say_now, says_now};
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

/// Returns the query with the session's time in the places that ask for it; `None` if there are no
/// such places, or if the columns would no longer be as `described`.
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
    // A subquery gives a column its name, but is not the same expression as one in GROUP BY.
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

/// Returns whether the query has a string or a parameter such as `now` that is read as a time,
/// which each session reads differently. The server then refuses a meaningless word in its place.
pub(crate) fn reads_time(
    session: &mut Session,
    query: &str,
    parameters: &[Option<String>],
    stop: &Stop,
) -> Result<bool> {
    const NOTHING: &str = "industrydb";
    let literal = format!("'{NOTHING}'");
    if let Some(other) = with_other_strings(query, LEXICON, &literal, may_say_now)
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

/// Returns whether the argument for the number of digits, if there is one, is a number.
fn has_digits(asked: &Asked) -> bool {
    let is_number = |digits: &String| digits.bytes().all(|byte| byte.is_ascii_digit());
    asked.digits.as_ref().is_none_or(is_number)
}

/// Returns the number of digits in parentheses, or an empty text if there is none.
fn digits(asked: &Asked) -> String {
    let digits = asked.digits.as_ref();
    digits.map_or_else(String::new, |digits| format!("({digits})"))
}

/// Returns the expression that asks for the time as text. It is NULL if the name may mean a user's
/// function that comes before the built-in one, also one whose arguments all have defaults.
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

/// Writes the answer as a literal. With `gives_names`, a literal in the list of a SELECT keeps the
/// column's name.
fn literal(asked: &Asked, text: &str, gives_names: bool) -> String {
    let type_name = type_in_catalog(asked.clock.type_name);
    let literal = format!("'{text}'::{type_name}{}", digits(asked));
    if asked.is_selected && gives_names {
        format!("(SELECT {literal} AS {})", quoted(asked.clock.name))
    } else {
        literal
    }
}

/// Describes a query that may be invalid; returns `None` if the server refuses it.
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
