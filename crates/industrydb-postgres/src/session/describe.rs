//! Describes statements, which the server parses and does not run.

use std::time::Instant;

use fallible_iterator::FallibleIterator;
use industrydb_core::{Error, Result, Stop};
use postgres_protocol::message::backend::Message;

use super::connect::Session;
use super::run::{Step, check_length};
use crate::sql::casts;
use crate::types::{Decoding, DescribedColumn, built_in_element};
use crate::wire::errors::{OBJECT_NOT_IN_PREREQUISITE_STATE, array_hint, protocol, unexpected};

/// OIDs of types, none of whose values looks like an array: the server itself refuses a list. They
/// are `bool`, the integers and floats, `numeric`, `uuid`, and those of dates and times.
const UNLIKE_ARRAYS: [u32; 14] = [
    16, 20, 21, 23, 700, 701, 1700, 2950, 1082, 1083, 1114, 1184, 1186, 1266,
];

/// Returns the name and the category of a type unless it is an array, or a domain over one.
const NO_ARRAY: &str = "SELECT pg_catalog.format_type(oid, NULL), typcategory FROM pg_catalog.pg_type \
     WHERE oid OPERATOR(pg_catalog.=) $1::pg_catalog.oid AND typcategory OPERATOR(pg_catalog.<>) 'A'";

/// The server's description of a statement.
pub(crate) struct Description {
    /// Columns of the result; `None` if the statement returns no rows.
    pub(crate) columns: Option<Vec<DescribedColumn>>,
    /// OIDs of the parameters' types.
    parameters: Vec<u32>,
}

impl Description {
    /// Refuses the description if the number of `given` parameters is another one.
    pub(crate) fn of(self, given: usize) -> Result<Self> {
        let parameters = self.parameters.len();
        if parameters == given {
            return Ok(self);
        }
        Err(Error::configuration(format!(
            "the query has {parameters} parameter(s) ($1, $2, …), and params has {given} value(s)"
        )))
    }

    /// Returns an error if a list is the value of a parameter that is no array: it would be the text
    /// of an array, which no text of a table is equal to, and `{}` is an object to JSON.
    pub(crate) fn reject_lists(
        &self,
        lists: &[bool],
        session: &mut Session,
        stop: &Stop,
    ) -> Result<()> {
        for (number, (is_list, oid)) in (1..).zip(lists.iter().zip(&self.parameters)) {
            let is_clear = built_in_element(*oid).is_some() || UNLIKE_ARRAYS.contains(oid);
            if !is_list || is_clear {
                continue;
            }
            let found = session.rows(NO_ARRAY, &[Some(oid.to_string())], stop)?;
            let mut found = found.into_iter().flatten().flatten();
            if let (Some(name), Some(category)) = (found.next(), found.next()) {
                return Err(list_refused(number, &name, &category));
            }
        }
        Ok(())
    }
}

/// Has the server parse a statement, which runs nothing, and describe it.
pub(crate) fn described(
    session: &mut Session,
    query: &str,
    given: usize,
    stop: &Stop,
) -> Result<Description> {
    session.may_wait_since = Some(Instant::now());
    session.start_together(&[Step::Describe(query)], stop)?;
    let description = description(session, stop)?;
    session.may_wait_since = None;
    session.collect(stop)?;
    description.of(given)
}

/// Has the server describe a statement; returns its columns if it returns rows.
pub(crate) fn columns(
    session: &mut Session,
    query: &str,
    given: usize,
    stop: &Stop,
) -> Result<Option<Vec<DescribedColumn>>> {
    Ok(described(session, query, given, stop)?.columns)
}

/// Returns the error for a list as the value of a parameter of a type of this name and category.
fn list_refused(number: u32, name: &str, category: &str) -> Error {
    let (shown, hint) = match (name, category) {
        (_, "S") => (
            "a text",
            format!(
                "{}; ${number}::text[] makes it an array",
                array_hint(number)
            ),
        ),
        ("json" | "jsonb", _) => (
            name,
            "pass its JSON as a text, which json.dumps writes".to_owned(),
        ),
        _ => (name, array_hint(number)),
    };
    Error::configuration(format!(
        "the value of ${number} is a list, and its type is {shown}; the query was not run"
    ))
    .hint(&hint)
}

/// Receives the answer to [`Step::Describe`].
pub(crate) fn description(session: &mut Session, stop: &Stop) -> Result<Description> {
    let mut parameters = Vec::new();
    let mut bytes = 0; // of the rows of statements in front
    loop {
        let columns = match session.receive(stop)? {
            Message::DataRow(body) => {
                bytes += body.buffer().len() + size_of_val(&body);
                check_length(bytes)?;
                continue;
            }
            Message::ParameterDescription(body) => {
                parameters = body.parameters().collect().map_err(|e| protocol(&e))?;
                continue;
            }
            Message::RowDescription(body) => {
                let described = body.fields().map(|field| {
                    Ok(DescribedColumn {
                        name: field.name().to_owned(),
                        oid: field.type_oid(),
                        modifier: field.type_modifier(),
                        table: field.table_oid(),
                    })
                });
                Some(described.collect().map_err(|e| protocol(&e))?)
            }
            Message::NoData => None,
            Message::ErrorResponse(body) => return Err(session.fail(&body, stop)),
            Message::ReadyForQuery(_) => return Err(unexpected("the description of a statement")),
            _ => continue,
        };
        return Ok(Description {
            columns,
            parameters,
        });
    }
}

/// Returns an error if the columns are not those that were described: their bytes would be read as
/// other values, or the table's name belongs to another table now. Columns that the server casts
/// may differ, since it casts any type.
pub(crate) fn reject_changed(
    described: &[DescribedColumn],
    found: &[DescribedColumn],
    decodings: &[Decoding],
) -> Result<()> {
    let is_same = |(index, (a, b)): (usize, (&DescribedColumn, &DescribedColumn))| {
        let decoding: Option<&Decoding> = decodings.get(index);
        let is_cast = decoding.is_some_and(casts::is_cast);
        let is_text = decoding.is_some_and(|d| *d == Decoding::Text);
        let has_type = (a.oid, a.modifier) == (b.oid, b.modifier);
        let has_table = a.table == b.table || a.table == 0 || b.table == 0;
        is_cast || has_table && a.name == b.name && (has_type || is_text)
    };
    let mut pairs = described.iter().zip(found).enumerate();
    if described.len() == found.len() && pairs.all(is_same) {
        return Ok(());
    }
    let shown = |columns: &[DescribedColumn]| {
        let column = |column: &DescribedColumn| format!("{:?} {}", column.name, column.type_name());
        columns.iter().map(column).collect::<Vec<_>>().join(", ")
    };
    Err(changed(format!(
        "the query's columns have changed since it was described, or are of another table; read again\n\
         they were {}\nand are {}",
        shown(described),
        shown(found)
    )))
}

/// Returns the error for columns that have changed.
pub(crate) fn changed(message: String) -> Error {
    Error::Query {
        message,
        code: Some(OBJECT_NOT_IN_PREREQUISITE_STATE.to_owned()),
        partition: None,
        is_transient: true,
    }
}
