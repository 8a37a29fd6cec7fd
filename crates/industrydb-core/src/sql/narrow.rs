//! Narrows a query to some of its columns and rows.
//!
//! The database then sends only what the caller needs. The caller also applies its own filter to
//! the rows that arrive. So the database may send more rows than match, if its comparisons differ
//! from the caller's, but never fewer: a condition is passed on only as far as the database keeps
//! every matching row. See [`Kept`].

use crate::schema::column_type::ColumnType;
use crate::schema::field::Field;
use crate::schema::value::{Parameters, Value};
use crate::sql::dialect::Dialect;
use crate::sql::statements::{Statement, Values};

/// Wanted columns and rows of a query's result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Narrowing {
    /// Names of the columns; all columns if empty.
    pub columns: Vec<String>,
    /// Condition on the rows; `None` for all rows.
    pub filter: Option<Filter>,
    /// Largest number of rows; not combined with a filter.
    pub limit: Option<u64>,
    /// Whether the largest value of each column suffices, in the order of the values as they are
    /// read. A database that orders them differently returns all values.
    pub largest: bool,
}

/// Condition on a row, in SQL's three-valued logic.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Both conditions hold.
    And(Box<Filter>, Box<Filter>),
    /// At least one of the conditions holds.
    Or(Box<Filter>, Box<Filter>),
    /// The condition does not hold.
    Not(Box<Filter>),
    /// Tests one column's value.
    Column(String, Test),
}

impl Filter {
    /// Returns the names of the tested columns; a name may occur several times.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::And(a, b) | Self::Or(a, b) => [a.columns(), b.columns()].concat(),
            Self::Not(inner) => inner.columns(),
            Self::Column(name, _) => vec![name],
        }
    }
}

/// Test of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The value is NULL.
    IsNull,
    /// The comparison with another value holds.
    Compare(Comparison, Value),
    /// The value is one of these values. NULL is not among them.
    In(Vec<Value>),
    /// The value contains a text at a place.
    Contains(Place, String),
    /// The comparison of a part of a date or time with a number holds.
    Part(Part, Comparison, i64),
}

/// Comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Returns the operator's sign in SQL.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Returns the operator with a sign, if there is one.
    pub fn of_sign(sign: &str) -> Option<Self> {
        use Comparison as C;
        [
            C::Equal,
            C::Unequal,
            C::Less,
            C::LessOrEqual,
            C::Greater,
            C::GreaterOrEqual,
        ]
        .into_iter()
        .find(|comparison| comparison.sign() == sign)
    }
}

/// Place of a text within another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the start of the other text.
    Start,
    /// At the end of the other text.
    End,
    /// Anywhere in the other text.
    Anywhere,
}

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The year.
    Year,
    /// The month, from 1.
    Month,
    /// The day of the month, from 1.
    Day,
    /// The hour.
    Hour,
    /// The minute.
    Minute,
    /// The whole seconds.
    Second,
}

impl Part {
    /// Returns the part's name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    /// Returns the part with a name, if there is one.
    pub fn of_name(name: &str) -> Option<Self> {
        use Part as P;
        [P::Year, P::Month, P::Day, P::Hour, P::Minute, P::Second]
            .into_iter()
            .find(|part| part.name() == name)
    }
}

/// Rows that a database's own test of a value keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Exactly the rows that pass the test, so the test may be negated.
    Same,
    /// The rows that pass the test, and perhaps more.
    More,
}

/// Test written in a database's SQL, and the rows that it keeps.
pub type Written = (String, Kept);

/// Callback that binds a value to a parameter, and returns its placeholder.
pub type Bind<'a> = &'a mut dyn FnMut(Value) -> String;

/// Callback that writes a test of the column at an index; `None` if the database cannot do the
/// test.
pub type Write<'a> = &'a dyn Fn(usize, &Test, Bind) -> Option<Written>;

/// Columns, condition and parameters of a narrowed query, for a connector to put together.
pub struct Narrowed {
    /// Expressions of the SELECT list, separated by commas.
    pub columns: String,
    /// Condition after WHERE, if any.
    pub condition: Option<String>,
    /// Values of the query's own parameters, followed by those of the condition.
    pub parameters: Parameters,
}

/// Writes the columns and the condition of a narrowed query. They refer to the original query as
/// `q`.
pub fn narrowed(
    dialect: &Dialect,
    fields: &[Field],
    narrowing: &Narrowing,
    given: &Parameters,
    write: Write,
) -> Narrowed {
    let is_ordered = |name: &String| {
        let field = fields.iter().find(|field| field.name == *name);
        field.is_some_and(|field| is_ordered(&field.own_type))
    };
    let column = |name: &String| {
        let has_largest = narrowing.largest && is_ordered(name);
        let name = dialect.quoted(name);
        if has_largest {
            format!("{}max(q.{name}) AS {name}", dialect.functions)
        } else {
            format!("q.{name} AS {name}")
        }
    };
    let columns = match &narrowing.columns[..] {
        [] => "*".to_owned(),
        names => names.iter().map(column).collect::<Vec<_>>().join(", "),
    };
    let mut values = Values::behind(dialect, given);
    let condition = narrowing.filter.as_ref().and_then(|filter| {
        let mut writer = Writer {
            fields,
            values: &mut values,
            write,
        };
        writer.widely(filter)
    });
    Narrowed {
        columns,
        condition,
        parameters: values.finish(),
    }
}

/// Returns whether the database orders a column's values as numbers, dates or times. It orders
/// texts otherwise, whatever they are read as.
fn is_ordered(own_type: &ColumnType) -> bool {
    use ColumnType as T;
    own_type.is_number()
        || matches!(
            own_type,
            T::Null | T::Date | T::Datetime { .. } | T::Ticks { .. }
        )
}

impl Narrowed {
    /// Returns the narrowed query, with `LIMIT` for a limit. The line break after `query` closes a
    /// comment at its end.
    pub fn select(self, query: &str, limit: Option<u64>) -> Statement {
        let condition = self.condition.map(|sql| format!(" WHERE {sql}"));
        let limit = limit.map(|rows| format!(" LIMIT {rows}"));
        let sql = format!(
            "SELECT {} FROM (\n{query}\n) AS q{}{}",
            self.columns,
            condition.unwrap_or_default(),
            limit.unwrap_or_default()
        );
        (sql, self.parameters)
    }
}

struct Writer<'a, 'v> {
    fields: &'a [Field],
    values: &'a mut Values<'v>,
    write: Write<'a>,
}

impl Writer<'_, '_> {
    /// Returns a condition that holds for at least all rows for which the filter holds; `None` if
    /// there is none but the trivial one.
    fn widely(&mut self, filter: &Filter) -> Option<String> {
        match filter {
            Filter::And(a, b) => match (self.widely(a), self.widely(b)) {
                (Some(a), Some(b)) => Some(format!("({a} AND {b})")),
                (a, b) => a.or(b),
            },
            Filter::Or(a, b) => self.both(|writer| {
                let (a, b) = (writer.widely(a)?, writer.widely(b)?);
                Some(format!("({a} OR {b})"))
            }),
            other => self.exactly(other).or_else(|| match other {
                Filter::Column(name, test) => self.test(name, test).map(|(sql, _)| sql),
                _ => None,
            }),
        }
    }

    /// Returns a condition that holds for the same rows as the filter, and is unknown for the same
    /// rows; `None` if there is none.
    fn exactly(&mut self, filter: &Filter) -> Option<String> {
        self.both(|writer| {
            Some(match filter {
                Filter::And(a, b) => {
                    format!("({} AND {})", writer.exactly(a)?, writer.exactly(b)?)
                }
                Filter::Or(a, b) => format!("({} OR {})", writer.exactly(a)?, writer.exactly(b)?),
                Filter::Not(inner) => format!("(NOT ({}))", writer.exactly(inner)?),
                Filter::Column(name, test) => match writer.test(name, test)? {
                    (sql, Kept::Same) => sql,
                    (_, Kept::More) => return None,
                },
            })
        })
    }

    fn test(&mut self, name: &str, test: &Test) -> Option<Written> {
        let index = self.fields.iter().position(|field| field.name == name)?;
        let write = self.write;
        self.both(|writer| {
            let written = write(index, test, &mut |value| writer.values.push(value))?;
            (!writer.values.are_too_many()).then_some(written)
        })
    }

    /// Runs `write`, and removes the values that it has added if it returns `None`.
    fn both<T>(&mut self, write: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.values.count();
        let written = write(self);
        if written.is_none() {
            self.values.truncate(before);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::column_type::ColumnType;
    use crate::statements::tests::NUMBERED;

    fn compare(name: &str, value: i64) -> Box<Filter> {
        let test = Test::Compare(Comparison::Equal, Value::Integer(value));
        Box::new(Filter::Column(name.to_owned(), test))
    }

    /// Writes a filter on three columns: `same` is compared exactly, `more` by a comparison that
    /// keeps more rows, and `none` not at all.
    fn written(filter: Filter) -> (Option<String>, Parameters) {
        let fields = ["same", "more", "none"].map(|name| Field::new(name, "", ColumnType::Int64));
        let write = |index: usize, test: &Test, bind: Bind| {
            let Test::Compare(comparison, value) = test else {
                return None;
            };
            let sql = format!(
                "{} {} {}",
                fields[index].name,
                comparison.sign(),
                bind(value.clone())
            );
            match fields[index].name.as_str() {
                "same" => Some((sql, Kept::Same)),
                "more" => Some((sql, Kept::More)),
                _ => None,
            }
        };
        let narrowing = Narrowing {
            filter: Some(filter),
            ..Narrowing::default()
        };
        let given = Parameters::Positional(vec![Value::Null]);
        let narrowed = narrowed(&NUMBERED, &fields, &narrowing, &given, &write);
        (narrowed.condition, narrowed.parameters)
    }

    #[test]
    fn what_may_lose_a_row_is_not_written() {
        use Filter::{And, Not, Or};
        let (same, more, none) = (
            || compare("same", 1),
            || compare("more", 2),
            || compare("none", 3),
        );
        for (filter, expected, values) in [
            (And(same(), none()), Some("same = $2"), 1),
            (And(none(), more()), Some("more = $2"), 1),
            (Or(same(), none()), None, 0),
            (Or(same(), more()), Some("(same = $2 OR more = $3)"), 2),
            (Not(same()), Some("(NOT (same = $2))"), 1),
            (Not(more()), None, 0),
            (Not(Box::new(And(same(), none()))), None, 0),
            (
                And(Box::new(Or(same(), none())), more()),
                Some("more = $2"),
                1,
            ),
            (
                And(Box::new(Not(Box::new(Or(same(), more())))), same()),
                Some("same = $2"),
                1,
            ),
        ] {
            let (condition, parameters) = written(filter.clone());
            assert_eq!(condition.as_deref(), expected, "{filter:?}");
            let Parameters::Positional(all) = parameters else {
                panic!("they are numbered");
            };
            assert_eq!(all.len(), 1 + values, "{filter:?}");
        }
    }
}
