//! Turns the server's error messages into errors.

use fallible_iterator::FallibleIterator;
use industrydb_core::{Error, Result};
use postgres_protocol::message::backend::ErrorResponseBody;

/// SQLSTATE of an object that is not in the state that a statement needs.
pub(crate) const OBJECT_NOT_IN_PREREQUISITE_STATE: &str = "55000";

/// Adds advice to an error if a server, or a pooler in front of it, cannot give all sessions one
/// snapshot.
pub(crate) fn without_snapshot(error: Error) -> Error {
    error.context(
        "the server, or a pooler in front of it, does not let all sessions see one state of the database; \
         snapshot=False reads without",
    )
}

/// SQLSTATEs of transient errors: broken connections, conflicts, deadlocks, locks, and servers that
/// have no free connection, end sessions, or are starting.
const TRANSIENT: [&str; 12] = [
    "08000", "08001", "08003", "08006", "08007", "40001", "40P01", "53300", "55P03", "57P01",
    "57P02", "57P03",
];

/// SQLSTATE of nearly all errors of `PgBouncer`, whether it has no connection or a password is
/// wrong.
const PROTOCOL_VIOLATION: &str = "08P01";

/// Parts of `PgBouncer`'s messages about transient errors.
const TRANSIENT_OF_POOLER: [&str; 8] = [
    "cannot connect to server",
    "client_login_timeout",
    "no more connections allowed",
    "query_wait_timeout",
    "server conn crashed",
    "server login has been failing",
    "server_login_retry",
    "the database system is",
];

fn is_transient(code: Option<&str>, message: &str) -> bool {
    match code {
        Some(PROTOCOL_VIOLATION) => TRANSIENT_OF_POOLER
            .iter()
            .any(|part| message.contains(part)),
        Some(code) => TRANSIENT.contains(&code),
        None => false,
    }
}

/// Returns the server's error for a failed login.
pub(crate) fn login_error(body: &ErrorResponseBody) -> Result<Error> {
    let Report { message, code, .. } = Report::new(body)?;
    let is_transient = is_transient(code.as_deref(), &message);
    let hint = LOGIN_HINTS
        .iter()
        .find(|(other, _)| code.as_deref() == Some(other));
    let error = Error::Connection {
        message,
        code,
        is_transient,
    };
    Ok(match hint {
        Some((_, hint)) => error.hint(hint),
        None => error,
    })
}

/// Returns the server's error for a failed statement.
pub(crate) fn query_error(body: &ErrorResponseBody) -> Result<Error> {
    /// `query_canceled`: by `statement_timeout`, an administrator, or us.
    const QUERY_CANCELED: &str = "57014";
    /// The class of `integrity_constraint_violation`.
    const CONSTRAINT: &str = "23";
    let Report {
        message,
        code,
        severity,
        constraint,
        table,
        column,
    } = Report::new(body)?;
    let is_transient = is_transient(code.as_deref(), &message);
    let hint = list_hint(&message, code.as_deref());
    let error = match code.as_deref() {
        Some(QUERY_CANCELED) => Error::Timeout { message, code },
        // The session is gone with the statement.
        _ if severity == "FATAL" || severity == "PANIC" => Error::Connection {
            message,
            code,
            is_transient,
        },
        Some(class) if class.starts_with(CONSTRAINT) => Error::Constraint {
            message,
            code,
            constraint,
            table,
            column,
        },
        _ => Error::Query {
            message,
            code,
            partition: None,
            is_transient,
        },
    };
    Ok(match hint {
        Some(hint) => error.hint(&hint),
        None => error,
    })
}

/// Returns what to write if a list is the value of a parameter whose type is no array, which a
/// message such as `invalid input syntax for type bigint: "{"1","2"}"` tells.
fn list_hint(message: &str, code: Option<&str>) -> Option<String> {
    const INVALID_VALUES: [&str; 2] = ["22P02", "22007"];
    let is_list = |line: &str| line.contains("{\"") || line.contains("{}");
    let (_, behind) = message.split_once("parameter $")?;
    let number = behind.split(|c: char| !c.is_ascii_digit()).next()?;
    let is_meant = message.lines().next().is_some_and(is_list);
    (INVALID_VALUES.contains(&code?) && is_meant).then(|| array_hint(number))
}

/// Returns what to write for a parameter that is compared with the elements of a list.
pub(crate) fn array_hint(number: impl std::fmt::Display) -> String {
    format!("a list is an array here: write = ANY(${number}) in place of IN (${number})")
}

/// Returns the character of the statement, from 1, that an error is about, if the server says so.
pub(crate) fn position(body: &ErrorResponseBody) -> Option<usize> {
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        if field.type_() == b'P' {
            let text = std::str::from_utf8(field.value_bytes()).ok()?;
            return text.parse().ok().filter(|character| *character > 0);
        }
    }
    None
}

/// What to do about failed logins, by their SQLSTATEs.
const LOGIN_HINTS: [(&str, &str); 2] = [
    (
        "28P01",
        "check the user and the password; in a URI, characters such as @ : / ? # % are percent-encoded (@ is %40)",
    ),
    (
        "3D000",
        "a URI names the database behind the / after its host",
    ),
];

/// The server's report of an error.
#[derive(Default)]
struct Report {
    /// The message; detail, hint and context stand on lines of their own, as in psql.
    message: String,
    /// The SQLSTATE.
    code: Option<String>,
    severity: String,
    constraint: Option<String>,
    table: Option<String>,
    column: Option<String>,
}

impl Report {
    fn new(body: &ErrorResponseBody) -> Result<Self> {
        let mut report = Self::default();
        let (mut detail, mut hint, mut place) = (String::new(), String::new(), String::new());
        let mut fields = body.fields();
        while let Some(field) = fields.next().map_err(|e| protocol(&e))? {
            let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'M' => report.message = text(),
                b'C' => report.code = Some(text()),
                b'V' => report.severity = text(),
                b'D' => detail = format!("\nDETAIL: {}", text()),
                b'H' => hint = format!("\nHINT: {}", text()),
                // This field names the row of a COPY, or the parameter, that the error is about.
                b'W' => {
                    let context = text();
                    let copy = context.lines().find(|line| line.starts_with("COPY "));
                    // Behind the parameter's number, its value may follow.
                    let parameter = context.split_once(" parameter $").map(|(_, rest)| {
                        let digits = rest.chars().take_while(char::is_ascii_digit);
                        format!("parameter ${}", digits.collect::<String>())
                    });
                    let found = copy.map(str::to_owned).or(parameter);
                    place = found.map_or_else(String::new, |found| format!("\nCONTEXT: {found}"));
                }
                b'n' => report.constraint = Some(text()),
                b't' => report.table = Some(text()),
                b'c' => report.column = Some(text()),
                _ => {}
            }
        }
        report.message += &(detail + &hint + &place);
        Ok(report)
    }
}

/// Returns the error for bytes that PostgreSQL does not send.
pub(crate) fn protocol(error: &std::io::Error) -> Error {
    Error::connection(format!("the server's answer cannot be understood: {error}"))
}

/// Returns the error for a message in place of the expected one.
pub(crate) fn unexpected(expected: &str) -> Error {
    Error::connection(format!(
        "the server's answer cannot be understood: expected {expected}"
    ))
}
