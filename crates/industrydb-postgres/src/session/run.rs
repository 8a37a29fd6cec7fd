//! Statements of a session: what is sent, and the answers beside the rows of a partition.

use industrydb_core::connector::ANSWER_BYTES;
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend::{self, BindError};

use crate::session::connect::{SETUP, Session};
use crate::sql::control;
use crate::wire::Buffer;
use crate::wire::errors::{protocol, unexpected};
use fallible_iterator::FallibleIterator;

/// How the server is to write the values of a result.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Format {
    Text = 0,
    Binary = 1,
}

impl Session {
    /// Sends a statement, whose answer is then to be received. Without parameters it goes as a
    /// script, so that it may be a COPY too.
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

    /// Sends statements in one message, behind those in front of every one; the answers to these
    /// have been received then.
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

    /// Sends a statement by the extended protocol, which takes one that returns rows of any kind,
    /// and has it described. Each column's values come in a format of its own.
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

    /// Runs statements without parameters and returns their rows as text, whatever stands in front
    /// of others.
    pub(crate) fn script(&mut self, sql: &str, stop: &Stop) -> Result<TextRows> {
        self.busy = true;
        self.send(stop, |buffer| frontend::query(sql, buffer))?;
        self.collect(stop)
    }

    /// The rows of all statements up to the end of the message.
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

    /// The rows of the next statement of a message.
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
                // The server would wait for rows for ever, and passes over the end of the message.
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
                        // The server calls it a cancelled query, which took too long for nobody.
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

    /// Runs a statement which may fail and leave the session as it was: then there are no rows.
    pub(crate) fn attempt(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
        stop: &Stop,
    ) -> Result<std::result::Result<TextRows, Error>> {
        let is_alone = !self.prefix.is_empty();
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

/// A part of the answer to some statements.
enum Answer {
    Row(Vec<Option<String>>),
    /// A statement has ended.
    Complete,
    /// The message has ended.
    Ready,
}

/// The rows of an answer, which are no user's and are bounded.
#[derive(Default)]
struct Collected {
    rows: TextRows,
    bytes: usize,
}

impl Collected {
    fn push(&mut self, row: Vec<Option<String>>) -> Result<()> {
        let texts: usize = row.iter().flatten().map(String::len).sum();
        self.bytes += texts + size_of_val(row.as_slice()) + size_of_val(&row);
        if self.bytes > ANSWER_BYTES {
            return Err(Error::connection(format!(
                "the server's answer to a question about the query, or to pre_execution_query, is longer than {} MiB",
                ANSWER_BYTES >> 20
            )));
        }
        self.rows.push(row);
        Ok(())
    }
}

/// A statement of a message of several.
pub(crate) enum Step<'a> {
    /// To be parsed, and its columns described.
    Describe(&'a str),
    /// To be run, with parameters, its values written in a format.
    Run(&'a str, &'a [Option<String>], Format),
    /// To be parsed, described and planned, which locks what it reads, and given its snapshot.
    Bind(&'a str, &'a [Option<String>]),
    /// What was bound is to be run.
    Execute,
}

/// The name of what is bound, and not run yet.
const PORTAL: &str = "industrydb";

/// Rows of values as text; `None` is NULL.
pub(crate) type TextRows = Vec<Vec<Option<String>>>;

/// The messages that run one statement with parameters, which travel as text.
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

/// The message that gives a parsed statement its parameters, and what comes of it a name.
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
