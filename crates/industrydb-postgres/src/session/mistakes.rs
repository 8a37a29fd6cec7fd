//! Adds to the error of a refused statement where in the statement it is, and what may be meant.

use industrydb_core::foreign::{Catalog, Ways, listing_hint, syntax_hint, text_hint};
use industrydb_core::mistakes::{LOOKUP_LIMIT, Part, explained, name_at, names, near_defined};
use industrydb_core::suggest::nearest;
use industrydb_core::{Error, Stop};

use super::connect::{SETUP, Session};
use crate::config::options::Options;
use crate::sql::dialect::{DIALECT, LEXICON};
use crate::sql::near;
use crate::wire::errors::array_hint;

const WAYS: Ways = Ways {
    marks: "$1, $2, … (with params a list)",
    mark_begins: &["$"],
    quoting: "names are quoted by double quotes here, such as \"a name\"",
    foreign_quotes: &['`', '['],
    foreign_limit: Some(("TOP", "LIMIT 5 at the end of the query")),
    catalog: Some(Catalog {
        databases: "SELECT datname FROM pg_database",
        tables: "SELECT table_schema, table_name FROM information_schema.tables",
        columns: "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = TABLE",
    }),
};

impl Session {
    /// Adds the line of a statement that the server's last error is about, and a name that may be
    /// meant. `whole` is the caller's text, which contains the statement. A failure to look names up
    /// changes nothing.
    pub(crate) fn explained(
        &self,
        error: Error,
        statement: &str,
        whole: &str,
        stop: &Stop,
    ) -> Error {
        let Error::Query { code, message, .. } = &error else {
            return error;
        };
        if message.starts_with(SETUP) {
            return error; // it is about another statement
        }
        let byte = self.place.map(|character| {
            let characters = statement.char_indices();
            let byte = characters.map(|(byte, _)| byte).nth(character - 1);
            byte.unwrap_or(statement.len())
        });
        let has_hint = message.contains("\nHINT: ");
        let hint = match code.as_deref() {
            Some(near::SYNTAX_ERROR) => {
                in_hint(statement, byte).or_else(|| syntax_hint(statement, byte, LEXICON, &WAYS))
            }
            // To this server, `SHOW TABLES` asks for a setting.
            Some(near::UNDEFINED_OBJECT) => listing_hint(statement, LEXICON, &WAYS),
            Some(near::UNDEFINED_COLUMN) if has_hint => None,
            Some(code) => byte.and_then(|byte| {
                let parts = name_at(statement, byte, LEXICON);
                // The unknown part of `a.b` is the last one, or a table that FROM does not have.
                let unknown: Vec<String> = parts.iter().rev().map(folded).collect();
                let names: Vec<String> = names(statement, LEXICON).iter().map(folded).collect();
                meant(&self.options, code, &unknown, &names, stop)
                    .or_else(|| {
                        let is_name =
                            [near::UNDEFINED_TABLE, near::UNDEFINED_COLUMN].contains(&code);
                        let mut unknown = unknown.iter().filter(|_| is_name);
                        unknown.find_map(|name| near_defined(name, statement, LEXICON))
                    })
                    .or_else(|| {
                        let hint = text_hint(statement, byte, LEXICON);
                        hint.filter(|_| code == near::UNDEFINED_COLUMN)
                    })
            }),
            None => None,
        };
        explained(error, statement, whole, byte, hint)
    }

    /// Adds the name of the table that may be meant if the server does not know `table`.
    pub(crate) fn with_near_table(&self, error: Error, table: &str, stop: &Stop) -> Error {
        let code = near::UNDEFINED_TABLE;
        let name = DIALECT.parts(table).ok().and_then(|mut parts| parts.pop());
        let hint = name
            .filter(|_| error.code() == Some(code))
            .and_then(|name| meant(&self.options, code, &[name], &[], stop));
        explained(error, table, table, None, hint)
    }
}

/// Looks up the name that is most similar to one of the unknown ones, over a separate session: this
/// one may be in a failed transaction. Columns are those of the tables among `names`.
fn meant(
    options: &Options,
    code: &str,
    unknown: &[String],
    names: &[String],
    stop: &Stop,
) -> Option<String> {
    let (sql, parameters) = match code {
        near::UNDEFINED_TABLE => (near::tables(), Vec::new()),
        near::UNDEFINED_FUNCTION => (near::functions(), Vec::new()),
        near::UNDEFINED_COLUMN => (near::columns(), vec![Some(near::array(names))]),
        _ => return None,
    };
    let options = Options {
        connect_timeout: LOOKUP_LIMIT,
        ..options.clone()
    };
    let asked = stop.within(LOOKUP_LIMIT, |stop| {
        Session::log_in_once(&options, stop)?.rows(&sql, &parameters, stop)
    });
    let known: Vec<(String, String)> = asked?
        .ok()?
        .into_iter()
        .filter_map(|row| {
            let mut cells = row.into_iter().flatten();
            Some((cells.next()?, cells.next()?))
        })
        .collect();
    let like = |name: &String| {
        let called = |name: &str| known.iter().find(|(other, _)| other == name);
        if let Some((_, shown)) = called(name) {
            // A table of this very name may be in a schema that is not searched.
            (code == near::UNDEFINED_TABLE && shown != name).then_some(shown)
        } else {
            let near = nearest(name, known.iter().map(|(other, _)| other.as_str()))?;
            called(near).map(|(_, shown)| shown)
        }
    };
    let shown = unknown.iter().find_map(like)?;
    Some(format!("did you mean {shown}?"))
}

/// Returns what to write in place of `IN $1`.
fn in_hint(statement: &str, byte: Option<usize>) -> Option<String> {
    let (before, behind) = statement.split_at_checked(byte?)?;
    let number = behind.strip_prefix('$')?;
    let number = number.split(|c: char| !c.is_ascii_digit()).next()?;
    let last = before.split_whitespace().next_back()?;
    last.eq_ignore_ascii_case("IN").then(|| array_hint(number))
}

/// Returns a name as the server looks it up: in lower case, unless it is quoted.
fn folded(part: &Part) -> String {
    if part.is_quoted {
        part.text.clone()
    } else {
        part.text.to_lowercase()
    }
}
