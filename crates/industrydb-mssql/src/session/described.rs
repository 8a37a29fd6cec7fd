//! A query's columns as the server describes them.

use mssql_tds::query::metadata::ColumnMetadata;

use crate::sql::metadata::Source;

/// A column as the server describes it.
pub(crate) struct DescribedColumn {
    /// Name of the column; empty if the query gives it none.
    pub(crate) name: String,
    pub(crate) type_name: String,
    pub(crate) source: Option<Source>,
}

/// Returns the name for a column that the query leaves unnamed.
pub(crate) fn unnamed(index: usize) -> String {
    format!("column_{index}")
}

/// Names that FOR XML and FOR JSON give to their only column, whose rows are pieces of one
/// document. The server's row count is then the number of rows inside the document.
const DOCUMENTS: [&str; 2] = [
    "XML_F52E2B61-18A1-11d1-B105-00805F49916B",
    "JSON_F52E2B61-18A1-11d1-B105-00805F49916B",
];

/// Tests whether a result is a document in pieces.
pub(crate) fn is_document(columns: &[ColumnMetadata]) -> bool {
    matches!(columns, [column] if DOCUMENTS.contains(&&*column.column_name))
}
