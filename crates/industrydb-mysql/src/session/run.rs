//! Runs statements in a session, and receives their answers as text.

use industrydb_core::connector::ANSWER_BYTES;
use industrydb_core::shape::{begins_with, has_word};
use industrydb_core::{Error, Result, Stop};

use crate::session::connect::{Expected, Session};
use crate::sql::control;
use crate::types::DescribedColumn;
use crate::wire::bytes::Bytes;
use crate::wire::errors::{Report, unexpected};
use crate::wire::packet::{
    self, ERROR, Ended, LOCAL_INFILE, OK, is_end, reject_file_request, status,
};

/// Command that runs a statement, whose rows come as text.
const QUERY: u8 = 0x03;

/// Rows of values as text; `None` is NULL.
pub(crate) type TextRows = Vec<Vec<Option<String>>>;

/// First part of the answer to a statement.
pub(crate) enum Answer {
    /// The statement has no rows, and has ended.
    Ended(Ended),
    /// Rows with these columns follow.
    Rows(Vec<DescribedColumn>),
    /// The server asks for the file that was announced.
    File,
}

impl Session {
    /// Runs a statement, and drops its rows.
    pub(crate) fn run(&mut self, sql: &str, stop: &Stop) -> Result<Ended> {
        self.query(sql, stop)?;
        let (_, ended) = self.text_rows(stop)?;
        Ok(ended)
    }

    /// Runs a statement, and returns its rows as text.
    pub(crate) fn rows(&mut self, sql: &str, stop: &Stop) -> Result<TextRows> {
        self.query(sql, stop)?;
        self.text_rows(stop).map(|(rows, _)| rows)
    }

    /// Sends a statement.
    pub(crate) fn query(&mut self, sql: &str, stop: &Stop) -> Result<()> {
        let mut body = Vec::with_capacity(sql.len() + 1);
        body.push(QUERY);
        body.extend_from_slice(sql.as_bytes());
        self.command(&body, stop)
    }

    /// Sends a command, whose answer is then to be received.
    pub(crate) fn command(&mut self, body: &[u8], stop: &Stop) -> Result<()> {
        self.busy = true;
        self.expected = Expected::Unknown;
        self.wire.command(body, stop)?;
        self.expected = Expected::Answer;
        Ok(())
    }

    /// Receives the first part of the answer to a statement. A file that the server asks for is
    /// refused, unless it has the announced name.
    pub(crate) fn answer(&mut self, announced: Option<&str>, stop: &Stop) -> Result<Answer> {
        let packet = self.wire.next(stop)?;
        self.expected = Expected::Unknown;
        let body = self.wire.body(packet);
        match body.first() {
            Some(&OK) => {
                let ended = packet::ended(body)?;
                self.end(ended);
                Ok(Answer::Ended(ended))
            }
            Some(&ERROR) => Err(self.failed(packet)),
            Some(&LOCAL_INFILE) => {
                let name = String::from_utf8_lossy(&body[1..]).into_owned();
                if announced == Some(name.as_str()) {
                    return Ok(Answer::File);
                }
                let refused = reject_file_request(body);
                self.wire.send(&[], stop)?; // an empty file
                let packet = self.wire.next(stop)?;
                let body = self.wire.body(packet);
                match body.first() {
                    Some(&OK) => {
                        let ended = packet::ended(body)?;
                        self.end(ended);
                        Err(refused)
                    }
                    Some(&ERROR) => match self.failed(packet) {
                        Error::Query { .. } => Err(refused),
                        error => Err(error),
                    },
                    _ => Err(unexpected("the end of a statement")),
                }
            }
            _ => {
                let mut bytes = Bytes(body);
                let count = bytes.integer().filter(|_| bytes.0.is_empty());
                let count = count.and_then(|count| u16::try_from(count).ok());
                let count = count.ok_or_else(|| unexpected("the number of columns"))?;
                let columns = self.columns(usize::from(count), stop)?;
                self.expected = Expected::Rows;
                Ok(Answer::Rows(columns))
            }
        }
    }

    /// Receives the descriptions of columns or parameters.
    pub(crate) fn columns(&mut self, count: usize, stop: &Stop) -> Result<Vec<DescribedColumn>> {
        let mut columns = Vec::with_capacity(count);
        for _ in 0..count {
            let packet = self.wire.next(stop)?;
            let body = self.wire.body(packet);
            if body.first() == Some(&ERROR) {
                return Err(self.failed(packet));
            }
            columns.push(packet::column(body, self.greeting.is_extended)?);
        }
        if count > 0 && !self.greeting.deprecates_eof {
            let packet = self.wire.next(stop)?;
            if !is_end(self.wire.body(packet)) {
                return Err(unexpected("the end of the columns"));
            }
        }
        Ok(columns)
    }

    /// Receives all that is left of the answer to a statement: the rows of its first result, the end
    /// of its last.
    pub(crate) fn text_rows(&mut self, stop: &Stop) -> Result<(TextRows, Ended)> {
        let mut rows = TextRows::new();
        let mut is_first = true;
        loop {
            let ended = match self.answer(None, stop)? {
                Answer::Ended(ended) => ended,
                Answer::File => return Err(unexpected("rows")),
                Answer::Rows(columns) => {
                    let found = self.result(columns.len(), stop)?;
                    if is_first {
                        rows = found.0;
                    }
                    is_first = false;
                    found.1
                }
            };
            if ended.status & status::MORE_RESULTS == 0 {
                return Ok((rows, ended));
            }
        }
    }

    /// Receives the text rows of one result.
    fn result(&mut self, count: usize, stop: &Stop) -> Result<(TextRows, Ended)> {
        let mut rows = TextRows::new();
        let mut size = 0;
        loop {
            let packet = self.wire.next(stop)?;
            let body = self.wire.body(packet);
            if is_end(body) {
                let ended = packet::ended(body)?;
                self.end(ended);
                return Ok((rows, ended));
            }
            if body.first() == Some(&ERROR) {
                return Err(self.failed(packet));
            }
            size += body.len() + count * size_of::<Option<String>>();
            if size > ANSWER_BYTES {
                return Err(Error::connection(format!(
                    "the server's answer to a question about the query, or to pre_execution_query, is longer than {} MiB",
                    ANSWER_BYTES >> 20
                )));
            }
            let mut bytes = Bytes(body);
            let value = |_| {
                if bytes.null() {
                    return Some(None);
                }
                let text = String::from_utf8_lossy(bytes.text()?);
                Some(Some(text.into_owned()))
            };
            let row: Option<Vec<_>> = (0..count).map(value).collect();
            rows.push(row.ok_or_else(|| unexpected("a row"))?);
        }
    }

    /// Discards the rows of a result, and all that is left of the answer.
    pub(crate) fn discard(&mut self, stop: &Stop) -> Result<()> {
        loop {
            let packet = self.wire.next(stop)?;
            let body = self.wire.body(packet);
            if is_end(body) {
                let ended = packet::ended(body)?;
                self.end(ended);
                return self.finish(ended, stop);
            }
            if body.first() == Some(&ERROR) {
                return Err(self.failed(packet));
            }
        }
    }

    /// Discards the rest of an answer, after the end of one of its results.
    pub(crate) fn finish(&mut self, ended: Ended, stop: &Stop) -> Result<()> {
        if ended.status & status::MORE_RESULTS != 0 {
            self.text_rows(stop)?;
        }
        Ok(())
    }

    /// Restores the settings by which values are read and written after a statement that may have
    /// changed them otherwise than by their plain names.
    pub(crate) fn restore_settings(&mut self, statement: &str, stop: &Stop) -> Result<()> {
        const PROGRAMS: [&str; 3] = ["CALL", "EXECUTE", "SET"];
        let lexicon = self.mode.lexicon();
        let is_block = begins_with(statement, lexicon, &["BEGIN"])
            && has_word(statement, lexicon, &["ATOMIC"]);
        if is_block || begins_with(statement, lexicon, &PROGRAMS) {
            self.run(control::RESTORED, stop)?;
        }
        Ok(())
    }

    /// Keeps the status that came with the end of a statement or of one of its results.
    pub(crate) fn end(&mut self, ended: Ended) {
        self.status = ended.status;
        self.busy = ended.status & status::MORE_RESULTS != 0;
        self.expected = Expected::Answer;
    }

    /// Returns the error of a packet, with which the statement has ended.
    pub(crate) fn failed(&mut self, packet: crate::wire::socket::Packet) -> Error {
        match Report::new(self.wire.body(packet)) {
            Ok(report) => {
                self.busy = false;
                self.refused = report.refused();
                report.query_error()
            }
            Err(error) => error,
        }
    }
}
