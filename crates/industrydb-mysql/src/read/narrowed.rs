//! Narrows a query to some of its columns and rows.

use industrydb_core::narrow::{self, Bind, Narrowing, Test};
use industrydb_core::shape::{has_groups, has_word};
use industrydb_core::statements::Statement;
use industrydb_core::{Field, Parameters};

use crate::sql::dialect::SqlMode;
use crate::sql::{derived, filter};
use crate::types::{Decoding, DescribedColumn, decoding};

/// Words of queries that the server puts into a temporary table when they are nested.
const STORED_APART: [&str; 9] = [
    "DISTINCT",
    "DISTINCTROW",
    "GROUP",
    "HAVING",
    "LIMIT",
    "FETCH",
    "UNION",
    "OVER",
    "ROWNUM",
];

/// Returns a query for some of its columns and rows; the query itself if its rounded numbers would
/// come out of a temporary table, which does not say how they are rounded.
pub(crate) fn narrowed(
    query: &str,
    fields: &[Field],
    columns: &[DescribedColumn],
    narrowing: &Narrowing,
    parameters: &Parameters,
    mode: SqlMode,
) -> Statement {
    let is_rounded = |column: &DescribedColumn| {
        let decoding = decoding(column);
        matches!(
            decoding,
            Some(Decoding::Rounded { .. } | Decoding::ShortRounded { .. })
        )
    };
    if columns.iter().any(is_rounded) && has_word(query, mode.lexicon(), &STORED_APART) {
        return (query.to_owned(), parameters.clone());
    }
    // A collation can put 'a' and 'A' into one group: a condition could change which of them
    // represents the group.
    let has_groups = has_groups(query, mode.lexicon());
    let write = |index: usize, test: &Test, bind: Bind| {
        let is_stored = columns.get(index).is_some_and(DescribedColumn::is_stored);
        (is_stored && !has_groups).then(|| filter::written(&fields[index], test, bind))?
    };
    let query = derived::nested(query, mode.lexicon());
    narrow::narrowed(mode.dialect(), fields, narrowing, parameters, &write)
        .select(&query, narrowing.limit)
}
