//! What a kept session knows of the statements that it has run.
//!
//! Usually, a statement is described first: its types decide how its values are sent. A statement
//! that is repeated is described and run together. Nothing of the first time is used but the guess
//! that the server can send all columns in binary form, so that the statement means whatever it
//! would mean the first time.

use std::collections::VecDeque;

use industrydb_core::shape::begins_with;

use crate::sql::dialect::LEXICON;

/// Largest number of statements that are remembered.
const MOST: usize = 64;

/// Length in bytes of the longest statement that is remembered.
const LONGEST: usize = 16 << 10;

/// Statements whose columns, if there are any, the server sent as they are and in binary form, with
/// their parameters: whether each was a list. The one that ran last is at the end.
#[derive(Default)]
pub(crate) struct Repeated(VecDeque<(String, Vec<bool>)>);

impl Repeated {
    /// Returns whether the statement has run with so many parameters, and lists at the same places.
    pub(crate) fn knows(&mut self, statement: &str, lists: &[bool]) -> bool {
        let place = self.0.iter().position(|(text, _)| text == statement);
        let known = place.and_then(|place| self.0.remove(place));
        let is_known = known.as_ref().is_some_and(|(_, given)| given == lists);
        self.0.extend(known);
        is_known
    }

    /// Remembers a statement that has run.
    pub(crate) fn remember(&mut self, statement: &str, lists: &[bool]) {
        if statement.len() > LONGEST || !is_repeatable(statement) {
            return;
        }
        self.forget(statement);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((statement.to_owned(), lists.to_vec()));
    }

    /// Forgets a statement, which is then described first.
    pub(crate) fn forget(&mut self, statement: &str) {
        self.0.retain(|(text, _)| text != statement);
    }
}

/// Returns whether a statement returns columns, or does not, whatever has happened before.
fn is_repeatable(statement: &str) -> bool {
    const WORDS: [&str; 8] = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE", "WITH",
    ];
    begins_with(statement, LEXICON, &WORDS)
}

/// Returns whether a statement begins or ends a transaction or a savepoint: it has no columns.
pub(crate) fn is_control(statement: &str) -> bool {
    const WORDS: [&str; 8] = [
        "BEGIN",
        "START",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
        "SAVEPOINT",
        "RELEASE",
    ];
    begins_with(statement, LEXICON, &WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_statements_are_known() {
        let mut repeated = Repeated::default();
        assert!(!repeated.knows("SELECT 0", &[]));
        for number in 0..MOST {
            repeated.remember(&format!("SELECT {number}"), &vec![false; number]);
        }
        assert!(
            repeated.knows("SELECT 0", &[]),
            "which makes it the last one"
        );
        assert!(!repeated.knows("SELECT 2", &[]), "the number of parameters");
        assert!(!repeated.knows("SELECT 2", &[false, true]), "the lists");
        assert!(repeated.knows("SELECT 2", &[false, false]));
        repeated.remember("/* x */ with a as (select 1) table a", &[]);
        assert!(!repeated.knows("SELECT 1", &[false]), "the oldest one");
        assert!(repeated.knows("SELECT 0", &[]));
        assert!(repeated.knows("/* x */ with a as (select 1) table a", &[]));
        repeated.forget("SELECT 0");
        assert!(!repeated.knows("SELECT 0", &[]));
        let long = format!("SELECT {}", "1, ".repeat(LONGEST));
        for statement in ["EXECUTE a", "FETCH b", "CALL c()", "", long.as_str()] {
            repeated.remember(statement, &[]);
            assert!(!repeated.knows(statement, &[]), "{statement}");
        }
        assert_eq!(repeated.0.len(), MOST - 1);
    }

    #[test]
    fn statements_of_transactions() {
        for statement in ["begin", "/* a */ SAVEPOINT a", "ROLLBACK TO a", "END"] {
            assert!(is_control(statement), "{statement}");
        }
        for statement in ["PREPARE TRANSACTION 'a'", "SELECT 1", ""] {
            assert!(!is_control(statement), "{statement}");
        }
    }
}
