//! Implements [`Holder`]: holds a state of the file for the reads of other processes.

use std::sync::Mutex;

use industrydb_core::tokens::single_statement;
use industrydb_core::{HeldSnapshot, Hold, Holder, Result, Stop};
use rusqlite::Connection;

use super::typed::returns_no_rows;
use crate::config::options::Options;
use crate::ffi::cursor::Cursor;
use crate::session::held;
use crate::sql::dialect::{DIALECT, LEXICON};

/// Connections whose transactions keep a state of the file.
struct Held {
    token: String,
    _connections: Mutex<Vec<Connection>>, // they end with this value, and so does the state
}

impl HeldSnapshot for Held {
    fn token(&self) -> &str {
        &self.token
    }
}

impl Holder for Options {
    fn hold(&self, hold: &Hold, stop: &Stop) -> Result<Box<dyn HeldSnapshot>> {
        let (files, connections) = held::hold(self, &hold.setup, stop)?;
        // The state has all tables; those of a misspelled query would be missed only by the plan.
        let rows = |table: &String| Ok(format!("SELECT 1 FROM {}", DIALECT.table(table)?));
        let tables: Vec<String> = hold.tables.iter().map(rows).collect::<Result<_>>()?;
        for query in hold.queries.iter().chain(&tables) {
            let query = single_statement(query, LEXICON)?;
            let cursor = Cursor::prepare(&connections[0], query, stop)?;
            if !cursor.is_read_only() || cursor.column_count() == 0 {
                return Err(returns_no_rows());
            }
        }
        Ok(Box::new(Held {
            token: files.to_string(),
            _connections: Mutex::new(connections),
        }))
    }
}
