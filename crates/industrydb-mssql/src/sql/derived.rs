//! A query as a derived table, and the statements around one.

use industrydb_core::Value;
use industrydb_core::narrow::Narrowed;
use industrydb_core::shape::{top_level_words, with_clause};

use crate::sql::dialect::{LEXICON, quoted};
use crate::sql::keys::{literal, ordered, printed};

/// Returns a statement that gives the query's columns but no rows, by `TOP (0)`, for a server that
/// cannot describe the query.
pub(crate) fn no_rows(query: &str) -> String {
    Derived::new(query, "").between("SELECT TOP (0) * FROM", "")
}

/// Returns statements that give the query's columns but no rows, by `FMTONLY`, for a query that
/// cannot be a derived table. The setting is old; while it is on, the server runs nothing.
pub(crate) fn format_only(query: &str) -> String {
    format!("SET FMTONLY ON;\n{query}\n;SET FMTONLY OFF")
}

/// A query as a derived table, named `q`.
pub(crate) struct Derived<'a> {
    /// The query's WITH clause, which is not allowed inside a derived table.
    with: &'a str,
    select: String,
    /// Column list of the derived table if the query leaves a column unnamed; otherwise empty.
    names: &'a str,
    /// The query's OPTION clause, which must end the statement.
    option: &'a str,
}

impl<'a> Derived<'a> {
    pub(crate) fn new(query: &'a str, names: &'a str) -> Self {
        let (with, rest) = with_clause(query, LEXICON);
        let words = top_level_words(rest, LEXICON);
        let find = |word: &str| {
            words
                .iter()
                .rev()
                .find(|(_, other)| other.eq_ignore_ascii_case(word))
        };
        let has = |word: &str| find(word).is_some();
        let (select, option) = rest.split_at(find("OPTION").map_or(rest.len(), |(at, _)| *at));
        // ORDER BY in a derived table needs a TOP or an OFFSET. A TOP in a union belongs to one of
        // its SELECTs only.
        let is_union = has("UNION") || has("EXCEPT") || has("INTERSECT");
        let has_offset = has("OFFSET") && (has("ROW") || has("ROWS"));
        let is_limited = has_offset || has("TOP") && !is_union;
        let offset = if has("ORDER") && !is_limited {
            "\nOFFSET 0 ROWS"
        } else {
            ""
        };
        Self {
            with,
            select: format!("{}{offset}", select.trim_end()),
            names,
            option,
        }
    }

    /// Puts text before and after the derived table. The line break after the query ends a comment
    /// in the query's last line.
    fn between(&self, before: &str, after: &str) -> String {
        let Self {
            with,
            select,
            names,
            option,
        } = self;
        let query = format!("{with}{before} (\n{select}\n) AS q{names}{after}");
        if option.is_empty() {
            query
        } else {
            format!("{query}\n{option}")
        }
    }

    /// Selects the columns and rows of a narrowed query, at most `limit` of them.
    pub(crate) fn narrowed(&self, narrowed: &Narrowed, limit: Option<u64>) -> String {
        let top = limit.map(|rows| format!("TOP ({rows}) "));
        let condition = narrowed.condition.as_ref();
        self.between(
            &format!(
                "SELECT {}{} FROM",
                top.unwrap_or_default(),
                narrowed.columns
            ),
            &condition.map_or_else(String::new, |sql| format!(" WHERE {sql}")),
        )
    }

    /// Selects the rows whose key is at least `lower` and below `upper`. A missing bound leaves the
    /// range open at that end; the range without a lower bound includes NULL keys.
    pub(crate) fn range(
        &self,
        key: &str,
        key_type: &str,
        lower: Option<&Value>,
        upper: Option<&Value>,
    ) -> String {
        let key = format!("q.{}", quoted(key));
        let cut = |value: &Value| literal(value, key_type);
        let condition = match (lower, upper) {
            (None, None) => String::new(),
            (None, Some(upper)) => format!(" WHERE {key} < {} OR {key} IS NULL", cut(upper)),
            (Some(lower), None) => format!(" WHERE {key} >= {}", cut(lower)),
            (Some(lower), Some(upper)) => {
                format!(" WHERE {key} >= {} AND {key} < {}", cut(lower), cut(upper))
            }
        };
        self.between("SELECT * FROM", &condition)
    }

    /// Counts the rows.
    pub(crate) fn count(&self) -> String {
        self.between("SELECT SUM(CAST(1 AS bigint)) AS n FROM", "")
    }

    /// Selects the keys of about one in `step` rows, chosen at random, with the row count of each
    /// key; sorted, with NULL first.
    pub(crate) fn keys(&self, key: &str, key_type: &str, step: u64) -> String {
        let key = quoted(key);
        let some = if step > 1 {
            format!(" WHERE ABS(CAST(CHECKSUM(NEWID()) AS bigint)) % {step} = 0")
        } else {
            String::new()
        };
        let (shown, order) = (printed(key_type, "k"), ordered(key_type, "k"));
        self.between(
            &format!(
                "SELECT {shown}, n FROM (SELECT q.{key} AS k, SUM(CAST(1 AS bigint)) AS n FROM"
            ),
            &format!("{some} GROUP BY q.{key}) AS g ORDER BY {order}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(
        query: &str,
        key: &str,
        key_type: &str,
        lower: Option<&Value>,
        upper: Option<&Value>,
    ) -> String {
        Derived::new(query, "").range(key, key_type, lower, upper)
    }

    #[test]
    fn ranges_stand_around_the_query_and_behind_its_common_table_expressions() {
        let (low, high) = (Value::Integer(3), Value::Text("x'y".to_owned()));
        assert_eq!(
            range("SELECT a FROM t", "a", "int", Some(&low), None),
            "SELECT * FROM (\nSELECT a FROM t\n) AS q WHERE q.[a] >= CAST(3 AS bigint)"
        );
        assert_eq!(
            range(
                "WITH c AS (SELECT 1 AS a) SELECT a FROM c",
                "a]",
                "nvarchar(9)",
                None,
                Some(&high)
            ),
            "WITH c AS (SELECT 1 AS a) SELECT * FROM (\nSELECT a FROM c\n) AS q \
             WHERE q.[a]]] < N'x''y' OR q.[a]]] IS NULL"
        );
        assert_eq!(
            no_rows("WITH c AS (SELECT 1 AS a) (SELECT a FROM c) UNION ALL SELECT a FROM u"),
            "WITH c AS (SELECT 1 AS a) SELECT TOP (0) * FROM (\n(SELECT a FROM c) UNION ALL SELECT a FROM u\n) AS q"
        );
        assert_eq!(
            Derived::new("SELECT 1, a FROM t", " ([column_0], [a])").range(
                "column_0",
                "int",
                Some(&low),
                None
            ),
            "SELECT * FROM (\nSELECT 1, a FROM t\n) AS q ([column_0], [a]) WHERE q.[column_0] >= CAST(3 AS bigint)"
        );
    }

    #[test]
    fn an_order_gets_an_offset_and_options_go_to_the_end() {
        for (query, expected) in [
            (
                "SELECT a FROM t ORDER BY a",
                "(\nSELECT a FROM t ORDER BY a\nOFFSET 0 ROWS\n) AS q",
            ),
            (
                "SELECT TOP 3 a FROM t ORDER BY a",
                "(\nSELECT TOP 3 a FROM t ORDER BY a\n) AS q",
            ),
            (
                "SELECT a FROM t ORDER BY a OFFSET 5 ROWS",
                "(\nSELECT a FROM t ORDER BY a OFFSET 5 ROWS\n) AS q",
            ),
            (
                "SELECT a FROM (SELECT TOP 3 a FROM t ORDER BY a) AS s",
                "(\nSELECT a FROM (SELECT TOP 3 a FROM t ORDER BY a) AS s\n) AS q",
            ),
            (
                "SELECT TOP 3 a FROM t UNION SELECT b FROM u ORDER BY a",
                "(\nSELECT TOP 3 a FROM t UNION SELECT b FROM u ORDER BY a\nOFFSET 0 ROWS\n) AS q",
            ),
            (
                "SELECT offset FROM t WHERE a = @order AND b = @option",
                "(\nSELECT offset FROM t WHERE a = @order AND b = @option\n) AS q",
            ),
            (
                "SELECT a FROM t ORDER BY a OPTION (MAXDOP 1)",
                "(\nSELECT a FROM t ORDER BY a\nOFFSET 0 ROWS\n) AS q\nOPTION (MAXDOP 1)",
            ),
        ] {
            assert_eq!(no_rows(query), format!("SELECT TOP (0) * FROM {expected}"));
        }
    }

    #[test]
    fn texts_are_put_in_the_order_in_which_they_are_compared() {
        let keys = |key_type| Derived::new("SELECT a FROM t", "").keys("a", key_type, 1);
        assert!(keys("varchar(9)").ends_with("ORDER BY CAST(k AS nvarchar(max))"));
        assert!(keys("nvarchar(9)").ends_with("ORDER BY k"));
    }
}
