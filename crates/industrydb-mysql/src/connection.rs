//! A session that the caller keeps.

use industrydb_core::dialect::Dialect;
use industrydb_core::field::reject_duplicate_names;
use industrydb_core::shape::{begins_with, has_word};
use industrydb_core::{
    Answer, Columns, Connection, Error, Field, Frame, Meter, Narrowing, OnConflict, Output,
    Parameters, Request, Result, Stop, statements,
};

use crate::encode::parameters;
use crate::read::describe::with_types;
use crate::read::kept;
use crate::read::rows::{self, Rows};
use crate::session::connect::Session;
use crate::session::prepared::Statement;
use crate::session::run;
use crate::sql::dialect::located;
use crate::sql::refusal::{reject_misdescribed, reject_settings};
use crate::types::DescribedColumn;
use crate::wire::errors::{
    NO_SUCH_TABLE, UNKNOWN_DATABASE, UNSUPPORTED_PREPARED, number, unexpected,
};
use crate::wire::packet::status;
use crate::write::insert::insert;

/// A session that may write.
pub(crate) struct MysqlConnection(pub(crate) Session);

impl MysqlConnection {
    /// Returns the session, or an error if the session is in the middle of an answer.
    fn ready(&mut self) -> Result<&mut Session> {
        if self.0.busy {
            return Err(Error::connection(
                "the session is in the middle of an answer",
            ));
        }
        Ok(&mut self.0)
    }

    /// Asks whether the transaction is still open after an error, which does not say so: a deadlock
    /// takes it back, and a statement such as CREATE TABLE has committed before it failed.
    fn told<T>(&mut self, result: Result<T>) -> Result<T> {
        if result.is_err() && !self.0.busy {
            self.0.look_at_transaction();
        }
        result
    }
}

impl Connection for MysqlConnection {
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let parameters = parameters::bound(parameters)?;
        let answer = execute(self.ready()?, statement, &parameters, stop);
        self.told(answer)
    }

    fn describe(&mut self, request: &Request, stop: &Stop) -> Result<Columns> {
        let described = kept::described(self.ready()?, request, stop);
        let (_, fields, _) = self.told(described)?;
        Ok(Columns::of(fields))
    }

    fn narrowed(
        &mut self,
        request: &Request,
        narrowing: &Narrowing,
        stop: &Stop,
    ) -> Result<statements::Statement> {
        let narrowed = kept::narrowed_query(self.ready()?, request, narrowing, stop);
        self.told(narrowed)
    }

    fn read(
        &mut self,
        request: &Request,
        begin: &mut dyn FnMut(&[Field]) -> Result<()>,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        let read = kept::read(self.ready()?, request, begin, output, stop);
        self.told(read)
    }

    fn end_statement(&mut self) -> Result<()> {
        let ended = self.0.end_statement();
        if ended.is_ok() {
            self.0.look_at_transaction();
        }
        ended
    }

    fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64> {
        let session = self.ready()?;
        if session.holds_locks {
            return Err(locked("the transaction of an insert"));
        }
        let inserted = insert(session, table, frame, on_conflict, stop);
        self.told(inserted)
    }

    fn has_table(&mut self, table: &str, stop: &Stop) -> Result<bool> {
        // The catalog has no temporary tables.
        let sql = format!("SHOW COLUMNS FROM {}", self.0.mode.dialect().table(table)?);
        match self.ready()?.rows(&sql, stop) {
            Err(error) if matches!(number(&error), Some(NO_SUCH_TABLE | UNKNOWN_DATABASE)) => {
                Ok(false)
            }
            Ok(_) | Err(Error::Query { .. }) => Ok(true), // a broken view, say
            Err(error) => Err(error),
        }
    }

    fn reject_replacing(&mut self, table: &str, stop: &Stop) -> Result<()> {
        let (schema, name) = located(self.0.mode.dialect(), table)?;
        let sql = format!("SHOW CREATE TABLE {}", self.0.mode.dialect().table(table)?);
        let shown = self.ready()?.rows(&sql, stop)?.into_iter().flatten().nth(1);
        if shown
            .flatten()
            .is_some_and(|shown| shown.starts_with("CREATE TEMPORARY"))
        {
            return Err(Error::configuration(format!(
                "{table} is a temporary table of the session, and is not replaced by another one: drop it first"
            )));
        }
        let sql = format!(
            "SELECT LOWER(TABLE_TYPE) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {name} \
             AND TABLE_TYPE IN ('VIEW', 'SEQUENCE', 'SYSTEM VIEW')"
        );
        let kind = self.ready()?.rows(&sql, stop)?.into_iter().flatten();
        if let Some(kind) = kind.flatten().next() {
            return Err(Error::configuration(format!(
                "{table} is a {kind} and no table, and is not replaced by one: drop it first, or write into another table"
            )));
        }
        let sql = format!(
            "SELECT DISTINCT TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_SCHEMA = {schema} \
             AND REFERENCED_TABLE_NAME = {name} AND NOT (TABLE_SCHEMA = {schema} AND TABLE_NAME = {name})"
        );
        let rows = self.ready()?.rows(&sql, stop)?;
        let children: Vec<String> = rows.into_iter().flatten().flatten().collect();
        if children.is_empty() {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "{table} cannot be replaced: the rows of {children:?} refer to its own by a FOREIGN KEY: delete rows of it \
             and append, or drop the key first"
        )))
    }

    fn in_transaction(&self) -> Option<bool> {
        Some(self.0.in_transaction())
    }

    fn checks_often(&self) -> bool {
        true
    }

    fn dialect(&self) -> &'static Dialect {
        self.0.mode.dialect()
    }
}

/// Returns the error for a transaction while the caller's statements hold locks.
fn locked(what: &str) -> Error {
    Error::configuration(format!(
        "the session has locks of LOCK TABLES, which {what} would release: UNLOCK TABLES first"
    ))
}

/// Runs a statement that the caller gives.
fn execute(
    session: &mut Session,
    statement: &str,
    parameters: &[parameters::Parameter],
    stop: &Stop,
) -> Result<Answer> {
    let lexicon = session.mode.lexicon();
    let statement = &*session.as_run(statement);
    reject_settings(statement, lexicon)?;
    let begins = |words: &[&str]| begins_with(statement, lexicon, words);
    if session.holds_locks && begins(&["START", "BEGIN"]) {
        return Err(locked("a transaction"));
    }
    let answer = match session.prepare(statement, stop) {
        // Some statements, such as those that lock tables, can only be run as they are.
        Err(error) if number(&error) == Some(UNSUPPORTED_PREPARED) && parameters.is_empty() => {
            unprepared(session, statement, stop)
        }
        prepared => {
            let prepared =
                prepared.map_err(|error| session.explained(error, statement, statement, stop))?;
            let request = Request::of(statement, &Parameters::default(), &[]);
            let answer = run(session, statement, &prepared, parameters, &request, stop);
            if !session.busy {
                session.close(&prepared, stop)?;
            }
            answer
        }
    };
    if !session.busy {
        session.restore_settings(statement, stop)?;
        if has_word(statement, lexicon, &["SQL_MODE", "@@SQL_MODE"]) {
            session.look_at_mode(stop)?;
        }
    }
    if answer.is_ok() {
        let locks = begins(&["LOCK"]) && has_word(statement, lexicon, &["TABLE", "TABLES"]);
        session.holds_locks = (session.holds_locks || locks) && !begins(&["UNLOCK"]);
    }
    answer
}

/// Runs a statement that the server does not prepare. Its rows, if it has any, come as texts, which
/// are not the values.
fn unprepared(session: &mut Session, statement: &str, stop: &Stop) -> Result<Answer> {
    session.query(statement, stop)?;
    match session.answer(None, stop)? {
        run::Answer::Ended(ended) => {
            session.finish(ended, stop)?;
            Ok(Answer::Changed(ended.changed))
        }
        run::Answer::File => Err(unexpected("rows")),
        run::Answer::Rows(_) => {
            session.discard(stop)?;
            Err(Error::configuration(
                "the server does not prepare this statement, and sends its rows as mere texts, which were dropped: run \
                 the query itself",
            ))
        }
    }
}

/// Runs a prepared statement; the rows are those of its first result, with the types that the
/// request asks for.
fn run(
    session: &mut Session,
    statement: &str,
    prepared: &Statement,
    parameters: &[parameters::Parameter],
    request: &Request,
    stop: &Stop,
) -> Result<Answer> {
    reject_misdescribed(statement, &prepared.columns, session.mode.lexicon())?;
    match session.execute(prepared, parameters, stop)? {
        run::Answer::Rows(columns) => returned(session, &columns, request, stop),
        run::Answer::File => Err(unexpected("rows")),
        run::Answer::Ended(ended) => {
            session.finish(ended, stop)?;
            Ok(Answer::Changed(ended.changed))
        }
    }
}

/// Decodes the rows of a statement.
fn returned(
    session: &mut Session,
    columns: &[DescribedColumn],
    request: &Request,
    stop: &Stop,
) -> Result<Answer> {
    let found = with_types(columns, request).and_then(|(fields, decodings)| {
        reject_duplicate_names(&fields)?;
        Ok((fields, decodings))
    });
    let (fields, decodings) = match found {
        Ok(found) => found,
        Err(error) => {
            session.discard(stop)?;
            return Err(error);
        }
    };
    let rows = Rows::new(&fields[..], &decodings[..], session.options.zero_dates);
    let chunk = Output::whole(&Meter::default(), |output| {
        let collected = rows::collect(session, rows, output, stop);
        if let Err(Error::Conversion(_)) = &collected {
            session.discard(stop)?; // the session is still good
        }
        let (chunk, ended) = collected?;
        if ended.status & status::MORE_RESULTS != 0 {
            session.finish(ended, stop)?;
        }
        output.push(chunk)
    })?;
    Ok(Answer::Rows(fields, chunk))
}
