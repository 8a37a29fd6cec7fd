//! What is put around a query, in T-SQL.

use industrydb_core::Value;
use industrydb_core::query::{Lexicon, first_word, has_word, with_clause};

/// How T-SQL divides a query into tokens.
/// <https://learn.microsoft.com/sql/relational-databases/databases/database-identifiers>
pub(crate) const LEXICON: Lexicon = Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'[', b']')],
    line_ends: b"\n\r",
    nested_comments: true,
    escape_and_dollar_strings: false,
};

/// What every session begins with: the protocol's own limit cuts long values off after 4096 bytes, without a word.
pub(crate) const BEGIN: &str = "SET TEXTSIZE 2147483647";

/// Whether a statement is a SELECT that makes no table, as far as its words tell.
pub(crate) fn is_select(query: &str) -> bool {
    let (_, select) = with_clause(query, LEXICON);
    let is_first = |word: &str| {
        first_word(select, LEXICON).is_some_and(|first| first.eq_ignore_ascii_case(word))
    };
    is_first("SELECT") && !has_word(select, LEXICON, &["INTO"])
}

/// Asks for the columns of a query's result, without running it.
pub(crate) fn describe(query: &str, declarations: &str) -> String {
    format!(
        "EXEC sys.sp_describe_first_result_set N'{}', N'{}'",
        query.replace('\'', "''"),
        declarations.replace('\'', "''")
    )
}

/// The query without its rows, for servers that cannot describe it.
pub(crate) fn no_rows(query: &str) -> String {
    let (with, select) = in_parts(query);
    format!("{with}SELECT TOP (0) * FROM (\n{select}\n) AS q")
}

/// The rows whose key lies in a range: the first one takes the NULLs, the ends are open.
pub(crate) fn range(
    query: &str,
    key: &str,
    key_type: &str,
    lower: Option<&Value>,
    upper: Option<&Value>,
) -> String {
    let (with, select) = in_parts(query);
    let key = format!("q.{}", quoted(key));
    let cut = |value: &Value| literal(value, key_type);
    let condition = match (lower, upper) {
        (None, None) => return query.to_owned(),
        (None, Some(upper)) => format!("{key} < {} OR {key} IS NULL", cut(upper)),
        (Some(lower), None) => format!("{key} >= {}", cut(lower)),
        (Some(lower), Some(upper)) => format!("{key} >= {} AND {key} < {}", cut(lower), cut(upper)),
    };
    format!("{with}SELECT * FROM (\n{select}\n) AS q WHERE {condition}")
}

/// Asks for the number of the query's rows.
pub(crate) fn count(query: &str) -> String {
    let (with, select) = in_parts(query);
    format!("{with}SELECT SUM(CAST(1 AS bigint)) AS n FROM (\n{select}\n) AS q")
}

/// Keys with their numbers, NULL first, of one in `step` rows.
pub(crate) fn keys(query: &str, key: &str, key_type: &str, step: u64) -> String {
    let (with, select) = in_parts(query);
    let key = quoted(key);
    let some = if step > 1 {
        format!(" WHERE ABS(CAST(CHECKSUM(NEWID()) AS bigint)) % {step} = 0")
    } else {
        String::new()
    };
    let shown = printed(key_type, "k");
    format!(
        "{with}SELECT {shown}, n FROM (SELECT q.{key} AS k, SUM(CAST(1 AS bigint)) AS n FROM (\n{select}\n) AS q{some} \
         GROUP BY q.{key}) AS g ORDER BY k"
    )
}

/// A value as text that reads as the same value.
/// <https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql>
fn printed(key_type: &str, value: &str) -> String {
    let style = match base(key_type) {
        "float" | "real" => 3,
        "money" | "smallmoney" => 2,
        "datetime" | "smalldatetime" | "datetime2" | "datetimeoffset" | "date" | "time" => 121,
        "binary" | "varbinary" | "timestamp" | "rowversion" => 1,
        _ => 0,
    };
    format!("CONVERT(nvarchar(4000), {value}, {style})")
}

/// A value in the text that the type's conversion reads.
fn literal(value: &Value, key_type: &str) -> String {
    let text = match value {
        Value::Integer(value) => return value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Decimal(text) | Value::Text(text) | Value::Temporal(text) => text.clone(),
        _ => String::new(), // no cut has another kind
    };
    let text = text.replace('\'', "''");
    let to = match base(key_type) {
        // Between the integers, or beyond them.
        "tinyint" | "smallint" | "int" | "bigint" if text.contains(['.', 'e']) => "float",
        "tinyint" | "smallint" | "int" | "bigint" => "decimal(38,0)",
        "char" | "varchar" | "nchar" | "nvarchar" | "sysname" => return format!("N'{text}'"),
        "binary" | "varbinary" | "timestamp" | "rowversion" => {
            return format!("CONVERT(varbinary(8000), N'{text}', 1)");
        }
        _ => key_type,
    };
    format!("CAST(N'{text}' AS {to})")
}

fn base(type_name: &str) -> &str {
    type_name.split('(').next().unwrap_or(type_name)
}

/// The common table expressions, which cannot stand in a derived table, and the rest, which can: an ORDER BY is
/// allowed there only with an OFFSET.
fn in_parts(query: &str) -> (&str, String) {
    let (with, select) = with_clause(query, LEXICON);
    let ordered = has_word(select, LEXICON, &["ORDER"]);
    let limited = has_word(select, LEXICON, &["TOP", "OFFSET"]);
    let offset = if ordered && !limited {
        "\nOFFSET 0 ROWS"
    } else {
        ""
    };
    (with, format!("{select}{offset}"))
}

/// A name as it is, whatever characters it has.
pub(crate) fn quoted(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stand_around_the_query_and_behind_its_common_table_expressions() {
        let (low, high) = (Value::Integer(3), Value::Text("x'y".to_owned()));
        assert_eq!(
            range("SELECT a FROM t", "a", "int", Some(&low), None),
            "SELECT * FROM (\nSELECT a FROM t\n) AS q WHERE q.[a] >= 3"
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
        assert_eq!(range("SELECT 1", "a", "int", None, None), "SELECT 1");
    }

    #[test]
    fn only_selects_are_run() {
        for query in [
            "SELECT 1",
            "/* a */ (select 1) UNION SELECT 2",
            "WITH c AS (SELECT 1 AS [into]) SELECT [into] FROM c",
        ] {
            assert!(is_select(query), "{query}");
        }
        for query in [
            "SELECT a INTO t FROM s",
            "DELETE FROM t OUTPUT deleted.a",
            "WITH c AS (SELECT 1 AS a) DELETE FROM c",
            "EXEC p",
            "SELEC 1",
            "",
        ] {
            assert!(!is_select(query), "{query}");
        }
    }

    #[test]
    fn an_order_gets_an_offset() {
        assert_eq!(
            no_rows("SELECT a FROM t ORDER BY a"),
            "SELECT TOP (0) * FROM (\nSELECT a FROM t ORDER BY a\nOFFSET 0 ROWS\n) AS q"
        );
        assert!(!no_rows("SELECT TOP 3 a FROM t ORDER BY a").contains("OFFSET"));
    }

    #[test]
    fn cuts_are_literals_of_the_keys_type() {
        for (text, key_type, expected) in [
            ("7", "int", "CAST(N'7' AS decimal(38,0))"),
            ("7.5", "int", "CAST(N'7.5' AS float)"),
            (
                "2024-01-01",
                "datetime2(7)",
                "CAST(N'2024-01-01' AS datetime2(7))",
            ),
            (
                "0xff",
                "varbinary(8)",
                "CONVERT(varbinary(8000), N'0xff', 1)",
            ),
            ("it's", "nvarchar(5)", "N'it''s'"),
        ] {
            assert_eq!(literal(&Value::Text(text.to_owned()), key_type), expected);
        }
    }
}
