//! Notes what a statement does while SQLite compiles it: a compiled statement does not tell it.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use rusqlite::{Connection, ffi};

use super::handle;

/// What a statement does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// Whether it counts rows: SQLite counts those of a whole table by one instruction, which calls
    /// no handler.
    pub(crate) counts: bool,
    /// Whether it commits, or releases a savepoint.
    pub(crate) commits: bool,
    /// Whether names may mean something else after it: it makes, changes or drops a table, attaches
    /// a file, rolls such a statement back, or is a PRAGMA.
    pub(crate) defines: bool,
}

/// Actions of queries, of changes of rows, and of transactions.
const ROWS: [c_int; 9] = [
    ffi::SQLITE_DELETE,
    ffi::SQLITE_FUNCTION,
    ffi::SQLITE_INSERT,
    ffi::SQLITE_READ,
    ffi::SQLITE_RECURSIVE,
    ffi::SQLITE_SAVEPOINT,
    ffi::SQLITE_SELECT,
    ffi::SQLITE_TRANSACTION,
    ffi::SQLITE_UPDATE,
];

/// A look at the statements that a connection compiles. It must be dropped before the connection.
pub(crate) struct Noting {
    connection: *mut ffi::sqlite3,
    state: Box<State>,
}

#[derive(Default)]
struct State {
    noted: Cell<Noted>,
    /// Whether a statement that counts rows is refused.
    refuses: Cell<bool>,
    has_refused: Cell<bool>,
}

// SAFETY: SQLite calls the authorizer on the thread that uses the connection, with which this
// moves.
unsafe impl Send for Noting {}

impl Noting {
    pub(crate) fn new(connection: &Connection) -> Self {
        let connection = handle(connection);
        let state = Box::new(State::default());
        let context: *const State = &raw const *state;
        // SAFETY: the callback is removed in `drop`, before the state that it reads is freed.
        unsafe {
            ffi::sqlite3_set_authorizer(connection, Some(note), context.cast_mut().cast());
        }
        Self { connection, state }
    }

    /// Compiles a statement by `compile`; also returns what it does.
    pub(crate) fn of<T>(&self, compile: impl FnOnce() -> T) -> (T, Noted) {
        self.state.noted.take();
        let compiled = compile();
        (compiled, self.state.noted.take())
    }

    /// Runs a statement that did not count rows when it was compiled. With `refuses`, it fails if
    /// SQLite has to compile it again, and counts are in its views by now; also returns whether this
    /// has happened.
    pub(crate) fn without_counts<T>(&self, refuses: bool, run: impl FnOnce() -> T) -> (T, bool) {
        self.state.refuses.set(refuses);
        let result = run();
        self.state.refuses.set(false);
        (result, self.state.has_refused.take())
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        // SAFETY: the connection is still open.
        unsafe {
            ffi::sqlite3_set_authorizer(self.connection, None, ptr::null_mut());
        }
    }
}

/// Authorizer, which SQLite asks about what a statement does while it compiles it.
unsafe extern "C" fn note(
    state: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _: *const c_char,
    _: *const c_char,
) -> c_int {
    // SAFETY: `Noting` keeps the state alive as long as the callback is registered; the texts are
    // NULL, or NUL-terminated strings of SQLite's that live until the call ends.
    let (state, is) = unsafe {
        let is = |text: *const c_char, word: &str| {
            let text = (!text.is_null()).then(|| CStr::from_ptr(text).to_bytes());
            text.is_some_and(|text| text.eq_ignore_ascii_case(word.as_bytes()))
        };
        (&*state.cast::<State>(), is)
    };
    let mut noted = state.noted.get();
    match action {
        ffi::SQLITE_FUNCTION => noted.counts |= is(second, "count"),
        ffi::SQLITE_TRANSACTION | ffi::SQLITE_SAVEPOINT => {
            noted.commits |= is(first, "COMMIT") || is(first, "RELEASE");
            noted.defines |= is(first, "ROLLBACK");
        }
        _ => {}
    }
    // Before each statement, the connection is asked how long it waits for locks.
    let asks = action == ffi::SQLITE_PRAGMA && is(first, "busy_timeout") && second.is_null();
    noted.defines |= !asks && !ROWS.contains(&action);
    state.noted.set(noted);
    if noted.counts && state.refuses.get() {
        state.has_refused.set(true);
        return ffi::SQLITE_DENY;
    }
    ffi::SQLITE_OK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_does_is_noted() {
        let connection = Connection::open_in_memory().expect("memory");
        connection
            .execute_batch("CREATE TABLE t (a); CREATE VIEW v AS SELECT Count(*) AS n FROM t")
            .expect("made");
        let noting = Noting::new(&connection);
        let none = Noted::default();
        let counts = Noted {
            counts: true,
            ..none
        };
        let commits = Noted {
            commits: true,
            ..none
        };
        let defines = Noted {
            defines: true,
            ..none
        };
        for (sql, expected) in [
            ("SELECT a FROM t", none),
            ("SELECT 'count', sum(a) FROM t", none),
            ("SELECT count(*) FROM t", counts),
            ("SELECT 1 FROM t WHERE a = (SELECT COUNT(*) FROM t)", counts),
            ("SELECT * FROM v", counts),
            ("BEGIN", none),
            (";commit", commits),
            ("/* all */ END", commits),
            ("RELEASE s", commits),
            ("ROLLBACK", defines),
            ("ROLLBACK TO s", defines),
            ("SAVEPOINT s", none),
            ("INSERT INTO t SELECT 1 WHERE false", none),
            ("CREATE TABLE u (a)", defines),
            ("DROP VIEW v", defines),
            ("ALTER TABLE t ADD b", defines),
            ("ATTACH ':memory:' AS x", defines),
            ("DETACH x", defines),
            ("PRAGMA busy_timeout = 1", defines),
            ("PRAGMA busy_timeout", none),
        ] {
            let (compiled, noted) = noting.of(|| connection.prepare(sql).map(drop));
            assert_eq!((compiled, noted), (Ok(()), expected), "{sql}");
        }
    }
}
