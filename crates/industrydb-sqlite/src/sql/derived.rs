//! Statements that wrap a query as a derived table.

use industrydb_core::Value;

use super::dialect::{column, literal};

/// Returns the query for the rows with `lower <= key` and `key < upper`. Without a lower bound, the
/// rows whose key is NULL are included.
///
/// The SELECTs of a compound query may give the key different affinities. SQLite could then compare
/// the key one way inside the SELECTs and another way outside, and rows would be in no range. An
/// expression's affinity may also turn numeric bounds into text, which sorts differently. With
/// `bare`, a unary `+` removes the key's affinity, and with it the use of an index.
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

/// Wraps the query in a LIMIT, so that SQLite evaluates the query before a condition outside of it.
/// Without the LIMIT, SQLite could test an expression in that condition on rows that the query
/// leaves out, for which the expression may fail.
pub(crate) fn evaluated_first(query: &str) -> String {
    format!("SELECT * FROM (\n{query}\n) LIMIT -1 OFFSET 0")
}

/// Returns a statement for all rows of the query as a derived table.
pub(crate) fn derived(query: &str) -> String {
    format!("SELECT * FROM {}", as_q(query))
}

/// Returns the query as the derived table `q` of a FROM clause. The line break ends a comment at
/// the end of the query.
fn as_q(query: &str) -> String {
    format!("(\n{query}\n) AS q")
}

/// Returns a statement for the distinct keys and their row counts, NULL first, of one in `every`
/// rows of the query, chosen at random.
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

/// Returns a statement that counts the query's rows.
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
