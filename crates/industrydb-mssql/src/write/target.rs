//! The target table of a bulk load: its columns, their order, and the server's own rules for them.

use industrydb_core::statements::places;
use industrydb_core::{ColumnType, Error, Frame, Result};
use mssql_tds::datatypes::bulk_copy_metadata::BulkCopyColumnMetadata;

use crate::encode::encoder::ColumnEncoder;
use crate::sql::dialect::DIALECT;

/// The columns and options of a bulk load.
pub(crate) struct Load {
    /// Columns in the table's order.
    pub(crate) columns: Vec<ColumnEncoder>,
    /// Whether NULLs stay NULL in columns with a default. If so, columns that the frame lacks
    /// become NULL instead of their default.
    pub(crate) keeps_nulls: bool,
}

/// The server's own rules for a table's columns, as pairs of column name and rule.
pub(crate) struct Rules(Vec<(String, String)>);

impl Rules {
    /// Reads the answer to [`crate::sql::metadata::column_rules`].
    pub(crate) fn new(rows: Vec<Vec<Option<String>>>) -> Self {
        let rule = |row: Vec<Option<String>>| match <[Option<String>; 2]>::try_from(row) {
            Ok([Some(name), rule]) => Some((name, rule.unwrap_or_default())),
            _ => None,
        };
        Self(rows.into_iter().filter_map(rule).collect())
    }

    /// Returns the names of the columns with a rule.
    fn with<'a>(&'a self, rule: &'a str) -> impl Iterator<Item = &'a str> {
        let has_rule = move |column: &&(String, String)| column.1 == rule;
        self.0.iter().filter(has_rule).map(|(name, _)| &**name)
    }

    /// Chooses columns and options so that each NULL of the frame stays NULL, and each column that
    /// the frame lacks gets its default. A bulk load can do only one of the two; a frame that needs
    /// both is refused.
    pub(crate) fn load(
        &self,
        table: &str,
        frame: &Frame,
        found: &[BulkCopyColumnMetadata],
    ) -> Result<Load> {
        let columns = columns(table, frame, found)?;
        let given = |name: &str| columns.iter().find(|column| column.name() == name);
        for rule in ["computed", "rowversion"] {
            if let Some(name) = self.with(rule).find(|name| given(name).is_some()) {
                return Err(Error::configuration(format!(
                    "column {name:?} of table {table} is {rule}: the server makes its values, so leave it out"
                )));
            }
        }
        let has_nulls =
            |name: &&str| given(name).is_some_and(|column| frame.has_nulls(column.source()));
        let lacking = self.with("default").find(|name| given(name).is_none());
        let with_nulls = self.with("default").find(has_nulls);
        if let (Some(lacking), Some(with_nulls)) = (lacking, with_nulls) {
            return Err(Error::configuration(format!(
                "column {with_nulls:?} of table {table} has a default and is NULL in some rows, and the data lack column \
                 {lacking:?}, which has a default too: SQL Server's bulk load takes defaults for both or for none, so give \
                 {lacking:?} its values"
            )));
        }
        Ok(Load {
            columns,
            keeps_nulls: lacking.is_none(),
        })
    }
}

/// Pairs the frame's columns with the table's, in the table's order.
fn columns(
    table: &str,
    frame: &Frame,
    found: &[BulkCopyColumnMetadata],
) -> Result<Vec<ColumnEncoder>> {
    let names: Vec<&str> = found
        .iter()
        .map(|column| column.column_name.as_str())
        .collect();
    let places = places(&DIALECT, table, frame.columns(), &names)?;
    let column = |(source, (place, (_, from))): (usize, (&usize, &(String, ColumnType)))| {
        Ok((
            *place,
            ColumnEncoder::new(source, from, found[*place].clone())?,
        ))
    };
    let columns = places.iter().zip(frame.columns()).enumerate().map(column);
    let mut columns: Vec<(usize, ColumnEncoder)> = columns.collect::<Result<_>>()?;
    // The driver sorts the columns that it announces into the table's order, but not the values.
    columns.sort_unstable_by_key(|(place, _)| *place);
    Ok(columns.into_iter().map(|(_, column)| column).collect())
}

/// Refuses a load if its columns were altered between the first look at the table and the load.
pub(crate) fn reject_changed(
    table: &str,
    columns: &[ColumnEncoder],
    found: &[BulkCopyColumnMetadata],
) -> Result<()> {
    for column in columns {
        let name = column.name();
        let now = found.iter().find(|other| other.column_name == name);
        let is_same = now.is_some_and(|now| column.is_of(now));
        if !is_same {
            let now = now.and_then(|now| now.get_sql_type_definition().ok());
            return Err(Error::Query {
                message: format!(
                    "column {name:?} of table {table} was {} when it was looked up, and {} when the rows had arrived: \
                     nothing is written, insert again",
                    column.type_name(),
                    now.as_deref().unwrap_or("gone")
                ),
                code: None,
                partition: None,
                is_transient: true,
            });
        }
    }
    Ok(())
}
