//! Answers for the planner: whether a query can be divided, and where its keys lie.
//!
//! Keys only place the cuts: an old histogram makes partitions less even, but never changes the
//! rows.

use industrydb_core::planner::no_table;
use industrydb_core::shape::{has_word, is_plain};
use industrydb_core::{Error, Result, Sample, Stop, Value};
use mssql_tds::message::parameters::rpc_parameters::RpcParameter;

use crate::session::connect::Session;
use crate::sql::derived::Derived;
use crate::sql::dialect::LEXICON;
use crate::sql::keys;
use crate::sql::metadata::{self, Source};
use crate::sql::select;

/// Returns the reason why several evaluations of the query may give inconsistent rows; `None` if
/// they cannot.
pub(crate) fn indivisible(query: &str) -> Option<&'static str> {
    let has = |words: &[&str]| has_word(query, LEXICON, words);
    if has(&["TOP"]) || select::has_offset(query) {
        Some("the query has a TOP or an OFFSET")
    } else if has(&["OVER"]) {
        Some("the query has a window function")
    } else if has(&[
        "NEWID",
        "NEWSEQUENTIALID",
        "RAND",
        "CRYPT_GEN_RANDOM",
        "NEXT",
        "TABLESAMPLE",
    ]) {
        Some("the query calls a volatile function")
    } else if has(&[
        "GETDATE",
        "GETUTCDATE",
        "SYSDATETIME",
        "SYSUTCDATETIME",
        "SYSDATETIMEOFFSET",
        "CURRENT_TIMESTAMP",
        "CURRENT_DATE",
    ]) {
        Some("the query asks for the time, which each session has its own of")
    } else {
        None
    }
}

/// Returns the index of the result column that is the primary key of the query's only table, or the
/// first column of that key.
pub(crate) fn primary_key(
    session: &mut Session,
    sources: &[Option<Source>],
    stop: &Stop,
) -> Result<usize> {
    let known: Vec<&Source> = sources.iter().flatten().collect();
    let Some(first) = known.first() else {
        return Err(no_table("no table was found"));
    };
    if !known.iter().all(|other| first.is_beside(other)) {
        return Err(no_table("the query has columns of several tables"));
    }
    let found = session.texts(&metadata::primary_key(first), &[], stop)?;
    let Some(key) = found.into_iter().flatten().flatten().next() else {
        return Err(no_table("the table has no primary key"));
    };
    let is_key = |source: &Option<Source>| source.as_ref().is_some_and(|s| s.column == key);
    sources.iter().position(is_key).ok_or_else(|| {
        no_table(&format!(
            "the primary key's column {key:?} is not in the query's result"
        ))
    })
}

/// The key that a query is divided by.
pub(crate) struct Key<'a> {
    pub(crate) name: &'a str,
    pub(crate) type_name: &'a str,
    pub(crate) source: Option<Source>,
}

/// Samples keys: from the table's histogram if it describes the query's rows, or else from some of
/// those rows.
pub(crate) fn sample(
    session: &mut Session,
    query: &str,
    derived: &Derived,
    key: &Key,
    parameters: &[RpcParameter],
    wanted: usize,
    stop: &Stop,
) -> Result<Sample> {
    // A histogram also counts the rows that a condition excludes.
    if let Some(source) = &key.source
        && keys::keeps_order(key.type_name)
        && is_plain(query, LEXICON)
        && !has_word(query, LEXICON, &["WHERE", "APPLY", "PIVOT", "UNPIVOT"])
    {
        match session.texts(&metadata::histogram(source, key.type_name), &[], stop) {
            Ok(steps) if steps.len() > 1 => return Ok(of_steps(&steps)),
            Ok(_) => log::debug!("there is no present histogram of {:?}", source.column),
            // The login may lack the permission, or the server the function.
            Err(Error::Query { message, .. }) => log::debug!("no histogram: {message}"),
            Err(other) => return Err(other),
        }
    }
    let counted = session.texts(&derived.count(), parameters, stop)?;
    let rows = counted.into_iter().flatten().flatten().next();
    let rows: u64 = rows.and_then(|text| text.parse().ok()).unwrap_or_default();
    let every = (rows / wanted.max(1) as u64).max(1);
    let sql = derived.keys(key.name, key.type_name, every);
    let found = session.texts(&sql, parameters, stop)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let weight = every as f64;
    let key = |row: Vec<Option<String>>| {
        let [key, count] = <[Option<String>; 2]>::try_from(row).ok()?;
        Some((value(key), count?.parse::<f64>().ok()? * weight))
    };
    Ok(Sample {
        keys: found.into_iter().filter_map(key).collect(),
    })
}

/// Turns a histogram's steps into a sample: the highest key of each step stands for its own rows
/// and for those up to the next step's key.
fn of_steps(steps: &[Vec<Option<String>>]) -> Sample {
    let mut keys: Vec<(Value, f64)> = Vec::new();
    for step in steps {
        let cell = |index: usize| step.get(index).cloned().flatten();
        let number = |index| {
            cell(index)
                .and_then(|text| text.parse().ok())
                .unwrap_or(0.0)
        };
        let (equal, below): (f64, f64) = (number(1), number(2));
        match keys.last_mut() {
            Some((_, rows)) => *rows += below,
            None if below > 0.0 => keys.push((Value::Null, below)),
            None => {}
        }
        keys.push((value(cell(0)), equal));
    }
    Sample { keys }
}

fn value(key: Option<String>) -> Value {
    key.map_or(Value::Null, Value::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_a_step_lie_below_its_key() {
        let step = |key: Option<&str>, equal: &str, below: &str| {
            vec![key.map(Into::into), Some(equal.into()), Some(below.into())]
        };
        let steps = [
            step(None, "4", "0"),
            step(Some("1"), "2", "0"),
            step(Some("9"), "3", "70.5"),
        ];
        let text = |text: &str| Value::Text(text.to_owned());
        let expected = [(Value::Null, 4.0), (text("1"), 72.5), (text("9"), 3.0)];
        assert_eq!(of_steps(&steps).keys, expected);
        let below_the_first = of_steps(&steps[2..]).keys;
        assert_eq!(below_the_first, [(Value::Null, 70.5), (text("9"), 3.0)]);
    }

    #[test]
    fn queries_that_may_differ_are_of_one_evaluation() {
        let query = "SELECT DATEDIFF(day, a, GETDATE()) AS k FROM t";
        assert!(indivisible(query).is_some());
        assert!(indivisible("SELECT a FROM t WHERE b = 'GETDATE()'").is_none());
        assert!(indivisible("SELECT TOP 3 a FROM t").is_some());
        assert!(indivisible("SELECT [top] FROM t").is_none());
    }
}
