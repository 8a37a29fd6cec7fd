//! Compiled queries of a connection, for when they come again.

use industrydb_core::shape::begins_with;

use crate::ffi::cursor::{Compiled, Cursor};
use crate::sql::dialect::LEXICON;

/// The last queries of a connection, the latest first, each with its text.
#[derive(Default)]
pub(crate) struct Repeated(Vec<(String, Compiled)>);

impl Repeated {
    const MOST: usize = 16;
    /// Longest text, in bytes, of a query that is kept.
    const LONGEST: usize = 10_000;

    /// Takes the statement of a query, if it is kept. A PRAGMA, which may change how long the
    /// others wait for locks, ends them.
    pub(crate) fn take(&mut self, statement: &str) -> Option<Compiled> {
        if let Some(index) = self.0.iter().position(|(text, _)| text == statement) {
            return Some(self.0.remove(index).1);
        }
        if begins_with(statement, LEXICON, &["PRAGMA"]) {
            self.0.clear();
        }
        None
    }

    /// Keeps the statement of a cursor that has had its last row.
    pub(crate) fn keep(&mut self, query: &str, cursor: Cursor) {
        if query.len() <= Self::LONGEST
            && begins_with(query, LEXICON, &["SELECT", "WITH", "VALUES"])
            && let Some(compiled) = cursor.into_compiled()
        {
            self.0.truncate(Self::MOST - 1);
            self.0.insert(0, (query.to_owned(), compiled));
        }
    }
}
