//! What a database puts around names and values.

use crate::base::error::{Error, Result};
use crate::schema::column_type::ColumnType;
use crate::sql::tokens::Lexicon;

/// How a database writes what is put around names and values.
pub struct Dialect {
    /// What opens and closes a quoted name; the second one is doubled within.
    pub quotes: (char, char),
    /// How a query is divided into tokens.
    pub lexicon: Lexicon,
    /// The parameter of a value in a list, by its number from 1.
    pub placeholder: fn(usize) -> String,
    /// What stands in front of the name of a parameter, where parameters have names.
    pub named: Option<char>,
    /// Limits a SELECT to some of its rows.
    pub window: fn(Window) -> Limited,
    /// Begins a transaction.
    pub begin: &'static str,
    /// Keeps what it has done.
    pub commit: &'static str,
    /// Takes back what it has done.
    pub rollback: &'static str,
    /// Begins a part of a transaction, by its name.
    pub savepoint: &'static str,
    /// Keeps what the part has done, where that must be said.
    pub release: Option<&'static str>,
    /// Takes back what the part has done.
    pub rollback_to: &'static str,
    /// The type of a table's column that keeps the values of a frame's column, if there is one.
    pub type_name: fn(&ColumnType) -> Option<String>,
    /// Whether upper and lower case are the same in the names of columns.
    pub folds_names: bool,
    /// The most values that one statement takes.
    pub most_values: usize,
    /// The longest name that the database keeps whole, if there is one.
    pub longest_name: Option<NameLimit>,
    /// What stands in front of the name of a function that the database comes with, so that it is
    /// no other.
    pub functions: &'static str,
}

/// Which of a SELECT's rows are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The most rows, if there is a limit.
    pub limit: Option<u64>,
    /// The rows that are passed over first.
    pub offset: u64,
    /// Whether the SELECT has an ORDER BY.
    pub is_ordered: bool,
}

/// What limits a SELECT to a [`Window`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limited {
    /// What stands in front of the columns, with a blank behind it.
    pub front: &'static str,
    /// What stands at the end.
    pub end: String,
}

/// `LIMIT … OFFSET …`: a limit always stands in front of the offset, which some databases do not
/// take alone.
pub fn limit_offset(window: Window) -> Limited {
    let limit = window.limit.unwrap_or(i64::MAX.unsigned_abs());
    Limited {
        front: "",
        end: format!("LIMIT {limit} OFFSET {}", window.offset),
    }
}

/// The length of the longest name of a table, a schema or a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameLimit {
    /// In bytes of UTF-8.
    Bytes(usize),
    /// In units of UTF-16: a character beyond the first 65,536 has two.
    Utf16Units(usize),
}

impl NameLimit {
    /// A name's length, the limit, and what both count.
    fn measured(self, name: &str) -> (usize, usize, &'static str) {
        match self {
            Self::Bytes(most) => (name.len(), most, "bytes"),
            Self::Utf16Units(most) => (name.encode_utf16().count(), most, "characters"),
        }
    }
}

impl Dialect {
    /// A name as it is, whatever characters it has.
    pub fn quoted(&self, name: &str) -> String {
        let (open, close) = self.quotes;
        let doubled = name.replace(close, &format!("{close}{close}"));
        format!("{open}{doubled}{close}")
    }

    /// A name of the caller's, in quotes. A longer one than the database keeps could become the
    /// name of something else: some databases cut it off.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] that shows the name, its length and the limit.
    pub fn name(&self, name: &str) -> Result<String> {
        if let Some(limit) = self.longest_name {
            let (length, most, unit) = limit.measured(name);
            if length > most {
                return Err(Error::configuration(format!(
                    "the name {name:?} has {length} {unit}, and names of this database have {most} at the most: \
                     choose a shorter one"
                )));
            }
        }
        Ok(self.quoted(name))
    }

    /// The name of the table that columns go into, as [`Dialect::table`] has it. The names of the
    /// columns are looked at too.
    ///
    /// # Errors
    ///
    /// As for [`Dialect::table`] and [`Dialect::name`].
    pub fn target(&self, table: &str, columns: &[(String, ColumnType)]) -> Result<String> {
        for (name, _) in columns {
            self.name(name)?;
        }
        self.table(table)
    }

    /// A table's name in quotes, as [`Dialect::parts`] divides it.
    ///
    /// # Errors
    ///
    /// As for [`Dialect::parts`] and [`Dialect::name`].
    pub fn table(&self, name: &str) -> Result<String> {
        let parts = self.parts(name)?;
        let parts: Vec<String> = parts
            .iter()
            .map(|part| self.name(part))
            .collect::<Result<_>>()?;
        Ok(parts.join("."))
    }

    /// The parts of a table's name, which are divided by points: `schema.table`. A part with a
    /// point in it is given in quotes.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where a part is empty, or its quotes are not closed.
    pub fn parts(&self, name: &str) -> Result<Vec<String>> {
        let (open, _) = self.quotes;
        let mut close = '"';
        let mut parts: Vec<String> = vec![String::new()];
        let mut characters = name.chars().peekable();
        let mut is_quoted = false;
        let mut part_was_quoted = false;
        while let Some(character) = characters.next() {
            let part = parts.last_mut().ok_or_else(|| bad_table(name))?;
            match character {
                _ if is_quoted && character == close => {
                    if characters.peek() == Some(&close) {
                        characters.next();
                        part.push(close);
                    } else {
                        is_quoted = false;
                        part_was_quoted = true;
                    }
                }
                _ if is_quoted => part.push(character),
                // The standard's quotes serve everywhere.
                _ if (character == open || character == '"')
                    && part.is_empty()
                    && !part_was_quoted =>
                {
                    close = if character == open {
                        self.quotes.1
                    } else {
                        '"'
                    };
                    is_quoted = true;
                }
                '.' => {
                    parts.push(String::new());
                    part_was_quoted = false;
                }
                _ if part_was_quoted => return Err(bad_table(name)),
                _ => part.push(character),
            }
        }
        if is_quoted || parts.iter().any(String::is_empty) {
            return Err(bad_table(name));
        }
        Ok(parts)
    }
}

fn bad_table(name: &str) -> Error {
    Error::configuration(format!(
        "{name:?} is no name of a table: table, or schema.table"
    ))
}
