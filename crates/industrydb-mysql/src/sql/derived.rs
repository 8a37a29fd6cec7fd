//! Statements around a query, which stands in them as the derived table `q`. The line break after
//! the query closes a comment at its end.

use industrydb_core::Value;

use crate::sql::dialect::quoted;
use crate::sql::keys::{literal, printed};

/// Selects the rows whose key is at least `lower` and below `upper`. A missing bound leaves the range
/// open at that end; the range without a lower bound includes NULL keys.
pub(crate) fn range(
    query: &str,
    key: &str,
    key_type: &str,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let key = format!("q.{}", quoted(key));
    let cut = |value: &Value| literal(value, key_type);
    let condition = match (lower, upper) {
        (None, None) => return query.to_owned(),
        (None, Some(upper)) => format!("{key} < {} OR {key} IS NULL", cut(upper)),
        (Some(lower), None) => format!("{key} >= {}", cut(lower)),
        (Some(lower), Some(upper)) => {
            format!("{key} >= {} AND {key} < {}", cut(lower), cut(upper))
        }
    };
    format!("SELECT * FROM (\n{query}\n) AS q WHERE {condition}")
}

/// Selects the keys of about this share of the rows, chosen at random, with the number of rows of
/// each key; sorted, with NULL first.
pub(crate) fn keys(query: &str, key: &str, key_type: &str, share: f64) -> String {
    let key = quoted(key);
    let some = if share < 1.0 {
        format!(" WHERE RAND() < {share:e}")
    } else {
        String::new()
    };
    format!(
        "SELECT {}, n FROM (SELECT q.{key} AS k, COUNT(*) AS n FROM (\n{query}\n) AS q{some} GROUP BY q.{key}) AS g \
         ORDER BY k",
        printed(key_type, "k")
    )
}

/// Asks for the plan of a query, with the numbers of rows that the server expects.
pub(crate) fn explain(query: &str) -> String {
    format!("EXPLAIN SELECT * FROM (\n{query}\n) AS q")
}
