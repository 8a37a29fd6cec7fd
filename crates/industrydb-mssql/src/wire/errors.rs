//! Converts errors of the driver and the server into industrydb's.

use industrydb_core::Error;
use industrydb_core::retry::is_of_the_network;
use mssql_tds::error::{Error as TdsError, SqlErrorInfo};

/// Converts an error of the driver.
pub(crate) fn failed(error: TdsError) -> Error {
    match error {
        TdsError::SqlServerError { diagnostics } => match diagnostics.errors.first() {
            Some(first) if CONSTRAINTS.contains(&first.number) => constraint(first),
            Some(first) => Error::Query {
                message: shown(first),
                code: Some(first.number.to_string()),
                partition: None,
                // A failed login is reported as two errors, and only one tells why.
                is_transient: diagnostics
                    .errors
                    .iter()
                    .any(|error| TRANSIENT.contains(&error.number)),
            },
            None => Error::connection("the server failed, and did not say why"),
        },
        TdsError::OperationCancelledError(_) => Error::Interrupted,
        TdsError::TimeoutError(kind) => {
            Error::unreachable(format!("the server does not answer: {kind}"))
        }
        // A connection that breaks in the middle of a message may also be reported as a protocol
        // error.
        broken @ (TdsError::Io(_)
        | TdsError::ConnectionError(_)
        | TdsError::ConnectionClosed(_)
        | TdsError::ProtocolError(_)) => Error::unreachable(broken.to_string()),
        other => {
            let is_broken = match &other {
                TdsError::TlsError(error) => is_of_the_network(error),
                TdsError::TlsHandshakeError { source, .. } => is_of_the_network(source),
                _ => false,
            };
            let message = other.to_string();
            // The driver's note that the certificate's names could not be read is left out.
            let (message, _) = message
                .split_once(" Certificate SANs: (unavailable")
                .unwrap_or((&message, ""));
            if is_broken {
                Error::unreachable(message)
            } else {
                Error::connection(message)
            }
        }
    }
}

/// Numbers of transient errors, of logins and of statements alike.
#[rustfmt::skip]
const TRANSIENT: [u32; 45] = [
    // Network errors, by their Windows numbers.
    64, 121, 233, 10053, 10054, 10060, 10061,
    // Deadlocks, locks, and conflicts of row versions.
    1204, 1205, 1222, 3960, 3961, 3966, 41301, 41302, 41305, 41325, 41839,
    // A server that is starting, stopping or paused, or is out of connections, memory or workers.
    6005, 8628, 8645, 8651, 10922, 17142, 17197, 18401,
    // A database that is unavailable: it is recovering or moving, or its replica is not the
    // primary.
    921, 976, 983, 4060, 4221,
    // Azure SQL: a database that is out of resources, moving or paused.
    10928, 10929, 10936, 40143, 40197, 40501, 40540, 40613, 42108, 42109, 49918, 49919, 49920, 49977,
];

/// Numbers of constraint violations: duplicate keys, a foreign key or CHECK, and NOT NULL.
const CONSTRAINTS: [u32; 4] = [2627, 2601, 547, 515];

/// Converts a constraint violation, with the names that are quoted in the message.
fn constraint(error: &SqlErrorInfo) -> Error {
    let behind = |word: &str| {
        let (_, rest) = error.message.split_once(word)?;
        let quote = rest
            .chars()
            .next()
            .filter(|first| matches!(first, '\'' | '"'))?;
        let (name, _) = rest[1..].split_once(quote)?;
        Some(name.to_owned())
    };
    Error::Constraint {
        message: shown(error),
        code: Some(error.number.to_string()),
        constraint: behind("constraint ").or_else(|| behind("unique index ")),
        table: behind("object ").or_else(|| behind("table ")),
        column: behind("column "),
    }
}

/// Formats the server's message with its class, state and origin.
fn shown(error: &SqlErrorInfo) -> String {
    let line = error.line_number.map(|line| format!(", line {line}"));
    let place = error.proc_name.as_deref().filter(|name| !name.is_empty());
    let place = place.map(|name| format!(" in {name}"));
    let server = error.server_name.as_deref().filter(|name| !name.is_empty());
    let server = server.map(|name| format!(", server {name}"));
    format!(
        "{} (class {}, state {}{}{}{})",
        error.message,
        error.class,
        error.state,
        line.unwrap_or_default(),
        place.unwrap_or_default(),
        server.unwrap_or_default()
    )
}
