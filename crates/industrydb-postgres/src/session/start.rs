//! How a session begins after its login.

use industrydb_core::shape::begins_with;
use industrydb_core::tokens::statements;

use crate::session::held::HeldId;
use crate::sql::dialect::LEXICON;
use crate::sql::moment::{Moment, Wait};

/// First words of statements that cannot run in the transaction of a read: they begin or end a
/// transaction, make what a read-only transaction refuses, or do what a rollback does not undo.
const NOT_INSIDE: [&str; 9] = [
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "CREATE",
    "PREPARE",
    "DEALLOCATE",
];

/// How a session begins after its login.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The caller's statements, `pre_execution_query`.
    pub(crate) setup: Vec<String>,
    pub(crate) purpose: Purpose,
    /// Whether the caller's statements run before the transaction, because they cannot run in it.
    pub(crate) is_outside: bool,
    /// Snapshot of another session that all statements see, if there is one.
    pub(crate) held: Option<HeldId>,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reads in one transaction, which contains all statements.
    Transaction,
    /// Reads by statements that are each a transaction of their own, for poolers that allow no
    /// others.
    Statements,
    /// Runs any statements of the caller.
    Anything,
}

impl Start {
    pub(crate) fn new(setup: &[String], purpose: Purpose) -> Self {
        let is_outside = |sql: &&str| begins_with(sql, LEXICON, &NOT_INSIDE);
        Self {
            setup: setup.to_vec(),
            purpose,
            held: None,
            is_outside: setup
                .iter()
                .any(|sql| statements(sql, LEXICON).iter().any(is_outside)),
        }
    }

    /// Returns the state that the session's first statements see.
    pub(crate) fn moment(&self) -> Moment<'_> {
        match &self.held {
            Some(held) => Moment::Of(&held.id),
            None => Moment::Each,
        }
    }

    /// Returns how long the session's first statements wait for a lock: not for ever while the
    /// holder of a snapshot keeps locks that others may wait for.
    pub(crate) fn wait(&self) -> Wait {
        if self.held.is_some() {
            Wait::Together
        } else {
            Wait::Long
        }
    }

    pub(crate) fn has_setup(&self) -> bool {
        !self.setup.is_empty()
    }

    /// Returns those of the caller's statements that run in the transaction.
    pub(crate) fn inside(&self) -> &[String] {
        if self.is_outside { &[] } else { &self.setup }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_about_transactions_run_in_front_of_the_reads_own() {
        for (setup, is_outside) in [
            ("SET search_path = a; SET b.c = 'BEGIN'", false),
            ("", false),
            ("SELECT 1; -- COMMIT\n", false),
            ("BEGIN; SET LOCAL a = 1; COMMIT", true),
            ("/* x */ create temp table t (a int)", true),
        ] {
            let start = Start::new(&[setup.to_owned()], Purpose::Transaction);
            assert_eq!(start.is_outside, is_outside, "{setup}");
        }
    }
}
