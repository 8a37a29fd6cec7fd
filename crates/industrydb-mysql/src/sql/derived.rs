//! Statements around a query, which stands in them as the derived table `q`. The line break after
//! the query closes a comment at its end.

use std::borrow::Cow;

use industrydb_core::Value;
use industrydb_core::modifiers::without_modifiers;
use industrydb_core::tokens::Lexicon;

use crate::sql::dialect::quoted;
use crate::sql::keys::Key;

/// Words behind `SELECT` that a derived table may also have.
const KEPT: [&str; 6] = [
    "ALL",
    "DISTINCT",
    "DISTINCTROW",
    "SQL_BIG_RESULT",
    "SQL_SMALL_RESULT",
    "STRAIGHT_JOIN",
];

/// Words behind `SELECT` that only a whole statement may have. They change how the server runs it,
/// or what it tells about its rows later, and not the rows.
const DROPPED: [&str; 5] = [
    "HIGH_PRIORITY",
    "SQL_BUFFER_RESULT",
    "SQL_CACHE",
    "SQL_CALC_FOUND_ROWS",
    "SQL_NO_CACHE",
];

/// Returns a query as it may stand in another one.
pub(crate) fn nested(query: &str, lexicon: Lexicon) -> Cow<'_, str> {
    without_modifiers(query, lexicon, &KEPT, &DROPPED)
}

/// Selects the rows whose key is at least `lower` and below `upper`. A missing bound leaves the range
/// open at that end; the range without a lower bound includes NULL keys.
///
/// The condition stands behind a query that ends with the table of the key, and around any other
/// one: the server hands on the columns of a derived table by a step of its own.
pub(crate) fn range(
    query: &str,
    ends_with_table: bool,
    key: &Key,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let owner = if ends_with_table { "" } else { "q." };
    let cut = |value: &Value| key.literal(value);
    let key = key.compared(format!("{owner}{}", quoted(&key.name)));
    let condition = match (lower, upper) {
        (None, None) => return query.to_owned(),
        (None, Some(upper)) => format!("{key} < {} OR {key} IS NULL", cut(upper)),
        (Some(lower), None) => format!("{key} >= {}", cut(lower)),
        (Some(lower), Some(upper)) => {
            format!("{key} >= {} AND {key} < {}", cut(lower), cut(upper))
        }
    };
    if ends_with_table {
        format!("{query}\nWHERE {condition}")
    } else {
        format!("SELECT * FROM (\n{query}\n) AS q WHERE {condition}")
    }
}

/// Selects the keys of about this share of the rows, chosen at random, with the number of rows of
/// each key; sorted, with NULL first.
pub(crate) fn keys(query: &str, key: &Key, share: f64) -> String {
    let name = quoted(&key.name);
    let some = if share < 1.0 {
        format!(" WHERE RAND() < {share:e}")
    } else {
        String::new()
    };
    format!(
        "SELECT {}, n FROM (SELECT q.{name} AS k, COUNT(*) AS n FROM (\n{query}\n) AS q{some} GROUP BY q.{name}) AS g \
         ORDER BY k",
        key.printed("k")
    )
}

/// Asks for the character set and the collation of the texts of a query's column.
pub(crate) fn collation(query: &str, key: &str) -> String {
    let key = quoted(key);
    format!(
        "SELECT CHARSET(MAX(q.{key})), COLLATION(MAX(q.{key})) FROM (\n{query}\n) AS q WHERE FALSE"
    )
}

/// Compares each cut with the next one: `less`, `equal` or else.
pub(crate) fn compared(key: &Key, cuts: &[Value]) -> String {
    let cuts: Vec<String> = cuts.iter().map(|cut| key.literal(cut)).collect();
    let pairs = cuts.windows(2).map(|pair| {
        let (cut, next) = (&pair[0], &pair[1]);
        format!("CASE WHEN {cut} < {next} THEN 'less' WHEN {cut} = {next} THEN 'equal' END")
    });
    format!("SELECT {}", pairs.collect::<Vec<_>>().join(", "))
}

/// Selects no row of a query, whose tables the server opens, and whose rows it does not make.
pub(crate) fn none(query: &str) -> String {
    format!("SELECT * FROM (\n{query}\n) AS q LIMIT 0")
}

/// Asks for the plan of a query, with the numbers of rows that the server expects.
pub(crate) fn explain(query: &str) -> String {
    format!("EXPLAIN FORMAT=TRADITIONAL SELECT * FROM (\n{query}\n) AS q")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::SqlMode;

    #[test]
    fn a_range_has_its_bounds_around_a_query_or_behind_it() {
        let [lower, upper] = [3, 7].map(Value::Integer);
        let key = Key {
            name: "a".to_owned(),
            type_name: "int".to_owned(),
            ..Key::default()
        };
        let sql = |ends_with_table: bool, lower: Option<&Value>, upper: Option<&Value>| {
            range("SELECT a FROM t", ends_with_table, &key, lower, upper)
        };
        let around = "SELECT * FROM (\nSELECT a FROM t\n) AS q WHERE ";
        for (lower, upper, condition) in [
            (None, Some(&upper), "`a` < 7 OR `a` IS NULL"),
            (Some(&lower), None, "`a` >= 3"),
            (Some(&lower), Some(&upper), "`a` >= 3 AND `a` < 7"),
        ] {
            let behind = format!("SELECT a FROM t\nWHERE {condition}");
            assert_eq!(sql(true, lower, upper), behind);
            let around = format!("{around}{}", condition.replace("`a`", "q.`a`"));
            assert_eq!(sql(false, lower, upper), around);
        }
        assert_eq!(sql(true, None, None), "SELECT a FROM t");
        assert_eq!(sql(false, None, None), "SELECT a FROM t");
    }

    #[test]
    fn a_derived_table_has_no_words_of_a_whole_statement() {
        for (query, expected) in [
            ("SELECT high_priority a FROM t", "SELECT  a FROM t"),
            (
                "(SELECT STRAIGHT_JOIN SQL_NO_CACHE # b\n DISTINCT SQL_CACHE(a) FROM t)",
                "(SELECT STRAIGHT_JOIN  # b\n DISTINCT (a) FROM t)",
            ),
            (
                "SELECT /*!40001 SQL_NO_CACHE */ * FROM t",
                "SELECT /*!40001  */ * FROM t",
            ),
            (
                "SELECT /*!50000SQL_NO_CACHE*/ a, 5 sql_cache FROM t",
                "SELECT /*!50000*/ a, 5 sql_cache FROM t",
            ),
            (
                "WITH q AS (SELECT 1) SELECT SQL_CALC_FOUND_ROWS `a` FROM q",
                "WITH q AS (SELECT 1) SELECT  `a` FROM q",
            ),
        ] {
            let nested = nested(query, SqlMode::default().lexicon());
            assert_eq!(nested, expected, "{query}");
        }
        for query in [
            "SELECT a, sql_cache FROM t",
            "SELECT t.sql_cache, 'SELECT HIGH_PRIORITY' FROM t",
            "SELECT -sql_cache FROM t",
            "SELECT 5 sql_cache FROM t",
            "SELECT t.select sql_cache FROM t",
            "SELECT DISTINCT `sql_cache` FROM t # SELECT SQL_CACHE",
        ] {
            assert_eq!(nested(query, SqlMode::default().lexicon()), query);
        }
    }
}
