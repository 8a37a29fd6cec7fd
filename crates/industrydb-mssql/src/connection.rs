//! A session that the caller keeps.

use industrydb_core::dialect::Dialect;
use industrydb_core::field::reject_duplicate_names;
use industrydb_core::{
    Answer, ColumnType, Connection, Error, Field, Frame, OnConflict, Parameters, Request, Result,
    Stop,
};
use mssql_tds::query::metadata::ColumnMetadata;

use crate::columns::rows::Rows;
use crate::config::options::Options;
use crate::encode::parameters;
use crate::read::describe::{reject_other_than_select, with_types};
use crate::session::connect::Session;
use crate::session::described::{DescribedColumn, unnamed};
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

    fn read(
        &mut self,
        query: &str,
        parameters: &Parameters,
        overrides: &[(String, ColumnType)],
        stop: &Stop,
    ) -> Result<Answer> {
        let request = Request::of(query, parameters, overrides);
        let query = request.statement(LEXICON)?;
        reject_other_than_select(&query)?;
        let parameters = parameters::bound(parameters)?;
        let rows = |columns: &[ColumnMetadata]| {
            let column = |column: &ColumnMetadata| DescribedColumn {
                name: column.column_name.clone(),
                type_name: types::name(column),
                source: None,
            };
            let columns: Vec<DescribedColumn> = columns.iter().map(column).collect();
            let (fields, decodings) = with_types(&columns, &request)?;
            reject_duplicate_names(&fields)?;
            Ok(Rows::new(fields, &decodings))
        };
        let mut height = 0;
        let count = |_: &mut Rows, rows: usize| {
            height = rows;
            Ok(())
        };
        let mut rows = self
            .session
            .read(&query, &parameters, rows, count, stop)
            .map_err(|error| explained(&self.options, error, &query, stop))?;
        let chunk = rows.take(height);
        Ok(Answer::Rows(rows.fields().to_vec(), chunk))
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
