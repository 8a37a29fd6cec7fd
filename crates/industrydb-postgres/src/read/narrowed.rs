//! Narrows a query to some of its columns and rows.

use industrydb_core::narrow::{self, Bind, Filter, Narrowing, Test};
use industrydb_core::statements::Statement;
use industrydb_core::{Field, Parameters, Result};

use crate::read::explained::Explained;
use crate::read::query::Column;
use crate::sql::dialect::DIALECT;
use crate::sql::{filter, statements};

/// What must be evaluated before a condition on a query's rows may be tested.
#[derive(Default)]
struct MadeFirst {
    /// Whether a row of the query may stand for others that the query treats as equal.
    groups: bool,
    /// Columns that are expressions, which may fail for rows that the query's own conditions
    /// exclude.
    columns: Vec<String>,
}

/// Runs an EXPLAIN with the query's parameters; `None` if the server refuses it.
type Explain<'a> = &'a mut dyn FnMut(&str) -> Result<Option<Explained>>;

/// Returns a query for some of its columns and rows. `explain` runs an EXPLAIN with the query's
/// parameters; it returns `None` if the server refuses it.
pub(crate) fn narrowed(
    query: &str,
    fields: &[Field],
    columns: &[Column],
    narrowing: &Narrowing,
    parameters: &Parameters,
    explain: Explain,
) -> Result<Statement> {
    let of_tables = |name: &&str| {
        let place = fields.iter().position(|field| field.name == *name);
        place.is_some_and(|place| columns[place].table != 0)
    };
    let filter = narrowing.filter.as_ref();
    let mut tested: Vec<&str> = filter.map_or_else(Vec::new, Filter::columns);
    tested.retain(of_tables);
    let made_first = if tested.is_empty() {
        MadeFirst::default()
    } else {
        made_first(query, &tested, explain)?
    };
    let write = |index: usize, test: &Test, bind: Bind| {
        let (field, column) = (&fields[index], &columns[index]);
        let is_stored = column.table != 0 && !made_first.columns.contains(&field.name);
        let is_written = is_stored && (column.is_built_in || *test == Test::IsNull);
        is_written.then(|| filter::written(field, test, bind))?
    };
    let narrowed = narrow::narrowed(&DIALECT, fields, narrowing, parameters, &write);
    Ok(if narrowed.condition.is_some() && made_first.groups {
        narrowed.select(&statements::evaluated_first(query), narrowing.limit)
    } else {
        narrowed.select(query, narrowing.limit)
    })
}

/// Returns what must be evaluated before a condition on some of a query's columns may be tested.
/// Each is a column of a table or a view.
fn made_first(query: &str, columns: &[&str], explain: Explain) -> Result<MadeFirst> {
    let mut probed = |columns: &[&str]| explain(&statements::probe(query, columns));
    let mut made_first = MadeFirst {
        groups: true,
        columns: Vec::new(),
    };
    let Some(explained) = probed(columns)? else {
        return Ok(made_first);
    };
    made_first.groups = explained.has_groups();
    if explained.tries_too_early() {
        for column in columns {
            let explained = probed(&[column])?;
            if explained.is_none_or(|explained| explained.tries_too_early()) {
                made_first.columns.push((*column).to_owned());
            }
        }
    }
    Ok(made_first)
}

/// Returns a query whose values tell the types of the `wanted` columns.
pub(crate) fn measuring(
    query: &str,
    fields: &[Field],
    columns: &[Column],
    wanted: &[String],
) -> String {
    let pairs = fields.iter().zip(columns);
    let pairs = pairs.filter(|(field, _)| wanted.contains(&field.name));
    let wanted: Vec<(&str, bool)> = pairs
        .map(|(field, column)| {
            let is_array = column.entry.decoding.is_open_in_dimensions();
            (field.name.as_str(), is_array)
        })
        .collect();
    statements::measuring(query, &wanted)
}
