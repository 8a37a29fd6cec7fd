//! What SQLite tells of a statement without running it: its query plan and its bytecode.

use std::ffi::c_int;

use industrydb_core::{Result, Stop};
use rusqlite::Connection;

use crate::ffi::cursor::Cursor;
use crate::ffi::row::Cell;
use crate::sql::derived::derived;

/// An instruction of SQLite's bytecode (<https://www.sqlite.org/opcode.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) opcode: String,
    pub(crate) p1: i64,
    pub(crate) p2: i64,
    pub(crate) p3: i64,
    pub(crate) p4: Option<String>,
    pub(crate) p5: i64,
}

/// Returns the steps of SQLite's plan for the query as a derived table.
///
/// # Errors
///
/// When SQLite refuses the query, or the database fails.
pub(crate) fn steps(connection: &Connection, query: &str, stop: &Stop) -> Result<Vec<String>> {
    const DETAIL: c_int = 3;
    let sql = format!("EXPLAIN QUERY PLAN {}", derived(query));
    let mut cursor = Cursor::prepare(connection, &sql, stop)?;
    let mut steps = Vec::new();
    while cursor.step()? {
        steps.push(text(cursor.row().value(DETAIL)).unwrap_or_default());
    }
    Ok(steps)
}

/// Returns the bytecode of a statement; empty for a statement that SQLite does not explain, such as
/// an `EXPLAIN`.
///
/// # Errors
///
/// When the database fails.
pub(crate) fn instructions(
    connection: &Connection,
    statement: &str,
    stop: &Stop,
) -> Result<Vec<Instruction>> {
    let mut program = Vec::new();
    let sql = format!("EXPLAIN {statement}");
    let Some(mut cursor) = Cursor::prepare_if_valid(connection, &sql, stop)? else {
        return Ok(program);
    };
    while cursor.step()? {
        let row = cursor.row();
        let number = |column| match row.value(column) {
            Cell::Integer(number) => number,
            _ => -1,
        };
        program.push(Instruction {
            opcode: text(row.value(1)).unwrap_or_default(),
            p1: number(2),
            p2: number(3),
            p3: number(4),
            p4: text(row.value(5)),
            p5: number(6),
        });
    }
    Ok(program)
}

fn text(cell: Cell) -> Option<String> {
    match cell {
        Cell::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}
