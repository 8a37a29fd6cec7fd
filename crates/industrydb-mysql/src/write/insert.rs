//! Inserts a frame's rows into a table, all of them or none.
//!
//! Rows go by `LOAD DATA LOCAL INFILE` if the server allows it, as a file that is made in memory. A
//! server that loads a client's file cannot refuse a row; if it warns of one, all rows are taken back
//! and go by prepared INSERTs, which refuse it. So do all rows where loading is not allowed. Rows
//! that may conflict with those of the table go into a temporary table first.

use industrydb_core::dialect::Dialect;
use industrydb_core::{Error, Frame, OnConflict, Result, Stop};

use crate::session::connect::Session;
use crate::sql::dialect::string;
use crate::write::settings::{Limits, with_settings};
use crate::write::stage::Stage;
use crate::write::target::{Target, locked};
use crate::write::{load, rows};

/// Savepoint of an insert within the caller's transaction.
const SAVEPOINT: &str = "industrydb_rows";

/// Writes all rows, or none; returns the number of rows that are in the table because of it.
pub(crate) fn insert(
    session: &mut Session,
    table: &str,
    frame: &Frame,
    on_conflict: OnConflict,
    stop: &Stop,
) -> Result<u64> {
    let dialect = session.mode.dialect();
    dialect.target(table, frame.columns())?;
    with_settings(session, stop, |session, limits| {
        let insert = Insert {
            dialect,
            table,
            kind: Kind::of(session, dialect, table, stop)?,
            frame,
            on_conflict,
        };
        if limits.loads
            && insert.kind == Kind::TakesBack
            && let Some(written) = insert.attempt(session, limits, stop)?
        {
            return Ok(written);
        }
        let limits = Limits {
            loads: false,
            takes_back: insert.kind != Kind::Keeps,
            ..limits
        };
        let written = insert.attempt(session, limits, stop)?;
        written.ok_or_else(|| Error::Internal("no row was refused, and none written".to_owned()))
    })
}

/// What rows are written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A table whose engine takes rows back.
    TakesBack,
    /// A table whose engine keeps them.
    Keeps,
    /// A view, into whose generated columns MariaDB loads nothing, without an error; or a table that
    /// the user may not look at.
    Unknown,
}

impl Kind {
    /// Looks at a table, which may be a temporary one, as the server prints it.
    fn of(session: &mut Session, dialect: &Dialect, table: &str, stop: &Stop) -> Result<Self> {
        let shown = session.rows(
            &format!("SHOW CREATE TABLE {}", dialect.table(table)?),
            stop,
        );
        let shown = match shown {
            Err(Error::Query { .. }) => return Ok(Self::Unknown),
            shown => shown?.into_iter().flatten().nth(1).flatten(),
        };
        let engine = shown.as_deref().and_then(|shown| {
            let (_, behind) = shown.rsplit_once("\n) ENGINE=")?;
            behind.split(|c: char| c.is_ascii_whitespace()).next()
        });
        let Some(engine) = engine else {
            return Ok(Self::Unknown);
        };
        if engine.eq_ignore_ascii_case("InnoDB") {
            return Ok(Self::TakesBack);
        }
        let sql = format!(
            "SELECT TRANSACTIONS FROM information_schema.ENGINES WHERE ENGINE = {}",
            string(engine)
        );
        let told = session
            .rows(&sql, stop)?
            .into_iter()
            .flatten()
            .flatten()
            .next();
        Ok(match told.as_deref() {
            Some("YES") => Self::TakesBack,
            _ => Self::Keeps,
        })
    }
}

/// Returns whether the server has warned that an engine without transactions keeps the rows that a
/// rollback should have taken back. MySQL's rollback also repeats the warnings of the statement
/// before it.
fn keeps_rows(session: &mut Session, stop: &Stop) -> Result<bool> {
    /// `ER_WARNING_NOT_COMPLETE_ROLLBACK`.
    const NOT_COMPLETE: &str = "1196";
    let warnings = session.rows("SHOW WARNINGS", stop)?; // Level, Code, Message
    let is_meant = |row: &Vec<Option<String>>| {
        row.get(1)
            .is_some_and(|code| code.as_deref() == Some(NOT_COMPLETE))
    };
    Ok(warnings.iter().any(is_meant))
}

/// Returns the error for rows that stay although not all of them could be written.
fn not_taken_back(written: Result<Option<u64>>) -> Error {
    const STAY: &str = "rows stay in the table, or in one that a trigger writes to, since its engine has no \
                        transactions (InnoDB has)";
    match written {
        Err(error) => error.hint(STAY),
        Ok(_) => Error::Query {
            message: format!(
                "the server has changed values of the data while it loaded them, and {STAY}"
            ),
            code: None,
            partition: None,
            is_transient: false,
        },
    }
}

/// What is inserted, and where.
struct Insert<'a> {
    dialect: &'static Dialect,
    table: &'a str,
    kind: Kind,
    frame: &'a Frame,
    on_conflict: OnConflict,
}

impl Insert<'_> {
    /// Writes all rows in a transaction, or in a savepoint of the caller's. Returns `None`, with all
    /// rows taken back, if the server has loaded some of them otherwise than they were given.
    fn attempt(&self, session: &mut Session, limits: Limits, stop: &Stop) -> Result<Option<u64>> {
        let of = |verb: &str| format!("{verb} {SAVEPOINT}");
        let is_callers = session.in_transaction() || !session.autocommits();
        let (begin, commit, rollback) = if is_callers {
            (
                of("SAVEPOINT"),
                of("RELEASE SAVEPOINT"),
                of("ROLLBACK TO SAVEPOINT"),
            )
        } else {
            let dialect = self.dialect;
            (
                dialect.begin.to_owned(),
                dialect.commit.to_owned(),
                dialect.rollback.to_owned(),
            )
        };
        session.run(&begin, stop)?;
        let written = self.write(session, limits, stop);
        let end = if matches!(written, Ok(Some(_))) {
            &commit
        } else {
            &rollback
        };
        if session.busy {
            return written;
        }
        let ended = session.run(end, stop);
        // MariaDB also warns of the temporary table that rows are sorted out in.
        let is_direct = self.on_conflict == OnConflict::Error || self.kind == Kind::Keeps;
        let has_warned = is_direct && ended.as_ref().is_ok_and(|ended| ended.warnings > 0);
        if is_callers && let (Err(Error::Query { .. }), Err(_)) = (&ended, &written) {
            // A deadlock has ended the transaction: what runs in its place is none of the caller's.
            session.run(self.dialect.rollback, stop)?;
        }
        match (ended, &written) {
            (Ok(_), Ok(None) | Err(_)) if has_warned && keeps_rows(session, stop)? => {
                Err(not_taken_back(written))
            }
            // A deadlock has ended the transaction and its savepoints: only the first error counts.
            (Ok(_), _) | (Err(Error::Query { .. }), Err(_)) => written,
            (Err(error), Ok(Some(_))) if !is_callers => Err(error.of_lasting_work()),
            (Err(error), _) => Err(error),
        }
    }

    fn write(&self, session: &mut Session, limits: Limits, stop: &Stop) -> Result<Option<u64>> {
        let mut target = locked(session, self.dialect, self.table, self.frame, stop)?;
        if self.kind == Kind::Unknown {
            target.look_behind(session, stop)?;
        }
        if self.on_conflict == OnConflict::Error {
            let rows = self.frame.height() as u64;
            let is_written = self.send(session, &target, &target.name, false, limits, stop)?;
            return Ok(is_written.then_some(rows));
        }
        let replaces = self.on_conflict == OnConflict::Replace;
        let stage = Stage::new(session, self.dialect, self.table, &target, replaces, stop)?;
        let written = self.sort_out(session, &target, &stage, replaces, limits, stop);
        if !session.busy {
            let dropped = stage.drop(session, stop);
            return written.and_then(|written| dropped.map(|()| written));
        }
        written
    }

    /// Writes the rows into the temporary table, and from there into their own.
    fn sort_out(
        &self,
        session: &mut Session,
        target: &Target,
        stage: &Stage,
        replaces: bool,
        limits: Limits,
        stop: &Stop,
    ) -> Result<Option<u64>> {
        if !self.send(session, target, &stage.name, replaces, limits, stop)? {
            return Ok(None);
        }
        let written = if replaces {
            stage.replace(session, target, stop)
        } else {
            stage.insert_new(session, target, limits, stop)
        };
        written.map(Some)
    }

    /// Sends all rows into a table; returns `false` if it has others than were given.
    fn send(
        &self,
        session: &mut Session,
        target: &Target,
        into: &str,
        replaces: bool,
        limits: Limits,
        stop: &Stop,
    ) -> Result<bool> {
        if limits.loads {
            return load::load(session, target, into, replaces, self.frame, limits, stop);
        }
        let verb = if replaces {
            "REPLACE INTO"
        } else {
            "INSERT INTO"
        };
        rows::insert(session, target, into, verb, self.frame, limits, stop)?;
        Ok(true)
    }
}
