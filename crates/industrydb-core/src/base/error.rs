//! Error type of the workspace, with the context that a reader of the message needs.

use std::fmt;
use std::time::Duration;

/// Result of the workspace's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Result of a decoder or builder for one cell; see [`CellError`].
pub type CellResult<T = ()> = std::result::Result<T, Box<CellError>>;

/// Everything that can go wrong; each variant becomes one Python exception.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's arguments, or the order of its calls, cannot be carried out.
    #[error("{0}")]
    Configuration(String),

    /// No session with the database could be opened, or an open one broke.
    #[error("{}", Coded(message, code))]
    Connection {
        /// What happened, and what to check.
        message: String,
        /// The database's own code, such as an SQLSTATE or an SQLite result code.
        code: Option<String>,
        /// See [`Error::is_transient`].
        is_transient: bool,
    },

    /// The database refused or failed to run a statement.
    #[error("{}{}", InPartition(*partition), Coded(message, code))]
    Query {
        /// The database's own message, with its detail and hint.
        message: String,
        /// The database's own code, such as an SQLSTATE or an SQLite result code.
        code: Option<String>,
        /// The partition, counted from 1, whose statement failed; `None` if there is only one.
        partition: Option<usize>,
        /// See [`Error::is_transient`].
        is_transient: bool,
    },

    /// A row breaks a constraint of its table.
    #[error("{}", Coded(message, code))]
    Constraint {
        /// The database's own message, with its detail and hint.
        message: String,
        /// The database's own code.
        code: Option<String>,
        /// The constraint's name, if the database reports it.
        constraint: Option<String>,
        /// The table, if the database reports it.
        table: Option<String>,
        /// The column or columns, if the database reports them.
        column: Option<String>,
    },

    /// A statement or a call was ended because it took too long.
    #[error("{}", Coded(message, code))]
    Timeout {
        /// Message that says which limit was reached.
        message: String,
        /// The database's own code.
        code: Option<String>,
    },

    /// A value does not fit the type of its column.
    #[error("{0}")]
    Conversion(Box<ConversionError>),

    /// The caller asked for the work to end, by Ctrl-C for example.
    #[error("the read was interrupted")]
    Interrupted,

    /// The session that was to be used is no longer open.
    #[error("the connection is closed{0}")]
    Closed(String),

    /// A defect of this library; never expected.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

impl Error {
    /// Creates an [`Error::Configuration`] with this message.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration(message.into())
    }

    /// Creates an [`Error::Timeout`] for a call that exceeded its timeout; `wait` is what it waited
    /// for.
    pub fn timed_out(timeout: Duration, wait: Option<&str>) -> Self {
        let waited = wait.map_or_else(String::new, |wait| format!(", while {wait}"));
        Self::Timeout {
            message: format!(
                "the call was ended after its timeout of {} s{waited}",
                timeout.as_secs_f64()
            ),
            code: None,
        }
    }

    /// Creates an [`Error::Connection`] with this message and no code, which a retry would not
    /// change.
    pub fn connection(message: impl Into<String>) -> Self {
        Self::Connection {
            message: message.into(),
            code: None,
            is_transient: false,
        }
    }

    /// Creates an [`Error::Connection`] that a retry may resolve: the server does not answer, or
    /// has closed the connection.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::Connection {
            message: message.into(),
            code: None,
            is_transient: true,
        }
    }

    /// Returns whether a retry of the same work may succeed, as the connector classifies the error:
    /// a broken connection, a server without a free session, a deadlock, a lock. A refused login is
    /// not transient.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Connection {
                is_transient: true,
                ..
            } | Self::Query {
                is_transient: true,
                ..
            }
        )
    }

    /// Returns the database's own code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Connection { code, .. }
            | Self::Query { code, .. }
            | Self::Constraint { code, .. }
            | Self::Timeout { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// Prefixes the database's message with the statement that it is about.
    #[must_use]
    pub fn context(mut self, what: &str) -> Self {
        if let Self::Query { message, .. }
        | Self::Constraint { message, .. }
        | Self::Timeout { message, .. } = &mut self
        {
            *message = format!("{what}: {message}");
        }
        self
    }

    /// Returns the error of a statement whose work stays once it is done, such as a commit: if the
    /// session was lost, the database may have done it, and a repetition would do it twice.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = industrydb_core::Error::unreachable("no answer").of_lasting_work();
    /// assert!(!error.is_transient());
    /// assert!(error.to_string().contains("look before you repeat it"));
    /// ```
    #[must_use]
    pub fn of_lasting_work(self) -> Self {
        match self {
            Self::Connection { message, code, .. } => Self::Connection {
                message: format!(
                    "{message}; the database may have committed before the session was lost: look before you repeat it"
                ),
                code,
                is_transient: false,
            },
            other => other,
        }
    }

    /// Adds a line to the message that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        if let Some(message) = self.message() {
            *message += "\nHINT: ";
            *message += hint;
        }
        self
    }

    /// Adds the place in a statement that the error is about, as [`place`](crate::mistakes::place)
    /// shows it, behind the first line of the message.
    #[must_use]
    pub fn placed(mut self, place: &str) -> Self {
        if let Some(message) = self.message() {
            message.insert_str(first_line(message), place);
        }
        self
    }

    /// Returns the message of the database, or of the configuration.
    fn message(&mut self) -> Option<&mut String> {
        match self {
            Self::Configuration(message)
            | Self::Connection { message, .. }
            | Self::Query { message, .. }
            | Self::Constraint { message, .. }
            | Self::Timeout { message, .. } => Some(message),
            _ => None,
        }
    }

    /// Adds the partition, counted from 1, to errors that have a field for it.
    #[must_use]
    pub fn in_partition(mut self, number: usize) -> Self {
        match &mut self {
            Self::Query { partition, .. } => *partition = Some(number),
            Self::Conversion(error) => error.partition = Some(number),
            _ => {}
        }
        self
    }
}

/// Error of one value, as a decoder reports it. A decoder does not know the value's column and row,
/// which [`at`](CellError::at) adds.
#[derive(Debug, Clone)]
pub struct CellError {
    /// The value as the database would print it, if it is known.
    pub value: Option<String>,
    /// Why the value does not fit.
    pub reason: String,
    /// What the user can do.
    pub remedy: String,
}

impl CellError {
    /// Creates a boxed error, as [`CellResult`] carries it.
    pub fn new(
        value: impl Into<Option<String>>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self {
            value: value.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        })
    }

    /// Creates the error for bytes that do not have the format of their type.
    pub fn malformed(what: impl Into<String>) -> Box<Self> {
        Self::new(
            None,
            what,
            "this is not what the database's protocol promises",
        )
    }

    /// Adds the column, its type in the database, and the row, counted from 1 within the partition.
    pub fn at(self: Box<Self>, column: &str, database_type: &str, row: Option<usize>) -> Error {
        Error::Conversion(Box::new(ConversionError {
            column: column.to_owned(),
            database_type: database_type.to_owned(),
            row,
            partition: None,
            cell: *self,
        }))
    }
}

/// Error of a value that does not fit its column, with the value's place.
#[derive(Debug, Clone)]
pub struct ConversionError {
    /// The column's name.
    pub column: String,
    /// The column's type in the database.
    pub database_type: String,
    /// The row within its partition, counted from 1.
    pub row: Option<usize>,
    /// The partition, counted from 1; `None` if there is only one.
    pub partition: Option<usize>,
    /// The value, the reason why it does not fit, and the remedy.
    pub cell: CellError,
}

impl fmt::Display for ConversionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {:?}", self.column)?;
        if !self.database_type.is_empty() {
            write!(f, " ({})", self.database_type)?;
        }
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
            if let Some(partition) = self.partition {
                write!(f, " of partition {partition}")?;
            }
        }
        write!(f, ": ")?;
        if let Some(value) = &self.cell.value {
            write!(f, "{} ", shortened(value))?;
        }
        write!(f, "{}; {}", self.cell.reason, self.cell.remedy)
    }
}

/// Largest number of characters of a value that a message shows.
const MAX_SHOWN_CHARS: usize = 80;

fn shortened(value: &str) -> String {
    match value.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", &value[..end], value.len()),
        None => value.to_owned(),
    }
}

/// A message with the database's code at the end of its first line.
struct Coded<'a>(&'a str, &'a Option<String>);

impl fmt::Display for Coded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(message, code) = self;
        let (first, rest) = message.split_at(first_line(message));
        f.write_str(first)?;
        if let Some(code) = code {
            write!(f, " [{code}]")?;
        }
        f.write_str(rest)
    }
}

/// Returns the length of a message's first line.
fn first_line(message: &str) -> usize {
    message.find('\n').unwrap_or(message.len())
}

struct InPartition(Option<usize>);

impl fmt::Display for InPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(partition) => write!(f, "partition {partition}: "),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversion_error_says_where_what_and_what_to_do() {
        let error = CellError::new("1e40".to_owned(), "does not fit", "cast it to text")
            .at("price", "numeric", Some(7))
            .in_partition(2);
        assert_eq!(
            error.to_string(),
            r#"column "price" (numeric), row 7 of partition 2: 1e40 does not fit; cast it to text"#
        );
    }

    #[test]
    fn the_code_is_behind_the_first_line() {
        let error = Error::Query {
            message: "no such table: oders".to_owned(),
            code: Some("SQLITE_ERROR".to_owned()),
            partition: Some(2),
            is_transient: false,
        };
        assert_eq!(
            error
                .hint("did you mean orders?")
                .placed("\nLINE 1: x")
                .to_string(),
            "partition 2: no such table: oders [SQLITE_ERROR]\nLINE 1: x\nHINT: did you mean orders?"
        );
    }

    #[test]
    fn a_long_value_is_shortened_at_a_character() {
        assert_eq!(
            shortened(&"ä".repeat(100)),
            format!("{}… (200 bytes)", "ä".repeat(80))
        );
    }
}
