//! A session that the caller keeps.

use std::time::Instant;

use industrydb_core::dialect::Dialect;
use industrydb_core::field::reject_duplicate_names;
use industrydb_core::shape::begins_with;
use industrydb_core::statements::Statement;
use industrydb_core::tokens::single_statement;
use industrydb_core::{
    Answer, Columns, Connection, Error, Field, Frame, Meter, Narrowing, OnConflict, Output,
    Parameters, Request, Result, Stop,
};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use crate::read::kept::{KeptQuery, is_query};
use crate::read::rows;
use crate::read::rows::Rows;
use crate::read::typed::{field, with_types};
use crate::session::connect::Session;
use crate::session::describe;
use crate::session::describe::reject_changed;
use crate::session::repeated::{Repeated, is_control};
use crate::session::run::check_length;
use crate::sql::casts;
use crate::sql::dialect::{DIALECT, LEXICON};
use crate::sql::parameters;
use crate::sql::statements;
use crate::types::{self, Decoding, DescribedColumn};
use crate::wire::Format;
use crate::wire::errors::protocol;
use crate::write::insert::insert;

const IN_FAILED_SQL_TRANSACTION: &str = "25P02";

/// What has happened when a statement's columns turn out to be others than expected.
const NOT_READ: &str = "the statement has been run, and its rows cannot be read";

/// A session that may write.
pub(crate) struct PostgresConnection {
    session: Session,
    repeated: Repeated,
}

impl PostgresConnection {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            repeated: Repeated::default(),
        }
    }

    /// Returns the session, or an error if the session is in the middle of an answer.
    fn ready(&mut self) -> Result<&mut Session> {
        if self.session.busy {
            return Err(Error::connection(
                "the session is in the middle of an answer",
            ));
        }
        Ok(&mut self.session)
    }

    /// Runs a statement of any kind. One that is repeated needs a single round trip.
    fn run(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let lists = parameters::lists(parameters);
        let parameters = parameters::texts(parameters)?;
        let session = self.ready()?;
        if parameters.is_empty() && is_control(statement) {
            return changed(session, statement, &[], stop).map(Answer::Changed);
        }
        if self.repeated.knows(statement, &lists) {
            let answer = run_again(&mut self.session, statement, &parameters, stop);
            if answer.is_err() {
                self.repeated.forget(statement);
            }
            return answer;
        }
        let (answer, is_plain) = run(&mut self.session, statement, &parameters, &lists, stop)?;
        if is_plain {
            self.repeated.remember(statement, &lists);
        }
        Ok(answer)
    }
}

impl Connection for PostgresConnection {
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let answer = self.run(statement, parameters, stop);
        if !self.session.busy {
            self.session.restore_encoding(stop)?;
        }
        answer
    }

    fn describe(&mut self, request: &Request, stop: &Stop) -> Result<Columns> {
        let query = KeptQuery::describe(self.ready()?, request, stop)?;
        Ok(query.columns())
    }

    fn narrowed(
        &mut self,
        request: &Request,
        narrowing: &Narrowing,
        stop: &Stop,
    ) -> Result<Statement> {
        let session = self.ready()?;
        let query = KeptQuery::describe(session, request, stop)?;
        query.narrowed(session, request, narrowing, stop)
    }

    fn measuring(
        &mut self,
        request: &Request,
        columns: &[String],
        stop: &Stop,
    ) -> Result<Option<String>> {
        let query = KeptQuery::describe(self.ready()?, request, stop)?;
        Ok(Some(query.measuring(columns)))
    }

    fn read(
        &mut self,
        request: &Request,
        begin: &mut dyn FnMut(&[Field]) -> Result<()>,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        let session = self.ready()?;
        let query = KeptQuery::describe(session, request, stop)?;
        let read = query.read(session, begin, output, stop);
        if !session.busy {
            session.restore_encoding(stop)?;
        }
        read
    }

    fn end_statement(&mut self) -> Result<()> {
        self.session.end_statement()?;
        match self.session.restore_encoding(&Stop::default()) {
            Err(error) if self.session.busy => Err(error),
            _ => Ok(()),
        }
    }

    fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64> {
        insert(self.ready()?, table, frame, on_conflict, stop)
            .map_err(|error| self.session.with_near_table(error, table, stop))
    }

    fn has_table(&mut self, table: &str, stop: &Stop) -> Result<bool> {
        let table = DIALECT.table(table)?;
        let rows = self
            .ready()?
            .rows(statements::HAS_TABLE, &[Some(table)], stop)?;
        Ok(rows
            .into_iter()
            .flatten()
            .flatten()
            .any(|value| value == "t"))
    }

    fn in_transaction(&self) -> Option<bool> {
        Some(self.session.in_transaction)
    }

    fn checks_often(&self) -> bool {
        true
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}

/// Runs a statement of any kind; returns its answer, and whether it has no columns or such as
/// [`run_again`] can read.
fn run(
    session: &mut Session,
    statement: &str,
    parameters: &[Option<String>],
    lists: &[bool],
    stop: &Stop,
) -> Result<(Answer, bool)> {
    if begins_with(statement, LEXICON, &["COPY"]) {
        return Err(Error::configuration(
            "execute copies nothing: COPY moves rows by a protocol of its own",
        ));
    }
    let description = describe::described(session, statement, parameters.len(), stop)
        .map_err(|error| session.explained(error, statement, statement, stop))?;
    description.reject_lists(lists, session, stop)?;
    match description.columns {
        None => {
            let count = changed(session, statement, parameters, stop)?;
            Ok((Answer::Changed(count), true))
        }
        Some(columns) => {
            let as_described = Request::of(statement, &Parameters::default(), &[]);
            returned(
                session,
                statement,
                parameters,
                &columns,
                &as_described,
                stop,
            )
        }
    }
}

/// Runs a statement that has run before, and describes it meanwhile.
fn run_again(
    session: &mut Session,
    statement: &str,
    parameters: &[Option<String>],
    stop: &Stop,
) -> Result<Answer> {
    session.may_wait_since = Some(Instant::now());
    session.start_bound(statement, parameters, &[Format::Binary], stop)?;
    let description = describe::description(session, stop)
        .map_err(|error| session.explained(error, statement, statement, stop))?;
    session.may_wait_since = None;
    let Some(columns) = description.columns else {
        return received_count(session, statement, stop).map(Answer::Changed);
    };
    let found = plain(&columns).ok_or_else(|| {
        let message =
            "its columns have changed since it ran last; the next time, it is described first";
        describe::changed(message.to_owned()).context(NOT_READ)
    });
    let found = found.and_then(|found| reject_duplicate_names(&found.0).map(|()| found));
    match found {
        Ok((fields, decodings)) => received_rows(session, &fields, &decodings, stop),
        Err(error) => {
            session.finish(stop)?;
            Err(error)
        }
    }
}

/// Returns the fields of columns and how they are decoded, if the types are the server's own, and
/// it sends all values as they are.
fn plain(columns: &[DescribedColumn]) -> Option<(Vec<Field>, Vec<Decoding>)> {
    let column = |column: &DescribedColumn| {
        let entry = types::built_in(column.oid, column.modifier)?;
        let is_plain = !casts::is_cast(&entry.decoding);
        is_plain.then(|| (field(column, &entry), entry.decoding))
    };
    columns.iter().map(column).collect()
}

/// Runs a statement that returns rows, with the types that the request asks for.
fn returned(
    session: &mut Session,
    statement: &str,
    parameters: &[Option<String>],
    columns: &[DescribedColumn],
    request: &Request,
    stop: &Stop,
) -> Result<(Answer, bool)> {
    let (mut fields, typed) = with_types(columns, request, session, stop)?;
    let is_built_in = typed.iter().all(|column| column.is_built_in);
    let mut decodings: Vec<Decoding> = typed
        .into_iter()
        .map(|column| column.entry.decoding)
        .collect();
    reject_duplicate_names(&fields)?;
    // A semicolon cannot stand in a subquery.
    let mut statement = single_statement(statement, LEXICON)
        .unwrap_or(statement)
        .to_owned();
    let cast = statements::with_casts(&statement, &fields, &decodings);
    let mut formats = vec![Format::Binary; decodings.len()];
    if cast != statement {
        if is_query(&statement) {
            statement = cast;
        } else {
            // The statement cannot be a subquery of one that casts its columns, so the server sends
            // these columns as text.
            for ((field, decoding), format) in
                fields.iter_mut().zip(&mut decodings).zip(&mut formats)
            {
                if casts::cast(decoding, "").is_some() {
                    *decoding = Decoding::Text;
                    *format = Format::Text;
                    *field = Field::new(&field.name, &field.database_type, decoding.column_type());
                }
            }
        }
    }
    session.start_bound(&statement, parameters, &formats, stop)?;
    let found = describe::description(session, stop)?
        .columns
        .unwrap_or_default();
    if let Err(error) = reject_changed(columns, &found, &decodings) {
        session.finish(stop)?;
        return Err(error.context(NOT_READ));
    }
    let answer = received_rows(session, &fields, &decodings, stop)?;
    let is_plain = is_built_in && !decodings.iter().any(casts::is_cast);
    Ok((answer, is_plain && !formats.contains(&Format::Text)))
}

/// Receives the rows of a statement that was sent.
fn received_rows(
    session: &mut Session,
    fields: &[Field],
    decodings: &[Decoding],
    stop: &Stop,
) -> Result<Answer> {
    let rows = Rows::new(fields, decodings);
    let collected = Output::whole(&Meter::default(), |output| {
        let chunk = rows::collect(session, rows, output, stop)?;
        session.collect(stop)?;
        output.push(chunk)
    });
    match collected {
        Ok(chunk) => Ok(Answer::Rows(fields.to_vec(), chunk)),
        // The rest of the answer is still to come.
        Err(error @ Error::Conversion(_)) => {
            session.finish(stop)?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

fn is_commit(statement: &str) -> bool {
    begins_with(statement, LEXICON, &["COMMIT", "END", "PREPARE"])
}

/// Runs a statement that returns no rows; returns the number of rows that it has changed.
fn changed(
    session: &mut Session,
    statement: &str,
    parameters: &[Option<String>],
    stop: &Stop,
) -> Result<u64> {
    session.start_bound(statement, parameters, &[], stop)?;
    received_count(session, statement, stop)
}

/// Receives the number of changed rows of a statement that was sent.
fn received_count(session: &mut Session, statement: &str, stop: &Stop) -> Result<u64> {
    let (mut count, mut is_undone, mut is_empty) = (0, false, false);
    let mut bytes = 0;
    loop {
        match session.receive(stop)? {
            // There are none, but a false server might send them for ever.
            Message::DataRow(body) => {
                bytes += body.buffer().len() + size_of_val(&body);
                check_length(bytes)?;
            }
            Message::CommandComplete(body) => {
                let tag = body.tag().map_err(|e| protocol(&e))?;
                // The server answers a COMMIT this way if a statement of the transaction has
                // failed.
                is_undone = tag == "ROLLBACK" && is_commit(statement);
                let digits = tag.rsplit(' ').next().unwrap_or_default();
                count = digits.parse().unwrap_or_default();
            }
            Message::EmptyQueryResponse => is_empty = true,
            // Without this, the server would wait for rows forever.
            Message::CopyInResponse(_) => {
                session.send(stop, |buffer| {
                    frontend::copy_fail("execute copies nothing", buffer)
                })?;
                session.send(stop, |buffer| {
                    frontend::sync(buffer);
                    Ok(())
                })?;
            }
            Message::ErrorResponse(body) => {
                return Err(session.fail(&body, stop));
            }
            Message::ReadyForQuery(body) => {
                session.ready(body.status());
                if is_empty {
                    return Err(Error::configuration("there is no statement"));
                }
                if is_undone {
                    return Err(Error::Query {
                        message:
                            "a statement of the transaction has failed, so nothing of it was kept"
                                .to_owned(),
                        code: Some(IN_FAILED_SQL_TRANSACTION.to_owned()),
                        partition: None,
                        is_transient: false,
                    });
                }
                return Ok(count);
            }
            _ => {}
        }
    }
}
