//! A session that the caller keeps.

use industrydb_core::statements::Dialect;
use industrydb_core::{Answer, Connection, Field, Frame, OnConflict, Parameters, Result, Stop};
use mssql_tds::query::metadata::ColumnMetadata;

use crate::connect::Session;
use crate::dialect::DIALECT;
use crate::parameters;
use crate::rows::Rows;
use crate::types::{self, Decoding};

/// A session that may write.
pub(crate) struct MssqlConnection(pub(crate) Session);

impl Connection for MssqlConnection {
    fn execute(&mut self, statement: &str, parameters: &Parameters, stop: &Stop) -> Result<Answer> {
        let parameters = parameters::bound(parameters)?;
        let columns = |columns: &[ColumnMetadata]| {
            let column = |(index, column): (usize, &ColumnMetadata)| {
                let type_name = types::name(column);
                let decoding = types::decoding(&type_name);
                let name = match column.column_name.as_str() {
                    "" => format!("column_{index}"),
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
        self.0.execute(statement, &parameters, columns, stop)
    }

    fn insert(
        &mut self,
        _table: &str,
        _frame: &Frame,
        _on_conflict: OnConflict,
        _stop: &Stop,
    ) -> Result<u64> {
        Err(industrydb_core::Error::configuration(
            "rows of a frame cannot be written to SQL Server yet: use execute",
        ))
    }

    fn has_table(&mut self, _table: &str, _stop: &Stop) -> Result<bool> {
        Ok(false)
    }

    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}
