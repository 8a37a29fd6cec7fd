//! Turns the server's error packets into errors.

use industrydb_core::{Error, Result};

use crate::wire::bytes::Bytes;

/// Errors that a retry may resolve: no free connection, a lock, a deadlock, a table that was altered
/// or must be prepared again, and servers that shut down or end sessions.
const TRANSIENT: [u16; 18] = [
    1020, // ER_CHECKREAD
    1040, // ER_CON_COUNT_ERROR
    1053, // ER_SERVER_SHUTDOWN
    1077, // ER_NORMAL_SHUTDOWN
    1079, // ER_SHUTDOWN_COMPLETE
    1152, // ER_ABORTING_CONNECTION
    1158, 1159, 1160, 1161, // ER_NET_…
    1184, // ER_NEW_ABORTING_CONNECTION
    1203, // ER_TOO_MANY_USER_CONNECTIONS
    1205, // ER_LOCK_WAIT_TIMEOUT
    1213, // ER_LOCK_DEADLOCK
    1412, // ER_TABLE_DEF_CHANGED
    1615, // ER_NEED_REPREPARE
    1927, // ER_CONNECTION_KILLED
    4031, // ER_CLIENT_INTERACTION_TIMEOUT
];

/// Errors after which the session is gone.
const LOST: [u16; 9] = [1053, 1077, 1079, 1152, 1153, 1158, 1159, 1927, 4031];

/// Errors of statements that took too long, or were killed: by `KILL QUERY`, `max_statement_time`, or
/// `max_execution_time`.
const TIMEOUT: [u16; 3] = [1317, 1969, 3024];

/// Error of a lock that was waited for too long.
pub(crate) const LOCK_WAIT_TIMEOUT: u16 = 1205;
/// Error of a database that does not exist.
pub(crate) const UNKNOWN_DATABASE: u16 = 1049;
/// Error of a table that is to be created, and exists.
pub(crate) const TABLE_EXISTS: u16 = 1050;
/// Error of a table that does not exist.
pub(crate) const NO_SUCH_TABLE: u16 = 1146;
/// Error of a table that a statement does not read, or that is to be dropped and does not exist.
pub(crate) const UNKNOWN_TABLE: u16 = 1051;
/// Error of a name that no column of the table has.
pub(crate) const BAD_FIELD: u16 = 1054;
/// Error of a statement that the server cannot parse.
pub(crate) const PARSE_ERROR: u16 = 1064;
/// Error of a plan that would show tables of a view that the user may not see.
pub(crate) const NO_EXPLAIN: u16 = 1345;
/// Error of an index that a statement names, and the table does not have or the server is told to
/// ignore.
pub(crate) const NO_SUCH_INDEX: u16 = 1176;
/// Error of a table that has changed since the snapshot.
pub(crate) const TABLE_DEF_CHANGED: u16 = 1412;
/// Error of a lock that met another session's in a deadlock.
pub(crate) const LOCK_DEADLOCK: u16 = 1213;
/// Error of a statement that cannot be prepared.
pub(crate) const UNSUPPORTED_PREPARED: u16 = 1295;

/// The server's report of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) number: u16,
    pub(crate) sqlstate: String,
    pub(crate) message: String,
}

impl Report {
    /// Parses an error packet.
    pub(crate) fn new(body: &[u8]) -> Result<Self> {
        let parsed = || {
            let mut bytes = Bytes(body);
            bytes.u8()?;
            let number = bytes.u16()?;
            // An error before the login may come without the state.
            let mut sqlstate = String::new();
            if let [b'#', rest @ ..] = bytes.0 {
                bytes.0 = rest;
                sqlstate = String::from_utf8_lossy(bytes.take(5)?).into_owned();
            }
            Some(Self {
                number,
                sqlstate,
                message: String::from_utf8_lossy(bytes.0).into_owned(),
            })
        };
        parsed().ok_or_else(|| unexpected("an error"))
    }

    fn message(&self) -> String {
        let message = match self.near() {
            // The statement may have a secret further on.
            Some((before, near, behind)) => {
                let shown = first(near);
                let dots = if near.trim().len() > shown.len() {
                    "…"
                } else {
                    ""
                };
                format!("{before}{shown}{dots}{behind}")
            }
            None => self.message.clone(),
        };
        match self.sqlstate.as_str() {
            "" => message,
            state => format!("{message} (SQLSTATE {state})"),
        }
    }

    /// Returns the part of the statement that the server repeats where it could not go on, and what
    /// stands before and behind it: `… near ',, b FROM t' at line 2`.
    fn near(&self) -> Option<(&str, &str, &str)> {
        let is_told = self.number == PARSE_ERROR;
        let start = self.message.find(" near '").filter(|_| is_told)? + " near '".len();
        let end = self
            .message
            .rfind("' at line ")
            .filter(|end| start <= *end)?;
        let message = self.message.as_str();
        Some((&message[..start], &message[start..end], &message[end..]))
    }

    /// Returns the part of the statement that the server could not parse.
    pub(crate) fn refused(&self) -> Option<String> {
        self.near().map(|(_, near, _)| near.to_owned())
    }

    /// Returns the error of a failed login.
    pub(crate) fn login_error(&self) -> Error {
        let error = Error::Connection {
            message: self.message(),
            code: Some(self.number.to_string()),
            is_transient: TRANSIENT.contains(&self.number),
        };
        let hint = LOGIN_HINTS
            .iter()
            .find(|(number, _)| *number == self.number);
        match hint {
            Some((_, hint)) => error.hint(hint),
            None => error,
        }
    }

    /// Returns the error of a failed statement.
    pub(crate) fn query_error(&self) -> Error {
        let (message, code) = (self.message(), Some(self.number.to_string()));
        let is_transient = TRANSIENT.contains(&self.number);
        if LOST.contains(&self.number) {
            return Error::Connection {
                message,
                code,
                is_transient,
            };
        }
        if TIMEOUT.contains(&self.number) {
            return Error::Timeout { message, code };
        }
        match self.broken() {
            Some(Broken {
                constraint,
                table,
                column,
            }) => Error::Constraint {
                message,
                code,
                constraint,
                table,
                column,
            },
            None => Error::Query {
                message,
                code,
                partition: None,
                is_transient,
            },
        }
    }

    /// Returns the names of the constraint that a row breaks, as the message shows them; `None` if
    /// the error is another one.
    fn broken(&self) -> Option<Broken> {
        let text = self.message.as_str();
        let mut broken = Broken::default();
        match self.number {
            // Duplicate entry '1' for key 'PRIMARY' (of MySQL 8: 't.PRIMARY')
            1022 | 1062 | 1169 | 1586 => {
                let key = text.rsplit_once("for key ").map(|(_, key)| key);
                let key = key.and_then(|key| between(key, '\''));
                match key.and_then(|key| key.split_once('.')) {
                    Some((table, name)) => {
                        broken.table = Some(table.to_owned());
                        broken.constraint = Some(name.to_owned());
                    }
                    None => broken.constraint = key.map(str::to_owned),
                }
            }
            // … a foreign key constraint fails (`db`.`t`, CONSTRAINT `fk` FOREIGN KEY (`a`) …
            1216 | 1217 | 1451 | 1452 | 1557 | 1761 | 1762 => {
                broken.constraint = named(text, "CONSTRAINT ");
                broken.table = named(text, "`.");
                broken.column = named(text, "FOREIGN KEY (");
            }
            // Column 'a' cannot be null; Field 'a' doesn't have a default value
            1048 | 1364 => broken.column = between(text, '\'').map(str::to_owned),
            // Check constraint 'c' is violated.
            3819 => broken.constraint = between(text, '\'').map(str::to_owned),
            // CONSTRAINT `c` failed for `db`.`t`
            4025 => {
                broken.constraint = between(text, '`').map(str::to_owned);
                broken.table = named(text, "`.");
            }
            _ => return None,
        }
        Some(broken)
    }
}

/// What to check if a login fails, by the error's number.
const LOGIN_HINTS: [(u16, &str); 2] = [
    (
        1045, // ER_ACCESS_DENIED_ERROR
        "check the user and the password, and from where the user may log in; in a URI, characters such as @ : / ? # % \
         are percent-encoded (@ is %40)",
    ),
    (
        1049, // ER_BAD_DB_ERROR
        "SHOW DATABASES lists those that the user may see; a URI needs none, if the query names it: database.table",
    ),
];

/// Returns the first word or sign of a statement's rest, without the text of a literal.
fn first(rest: &str) -> &str {
    let rest = rest.trim_start();
    let ends = |(at, c): &(usize, char)| c.is_whitespace() || *at > 0 && matches!(c, '\'' | '"');
    if rest.starts_with(['\'', '"']) {
        return &rest[..1];
    }
    let end = rest.char_indices().find(ends).map(|(at, _)| at);
    &rest[..end.unwrap_or(rest.len())]
}

/// Names of a constraint that a row breaks.
#[derive(Default)]
struct Broken {
    constraint: Option<String>,
    table: Option<String>,
    column: Option<String>,
}

/// Returns the text between the first two quotes.
fn between(text: &str, quote: char) -> Option<&str> {
    text.split(quote).nth(1).filter(|name| !name.is_empty())
}

/// Returns the name in backticks behind a text.
fn named(text: &str, front: &str) -> Option<String> {
    let (_, behind) = text.split_once(front)?;
    between(behind, '`').map(str::to_owned)
}

/// Returns the error for a packet in place of the expected one.
#[cold]
pub(crate) fn unexpected(expected: &str) -> Error {
    Error::connection(format!(
        "the server's answer cannot be understood: expected {expected}"
    ))
}

/// Returns the number of the server's error, if that is what an error is.
pub(crate) fn number(error: &Error) -> Option<u16> {
    error.code().and_then(|code| code.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: u16, message: &str) -> Error {
        let mut body = vec![0xff];
        body.extend_from_slice(&number.to_le_bytes());
        body.extend_from_slice(b"#23000");
        body.extend_from_slice(message.as_bytes());
        Report::new(&body).expect("an error").query_error()
    }

    /// Messages of MariaDB 10.11 and MySQL 8.
    #[test]
    fn broken_constraints_are_named() {
        let name = |text: &str| Some(text.to_owned());
        for (number, text, expected) in [
            (
                1062,
                "Duplicate entry '1' for key 'PRIMARY'",
                (name("PRIMARY"), None, None),
            ),
            (
                1062,
                "Duplicate entry 'x for key' for key 't.by_name'",
                (name("by_name"), name("t"), None),
            ),
            (
                1452,
                "Cannot add or update a child row: a foreign key constraint fails (`d`.`child`, CONSTRAINT \
                 `to_parent` FOREIGN KEY (`p`) REFERENCES `parent` (`id`))",
                (name("to_parent"), name("child"), name("p")),
            ),
            (1048, "Column 'a' cannot be null", (None, None, name("a"))),
            (
                3819,
                "Check constraint 'c' is violated.",
                (name("c"), None, None),
            ),
            (
                4025,
                "CONSTRAINT `c` failed for `d`.`t`",
                (name("c"), name("t"), None),
            ),
        ] {
            let Error::Constraint {
                constraint,
                table,
                column,
                code,
                ..
            } = error(number, text)
            else {
                panic!("{text}");
            };
            assert_eq!((constraint, table, column), expected, "{text}");
            assert_eq!(code, Some(number.to_string()));
        }
    }

    #[test]
    fn the_rest_of_a_statement_is_not_repeated() {
        for (rest, shown) in [
            (",\n  amount\nFROM t", ",…"),
            ("\n  amount\nFROM t", "amount…"),
            ("IDENTIFED BY 'hunter2'", "IDENTIFED…"),
            ("PASWORD('hunter2')", "PASWORD(…"),
            ("'hunter2' x' at line 7", "'…"),
            ("%s", "%s"),
            ("", ""),
        ] {
            let failed = error(1064, &format!("You have an error near '{rest}' at line 2"));
            let expected =
                format!("You have an error near '{shown}' at line 2 (SQLSTATE 23000) [1064]");
            assert_eq!(failed.to_string(), expected);
        }
    }

    #[test]
    fn errors_say_whether_a_retry_may_help() {
        assert!(error(1213, "Deadlock found").is_transient());
        assert!(error(1412, "Table definition has changed").is_transient());
        assert!(!error(1064, "You have an error in your SQL syntax").is_transient());
        assert!(matches!(error(1969, "too long"), Error::Timeout { .. }));
        assert!(matches!(error(1927, "killed"), Error::Connection { .. }));
        let short = Report::new(b"\xff\x10\x04Too many connections").expect("an error");
        assert_eq!((short.number, short.sqlstate.as_str()), (1040, ""));
        assert!(short.login_error().is_transient());
        assert!(Report::new(b"\xff").is_err());
    }
}
