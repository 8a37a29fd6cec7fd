//! Builds statements on a table from names and values.
//!
//! Names are always quoted, and values always bound: neither can end a statement.

use crate::base::error::{Error, Result};
use crate::base::suggest::did_you_mean;
use crate::schema::column_type::ColumnType;
use crate::schema::value::{Parameters, Value};
use crate::sql::dialect::{Dialect, Limited, Window};
use crate::sql::tokens::single_statement;

/// Condition that selects rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All rows.
    All,
    /// Rows whose columns have these values, or one of a list of values; NULL matches NULL.
    Equal(Vec<(String, Value)>),
    /// Rows for which an expression in the database's SQL is true, with the values of its
    /// parameters.
    Sql(String, Parameters),
}

/// Selection of columns and rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Names of the columns; all columns if empty.
    pub columns: Vec<String>,
    /// Condition on the rows.
    pub condition: Condition,
    /// Columns to order by, and whether each is descending.
    pub order_by: Vec<(String, bool)>,
    /// Largest number of rows, if there is a limit.
    pub limit: Option<u64>,
    /// Number of rows to skip, if any.
    pub offset: Option<u64>,
}

/// A statement and the values of its parameters.
pub type Statement = (String, Parameters);

/// Builds `SELECT … FROM table …`.
///
/// # Errors
///
/// [`Error::Configuration`] for invalid names and conditions.
pub fn select(dialect: &Dialect, table: &str, selection: &Selection) -> Result<Statement> {
    let names: Vec<String> = selection
        .columns
        .iter()
        .map(|name| dialect.name(name))
        .collect::<Result<_>>()?;
    let columns = if names.is_empty() {
        "*".to_owned()
    } else {
        names.join(", ")
    };
    let mut values = Values::new(dialect, &selection.condition);
    let condition = values.condition(&selection.condition)?;
    let order = |(name, falls): &(String, bool)| {
        let name = dialect.name(name)?;
        Ok(if *falls { name + " DESC" } else { name })
    };
    let order: Vec<String> = selection
        .order_by
        .iter()
        .map(order)
        .collect::<Result<_>>()?;
    let is_limited = selection.limit.is_some() || selection.offset.is_some();
    let window = Window {
        limit: selection.limit,
        offset: selection.offset.unwrap_or(0),
        is_ordered: !order.is_empty(),
    };
    let limited = is_limited.then(|| (dialect.window)(window));
    let Limited { front, end } = limited.unwrap_or_default();
    let table = dialect.table(table)?;
    let mut parts = vec![format!("SELECT {front}{columns} FROM {table}{condition}")];
    if !order.is_empty() {
        parts.push(format!("ORDER BY {}", order.join(", ")));
    }
    parts.extend((!end.is_empty()).then_some(end));
    Ok((parts.join(" "), values.finish()))
}

/// Builds `UPDATE table SET …`.
///
/// # Errors
///
/// As for [`select`], and if there is no column to set.
pub fn update(
    dialect: &Dialect,
    table: &str,
    set: &[(String, Value)],
    condition: &Condition,
) -> Result<Statement> {
    if set.is_empty() {
        return Err(Error::configuration("there is no column to set"));
    }
    let mut values = Values::new(dialect, condition);
    let assignment = |(name, value): &(String, Value)| {
        // A NULL parameter has a type, which may differ from the column's.
        let value = match value {
            Value::Null => "NULL".to_owned(),
            value => values.push(value.clone()),
        };
        Ok(format!("{} = {value}", dialect.name(name)?))
    };
    let assignments: Vec<String> = set.iter().map(assignment).collect::<Result<_>>()?;
    let table = dialect.table(table)?;
    let condition = values.condition(condition)?;
    let sql = format!("UPDATE {table} SET {}{condition}", assignments.join(", "));
    Ok((sql, values.finish()))
}

/// Builds `DELETE FROM table …`.
///
/// # Errors
///
/// As for [`select`].
pub fn delete(dialect: &Dialect, table: &str, condition: &Condition) -> Result<Statement> {
    let mut values = Values::new(dialect, condition);
    let table = dialect.table(table)?;
    let condition = values.condition(condition)?;
    Ok((format!("DELETE FROM {table}{condition}"), values.finish()))
}

/// Builds `CREATE TABLE …` for the columns of a frame.
///
/// # Errors
///
/// [`Error::Configuration`] for invalid names, and for types that no column of the database holds.
pub fn create_table(
    dialect: &Dialect,
    table: &str,
    columns: &[(String, ColumnType)],
) -> Result<String> {
    let column = |(name, column_type): &(String, ColumnType)| {
        let type_name = (dialect.type_name)(column_type).ok_or_else(|| {
            Error::configuration(format!(
                "column {name:?} is {column_type}, which no column of this database keeps: convert it first"
            ))
        })?;
        Ok(format!("{} {type_name}", dialect.name(name)?))
    };
    let columns: Vec<String> = columns.iter().map(column).collect::<Result<_>>()?;
    let table = dialect.table(table)?;
    Ok(format!("CREATE TABLE {table} ({})", columns.join(", ")))
}

/// Returns the index of each of a frame's columns among the columns of a table.
///
/// # Errors
///
/// [`Error::Configuration`] for a column that the table does not have, with the one that may be
/// meant, and for two columns that are the same one in the table.
pub fn places(
    dialect: &Dialect,
    table: &str,
    given: &[(String, ColumnType)],
    columns: &[&str],
) -> Result<Vec<usize>> {
    let place = |(name, _): &(String, ColumnType)| {
        let exact = columns.iter().position(|column| column == name);
        let folded = || {
            let same = |column: &&str| dialect.folds_names && column.eq_ignore_ascii_case(name);
            columns.iter().position(same)
        };
        exact.or_else(folded).ok_or_else(|| {
            Error::configuration(format!(
                "table {table} has no column {name:?}{}; it has {columns:?}",
                did_you_mean(name, columns)
            ))
        })
    };
    let places: Vec<usize> = given.iter().map(place).collect::<Result<_>>()?;
    let twice = (0..places.len()).find(|index| places[..*index].contains(&places[*index]));
    match twice {
        Some(index) => Err(Error::configuration(format!(
            "two columns of the data are {:?} in table {table}",
            columns[places[index]]
        ))),
        None => Ok(places),
    }
}

/// Refuses to replace rows if the table has no primary key, or if the data lack a column of the
/// key.
///
/// # Errors
///
/// [`Error::Configuration`] that gives the reason.
pub fn reject_missing_keys(table: &str, keys: &[String], given: &[&str]) -> Result<()> {
    let why = if keys.is_empty() {
        format!("table {table} has none")
    } else if !keys.iter().all(|key| given.contains(&key.as_str())) {
        format!("the data lack some of its columns {keys:?}")
    } else {
        return Ok(());
    };
    Err(Error::configuration(format!(
        "on_conflict=\"replace\" goes by the primary key, and {why}"
    )))
}

/// Values of a statement's parameters so far: the caller's, and the added ones.
pub(crate) struct Values<'a> {
    dialect: &'a Dialect,
    /// The caller's values, which keep their numbers or names.
    given: Parameters,
    added: Vec<Value>,
    /// Whether parameters are matched to values by their position in the statement.
    by_place: bool,
    /// Whether the added parameters stand in front of the caller's.
    in_front: bool,
    /// Prefix of the added parameters' names, which occurs in none of the caller's.
    prefix: String,
}

impl<'a> Values<'a> {
    fn new(dialect: &'a Dialect, condition: &Condition) -> Self {
        let given = match condition {
            Condition::Sql(_, parameters) => parameters.clone(),
            _ => Parameters::default(),
        };
        Self::of(dialect, given, true)
    }

    fn of(dialect: &'a Dialect, given: Parameters, in_front: bool) -> Self {
        let mut prefix = "industrydb_".to_owned();
        if let Parameters::Named(named) = &given {
            let is_taken = |prefix: &String| {
                named
                    .iter()
                    .any(|(name, _)| name.to_ascii_lowercase().contains(prefix))
            };
            while is_taken(&prefix) {
                prefix.push('_');
            }
        }
        Self {
            dialect,
            given,
            added: Vec::new(),
            by_place: (dialect.placeholder)(1) == (dialect.placeholder)(2),
            in_front,
            prefix,
        }
    }

    /// Creates the values of a condition that follows a query with values of its own.
    pub(crate) fn behind(dialect: &'a Dialect, given: &Parameters) -> Self {
        Self::of(dialect, given.clone(), false)
    }

    /// Returns whether there are more values, including the caller's, than a statement takes.
    pub(crate) fn are_too_many(&self) -> bool {
        let given = match &self.given {
            Parameters::Positional(values) => values.len(),
            Parameters::Named(values) => values.len(),
        };
        given + self.added.len() > self.dialect.most_values
    }

    /// Returns the number of added values.
    pub(crate) fn count(&self) -> usize {
        self.added.len()
    }

    /// Removes all added values but the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.added.truncate(count);
    }

    /// Adds a value; returns its placeholder.
    pub(crate) fn push(&mut self, value: Value) -> String {
        self.added.push(value);
        let number = self.added.len();
        match (&self.given, self.dialect.named) {
            (Parameters::Named(_), Some(sign)) => format!("{sign}{}{number}", self.prefix),
            (Parameters::Positional(given), _) if !self.by_place => {
                (self.dialect.placeholder)(given.len() + number)
            }
            _ => (self.dialect.placeholder)(number),
        }
    }

    fn condition(&mut self, condition: &Condition) -> Result<String> {
        let sql = match condition {
            Condition::All => return Ok(String::new()),
            Condition::Sql(sql, _) => {
                // Some databases would run a second statement too.
                format!("(\n{}\n)", single_statement(sql, self.dialect.lexicon)?)
            }
            Condition::Equal(pairs) if pairs.is_empty() => {
                return Err(Error::configuration(
                    "where names no column: leave it out for all rows",
                ));
            }
            Condition::Equal(pairs) => {
                let terms: Vec<String> = pairs
                    .iter()
                    .map(|(name, value)| self.equal(name, value))
                    .collect::<Result<_>>()?;
                terms.join(" AND ")
            }
        };
        Ok(format!(" WHERE {sql}"))
    }

    fn equal(&mut self, name: &str, value: &Value) -> Result<String> {
        let name = self.dialect.name(name)?;
        Ok(match value {
            Value::Null => format!("{name} IS NULL"),
            Value::List(values) => {
                let has_null = values.contains(&Value::Null);
                let others = values.iter().filter(|value| **value != Value::Null);
                let others: Vec<String> = others.map(|value| self.push(value.clone())).collect();
                match (others.is_empty(), has_null) {
                    (true, true) => format!("{name} IS NULL"),
                    (true, false) => "1 = 0".to_owned(),
                    (false, false) => format!("{name} IN ({})", others.join(", ")),
                    (false, true) => {
                        format!("({name} IN ({}) OR {name} IS NULL)", others.join(", "))
                    }
                }
            }
            value => format!("{name} = {}", self.push(value.clone())),
        })
    }

    pub(crate) fn finish(self) -> Parameters {
        match self.given {
            Parameters::Named(mut named) => {
                let added = (1..).zip(self.added);
                let prefix = self.prefix;
                named.extend(added.map(|(number, value)| (format!("{prefix}{number}"), value)));
                Parameters::Named(named)
            }
            Parameters::Positional(given) if self.by_place && self.in_front => {
                Parameters::Positional(self.added.into_iter().chain(given).collect())
            }
            Parameters::Positional(given) => {
                Parameters::Positional(given.into_iter().chain(self.added).collect())
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sql::dialect::{NameLimit, limit_offset};
    use crate::sql::tokens::Lexicon;

    pub(crate) const NUMBERED: Dialect = Dialect {
        quotes: ('"', '"'),
        lexicon: Lexicon {
            quotes: &[(b'\'', b'\''), (b'"', b'"')],
            line_ends: b"\n",
            nested_comments: false,
            hash_comments: false,
            backslash_in: b"",
            escape_and_dollar_strings: false,
            sigils: b"",
        },
        placeholder: |number| format!("${number}"),
        named: None,
        window: limit_offset,
        begin: "BEGIN",
        commit: "COMMIT",
        rollback: "ROLLBACK",
        savepoint: "SAVEPOINT",
        release: Some("RELEASE"),
        rollback_to: "ROLLBACK TO",
        rename_tables: None,
        type_name: |_| None,
        folds_names: false,
        most_values: 4,
        longest_name: Some(NameLimit::Bytes(12)),
        functions: "",
    };
    const TYPED: Dialect = Dialect {
        type_name: |_| Some("bigint".to_owned()),
        ..NUMBERED
    };
    const UNLIMITED: Dialect = Dialect {
        longest_name: None,
        ..NUMBERED
    };
    const PLACED: Dialect = Dialect {
        placeholder: |_| "?".to_owned(),
        named: Some(':'),
        ..NUMBERED
    };
    const FRONT: Dialect = Dialect {
        window: |window| Limited {
            front: match window {
                Window {
                    limit: Some(0),
                    offset: 2,
                    is_ordered: true,
                } => "0 2 true ",
                _ => "",
            },
            end: String::new(),
        },
        ..NUMBERED
    };
    const BRACKETS: Dialect = Dialect {
        quotes: ('[', ']'),
        placeholder: |number| format!("@p{number}"),
        named: Some('@'),
        longest_name: Some(NameLimit::Utf16Units(12)),
        ..NUMBERED
    };

    fn sql(text: &str, values: &[i64]) -> Condition {
        let values = values.iter().map(|value| Value::Integer(*value)).collect();
        Condition::Sql(text.to_owned(), Parameters::Positional(values))
    }

    fn integers(parameters: &Parameters) -> Vec<i64> {
        let Parameters::Positional(values) = parameters else {
            return Vec::new();
        };
        let integer = |value: &Value| match value {
            Value::Integer(value) => *value,
            _ => -1,
        };
        values.iter().map(integer).collect()
    }

    #[test]
    fn names_are_quoted_and_values_bound() {
        let text = Value::Text("'; --".to_owned());
        let condition = Condition::Equal(vec![
            ("a\"b".to_owned(), text.clone()),
            ("c".to_owned(), Value::Null),
            (
                "d".to_owned(),
                Value::List(vec![Value::Integer(1), Value::Null]),
            ),
            ("e".to_owned(), Value::List(Vec::new())),
        ]);
        let (sql, values) = delete(&NUMBERED, "s.t", &condition).expect("valid");
        assert_eq!(
            sql,
            "DELETE FROM \"s\".\"t\" WHERE \"a\"\"b\" = $1 AND \"c\" IS NULL AND (\"d\" IN ($2) OR \"d\" IS NULL) \
             AND 1 = 0"
        );
        assert_eq!(
            values,
            Parameters::Positional(vec![text, Value::Integer(1)])
        );
    }

    #[test]
    fn the_callers_parameters_keep_their_places() {
        let set = [("a".to_owned(), Value::Integer(10))];
        let (text, values) = update(&NUMBERED, "t", &set, &sql("b = $1", &[1])).expect("valid");
        assert_eq!(text, "UPDATE \"t\" SET \"a\" = $2 WHERE (\nb = $1\n)");
        assert_eq!(integers(&values), [1, 10]);
        let (text, values) = update(&PLACED, "t", &set, &sql("b = ?", &[1])).expect("valid");
        assert_eq!(text, "UPDATE \"t\" SET \"a\" = ? WHERE (\nb = ?\n)");
        assert_eq!(integers(&values), [10, 1]);
        let named = Parameters::Named(vec![("b".to_owned(), Value::Integer(1))]);
        let condition = Condition::Sql("b = :b".to_owned(), named);
        let (text, values) = update(&PLACED, "t", &set, &condition).expect("valid");
        assert_eq!(
            text,
            "UPDATE \"t\" SET \"a\" = :industrydb_1 WHERE (\nb = :b\n)"
        );
        let expected = [("b", 1), ("industrydb_1", 10)];
        let expected = expected.map(|(name, value)| (name.to_owned(), Value::Integer(value)));
        assert_eq!(values, Parameters::Named(expected.to_vec()));
    }

    #[test]
    fn a_part_of_the_rows_is_asked_for_in_the_databases_way() {
        let selection = |order: &[(&str, bool)], limit, offset| Selection {
            columns: vec!["a".to_owned()],
            condition: Condition::All,
            order_by: order
                .iter()
                .map(|(name, falls)| ((*name).to_owned(), *falls))
                .collect(),
            limit,
            offset,
        };
        for (dialect, selection, expected) in [
            (
                &NUMBERED,
                selection(&[], None, None),
                "SELECT \"a\" FROM \"t\"",
            ),
            (
                &NUMBERED,
                selection(&[("b", true), ("c", false)], Some(3), None),
                "SELECT \"a\" FROM \"t\" ORDER BY \"b\" DESC, \"c\" LIMIT 3 OFFSET 0",
            ),
            (
                &PLACED,
                selection(&[], None, Some(2)),
                "SELECT \"a\" FROM \"t\" LIMIT 9223372036854775807 OFFSET 2",
            ),
            (
                &FRONT,
                selection(&[("b", false)], Some(0), Some(2)),
                "SELECT 0 2 true \"a\" FROM \"t\" ORDER BY \"b\"",
            ),
        ] {
            assert_eq!(select(dialect, "t", &selection).expect("valid").0, expected);
        }
    }

    /// Names longer than the database's limit are refused in every place of a statement. Cut off
    /// after the 12 bytes of the limit, the name would be that of another table.
    #[test]
    fn names_longer_than_the_databases_are_refused_wherever_they_stand() {
        const LONG: &str = "a_long_table_";
        let long = || LONG.to_owned();
        let selection = |columns, condition, order_by| Selection {
            columns,
            condition,
            order_by,
            limit: None,
            offset: None,
        };
        let value = || Value::Integer(1);
        let equal = || Condition::Equal(vec![(long(), value())]);
        let columns = |name: &str| [(name.to_owned(), ColumnType::Int64)];
        let select = |columns, condition, order| {
            select(&NUMBERED, "t", &selection(columns, condition, order))
        };
        let refused = [
            NUMBERED.table(LONG).err(),
            NUMBERED.table("a_long_table_.t").err(),
            NUMBERED.target("t", &columns(LONG)).err(),
            NUMBERED.target(LONG, &columns("a")).err(),
            select(vec![long()], Condition::All, Vec::new()).err(),
            select(Vec::new(), equal(), Vec::new()).err(),
            select(Vec::new(), Condition::All, vec![(long(), true)]).err(),
            update(
                &NUMBERED,
                LONG,
                &[("a".to_owned(), value())],
                &Condition::All,
            )
            .err(),
            update(&NUMBERED, "t", &[(long(), Value::Null)], &Condition::All).err(),
            delete(&NUMBERED, "t", &equal()).err(),
            create_table(&TYPED, "t", &columns(LONG)).err(),
        ];
        for (number, error) in refused.into_iter().enumerate() {
            let message = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(
                message.contains("\"a_long_table_\" has 13 bytes") && message.contains("have 12"),
                "{number}: {message}"
            );
        }
        for (dialect, name, is_kept) in [
            (&NUMBERED, "a_long_table", true),
            (&NUMBERED, "größengröß", false),
            (&BRACKETS, "größengrößen", true),
            (&BRACKETS, "😀😀😀😀😀😀", true),
            (&BRACKETS, "😀😀😀😀😀😀a", false),
            (&UNLIMITED, "a name of more than twelve bytes", true),
        ] {
            assert_eq!(dialect.name(name).is_ok(), is_kept, "{name}");
        }
    }

    #[test]
    fn tables_have_parts() {
        for (name, expected) in [
            ("t", "\"t\""),
            ("S.my table", "\"S\".\"my table\""),
            ("\"a.b\".\"c\"\"d\"", "\"a.b\".\"c\"\"d\""),
            ("t\"; --", "\"t\"\"; --\""),
        ] {
            assert_eq!(NUMBERED.table(name).expect(name), expected);
        }
        for name in ["", ".t", "s.", "s..t", "\"t", "\"s\"x.t"] {
            NUMBERED.table(name).expect_err(name);
        }
        for condition in ["a = 1; DELETE FROM t", "", "-- nothing"] {
            delete(&NUMBERED, "t", &sql(condition, &[])).expect_err(condition);
        }
    }
}
