//! Narrows a query to some of its columns and rows.

use industrydb_core::narrow::{self, Bind, Narrowing, Test};
use industrydb_core::statements::Statement;
use industrydb_core::{Field, Parameters};

use crate::sql::derived::Derived;
use crate::sql::dialect::DIALECT;
use crate::sql::filter;
use crate::sql::metadata::Source;

/// What is known of a query's columns.
pub(crate) struct Columns<'a> {
    pub(crate) fields: &'a [Field],
    /// Column list of the derived table if the query leaves a column unnamed; otherwise empty.
    pub(crate) names: &'a str,
    /// Table column of each column, as far as it is known. There are no conditions on others.
    pub(crate) sources: &'a [Option<Source>],
}

/// Returns a query for some of its columns and rows.
pub(crate) fn narrowed(
    query: &str,
    columns: &Columns,
    narrowing: &Narrowing,
    parameters: &Parameters,
) -> Statement {
    let Columns {
        fields,
        names,
        sources,
    } = columns;
    let write = |index: usize, test: &Test, bind: Bind| {
        let is_column = sources.get(index).is_some_and(Option::is_some);
        is_column.then(|| filter::written(&fields[index], test, bind))?
    };
    let narrowed = narrow::narrowed(&DIALECT, fields, narrowing, parameters, &write);
    let derived = Derived::new(query, names);
    let sql = derived.narrowed(&narrowed, narrowing.limit);
    (sql, narrowed.parameters)
}
