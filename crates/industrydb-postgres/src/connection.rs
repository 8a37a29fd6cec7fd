//! A session that the caller keeps.

use industrydb_core::dialect::Dialect;
use industrydb_core::field::reject_duplicate_names;
use industrydb_core::shape::has_word;
use industrydb_core::tokens::{first_word, single_statement};
use industrydb_core::{
    Answer, ColumnType, Connection, Error, Field, Frame, Meter, OnConflict, Output, Parameters,
    Request, Result, Stop,
};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use crate::read::rows;
use crate::read::rows::Rows;
use crate::read::typed::{returns_no_rows, with_types};
use crate::session::connect::Session;
use crate::session::describe;
use crate::session::describe::reject_changed;
use crate::session::repeated::{Kind, Named, Repeated, Shape, Way};
use crate::sql::casts;
use crate::sql::control;
use crate::sql::dialect::{DIALECT, LEXICON};
use crate::sql::parameters;
use crate::sql::statements;
use crate::types::Decoding;
use crate::types::DescribedColumn;
use crate::wire::Format;
use crate::wire::errors::protocol;
use crate::write::insert::insert;

const IN_FAILED_SQL_TRANSACTION: &str = "25P02";

/// SQLSTATEs of a named statement whose columns would no longer be those that it was described
/// with, or that the server does not know.
const REFUSED_AGAIN: [&str; 2] = ["0A000", "26000"];

/// A session that may write.
pub(crate) struct PostgresConnection {
    session: Session,
    repeated: Repeated,
    /// Whether the server's process is this session's alone, once that was asked. A pooler may
    /// give it to others, and forgets named statements.
    is_alone: Option<bool>,
}

impl PostgresConnection {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            repeated: Repeated::default(),
            is_alone: None,
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

    /// Runs a statement of any kind. One that is repeated is parsed and described only twice.
    fn run(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let parameters = parameters::texts(parameters)?;
        let kind = Kind::of(statement);
        let state = self.ready()?.state();
        self.repeated.notice(kind, state);
        let once = Target::once(statement);
        if kind.is_control() && parameters.is_empty() {
            let count = changed(&mut self.session, &once, &[], stop)?;
            return Ok(Answer::Changed(count));
        }
        if kind != Kind::Repeatable || self.is_alone == Some(false) {
            return Ok(run(&mut self.session, &once, &parameters, stop)?.0);
        }
        match self.repeated.way(statement, state) {
            Way::Name(name) if self.is_alone(stop)? => {
                let target = Target {
                    text: statement,
                    name: &name,
                    dropped: &self.repeated.take_dropped(),
                };
                let mut ran = run(&mut self.session, &target, &parameters, stop);
                if let Ok((_, Some(shape))) = &mut ran {
                    let named = Named {
                        name,
                        parameters: parameters.len(),
                        shape: std::mem::take(shape),
                    };
                    self.repeated.keep(statement, named, state);
                } else {
                    self.repeated.drop_name(name);
                }
                Ok(ran?.0)
            }
            Way::Again(named) if named.parameters == parameters.len() => {
                if let Some(answer) = self.run_again(statement, named, &parameters, stop)? {
                    return Ok(answer);
                }
                Ok(run(&mut self.session, &once, &parameters, stop)?.0)
            }
            Way::Again(named) => {
                self.repeated.drop_name(named.name);
                Ok(run(&mut self.session, &once, &parameters, stop)?.0)
            }
            Way::Once | Way::Name(_) => Ok(run(&mut self.session, &once, &parameters, stop)?.0),
        }
    }

    /// Runs a statement that the server has parsed before; `None` if the server refuses that, and
    /// has run nothing.
    fn run_again(
        &mut self,
        statement: &str,
        named: Named,
        parameters: &[Option<String>],
        stop: &Stop,
    ) -> Result<Option<Answer>> {
        let session = &mut self.session;
        let state = session.state();
        let started = session.start_again(&named.name, parameters, &named.shape.formats, stop);
        if let Err(error) = &started
            && !state.in_transaction
            && error
                .code()
                .is_some_and(|code| REFUSED_AGAIN.contains(&code))
        {
            self.repeated.drop_name(named.name);
            return Ok(None);
        }
        let answer = started.and_then(|()| match &named.shape.result {
            None => received_count(session, statement, stop).map(Answer::Changed),
            Some((fields, decodings)) => received_rows(session, fields, decodings, stop),
        });
        self.repeated.keep(statement, named, state);
        answer.map(Some)
    }

    /// Returns whether no pooler stands between the session and its server, which says that it is
    /// the process that the login has named.
    fn is_alone(&mut self, stop: &Stop) -> Result<bool> {
        if let Some(known) = self.is_alone {
            return Ok(known);
        }
        let told = match self.session.rows(control::PROCESS, &[], stop) {
            Err(Error::Query { .. }) => return Ok(false), // in a transaction that has failed
            told => told?,
        };
        let process = told.into_iter().flatten().flatten().next();
        let is_alone = process == Some(self.session.process_id.to_string());
        self.is_alone = Some(is_alone);
        Ok(is_alone)
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

    fn read(
        &mut self,
        query: &str,
        parameters: &Parameters,
        overrides: &[(String, ColumnType)],
        stop: &Stop,
    ) -> Result<Answer> {
        let request = Request::of(query, parameters, overrides);
        let query = request.statement(LEXICON)?;
        if !is_query(&query) {
            return Err(returns_no_rows());
        }
        let answer = read(self.ready()?, &query, &request, stop);
        if !self.session.busy {
            self.session.restore_encoding(stop)?;
        }
        answer
    }

    fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64> {
        let state = self.ready()?.state();
        self.repeated.notice(Kind::Other, state); // it may make a table for a while
        insert(&mut self.session, table, frame, on_conflict, stop)
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

/// A statement to run, and the name under which the server is to keep it; empty if it is not.
struct Target<'a> {
    text: &'a str,
    name: &'a str,
    /// Names of statements that the server need no longer keep.
    dropped: &'a [String],
}

impl<'a> Target<'a> {
    fn once(text: &'a str) -> Self {
        Self {
            text,
            name: "",
            dropped: &[],
        }
    }
}

/// Runs a statement of any kind; returns its answer, and what describes it.
fn run(
    session: &mut Session,
    target: &Target,
    parameters: &[Option<String>],
    stop: &Stop,
) -> Result<(Answer, Option<Shape>)> {
    let statement = target.text;
    let word = first_word(statement, LEXICON).unwrap_or_default();
    if word.eq_ignore_ascii_case("COPY") {
        return Err(Error::configuration(
            "execute copies nothing: COPY moves rows by a protocol of its own",
        ));
    }
    let described = describe::columns(session, statement, parameters.len(), stop)
        .map_err(|error| session.explained(error, statement, statement, stop))?;
    match described {
        None => {
            let count = changed(session, target, parameters, stop)?;
            Ok((Answer::Changed(count), Some(Shape::default())))
        }
        Some(columns) => {
            let as_described = Request::of(statement, &Parameters::default(), &[]);
            returned(session, target, parameters, &columns, &as_described, stop)
        }
    }
}

/// Reads a query.
fn read(session: &mut Session, query: &str, request: &Request, stop: &Stop) -> Result<Answer> {
    let parameters = parameters::texts(&request.parameters)?;
    let columns = describe::columns(session, query, parameters.len(), stop)?;
    let columns = columns.ok_or_else(returns_no_rows)?;
    let once = Target::once(query);
    let (answer, _) = returned(session, &once, &parameters, &columns, request, stop)?;
    Ok(answer)
}

/// Runs a statement that returns rows, with the types that the request asks for.
fn returned(
    session: &mut Session,
    target: &Target,
    parameters: &[Option<String>],
    columns: &[DescribedColumn],
    request: &Request,
    stop: &Stop,
) -> Result<(Answer, Option<Shape>)> {
    let (mut fields, typed) = with_types(columns, request, session, stop)?;
    // Types of the database's own may change, and no named statement would tell.
    let is_fixed = typed.iter().all(|column| column.is_built_in);
    let name = if is_fixed { target.name } else { "" };
    let mut decodings: Vec<Decoding> = typed
        .into_iter()
        .map(|column| column.entry.decoding)
        .collect();
    reject_duplicate_names(&fields)?;
    // A semicolon cannot stand in a subquery.
    let mut statement = single_statement(target.text, LEXICON)
        .unwrap_or(target.text)
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
    session.start_bound(
        (name, target.dropped),
        &statement,
        parameters,
        &formats,
        stop,
    )?;
    let found = describe::description(session, stop)?
        .columns
        .unwrap_or_default();
    if let Err(error) = reject_changed(columns, &found, &decodings) {
        session.finish(stop)?;
        return Err(error.context("the statement has been run, and its rows cannot be read"));
    }
    let answer = received_rows(session, &fields, &decodings, stop)?;
    let shape = Shape {
        formats,
        result: Some((fields, decodings)),
    };
    Ok((answer, is_fixed.then_some(shape)))
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

/// Returns whether a statement can be a subquery. One that changes the database cannot, not even by
/// a WITH.
fn is_query(statement: &str) -> bool {
    let changes = ["INSERT", "UPDATE", "DELETE", "MERGE"];
    let word = first_word(statement, LEXICON)
        .unwrap_or_default()
        .to_ascii_uppercase();
    match word.as_str() {
        "SELECT" | "VALUES" | "TABLE" => true,
        "WITH" => !has_word(statement, LEXICON, &changes),
        _ => false,
    }
}

fn is_commit(statement: &str) -> bool {
    let word = first_word(statement, LEXICON).unwrap_or_default();
    ["COMMIT", "END", "PREPARE"]
        .iter()
        .any(|other| word.eq_ignore_ascii_case(other))
}

/// Runs a statement that returns no rows; returns the number of rows that it has changed.
fn changed(
    session: &mut Session,
    target: &Target,
    parameters: &[Option<String>],
    stop: &Stop,
) -> Result<u64> {
    let named = (target.name, target.dropped);
    session.start_bound(named, target.text, parameters, &[], stop)?;
    received_count(session, target.text, stop)
}

/// Receives the number of changed rows of a statement that was sent.
fn received_count(session: &mut Session, statement: &str, stop: &Stop) -> Result<u64> {
    let (mut count, mut is_undone, mut is_empty) = (0, false, false);
    loop {
        match session.receive(stop)? {
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
