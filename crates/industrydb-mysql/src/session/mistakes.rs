//! Adds to the error of a refused statement where in the statement it is, and what may be meant.

use industrydb_core::foreign::{Ways, mark_hint, syntax_hint};
use industrydb_core::mistakes::{
    LOOKUP_LIMIT, explained, names, near_defined, near_name, offset_of,
};
use industrydb_core::{Error, Stop};

use crate::session::connect::Session;
use crate::sql::dialect::quoted;
use crate::sql::near;
use crate::wire::errors::{BAD_FIELD, NO_SUCH_TABLE, PARSE_ERROR, UNKNOWN_TABLE, number};

const WAYS: Ways = Ways {
    marks: "? (with params a list)",
    mark_begins: &["?", "@"],
    quoting: "names are quoted by backticks here, such as `a name`; double quotes are for texts, unless sql_mode has \
              ANSI_QUOTES",
    foreign_quotes: &['"', '['],
    foreign_limit: Some(("TOP", "LIMIT 5 at the end of the query")),
    catalog: None, // it has the statements themselves
};

/// Errors whose messages name something that the statement has.
const AMBIGUOUS_FIELD: u16 = 1052;
const TWICE_NAMED: u16 = 1066;
const UNKNOWN_COLLATION: u16 = 1273;
const UNDECLARED: u16 = 1327;

/// Errors of functions that do not exist: none of the server's own, and none that is stored.
const NO_SUCH_FUNCTION: [u16; 2] = [1305, 1630];

impl Session {
    /// Adds the line of a statement that the server's error is about, and a name that may be meant.
    /// `whole` is the caller's text, which contains the statement.
    ///
    /// Names are looked up over a separate session, since this one may be in a transaction. A failure
    /// to look them up changes nothing.
    pub(crate) fn explained(
        &self,
        error: Error,
        statement: &str,
        whole: &str,
        stop: &Stop,
    ) -> Error {
        let Error::Query { message, .. } = &error else {
            return error;
        };
        let lexicon = self.mode.lexicon();
        let name = named(message);
        let (offset, hint) = match (number(&error), name) {
            (Some(PARSE_ERROR), _) => {
                let offset = self
                    .refused
                    .as_ref()
                    .and_then(|near| refused(near, line(message), statement));
                (offset, syntax_hint(statement, offset, lexicon, &WAYS))
            }
            // To this server, `$1` is a name.
            (Some(BAD_FIELD | UNDECLARED), Some(name)) if name.starts_with('$') => {
                (statement.find(name), Some(mark_hint(name, &WAYS)))
            }
            (Some(AMBIGUOUS_FIELD | TWICE_NAMED | UNKNOWN_COLLATION), Some(name)) => {
                (offset_of(statement, name, lexicon), None)
            }
            (Some(code), Some(name)) => {
                let sql = match code {
                    NO_SUCH_TABLE | UNKNOWN_TABLE => Some(near::tables()),
                    BAD_FIELD => {
                        let names = names(statement, lexicon).into_iter();
                        Some(near::columns(
                            &names.map(|name| name.text).collect::<Vec<_>>(),
                        ))
                    }
                    _ if NO_SUCH_FUNCTION.contains(&code) => Some(near::functions()),
                    _ => None,
                };
                let Some(sql) = sql else {
                    return error;
                };
                (
                    offset_of(statement, name, lexicon),
                    self.meant(name, &sql, stop)
                        .or_else(|| near_defined(name, statement, lexicon)),
                )
            }
            _ => return error,
        };
        explained(error, statement, whole, offset, hint)
    }

    /// Returns the name that is most similar to an unknown one.
    fn meant(&self, name: &str, sql: &str, stop: &Stop) -> Option<String> {
        let mut options = self.options.clone();
        options.connect_timeout = LOOKUP_LIMIT;
        let rows = stop.within(LOOKUP_LIMIT, |stop| {
            Self::log_in_once(&options, stop)?.rows(sql, stop)
        });
        let parts = |row: Vec<Option<String>>| row.into_iter().flatten().collect();
        let known: Vec<Vec<String>> = rows?.ok()?.into_iter().map(parts).collect();
        near_name(name, &known, quoted)
    }
}

/// Returns the last part of the name that the server does not know: `Table 'shop.oders' doesn't
/// exist`, `Unknown column 'o.custmer' in 'field list'`, `FUNCTION shop.lenght does not exist`,
/// `Undeclared variable: $1`.
fn named(message: &str) -> Option<&str> {
    let name = if let Some(rest) = message.strip_prefix("FUNCTION ") {
        rest.split_once(" does not exist")?.0
    } else if let Some(rest) = message.strip_prefix("Undeclared variable: ") {
        rest.split(' ').next()?
    } else {
        message.split('\'').nth(1)?
    };
    name.rsplit('.').next().filter(|name| !name.is_empty())
}

/// Returns the line that the server's message tells: `… near 'x' at line 2`.
fn line(message: &str) -> Option<usize> {
    let (_, rest) = message.rsplit_once("' at line ")?;
    rest.split(' ').next()?.parse().ok()
}

/// Returns where in a statement the text begins that the server could not parse. The server repeats
/// the rest of the statement, or the first characters of it; of several places, its line tells
/// which one is meant.
fn refused(near: &str, line: Option<usize>, statement: &str) -> Option<usize> {
    let offset = if statement.ends_with(near) {
        statement.len() - near.len()
    } else {
        let near = near.strip_suffix("...").unwrap_or(near);
        let places = statement.match_indices(near).map(|(offset, _)| offset);
        let mut places: Vec<usize> = places.filter(|_| !near.is_empty()).collect();
        if places.len() > 1 {
            let line_of = |offset: usize| statement[..offset].matches('\n').count() + 1;
            places.retain(|offset| Some(line_of(*offset)) == line);
        }
        places.pop().filter(|_| places.is_empty())?
    };
    // MariaDB's rest may begin behind the sign that it refuses.
    let before = statement[..offset].chars().next_back();
    match before {
        Some(sign) if near.starts_with(char::is_whitespace) => Some(offset - sign.len_utf8()),
        _ => Some(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_last_part_of_what_the_server_tells() {
        for (message, name) in [
            ("Table 'shop.oders' doesn't exist (SQLSTATE 42S02)", "oders"),
            ("Unknown column 'o.custmer' in 'field list'", "custmer"),
            (
                "FUNCTION shop.lenght does not exist (SQLSTATE 42000)",
                "lenght",
            ),
            (
                "FUNCTION NOW does not exist. Check the 'Function Name",
                "NOW",
            ),
            ("Undeclared variable: $1 (SQLSTATE 42000)", "$1"),
        ] {
            assert_eq!(named(message), Some(name), "{message}");
        }
        for message in ["Out of memory", "Unknown column '' in", "FUNCTION"] {
            assert_eq!(named(message), None, "{message}");
        }
    }

    #[test]
    fn the_place_is_where_the_servers_rest_begins() {
        let long = format!("SELECT ',,', a\nFROM t\nWHERE ,{} {0}", "x".repeat(100));
        for (near, statement, offset) in [
            (", b", "SELECT a,, b", Some(9)),
            (" b", "SELECT a,, b", Some(9)),
            ("\n b", "SELECT ä,,\n b", Some(10)),
            ("", "SELECT\nFROM", Some(11)),
            ("it's'", "SELECT 'a' it's'", Some(11)),
            (&long[28..108], long.as_str(), Some(28)),
            (&format!("{}...", &long[28..105]), long.as_str(), Some(28)),
            ("xx...", "SELECT xx FROM xx y", None),
            ("xx...", "SELECT xx\nFROM xx y", Some(15)),
            ("nowhere", "SELECT", None),
            ("...", "SELECT", None),
        ] {
            let line = line("near 'x' at line 2 (SQLSTATE 42000)");
            assert_eq!(refused(near, line, statement), offset, "{statement}");
        }
    }
}
