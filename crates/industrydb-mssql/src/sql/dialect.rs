//! What is put around a query, in T-SQL.

use crate::types::decimal;
use industrydb_core::Value;
use industrydb_core::dialect::{Dialect, Limited, NameLimit, Window};
use industrydb_core::narrow::Narrowed;
use industrydb_core::tokens::{Lexicon, first_word, has_word, top_level_words, with_clause};

use crate::types::type_name;

/// How T-SQL divides a query into tokens.
/// <https://learn.microsoft.com/sql/relational-databases/databases/database-identifiers>
pub(crate) const LEXICON: Lexicon = Lexicon {
    quotes: &[(b'\'', b'\''), (b'"', b'"'), (b'[', b']')],
    line_ends: b"\n\r",
    nested_comments: true,
    escape_and_dollar_strings: false,
    sigils: b"@#",
};

/// What is put around names and values in statements on a table.
pub(crate) const DIALECT: Dialect = Dialect {
    quotes: ('[', ']'),
    lexicon: LEXICON,
    placeholder: |number| format!("@p{number}"),
    named: Some('@'),
    window: fetched,
    begin: "BEGIN TRANSACTION",
    commit: "COMMIT TRANSACTION",
    rollback: "ROLLBACK TRANSACTION",
    savepoint: "SAVE TRANSACTION",
    release: None,
    rollback_to: "ROLLBACK TRANSACTION",
    type_name,
    folds_names: true,
    most_values: 2_098,
    longest_name: Some(NameLimit::Utf16Units(128)),
    functions: "",
};

/// `OFFSET … ROWS FETCH NEXT … ROWS ONLY`, which wants an order. T-SQL rejects `FETCH NEXT 0 ROWS`; `TOP (0)` is its
/// empty result.
fn fetched(window: Window) -> Limited {
    if window.limit == Some(0) {
        return Limited {
            front: "TOP (0) ",
            end: String::new(),
        };
    }
    let order = if window.is_ordered {
        ""
    } else {
        "ORDER BY (SELECT NULL) "
    };
    let limit = window
        .limit
        .map(|limit| format!(" FETCH NEXT {limit} ROWS ONLY"));
    Limited {
        front: "",
        end: format!(
            "{order}OFFSET {} ROWS{}",
            window.offset,
            limit.unwrap_or_default()
        ),
    }
}

/// How many transactions are open, one within the other.
pub(crate) const DEPTH: &str = "SELECT @@TRANCOUNT AS depth";

/// A row with a number, if there is such a table.
pub(crate) fn has_table(table: &str) -> String {
    format!("SELECT OBJECT_ID(N'{}') AS id", table.replace('\'', "''"))
}

/// Asks for the columns of a table, by the parts of its name, and for what the server does to them by itself: it computes
/// their values, or has a default for them. What a view does is not known, which counts as a default.
pub(crate) fn column_rules(parts: &[String]) -> String {
    let is_temporary = |table: &String| table.starts_with('#');
    let database = match parts {
        [database, _, _] => Some(database.as_str()),
        [.., table] if is_temporary(table) => Some("tempdb"),
        _ => None,
    };
    let name = parts.iter().map(|part| quoted(part)).collect::<Vec<_>>();
    let (name, sys) = match (database, parts) {
        (Some(database), [_, _, _]) => (name.join("."), format!("{}.sys", quoted(database))),
        (Some(database), _) => (
            format!("{database}..{}", name.last().map_or("", String::as_str)),
            format!("{database}.sys"),
        ),
        (None, _) => (name.join("."), "sys".to_owned()),
    };
    format!(
        "SELECT c.name AS name, CASE WHEN c.is_computed = 1 THEN N'computed' \
         WHEN c.system_type_id = {ROWVERSION} THEN N'rowversion' \
         WHEN c.default_object_id <> 0 OR RTRIM(o.type) <> 'U' THEN N'default' ELSE N'' END AS column_rule \
         FROM {sys}.columns AS c JOIN {sys}.objects AS o ON o.object_id = c.object_id \
         WHERE c.object_id = OBJECT_ID({})",
        string(&name)
    )
}

/// The number of the type `rowversion` in the server's catalog.
const ROWVERSION: u8 = 189;

/// What every session begins with. The protocol's own limit cuts long values off after 4096 bytes, without a word; and a
/// server may be set up so that each statement begins a transaction, which would keep its locks until somebody ends it.
pub(crate) const BEGIN: &str = "SET TEXTSIZE 2147483647; SET IMPLICIT_TRANSACTIONS OFF";

/// Words that begin other statements than a SELECT. All are reserved: without quotes and outside of brackets, none has
/// another meaning, except for MERGE in front of JOIN.
/// <https://learn.microsoft.com/sql/t-sql/language-elements/reserved-keywords-transact-sql>
#[rustfmt::skip]
const OTHER_STATEMENTS: [&str; 47] = [
    "ADD", "ALTER", "BACKUP", "BEGIN", "BREAK", "BULK", "CHECKPOINT", "CLOSE", "COMMIT", "CONTINUE", "CREATE", "DBCC",
    "DEALLOCATE", "DECLARE", "DELETE", "DENY", "DROP", "DUMP", "EXEC", "EXECUTE", "GOTO", "GRANT", "IF", "INSERT",
    "KILL", "LOAD", "OPEN", "PRINT", "RAISERROR", "READTEXT", "RECONFIGURE", "RESTORE", "RETURN", "REVERT",
    "REVOKE", "ROLLBACK", "SAVE", "SET", "SETUSER", "SHUTDOWN", "TRUNCATE", "UPDATE", "UPDATETEXT", "USE",
    "WAITFOR", "WHILE", "WRITETEXT",
];

/// Whether a text is a SELECT that makes no table, as far as its words tell. T-SQL needs nothing between two statements.
pub(crate) fn is_select(query: &str) -> bool {
    let words = top_level_words(query, LEXICON);
    let is = |word: &str, other: &str| word.eq_ignore_ascii_case(other);
    let begins_another = |(at, (_, word)): (usize, &(usize, &str))| {
        let next_is = |other: &str| words.get(at + 1).is_some_and(|(_, next)| is(next, other));
        OTHER_STATEMENTS.iter().any(|other| is(word, other))
            || is(word, "MERGE") && !next_is("JOIN")
            || is(word, "END") && next_is("CONVERSATION")
            // The server may hold it to be white space, and take the word apart.
            || word.contains(char::is_whitespace)
    };
    let (_, select) = with_clause(query, LEXICON);
    first_word(select, LEXICON).is_some_and(|first| is(first, "SELECT"))
        && !has_word(query, LEXICON, &["INTO"])
        && !words.iter().enumerate().any(begins_another)
        // Whether one ends a comment is not documented.
        && !query.replace("\r\n", "\n").contains('\r')
}

/// Whether the query passes over its first rows. OFFSET is a name as well.
pub(crate) fn has_offset(query: &str) -> bool {
    has_word(query, LEXICON, &["OFFSET"]) && has_word(query, LEXICON, &["ROW", "ROWS"])
}

/// Asks for the columns of a query's result, without running it; `browse` also tells the tables' columns that they are.
/// <https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-describe-first-result-set-transact-sql>
pub(crate) fn describe(query: &str, declarations: &str, browse: bool) -> String {
    format!(
        "EXEC sys.sp_describe_first_result_set {}, {}, {}",
        string(query),
        string(declarations),
        u8::from(browse)
    )
}

/// The query without its rows, for servers that cannot describe it.
pub(crate) fn no_rows(query: &str) -> String {
    Derived::new(query, "").between("SELECT TOP (0) * FROM", "")
}

/// The query without its rows, for those that cannot stand in the place of a table. An old setting, which does not
/// run what it describes.
pub(crate) fn format_only(query: &str) -> String {
    format!("SET FMTONLY ON;\n{query}\n;SET FMTONLY OFF")
}

/// A query in the place of a table.
pub(crate) struct Derived<'a> {
    /// Its common table expressions, which cannot stand there.
    with: &'a str,
    select: String,
    /// The names of all of its columns in brackets, where some have none of their own.
    names: &'a str,
    /// What it asks from the optimizer, which stands at the very end.
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
        // An order needs a TOP or an OFFSET there. The TOP of a union is one of its parts'.
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

    /// Text in front of it and behind it. The line break ends a comment that may end the query.
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

    /// Some of its columns and rows.
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

    /// The rows whose key lies in a range: the first one takes the NULLs, the ends are open.
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

    /// Asks for the number of rows.
    pub(crate) fn count(&self) -> String {
        self.between("SELECT SUM(CAST(1 AS bigint)) AS n FROM", "")
    }

    /// Keys with their numbers, NULL first, of one in `step` rows.
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

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) database: Option<String>,
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) column: String,
}

impl Source {
    /// Whether another column stands in the same table.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        (&self.database, &self.schema, &self.table)
            == (&other.database, &other.schema, &other.table)
    }

    /// The table's name in full, as a string.
    fn table(&self) -> String {
        let names = self.database.iter().chain([&self.schema, &self.table]);
        string(&names.map(|name| quoted(name)).collect::<Vec<_>>().join("."))
    }

    /// The schema of the system's views on the table's database.
    fn sys(&self) -> String {
        self.database
            .as_ref()
            .map_or_else(|| "sys".to_owned(), |name| format!("{}.sys", quoted(name)))
    }
}

/// Asks for the first column of a table's primary key.
pub(crate) fn primary_key(source: &Source) -> String {
    let (sys, table) = (source.sys(), source.table());
    format!(
        "SELECT c.name FROM {sys}.indexes AS i \
         JOIN {sys}.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id \
         JOIN {sys}.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id \
         WHERE i.object_id = OBJECT_ID({table}) AND i.is_primary_key = 1 AND ic.key_ordinal = 1"
    )
}

/// Asks for the steps of a column's histogram: the highest key, its rows, and the rows below it down to the step
/// before. It is the newest one without a condition, and there is none where a tenth of the rows has changed since.
/// <https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-db-stats-histogram-transact-sql>
pub(crate) fn histogram(source: &Source, key_type: &str) -> String {
    let (sys, table, column) = (source.sys(), source.table(), string(&source.column));
    let key = printed(key_type, &format!("CONVERT({key_type}, h.range_high_key)"));
    format!(
        "SELECT {key} AS k, h.equal_rows, h.range_rows FROM (SELECT TOP (1) s.object_id, s.stats_id \
         FROM {sys}.stats AS s \
         JOIN {sys}.stats_columns AS sc ON sc.object_id = s.object_id AND sc.stats_id = s.stats_id \
         JOIN {sys}.columns AS c ON c.object_id = sc.object_id AND c.column_id = sc.column_id \
         CROSS APPLY {sys}.dm_db_stats_properties(s.object_id, s.stats_id) AS p \
         WHERE s.object_id = OBJECT_ID({table}) AND c.name = {column} AND sc.stats_column_id = 1 \
         AND s.has_filter = 0 AND p.modification_counter <= p.rows / 10 \
         ORDER BY p.last_updated DESC) AS s \
         CROSS APPLY {sys}.dm_db_stats_histogram(s.object_id, s.stats_id) AS h ORDER BY h.step_number"
    )
}

/// Whether the values of a type have an order that a text of theirs keeps, so that they can be keys.
pub(crate) fn has_order(key_type: &str) -> bool {
    const ORDERED: [&str; 27] = [
        "bigint",
        "binary",
        "bit",
        "char",
        "date",
        "datetime",
        "datetime2",
        "datetimeoffset",
        "decimal",
        "float",
        "int",
        "money",
        "nchar",
        "numeric",
        "nvarchar",
        "real",
        "rowversion",
        "smalldatetime",
        "smallint",
        "smallmoney",
        "sysname",
        "time",
        "timestamp",
        "tinyint",
        "uniqueidentifier",
        "varbinary",
        "varchar",
    ];
    ORDERED.contains(&base(key_type))
}

/// A value as text that reads as the same value.
/// <https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql>
fn printed(key_type: &str, value: &str) -> String {
    let style = match base(key_type) {
        "float" | "real" => 3,
        "money" | "smallmoney" => 2,
        // With a T: these two types read a blank by the language of the login.
        "datetime" | "smalldatetime" => 126,
        "datetime2" | "datetimeoffset" | "date" | "time" => 121,
        "binary" | "varbinary" | "timestamp" | "rowversion" => {
            return format!("CONVERT(nvarchar(max), CAST({value} AS varbinary(8000)), 1)");
        }
        _ => 0,
    };
    format!("CONVERT(nvarchar(max), {value}, {style})")
}

/// Whether keys have one order, which a histogram is in.
pub(crate) fn keeps_order(key_type: &str) -> bool {
    ordered(key_type, "").is_empty()
}

/// What puts keys into the order in which they are compared with cuts. These are `nvarchar`, which some collations put
/// into another order than `varchar`.
fn ordered(key_type: &str, value: &str) -> String {
    match base(key_type) {
        "char" | "varchar" => format!("CAST({value} AS nvarchar(max))"),
        _ => value.to_owned(),
    }
}

/// A value in the text that the type's conversion reads.
fn literal(value: &Value, key_type: &str) -> String {
    let integer = |value: i64| format!("CAST({value} AS bigint)");
    let key_base = base(key_type);
    let is_integer = matches!(key_base, "tinyint" | "smallint" | "int" | "bigint");
    let (text, to) = match value {
        Value::Integer(value) => return integer(*value),
        Value::Float(value) => (format!("{value:?}"), "float".to_owned()),
        // It may have more digits than the key's type.
        Value::Decimal(text) => match decimal::plain(text) {
            Some(number) => (
                number.text,
                format!("decimal({},{})", number.precision, number.scale),
            ),
            None => (text.clone(), "float".to_owned()),
        },
        // A datetime has not all of its digits.
        Value::Temporal(text) if matches!(key_base, "datetime" | "smalldatetime") => {
            (text.clone(), "datetime2(7)".to_owned())
        }
        Value::Text(text) if is_integer => match text.parse() {
            Ok(value) => return integer(value),
            Err(_) => (text.clone(), "decimal(38,0)".to_owned()),
        },
        Value::Text(text) | Value::Temporal(text) => (text.clone(), key_type.to_owned()),
        _ => (String::new(), key_type.to_owned()), // no cut has another kind
    };
    match key_base {
        "char" | "varchar" | "nchar" | "nvarchar" | "sysname" => string(&text),
        "binary" | "varbinary" | "timestamp" | "rowversion" => {
            format!("CONVERT(varbinary(8000), {}, 1)", string(&text))
        }
        _ => format!("CAST({} AS {to})", string(&text)),
    }
}

fn base(type_name: &str) -> &str {
    type_name.split('(').next().unwrap_or(type_name)
}

/// A text as it is, whatever characters it has. A backslash in front of a line's end would take it away.
/// <https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-backslash>
fn string(text: &str) -> String {
    let text = text
        .replace('\'', "''")
        .replace("\\\r\n", "\\\\\r\n\r\n")
        .replace("\\\n", "\\\\\n\n");
    format!("N'{text}'")
}

/// A name as it is, whatever characters it has.
pub(crate) fn quoted(name: &str) -> String {
    DIALECT.quoted(name)
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
    fn some_rows_of_a_table_are_fetched() {
        for (limit, offset, is_ordered, front, end) in [
            (
                Some(3),
                0,
                false,
                "",
                "ORDER BY (SELECT NULL) OFFSET 0 ROWS FETCH NEXT 3 ROWS ONLY",
            ),
            (Some(0), 2, false, "TOP (0) ", ""),
            (None, 2, true, "", "OFFSET 2 ROWS"),
        ] {
            let limited = fetched(Window {
                limit,
                offset,
                is_ordered,
            });
            assert_eq!((limited.front, limited.end.as_str()), (front, end));
        }
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
    fn only_selects_are_run() {
        for query in [
            "SELECT 1",
            "/* a */ (select 1) UNION SELECT 2",
            "WITH c AS (SELECT 1 AS [into]) SELECT [into] FROM c",
            "WITH c AS (SELECT 1 AS a), d (a) AS (SELECT 2) (SELECT a FROM c) UNION ALL SELECT a FROM d",
            "SELECT a FROM t\r\nWHERE a = @open AND b = @set",
            "SELECT a AS [delete], 'drop' AS b FROM t INNER MERGE JOIN u ON 1 = 1 OPTION (MERGE JOIN)",
            "SELECT CASE WHEN a = 1 THEN 2 END FROM t FOR SYSTEM_TIME ALL ORDER BY 1 OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY",
        ] {
            assert!(is_select(query), "{query}");
        }
        for query in [
            "SELECT a INTO t FROM s",
            "SELECT (SELECT 1) INTO t",
            "DELETE FROM t OUTPUT deleted.a",
            "WITH c AS (SELECT 1 AS a) DELETE FROM c",
            "WITH c AS (SELECT a FROM t) UPDATE c SET a = 1 SELECT 1",
            "SELECT 1 AS a DELETE FROM t",
            "SELECT 1) DROP TABLE t (",
            "SELECT 1 AS a\nexec p",
            "SELECT 1 AS a ADD SIGNATURE TO p BY CERTIFICATE c",
            "SELECT 1 AS a END CONVERSATION 'x'",
            "SELECT 1 AS a\u{3000}DELETE\u{3000}FROM\u{a0}t",
            "SELECT 1 -- \r ' \n DELETE FROM t --'",
            "SELECT 1 AS a MERGE t USING u ON 1 = 1 WHEN MATCHED THEN DELETE",
            "EXEC p",
            "SELEC 1",
            "",
        ] {
            assert!(!is_select(query), "{query}");
        }
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
    fn cuts_are_literals_of_the_keys_type() {
        for (text, key_type, expected) in [
            ("7", "tinyint", "CAST(7 AS bigint)"),
            (
                "-9223372036854775808",
                "bigint",
                "CAST(-9223372036854775808 AS bigint)",
            ),
            (
                "9223372036854775808",
                "bigint",
                "CAST(N'9223372036854775808' AS decimal(38,0))",
            ),
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
        for (value, key_type, expected) in [
            (
                Value::Temporal("2024-01-01 00:00:00.123456".to_owned()),
                "datetime",
                "CAST(N'2024-01-01 00:00:00.123456' AS datetime2(7))",
            ),
            (Value::Float(5e-6), "decimal(5,2)", "CAST(N'5e-6' AS float)"),
            (
                Value::Decimal("-1.5E+3".to_owned()),
                "money",
                "CAST(N'-1500' AS decimal(4,0))",
            ),
            (
                Value::Decimal("0.05".to_owned()),
                "int",
                "CAST(N'0.05' AS decimal(2,2))",
            ),
        ] {
            assert_eq!(literal(&value, key_type), expected);
        }
    }

    #[test]
    fn a_backslash_joins_no_lines() {
        assert_eq!(string("a\\\nb\\\r\nc\\d"), "N'a\\\\\n\nb\\\\\r\n\r\nc\\d'");
    }

    #[test]
    fn texts_are_put_in_the_order_in_which_they_are_compared() {
        let keys = |key_type| Derived::new("SELECT a FROM t", "").keys("a", key_type, 1);
        assert!(keys("varchar(9)").ends_with("ORDER BY CAST(k AS nvarchar(max))"));
        assert!(keys("nvarchar(9)").ends_with("ORDER BY k"));
    }

    #[test]
    fn tables_are_named_in_full() {
        let mut source = Source {
            database: Some("d".to_owned()),
            schema: "s".to_owned(),
            table: "t'".to_owned(),
            column: "c".to_owned(),
        };
        assert!(primary_key(&source).contains("FROM [d].sys.indexes"));
        assert!(primary_key(&source).contains("OBJECT_ID(N'[d].[s].[t'']')"));
        source.database = None;
        assert!(
            histogram(&source, "decimal(9,2)").contains("CONVERT(decimal(9,2), h.range_high_key)")
        );
        assert!(histogram(&source, "int").contains("FROM sys.stats"));
    }
}
