//! Compiled queries of a connection, for when they come again.

use industrydb_core::shape::begins_with;

use crate::ffi::cursor::Compiled;
use crate::ffi::noting::Noted;
use crate::sql::dialect::LEXICON;

/// The last queries of a connection, the latest first.
#[derive(Default)]
pub(crate) struct Repeated(Vec<Query>);

struct Query {
    text: String,
    compiled: Compiled,
    noted: Noted,
}

impl Repeated {
    const MOST: usize = 16;
    /// Longest text, in bytes, of a query that is kept.
    const LONGEST: usize = 10_000;

    /// Takes a query, if it is kept, and what it does.
    pub(crate) fn take(&mut self, text: &str) -> Option<(Compiled, Noted)> {
        let index = self.0.iter().position(|query| query.text == text)?;
        let query = self.0.remove(index);
        Some((query.compiled, query.noted))
    }

    /// Ends all queries before a statement after which their names may mean other tables, which
    /// SQLite does not always notice, or after which they wait longer for locks.
    pub(crate) fn end_before(&mut self, noted: Noted) {
        if noted.defines {
            self.0.clear();
        }
    }

    /// Keeps a compiled query that has had its last row.
    pub(crate) fn keep(&mut self, text: &str, compiled: Compiled, noted: Noted) {
        if text.len() <= Self::LONGEST && begins_with(text, LEXICON, &["SELECT", "WITH", "VALUES"])
        {
            self.0.truncate(Self::MOST - 1);
            let query = Query {
                text: text.to_owned(),
                compiled,
                noted,
            };
            self.0.insert(0, query);
        }
    }
}
