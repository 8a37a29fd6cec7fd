//! What is put around a query, which becomes a derived table.

use industrydb_core::Value;

use super::dialect::{column, literal};

/// The rows whose key lies in a range: the first one takes the NULLs, the ends are open.
///
/// The arms of a compound query may give the key different affinities, by which SQLite would
/// compare one predicate inside the arms and another one outside: rows would fall between them. And
/// an expression's affinity may turn cuts that are numbers into texts, which have another order.
/// Where the key is to be compared `bare`, a `+` takes the affinity away, and with it the use of an
/// index.
pub(crate) fn range(
    query: &str,
    key: &str,
    bare: bool,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let key = if bare { "+" } else { "" }.to_owned() + &column(key);
    let condition = match (lower, upper) {
        (None, None) => return query.to_owned(),
        (None, Some(upper)) => format!("{key} < {} OR {key} IS NULL", literal(upper)),
        (Some(lower), None) => format!("{key} >= {}", literal(lower)),
        (Some(lower), Some(upper)) => {
            format!("{key} >= {} AND {key} < {}", literal(lower), literal(upper))
        }
    };
    format!("{} WHERE {condition}", derived(query))
}

/// The query for a statement whose condition is on an expression of its rows, which may fail for
/// those that the query leaves out: a LIMIT keeps SQLite from trying it on them.
pub(crate) fn evaluated_first(query: &str) -> String {
    format!("SELECT * FROM (\n{query}\n) LIMIT -1 OFFSET 0")
}

/// The rows of a query as those of a derived table.
pub(crate) fn derived(query: &str) -> String {
    format!("SELECT * FROM {}", as_q(query))
}

/// A query in a statement's FROM. The line break ends a comment that may end the query.
fn as_q(query: &str) -> String {
    format!("(\n{query}\n) AS q")
}

/// Keys with their numbers, NULL first, of one in `every` rows of the query, chosen at random.
pub(crate) fn keys(query: &str, key: &str, every: i64) -> String {
    let key = column(key);
    let some = if every > 1 {
        format!(" WHERE random() % {every} = 0")
    } else {
        String::new()
    };
    let q = as_q(query);
    format!("SELECT {key}, count(*) FROM {q}{some} GROUP BY {key} ORDER BY {key}")
}

/// The number of the query's rows.
pub(crate) fn count(query: &str) -> String {
    format!("SELECT count(*) FROM {}", as_q(query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_open_at_both_ends_and_the_first_takes_the_nulls() {
        let (low, high) = (Value::Integer(i64::MIN), Value::Float(1e300));
        for (lower, upper, condition) in [
            (
                None,
                Some(&low),
                "q.\"a \"\"b\"\"\" < (-9223372036854775807 - 1) OR q.\"a \"\"b\"\"\" IS NULL",
            ),
            (
                Some(&Value::Integer(-5)),
                Some(&high),
                "q.\"a \"\"b\"\"\" >= -5 AND q.\"a \"\"b\"\"\" < 1e300",
            ),
            (Some(&high), None, "q.\"a \"\"b\"\"\" >= 1e300"),
        ] {
            assert_eq!(
                range("SELECT 1", "a \"b\"", false, lower, upper),
                format!("SELECT * FROM (\nSELECT 1\n) AS q WHERE {condition}")
            );
        }
        assert_eq!(range("SELECT 1", "a", false, None, None), "SELECT 1");
        assert!(
            range("SELECT 1", "a", true, Some(&high), None).ends_with("WHERE +q.\"a\" >= 1e300")
        );
    }
}
