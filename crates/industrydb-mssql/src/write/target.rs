//! The table that rows go into: which of its columns, in which order, and what the server does to them by itself.

use industrydb_core::statements::places;
use industrydb_core::{ColumnType, Error, Frame, Result};
use mssql_tds::datatypes::bulk_copy_metadata::BulkCopyColumnMetadata;

use crate::encode::encoder::ColumnEncoder;
use crate::sql::dialect::DIALECT;

/// What is written, and how.
pub(crate) struct Load {
    /// The columns, in the table's order.
    pub(crate) columns: Vec<ColumnEncoder>,
    /// Whether NULLs stay NULL where a column has a default, and columns that the data lack are NULL.
    pub(crate) keeps_nulls: bool,
}

/// What the server does to the columns of a table by itself.
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

    /// The names of the columns that have a rule.
    fn with<'a>(&'a self, rule: &'a str) -> impl Iterator<Item = &'a str> {
        let has_rule = move |column: &&(String, String)| column.1 == rule;
        self.0.iter().filter(has_rule).map(|(name, _)| &**name)
    }

    /// How columns are written so that each NULL of the frame is one, and columns that it lacks get their defaults. The
    /// server does one of both, if there is something to do for both.
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

/// The columns of the frame with what the table says of them, in the table's order.
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
    // The driver sorts what it announces, and not the values.
    columns.sort_unstable_by_key(|(place, _)| *place);
    Ok(columns.into_iter().map(|(_, column)| column).collect())
}

/// Refuses rows for columns that were altered between the first look at the table and the load.
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
