//! Describes statements, which the server parses and does not run.

use std::time::Instant;

use fallible_iterator::FallibleIterator;
use industrydb_core::{Error, Parameters, Result, Stop, Value};
use postgres_protocol::message::backend::Message;

use super::connect::Session;
use super::run::{Step, check_length};
use crate::sql::casts;
use crate::types::{Decoding, DescribedColumn};
use crate::wire::errors::{OBJECT_NOT_IN_PREREQUISITE_STATE, array_hint, protocol, unexpected};

/// OIDs of `text`, `varchar`, `bpchar` and `name`.
const TEXTS: [u32; 4] = [25, 1043, 1042, 19];

/// The server's description of a statement.
pub(crate) struct Description {
    /// Columns of the result; `None` if the statement returns no rows.
    pub(crate) columns: Option<Vec<DescribedColumn>>,
    /// OIDs of the parameters' types.
    parameters: Vec<u32>,
}

impl Description {
    /// Returns the columns, or an error if the number of `given` parameters is wrong.
    pub(crate) fn of(self, given: usize) -> Result<Option<Vec<DescribedColumn>>> {
        let parameters = self.parameters.len();
        if parameters == given {
            return Ok(self.columns);
        }
        Err(Error::configuration(format!(
            "the query has {parameters} parameter(s) ($1, $2, …), and params has {given} value(s)"
        )))
    }
}

/// Has the server parse a statement, which runs nothing, and describe its columns if it returns
/// rows.
pub(crate) fn columns(
    session: &mut Session,
    query: &str,
    given: usize,
    stop: &Stop,
) -> Result<Option<Vec<DescribedColumn>>> {
    session.may_wait_since = Some(Instant::now());
    session.start_together(&[Step::Describe(query)], stop)?;
    let description = description(session, stop)?;
    session.may_wait_since = None;
    session.collect(stop)?;
    description.of(given)
}

/// Returns an error if a list is the value of a parameter that is a text: the text would be that of
/// an array, which no text of a table is equal to. The server itself refuses a list for other types
/// than arrays.
pub(crate) fn reject_lists(
    session: &mut Session,
    query: &str,
    parameters: &Parameters,
    stop: &Stop,
) -> Result<()> {
    let Parameters::Positional(values) = parameters else {
        return Ok(());
    };
    if !values.iter().any(|value| matches!(value, Value::List(_))) {
        return Ok(());
    }
    session.may_wait_since = Some(Instant::now());
    session.start_together(&[Step::Describe(query)], stop)?;
    let Description { parameters, .. } = description(session, stop)?;
    session.may_wait_since = None;
    session.collect(stop)?;
    let mut lists = (1..).zip(values.iter().zip(parameters));
    let is_wrong =
        |value: &Value, oid: u32| matches!(value, Value::List(_)) && TEXTS.contains(&oid);
    match lists.find(|(_, (value, oid))| is_wrong(value, *oid)) {
        Some((number, _)) => Err(Error::configuration(format!(
            "the value of ${number} is a list, and its type is a text; the query was not run"
        ))
        .hint(&format!(
            "{}; ${number}::text[] makes it an array",
            array_hint(number)
        ))),
        None => Ok(()),
    }
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
