//! The lock on the table that rows are written into.

use fallible_iterator::FallibleIterator;
use industrydb_core::{Result, Stop};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use crate::session::connect::Session;
use crate::sql::statements;
use crate::wire::errors::protocol;

/// Locks a table until the transaction ends, as an INSERT does; returns the types of the columns,
/// which no other session can change from then on.
///
/// The server parses an INSERT and does not run it. That takes the lock, also on a view, on a
/// foreign table (which LOCK TABLE refuses), and for a user who may only insert into some columns.
/// The types of the INSERT's parameters are those that the columns have under the lock, even if the
/// transaction's snapshot shows older ones.
pub(crate) fn lock(
    session: &mut Session,
    target: &str,
    names: &[&str],
    stop: &Stop,
) -> Result<Vec<u32>> {
    let insert = statements::parameterized_insert(target, names);
    session.busy = true;
    session.send(stop, |buffer| {
        frontend::parse("", &insert, [], buffer)?;
        frontend::describe(b'S', "", buffer)?;
        frontend::sync(buffer);
        Ok(())
    })?;
    let mut types = Vec::new();
    loop {
        match session.receive(stop)? {
            Message::ParameterDescription(body) => {
                types = body.parameters().collect().map_err(|e| protocol(&e))?;
            }
            Message::ErrorResponse(body) => return Err(session.fail(&body, stop)),
            Message::ReadyForQuery(body) => {
                session.ready(body.status());
                return Ok(types);
            }
            _ => {}
        }
    }
}
