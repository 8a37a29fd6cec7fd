//! Statements that a kept session repeats: the server parses, describes and names them once.
//!
//! The server parses a named statement anew when a table that it reads has changed, or the search
//! path, and refuses it if its columns would be others. It does not parse it anew for other
//! settings, nor if a new table has a name that meant another one. So every statement that may
//! change settings or names drops all of them.

use industrydb_core::Field;
use industrydb_core::shape::has_word;
use industrydb_core::tokens::{first_word, strings};

use crate::sql::dialect::LEXICON;
use crate::sql::now::may_say_now;
use crate::types::Decoding;
use crate::wire::Format;

/// Largest number of statements that are remembered.
const MOST: usize = 64;

/// Length in bytes of the longest statement that is remembered.
const LONGEST: usize = 16 << 10;

/// What a statement does to those that the server has parsed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing; it may be repeated itself.
    Repeatable,
    /// Nothing; it runs as it is.
    Plain,
    /// Begins a transaction or a savepoint, or ends a savepoint.
    Begin,
    /// Ends a transaction, and the settings made for it.
    Commit,
    /// Takes back changes of tables and settings.
    RollBack,
    /// It may change anything.
    Other,
}

impl Kind {
    pub(crate) fn of(statement: &str) -> Self {
        let word = first_word(statement, LEXICON).unwrap_or_default();
        match word.to_ascii_uppercase().as_str() {
            "BEGIN" | "START" | "SAVEPOINT" | "RELEASE" => Self::Begin,
            "COMMIT" | "END" => Self::Commit,
            "ROLLBACK" | "ABORT" => Self::RollBack,
            "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "VALUES" | "TABLE" | "WITH" => {
                if may_set(statement) {
                    Self::Other
                } else if statement.len() > LONGEST
                    // The server reads `'now'` as a time when it parses the statement.
                    || strings(statement, LEXICON).iter().any(may_say_now)
                {
                    Self::Plain
                } else {
                    Self::Repeatable
                }
            }
            _ => Self::Other,
        }
    }

    /// Returns whether a statement returns no rows, and takes no parameters.
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Begin | Self::Commit | Self::RollBack)
    }
}

/// Returns whether a query may change a setting, or make a table.
fn may_set(statement: &str) -> bool {
    let has = |words: &[&str]| has_word(statement, LEXICON, words);
    statement.to_ascii_uppercase().contains("SET_CONFIG")
        || has(&["INTO"]) && !has(&["INSERT", "MERGE"])
}

/// A statement that the server has parsed under a name.
pub(crate) struct Named {
    pub(crate) name: String,
    /// Number of parameters.
    pub(crate) parameters: usize,
    pub(crate) shape: Shape,
}

/// What describes the result of a statement.
#[derive(Default)]
pub(crate) struct Shape {
    /// Format of each column.
    pub(crate) formats: Vec<Format>,
    /// Columns, and how each is decoded; `None` if the statement returns no rows.
    pub(crate) result: Option<(Vec<Field>, Vec<Decoding>)>,
}

/// How a statement is to be run.
pub(crate) enum Way {
    /// As one that may never come again.
    Once,
    /// Under this name, which [`Repeated::keep`] is then told.
    Name(String),
    /// As the server has parsed it.
    Again(Named),
}

/// State of the session that the named statements depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) in_transaction: bool,
    /// Number of transactions that have ended.
    pub(crate) transactions: u64,
    /// Number of settings that the server has reported.
    pub(crate) reports: u64,
}

/// The last statements of a session.
#[derive(Default)]
pub(crate) struct Repeated {
    /// The statements, the one that ran last at the end.
    known: Vec<Known>,
    /// Number of names that were given.
    names: u64,
    /// Names that the server may still keep a statement for.
    dropped: Vec<String>,
    /// Whether the transaction may have changed settings or tables.
    has_changed: bool,
    reports: u64,
}

struct Known {
    text: String,
    /// The statement, if it has run twice.
    named: Option<Named>,
    /// Number of transactions that had ended before it ran last.
    transactions: u64,
}

impl Repeated {
    /// Takes note of a statement that is going to run.
    pub(crate) fn notice(&mut self, kind: Kind, state: State) {
        if state.reports != self.reports {
            self.reports = state.reports;
            self.clear();
        }
        match kind {
            Kind::Repeatable | Kind::Plain | Kind::Begin => {}
            Kind::Other => {
                self.has_changed |= state.in_transaction;
                self.clear();
            }
            Kind::RollBack => self.clear(),
            Kind::Commit => {
                if std::mem::take(&mut self.has_changed) {
                    self.clear();
                }
            }
        }
    }

    /// Returns how a statement is to be run. In a transaction, the server's refusal of a named
    /// statement would end the transaction: it must have been named in it, and holds its locks.
    pub(crate) fn way(&mut self, text: &str, state: State) -> Way {
        let place = self.known.iter().position(|known| known.text == text);
        match place.map(|place| self.known.remove(place)) {
            Some(Known { named: None, .. }) => {
                self.names += 1;
                Way::Name(format!("industrydb_{}", self.names))
            }
            Some(Known {
                named: Some(named),
                transactions,
                ..
            }) if !state.in_transaction || transactions == state.transactions => Way::Again(named),
            other => {
                let named = other.and_then(|known| known.named);
                self.dropped.extend(named.map(|named| named.name));
                self.remember(text, None, state);
                Way::Once
            }
        }
    }

    /// Keeps a statement that the server has parsed under a name.
    pub(crate) fn keep(&mut self, text: &str, named: Named, state: State) {
        self.remember(text, Some(named), state);
    }

    /// Drops a statement that the server has, or may have, parsed under a name.
    pub(crate) fn drop_name(&mut self, name: String) {
        self.dropped.push(name);
    }

    /// Takes the names that the server need no longer keep.
    pub(crate) fn take_dropped(&mut self) -> Vec<String> {
        std::mem::take(&mut self.dropped)
    }

    fn remember(&mut self, text: &str, named: Option<Named>, state: State) {
        if self.known.len() >= MOST {
            let oldest = self.known.remove(0);
            self.dropped.extend(oldest.named.map(|named| named.name));
        }
        self.known.push(Known {
            text: text.to_owned(),
            named,
            transactions: state.transactions,
        });
    }

    fn clear(&mut self) {
        let named = self.known.drain(..).filter_map(|known| known.named);
        self.dropped.extend(named.map(|named| named.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_statements() {
        for (statement, expected) in [
            ("SELECT a FROM t WHERE b = 'x'", Kind::Repeatable),
            (
                "/* a */ with b as (select 1) insert into t select * from b",
                Kind::Repeatable,
            ),
            (
                "MERGE INTO t USING s ON a = b WHEN MATCHED THEN DELETE",
                Kind::Repeatable,
            ),
            ("SELECT 'now'::date", Kind::Plain),
            ("SELECT E'no\\167'::date", Kind::Plain),
            ("SELECT a INTO t FROM s", Kind::Other),
            (
                "SELECT pg_catalog.\"set_config\"('a.b', 'c', false)",
                Kind::Other,
            ),
            ("SET a.b = 'c'", Kind::Other),
            ("CREATE TABLE t (a int)", Kind::Other),
            ("EXECUTE a", Kind::Other),
            ("begin", Kind::Begin),
            ("SAVEPOINT a", Kind::Begin),
            ("END", Kind::Commit),
            ("PREPARE TRANSACTION 'a'", Kind::Other),
            ("ROLLBACK TO a", Kind::RollBack),
            ("", Kind::Other),
        ] {
            assert_eq!(Kind::of(statement), expected, "{statement}");
        }
        let long = format!("SELECT {}", "1, ".repeat(LONGEST));
        assert_eq!(Kind::of(&long), Kind::Plain);
    }

    /// Runs a statement, and returns `o` if it ran once, `n` if it was named, `a` if again.
    fn run(repeated: &mut Repeated, text: &str, state: State) -> char {
        repeated.notice(Kind::of(text), state);
        let (named, way) = match repeated.way(text, state) {
            Way::Once => return 'o',
            Way::Name(name) => {
                let shape = Shape::default();
                let parameters = 0;
                (
                    Named {
                        name,
                        parameters,
                        shape,
                    },
                    'n',
                )
            }
            Way::Again(named) => (named, 'a'),
        };
        repeated.keep(text, named, state);
        way
    }

    #[test]
    fn what_may_have_changed_is_parsed_again() {
        let idle = State {
            in_transaction: false,
            transactions: 0,
            reports: 0,
        };
        let inside = State {
            in_transaction: true,
            ..idle
        };
        let mut repeated = Repeated::default();
        let ways = |repeated: &mut Repeated, state, times: usize| -> String {
            (0..times)
                .map(|_| run(repeated, "SELECT 1", state))
                .collect()
        };
        assert_eq!(ways(&mut repeated, idle, 4), "onaa");
        // It was not named in this transaction.
        let later = State {
            transactions: 4,
            ..inside
        };
        assert_eq!(ways(&mut repeated, later, 4), "onaa");
        assert_eq!(repeated.take_dropped(), ["industrydb_1"]);
        repeated.notice(Kind::Commit, later);
        let after = State {
            transactions: 5,
            ..idle
        };
        assert_eq!(ways(&mut repeated, after, 2), "aa");
        // A setting that lasts until the end of a transaction ends with it.
        repeated.notice(
            Kind::Other,
            State {
                in_transaction: true,
                ..after
            },
        );
        assert_eq!(
            ways(
                &mut repeated,
                State {
                    in_transaction: true,
                    ..after
                },
                3
            ),
            "ona"
        );
        repeated.notice(
            Kind::Commit,
            State {
                in_transaction: true,
                ..after
            },
        );
        assert_eq!(ways(&mut repeated, after, 3), "ona");
        for kind in [Kind::Other, Kind::RollBack] {
            repeated.notice(kind, after);
            assert_eq!(ways(&mut repeated, after, 3), "ona");
        }
        for kind in [Kind::Begin, Kind::Commit, Kind::Plain] {
            repeated.notice(kind, after);
            assert_eq!(ways(&mut repeated, after, 1), "a");
        }
        let told = State {
            reports: 1,
            ..after
        };
        assert_eq!(ways(&mut repeated, told, 3), "ona");
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let state = State {
            in_transaction: false,
            transactions: 0,
            reports: 0,
        };
        let mut repeated = Repeated::default();
        for round in ["o", "n"] {
            for number in 0..MOST {
                let way = run(&mut repeated, &format!("SELECT {number}"), state);
                assert_eq!(way.to_string(), round);
            }
        }
        assert_eq!(run(&mut repeated, "SELECT -1", state), 'o');
        assert_eq!(repeated.take_dropped(), ["industrydb_1"]);
        assert_eq!(run(&mut repeated, "SELECT 0", state), 'o');
        assert_eq!(run(&mut repeated, "SELECT 2", state), 'a');
    }
}
