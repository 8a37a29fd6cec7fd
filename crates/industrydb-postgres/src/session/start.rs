//! How sessions begin, beside where they connect to.

use industrydb_core::tokens::{first_word, statements};

use crate::sql::dialect::LEXICON;

/// Statements that cannot run in a transaction of ours, by their first word: they begin or end one,
/// make what a read-only one refuses, or what its end does not take back.
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

/// How sessions begin, beside where they connect to.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The caller's statements.
    pub(crate) setup: Vec<String>,
    pub(crate) purpose: Purpose,
    /// Whether the caller's statements run in front of the transaction, since they cannot in it.
    pub(crate) is_outside: bool,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read in a transaction, which all of its statements are in.
    Transaction,
    /// To read by statements that are transactions of their own, where a pooler gives no others.
    Statements,
    /// To do whatever its caller asks for.
    Anything,
}

impl Start {
    pub(crate) fn new(setup: &[String], purpose: Purpose) -> Self {
        let is_outside = |sql: &&str| -> bool {
            let word = first_word(sql, LEXICON).unwrap_or_default();
            NOT_INSIDE
                .iter()
                .any(|other| word.eq_ignore_ascii_case(other))
        };
        Self {
            setup: setup.to_vec(),
            purpose,
            is_outside: setup
                .iter()
                .any(|sql| statements(sql, LEXICON).iter().any(is_outside)),
        }
    }

    pub(crate) fn has_setup(&self) -> bool {
        !self.setup.is_empty()
    }

    /// The statements that run in the transaction.
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
