//! Runs statements in a session and receives their answers, except the rows of a partition.

use industrydb_core::connector::ANSWER_BYTES;
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend::{self, BindError};

use crate::session::connect::{SETUP, Session};
use crate::sql::control;
use crate::wire::errors::{protocol, unexpected};
use crate::wire::{Buffer, Format};
use fallible_iterator::FallibleIterator;

impl Session {
    /// Sends a statement, whose answer is then to be received. A statement without parameters is
    /// sent as a script, so that it may be a COPY too.
    pub(crate) fn start(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        format: Format,
        stop: &Stop,
    ) -> Result<()> {
        if parameters.is_empty() && self.prefix.is_empty() {
            self.busy = true;
            return self.send(stop, |buffer| frontend::query(sql, buffer));
        }
        self.start_together(&[Step::Run(sql, parameters, format)], stop)
    }

    /// Sends statements together, after those of [`Session::prefix`], and receives the answers to
    /// the prefix.
    pub(crate) fn start_together(&mut self, steps: &[Step], stop: &Stop) -> Result<()> {
        self.busy = true;
        let prefix = std::mem::take(&mut self.prefix);
        let sent = self.send(stop, |buffer| {
            for sql in &prefix {
                run(sql, &[], &[Format::Text], buffer)?;
            }
            for step in steps {
                match step {
                    Step::Describe(sql) => {
                        frontend::parse("", sql, [], buffer)?;
                        frontend::describe(b'S', "", buffer)?;
                    }
                    Step::Run(sql, parameters, format) => run(sql, parameters, &[*format], buffer)?,
                    Step::Bind(sql, parameters) => {
                        frontend::parse("", sql, [], buffer)?;
                        frontend::describe(b'S', "", buffer)?;
                        bind(PORTAL, parameters, &[Format::Binary], buffer)?;
                    }
                    Step::Execute => {
                        frontend::execute(PORTAL, 0, buffer)?;
                        frontend::close(b'P', PORTAL, buffer)?;
                    }
                }
            }
            if !prefix.is_empty() {
                run(control::ROLLBACK, &[], &[Format::Text], buffer)?;
            }
            frontend::sync(buffer);
            Ok(())
        });
        let count = prefix.len();
        self.prefix = prefix;
        sent?;
        for place in 0..count {
            let answered = self.answer(stop);
            let is_ours = self
                .prefix
                .get(place)
                .is_some_and(|sql| control::OURS.contains(&sql.as_str()));
            answered.map_err(|error| if is_ours { error } else { error.context(SETUP) })?;
        }
        Ok(())
    }

    /// Sends a statement of any kind by the extended protocol, and has it described. Each column of
    /// the result has a format of its own, unless there is a single one for all.
    pub(crate) fn start_bound(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        formats: &[Format],
        stop: &Stop,
    ) -> Result<()> {
        self.busy = true;
        self.send(stop, |buffer| {
            frontend::parse("", sql, [], buffer)?;
            frontend::describe(b'S', "", buffer)?;
            bind("", parameters, formats, buffer)?;
            frontend::execute("", 0, buffer)?;
            frontend::sync(buffer);
            Ok(())
        })
    }

    /// Sends a statement like [`start_bound`](Session::start_bound), and asks for its first `count`
    /// rows only. The server keeps the statement until it is asked for the last row, or told to
    /// [stop](Session::stop_asking).
    pub(crate) fn start_asking(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        count: i32,
        stop: &Stop,
    ) -> Result<()> {
        self.busy = true;
        self.is_asking = true;
        self.send(stop, |buffer| {
            frontend::parse("", sql, [], buffer)?;
            frontend::describe(b'S', "", buffer)?;
            bind("", parameters, &[Format::Binary], buffer)?;
            frontend::execute("", count, buffer)?;
            frontend::flush(buffer);
            Ok(())
        })
    }

    /// Asks for the next `count` rows of the statement.
    pub(crate) fn ask_again(&mut self, count: i32, stop: &Stop) -> Result<()> {
        self.send(stop, |buffer| {
            frontend::execute("", count, buffer)?;
            frontend::flush(buffer);
            Ok(())
        })
    }

    /// Asks for no more rows of the statement; its answer then ends.
    pub(crate) fn stop_asking(&mut self, stop: &Stop) -> Result<()> {
        if !std::mem::take(&mut self.is_asking) {
            return Ok(());
        }
        self.send(stop, |buffer| {
            frontend::close(b'P', "", buffer)?;
            frontend::sync(buffer);
            Ok(())
        })
    }

    /// Runs a statement and returns its rows as text.
    pub(crate) fn rows(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        stop: &Stop,
    ) -> Result<TextRows> {
        self.start(sql, parameters, Format::Text, stop)?;
        let rows = self.collect(stop)?;
        self.check_encoding()?;
        Ok(rows)
    }

    /// Runs statements without parameters and without [`Session::prefix`], and returns their rows
    /// as text.
    pub(crate) fn script(&mut self, sql: &str, stop: &Stop) -> Result<TextRows> {
        self.busy = true;
        self.send(stop, |buffer| frontend::query(sql, buffer))?;
        self.collect(stop)
    }

    /// Receives the rows of all remaining statements that were sent together.
    pub(crate) fn collect(&mut self, stop: &Stop) -> Result<TextRows> {
        let mut rows = Collected::default();
        loop {
            match self.text_row(stop)? {
                Answer::Row(row) => rows.push(row)?,
                Answer::Complete => {}
                Answer::Ready => return Ok(rows.rows),
            }
        }
    }

    /// Receives the rows of the next statement of those that were sent together.
    pub(crate) fn answer(&mut self, stop: &Stop) -> Result<TextRows> {
        let mut rows = Collected::default();
        loop {
            match self.text_row(stop)? {
                Answer::Row(row) => rows.push(row)?,
                Answer::Complete => return Ok(rows.rows),
                Answer::Ready => return Err(unexpected("the answer to a statement")),
            }
        }
    }

    fn text_row(&mut self, stop: &Stop) -> Result<Answer> {
        let mut is_refused = false;
        loop {
            match self.receive(stop)? {
                Message::DataRow(body) => {
                    let buffer = body.buffer();
                    let row = body
                        .ranges()
                        .map(|range| {
                            Ok(range.map(|range| String::from_utf8_lossy(&buffer[range]).into()))
                        })
                        .collect()
                        .map_err(|e| protocol(&e))?;
                    return Ok(Answer::Row(row));
                }
                // Without this, the server would wait for rows forever. It ignores the Sync that
                // was already sent, so another one follows.
                Message::CopyInResponse(_) => {
                    is_refused = true;
                    let is_together = !self.prefix.is_empty();
                    self.send(stop, |buffer| {
                        frontend::copy_fail("there is nothing to copy", buffer)?;
                        if is_together {
                            frontend::sync(buffer);
                        }
                        Ok(())
                    })?;
                }
                Message::CommandComplete(_) | Message::EmptyQueryResponse => {
                    return Ok(Answer::Complete);
                }
                Message::ErrorResponse(body) => {
                    return Err(match self.fail(&body, stop) {
                        // The server reports a refused COPY as a cancelled query, but no time limit
                        // was exceeded.
                        Error::Timeout { message, code } if is_refused => Error::Query {
                            message,
                            code,
                            partition: None,
                            is_transient: false,
                        },
                        error => error,
                    });
                }
                Message::ReadyForQuery(body) => {
                    self.ready(body.status());
                    return Ok(Answer::Ready);
                }
                _ => {}
            }
        }
    }

    /// Runs a statement that may fail without harm to the session; returns its rows or its error.
    pub(crate) fn attempt(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        stop: &Stop,
    ) -> Result<std::result::Result<TextRows, Error>> {
        let is_alone = !self.prefix.is_empty() || !self.in_transaction;
        if !is_alone {
            self.script(control::SAVEPOINT, stop)?;
        }
        match self.rows(sql, parameters, stop) {
            Err(error @ Error::Query { .. }) => {
                if !is_alone {
                    self.script(control::ROLLBACK_TO, stop)?;
                }
                Ok(Err(error))
            }
            Err(other) => Err(other),
            Ok(rows) => Ok(Ok(rows)),
        }
    }
}

/// One event in the answer to some statements.
enum Answer {
    Row(Vec<Option<String>>),
    /// A statement has ended.
    Complete,
    /// All statements that were sent together have ended.
    Ready,
}

/// Rows of an answer that is not a read's result; their total size is limited.
#[derive(Default)]
struct Collected {
    rows: TextRows,
    bytes: usize,
}

impl Collected {
    fn push(&mut self, row: Vec<Option<String>>) -> Result<()> {
        let texts: usize = row.iter().flatten().map(String::len).sum();
        self.bytes += texts + size_of_val(row.as_slice()) + size_of_val(&row);
        check_length(self.bytes)?;
        self.rows.push(row);
        Ok(())
    }
}

/// Returns an error if an answer that is not a read's result is too long.
pub(crate) fn check_length(bytes: usize) -> Result<()> {
    if bytes <= ANSWER_BYTES {
        return Ok(());
    }
    Err(Error::connection(format!(
        "the server's answer to a question about the query, or to pre_execution_query, is longer than {} MiB",
        ANSWER_BYTES >> 20
    )))
}

/// One of several statements that are sent together.
pub(crate) enum Step<'a> {
    /// Parses a statement, and describes its parameters and columns.
    Describe(&'a str),
    /// Runs a statement with parameters; its values are sent in the format.
    Run(&'a str, &'a [Option<String>], Format),
    /// Parses, describes and plans a statement, which locks what it reads, and takes its snapshot.
    Bind(&'a str, &'a [Option<String>]),
    /// Runs the statement of the last [`Step::Bind`].
    Execute,
}

/// Name of the portal, a statement that is bound and not run yet.
const PORTAL: &str = "industrydb";

/// Rows of values as text; `None` is NULL.
pub(crate) type TextRows = Vec<Vec<Option<String>>>;

/// Writes the messages that run one statement with parameters, which are sent as text.
fn run(
    sql: &str,
    parameters: &[Option<String>],
    formats: &[Format],
    buffer: &mut Buffer,
) -> std::io::Result<()> {
    frontend::parse("", sql, [], buffer)?;
    bind("", parameters, formats, buffer)?;
    frontend::execute("", 0, buffer)
}

/// Writes the message that binds parameters to a parsed statement, and names the portal.
fn bind(
    portal: &str,
    parameters: &[Option<String>],
    formats: &[Format],
    buffer: &mut Buffer,
) -> std::io::Result<()> {
    let bound = frontend::bind(
        portal,
        "",
        [Format::Text as i16],
        parameters,
        |value: &Option<String>, buffer: &mut Buffer| {
            Ok(match value {
                Some(text) => {
                    buffer.extend_from_slice(text.as_bytes());
                    IsNull::No
                }
                None => IsNull::Yes,
            })
        },
        formats.iter().map(|format| *format as i16),
        buffer,
    );
    match bound {
        Ok(()) => Ok(()),
        Err(BindError::Serialization(error)) => Err(error),
        Err(BindError::Conversion(error)) => Err(std::io::Error::other(error)),
    }
}
