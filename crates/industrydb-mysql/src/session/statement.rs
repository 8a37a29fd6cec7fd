//! Prepared statements, whose rows come in binary.

use industrydb_core::{Error, Result, Stop};

use crate::encode::parameters::Parameter;
use crate::session::connect::{Expected, Session};
use crate::session::prepared::Statement;
use crate::session::run::Answer;
use crate::wire::errors::UNSUPPORTED_PREPARED;
use crate::wire::packet::{self, ERROR};

const PREPARE: u8 = 0x16;
pub(crate) const EXECUTE: u8 = 0x17;
const CLOSE: u8 = 0x19;

impl Session {
    /// Prepares a statement, or returns it if it is the last one that was prepared here.
    pub(crate) fn prepare_kept(&mut self, sql: &str, stop: &Stop) -> Result<Statement> {
        match self.prepared.take() {
            Some((text, statement)) if text == sql => {
                self.prepared = Some((text, statement.clone()));
                return Ok(statement);
            }
            Some((_, statement)) => self.close(&statement, stop)?,
            None => {}
        }
        let statement = self.prepare(sql, stop)?;
        self.prepared = Some((sql.to_owned(), statement.clone()));
        Ok(statement)
    }

    /// Has the server prepare a statement, which runs nothing.
    pub(crate) fn prepare(&mut self, sql: &str, stop: &Stop) -> Result<Statement> {
        let mut body = Vec::with_capacity(sql.len() + 1);
        body.push(PREPARE);
        body.extend_from_slice(sql.as_bytes());
        self.command(&body, stop)?;
        self.expected = Expected::Prepared;
        self.prepared_answer(stop)
    }

    /// Receives the description of a statement that the server was told to prepare.
    pub(crate) fn prepared_answer(&mut self, stop: &Stop) -> Result<Statement> {
        let packet = self.wire.next(stop)?;
        self.expected = Expected::Unknown;
        let body = self.wire.body(packet);
        if body.first() == Some(&ERROR) {
            return Err(self.failed(packet));
        }
        if let Some(ended) = packet::not_prepared(body)? {
            self.end(ended);
            return Err(unsupported());
        }
        let header = packet::prepared(body)?;
        self.columns(header.parameters, stop)?;
        let columns = self.columns(header.columns, stop)?;
        self.busy = false;
        Ok(Statement {
            id: header.id,
            columns,
            parameters: header.parameters,
        })
    }

    /// Runs a prepared statement, and receives the first part of its answer.
    pub(crate) fn execute(
        &mut self,
        statement: &Statement,
        parameters: &[Parameter],
        stop: &Stop,
    ) -> Result<Answer> {
        statement.reject_other_count(parameters.len())?;
        let mut body = vec![EXECUTE];
        body.extend_from_slice(&statement.id.to_le_bytes());
        body.push(0); // no cursor
        body.extend_from_slice(&1_u32.to_le_bytes()); // once
        if !parameters.is_empty() {
            let mut nulls = vec![0_u8; parameters.len().div_ceil(8)];
            for (index, parameter) in parameters.iter().enumerate() {
                nulls[index / 8] |= u8::from(parameter.is_null()) << (index % 8);
            }
            body.extend_from_slice(&nulls);
            body.push(1); // the types follow
            for parameter in parameters {
                body.extend_from_slice(&parameter.type_code());
            }
            for parameter in parameters {
                parameter.write(&mut body);
            }
        }
        self.command(&body, stop)?;
        self.answer(None, stop)
    }

    /// Forgets a prepared statement; the server sends no answer.
    pub(crate) fn close(&mut self, statement: &Statement, stop: &Stop) -> Result<()> {
        let mut body = vec![CLOSE];
        body.extend_from_slice(&statement.id.to_le_bytes());
        self.wire.command(&body, stop)
    }
}

/// Returns the error of a statement that the server neither prepares nor refuses, such as `HELP`.
fn unsupported() -> Error {
    Error::Query {
        message: "the server does not prepare this statement".to_owned(),
        code: Some(UNSUPPORTED_PREPARED.to_string()),
        partition: None,
        is_transient: false,
    }
}
