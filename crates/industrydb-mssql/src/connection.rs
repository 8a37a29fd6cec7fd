//! A session that the caller keeps.

use industrydb_core::dialect::Dialect;
use industrydb_core::statements::Statement;
use industrydb_core::{
    Answer, Columns, Connection, Error, Field, Frame, Narrowing, OnConflict, Output, Parameters,
    Request, Result, Stop,
};
use mssql_tds::query::metadata::ColumnMetadata;

use crate::columns::rows::Rows;
use crate::config::options::Options;
use crate::encode::parameters;
use crate::read::kept;
use crate::session::connect::Session;
use crate::session::described::unnamed;
use crate::session::mistakes::explained;
use crate::sql::dialect::{DIALECT, LEXICON};
use crate::sql::metadata;
use crate::types::{self, Decoding};
use crate::write::insert::insert;

/// A session that the caller keeps, and which may write.
pub(crate) struct MssqlConnection {
    pub(crate) session: Session,
    pub(crate) options: Options,
}

impl MssqlConnection {
    /// Adds to the error of a request what may be meant by its query.
    fn explained(&self, error: Error, request: &Request, stop: &Stop) -> Error {
        match request.statement(LEXICON) {
            Ok(query) => explained(&self.options, error, &query, stop),
            Err(_) => error,
        }
    }
}

impl Connection for MssqlConnection {
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let parameters = parameters::bound(parameters)?;
        let columns = |columns: &[ColumnMetadata]| {
            let column = |(index, column): (usize, &ColumnMetadata)| {
                let type_name = types::name(column);
                let decoding = types::decoding(&type_name);
                let name = match column.column_name.as_str() {
                    "" => unnamed(index),
                    name => name.to_owned(),
                };
                (
                    Field::new(&name, &type_name, decoding.column_type()),
                    decoding,
                )
            };
            let (fields, decodings): (Vec<Field>, Vec<Decoding>) =
                columns.iter().enumerate().map(column).unzip();
            Rows::new(fields, &decodings)
        };
        self.session
            .execute(statement, &parameters, columns, stop)
            .map_err(|error| explained(&self.options, error, statement, stop))
    }

    fn describe(&mut self, request: &Request, stop: &Stop) -> Result<Columns> {
        let described = kept::described(&mut self.session, request, stop);
        let (_, fields) = described.map_err(|error| self.explained(error, request, stop))?;
        Ok(Columns::of(fields))
    }

    fn narrowed(
        &mut self,
        request: &Request,
        narrowing: &Narrowing,
        stop: &Stop,
    ) -> Result<Statement> {
        kept::narrowed_query(&mut self.session, request, narrowing, stop)
            .map_err(|error| self.explained(error, request, stop))
    }

    fn read(
        &mut self,
        request: &Request,
        begin: &mut dyn FnMut(&[Field]) -> Result<()>,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<()> {
        kept::read(&mut self.session, request, begin, output, stop)
            .map_err(|error| self.explained(error, request, stop))
    }

    fn end_statement(&mut self) -> Result<()> {
        self.session.end_statement()
    }

    fn insert(
        &mut self,
        table: &str,
        frame: &Frame,
        on_conflict: OnConflict,
        stop: &Stop,
    ) -> Result<u64> {
        if on_conflict != OnConflict::Error {
            return Err(Error::configuration(
                "SQL Server leaves no rows out of a bulk load, and replaces none: insert into a table of its own, \
                 and MERGE that",
            ));
        }
        insert(&mut self.session, table, frame, stop)
            .map_err(|error| explained(&self.options, error, "", stop))
    }

    fn has_table(&mut self, table: &str, stop: &Stop) -> Result<bool> {
        let sql = metadata::has_table(&DIALECT.table(table)?);
        let rows = self.session.texts(&sql, &[], stop)?;
        Ok(rows.into_iter().flatten().flatten().next().is_some())
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}
