//! Narrows a query to some of its columns and rows.

use industrydb_core::narrow::{self, Bind, Filter, Narrowing, Test};
use industrydb_core::shape::{has_groups, has_word};
use industrydb_core::statements::Statement;
use industrydb_core::{Error, Field, Parameters, Result, Stop};

use crate::session::connect::Session;
use crate::sql::{control, derived, filter};
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
    session: &mut Session,
    query: &str,
    fields: &[Field],
    columns: &[DescribedColumn],
    narrowing: &Narrowing,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<Statement> {
    let mode = session.mode;
    reject_equal_names(fields)?;
    let is_rounded = |column: &DescribedColumn| {
        let decoding = decoding(column);
        matches!(
            decoding,
            Some(Decoding::Rounded { .. } | Decoding::ShortRounded { .. })
        )
    };
    if columns.iter().any(is_rounded) && has_word(query, mode.lexicon(), &STORED_APART) {
        return Ok((query.to_owned(), parameters.clone()));
    }
    // A collation can put 'a' and 'A' into one group: a condition could change which of them
    // represents the group.
    let has_groups = has_groups(query, mode.lexicon());
    let charsets = charsets(session, fields, columns, narrowing, stop)?;
    let write = |index: usize, test: &Test, bind: Bind| {
        let is_stored = columns.get(index).is_some_and(DescribedColumn::is_stored);
        let charset = charsets.get(index).and_then(Option::as_deref);
        let written = || filter::written(&fields[index], charset, test, bind);
        (is_stored && !has_groups).then(written)?
    };
    let query = derived::nested(query, mode.lexicon());
    let narrowed = narrow::narrowed(mode.dialect(), fields, narrowing, parameters, &write);
    Ok(narrowed.select(&query, narrowing.limit))
}

/// Refuses columns whose names differ only in upper and lower case: a derived table cannot have them.
pub(crate) fn reject_equal_names(fields: &[Field]) -> Result<()> {
    let is_equal = |field: &&Field| {
        let mut others = fields
            .iter()
            .take_while(|other| !std::ptr::eq(*other, *field));
        others.any(|other| other.name.eq_ignore_ascii_case(&field.name))
    };
    match fields.iter().find(is_equal) {
        None => Ok(()),
        Some(field) => Err(Error::configuration(format!(
            "the query's result has another column that is named {:?} in other letters, upper or lower case, which \
             the server takes for one name in a part of the query: give them aliases with AS",
            field.name
        ))),
    }
}

/// Returns the character sets of the columns whose texts are tested, as far as the catalog has them.
fn charsets(
    session: &mut Session,
    fields: &[Field],
    columns: &[DescribedColumn],
    narrowing: &Narrowing,
    stop: &Stop,
) -> Result<Vec<Option<String>>> {
    let tested = narrowing
        .filter
        .as_ref()
        .map_or(Vec::new(), Filter::columns);
    let is_tested = |(field, column): &(&Field, &DescribedColumn)| {
        let is_text = filter::is_text(&field.database_type);
        is_text && column.is_of_database() && tested.contains(&field.name.as_str())
    };
    let mut places: Vec<(&str, &str)> = fields
        .iter()
        .zip(columns)
        .filter(is_tested)
        .map(|(_, column)| (column.schema.as_str(), column.table.as_str()))
        .collect();
    places.sort_unstable();
    places.dedup();
    let mut charsets = vec![None; columns.len()];
    for (schema, table) in places {
        let rows = match session.rows(&control::collations(schema, table), stop) {
            Err(Error::Query { .. }) => continue, // the user may not look at it
            rows => rows?,
        };
        for (charset, column) in charsets.iter_mut().zip(columns) {
            let is_own = |row: &&Vec<Option<String>>| {
                row.first().and_then(Option::as_deref) == Some(&column.source)
            };
            if (column.schema.as_str(), column.table.as_str()) == (schema, table)
                && let Some(row) = rows.iter().find(is_own)
            {
                // Field, Type, Collation, …: latin1_swedish_ci
                let collation = row.get(2).and_then(Option::as_deref).unwrap_or_default();
                *charset = collation.split('_').next().map(str::to_owned);
            }
        }
    }
    Ok(charsets)
}
