//! SQL dialects: how databases write names, parameters, limits and transactions.

use crate::base::error::{Error, Result};
use crate::schema::column_type::ColumnType;
use crate::sql::tokens::Lexicon;

/// SQL dialect of a database, for statements on a table.
pub struct Dialect {
    /// Opening and closing quote of a name; a closing quote within the name is doubled.
    pub quotes: (char, char),
    /// Lexical rules by which a query is divided into tokens.
    pub lexicon: Lexicon,
    /// Placeholder of a positional parameter, by its number from 1.
    pub placeholder: fn(usize) -> String,
    /// Sign in front of the name of a parameter; `None` if parameters have no names.
    pub named: Option<char>,
    /// Function that limits a SELECT to some of its rows.
    pub window: fn(Window) -> Limited,
    /// Statement that begins a transaction.
    pub begin: &'static str,
    /// Statement that commits a transaction.
    pub commit: &'static str,
    /// Statement that rolls back a transaction.
    pub rollback: &'static str,
    /// Statement that sets a savepoint, followed by its name.
    pub savepoint: &'static str,
    /// Statement that releases a savepoint, followed by its name; `None` if the database has none.
    pub release: Option<&'static str>,
    /// Statement that rolls back to a savepoint, followed by its name.
    pub rollback_to: &'static str,
    /// Function that renames tables together, if statements that create and drop tables end the
    /// transaction; `None` if they are part of it.
    pub rename_tables: Option<RenameTables>,
    /// Function that returns the type of a table's column for the values of a frame's column, if
    /// there is one.
    pub type_name: fn(&ColumnType) -> Option<String>,
    /// Whether the names of columns are case-insensitive.
    pub folds_names: bool,
    /// Largest number of values that one statement takes.
    pub most_values: usize,
    /// Length limit of names; `None` if there is none.
    pub longest_name: Option<NameLimit>,
    /// Prefix of the names of built-in functions, such as a schema, so that no other function of
    /// the name is called.
    pub functions: &'static str,
}

/// Builds the statement that renames tables together, from pairs of an old and a new quoted name.
pub type RenameTables = fn(&[(String, String)]) -> String;

/// Wanted range of a SELECT's rows.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Largest number of rows, if there is a limit.
    pub limit: Option<u64>,
    /// Number of rows to skip first.
    pub offset: u64,
    /// Whether the SELECT has an ORDER BY.
    pub is_ordered: bool,
}

/// Parts of a SELECT that limit it to a [`Window`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limited {
    /// Text in front of the columns, with a trailing space; empty if not needed.
    pub front: &'static str,
    /// Text at the end of the SELECT; empty if not needed.
    pub end: String,
}

/// Writes `LIMIT … OFFSET …`. There is always a limit in front of the offset, since some databases
/// do not take an offset alone.
pub fn limit_offset(window: Window) -> Limited {
    let limit = window.limit.unwrap_or(i64::MAX.unsigned_abs());
    Limited {
        front: "",
        end: format!("LIMIT {limit} OFFSET {}", window.offset),
    }
}

/// Length limit of the names of tables, schemas and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameLimit {
    /// Limit in bytes of UTF-8.
    Bytes(usize),
    /// Limit in units of UTF-16: a character beyond the first 65,536 counts as two.
    Utf16Units(usize),
}

impl NameLimit {
    /// Returns a name's length, the limit, and the unit of both.
    fn measured(self, name: &str) -> (usize, usize, &'static str) {
        match self {
            Self::Bytes(most) => (name.len(), most, "bytes"),
            Self::Utf16Units(most) => (name.encode_utf16().count(), most, "characters"),
        }
    }
}

impl Dialect {
    /// Quotes a name, whatever characters it has.
    pub fn quoted(&self, name: &str) -> String {
        let (open, close) = self.quotes;
        let doubled = name.replace(close, &format!("{close}{close}"));
        format!("{open}{doubled}{close}")
    }

    /// Quotes a name that the caller gives. A name longer than the database's limit is refused:
    /// some databases cut it off, and it could become the name of something else.
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

    /// Quotes the name of the table that columns are written to, like [`Dialect::table`], and
    /// checks the names of the columns too.
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

    /// Quotes a table's name, part by part, as [`Dialect::parts`] divides it.
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

    /// Divides a table's name into its parts, which are separated by dots: `schema.table`. A part
    /// that contains a dot is given in quotes.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if a part is empty, its quotes are not closed, or text follows
    /// them.
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
                // The double quotes of standard SQL are accepted for every database.
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
